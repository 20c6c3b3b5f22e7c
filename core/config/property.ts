/**
 * Finding one's way in a document.
 *
 * @module
 */

import type { Node } from "jsonc-parser";

/** The value of an object's key, if it is an object and has it. */
export function property(node: Node, key: string): Node | undefined {
  if (node.type !== "object") return undefined;
  const found = node.children?.find(({ children }) =>
    children?.[0].value === key
  );
  return found?.children?.[1];
}
