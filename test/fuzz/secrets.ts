/**
 * Who has which secret, and the TLS that is said to be beneath.
 *
 * @module
 */

import { KeyPair } from "../../core/auth/key_pair.ts";
import type { TlsInfo } from "../../core/ports.ts";

/** The secret of everybody who is to be trusted. */
export const TOKEN = "a-token-for-the-fuzzer";
export const OTHER_TOKEN = "a-token-of-somebody-else";
/** Of one who means well, and whom no attacker is. */
export const HONEST_TOKEN = "a-token-of-who-means-well";

/** The server's public key, and the trusted client's. */
export const HOST_KEY = "ed25519:iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w";
export const CLIENT_KEY = "ed25519:gTl3Dqh9F19Wo1Rmw0x-zMuNipG07jeiXfYPW4_Js5Q";

/** Key pairs, made when they are first needed. */
export const pairs = {
  host: once(1),
  client: once(2),
  other: once(3),
};

/** PKCS #8 of an Ed25519 key, up to its 32 bytes. */
const PKCS8 = "302e020100300506032b657004220420";

function once(byte: number): () => Promise<KeyPair> {
  let pair: Promise<KeyPair> | undefined;
  return () => pair ??= KeyPair.fromPem(pemOf(byte));
}

/** The private key whose bytes are all the same. */
function pemOf(byte: number): string {
  const der = PKCS8 + byte.toString(16).padStart(2, "0").repeat(32);
  const bytes = der.match(/../g)!.map((hex) => parseInt(hex, 16));
  const body = btoa(String.fromCharCode(...bytes));
  return `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;
}

/** What is beneath a connection, and what both of its ends know of it. */
export const TLS = {
  none: undefined,
  certificate: { serverCertificateHash: new Uint8Array(32).fill(7) },
  exporter: {
    serverCertificateHash: new Uint8Array(32).fill(7),
    exporter: (_: string, length: number) => new Uint8Array(length).fill(9),
  },
} as const satisfies Record<string, TlsInfo | undefined>;

/** One of {@linkcode TLS}. */
export type TlsName = keyof typeof TLS;
