import { describe, expect, test } from "vitest";
import type { LimpetError } from "../core/errors.ts";
import type { ExecRequest } from "../core/exec/request.ts";
import { decide, type PolicyFacts } from "../core/policy/decide.ts";
import {
  allowsVariable,
  entryProblem,
  matchesNothing,
} from "../core/policy/environment.ts";
import { matches, patternProblem } from "../core/policy/pattern.ts";
import type { Policy } from "../core/policy/policy.ts";

const REQUEST: ExecRequest = {
  argv: ["true"],
  env: {},
  stdin: false,
  stdout: true,
  stderr: true,
  merge: false,
  killAfterMs: 5_000,
  drainMs: 1_000,
};
const FACTS: PolicyFacts = { running: 0, cwd: null, roots: [] };
const ALL: Policy = { commands: [["**"]] };

/** The refusal's message, or what is run. */
function outcome(
  policy: Policy,
  request: Partial<ExecRequest> = {},
  facts: Partial<PolicyFacts> = {},
) {
  try {
    const whole = { ...REQUEST, ...request };
    return decide(policy, "ci", whole, { ...FACTS, ...facts });
  } catch (error) {
    expect((error as LimpetError).code).toBe("refused");
    return (error as LimpetError).message;
  }
}

// deno-lint-ignore no-control-regex -- what a terminal obeys
const OBEYED = /[\x00-\x1f\u202e]/;

const line = (text: string) => ({ argv: undefined, line: text });

test("what makes a program load code is never set for another user", () => {
  // Who changes the user is root until it has.
  const env = ["LD_PRELOAD", "LANG", "BASH_FUNC_ls%%"];
  const policy = { ...ALL, env };
  for (const name of env) {
    const request = { env: { [name]: "x" } };
    expect(outcome(policy, request)).toMatchObject({ request });
    expect(outcome({ ...policy, runAs: "nobody" }, request)).toEqual(
      name === "LANG"
        ? expect.objectContaining({ request: expect.objectContaining(request) })
        : `Policy of "ci" does not allow the variable "${name}" together with ` +
          "runAs",
    );
  }
});

test("detach lets commands outlive their client", () => {
  for (const onDisconnect of ["kill", "keep", "detach"] as const) {
    expect(outcome({ ...ALL, detach: true }, { onDisconnect }))
      .toMatchObject({ request: { onDisconnect } });
  }
  expect(outcome(ALL, { onDisconnect: "kill" })).toMatchObject({});
});

test.each(["VIMINIT", "PSQLRC", "SUDO_ASKPASS", "GTK_MODULES", "https_proxy"])(
  "no * covers %s",
  (name) => {
    expect(allowsVariable(["*"], name)).toBe(false);
    expect(allowsVariable([name], name)).toBe(true);
  },
);

describe("a pattern of an argument list", () => {
  test.each<[string[], string[][], string[][]]>([
    [["ls"], [["ls"]], [["/bin/ls"], ["ls", "-l"], ["LS"], ["ls "], []]],
    [["ls", "**"], [["ls"], ["ls", "-l", "/"]], [["lsof"], ["cat"]]],
    [["ls", "*"], [["ls", "/a/b\nc"], ["ls", ""]], [["ls"], ["ls", "a", "b"]]],
    [["**"], [["a"], ["/b", "c"]], []],
    [
      ["/opt/*", "**"],
      [["/opt/x"], ["/opt/", "y"]],
      [["/opt/x/y"], ["/opt/../bin/sh"], ["x"]],
    ],
    [["*"], [["ls"], ["*"]], [["/bin/ls"], ["./ls"]]],
    [["a?c", "a?c"], [["abc", "a/c"]], [["a/c", "abc"], ["ac", "abc"]]],
    [["echo", "\\*"], [["echo", "*"]], [["echo", "x"], ["echo", "\\*"]]],
    [["x", "\\**"], [["x", "*ab"], ["x", "*"]], [["x", "ab"]]],
    [["x", "**y"], [["x", "aay"], ["x", "y"]], [["x", "ya"]]],
    [["x", "*a*b"], [["x", "aab"], ["x", "cacacb"]], [["x", "ba"], ["x", "a"]]],
    [["*a*/*b"], [["xa/b"], ["aa/xb"]], [["xa/c/b"], ["x/a/b"], ["xa/bc"]]],
  ])("%j", (pattern, good, bad) => {
    expect(patternProblem(pattern)).toBeNull();
    for (const argv of good) {
      expect(matches(pattern, argv), `${argv}`).toBe(true);
    }
    for (const argv of bad) {
      expect(matches(pattern, argv), `${argv}`).toBe(false);
    }
  });

  test.each([
    [[], "is empty"],
    [[""], "names no program"],
    [["a", "**", "b"], "before its last word"],
    [["a", "b\\"], "\\ at the end"],
    [["a", "b\\\\\\"], "\\ at the end"],
  ])("%j is none, and allows nothing", (pattern, why) => {
    expect(patternProblem(pattern)).toContain(why);
    expect(matches(pattern, ["a", "b"])).toBe(false);
    expect(matches(pattern, ["a", "**", "b"])).toBe(false);
  });

  test("of many stars takes no time to speak of", () => {
    const pattern = ["x", "*a*a*a*a*a*a*a*a*a*a*b"];
    expect(matches(pattern, ["x", "a".repeat(200_000)])).toBe(false);
  });
});

