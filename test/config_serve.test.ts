import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { KeyCredential } from "../core/auth/key_credential.ts";
import { KeyPair, makeKeyPair } from "../core/auth/key_pair.ts";
import { connect, type ConnectOptions, type Session } from "../core/client.ts";
import type { IdentityEntry } from "../core/config/types.ts";
import { parseAddress } from "../core/target.ts";
import { adapter } from "./support/adapter.ts";
import { textOf } from "./support/bytes.ts";
import { inProcess, limpetHere } from "./support/cli_in_process.ts";
import {
  limpet,
  quoted,
  type Running,
  startLimpet,
  temporaryFolder,
} from "./support/cli.ts";
import { machine } from "./support/machine.ts";
import { untilGone } from "./support/processes.ts";
import { cli, THIS_RUNTIME } from "./support/runtimes.ts";

const folder = temporaryFolder();
const tokenOf = (name: string) => `the-token-of-${name}-here`;
const entry = (name: string, more: Partial<IdentityEntry> = {}) => ({
  name,
  token: tokenOf(name),
  ...more,
});

/** A configuration folder of its own, and what is done with it. */
function place(name: string) {
  const own = join(folder, name);
  mkdirSync(own, { mode: 0o700 });
  const env = { LIMPET_CONFIG: own };
  const path = join(own, "server.json");
  return {
    own,
    path,
    env,
    write: (identities: readonly IdentityEntry[]) =>
      machine.files.replacePrivate(path, JSON.stringify({ identities })),
    run: (...args: string[]) => inProcess(args, env),
    async serve(...args: string[]) {
      const all = ["serve", "-v", "tcp://127.0.0.1:0", ...args];
      const running = startLimpet(all, { env });
      await running.complains("listening on ");
      const [address] = /tcp:[\w./:]+/.exec(running.stderr())!;
      return { running, address };
    },
  };
}

function dial(address: string, options: ConnectOptions): Promise<Session> {
  return connect(() => adapter.dial(parseAddress(address)), options);
}

async function isRefused(address: string, token: string): Promise<void> {
  await expect(dial(address, { token }))
    .rejects.toMatchObject({ code: "unauthenticated" });
}

