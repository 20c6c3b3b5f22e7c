import { chmodSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findOrMakeHostKey } from "../core/config/host_key.ts";
import { readConfig } from "../core/config/read.ts";
import { addIdentities, removeIdentity } from "../core/config/update.ts";
import { fingerprintOfPem } from "../core/tls/fingerprint.ts";
import { serverTls } from "../core/tls_server.ts";
import { certificate } from "./support/certificates.ts";
import { inProcess } from "./support/cli_in_process.ts";
import {
  expectOwnWords,
  limpet,
  start,
  temporaryFolder,
} from "./support/cli.ts";
import { machine } from "./support/machine.ts";
import { cli, THIS_RUNTIME } from "./support/runtimes.ts";

const folder = temporaryFolder();
const KEY = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const TOKEN = /^[A-Za-z0-9_-]{43}\n$/;

/** A configuration folder of its own, and `limpet` in it. */
function place(name: string) {
  const own = join(folder, name);
  mkdirSync(own, { mode: 0o700 });
  const path = join(own, "server.json");
  return {
    own,
    path,
    run: (...args: string[]) => inProcess(args, { LIMPET_CONFIG: own }),
    names: async () => {
      const { config } = await readConfig(readFileSync(path, "utf8"));
      return config?.identities?.map(({ name }) => name);
    },
  };
}

test("add, list, revoke; the token is printed once, and nothing else", async () => {
  const { own, path, run, names } = place("life");
  const ci = await run("token", "add", "ci", "--from=10.0.0.0/8", "--from=::1");
  expect(ci).toMatchObject({ code: 0, stdout: expect.stringMatching(TOKEN) });
  expectOwnWords(ci.stderr);
  expect(ci.stderr).not.toContain(ci.stdout.trim());
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const ann = await run("key", "add", "ann", KEY, "--expires", "2100-01-31");
  expect(ann).toMatchObject({ code: 0, stdout: "" });
  expect(ann.stderr).toContain(`added ann to ${path}, until 2100-01-31T00:00:`);

  const list = await run("token", "list");
  expect(list).toMatchObject({ code: 0, stderr: "" });
  expect(list.stdout).toBe(
    "ci\ttoken\t-\t10.0.0.0/8,::1\t-\t-\n" +
      "ann\tkey\t2100-01-31T00:00:00Z\t-\t-\t-\n",
  );
  const json = await run("token", "list", "--json");
  expect(json.stdout).not.toContain(ci.stdout.trim());
  const all = { lastUse: null, expired: false };
  expect(JSON.parse(json.stdout)).toEqual([
    {
      ...all,
      name: "ci",
      kind: "token",
      expires: null,
      from: ["10.0.0.0/8", "::1"],
    },
    {
      ...all,
      name: "ann",
      kind: "key",
      publicKey: KEY,
      expires: "2100-01-31T00:00:00Z",
      from: null,
    },
  ]);

  // One that has come, over which nothing more is said than that.
  const late = { name: "late", token: "the-token-of-the-late" };
  const { config } = await readConfig(readFileSync(path, "utf8"));
  const before = readFileSync(path, "utf8");
  writeFileSync(
    path,
    JSON.stringify({
      identities: [...config!.identities!, {
        ...late,
        expires: "2001-01-31T00:00:00Z",
      }],
    }),
  );
  const use = { late: { at: "2001-01-30T12:00:00.5Z", from: "10.0.0.9" } };
  writeFileSync(
    join(own, "server.state.json"),
    JSON.stringify({ lastUse: use }),
  );
  expect((await run("token", "list")).stdout.split("\n")[2]).toBe(
    "late\ttoken\t2001-01-31T00:00:00Z\t-\t2001-01-30T12:00:00Z\t10.0.0.9",
  );
  writeFileSync(path, before);
  await machine.files.remove(join(own, "server.state.json"));

  const again = await run("token", "add", "ci");
  expect(again).toMatchObject({ code: 125, stdout: "" });
  expect(again.stderr).toContain('"limpet token revoke ci" takes it out');
  const same = await run("key", "add", "bob", KEY);
  expect(same).toMatchObject({ code: 125, stdout: "" });
  expect(same.stderr).toContain("has the same publicKey");

  expect(await run("token", "revoke", "ci")).toMatchObject({ code: 0 });
  expect(await names()).toEqual(["ann"]);
  const none = await run("token", "revoke", "ci");
  expect(none.code).toBe(125);
  expect(none.stderr).toContain("has no such identity; there are ann");
  // Nobody is left behind who waits for anybody.
  expect(readdirSync(own)).toEqual(["server.json"]);
});

