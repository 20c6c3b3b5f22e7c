/**
 * Control payloads: one JSON object each, checked field by field.
 * PROTOCOL.md, "Control payloads".
 *
 * @module
 */

import { utf8 } from "../bytes.ts";
import { LimpetError } from "../errors.ts";
import { printable } from "../printable.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The payload for an object; fields that are undefined are left out. */
export function encodeControl(fields: object): Uint8Array {
  return utf8(JSON.stringify(fields));
}

/** Reads a payload as `name`'s JSON object, or throws `protocol_error`. */
export function decodeControl(payload: Uint8Array, name: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(payload));
  } catch (cause) {
    throw new LimpetError(
      "protocol_error",
      `Peer sent a ${name} frame that is not JSON in UTF-8`,
      { cause },
    );
  }
  if (!isObject(value)) {
    throw new LimpetError(
      "protocol_error",
      `Peer sent a ${name} frame whose JSON is not an object`,
    );
  }
  return new Fields(value, name);
}

/** Of a peer's message so many characters are kept; it may send megabytes. */
const MAX_MESSAGE_LENGTH = 4_096;

/** Bytes of a message that fit every peer's frames, with room for the rest. */
const MAX_MESSAGE_BYTES = 900;

/** A text for people, cut to what goes into one frame of any peer's. */
export function brief(message: string): string {
  let text = message.slice(0, MAX_MESSAGE_BYTES);
  while (encodeControl([text]).byteLength > MAX_MESSAGE_BYTES) {
    text = text.slice(0, Math.floor(text.length * 0.9));
  }
  // Not in the middle of a surrogate pair.
  return text === message ? text : text.replace(/[\ud800-\udbff]$/, "");
}

/** What of an integer field is allowed. */
export interface IntegerRange {
  readonly min?: number;
  readonly max?: number;
}

/**
 * The fields of one received object. Each method returns the field if it has
 * the stated type and throws `protocol_error` otherwise; a field of the wrong
 * type never passes as an absent one.
 */
export class Fields {
  readonly #value: Record<string, unknown>;
  readonly #name: string;

  constructor(value: Record<string, unknown>, name: string) {
    this.#value = value;
    this.#name = name;
  }

  /** Whether the field is there, null or not. */
  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  text(key: string, maxLength: number = Infinity): string {
    const value = this.get(key);
    if (typeof value !== "string" || value.length > maxLength) {
      const bound = maxLength === Infinity ? "" : ` of at most ${maxLength}`;
      throw this.wrong(key, `a string${bound}`);
    }
    return value;
  }

  /** A text for people, cut to a length that they read, and made safe to show. */
  message(key: string): string {
    return printable(this.text(key).slice(0, MAX_MESSAGE_LENGTH));
  }

  integer(key: string, range: IntegerRange = {}): number {
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = range;
    const value = this.get(key);
    if (
      typeof value !== "number" || !Number.isSafeInteger(value) ||
      value < min || value > max
    ) {
      throw this.wrong(key, `a whole number from ${min} to ${max}`);
    }
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.has(key) ? this.get(key) : fallback;
    if (typeof value !== "boolean") throw this.wrong(key, "true or false");
    return value;
  }

  object(key: string): Fields {
    const value = this.get(key);
    if (!isObject(value)) throw this.wrong(key, "an object");
    return new Fields(value, `${this.#name} "${key}"`);
  }

  /** The error for a field that breaks a rule, for rules beyond types. */
  wrong(key: string, expected: string): LimpetError {
    return new LimpetError(
      "protocol_error",
      `Field "${key}" of ${this.#name} must be ${expected}, not ${
        preview(this.get(key))
      }`,
    );
  }

  /** As it came, to be checked by the caller. */
  get(key: string): unknown {
    return Object.hasOwn(this.#value, key) ? this.#value[key] : undefined;
  }
}

/** Whether it is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Never a walk through all of it: a peer's lists may be nested to any depth. */
function preview(value: unknown): string {
  if (value === undefined) return "absent";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isObject(value)) return "an object";
  if (typeof value !== "string") return String(value);
  const text = value.length > 60 ? `${value.slice(0, 60)}…` : value;
  // JSON lets some of them through that a terminal obeys.
  return printable(JSON.stringify(text));
}

/**
 * The cause of an error that is a server's CLOSE before its PROOF: behind that
 * alone it takes an OPEN. As words, for whoever prints the error.
 */
export const NOTHING_TAKEN = "Nothing was started";
