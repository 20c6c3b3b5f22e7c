import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { permissionProblems } from "../core/config/permissions.ts";
import type { FileStatus } from "../core/machine.ts";
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
  type Given = [FileStatus["mode"], FileStatus["owner"]];
  const problems = (file: Given, folder: Given, hasTokens: boolean) => {
    const found = new Map([[path, file], [at, folder]]);
    const status = (path: string) => {
      const [mode, owner] = found.get(path)!;
      return Promise.resolve({ mode, owner, version: "" });
    };
    const realPath = (path: string) => Promise.resolve(path);
    return permissionProblems({ status, realPath }, path, hasTokens);
  };

  test("behind a symbolic link both folders count", async () => {
    const status = (path: string) =>
      Promise.resolve({
        mode: path === "/open" ? 0o777 : path.includes(".json") ? 0o600 : 0o700,
        owner: "self" as const,
        version: "",
      });
    const problems = (path: string, real: string) => {
      const realPath = () => Promise.resolve(real);
      return permissionProblems({ status, realPath }, path, true);
    };
    expect(await problems("/good/a.json", "/fine/a.json")).toEqual([]);
    for (const [path, real] of [["/good", "/open"], ["/open", "/good"]]) {
      const found = await problems(`${path}/a.json`, `${real}/a.json`);
      expect(found).toEqual([expect.stringContaining("go-w /open")]);
    }
  });

  test.each<[Given, Given, boolean]>([
    [[0o600, "self"], [0o700, "self"], true],
    [[0o600, "root"], [0o755, "root"], true],
    [[0o644, "self"], [0o755, "root"], false],
    [[0o600, "self"], [0o1777, "root"], true],
    [[null, null], [null, null], true],
    [[0o600, null], [0o700, null], true],
  ])("%j in %j is fine", async (file, folder, hasTokens) => {
    expect(await problems(file, folder, hasTokens)).toEqual([]);
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
    expect(await problems(file, folder, hasTokens))
      .toEqual([expect.stringMatching(message)]);
  });
});
