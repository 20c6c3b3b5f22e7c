/**
 * The audit log that `limpet serve` keeps.
 *
 * @module
 */

import { AuditLog, type OnAuditFailure } from "../audit/log.ts";
import { missingFolder } from "../config/permissions.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { AuditEntry } from "../config/types.ts";
import type { LogFile } from "../ports.ts";
import { type Arguments, usageError } from "./args.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** Where the log is, and what is done when it cannot be written. */
export interface AuditSettings {
  /** `stderr`, or a path. */
  readonly file: string;
  readonly onFailure: OnAuditFailure;
}

/** What the flags say of the log; null if there is to be none. */
export function readAuditFlags(args: Arguments): AuditSettings | null {
  const file = args.value("audit");
  const onFailure = args.value("audit-failure") ?? "stop";
  if (onFailure !== "stop" && onFailure !== "continue") {
    throw usageError(
      `--audit-failure ${onFailure} is none of stop and continue`,
    );
  }
  if (file !== undefined) return { file, onFailure };
  if (!args.has("audit-failure")) return null;
  throw usageError("--audit-failure needs --audit FILE");
}

/** What the configuration says of it. */
export function auditEntry(
  entry: AuditEntry | undefined,
): AuditSettings | null {
  return entry === undefined ? null : { onFailure: "stop", ...entry };
}

/** Opens it and says what it means. Throws `invalid_argument` if it cannot. */
export async function openAudit(
  runtime: CliRuntime,
  { file, onFailure }: AuditSettings,
  report: Reporter,
): Promise<AuditLog> {
  const name = file === "stderr" ? "the audit log on stderr" : file;
  const open = file === "stderr"
    ? () => Promise.resolve(standardError(runtime))
    : () => runtime.files.openLog(file);
  try {
    const warn = (message: string) => report.warn(message);
    const log = await AuditLog.open({ name, open, onFailure, warn });
    const then = onFailure === "stop"
      ? "as long as it cannot be written, nobody connects and no command starts"
      : "what cannot be written to it is lost, and counted";
    report.info(`audit log: ${file}; ${then}`);
    return log;
  } catch (thrown) {
    // No write_failed, with which a service would be started again and again.
    const what = `Cannot open the audit log ${file}`;
    const missing = await missingFolder(runtime.files, file).catch(() => null);
    const { message } = missing === null
      ? asLimpetError(thrown, "write_failed", what)
      : { message: `${what}: ${missing}` };
    throw new LimpetError("invalid_argument", message, { cause: thrown });
  }
}

/** Its lines are whole, and between those that begin with `limpet:`. */
function standardError(runtime: CliRuntime): LogFile {
  return {
    write: async (bytes) => {
      await runtime.stderr.write(bytes);
      return bytes.byteLength;
    },
    close: () => Promise.resolve(),
  };
}
