/**
 * JSON text as a tree that knows where everything stands.
 *
 * @module
 */

import type { Node, ParseError } from "jsonc-parser";
import type { Problem } from "./problem.ts";

/** Longest configuration file that is read, in characters. */
const MAX_LENGTH = 1_048_576;

/** The tree, or what is wrong with the text. */
export type Parsed =
  | { readonly root: Node; readonly problem: null }
  | { readonly root: null; readonly problem: Problem };

/**
 * Reads JSON: no comments, no trailing commas. Of mistakes in the syntax only
 * the first is told, for the others mostly come from it.
 */
export async function parseDocument(text: string): Promise<Parsed> {
  const wrong = (offset: number | null, message: string): Parsed => ({
    root: null,
    problem: { offset, path: [], message },
  });
  if (text.length > MAX_LENGTH) {
    return wrong(null, `this is longer than ${MAX_LENGTH} characters`);
  }
  if (text.trim() === "") return wrong(0, "this is empty; write {}");
  if (text.startsWith("\ufeff")) {
    return wrong(0, "this begins with a byte order mark; save it without");
  }
  const { parseTree, printParseErrorCode } = await import("jsonc-parser");
  const errors: ParseError[] = [];
  let root: Node | undefined;
  try {
    root = parseTree(text, errors, { disallowComments: true });
  } catch (error) {
    // The parser goes as deep as the text does.
    if (!(error instanceof RangeError)) throw error;
    return wrong(0, "this is nested too deeply");
  }
  if (errors.length > 0) {
    const { error, offset } = errors[0];
    const code = printParseErrorCode(error);
    return wrong(offset, SYNTAX[code] ?? `this is no JSON (${code})`);
  }
  if (root === undefined) return wrong(0, "this is no JSON");
  return { root, problem: null };
}

/** The parser's codes in words. */
const SYNTAX: Readonly<Record<string, string>> = {
  InvalidSymbol: "this is no JSON; texts stand in double quotes",
  InvalidNumberFormat: "this is no number as JSON has them",
  PropertyNameExpected: "a key in double quotes is missing here",
  ValueExpected: "a value is missing here",
  ColonExpected: "a colon is missing here",
  CommaExpected: "a comma is missing here",
  CloseBraceExpected: "a closing } is missing here",
  CloseBracketExpected: "a closing ] is missing here",
  EndOfFileExpected: "the file should end here",
  InvalidCommentToken: "JSON has no comments",
  UnexpectedEndOfComment: "JSON has no comments",
  UnexpectedEndOfString: "this text has no closing quote in its line",
  UnexpectedEndOfNumber: "this is no number as JSON has them",
  InvalidUnicode: "this \\u is not followed by four hexadecimal digits",
  InvalidEscapeCharacter: "there is no such escape; for a backslash write \\\\",
  InvalidCharacter: "control characters are written as \\n, \\t or \\u001b",
};
