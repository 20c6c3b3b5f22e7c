/**
 * A policy, as the configuration file has it: what the schema alone cannot tell,
 * and its times and sizes as the library has them.
 *
 * @module
 */

import type { Node } from "jsonc-parser";
import { readDuration } from "../duration.ts";
import { isDangerous, matchesNothing } from "../policy/environment.ts";
import { patternProblem } from "../policy/pattern.ts";
import type { Policy } from "../policy/policy.ts";
import type { Path, Problem } from "./problem.ts";
import { property } from "./property.ts";

/** As validated. */
export type WrittenPolicy =
  & Omit<Policy, "maxRuntimeMs" | "maxOutputBytes">
  & { readonly maxRuntime?: string; readonly maxOutput?: number };

/** The policy that was written. */
export function policyOf(written: WrittenPolicy): Policy {
  const { maxRuntime, maxOutput, ...rest } = written;
  const maxRuntimeMs = maxRuntime === undefined
    ? null
    : readDuration(maxRuntime);
  return {
    ...rest,
    ...(maxRuntimeMs === null ? {} : { maxRuntimeMs }),
    ...(maxOutput === undefined ? {} : { maxOutputBytes: maxOutput }),
  };
}

/** Patterns that mean nothing, and rules that exclude each other. */
export function policyProblems(root: Node): Problem[] {
  return policiesOf(root).flatMap(({ policy, path }) => {
    const problems: Problem[] = [];
    const forced = property(policy, "forced");
    for (const other of ["commands", "shell"]) {
      if (forced === undefined || property(policy, other) === undefined) {
        continue;
      }
      problems.push({
        offset: forced.offset,
        path: [...path, "forced"],
        message: `what is forced leaves nothing to "${other}": leave out one`,
      });
    }
    const patterns = property(policy, "commands")?.children ?? [];
    patterns.forEach((pattern, n) => {
      const words = (pattern.children ?? []).map(({ value }) => String(value));
      const why = words.length === 0 ? null : patternProblem(words);
      if (why === null) return;
      problems.push({
        offset: pattern.offset,
        path: [...path, "commands", n],
        message: `this pattern ${why}`,
      });
    });
    return problems;
  });
}

/** Variables of valid policies that no client can set all the same. */
export function policyWarnings(root: Node): Problem[] {
  return policiesOf(root).flatMap(({ policy, path }) => {
    const isOther = property(policy, "runAs") !== undefined;
    const entries = property(policy, "env")?.children ?? [];
    return entries.flatMap(({ offset, value }, n) => {
      const entry = String(value);
      const why = matchesNothing(entry)
        ? "this allows nothing: what begins so makes programs load code, and " +
          "has to be written out name by name"
        : isOther && !entry.endsWith("*") && isDangerous(entry)
        ? "this allows nothing together with runAs, for it can make programs " +
          "load code"
        : null;
      if (why === null) return [];
      return [{ offset, path: [...path, "env", n], message: why }];
    });
  });
}

/** The policies that there are, and where. */
export function policiesOf(
  root: Node,
): { readonly policy: Node; readonly path: Path }[] {
  const identities = property(root, "identities")?.children ?? [];
  return identities.flatMap((identity, i) => {
    const policy = property(identity, "policy");
    return policy === undefined
      ? []
      : [{ policy, path: ["identities", i, "policy"] }];
  });
}
