import { describe, expect, test } from "vitest";
import { FORMATS } from "../core/config/formats.ts";
import { formatProblems } from "../core/config/problem.ts";
import { readConfig } from "../core/config/read.ts";
import { SERVER_SCHEMA } from "../core/config/schema.ts";
import { isFrom, readSource, type Source } from "../core/config/source.ts";
import { DEFAULT_SERVER_LIMITS } from "../core/server_limits.ts";

const TOKEN = "a-token-of-enough-letters";
const KEY = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/** What is said of a file, or nothing. */
async function told(text: string): Promise<string[]> {
  const { problems } = await readConfig(text);
  return formatProblems("server.json", text, problems);
}

test("a whole configuration is read as it stands", async () => {
  const identities = [
    { name: "ci", token: TOKEN, from: ["10.0.0.0/8", "::1", "unix"] },
    { name: "a.b_c@d-e", publicKey: KEY, expires: "2027-01-31T00:00:00Z" },
  ];
  const text = JSON.stringify({
    $schema: "./server.schema.json",
    identities,
    limits: { maxCommands: 7, handshakeTimeoutMs: "1.5s" },
    tls: { cert: "cert.pem", key: "/etc/key.pem" },
    drain: "0s",
  });
  expect(await readConfig(text)).toEqual({
    problems: [],
    warnings: [],
    config: {
      identities,
      limits: { maxCommands: 7, handshakeTimeoutMs: 1_500 },
      tls: { cert: "cert.pem", key: "/etc/key.pem" },
      drainMs: 0,
    },
  });
  const empty = { identities: null, limits: {} };
  expect((await readConfig(" {}\n")).config).toEqual(empty);
});

test("every mistake at once, each with its line, in their order", async () => {
  const text = `{
  "identities": [
    { "name": "ci", "token": "${TOKEN}" },
    { "name": "ci", "token": "${TOKEN}" },
    { "name": "a b", "publicKey": "ed25519:AAAA",
      "expires": "tomorrow", "form": ["::1"] },
    { "token": "short", "publicKey": "${KEY}", "from": ["10.0.0.1/8", 7] },
    { "name": "c" },
    "ci"
  ],
  "limits": { "maxComands": 3, "maxChannels": 0, "shutdownGraceMs": 5000,
    "handshakeTimeoutMs": "soon", "windowBytes": 1e3, "windowBytes": 1024 },
  "__proto__": {}
}
`;
  expect(await told(text)).toEqual([
    "server.json:4:15: identities[1].name: identities[0] has the same name",
    "server.json:4:30: identities[1].token: identities[0] has the same token",
    'server.json:5:15: identities[2].name: "a b" is no name of 1 to 64 letters, ' +
    "digits and . _ @ -, such as ci",
    'server.json:5:35: identities[2].publicKey: "ed25519:AAAA" is no public ' +
    "key, which is ed25519: and 43 characters of base64url",
    'server.json:6:18: identities[2].expires: "tomorrow" is no RFC 3339 time, ' +
    "such as 2027-01-31T00:00:00Z",
    "server.json:6:30: identities[2].form: there is no such key. Did you mean " +
    "from?",
    'server.json:7:5: identities[3]: "name" is missing',
    'server.json:7:5: identities[3]: "token" and "publicKey" exclude each other',
    "server.json:7:16: identities[3].token: this is no token of 16 to 4096 " +
    "characters without spaces around them",
    'server.json:7:102: identities[3].from[0]: "10.0.0.1/8" is no network: ' +
    "its address has more bits than /N says; write 10.0.0.0/8 for all of it",
    "server.json:7:116: identities[3].from[1]: 7 is no address, range, unix or " +
    "stdio, such as 10.0.0.0/8",
    'server.json:8:5: identities[4]: "token" or "publicKey" is missing',
    'server.json:9:5: identities[5]: "ci" is no object with a name and a token ' +
    "or a publicKey",
    "server.json:11:15: limits.maxComands: there is no such key. Did you mean " +
    "maxCommands?",
    "server.json:11:47: limits.maxChannels: 0 is no whole number above 0, " +
    "such as 1000",
    "server.json:11:69: limits.shutdownGraceMs: 5000 is no time above 0 and of " +
    "24 days at most, such as 30s",
    'server.json:12:27: limits.handshakeTimeoutMs: "soon" is no time above 0 ' +
    "and of 24 days at most, such as 30s",
    "server.json:12:50: limits.windowBytes: 1000 is no whole number from 1024 " +
    "to 2147483647, such as 65536",
    "server.json:12:55: limits.windowBytes: this key is there twice",
    "server.json:13:3: __proto__: there is no such key; there are $schema, " +
    "identities, limits, audit, tls, drain",
  ]);
});