/** A command that runs until somebody ends it, and its process. */
async function lasting(session: Session) {
  const child = await session.spawn("echo $$; exec sleep 1000", {
    shell: true,
    stdin: "null",
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  const pid = Number(new TextDecoder().decode(value));
  expect(pid).toBeGreaterThan(1);
  return { pid, status: child.status };
}

async function stop(running: Running): Promise<void> {
  running.kill("SIGTERM");
  expect((await running.outcome).code).toBe(0);
}

describe(`identities of limpet serve on ${THIS_RUNTIME}`, () => {
  test(
    "revoking and expiring end the sessions of one, and of nobody else",
    async () => {
      const { path, run, serve, write } = place("revoke");
      const pair = await KeyPair.fromPem(await makeKeyPair());
      const key = { name: "key", publicKey: pair.publicKey };
      await write([entry("a"), entry("b"), key, entry("c")]);
      const { running, address } = await serve();
      expect(running.stderr()).toContain(`, 4 identities in ${path}`);
      const a = await dial(address, { token: tokenOf("a") });
      const b = await dial(address, { token: tokenOf("b") });
      let hostKey = "";
      const credential = new KeyCredential(pair, (server) => {
        hostKey = server.hostKey;
      });
      const k = await dial(address, { credential });
      expect(hostKey).toMatch(/^ed25519:/);
      const ofA = await lasting(a);
      const ofB = await lasting(b);
      const ofK = await lasting(k);

      const revoked = await run("token", "revoke", "a");
      expect(revoked.stderr).toContain("ends its sessions within 2 seconds");
      await expect(ofA.status).rejects.toThrow(/Identity was revoked/);
      await untilGone([ofA.pid]);
      await isRefused(address, tokenOf("a"));

      // A later end is no end; one that has come is.
      await write([
        entry("b", { expires: "2100-01-01T00:00:00Z" }),
        key,
        entry("c"),
      ]);
      await (await dial(address, { token: tokenOf("c") })).close();
      const soon = new Date(Date.now() + 1_500).toISOString();
      await write([
        entry("b", { expires: "2100-01-01T00:00:00Z" }),
        { ...key, expires: soon },
        entry("c"),
      ]);
      await expect(ofK.status).rejects.toThrow(`has expired, at ${soon}`);
      await untilGone([ofK.pid]);
      await expect(dial(address, { credential }))
        .rejects.toMatchObject({ code: "unauthenticated" });
      await running.complains(`as "key": it has expired, at ${soon}`);

      // Another token for the same name is another one.
      await write([entry("b"), { name: "c", token: "another-token-of-c" }]);
      await isRefused(address, tokenOf("c"));
      expect((await b.output("echo", { args: ["still"] })).code).toBe(0);
      await b.close();
      await untilGone([ofB.pid]);
      await ofB.status.catch(() => {});
      await stop(running);
      expect(running.stderr().match(/session of .* Identity .*/g)).toEqual([
        "session of a ended: Identity was revoked; 1 command ended with it",
        `session of key ended: Identity has expired, at ${soon}; 1 command ` +
        "ended with it",
      ]);
    },
  );

  test("who comes from elsewhere, and who came last", async () => {
    const { own, path, run, serve, write } = place("from");
    await write([
      entry("far", { from: ["10.0.0.0/8", "unix", "stdio", "::/0"] }),
      entry("near", { from: ["127.0.0.0/8"] }),
    ]);
    const { running, address } = await serve();
    await isRefused(address, tokenOf("far"));
    await running.complains('as "far": it may not come from 127.0.0.1:');
    // Whoever is added may come at once.
    const added = await run("token", "add", "new");
    await (await dial(address, { token: added.stdout.trim() })).close();
    await (await dial(address, { token: tokenOf("near") })).close();
    await stop(running);

    const { stdout } = await run("token", "list", "--json");
    const today = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
    const used = { at: expect.stringMatching(today), from: "127.0.0.1" };
    expect(JSON.parse(stdout)).toMatchObject([
      { name: "far", lastUse: null },
      { name: "near", lastUse: used },
      { name: "new", lastUse: used },
    ]);
    const { files } = machine;
    const state = join(own, "server.state.json");
    expect(await files.status(state)).toMatchObject({ mode: 0o600 });
    expect(readFileSync(path, "utf8")).not.toContain("lastUse");

    // The way without an address has a name of its own.
    const tokenFile = join(own, "far");
    writeFileSync(tokenFile, tokenOf("far"), { mode: 0o600 });
    const line = [...cli(THIS_RUNTIME), "serve", "--stdio", "--config", path]
      .map(quoted).join(" ");
    const { code, stdout: said, stderr } = await limpet(
      ["exec", "--token-file", tokenFile, `cmd:${line}`, "--", "echo", "hi"],
      { env: { LIMPET_CONFIG: own } },
    );
    expect({ code, said }, stderr).toEqual({ code: 0, said: "hi\n" });
  });

  test(
    "a file with mistakes changes nothing, and one without does",
    async () => {
      const { own, path, serve, write, env } = place("broken");
      // No configuration, no token: the token is made.
      const { running, address } = await serve();
      const token = readFileSync(join(own, "token"), "utf8").trim();
      const session = await dial(address, { token });
      const { pid, status } = await lasting(session);
      writeFileSync(path, '{\n  "identities": [', { mode: 0o600 });
      await running.complains(
        `the old configuration stays: ${path}:2:18: a closing ] is missing here`,
      );
      await (await dial(address, { token })).close();
      // Who had the token before, and is in the file, does not notice.
      await write([{ name: "default", token }, entry("a")]);
      await (await dial(address, { token: tokenOf("a") })).close();
      await running.complains(`read again: 2 identities in ${path}`);
      // Whoever has a key has to be told the server's, once there is one.
      const { publicKey } = await KeyPair.fromPem(await makeKeyPair());
      const both = [{ name: "default", token }, entry("a")];
      await write([...both, { name: "k", publicKey }]);
      await running.complains("; this server's key is ed25519:");
      // Of many mistakes not all fit into a line.
      const wrong = ["B!", "C!", "D!", "E!", "F!"].map((name) => ({ name }));
      await write([...both, { name: "k", publicKey }, ...wrong]);
      await running.complains(
        `more, which limpet config check ${path} tells`,
      );
      await machine.files.remove(path);
      await running.complains(`the old configuration stays: ${path} is gone`);
      await (await dial(address, { token: tokenOf("a") })).close();
      const text = await textOf(
        (await session.spawn("echo", { args: ["here"] })).stdout,
      );
      expect(text).toBe("here\n");
      await write([entry("a")]);
      await expect(status).rejects.toThrow(/Identity was revoked/);
      await untilGone([pid]);
      await isRefused(address, token);
      await write([]);
      await isRefused(address, tokenOf("a"));
      await stop(running);

      // At the start there is no old one.
      writeFileSync(path, '{\n  "identities": {}\n}', { mode: 0o600 });
      const { code, stderr } = await limpetHere(
        ["serve", "tcp://127.0.0.1:0"],
        {
          env,
        },
      );
      expect(code).toBe(125);
      expect(stderr).toContain(
        `limpet: ${path}:2:17: identities: an object is no list of identities\n`,
      );
      expect(stderr).toContain(`Cannot serve by ${path}: it has mistakes`);
    },
  );

  test("a record that cannot be written is a warning", async () => {
    const { own, path, serve, write } = place("record");
    await write([entry("a")]);
    mkdirSync(join(own, "server.state.json"));
    const { running, address } = await serve("--config", path);
    await (await dial(address, { token: tokenOf("a") })).close();
    await stop(running);
    expect(running.stderr()).toContain("cannot write down who connected when");
  });
});

test(
  "a key pair on the command line, and a server that is not the one known",
  async () => {
    const { own, path, run, serve, env } = place("client");
    const made = await run("key", "new");
    const file = join(own, "identity_key");
    await run("key", "add", "me", made.stdout.trim());
    const { running, address } = await serve();
    const [hostKey] = /ed25519:\S+/.exec(running.stderr())!;
    const exec = (...flags: string[]) =>
      limpetHere(["exec", ...flags, address, "--", "echo", "hi"], {
        env: { ...env, LIMPET_IDENTITY_FILE: file },
      });
    const host = address.replace("tcp://", "");
    const unknown = await exec();
    expect(unknown).toMatchObject({ code: 255, stdout: "" });
    expect(unknown.stderr).toBe(
      `limpet: Server at ${host} is not known here. If what it printed when it ` +
        `started is the key ${hostKey}, run "limpet key trust ${host} ${hostKey}"\n`,
    );
    // What to do about it is the client's business alone.
    await running.complains("is not known here (unauthenticated)\n");
    expect(await run("key", "trust", host, hostKey)).toMatchObject({ code: 0 });
    expect((await run("key", "trust", host, hostKey)).stderr).toContain(
      "already",
    );
    expect(await exec()).toMatchObject({ code: 0, stdout: "hi\n", stderr: "" });
    const given = await exec("--identity-file", file, "--host-key", hostKey);
    expect(given).toMatchObject({ code: 0, stdout: "hi\n" });

    // Somebody else answers there now.
    const hosts = join(own, "known_hosts");
    const before = readFileSync(hosts, "utf8");
    writeFileSync(
      hosts,
      `# mine\n${before.replace(hostKey, made.stdout.trim())}`,
    );
    const changed = await exec();
    expect(changed.code).toBe(255);
    expect(changed.stderr).toContain(`The key of ${host} has changed`);
    expect(changed.stderr).toContain(
      `Line 2 of ${hosts} has ${made.stdout.trim()}`,
    );
    const other = await run("key", "trust", host, hostKey);
    expect(other).toMatchObject({ code: 125 });
    const wrong = await exec(
      "--identity-file",
      file,
      "--host-key",
      made.stdout.trim(),
    );
    expect(wrong.code).toBe(255);
    expect(wrong.stderr).toContain("it is another server");
    const both = await exec("--identity-file", file, "--token-file", path);
    expect(both.stderr).toContain("exclude each other");
    await stop(running);
  },
);

test("two who say who may connect, and a file that is not there", async () => {
  const { own, path, run, write } = place("usage");
  await write([entry("a")]);
  const both = await run("serve", "--token-file", join(own, "token"));
  expect(both.code).toBe(125);
  expect(both.stderr).toContain(
    `--token-file and the identities in ${path} both say who may connect`,
  );
  const none = await run("serve", "--config", join(own, "none.json"));
  expect(none.code).toBe(125);
  expect(none.stderr).toContain(`${own}/none.json: there is no such file`);
});
