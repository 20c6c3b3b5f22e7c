import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Flag, parseArguments } from "../core/cli/args.ts";
import {
  CONFIG_FLAGS,
  DEMO_FLAGS,
  EXEC_FLAGS,
  KEY_FLAGS,
  LAB_FLAGS,
  SERVE_FLAGS,
  SHELL_FLAGS,
  TOKEN_FLAGS,
} from "../core/cli/flags.ts";
import { KeyPair, makeKeyPair } from "../core/auth/key_pair.ts";
import { helpText } from "../core/cli/help.ts";
import { readConfig } from "../core/config/read.ts";
import { start } from "./support/cli.ts";
import { ROOT } from "./support/runtimes.ts";

const PAGE = readFileSync(join(ROOT, "SECURITY.md"), "utf8");
const UNIT = join(ROOT, "adapters", "node", "limpet.service");

const FLAGS: Readonly<Record<string, readonly Flag[]>> = {
  serve: SERVE_FLAGS,
  exec: EXEC_FLAGS,
  shell: SHELL_FLAGS,
  demo: DEMO_FLAGS,
  lab: LAB_FLAGS,
  config: CONFIG_FLAGS,
  token: TOKEN_FLAGS,
  key: KEY_FLAGS,
};

/** Flags of other programs that the page names. */
const OTHERS = [
  "--allow-sys",
  "--an-option",
  "--ff-only",
  "--user",
  "--system",
  "--now",
];

function blocks(language: string): string[] {
  return [
    ...PAGE.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms")),
  ]
    .map(([, text]) => text);
}

/** What stands between backticks, within the lines and beyond their ends. */
function inline(): string[] {
  const text = PAGE.replaceAll(/^```.*?^```/gms, "");
  return [...text.matchAll(/`([^`]+)`/g)]
    .map(([, code]) => code.replaceAll(/\s+/g, " "));
}

/** The words of a shell line, as far as quotes go. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)]
    .map(([word]) => word.replaceAll(/['"]/g, ""));
}

/** Every `limpet SUBCOMMAND …` of the page, as its words. */
const commands = [
  ...blocks("sh").flatMap((block) => block.split("\n")),
  ...inline(),
]
  .map(wordsOf)
  .filter((words) => words.includes("limpet"))
  .map((words) => words.slice(words.indexOf("limpet") + 1))
  .filter(([name]) => name !== undefined && (name in FLAGS || name === "help"));

test("every command of the page is one that the program takes", () => {
  expect(commands.length).toBeGreaterThan(10);
  for (const [name, ...words] of commands) {
    if (name === "help") {
      expect(helpText(words[0]), words.join(" ")).toBeTypeOf("string");
      continue;
    }
    // It throws for a flag that there is not, or not yet, and for a value too few.
    parseArguments(words, FLAGS[name]);
  }
});

test("so is every flag that it names alone", () => {
  const named = inline().flatMap((code) => wordsOf(code))
    .filter((word) => word.startsWith("--") && word !== "--")
    .map((word) => word.slice(2).split("=")[0]);
  expect(named.length).toBeGreaterThan(10);
  const known = Object.values(FLAGS).flat()
    .filter(({ refused }) => refused === undefined)
    .map(({ name }) => name);
  for (const name of named) {
    if (!OTHERS.includes(`--${name}`)) expect(known).toContain(name);
  }
});

test("its configuration is right once the secrets are one's own, and not before", async () => {
  const [text] = blocks("json");
  const asItIs = await readConfig(text);
  const places = asItIs.problems.map(({ message }) => message);
  expect(places).toHaveLength(2);
  const { publicKey } = await KeyPair.fromPem(await makeKeyPair());
  const own = text.replace("ed25519:what-limpet-key-new-prints", publicKey)
    .replace("see token add", "a-token-that-is-made-for-one");
  const read = await readConfig(own);
  expect(read.problems).toEqual([]);
});

test("its systemd unit is the one of the package", () => {
  expect(blocks("ini")).toEqual([readFileSync(UNIT, "utf8")]);
});

test("systemd takes the unit, and finds little to say against it", async () => {
  const verify = await start(["systemd-analyze", "verify", "--man=no", UNIT])
    .outcome;
  expect(verify).toMatchObject({ code: 0, stdout: "", stderr: "" });
  // From 0 (100) for the safest to 10 (1000) for no protection at all.
  const { code, stdout } = await start(
    ["systemd-analyze", "security", "--offline=yes", "--threshold=20", UNIT],
  ).outcome;
  expect(code, stdout).toBe(0);
});

test("the unit starts the server with flags that there are", () => {
  const [, line] = /^ExecStart=\/usr\/bin\/env limpet serve (.*)$/m
    .exec(readFileSync(UNIT, "utf8")) ?? [];
  const args = parseArguments(wordsOf(line), SERVE_FLAGS);
  expect(args.positionals).toHaveLength(1);
});
