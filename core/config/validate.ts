/**
 * Checks a document against a schema: all mistakes at once, each where it is.
 *
 * @module
 */

import type { Node } from "jsonc-parser";
import { nearest } from "../nearest.ts";
import { FORMATS } from "./formats.ts";
import { type Path, type Problem, shown } from "./problem.ts";
import { networkOf } from "./source.ts";
import { resolved, type RootSchema, type Schema } from "./schema.ts";

/** What is wrong with the document; nothing if it fits. */
export function validate(document: Node, root: RootSchema): Problem[] {
  const problems: Problem[] = [];
  check(document, root, [], { root, problems });
  return problems;
}

interface Run {
  readonly root: RootSchema;
  readonly problems: Problem[];
}

function check(node: Node, given: Schema, path: Path, run: Run): void {
  const schema = resolved(given, run.root);
  const why = mismatch(node, schema);
  if (why !== null) {
    run.problems.push({ offset: node.offset, path, message: why });
  } else if (node.type === "object") {
    checkObject(node, schema, path, run);
  } else if (node.type === "array") {
    (node.children ?? []).forEach((item, i) => {
      if (schema.items) check(item, schema.items, [...path, i], run);
    });
  }
}

/** Why a value by itself is none of what the schema asks for; null if it is. */
function mismatch(node: Node, schema: Schema): string | null {
  const { type, value } = node;
  const is = (name: string) =>
    name === type ||
    (name === "integer" && type === "number" && Number.isSafeInteger(value));
  const wanted = [schema.type ?? []].flat();
  const fits = (wanted.length === 0 || wanted.some(is)) &&
    (schema.enum === undefined || schema.enum.includes(value)) &&
    (type !== "string" || fitsText(value, schema)) &&
    (type !== "number" || fitsNumber(value, schema)) &&
    (type !== "array" ||
      (node.children ?? []).length >= (schema.minItems ?? 0));
  if (fits) return null;
  const what = type === "object"
    ? "an object"
    : type === "array"
    ? (node.children ?? []).length === 0 ? "an empty list" : "a list"
    : schema.writeOnly
    ? "this"
    : shown(value);
  const { title = "value that fits", format } = schema;
  const network = type === "string" && format === "source" && networkOf(value);
  if (network) {
    return `${what} is no network: its address has more bits than /N says; ` +
      `write ${network} for all of it`;
  }
  const write = schema.enum !== undefined
    ? `; write ${schema.enum.map(written).join(", ")}`
    : schema.examples !== undefined
    ? `, such as ${written(schema.examples[0])}`
    : "";
  return `${what} is no ${title}${write}`;
}

function fitsText(text: string, schema: Schema): boolean {
  const { minLength = 0, maxLength = Infinity, pattern, format } = schema;
  const length = [...text].length;
  return length >= minLength && length <= maxLength &&
    (pattern === undefined || new RegExp(pattern, "u").test(text)) &&
    (format === undefined || FORMATS[format](text));
}

function fitsNumber(value: number, schema: Schema): boolean {
  const { minimum = -Infinity, maximum = Infinity } = schema;
  return value >= minimum && value <= maximum;
}

function checkObject(node: Node, schema: Schema, path: Path, run: Run): void {
  const add = (offset: number, path: Path, message: string) =>
    run.problems.push({ offset, path, message });
  const known = schema.properties ?? {};
  const seen = new Set<string>();
  for (const { children } of node.children ?? []) {
    // The parser makes no other properties where it found no mistake.
    const [key, value] = children as [Node, Node];
    const name = key.value as string;
    const here = [...path, name];
    if (seen.has(name)) add(key.offset, here, "this key is there twice");
    seen.add(name);
    const own = Object.hasOwn(known, name)
      ? known[name]
      : schema.additionalProperties;
    if (own === false) {
      add(key.offset, here, unknownKey(name, Object.keys(known)));
    } else if (typeof own === "object") {
      check(value, own, here, run);
    }
  }
  for (const name of schema.required ?? []) {
    if (!seen.has(name)) add(node.offset, path, `${shown(name)} is missing`);
  }
  if (schema.oneOf !== undefined) {
    const keys = schema.oneOf.flatMap(({ required }) => required);
    const names = keys.map(shown);
    const count = keys.filter((key) => seen.has(key)).length;
    if (count === 0) {
      add(node.offset, path, `${names.join(" or ")} is missing`);
    } else if (count > 1) {
      add(node.offset, path, `${names.join(" and ")} exclude each other`);
    }
  }
}

function unknownKey(name: string, known: readonly string[]): string {
  const [near] = nearest(name, known);
  const hint = near === undefined
    ? `; there are ${known.join(", ")}`
    : `. Did you mean ${near}?`;
  return `there is no such key${hint}`;
}

/** What somebody would write between the quotes, if there are any. */
function written(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
