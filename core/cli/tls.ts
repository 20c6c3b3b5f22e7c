/**
 * TLS on the command line: the flags, the file of known hosts, the question on
 * first use.
 *
 * @module
 */

import { diallerOf } from "../dial.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { Dialler, SocketTarget } from "../ports.ts";
import { formatTarget } from "../target.ts";
import { hostName } from "../tls/known_hosts.ts";
import { readFingerprint } from "../tls/fingerprint.ts";
import { identityOf } from "../tls/pem.ts";
import type { TlsClientOptions } from "../tls_client.ts";
import { recordKnownHost, recordOf } from "../known_hosts_file.ts";
import { readPem, readTls, type TlsFiles } from "../tls_server.ts";
import { type Arguments, usageError } from "./args.ts";
import { ownCodec } from "./codecs.ts";
import { signalStatus } from "./exit_status.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/** Where a `tls://` address leads. */
export type TlsTarget = Extract<SocketTarget, { kind: "tls" }>;

/** A dialler as the flags, the known hosts and perhaps the user say. */
export async function tlsDialler(
  runtime: CliRuntime,
  target: TlsTarget,
  args: Arguments,
  report: Reporter,
  withoutHurry: <T>(wait: () => Promise<T>) => Promise<T>,
): Promise<Dialler> {
  const ca = args.value("ca");
  const { clientCa: _, ...files } = tlsFiles(args);
  const { cert, key } = await readTls(runtime, files);
  const options: TlsClientOptions = {
    cert,
    key,
    pin: args.values("pin"),
    ca: ca === undefined ? undefined : await readPem(runtime, ca, false),
  };
  if (cert !== undefined && key !== undefined) {
    // By itself, so that only its own files are named.
    const identity = identityOf(cert, key);
    const inspect = () => runtime.inspectTls({ identity });
    await naming([files.cert, files.key], inspect);
  }
  const named = (dial: Dialler): Dialler => (signal) =>
    naming([ca], () => dial(signal));
  const dialAs = (
    options: TlsClientOptions,
    record?: Awaited<ReturnType<typeof recordOf>>,
  ) => named(diallerOf(runtime, target, options, record));
  if (args.has("pin") || ca !== undefined) return dialAs(options);
  const record = await recordOf(runtime, target);
  if (record.records.length > 0) return dialAs(options, record);
  return async (signal) => {
    try {
      return await dialAs(options)(signal);
    } catch (error) {
      const shown = fingerprintOf(error);
      if (shown === null || !canAsk(runtime)) throw error;
      const sure = () => askAbout(runtime, report, target, shown, record.file);
      const answer = await withoutHurry(sure);
      if (answer === null) runtime.exit(signalStatus("SIGINT"));
      if (!answer) throw notTrusted(target);
      const line = await recordKnownHost(runtime, target, shown);
      report.info(
        `${hostName(target)} is in ${record.file}, line ${line}, now`,
      );
      return await dialAs({ ...options, pin: shown })(signal);
    }
  };
}

/** The files that flags name for ourselves; `--cert` and `--key` together, or neither. */
export function tlsFiles(args: Arguments): TlsFiles {
  const cert = args.value("cert");
  const key = args.value("key");
  if ((cert === undefined) !== (key === undefined)) {
    throw usageError("--cert and --key go together");
  }
  return { cert, key, clientCa: args.value("client-ca") };
}

/** What cannot be used for TLS is told with the files that it came from. */
export async function naming<T>(
  files: readonly (string | undefined)[],
  use: () => Promise<T>,
): Promise<T> {
  try {
    return await use();
  } catch (thrown) {
    const error = asLimpetError(thrown, "invalid_argument", "Reading it");
    const given = [...new Set(files)].filter((each) => each !== undefined);
    if (error.code !== "invalid_argument" || given.length === 0) throw error;
    const message = `${error.message} (${given.join(", ")})`;
    throw new LimpetError("invalid_argument", message, { cause: thrown });
  }
}

/** Of a certificate that nobody has signed whom we know; null: another error. */
function fingerprintOf(error: unknown): string | null {
  if (!(error instanceof LimpetError)) return null;
  if (error.code !== "certificate_untrusted") return null;
  const [shown = ""] = /sha256:[0-9a-f]{64}/.exec(error.message) ?? [];
  return readFingerprint(shown);
}

/** Whether there is somebody who sees a question and can answer it. */
function canAsk({ stdin, stdout, stderr }: CliRuntime): boolean {
  return stdin.isTerminal && stdout.isTerminal && stderr.isTerminal;
}

/** Null when Ctrl-C is the answer. */
async function askAbout(
  runtime: CliRuntime,
  report: Reporter,
  target: TlsTarget,
  shown: string,
  file: string,
): Promise<boolean | null> {
  report.warn(
    `${formatTarget(target)} is not known here (${file} has no entry for ` +
      `it). The fingerprint of its certificate is`,
  );
  report.warn(shown);
  report.warn("Compare it with what limpet serve printed there");
  await report.flush();
  const editor = await runtime.editLines(await ownCodec(runtime));
  let interrupted = false;
  try {
    for (;;) {
      const line = await editor.read(
        "Connect (yes, no, or the fingerprint)? ",
        () => interrupted = true,
      );
      if (interrupted) return null;
      const answer = line?.trim() ?? "no";
      if (/^no$/i.test(answer)) return false;
      if (/^yes$/i.test(answer)) return true;
      if (readFingerprint(answer) === shown) return true;
      if (readFingerprint(answer) !== null) return false;
      report.warn("Please type yes, no or the fingerprint");
      await report.flush();
    }
  } finally {
    editor.close();
  }
}

function notTrusted(target: TlsTarget): LimpetError {
  return new LimpetError(
    "certificate_untrusted",
    `Not connected to ${formatTarget(target)}: its certificate is not trusted`,
  );
}
