/**
 * Fields with many values: lists, and objects of strings. Apart from the others,
 * for a client that only runs commands gets none.
 *
 * @module
 */

import { Fields, isObject } from "./control.ts";

/** A list of strings. Throws `protocol_error` for anything else. */
export function textsIn(fields: Fields, key: string): string[] {
  const value = fields.get(key);
  if (!Array.isArray(value) || !value.every((v) => typeof v === "string")) {
    throw fields.wrong(key, "a list of strings");
  }
  return value;
}

/** An object whose values are all strings; it has no prototype. */
export function textMapIn(
  fields: Fields,
  key: string,
): Record<string, string> {
  const value = fields.get(key);
  const map: Record<string, string> = Object.create(null);
  if (!isObject(value)) throw fields.wrong(key, "an object of strings");
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== "string") {
      throw fields.wrong(key, "an object of strings");
    }
    map[name] = text;
  }
  return map;
}

/** A list of objects. */
export function objectsIn(fields: Fields, key: string): Fields[] {
  const value = fields.get(key);
  if (!Array.isArray(value) || !value.every(isObject)) {
    throw fields.wrong(key, "a list of objects");
  }
  return value.map((each) => new Fields(each, `one of "${key}"`));
}
