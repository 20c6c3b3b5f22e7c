/**
 * An event as a line of the audit log: one JSON object, which is one line in
 * every viewer, and of bounded length whatever the client sent.
 *
 * @module
 */

import type { ServerEvent } from "../server/event.ts";

/** Characters of one text that are kept. */
const MAX_TEXT = 1_000;

/** Elements of one list that are kept, and characters of all of them. */
const MAX_ELEMENTS = 200;
const MAX_LIST_TEXT = 8_000;

/**
 * What a terminal or an editor obeys rather than shows: control characters,
 * ends of lines that are no `\n`, what turns the direction of text, and what
 * shows as nothing at all. JSON leaves all of them but the first 32 as they are.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * The line, with its `\n`. Fields that were cut are named in `cut`. Throws
 * nothing.
 */
export function auditLine(event: ServerEvent): string {
  const { time, type, session, peer, identity, ...rest } = event;
  const cut: string[] = [];
  const fields: Record<string, unknown> = {
    time: new Date(time).toISOString(),
    event: type,
    session,
    source: peer,
    identity,
    ...detailsOf(rest),
  };
  for (const [name, value] of Object.entries(fields)) {
    const bounded = bound(value);
    fields[name] = bounded.value;
    if (bounded.isCut) cut.push(name);
  }
  return lineOf(cut.length === 0 ? fields : { ...fields, cut });
}

/** The line that stands for events which could not be written. */
export function gapLine(time: number, lost: number): string {
  const at = new Date(time).toISOString();
  return lineOf({ time: at, event: "audit_gap", lost });
}

function lineOf(fields: object): string {
  const escaped = JSON.stringify(fields).replace(
    UNSEEN,
    (text) => text.split("").map(escapeUnit).join(""),
  );
  return `${escaped}\n`;
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** `code` is the exit code of a command; why something failed is `reason`. */
function detailsOf(event: object): Record<string, unknown> {
  const { status, code, ...rest } = event as Record<string, unknown>;
  if (typeof status === "object" && status !== null) {
    const { success: _, ...outcome } = status as Record<string, unknown>;
    return { ...rest, ...outcome };
  }
  return code === undefined ? rest : { ...rest, reason: code };
}

function bound(value: unknown): { value: unknown; isCut: boolean } {
  if (typeof value === "string") {
    const text = cutText(value, MAX_TEXT);
    return { value: text, isCut: text !== value };
  }
  if (!Array.isArray(value)) return { value, isCut: false };
  let room = MAX_LIST_TEXT;
  let isCut = value.length > MAX_ELEMENTS;
  const kept: unknown[] = [];
  for (const each of value.slice(0, MAX_ELEMENTS)) {
    if (typeof each !== "string") {
      kept.push(each);
      continue;
    }
    const text = cutText(each, Math.min(room, MAX_TEXT));
    room -= text.length;
    if (text !== each) isCut = true;
    if (text === "" && each !== "") break;
    kept.push(text);
  }
  return { value: kept, isCut };
}

/** Not in the middle of a surrogate pair. */
function cutText(text: string, length: number): string {
  if (text.length <= length) return text;
  return text.slice(0, length).replace(/[\ud800-\udbff]$/, "");
}
