/**
 * Commands whose text is not to go as UTF-8. No runtime can give a process any
 * other bytes, a shell can: it gets them written in octal, in ASCII, and then
 * becomes the command, so that pid, signals and exit stay exact.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Command, ConsoleText } from "../ports.ts";
import { startError } from "./os_error.ts";
import { directoryError, searchError } from "./search.ts";

/** What is left of a command once its text is words of a shell's. */
export interface EncodedCommand {
  /** Of `/bin/sh`. */
  readonly args: readonly string[];
  /** Null if nothing is named that only a shell can look at. */
  readonly check: ShellCheck | null;
  /** The directory, if it is ASCII. */
  readonly cwd: string | undefined;
  /** The environment without what the shell adds. */
  readonly env: Readonly<Record<string, string>>;
  /** The program, if it can be looked for without a shell. */
  readonly program: string | null;
}

/** How to look beforehand at what only a shell can name. */
export interface ShellCheck {
  /** Of `/bin/sh`, in the environment of the command. */
  readonly args: readonly string[];
  readonly cwd: string;
  readonly program: string;
}

/** The error that the check's exit code stands for; null if all is well. */
export function checkError(
  title: string,
  { cwd, program }: ShellCheck,
  code: number | null,
): LimpetError | null {
  switch (code) {
    case 1:
      return directoryError(title, cwd, "missing", null);
    case 2:
      return directoryError(title, cwd, "not a directory", null);
    case 3:
      return directoryError(title, cwd, "no permission", null);
    case 4:
      return searchError(title, program, "missing", null);
    case 5:
      return searchError(title, program, "directory", null);
    case 6:
      return searchError(title, program, "not executable", null);
    default:
      return null;
  }
}

// As chdir(2) does it: no CDPATH, and .. is where the directory really is.
const MOVE = 'CDPATH= cd -P -- "$1"';

const CHECK_DIRECTORY =
  `[ -e "$1" ] || exit 1; [ -d "$1" ] || exit 2; ${MOVE} || exit 3; shift; `;

const CHECK_PROGRAM = 'case $1 in */*) [ -e "$1" ] || exit 4; ' +
  '[ ! -d "$1" ] || exit 5; [ -x "$1" ] || exit 6;; ' +
  '*) command -v -- "$1" || exit 4;; esac';

