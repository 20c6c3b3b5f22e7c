/**
 * Channel binding: what ties the proofs to the TLS connection beneath, so that
 * they are worth nothing to who holds another one. PROTOCOL.md, "Handshake".
 *
 * @module
 */

import type { TlsInfo } from "../ports.ts";

/** RFC 9266 section 2: 32 bytes that only the two ends of a connection have. */
const EXPORTER = "tls-exporter";
const EXPORTER_LABEL = "EXPORTER-Channel-Binding";
const EXPORTER_BYTES = 32;

/** The server's certificate: ends proofs at whoever shows another one. */
const CERTIFICATE = "tls-server-certificate";

/** What this end can bind to, the strongest first. */
export function offeredBindings(tls: TlsInfo | undefined): string[] {
  if (tls === undefined) return [];
  return tls.exporter === undefined ? [CERTIFICATE] : [EXPORTER, CERTIFICATE];
}

/** The strongest that both ends can, if there is any. */
export function chooseBinding(
  tls: TlsInfo | undefined,
  offered: readonly string[],
): string | undefined {
  return offeredBindings(tls).find((name) => offered.includes(name));
}

/** The bytes themselves: none without a binding. */
export function bindingOf(
  tls: TlsInfo | undefined,
  name: string | undefined,
): Uint8Array | undefined {
  return name === EXPORTER
    ? tls?.exporter?.(EXPORTER_LABEL, EXPORTER_BYTES)
    : name === CERTIFICATE
    ? tls?.serverCertificateHash
    : undefined;
}
