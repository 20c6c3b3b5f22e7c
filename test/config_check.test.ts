import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { main } from "../core/cli/main.ts";
import { permissionProblems } from "../core/config/permissions.ts";
import type { FileAccess } from "../core/machine.ts";
import { certificate } from "./support/certificates.ts";
import { cliRuntime, inProcess } from "./support/cli_in_process.ts";
import { limpet, temporaryFolder } from "./support/cli.ts";

const folder = temporaryFolder();
const TOKEN = "a-token-of-enough-letters";

/** A file of that text, alone in its folder. */
function file(name: string, text: string, mode = 0o600): string {
  const own = join(folder, name);
  mkdirSync(own, { mode: 0o700 });
  const path = join(own, "server.json");
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe("limpet config check", () => {
  test("warns who is not root that a user of commands needs it", async () => {
    const policy = { shell: true, runAs: "daemon" };
    const text = JSON.stringify({
      identities: [{ name: "a", token: TOKEN, policy }],
    });
    const path = file("as-daemon", text);
    const env = { PATH: process.env.PATH ?? "/usr/bin:/bin" };
    const { runtime, written } = cliRuntime(["config", "check", path], env);
    expect(await main({ ...runtime, isRoot: () => false })).toBe(0);
    expect(written.stderr).toMatch(
      /warning: identities\[0\]\.policy\.runAs: only a server that was started as root can run commands as daemon/,
    );
    expect(written.stdout).toContain(`${path} is fine`);
  });

  test("counts a folder once, by whatever name", async () => {
    const path = file("open", "{}");
    chmodSync(join(folder, "open"), 0o777);
    const given = await limpet(["config", "check", "open/server.json"], {
      cwd: folder,
    });
    expect(given.code).toBe(125);
    expect(given.stderr).toContain("its folder can be changed by others");
    expect(given.stderr).toContain("open/server.json has 1 mistake\n");
    expect(path).toContain(folder);
  });

  test("says who may do what, and no token", async () => {
    const path = file(
      "fine",
      JSON.stringify({
        identities: [
          { name: "ci", token: TOKEN, from: ["10.0.0.0/8", "unix"] },
          {
            name: "ann",
            publicKey: "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            expires: "2001-01-31T00:00:00Z",
          },
        ],
      }),
    );
    const given = await limpet(["config", "check", path]);
    expect(given).toMatchObject({ code: 0, stderr: "" });
    expect(given.stdout).toBe(
      `${path} is fine\n` +
        "ci   token  from 10.0.0.0/8, unix  runs anything as the server's " +
        "user\n" +
        "ann  key    from everywhere  EXPIRED 2001-01-31T00:00:00Z  runs " +
        "anything as the server's user\n",
    );
    const env = { LIMPET_CONFIG: join(folder, "fine") };
    const found = await limpet(["config", "check"], { env });
    expect(found).toMatchObject({ code: 0, stdout: given.stdout });
  });

  test("tells all mistakes, and what to run", async () => {
    const text = `{\n  "identities": [{ "name": "a" }],\n  "limit": {}\n}\n`;
    const path = file("wrong", text, 0o666);
    const { code, stdout, stderr } = await limpet(["config", "check", path]);
    expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
    expect(stderr).toBe(
      `${path}: the file can be changed by others than its owner (mode ` +
        `0666): run "chmod go-w ${path}"\n` +
        `${path}:2:18: identities[0]: "token" or "publicKey" is missing\n` +
        `${path}:3:3: limit: there is no such key. Did you mean limits?\n` +
        `limpet: ${path} has 3 mistakes\n`,
    );
  });

  test("tells what a file names and is not there together with its own mistakes", async () => {
    const text = `{
  "audit": { "file": "nowhere/audit.log" },
  "identities": [
    { "name": "a", "token": "${TOKEN}", "policy": { "runAs": "no-such-user" } },
    { "name": "b", "policy": { "runAs": 5, "cwd": [5, "/no/such"] } }
  ],
  "limit": {},
  "tls": {
    "cert": "none.pem",
    "key": "none.key",
    "clientCa": "none.ca"
  }
}
`;
    const path = file("all", text);
    const { code, stdout, stderr } = await limpet(["config", "check", path]);
    expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
    const none = (name: string) =>
      `File ${join(folder, "all", name)} does not exist`;
    expect(stderr).toBe(
      [
        `2:22: audit.file: there is no folder ${
          join(folder, "all", "nowhere")
        }`,
        "4:79: identities[0].policy.runAs: Cannot run commands as " +
        "no-such-user: there is no such user",
        '5:5: identities[1]: "token" or "publicKey" is missing',
        "5:41: identities[1].policy.runAs: 5 is no user, such as deploy",
        "5:52: identities[1].policy.cwd[0]: 5 is no absolute path, such as " +
        "/srv/app",
        "7:3: limit: there is no such key. Did you mean limits?",
        `9:13: tls.cert: ${none("none.pem")}`,
        `10:12: tls.key: ${none("none.key")}`,
        `11:17: tls.clientCa: ${none("none.ca")}`,
        "5:55: warning: identities[1].policy.cwd[1]: there is no such directory",
      ].map((line) => `${path}:${line}\n`).join("") +
        `limpet: ${path} has 9 mistakes\n`,
    );
  });

  test("a file that is not there", async () => {
    const path = join(folder, "none.json");
    const { code, stderr } = await limpet(["config", "check", path]);
    expect(code).toBe(125);
    expect(stderr).toContain(`Cannot check ${path}: there is no such file`);
  });

  test("the schema, as it is in the package", async () => {
    const { code, stdout } = await limpet(["config", "schema"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      properties: { identities: { type: "array" } },
    });
  });
});

describe("who else may read or change it", () => {
  const at = "/etc/limpet";
  const path = `${at}/server.json`;
  type Given = [FileAccess["mode"], FileAccess["owner"]];
  const access = ([mode, owner]: Given): FileAccess => ({ mode, owner });
  const ROOTS: Given = [0o755, "root"];

  /** What is said of a file, with folders that are not root's. */
  function problems(
    file: Given,
    folders: Record<string, Given>,
    more: { real?: string; home?: string; hasTokens?: boolean } = {},
  ): Promise<string[]> {
    const { real = path, home, hasTokens = false } = more;
    const files = {
      status: (path: string) =>
        Promise.resolve({
          ...access(folders[path] ?? ROOTS),
          version: "",
          isFolder: path in folders,
        }),
      realPath: (given: string) =>
        Promise.resolve(given === path ? real : given),
    };
    return permissionProblems({ files, home }, path, access(file), hasTokens);
  }

  test("behind a symbolic link all folders of both ways count", async () => {
    const mine: Given = [0o600, "self"];
    for (const each of [at, "/etc", "/var/limpet", "/var", "/"]) {
      const open: Record<string, Given> = { [each]: [0o777, "self"] };
      expect(await problems(mine, open, { real: "/var/limpet/a.json" }))
        .toEqual([expect.stringMatching(`go-w ${each}"$`)]);
    }
  });

  test("folders above count up to the home directory", async () => {
    const mine: Given = [0o600, "self"];
    const open: Record<string, Given> = { "/etc": [0o775, "root"] };
    expect(await problems(mine, open)).toEqual([
      'a folder above it can be changed by others than its owner (mode 0775): run "chmod go-w /etc"',
    ]);
    expect(await problems(mine, { "/etc": [0o755, "other"] })).toEqual([
      expect.stringMatching(/^a folder above it belongs to another user/),
    ]);
    expect(await problems(mine, { "/etc": [0o1777, "root"] })).toEqual([]);
    expect(await problems(mine, open, { home: at })).toEqual([]);
    expect(await problems(mine, open, { home: "/etc" })).toHaveLength(1);
  });

  test.each<[Given, Given, boolean]>([
    [[0o600, "self"], [0o700, "self"], true],
    [[0o600, "root"], [0o755, "root"], true],
    [[0o644, "self"], [0o755, "root"], false],
    [[0o600, "self"], [0o1777, "root"], true],
    [[null, null], [null, null], true],
    [[0o600, null], [0o700, null], true],
  ])("%j in %j is fine", async (file, folder, hasTokens) => {
    expect(await problems(file, { [at]: folder }, { hasTokens })).toEqual([]);
  });

  test.each<[Given, Given, boolean, RegExp]>([
    [[0o640, "self"], [0o700, "self"], true, /^the file holds.*chmod 600 \/e/],
    [[0o604, "root"], [0o700, "root"], true, /mode 0604/],
    [[0o660, "self"], [0o700, "self"], false, /^the file can.*go-w \/etc.*n"/],
    [[0o602, "self"], [0o700, "self"], false, /^the file can be changed/],
    [[0o600, "other"], [0o700, "self"], true, /^the file belongs.*chown/],
    [[0o600, "self"], [0o770, "self"], true, /^its folder can.*\/etc\/limpet"/],
    [[0o600, "self"], [0o777, "self"], false, /^its folder can be changed/],
    [[0o600, "self"], [0o755, "other"], false, /^its folder belongs to/],
  ])("%j in %j is not", async (file, folder, hasTokens, message) => {
    expect(await problems(file, { [at]: folder }, { hasTokens }))
      .toEqual([expect.stringMatching(message)]);
  });
});

describe("what it names outside of itself", () => {
  const check = (path: string) =>
    inProcess(["config", "check", path], { PATH });
  const PATH = "/usr/sbin:/usr/bin:/bin";
  const DAY_MS = 86_400_000;

  test("users, directories and variables, each at its line", async () => {
    const policy = (policy: object) => ({
      name: `p${JSON.stringify(policy).length}`,
      token: `${TOKEN}${JSON.stringify(policy).length}`,
      policy,
    });
    const text = (...policies: object[]) =>
      JSON.stringify({ identities: policies.map(policy) }, null, 1);
    const wrong = file("runas", text({ shell: true, runAs: "no-such-user" }));
    expect(await check(wrong)).toMatchObject({
      code: 125,
      stdout: "",
      stderr:
        `${wrong}:8:14: identities[0].policy.runAs: Cannot run commands ` +
        `as no-such-user: there is no such user\nlimpet: ${wrong} has 1 mistake\n`,
    });
    const odd = file(
      "odd",
      text(
        { cwd: [join(folder, "none"), folder, join(folder, "no")] },
        { env: ["LD_*", "LANG", "GIT_*", "L*", "LD_PRELOAD"] },
        { env: ["LD_PRELOAD", "LANG"], runAs: "root" },
      ),
    );
    const { code, stdout, stderr } = await check(odd);
    expect(stdout).toContain(`${odd} is fine\n`);
    expect(code).toBe(0);
    const at = (line: string) =>
      line.replace(`${odd}:`, "").replace(/^\d+:\d+: /, "");
    const lines = stderr.trimEnd().split("\n").map(at);
    expect(lines).toEqual([
      "warning: identities[0].policy.cwd[0]: there is no such directory, and " +
      "no command starts unless its client asks for another one",
      "warning: identities[0].policy.cwd[2]: there is no such directory",
      expect.stringMatching(
        /^warning: identities\[1\].policy.env\[0\]: this allows nothing: what/,
      ),
      expect.stringMatching(
        /^warning: identities\[1\].policy.env\[2\]: this a/,
      ),
      expect.stringMatching(
        /^warning: identities\[2\].policy.env\[0\]: .*together with runAs/,
      ),
    ]);
  });

  test("an audit log whose folder is not there", async () => {
    const path = file("audit", '{ "audit": { "file": "nodir/audit.log" } }');
    const nodir = join(path, "..", "nodir");
    expect(await check(path)).toMatchObject({
      code: 125,
      stdout: "",
      stderr: `${path}:1:22: audit.file: there is no folder ${nodir}\n` +
        `limpet: ${path} has 1 mistake\n`,
    });
    mkdirSync(nodir);
    expect(await check(path)).toMatchObject({ code: 0, stderr: "" });
    mkdirSync(join(nodir, "audit.log"));
    expect(await check(path)).toMatchObject({
      code: 125,
      stdout: "",
      stderr: `${path}:1:22: audit.file: ${nodir}/audit.log is a folder: ` +
        `name a file in it\nlimpet: ${path} has 1 mistake\n`,
    });
    rmSync(nodir, { recursive: true });
    writeFileSync(nodir, "");
    expect(await check(path)).toMatchObject({
      code: 125,
      stdout: "",
      stderr: `${path}:1:22: audit.file: ${nodir} is no folder: ` +
        `name a file in one\nlimpet: ${path} has 1 mistake\n`,
    });
  });

  test("certificates: there, readable, with their key, and for how long", async () => {
    const pem = await certificate();
    const other = await certificate();
    const soon = new Date(Date.now() + 5.5 * DAY_MS);
    const ends = await certificate({ notAfter: soon });
    const long = await certificate({
      notAfter: new Date(Date.now() + 400 * DAY_MS),
    });
    const over = await certificate({ notAfter: new Date(Date.now() - 1) });
    const early = await certificate({
      notBefore: new Date(Date.now() + DAY_MS),
      notAfter: new Date(Date.now() + 400 * DAY_MS),
    });
    const tls = async (
      name: string,
      tls: object,
      ...made: [string, string, number?][]
    ) => {
      const path = file(name, JSON.stringify({ tls }));
      for (const [name, text, mode = 0o600] of made) {
        writeFileSync(join(path, "..", name), text, { mode });
      }
      const { code, stderr } = await check(path);
      return { code, said: stderr.replaceAll(join(path, ".."), "") };
    };
    const both = { cert: "c.pem", key: "k.pem" };
    expect(
      await tls("t1", both, ["c.pem", long.certificate], ["k.pem", long.key]),
    )
      .toEqual({ code: 0, said: "" });
    expect(await tls("t2", both, ["c.pem", pem.certificate])).toEqual({
      code: 125,
      said: "/server.json:1:30: tls.key: File /k.pem does not exist\n" +
        "limpet: /server.json has 1 mistake\n",
    });
    expect(
      (await tls("t3", both, ["c.pem", pem.certificate], ["k.pem", other.key]))
        .said,
    ).toMatch(
      /tls.cert: Cannot be used for TLS: the private key is that of another/,
    );
    expect(
      (await tls("t4", both, ["c.pem", pem.certificate], [
        "k.pem",
        pem.key,
        0o644,
      ])).said,
    ).toContain(
      "tls.key: File /k.pem has a private key and can be read by others",
    );
    expect(
      await tls("t4b", both, ["c.pem", early.certificate], [
        "k.pem",
        early.key,
      ]),
    ).toMatchObject({
      code: 0,
      said: expect.stringContaining(
        "the certificate is not valid yet, but from",
      ),
    });
    expect(
      await tls("t5", both, ["c.pem", ends.certificate], ["k.pem", ends.key]),
    ).toMatchObject({
      code: 0,
      said: expect.stringMatching(
        /:1:16: warning: tls.cert: the certificate expires in 5 days, at 20/,
      ),
    });
    expect(
      (await tls("t6", both, ["c.pem", over.certificate], ["k.pem", over.key]))
        .said,
    ).toContain("warning: tls.cert: the certificate has expired, at 20");
    expect((await tls("t7", { cert: "c.pem" })).said)
      .toContain('tls: "key" is missing, which goes with "cert"');
    const garbled = pem.certificate.replace(/\n..../, "\nAAAA");
    expect(
      (await tls("t8", both, ["c.pem", garbled], ["k.pem", pem.key])).said,
    ).toContain(
      "tls.cert: Cannot be used for TLS: the certificate cannot be read",
    );
    expect((await tls("t9", { clientCa: "c.pem" }, ["c.pem", "no"])).said)
      .toContain("tls.clientCa: There is no certificate in PEM");
  });
});
