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
  const [code, message] = CLIENT_WORDS[meaning](address, reasonOf(error.code));
  return new LimpetError(code, message, { cause: error.cause });
}

/** What `address` is connected to hung up instead of a handshake. */
export function hungUpError(address: string, { cause }: TlsError): LimpetError {
  return new LimpetError(
    "connection_failed",
    `Cannot connect to ${address}: it hung up instead of a TLS handshake. A ` +
      `Limpet server without encryption is ${
        address.replace("tls:", "tcp:")
      }; one that is full, or keeps this address out for a while after ` +
      "attempts that failed, hangs up as well",
    { cause },
  );
}

/**
 * After the handshake, in which it got our certificate if we have one, `address`
 * hung up without a byte, for `cause` if there was any. By no runtime does a
 * server of ours tell why it did not accept a certificate, for it looks at it
 * when TLS has nothing more to say; that it wants one may be lost on the way. It
 * is a guess: the code is one with which a session tries again.
 */
export function unansweredError(
  address: string,
  isShown: boolean,
  cause: unknown,
): LimpetError {
  const words = isShown
    ? "when it had our certificate, which it most likely does not accept: " +
      `${ADVICE}. Its log says more`
    : "before it said anything: perhaps the connection was cut on the way, or " +
      "the server is full, keeps this address out for a while, or lets in only " +
      "clients that have a certificate (--cert and --key)";
  return new LimpetError("connection_failed", `${address} hung up ${words}`, {
    cause,
  });
}

/** A server's connection failed in TLS; null: in something else. */
export function serverTlsError(error: TlsError): LimpetError | null {
  const meaning = meaningOf(error.code);
  if (meaning === null) return null;
  const [code, message] = SERVER_WORDS[meaning](reasonOf(error.code));
  return new LimpetError(code, message, { cause: error.cause });
}

/** What a TLS error can mean. */
type Meaning =
  | "not_tls"
  | "version"
  | "certificate_missing"
  | "certificate_refused"
  | "certificate_bad"
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
  [/^(UNABLE_TO_|CERT_|DEPTH_ZERO_|SELF_SIGNED_)/, "certificate_bad"],
  [/^ERR_SSL_|^ERR_TLS_/, "handshake"],
];

function meaningOf(code: string | undefined): Meaning | null {
  if (code === undefined) return null;
  return MEANINGS.find(([form]) => form.test(code))?.[1] ?? null;
}

/** What is wrong with a certificate, where the code says so. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/EXPIRED$/, "it has expired"],
  [/NOT_YET_VALID$/, "it is not valid yet"],
  [/REVOKED$/, "it has been revoked"],
  // Of an expired one, too, on Deno.
  [
    /^UNABLE_TO_VERIFY_LEAF_SIGNATURE$/,
    "no authority that is trusted for it has signed it, or it has expired",
  ],
  [
    /UNKNOWN_CA$|^UNABLE_TO_|^DEPTH_ZERO_|^SELF_SIGNED_|CERT_UNTRUSTED$/,
    "no authority that is trusted for it has signed it",
  ],
];

/** `: it has expired`, or nothing. */
function reasonOf(code = ""): string {
  const reason = REASONS.find(([form]) => form.test(code))?.[1];
  return reason === undefined ? "" : `: ${reason}`;
}

const ADVICE =
  "give one that its --client-ca has signed and that has not expired, with " +
  "--cert and --key";

const CLIENT_WORDS: Readonly<
  Record<Meaning, (address: string, reason: string) => [ErrorCode, string]>
> = {
  not_tls: (address) => [
    "protocol_error",
    `${address} does not speak TLS: what answered there is no TLS server. A ` +
    `Limpet server without encryption is ${address.replace("tls:", "tcp:")}`,
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
  certificate_refused: (address, reason) => [
    "unauthenticated",
    `${address} did not accept our certificate${reason}; ${ADVICE}`,
  ],
  // Whom to trust is judged later, so it is no matter of who has signed it: Deno
  // says this of a server that has not the key.
  certificate_bad: (address) => [
    "unauthenticated",
    `${address} has not proved that the certificate that it shows is its own`,
  ],
  handshake: (address) => [
    "connection_failed",
    `Cannot connect to ${address}: the TLS handshake failed`,
  ],
};

const SERVER_WORDS: Readonly<
  Record<Meaning, (reason: string) => readonly [ErrorCode, string]>
> = {
  not_tls: () => ["protocol_error", "Peer does not speak TLS"],
  version: () => ["version_mismatch", "Peer does not speak TLS 1.3"],
  certificate_missing: () => [
    "unauthenticated",
    "Peer has no client certificate",
  ],
  certificate_refused: (reason) => [
    "unauthenticated",
    `Peer did not accept our certificate${reason}`,
  ],
  certificate_bad: (reason) => [
    "unauthenticated",
    `Peer's client certificate was not accepted${reason}`,
  ],
  handshake: () => ["protocol_error", "TLS handshake failed"],
};