test("a token goes into a file of its own, which is not there yet", async () => {
  const { own, run, names } = place("out");
  const file = join(own, "ci.token");
  const made = await run("token", "add", "ci", "--out", file);
  expect(made).toMatchObject({ code: 0, stdout: "" });
  expect(made.stderr).toContain(`the token is in ${file}`);
  expect(readFileSync(file, "utf8")).toMatch(TOKEN);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(made.stderr).not.toContain(readFileSync(file, "utf8").trim());
  const taken = await run("token", "add", "bob", "--out", file);
  expect(taken).toMatchObject({ code: 125, stdout: "" });
  expect(taken.stderr).toContain(`There is a file ${file} already`);
  // Nobody is added without their token, and no token is left of nobody.
  const other = join(own, "other.token");
  expect(await run("token", "add", "ci", "--out", other))
    .toMatchObject({ code: 125 });
  const nodir = join(folder, "nodir", "x");
  const unmade = await run("token", "add", "bob", "--out", nodir);
  expect(unmade.code).toBe(125);
  expect(unmade.stderr).toContain("there is no folder");
  expect(existsSync(join(folder, "nodir"))).toBe(false);
  const nowhere = await run("token", "add", "bob", "--out", join(file, "x"));
  expect(nowhere.code).toBe(125);
  expect(nowhere.stderr).toContain(`Cannot write ${file}/x`);
  expect(await names()).toEqual(["ci"]);
  expect(readdirSync(own).sort()).toEqual(["ci.token", "server.json"]);
});

test("without identities the list says who may connect", async () => {
  const { run } = place("shared");
  const { code, stdout, stderr } = await run("token", "list");
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  expect(stderr).toContain("no identities: who has the one token of the token");
  expect((await run("token", "list", "--json")).stdout).toBe("[]\n");
});

test("a configuration that cannot be read is named, and why it cannot", async () => {
  const file = join(folder, "no-folder");
  writeFileSync(file, "");
  for (const words of [["token", "list"], ["config", "check"], ["serve"]]) {
    const { code, stderr } = await inProcess(words, { LIMPET_CONFIG: file });
    expect({ code, first: stderr.split("\n")[0] }).toEqual({
      code: 125,
      first:
        `limpet: Cannot read ${file}/server.json: not a directory (ENOTDIR)`,
    });
  }
});

test("by what a machine is known, whether a server runs or not", async () => {
  const { own, path, run } = place("show");
  const none = await run("key", "show");
  expect(none).toMatchObject({ code: 125, stdout: "" });
  expect(none.stderr).toContain("There is nothing to show");
  for (const [kind, file] of [["host", "host_key"], ["cert", "tls.pem"]]) {
    const { code, stderr } = await run("key", "show", kind);
    expect(code).toBe(125);
    expect(stderr).toContain(
      `${join(own, file)} does not exist; "limpet serve`,
    );
  }
  const client = (await run("key", "new")).stdout;
  expect((await run("key", "show", "own")).stdout).toBe(client);
  const env = { LIMPET_CONFIG: own };
  const place_ = { ...machine, env: (name: "LIMPET_CONFIG") => env[name] };
  const host = await findOrMakeHostKey(place_ as typeof machine);
  const { fingerprint } = await serverTls(place_ as typeof machine);
  expect((await run("key", "show", "host")).stdout)
    .toBe(`${host.publicKey}\n`);
  expect((await run("key", "show")).stdout).toBe(
    `host\t${host.publicKey}\t${own}/host_key\n` +
      `cert\t${fingerprint}\t${own}/tls.pem\n` +
      `own\t${client.trim()}\t${own}/identity_key\n`,
  );
  // The certificate is the one that the configuration names.
  const other = await certificate();
  writeFileSync(join(own, "c.pem"), other.certificate);
  writeFileSync(path, '{"tls":{"cert":"c.pem","key":"k.pem"}}', {
    mode: 0o600,
  });
  expect((await run("key", "show", "cert")).stdout)
    .toBe(`${await fingerprintOfPem(other.certificate)}\n`);
  expect((await run("key", "show", "hosts")).stderr)
    .toContain(
      "key show hosts is none of host, cert, own, and there is no such file",
    );
});

test("a table for people", async () => {
  const { own, run } = place("people");
  await run("token", "add", "a-long-name");
  const { outcome } = start([
    "python3",
    "-c",
    "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]))",
    ...cli(THIS_RUNTIME),
    "token",
    "list",
  ], { env: { LIMPET_CONFIG: own } });
  expect((await outcome).stdout.replaceAll("\r", "")).toBe(
    "NAME         KIND   EXPIRES  FROM        LAST USE\n" +
      "a-long-name  token  never    everywhere  never\n",
  );
});

test("the token that there was becomes an identity itself", async () => {
  const { own, run, names } = place("until-now");
  const token = "the-token-until-now";
  writeFileSync(join(own, "token"), `${token}\n`, { mode: 0o600 });
  const { code, stderr } = await run("token", "add", "ci");
  expect(code).toBe(0);
  expect(stderr).toContain('it is the identity "default" now');
  expect(await names()).toEqual(["default", "ci"]);
  // Once revoked it stays so.
  await run("token", "revoke", "default");
  expect((await run("token", "add", "bob")).stderr).not.toContain("default");
  expect(await names()).toEqual(["ci", "bob"]);
});