describe("a policy's variables", () => {
  test.each([
    [["LANG"], ["LANG"], ["LANGUAGE", "lang", "PATH"]],
    [["LC_*"], ["LC_ALL", "LC_"], ["LANG", "LC_ALL=x", "LC_%"]],
    [["*"], ["LANG", "MY_OWN", "_"], []],
    // Named letter by letter, they are the operator's choice.
    [["LD_PRELOAD", "HOME"], ["LD_PRELOAD", "HOME"], ["LD_LIBRARY_PATH"]],
    [["LD_*", "NODE_*"], [], ["LD_PRELOAD", "NODE_OPTIONS"]],
    [["PATH", "LIMPET_X", "LIMPET_*"], [], ["PATH", "Path", "LIMPET_X"]],
  ])("%j", (entries, good, bad) => {
    for (const name of good) expect(allowsVariable(entries, name)).toBe(true);
    for (const name of bad) expect(allowsVariable(entries, name)).toBe(false);
  });

  test.each([
    "LD_PRELOAD",
    "LD_AUDIT",
    "DYLD_INSERT_LIBRARIES",
    "NODE_OPTIONS",
    "NODE_PATH",
    "DENO_DIR",
    "BUN_OPTIONS",
    "BASH_ENV",
    "BASH_FUNC_ls%%",
    "ENV",
    "IFS",
    "PATH",
    "SHELLOPTS",
    "PROMPT_COMMAND",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PERL5LIB",
    "RUBYOPT",
    "GIT_SSH_COMMAND",
    "GCONV_PATH",
    "LOCPATH",
    "GLIBC_TUNABLES",
    "JAVA_TOOL_OPTIONS",
    "EDITOR",
    "HOME",
    "TMPDIR",
    "LIMPET_ORIGINAL_COMMAND",
    "node_options",
  ])("* does not cover %s", (name) => {
    const wildcards = ["*", `${name.slice(0, 2)}*`, `${name.slice(0, -1)}*`];
    expect(allowsVariable(wildcards, name)).toBe(false);
  });

  test.each(["LANG", "LC_*", "*", "LD_PRELOAD", "_x9"])("%s", (entry) => {
    expect(entryProblem(entry)).toBeNull();
  });

  test.each(["", "A B", "A=1", "*A", "A*B", "PATH", "LIMPET_X", "LIMPET_*"])(
    "%j is no entry",
    (entry) => expect(entryProblem(entry)).not.toBeNull(),
  );
});

