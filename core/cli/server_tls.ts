/**
 * What `limpet serve` shows at a `tls://` address.
 *
 * @module
 */

import {
  readTls,
  serverTls,
  type TlsFiles,
  type TlsServerOptions,
  validityWarning,
} from "../tls_server.ts";
import type { Arguments } from "./args.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";
import { naming, tlsFiles } from "./tls.ts";

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
  const { options, made } = await naming(
    [cert, key, clientCa],
    () => serverTls(runtime, given),
  );
  if (made !== null) report.info(`made a new key and certificate in ${made}`);
  await naming([cert, key, clientCa], async () => {
    const validity = await runtime.inspectTls(options);
    const why = validityWarning(validity, Date.now());
    if (why !== null) report.warn(why);
  });
  // Read once: what was looked at is what is shown.
  const { certificate, key: read } = options.identity;
  return { cert: certificate, key: read, clientCa: given.clientCa };
}
