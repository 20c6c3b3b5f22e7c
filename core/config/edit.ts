/**
 * Changing a configuration's text, and nothing in it besides: whoever laid it
 * out finds it as it was.
 *
 * @module
 */

import type { Node } from "jsonc-parser";
import type { IdentityEntry } from "./types.ts";

/** The text with one more identity at the end. `root` is its tree. */
export function withIdentity(
  text: string,
  root: Node,
  entry: IdentityEntry,
): string {
  const written = oneLine(entry);
  const list = valueOf(root, "identities");
  if (list !== undefined) return withItem(text, list, written);
  const [indent, deeper] = [indentOf(text, root), "  "];
  const inner = `${indent}${deeper}`;
  const property = `"identities": [\n${inner}${deeper}${written}\n${inner}]`;
  return withItem(text, root, property);
}

/** The text without the identity of that index. */
export function withoutIdentity(
  text: string,
  root: Node,
  index: number,
): string {
  const list = valueOf(root, "identities");
  const items = list?.children ?? [];
  const end = (node: Node) => node.offset + node.length;
  const [from, to] = index + 1 < items.length
    ? [items[index].offset, items[index + 1].offset]
    : index > 0
    ? [end(items[index - 1]), end(items[index])]
    : [list!.offset + 1, end(list!) - 1];
  return text.slice(0, from) + text.slice(to);
}

/** One more item at the end of a list or of an object. */
function withItem(text: string, whole: Node, item: string): string {
  const last = whole.children?.at(-1);
  if (last === undefined) {
    const indent = indentOf(text, whole);
    return splice(
      text,
      [whole.offset + 1, whole.offset + whole.length - 1],
      `\n${indent}  ${item}\n${indent}`,
    );
  }
  const end = last.offset + last.length;
  const own = ownLine(text, last);
  const gap = own === null ? ", " : `,\n${own}`;
  return splice(text, [end, end], `${gap}${item}`);
}

/** What stands before a node in its line, if that is nothing but room. */
function ownLine(text: string, node: Node): string | null {
  const before = text.slice(0, node.offset).split(/[\r\n]/).at(-1) ?? "";
  return /^\s*$/.test(before) && before.length < node.offset ? before : null;
}

/** The room at the beginning of the line that a node begins in. */
function indentOf(text: string, node: Node): string {
  const line = text.slice(0, node.offset).split(/[\r\n]/).at(-1) ?? "";
  return /^\s*/.exec(line)![0];
}

function splice(
  text: string,
  [from, to]: readonly [number, number],
  inserted: string,
): string {
  // The lines end as the file's others do.
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  return text.slice(0, from) + inserted.replaceAll("\n", eol) + text.slice(to);
}

function valueOf(root: Node, key: string): Node | undefined {
  const property = root.children?.find(({ children }) =>
    children?.[0].value === key
  );
  return property?.children?.[1];
}

/** `{ "name": "ci", "from": ["::1"] }` */
function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inside = Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .map(([key, each]) => `${JSON.stringify(key)}: ${oneLine(each)}`);
  return `{ ${inside.join(", ")} }`;
}
