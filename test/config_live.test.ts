import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import type { Claim } from "../core/auth/authenticator.ts";
import { makeKeyPair } from "../core/auth/key_pair.ts";
import { KeyCredential } from "../core/auth/key_credential.ts";
import { KeyPair } from "../core/auth/key_pair.ts";
import { clientMessage } from "../core/auth/proof.ts";
import { TokenKey } from "../core/auth/token.ts";
import { connect } from "../core/client.ts";
import { Accounts } from "../core/cli/policies.ts";
import { LiveIdentities } from "../core/config/live.ts";
import type { IdentityEntry } from "../core/config/types.ts";
import type { Identity } from "../core/identity.ts";
import { findAccount } from "../core/policy/run_as.ts";
import type { Command } from "../core/ports.ts";
import { temporaryFolder } from "./support/cli.ts";
import { cliRuntime } from "./support/cli_in_process.ts";
import { fakeSpawner } from "./support/fake_process.ts";
import { pass } from "./support/fake_time.ts";
import { eventually } from "./support/leaks.ts";
import { machine } from "./support/machine.ts";
import { serving } from "./support/serving.ts";

const folder = temporaryFolder();
const TOKEN = "the-token-of-somebody";

function place(name: string) {
  const own = join(folder, name);
  mkdirSync(own, { mode: 0o700 });
  const path = join(own, "server.json");
  const write = (identities: readonly IdentityEntry[]) =>
    writeFileSync(path, JSON.stringify({ identities }), { mode: 0o600 });
  return { path, write };
}

async function claim(token: string): Promise<Claim> {
  const key = await TokenKey.from(token);
  const transcript = new Uint8Array(32);
  return {
    key: await key.id,
    proof: await key.sign(clientMessage(transcript)),
    transcript,
    peer: "unix",
  };
}

test("a configuration that is not taken over changes nobody's end", async () => {
  const { path, write } = place("end");
  const pair = await KeyPair.fromPem(await makeKeyPair());
  const soon = new Date(Date.now() + 3_600_000).toISOString();
  write([{ name: "a", token: TOKEN, expires: soon }]);
  const said: string[] = [];
  let hostKey = () => Promise.reject<KeyPair>(new Error("a full disk"));
  const live = await LiveIdentities.open({
    place: machine,
    path,
    token: () => Promise.reject(new Error("not in this test")),
    hostKey: () => hostKey(),
    tell: (message) => said.push(message),
    warn: (message) => said.push(message),
    examine: () => Promise.resolve({ problems: [], warnings: [] }),
    used: () => {},
  });
  const { identity } = await live.authenticate(await claim(TOKEN)) as {
    identity: Identity;
  };
  const end = () => live.entryOf(identity)?.expires;
  expect(end()).toBe(soon);
  const later = "2100-01-01T00:00:00Z";
  const next = [
    { name: "a", token: TOKEN, expires: later },
    { name: "b", publicKey: pair.publicKey },
  ];
  write(next);
  await expect(live.reload()).rejects.toThrow("a full disk");
  expect(end()).toBe(soon);
  hostKey = () => Promise.resolve(pair);
  expect(await live.reload()).toContain("2 identities");
  expect(end()).toBe(later);
  expect(live.whyGone(identity)).toBe(null);
  write([{ ...next[0], from: ["10.0.0.0/8"] }]);
  await live.reload();
  expect(live.whyGone(identity)).toEqual({
    told: "Identity was changed in the server's configuration",
    logged: "from",
  });
  write([next[1]]);
  await live.reload();
  expect(live.whyGone(identity)).toBe("Identity was revoked");
  expect(said).toEqual([]);
});

test("the first who has a key pair gets in at once, and the server has a key", async () => {
  const { path, write } = place("first-key");
  write([{ name: "a", token: TOKEN }]);
  const [ours, theirs] = await Promise.all(
    [1, 2].map(async () => KeyPair.fromPem(await makeKeyPair())),
  );
  const live = await LiveIdentities.open({
    place: machine,
    path,
    token: () => Promise.reject(new Error("not in this test")),
    hostKey: () => Promise.resolve(ours),
    tell: () => {},
    warn: () => {},
    examine: () => Promise.resolve({ problems: [], warnings: [] }),
    used: () => {},
  });
  await using served = await serving({}, undefined, {
    token: undefined,
    authenticator: live,
  });
  expect(live.hostKey).toBeUndefined();
  // Nobody looks at the file by the clock here.
  write([{ name: "b", publicKey: theirs.publicKey }]);
  const credential = new KeyCredential(theirs, ours.publicKey);
  const session = await connect(() => served.dial(), { credential });
  await session.close();
});

