/**
 * A mistake in a configuration file, and how it is told.
 *
 * @module
 */

import { printable } from "../printable.ts";

/** Where in a document something is: keys of objects, indices of lists. */
export type Path = readonly (string | number)[];

/** One mistake. */
export interface Problem {
  /** Where it is in the text, from its beginning; null for the file as such. */
  readonly offset: number | null;
  readonly path: Path;
  /** What is wrong and what to write; safe to print. */
  readonly message: string;
}

/** What was found in one look at a file. */
export interface Findings {
  readonly problems: readonly Problem[];
  /** What is not wrong and hardly meant. */
  readonly warnings: readonly Problem[];
}

/** The same as lines. Safe to print. */
export interface Told {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** `identities[2].expires`; nothing for the whole. */
export function pathText(path: Path): string {
  return path.map((step, i) => {
    if (typeof step === "number") return `[${step}]`;
    const plain = /^[A-Za-z_$][\w$]*$/.test(step);
    if (!plain) return `[${shown(step)}]`;
    return i === 0 ? step : `.${step}`;
  }).join("");
}

/** A value as it would stand in the file, cut if it is long. */
export function shown(value: unknown): string {
  const text = printable(JSON.stringify(value) ?? String(value));
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}

/**
 * What several looks have found, together in the order of the lines. A later one
 * has nothing to say of a value that is wrong already.
 */
export function tell(
  { path, text }: { readonly path: string; readonly text: string },
  ...looks: readonly Findings[]
): Told {
  const problems: Problem[] = [];
  for (const look of looks) {
    const known = new Set(problems.map(({ offset }) => offset));
    const isNew = ({ offset }: Problem) =>
      offset === null || !known.has(offset);
    problems.push(...look.problems.filter(isNew));
  }
  const warnings = looks.flatMap((look) => look.warnings);
  return {
    problems: formatProblems(path, text, problems),
    warnings: formatProblems(path, text, warnings, "warning: "),
  };
}

/**
 * `server.json:12:5: identities[2].expires: …`, in the order of the lines, with
 * `kind` before what is no mistake, as compilers have it. Lines and columns count
 * from 1, columns in characters as editors do.
 */
export function formatProblems(
  file: string,
  text: string,
  problems: readonly Problem[],
  kind: "" | "warning: " = "",
): string[] {
  const place = (offset: number) => {
    const lines = text.slice(0, offset).split(/\r\n|\r|\n/);
    return `:${lines.length}:${[...lines[lines.length - 1]].length + 1}`;
  };
  return [...problems]
    .sort((a, b) => (a.offset ?? -1) - (b.offset ?? -1))
    .map(({ offset, path, message }) => {
      const where = path.length === 0 ? "" : `${pathText(path)}: `;
      const at = offset === null ? "" : place(offset);
      return `${printable(file)}${at}: ${kind}${where}${message}`;
    });
}
