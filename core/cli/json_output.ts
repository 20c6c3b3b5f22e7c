/**
 * `limpet exec --output json`: one object on stdout, whatever happens.
 *
 * @module
 */

import type { Session } from "../client.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import { collectOutput, type Output } from "../exec/output.ts";
import type { SpawnOptions } from "../options.ts";
import { printableJson } from "../printable.ts";
import { decodeText, type TextCodec } from "../text/mod.ts";
import { namedTranslation } from "./encoding.ts";
import { isUnknown, statusOf, statusOfError } from "./exit_status.ts";
import { reasonWords } from "./reasons.ts";
import { wordsOf } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";
import { passSignals } from "./signals.ts";

/** Connects for as long as something takes. */
export type InSession = <T>(
  use: (session: Session) => Promise<T>,
) => Promise<T>;

/** Runs the command; resolves to the program's exit status. */
export async function runToJson(
  runtime: CliRuntime,
  inSession: InSession,
  { command: name }: { readonly command: string },
  options: SpawnOptions & { readonly merge: boolean },
): Promise<number> {
  const text = options.encoding === undefined
    ? null
    : await namedTranslation(runtime, options.encoding);
  let pid: number | null = null;
  let exitStatus: number;
  let object: Record<string, unknown>;
  try {
    const output = await inSession(async (session) => {
      const command = session.spawn(name, options);
      command.pid.then((known) => pid = known, () => {});
      const stop = passSignals(runtime, command, () => session.close());
      const input = options.stdin === "piped"
        ? text?.input(runtime.stdin) ?? runtime.stdin.open()
        : undefined;
      const piped = { stdout: true, stderr: !options.merge };
      return await collectOutput(command, JSON.stringify(name), piped, {
        input,
      }).finally(stop);
    });
    exitStatus = statusOf(output);
    object = describeOutput(output, text?.theirs);
  } catch (thrown) {
    const error = asLimpetError(thrown, "refused", "Running the command");
    exitStatus = errorStatus(error);
    object = describeError(error, text?.theirs);
  }
  const { args, shell } = options;
  const whole = {
    command: shell ? { line: name } : { argv: [name, ...args ?? []] },
    exitStatus,
    pid,
    ...object,
  };
  const line = new TextEncoder().encode(`${printableJson(whole)}\n`);
  // Nobody may want to read it; the status tells all the same.
  await runtime.stdout.write(line).catch((error) => {
    if (!(error instanceof LimpetError) || error.code !== "broken_pipe") {
      throw error;
    }
  });
  return exitStatus;
}

/** Shared by both forms, so that whoever reads the object finds every field. */
function common(
  stdout: Uint8Array | undefined,
  stderr: Uint8Array | undefined,
  codec: TextCodec | undefined,
): Record<string, unknown> {
  const out = encode(stdout ?? new Uint8Array(0), codec);
  const err = encode(stderr ?? new Uint8Array(0), codec);
  return {
    stdout: out.text,
    stdoutEncoding: out.encoding,
    stderr: err.text,
    stderrEncoding: err.encoding,
  };
}

function describeOutput(
  output: Output,
  codec: TextCodec | undefined,
): Record<string, unknown> {
  return {
    source: "command",
    outcome: output.signal === null ? "exited" : "signaled",
    code: output.code,
    signal: output.signal,
    reason: output.reason,
    complete: output.dropped === 0,
    truncated: output.truncated,
    heldOpen: output.heldOpen,
    ...common(output.stdout, output.stderr, codec),
    jobId: output.jobId,
    error: null,
  };
}

function describeError(
  error: LimpetError,
  codec: TextCodec | undefined,
): Record<string, unknown> {
  return {
    // A command that was ended still has a code or a signal of its own; but
    // what we exit with says why it was ended.
    source: "limpet",
    outcome: outcomeOf(error),
    code: error.exitCode,
    signal: error.signal,
    reason: error.reason,
    complete: error.complete,
    truncated: false,
    heldOpen: false,
    ...common(error.stdout, error.stderr, codec),
    jobId: error.jobId,
    error: { code: error.code, message: messageOf(error) },
  };
}

/** A reason that is only named in it is in our words here, as without JSON. */
function messageOf(error: LimpetError): string {
  const words = wordsOf(error);
  const { reason } = error;
  return reason !== null && words.endsWith(`: ${reason}`)
    ? words.slice(0, -reason.length) + reasonWords(reason)
    : words;
}

function outcomeOf(error: LimpetError): string {
  if (error.reason !== null) return "ended";
  // It ended by itself, and its output broke off.
  if (error.exitCode !== null || error.signal !== null) return "incomplete";
  return isUnknown(error.code) ? "unknown" : "refused";
}

function errorStatus(error: LimpetError): number {
  const { reason, exitCode: code, signal } = error;
  return reason === null
    ? statusOfError(error.code)
    : statusOf({ success: false, code, signal, reason });
}

/** As the user said; else UTF-8 as it is, and anything else in base64. */
function encode(
  bytes: Uint8Array,
  codec: TextCodec | undefined,
): { text: string; encoding: string } {
  if (codec !== undefined) {
    return { text: decodeText(bytes, codec), encoding: codec.name };
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(bytes);
    return { text, encoding: "utf-8" };
  } catch {
    let binary = "";
    for (let i = 0; i < bytes.byteLength; i += 32_768) {
      binary += String.fromCharCode(...bytes.subarray(i, i + 32_768));
    }
    return { text: btoa(binary), encoding: "base64" };
  }
}