test("a policy and an audit log are read, with all that is wrong in them", async () => {
  const policy = {
    commands: [["git", "pull", "**"], ["ls"]],
    cwd: ["/srv"],
    env: ["LANG", "LC_*"],
    stdin: false,
    detach: true,
    maxCommands: 2,
    runAs: "deploy",
  };
  const file = (policy: object, audit: object = { file: "stderr" }) =>
    JSON.stringify({
      identities: [{ name: "ci", token: TOKEN, policy }],
      audit,
    });
  const written = { ...policy, maxRuntime: "10m", maxOutput: 1_000 };
  const { config } = await readConfig(file(written));
  expect(config?.identities?.[0].policy).toEqual({
    ...policy,
    maxRuntimeMs: 600_000,
    maxOutputBytes: 1_000,
  });
  expect(config?.audit).toEqual({ file: "stderr" });
  const wrong = await told(file({
    commands: [["**", "a"], [], "ls"],
    shell: 1,
    forced: ["backup"],
    cwd: ["app"],
    env: ["PATH", "A=1"],
    maxRuntime: 5,
    runAs: "a:b",
    maxComands: 1,
  }, { onFailure: "perhaps" }));
  const messages = wrong.map((each) =>
    each.replace(/^.*?\.policy\.|^.*?: /, "")
  );
  expect(messages).toEqual([
    "commands[0]: this pattern has ** before its last word",
    "commands[1]: an empty list is no list of words, such as " +
    '["git","pull","**"]',
    'commands[2]: "ls" is no list of words, such as ["git","pull","**"]',
    "shell: 1 is no truth value, true or false",
    'forced: what is forced leaves nothing to "commands": leave out one',
    'forced: what is forced leaves nothing to "shell": leave out one',
    'cwd[0]: "app" is no absolute path, such as /srv/app',
    'env[0]: "PATH" is no name of a variable that may be set, or the ' +
    "beginning of one with a *, such as LC_*",
    'env[1]: "A=1" is no name of a variable that may be set, or the ' +
    "beginning of one with a *, such as LC_*",
    "maxRuntime: 5 is no time above 0 and of 24 days at most, such as 30s",
    'runAs: "a:b" is no user, such as deploy',
    "maxComands: there is no such key. Did you mean maxCommands?",
    'audit: "file" is missing',
    'audit.onFailure: "perhaps" is no way to go on; write stop, continue',
  ]);
});

test("nothing of a token is in a message, nor what a terminal obeys", async () => {
  const secret = " my-secret-with-a-space ";
  const text = JSON.stringify({
    identities: [{ name: "\x1b[2J\u202e", token: secret, "\x1b[1m": 1 }],
  });
  const lines = await told(text);
  expect(lines).toHaveLength(3);
  for (const line of lines) {
    expect(line).not.toContain("my-secret");
    // deno-lint-ignore no-control-regex -- they are what it is about
    expect(line).not.toMatch(/[\x00-\x1f\u202e]/);
  }
});

describe("JSON and nothing else:", () => {
  test.each([
    ["", "1:1: this is empty; write {}"],
    ["{", "1:2: a closing } is missing here"],
    ['{\n  "limits": {},\n}', "3:1: a key in double quotes is missing here"],
    ["{ 'limits': {} }", "1:3: this is no JSON; texts stand in double quotes"],
    ["// mine\n{}", "1:1: JSON has no comments"],
    ['{ "limits" {} }', "1:12: a colon is missing here"],
    ['{ "a": "x\n" }', "1:8: this text has no closing quote in its line"],
    ['{ "limits": {} } {}', "1:18: the file should end here"],
    ["\ufeff{}", "1:1: this begins with a byte order mark; save it without"],
    ["[]", "1:1: an empty list is no configuration of a Limpet server"],
    ["[".repeat(500_000), "1:1: this is nested too deeply"],
  ])("%#", async (text, message) => {
    expect(await told(text)).toEqual([`server.json:${message}`]);
  });

  test("columns count characters, lines end as the system ends them", async () => {
    expect(await told('{\r\n "limits": {"😀": 1}}')).toEqual([
      expect.stringMatching(/^server\.json:2:13: limits\["😀"\]: there is no/),
    ]);
  });

  test("a file that is too long is not read through", async () => {
    expect(await told(" ".repeat(1_048_577))).toEqual([
      "server.json: this is longer than 1048576 characters",
    ]);
  });
});

test("times that are none", () => {
  const date = FORMATS["date-time"];
  for (
    const good of [
      "2027-01-31T00:00:00Z",
      "2028-02-29T23:59:59.123+08:00",
      "2027-01-31t00:00:00z",
    ]
  ) {
    expect(date(good), good).toBe(true);
  }
  for (
    const bad of [
      "",
      "2027-01-31",
      "2027-01-31T00:00:00",
      "2027-02-29T00:00:00Z",
      "2027-13-01T00:00:00Z",
      "2027-04-31T00:00:00Z",
      "2027-01-00T00:00:00Z",
      "2027-01-31T24:00:01Z",
      "2027-01-31 00:00:00Z",
      "2027-1-31T00:00:00Z",
    ]
  ) {
    expect(date(bad), bad).toBe(false);
  }
});