test("what is not right is refused, and changes nothing", async () => {
  const { path, run } = place("wrong");
  const text = '{ "identity": [] }\n';
  for (
    const [args, message] of [
      [["token", "add", "a b"], 'name: "a b" is no name of 1 to 64 letters'],
      [["token", "add", "a", "--from", "10.0.0.1/8"], "from[0]: "],
      [
        ["token", "add", "a", "--expires", "yesterday"],
        "--expires yesterday is neither a span of time nor a date: write how " +
        "long from now (12h, 30d, 2w), or a date to come (2027-01-31, ",
      ],
      [
        ["key", "add", "a", KEY, "--expires", "2001-01-31"],
        "--expires 2001-01-31 is over already: write how long from now (",
      ],
      [["key", "add", "a", "ed25519:AAAA"], 'publicKey: "ed25519:AAAA" is no'],
      [["token", "add", "a"], "which has mistakes: "],
      [["token", "revoke", "a"], "which has mistakes: "],
      [["token", "list"], "which has mistakes: "],
    ] as const
  ) {
    writeFileSync(path, text, { mode: 0o600 });
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }, stderr).toEqual({ code: 125, stdout: "" });
    expect(stderr).toContain(message);
    expectOwnWords(stderr);
    expect(readFileSync(path, "utf8")).toBe(text);
  }
});

describe("key new", () => {
  test("makes a private file, prints the public key, replaces nothing", async () => {
    const { own, run } = place("keys");
    const { code, stdout, stderr } = await run("key", "new");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ed25519:[A-Za-z0-9_-]{43}\n$/);
    expect(stderr).toContain(`limpet key add NAME ${stdout.trim()}`);
    const path = join(own, "identity_key");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const pem = readFileSync(path, "utf8");
    expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    const again = await run("key", "new");
    expect(again).toMatchObject({ code: 125, stdout: "" });
    expect(again.stderr).toContain("left as it is: name another with --out");
    expect(readFileSync(path, "utf8")).toBe(pem);
    const file = join(own, "other");
    const other = await run("key", "new", "--out", file);
    expect(other.stdout).not.toBe(stdout);
    // As ssh-keygen -y: for whoever has lost the public half.
    expect(await run("key", "show", file))
      .toMatchObject({ code: 0, stdout: other.stdout, stderr: "" });
    chmodSync(file, 0o644);
    expect(await run("key", "show", file))
      .toMatchObject({ code: 125, stdout: "" });
    expect((await run("key", "show", path)).stdout).toBe(stdout);
    writeFileSync(file, "no key");
    chmodSync(file, 0o600);
    expect((await run("key", "show", file)).stderr).toMatch(
      new RegExp(`Private key cannot be read: .* \\(${file}\\)\n`),
    );
  });

  test("makes no folder for a file that is named", async () => {
    const { own, run } = place("nowhere");
    for (const words of [["key", "new"], ["token", "add", "a"]]) {
      const file = join(own, "no", "such", "file");
      const outcome = await run(...words, "--out", file);
      expect(outcome).toMatchObject({ code: 125, stdout: "" });
      expect(outcome.stderr).toContain(
        `Cannot write ${file}: there is no folder ${join(own, "no", "such")}`,
      );
    }
    expect(readdirSync(own)).toEqual([]);
  });
});

describe("many at once", () => {
  test("eight programs add, and nothing is lost", async () => {
    const { own, names } = place("many");
    const wanted = Array.from({ length: 8 }, (_, i) => `n${i}`);
    const outcomes = await Promise.all(
      wanted.map((name) =>
        limpet(["token", "add", name], {
          env: { LIMPET_CONFIG: own },
          timeoutMs: 60_000,
        })
      ),
    );
    for (const { code, stdout, stderr } of outcomes) {
      expect(code, stderr).toBe(0);
      expect(stdout).toMatch(TOKEN);
    }
    expect((await names())?.sort()).toEqual(wanted.sort());
    expect(readdirSync(own)).toEqual(["server.json"]);
  });

  test("twenty at once in one program, and most of them revoked again", async () => {
    const { own, path, names } = place("one");
    writeFileSync(path, '{"limits":{},\n   "identities":\n[]}', {
      mode: 0o600,
    });
    chmodSync(path, 0o600);
    const place_ = { files: machine.files, env: machine.env };
    const entry = (name: string) => ({
      name,
      token: `token-of-${name}-${own}`,
    });
    const add = (name: string) =>
      addIdentities(place_, path, () => Promise.resolve([entry(name)]));
    const wanted = Array.from({ length: 20 }, (_, i) => `n${i}`);
    await Promise.all(wanted.map(add));
    await Promise.all(
      wanted.slice(4).map((name) => removeIdentity(place_, path, name)),
    );
    expect((await names())?.sort()).toEqual(wanted.slice(0, 4));
    expect(readdirSync(own)).toEqual(["server.json"]);
  });
});
