import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeKeyPair } from "../core/auth/key_pair.ts";
import { KeyPair } from "../core/auth/key_pair.ts";
import { clientMessage } from "../core/auth/proof.ts";
import { TokenKey } from "../core/auth/token.ts";
import { Accounts } from "../core/cli/policies.ts";
import { LiveIdentities } from "../core/config/live.ts";
import type { IdentityEntry } from "../core/config/types.ts";
import type { Identity } from "../core/identity.ts";
import { temporaryFolder } from "./support/cli.ts";
import { cliRuntime } from "./support/cli_in_process.ts";
import { machine } from "./support/machine.ts";

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
  const key = await TokenKey.from(TOKEN);
  const transcript = new Uint8Array(32);
  const { identity } = await live.authenticate({
    key: await key.id(),
    proof: await key.sign(clientMessage(transcript)),
    transcript,
    peer: "unix",
  }) as { identity: Identity };
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
  expect(live.isGone(identity)).toBe(false);
  expect(said).toEqual([]);
});

test("users are looked up anew whenever the configuration is read", async () => {
  const { path, write } = place("users");
  const bin = join(folder, "bin");
  mkdirSync(bin);
  const script = (name: string, text: string) =>
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  const passwd = (line: string) =>
    writeFileSync(join(bin, "passwd"), `${line}\n`);
  script("getent", `grep "^$2:" ${bin}/passwd`);
  // As if it were root's: the user that it is to be is told by its arguments.
  script("setpriv", 'echo "${1#--reuid=}"');
  passwd("deploy:x:1001:1001::/home/deploy:/bin/bash");
  write([{ name: "a", token: TOKEN, policy: { runAs: "deploy" } }]);
  const { runtime } = cliRuntime([], { PATH: `${bin}:/usr/bin:/bin` });
  const accounts = new Accounts(runtime);
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
  expect(warned).toEqual([message]);
  await expect(accounts.of("gone")).rejects.toThrow("there is no such user");
  await expect(open()).rejects.toThrow(message);
});
