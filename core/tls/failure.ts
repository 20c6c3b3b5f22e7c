/**
 * What goes wrong in TLS, in our words. Every runtime names it by OpenSSL's
 * codes (Deno by its imitation of them), so what they mean is decided here,
 * once.
 *
 * @module
 */

import { type ErrorCode, LimpetError } from "../errors.ts";
import type { CertificateProblem } from "./options.ts";

/** A runtime's error. */
export interface TlsError {
  /** `ERR_SSL_WRONG_VERSION_NUMBER` and the like, where there is one. */
  readonly code: string | undefined;
  readonly cause: unknown;
}

/** When a certificate is good, in milliseconds since 1970. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** What is wrong with a certificate that a runtime did not accept for `code`. */
export function problemOf(
  code: string | undefined,
  { notBefore, notAfter }: Validity,
  now: number,
): CertificateProblem {
  // Before the code: Deno has one for all that does not lead to a root.
  if (now > notAfter) return "expired";
  if (now < notBefore) return "not_yet_valid";
  if (code === "CERT_HAS_EXPIRED") return "expired";
  if (code === "CERT_NOT_YET_VALID") return "not_yet_valid";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return "wrong_name";
  return "untrusted";
}

/** A client's connection to `address` failed in TLS; null: in something else. */
export function clientTlsError(
  address: string,
  error: TlsError,
): LimpetError | null {
  const meaning = meaningOf(error.code);
  if (meaning === null) return null;
  const [code, message] = CLIENT_WORDS[meaning](address);
  return new LimpetError(code, message, { cause: error.cause });
}

/** A server's connection failed in TLS; null: in something else. */
export function serverTlsError(error: TlsError): LimpetError | null {
  const meaning = meaningOf(error.code);
  if (meaning === null) return null;
  const [code, message] = SERVER_WORDS[meaning];
  return new LimpetError(code, message, { cause: error.cause });
}

/** What a TLS error can mean. */
type Meaning =
  | "not_tls"
  | "version"
  | "certificate_missing"
  | "certificate_refused"
  | "handshake";

/** By the end of the code: each library has a prefix of its own before it. */
const MEANINGS: readonly (readonly [RegExp, Meaning])[] = [
  [/WRONG_VERSION_NUMBER$|HTTP_REQUEST$|UNEXPECTED_MESSAGE$/, "not_tls"],
  [
    /ALERT_PROTOCOL_VERSION$|UNSUPPORTED_PROTOCOL$|_WRONG_SSL_VERSION$/,
    "version",
  ],
  [
    /ALERT_CERTIFICATE_REQUIRED$|PEER_DID_NOT_RETURN_A_CERTIFICATE$/,
    "certificate_missing",
  ],
  [
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(EXPIRED|REVOKED|UNKNOWN)|ACCESS_DENIED|DECRYPT_ERROR)$/,
    "certificate_refused",
  ],
  [/^(UNABLE_TO_|CERT_|DEPTH_ZERO_|SELF_SIGNED_)/, "certificate_refused"],
  [/^ERR_SSL_|^ERR_TLS_/, "handshake"],
];

function meaningOf(code: string | undefined): Meaning | null {
  if (code === undefined) return null;
  return MEANINGS.find(([form]) => form.test(code))?.[1] ?? null;
}

const CLIENT_WORDS: Readonly<
  Record<Meaning, (address: string) => [ErrorCode, string]>
> = {
  not_tls: (address) => [
    "protocol_error",
    `${address} does not speak TLS: what answered there is no TLS server. A ` +
    "Limpet server without encryption is tcp://host:port",
  ],
  version: (address) => [
    "version_mismatch",
    `${address} does not speak TLS 1.3, and Limpet speaks nothing older`,
  ],
  certificate_missing: (address) => [
    "unauthenticated",
    `${address} lets in only clients that have a certificate: give one with ` +
    "--cert and --key",
  ],
  certificate_refused: (address) => [
    "unauthenticated",
    `${address} did not accept our certificate: give one that its ` +
    "--client-ca has signed and that has not expired, with --cert and --key",
  ],
  handshake: (address) => [
    "connection_failed",
    `Cannot connect to ${address}: the TLS handshake failed`,
  ],
};

const SERVER_WORDS: Readonly<Record<Meaning, readonly [ErrorCode, string]>> = {
  not_tls: ["protocol_error", "Peer does not speak TLS"],
  version: ["version_mismatch", "Peer does not speak TLS 1.3"],
  certificate_missing: ["unauthenticated", "Peer has no client certificate"],
  certificate_refused: [
    "unauthenticated",
    "A certificate was not accepted: ours by the peer, or the peer's by us",
  ],
  handshake: ["protocol_error", "TLS handshake failed"],
};