describe("where somebody comes from", () => {
  const from = (peer: string, ...sources: string[]) =>
    isFrom(peer, sources.map((text) => readSource(text) as Source));

  test.each([
    ["10.1.2.3:40312", "10.0.0.0/8", true],
    ["11.1.2.3:40312", "10.0.0.0/8", false],
    ["10.1.2.3:40312", "10.1.2.3", true],
    ["10.1.2.4:40312", "10.1.2.3", false],
    ["10.1.2.3:40312", "10.1.2.2/31", true],
    ["10.1.2.4:40312", "10.1.2.2/31", false],
    ["10.1.2.3:40312", "0.0.0.0/0", true],
    ["[::ffff:10.1.2.3]:40312", "10.0.0.0/8", true],
    ["[::ffff:a01:203]:40312", "10.0.0.0/8", true],
    ["10.1.2.3:40312", "::ffff:10.0.0.0/104", true],
    ["[::1]:40312", "0.0.0.0/0", false],
    ["10.1.2.3:40312", "::/0", false],
    ["[::1]:40312", "::/0", true],
    ["[2001:db8:1::5]:1", "2001:db8::/32", true],
    ["[2001:db9::5]:1", "2001:db8::/32", false],
    ["[fe80::1%eth0]:1", "fe80::/10", true],
    ["[2001:DB8::A]:1", "2001:db8::a", true],
    ["unix", "0.0.0.0/0", false],
    ["unix", "unix", true],
    ["stdio", "unix", false],
    ["stdio", "stdio", true],
    ["peer", "::/0", false],
    ["127.0.0.1:1", "unix", false],
  ])("%s by %s: %j", (peer, source, expected) => {
    expect(from(peer, source)).toBe(expected);
    expect(from(peer, "203.0.113.9", source)).toBe(expected);
  });

  test.each([
    "",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/08",
    "10.0.0/8",
    "10.0.0.1/8",
    "010.0.0.0",
    "256.0.0.1",
    "1.2.3.4.5",
    "::1/129",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "2001:db8::1/32",
    "::ffff:1.2.3",
    "g::1",
    "12345::",
    "box",
    "*",
    "10.0.0.0/8 ",
    "fe80::1%eth0",
  ])("%j is none", (text) => {
    expect(readSource(text)).toBeNull();
  });
});

describe("the schema", () => {
  /** Every schema in it, with where it is. */
  function* schemasIn(
    schema: Record<string, unknown>,
    at = "",
  ): Generator<[string, Record<string, unknown>]> {
    yield [at, schema];
    const maps = ["properties", "$defs"];
    const alone = ["items", "additionalProperties"];
    for (const [key, value] of Object.entries(schema)) {
      if (maps.includes(key)) {
        for (const [name, inner] of Object.entries(value as object)) {
          yield* schemasIn(inner, `${at}/${key}/${name}`);
        }
      } else if (alone.includes(key) && typeof value === "object") {
        yield* schemasIn(value as never, `${at}/${key}`);
      }
    }
  }
  const all = [...schemasIn({ ...SERVER_SCHEMA })];

  test("says nothing that is not checked", () => {
    const known = "$schema $id $ref $defs title description default examples " +
      "writeOnly type enum properties required additionalProperties oneOf " +
      "items minItems minLength maxLength pattern format minimum maximum";
    expect(all.length).toBeGreaterThan(15);
    for (const [at, schema] of all) {
      for (const key of Object.keys(schema)) {
        expect(known.split(" "), at).toContain(key);
      }
      const { $ref, format, type } = schema as Record<string, string>;
      if ($ref === undefined) expect(type, at).toBeDefined();
      else expect(all.map(([at]) => `#${at}`)).toContain($ref);
      if (format !== undefined) expect(FORMATS, at).toHaveProperty(format);
      // What an editor shows, and what a message says.
      if ($ref === undefined) expect(schema.title, at).toBeDefined();
      // What may stand in a file is what is listed.
      if (type === "object") expect(schema.additionalProperties).toBeDefined();
    }
  });

  test("has examples and defaults that it takes itself", async () => {
    const limits = SERVER_SCHEMA.properties?.limits.properties ?? {};
    const defaults = Object.entries(limits).flatMap(([name, limit]) => {
      const value = (limit as { default?: unknown }).default;
      return value === undefined ? [] : [[name, value]];
    });
    const text = JSON.stringify({ limits: Object.fromEntries(defaults) });
    const { config, problems } = await readConfig(text);
    expect(problems).toEqual([]);
    expect({ ...DEFAULT_SERVER_LIMITS, ...config?.limits }).toEqual(
      DEFAULT_SERVER_LIMITS,
    );
    for (const [at, { format, examples = [] }] of all) {
      for (const example of examples as string[]) {
        if (format) expect(FORMATS[format as string](example), at).toBe(true);
      }
    }
  });
});
