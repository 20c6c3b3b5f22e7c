/**
 * Whether a policy allows a request, and what is run then. Pure: nothing is
 * looked up here.
 *
 * @module
 */

import { counted } from "../counted.ts";
import { LimpetError } from "../errors.ts";
import type { Authorized } from "../exec/authorized.ts";
import type { ExecRequest } from "../exec/request.ts";
import { printable } from "../printable.ts";
import {
  allowsVariable,
  isDangerous,
  withAbsolutePath,
} from "./environment.ts";
import { matches } from "./pattern.ts";
import type { Policy } from "./policy.ts";

/** What has to be looked up before a policy can decide. */
export interface PolicyFacts {
  /** Commands of the identity that run already. */
  readonly running: number;
  /**
   * The directory that was asked for, without symbolic links and `..`; null if
   * there is no such directory.
   */
  readonly cwd: string | null;
  /** The policy's own directories in the same form; null for what is not there. */
  readonly roots: readonly (string | null)[];
}

/**
 * What `name` may run of this request under the policy. Throws `refused`, or
 * `cwd_not_found` for an allowed directory that is not there; the message names
 * the rule.
 */
export function decide(
  policy: Policy,
  name: string,
  request: ExecRequest,
  facts: PolicyFacts,
): Authorized {
  const refuse = (rule: string): never => {
    throw new LimpetError("refused", `Policy of "${name}" ${printable(rule)}`);
  };
  const { maxCommands = Infinity, maxRuntimeMs, maxOutputBytes } = policy;
  if (facts.running >= maxCommands) {
    refuse(
      `allows ${counted(maxCommands, "command")} at once, and as many run ` +
        "already (maxCommands)",
    );
  }
  if (policy.forced === undefined) checkCommand(policy, request, refuse);
  if (request.stdin && policy.stdin === false) {
    refuse("does not allow input (stdin)");
  }
  if ((request.onDisconnect ?? "kill") !== "kill" && policy.detach !== true) {
    refuse("does not allow commands that outlive their client (detach)");
  }
  for (const variable of Object.keys(request.env)) {
    const shown = JSON.stringify(brief(variable));
    if (!allowsVariable(policy.env ?? [], variable)) {
      refuse(`does not allow the variable ${shown} (env)`);
    }
    // What changes the user is started with it, while it is still root.
    if (policy.runAs !== undefined && isDangerous(variable)) {
      refuse(`does not allow the variable ${shown} together with runAs`);
    }
  }
  return {
    request: {
      ...request,
      ...(policy.forced === undefined ? {} : forced(policy.forced)),
      cwd: directory(policy, request, facts, refuse),
    },
    environment: (inherited) => ({
      ...withAbsolutePath(inherited),
      ...(policy.forced === undefined
        ? {}
        : { LIMPET_ORIGINAL_COMMAND: original(request) }),
    }),
    maxRuntimeMs,
    maxOutputBytes,
    endsLeftovers: true,
  };
}

type Refuse = (rule: string) => never;

function checkCommand(
  { commands = [], shell = false }: Policy,
  { argv }: ExecRequest,
  refuse: Refuse,
): void {
  if (argv === undefined) {
    if (!shell) refuse("does not allow the shell (shell)");
    return;
  }
  if (commands.some((pattern) => matches(pattern, argv))) return;
  // All of the words, for it is often one of them that is not as it should be.
  refuse(
    `does not allow the command ${brief(JSON.stringify(argv))} (commands)`,
  );
}

function directory(
  { cwd: allowed }: Policy,
  { cwd }: ExecRequest,
  facts: PolicyFacts,
  refuse: Refuse,
): string | undefined {
  // One that is not there is an error to start, not the next one of them.
  if (cwd === undefined) return facts.roots[0] ?? allowed?.[0];
  const shown = JSON.stringify(brief(cwd));
  if (allowed === undefined) {
    return refuse(
      `does not allow a working directory to be chosen (cwd): ${shown}`,
    );
  }
  // Of what is not there nobody can say what it is below of.
  const real = facts.cwd;
  if (real === null || !facts.roots.some((root) => isBelow(real, root))) {
    return refuse(`does not allow the working directory ${shown} (cwd)`);
  }
  return real;
}

function isBelow(path: string, root: string | null): boolean {
  if (root === null) return false;
  const separator = root.includes("\\") ? "\\" : "/";
  return path === root ||
    path.startsWith(root.endsWith(separator) ? root : root + separator);
}

function forced(
  command: readonly string[] | string,
): Pick<ExecRequest, "argv" | "line"> {
  return typeof command === "string"
    ? { argv: undefined, line: command }
    : { argv: command, line: undefined };
}

/** In ASCII, so that it is the same whatever a console speaks. */
function original({ argv, line }: ExecRequest): string {
  return JSON.stringify(argv ?? line ?? "").replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function brief(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}