/** Programs that answer for the system's own, which look in `bin`. */
function fakeUsers(bin: string, getent: string) {
  mkdirSync(bin);
  const script = (name: string, text: string) =>
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  script("getent", getent);
  // As if it were root's: the user that it is to be is told by its arguments.
  script("setpriv", 'echo "${1#--reuid=}"');
  const { runtime } = cliRuntime([], { PATH: `${bin}:/usr/bin:/bin` });
  return new Accounts(runtime);
}

test("users are looked up anew whenever the configuration is read", async () => {
  const { path, write } = place("users");
  const bin = join(folder, "bin");
  const passwd = (line: string) =>
    writeFileSync(join(bin, "passwd"), `${line}\n`);
  const accounts = fakeUsers(bin, `grep "^$2:" ${bin}/passwd`);
  passwd("deploy:x:1001:1001::/home/deploy:/bin/bash");
  write([{ name: "a", token: TOKEN, policy: { runAs: "deploy" } }]);
  const warned: string[] = [];
  const open = () =>
    LiveIdentities.open({
      place: machine,
      path,
      token: () => Promise.reject(new Error("not in this test")),
      hostKey: () => Promise.reject(new Error("not in this test")),
      tell: () => {},
      warn: (message) => warned.push(message),
      examine: (loaded) => accounts.examine(loaded),
      used: () => {},
    });
  const live = await open();
  const found = async () => {
    const { uid, home, shell } = await accounts.of("deploy");
    return [uid, home, shell];
  };
  expect(await found()).toEqual(["1001", "/home/deploy", "/bin/bash"]);
  passwd("deploy:x:1002:1001::/srv/deploy:");
  expect(await found()).toEqual(["1001", "/home/deploy", "/bin/bash"]);
  await live.reload();
  expect(await found()).toEqual(["1002", "/srv/deploy", "/bin/sh"]);
  // Who has vanished keeps nobody from being revoked; but at a start, a mistake.
  write([{ name: "a", token: TOKEN, policy: { runAs: "gone" } }]);
  const message = `${path}:1:78: identities[0].policy.runAs: Cannot run ` +
    "commands as gone: there is no such user";
  expect(await live.reload()).toContain("1 identity");
  await eventually(() => warned.length > 0, () => "nothing was warned of");
  expect(warned).toEqual([message]);
  await expect(accounts.of("gone")).rejects.toThrow("there is no such user");
  await expect(open()).rejects.toThrow(message);
});

test("a lookup that does not end keeps nobody from being revoked or let in", async () => {
  const { path, write } = place("slow");
  const bin = join(folder, "slow-bin");
  const held = join(folder, "held");
  const accounts = fakeUsers(
    bin,
    `while [ -e ${held} ]; do sleep 0.1; done; echo "$2:x:1001:1001::/:"`,
  );
  const a = { name: "a", token: TOKEN, policy: { runAs: "deploy" } };
  const other = "the-token-of-another";
  write([a, { name: "b", token: other }]);
  const live = await LiveIdentities.open({
    place: machine,
    path,
    token: () => Promise.reject(new Error("not in this test")),
    hostKey: () => Promise.reject(new Error("not in this test")),
    tell: () => {},
    warn: () => {},
    examine: (loaded) => accounts.examine(loaded),
    used: () => {},
  });
  const comes = async (token: string) =>
    await live.authenticate(await claim(token));
  const { identity } = await comes(other) as { identity: Identity };
  writeFileSync(held, "");
  try {
    write([a]);
    expect(await comes(other)).toHaveProperty("denied");
    expect(await comes(TOKEN)).toHaveProperty("identity");
    expect(live.whyGone(identity)).toBe("Identity was revoked");
    expect(await live.reload()).toContain("1 identity");
  } finally {
    rmSync(held);
  }
  // Commands of that user were to wait.
  expect(await accounts.of("deploy")).toMatchObject({ uid: "1001" });
});

test("who is asked for a user and does not answer is ended", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const killed: string[] = [];
    const spawner = async (command: Command) => {
      const handle = await fakeSpawner({ exit: null })(command);
      return {
        ...handle,
        kill(signal: string) {
          killed.push(signal);
          return handle.kill(signal);
        },
      };
    };
    const found = expect(findAccount("deploy", spawner, {})).rejects;
    const refused = found.toMatchObject({
      code: "unsupported",
      message: "Cannot run commands as deploy: getent has not answered for " +
        "10 seconds",
    });
    await pass(9_000);
    expect(killed).toEqual([]);
    await pass(2_000);
    await refused;
    expect(killed).toEqual(["SIGKILL"]);
  } finally {
    vi.useRealTimers();
  }
});