describe("under a policy", () => {
  test("what is not allowed is refused, by the rule's name", () => {
    const cases: [Policy, Partial<ExecRequest>, string][] = [
      [{}, {}, 'does not allow the command ["true"] (commands)'],
      [{}, line("true"), "does not allow the shell (shell)"],
      [{ shell: true }, {}, 'does not allow the command ["true"] (commands)'],
      [ALL, line("true"), "does not allow the shell (shell)"],
      [
        { commands: [["ls", "**"]] },
        { argv: ["sh", "-c", "ls"] },
        "the command",
      ],
      [
        { ...ALL, stdin: false },
        { stdin: true },
        "does not allow input (stdin)",
      ],
      [
        ALL,
        { onDisconnect: "detach" },
        "does not allow commands that outlive their client (detach)",
      ],
      [
        { ...ALL, detach: false },
        { onDisconnect: "keep" },
        "does not allow commands that outlive their client (detach)",
      ],
      [ALL, { env: { LANG: "C" } }, 'does not allow the variable "LANG" (env)'],
      [
        ALL,
        { cwd: "/" },
        "does not allow a working directory to be chosen (cwd)",
      ],
      [
        { ...ALL, cwd: ["/srv"] },
        { cwd: "/" },
        'does not allow the working directory "/" (cwd)',
      ],
    ];
    for (const [policy, request, rule] of cases) {
      const message = outcome(policy, request, { cwd: "/", roots: ["/srv"] });
      expect(message).toMatch(/^Policy of "ci" does not allow /);
      expect(message).toContain(rule);
    }
    expect(outcome(ALL)).toMatchObject({ request: { argv: ["true"] } });
    expect(outcome({ shell: true }, line("x"))).toMatchObject({
      request: { line: "x" },
    });
  });

  test("so many run at once and no more", () => {
    const policy = { ...ALL, maxCommands: 2 };
    expect(outcome(policy, {}, { running: 1 })).toMatchObject({});
    expect(outcome(policy, {}, { running: 2 })).toBe(
      'Policy of "ci" allows 2 commands at once, and as many run already (maxCommands)',
    );
  });

  test("a directory is one of those that are allowed, or below", () => {
    const policy = { ...ALL, cwd: ["/srv/app", "/tmp"] };
    const roots = ["/data/app", "/tmp"];
    const at = (cwd: string) => outcome(policy, { cwd: "x" }, { cwd, roots });
    for (const good of ["/data/app", "/data/app/x", "/tmp"]) {
      expect(at(good)).toMatchObject({ request: { cwd: good } });
    }
    for (const bad of ["/data/apple", "/data", "/", "/srv/app", "/tmpx"]) {
      expect(at(bad)).toContain("does not allow the working directory");
    }
    expect(outcome(policy, { cwd: "x" }, { roots })).toContain("directory");
    expect(outcome(policy, {}, { roots })).toMatchObject({
      request: { cwd: "/data/app" },
    });
    // The first one is the default, and no other is in its place.
    expect(outcome(policy, {}, { roots: [null, "/tmp"] })).toMatchObject({
      request: { cwd: "/srv/app" },
    });
    expect(
      outcome(policy, { cwd: "x" }, { cwd: "/tmp", roots: [null, "/tmp"] }),
    ).toMatchObject({ request: { cwd: "/tmp" } });
    const root = outcome({ ...ALL, cwd: ["/"] }, { cwd: "x" }, {
      cwd: "/etc",
      roots: ["/"],
    });
    expect(root).toMatchObject({ request: { cwd: "/etc" } });
  });

  test("a forced command runs in place of any, which it can read", () => {
    const run = (forced: string | string[], asked: Partial<ExecRequest>) => {
      const decided = outcome({ forced }, asked);
      if (typeof decided === "string") throw new Error(decided);
      const { request: { argv, line }, environment } = decided;
      const env = environment?.({ PATH: "/bin", A: "1" });
      expect(env).toMatchObject({ A: "1" });
      return { argv, line, original: env?.LIMPET_ORIGINAL_COMMAND };
    };
    expect(run(["backup", "-q"], { argv: ["ls", "ä\n"] })).toEqual({
      argv: ["backup", "-q"],
      line: undefined,
      original: '["ls","\\u00e4\\n"]',
    });
    expect(run("exec backup", line("rm -rf /"))).toEqual({
      argv: undefined,
      line: "exec backup",
      original: '"rm -rf /"',
    });
  });

  test("PATH has only what is the same from everywhere", () => {
    const decided = outcome(ALL);
    if (typeof decided === "string") throw new Error(decided);
    const path = (PATH: string) => decided.environment?.({ PATH }).PATH;
    expect(path("/bin:.:bin::/usr/bin:")).toBe("/bin:/usr/bin");
    // A name may have a backslash.
    expect(path("/bin:/opt/a\\b:c\\d")).toBe("/bin:/opt/a\\b");
    expect(path("/bin:;C:\\x:rel")).toBe("/bin");
    expect(decided.environment?.({})).toEqual({});
    // An empty one is the command's own directory, none is the system's.
    for (const none of ["", ".", "bin:.", "C:/bin"]) {
      expect(decided.environment?.({ PATH: none, A: "1" })).toEqual(
        none === "C:/bin" ? { A: "1", PATH: "/bin" } : { A: "1" },
      );
    }
  });

  test("so has that of Windows, where a colon is part of a path", () => {
    const decided = outcome(ALL);
    if (typeof decided === "string") throw new Error(decided);
    const Path =
      "C:\\Windows\\System32;.;tools;;D:/bin;\\\\box\\share;C:rel;\\x";
    expect(decided.environment?.({ Path })).toEqual({
      Path: "C:\\Windows\\System32;D:/bin;\\\\box\\share",
    });
    expect(decided.environment?.({ Path: ".\\tools" })).toEqual({});
  });

  test("a message is short and safe to show, whatever was asked for", () => {
    const evil = `\x1b[2J\u202e${"x".repeat(100_000)}`;
    for (
      const asked of [
        { argv: [evil] },
        { env: { [evil]: "" } },
        { cwd: evil },
      ]
    ) {
      const message = outcome({ commands: [["true"]] }, asked);
      expect(String(message).length).toBeLessThan(400);
      expect(message).not.toMatch(OBEYED);
    }
  });
});

test("entries that allow nothing are known, and no others", () => {
  for (
    const entry of ["LD_*", "NODE_*", "PYTHON*", "GIT_*", "BASH*", "npm_*"]
  ) {
    expect(matchesNothing(entry), entry).toBe(true);
    expect(allowsVariable([entry], `${entry.slice(0, -1)}X`)).toBe(false);
  }
  for (
    const entry of ["*", "L*", "LC_*", "CI_*", "GO*", "HOM*", "LD_PRELOAD"]
  ) {
    expect(matchesNothing(entry), entry).toBe(false);
  }
});
