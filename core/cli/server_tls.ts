/**
 * What `limpet serve` shows at a `tls://` address.
 *
 * @module
 */

import { asLimpetError, LimpetError } from "../errors.ts";
import {
  expiryWarning,
  readTls,
  serverTls,
  type TlsFiles,
  type TlsServerOptions,
} from "../tls_server.ts";
import type { Arguments } from "./args.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";
import { tlsFiles } from "./tls.ts";

/**
 * What to serve `tls://` with: `--cert`, `--key` and `--client-ca` before those
 * of the configuration; or the certificate of our own, which may have to be
 * made. Throws `invalid_argument` if it cannot be used.
 */
export async function serverTlsOptions(
  runtime: CliRuntime,
  args: Arguments,
  configured: TlsFiles,
  report: Reporter,
): Promise<TlsServerOptions> {
  const flags = tlsFiles(args);
  const { cert, key } = flags.cert === undefined ? configured : flags;
  const clientCa = flags.clientCa ?? configured.clientCa;
  const given = await readTls(runtime, { cert, key, clientCa });
  const { options, made } = await serverTls(runtime, given);
  if (made !== null) report.info(`made a new key and certificate in ${made}`);
  try {
    const { notAfter } = await runtime.inspectTls(options);
    const why = expiryWarning(notAfter, Date.now());
    if (why !== null) report.warn(why);
  } catch (thrown) {
    const error = asLimpetError(thrown, "invalid_argument", "Reading it");
    const files = [...new Set([cert, key, clientCa])].filter((each) =>
      each !== undefined
    );
    if (files.length === 0) throw error;
    const message = `${error.message} (${files.join(", ")})`;
    throw new LimpetError("invalid_argument", message, { cause: thrown });
  }
  // Read once: what was looked at is what is shown.
  const { certificate, key: read } = options.identity;
  return { cert: certificate, key: read, clientCa: given.clientCa };
}