/** Null for a command whose text is all ASCII, or is to go as UTF-8. */
export function encodeCommand(command: Command): EncodedCommand | null {
  const { consoleText, argv, line, cwd, env } = command;
  if (consoleText === undefined) return null;
  const moves = cwd !== undefined && !isAscii(cwd);
  const words = argv ?? ["/bin/sh", "-c", line ?? ""];
  const needed = consoleText.variables.some((name) => !isPlain(name, env)) ||
    moves || !words.every(isAscii);
  if (!needed) return null;
  // A shell keeps to itself what could not be a variable of its own.
  const variables = Object.keys(env).filter((name) =>
    isPlain(name, env)
      ? !isIdentifier(name)
      : consoleText.variables.includes(name)
  );
  const rest = Object.entries(env).filter(([name]) =>
    !variables.includes(name)
  );
  const [program] = words;
  const pack = (then: string, parts: readonly string[]) =>
    script(then, parts, consoleText, line ?? program);
  return {
    args: pack(
      [
        moves ? `${MOVE} || exit 126; shift;` : "",
        // By its path: the command's PATH need not lead to it.
        variables.length > 0 ? "exec /usr/bin/env --" : execOf(program),
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
    ),
    ...looks(
      program,
      moves ? cwd : null,
      // Only the shell can say what is to be the command's.
      variables.includes("PATH") ? env.PATH : null,
      pack,
    ),
    cwd: moves ? undefined : cwd,
    env: Object.fromEntries(rest),
  };
}

/**
 * How a shell becomes a program of that name. Where it is bash, its `exec` takes a
 * name with a dash in front for an option; and `exec --` is not known to dash.
 */
export function execOf(program: string): string {
  return program.startsWith("-") ? "exec /usr/bin/env --" : "exec";
}

/** Who looks whether the program is there, and the directory if it is given. */
function looks(
  program: string,
  cwd: string | null,
  path: string | null,
  pack: (then: string, parts: readonly string[]) => string[],
): Pick<EncodedCommand, "check" | "program"> {
  const isRelative = program.includes("/") && !program.startsWith("/");
  const isOurs = isAscii(program) && !(cwd !== null && isRelative);
  const isHidden = path !== null && !program.includes("/");
  const asks = !isOurs || isHidden;
  const then = [
    cwd !== null ? CHECK_DIRECTORY : "",
    isHidden ? "PATH=$1; shift; " : "",
    asks ? CHECK_PROGRAM : "",
  ].join("");
  const parts = [
    ...(cwd !== null ? [cwd] : []),
    ...(isHidden ? [path] : []),
    ...(asks ? [program] : []),
  ];
  return {
    program: isOurs && !isHidden ? program : null,
    check: then === "" ? null : {
      args: pack(then, parts),
      cwd: cwd ?? "",
      program,
    },
  };
}

/** Longest argument that Linux takes, in bytes (MAX_ARG_STRLEN, less the NUL). */
const MAX_WORD_BYTES = 131_071;

/** Near the longest for a piece of packed text, which goes as an argument too. */
const PIECE_LENGTH = 100_000;

/** The arguments of a shell that runs `then` with these words as `$1`, `$2`, … */
function script(
  then: string,
  words: readonly string[],
  consoleText: ConsoleText,
  title: string,
): string[] {
  const separator = freeSeparator(words);
  // One printf for all, cut apart again at a character that is in none of them.
  const unpack = `IFS=${separator}; set -f; set -- $(printf %b "$@"); ` +
    "set +f; unset IFS; ";
  const packed = words.map((word) => {
    const bytes = consoleText.encode(word);
    if (bytes.byteLength <= MAX_WORD_BYTES) return octal(bytes) + separator;
    // The shell could only say so on stderr.
    const reason = `an argument of ${bytes.byteLength} bytes is too long`;
    throw startError("argument_list_too_long", title, reason, null);
  });
  return ["-c", unpack + then, "sh", ...pieces(packed.join(""))];
}

/** Cut into arguments that are not too long themselves, between escapes. */
function pieces(packed: string): string[] {
  const list: string[] = [];
  for (let at = 0; at < packed.length;) {
    let end = Math.min(at + PIECE_LENGTH, packed.length);
    // An escape is one character and four digits.
    const escape = packed.lastIndexOf("\\", end - 1);
    if (escape > at && escape + 5 > end) end = escape;
    list.push(packed.slice(at, end));
    at = end;
  }
  return list;
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

const BACKSLASH = 0x5c;

/** As the `%b` of printf(1) reads it (POSIX.1-2024, printf). */
function octal(bytes: Uint8Array): string {
  // By way of bytes: megabytes of text, character by character, take seconds.
  const text = new Uint8Array(5 * bytes.byteLength);
  let end = 0;
  for (const byte of bytes) {
    if (byte >= 0x20 && byte < 0x7f && byte !== BACKSLASH) {
      text[end++] = byte;
      continue;
    }
    text[end++] = BACKSLASH;
    text[end++] = ZERO;
    text[end++] = ZERO + (byte >> 6);
    text[end++] = ZERO + (byte >> 3 & 7);
    text[end++] = ZERO + (byte & 7);
  }
  return new TextDecoder().decode(text.subarray(0, end));
}

const ZERO = 0x30;

function isPlain(
  name: string,
  env: Readonly<Record<string, string>>,
): boolean {
  return isAscii(name) && isAscii(env[name] ?? "");
}

function isIdentifier(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}
