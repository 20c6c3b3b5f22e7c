/**
 * Commands whose text is not to go as UTF-8. No runtime can give a process any
 * other bytes, a shell can: it gets them written in octal, in ASCII, and then
 * becomes the command, so that pid, signals and exit stay exact.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Command, ConsoleText } from "../ports.ts";
import { directoryError, type DirectoryKind } from "./search.ts";

/** What is left of a command once its text is words of a shell's. */
export interface EncodedCommand {
  /** Of `/bin/sh`. */
  readonly args: readonly string[];
  /** Null if the directory is ASCII. */
  readonly checkDirectory: DirectoryCheck | null;
  /** The directory, if it is ASCII. */
  readonly cwd: string | undefined;
  /** The environment without what the shell adds. */
  readonly env: Readonly<Record<string, string>>;
  /** The program, if it can be looked for beforehand. */
  readonly program: string | null;
}

/** How to look beforehand at a directory whose name only a shell can say. */
export interface DirectoryCheck {
  readonly name: string;
  /** Of `/bin/sh`. */
  readonly args: readonly string[];
}

/** The error that the shell's exit code stands for; null if all is well. */
export function directoryCheckError(
  title: string,
  check: DirectoryCheck,
  code: number | null,
): LimpetError | null {
  const kinds = ["usable", "missing", "not a directory", "no permission"];
  const kind = kinds[code ?? 0] as DirectoryKind | undefined;
  return directoryError(title, check.name, kind ?? "unknown", null);
}

const CHECK_DIRECTORY =
  `[ -e "$1" ] || exit 1; [ -d "$1" ] || exit 2; cd -- "$1" || exit 3`;

/** Null for a command whose text is all ASCII, or is to go as UTF-8. */
export function encodeCommand(command: Command): EncodedCommand | null {
  const { consoleText, argv, line, cwd, env } = command;
  if (consoleText === undefined) return null;
  const variables = consoleText.variables.filter((name) =>
    !isAscii(`${name}${env[name] ?? ""}`)
  );
  const moves = cwd !== undefined && !isAscii(cwd);
  const words = argv ?? ["/bin/sh", "-c", line ?? ""];
  if (words.every(isAscii) && !moves && variables.length === 0) return null;
  const rest = Object.entries(env).filter(([name]) =>
    !variables.includes(name)
  );
  const [program] = words;
  return {
    args: script(
      [
        moves ? 'cd -- "$1" || exit 126; shift;' : "",
        variables.length > 0 ? "exec env" : "exec",
        '"$@"',
        command.stderr === "stdout" ? "2>&1" : "",
      ].join(" "),
      [
        ...(moves ? [cwd] : []),
        ...variables.map((name) => `${name}=${env[name]}`),
        // env(1) would take a program with = in its name for a variable.
        ...(variables.length > 0 && program.includes("=")
          ? ["/bin/sh", "-c", 'exec "$@"', "sh"]
          : []),
        ...words,
      ],
      consoleText,
    ),
    checkDirectory: moves
      ? { name: cwd, args: script(CHECK_DIRECTORY, [cwd], consoleText) }
      : null,
    cwd: moves ? undefined : cwd,
    env: Object.fromEntries(rest),
    // A relative path would have to be looked for in a directory we cannot name.
    program: isAscii(program) && !(moves && program.includes("/"))
      ? program
      : null,
  };
}

/** The arguments of a shell that runs `then` with these words as `$1`, `$2`, … */
function script(
  then: string,
  words: readonly string[],
  consoleText: ConsoleText,
): string[] {
  const separator = freeSeparator(words);
  // One printf for all, cut apart again at a character that is in none of them.
  const unpack = `IFS=${separator}; set -f; ` +
    `set -- $(printf '%b${separator}' "$@"); set +f; unset IFS; `;
  const packed = words.map((word) => octal(consoleText.encode(word)));
  return ["-c", unpack + then, "sh", ...packed];
}

/** Control characters that are a byte of no character in any encoding. */
const SEPARATORS = "\x1f\x1e\x1d\x1c\x16\x15\x14\x13\x12\x11\x10\x06\x05\x04";

function freeSeparator(words: readonly string[]): string {
  for (const separator of SEPARATORS) {
    if (!words.some((word) => word.includes(separator))) return separator;
  }
  throw new LimpetError(
    "unsupported",
    "A command whose text is not ASCII cannot have all of the control " +
      "characters in it as well",
  );
}

/** As the `%b` of printf(1) reads it (POSIX.1-2024, printf). */
function octal(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== BACKSLASH;
    text += plain
      ? String.fromCharCode(byte)
      : `\\0${byte.toString(8).padStart(3, "0")}`;
  }
  return text;
}

const BACKSLASH = 0x5c;

function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}
