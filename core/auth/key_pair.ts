/**
 * Ed25519 key pairs (RFC 8032), by WebCrypto.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { printable } from "../printable.ts";
import { type Bytes, fromBase64Url } from "./base64url.ts";

/** How a public key begins as text. */
const PREFIX = "ed25519:";

const KEY_BYTES = 32;

/**
 * What stands before the 32 bytes of the key in PKCS #8, if there are no
 * attributes: RFC 8410 section 7.
 */
const PKCS8_HEAD = [
  ...[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06],
  ...[0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20],
];

const PEM =
  /^-----BEGIN PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*$/;

/** The private half; its bytes cannot be read out again. */
export class KeyPair {
  /** `ed25519:` and 43 characters, for those who are to believe it. */
  readonly publicKey: string;
  readonly #key: CryptoKey;

  private constructor(publicKey: string, key: CryptoKey) {
    this.publicKey = publicKey;
    this.#key = key;
  }

  /** Reads what {@linkcode makeKeyPair} made, or `openssl genpkey`. */
  static async fromPem(pem: string): Promise<KeyPair> {
    const body = PEM.exec(pem.trim())?.[1].replaceAll(/\s/g, "");
    try {
      if (body === undefined) throw new Error("it has no PEM block");
      const der = Uint8Array.from(atob(body), (char) => char.charCodeAt(0));
      // Not every runtime minds another version, or bytes behind the key.
      const isKey = der.byteLength === PKCS8_HEAD.length + KEY_BYTES &&
        PKCS8_HEAD.every((byte, i) => byte === der[i]);
      if (!isKey) throw new Error("it is no Ed25519 key in PKCS #8");
      const open = await importPrivate(der, true);
      // Only the JWK has the public half: RFC 8037 section 2.
      const { x } = await crypto.subtle.exportKey("jwk", open);
      return new KeyPair(`${PREFIX}${x}`, await importPrivate(der, false));
    } catch (cause) {
      throw new LimpetError(
        "invalid_argument",
        'Private key cannot be read: an Ed25519 key in PKCS #8 ("-----BEGIN ' +
          'PRIVATE KEY-----") is needed, as "limpet key new" makes',
        { cause },
      );
    }
  }

  /** 64 bytes. */
  async sign(message: Bytes): Promise<Bytes> {
    return new Uint8Array(
      await crypto.subtle.sign("Ed25519", this.#key, message),
    );
  }
}

/** A fresh private key, as the text of a PEM file (PKCS #8, RFC 8410). */
export async function makeKeyPair(): Promise<string> {
  const { privateKey } = await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const der = await crypto.subtle.exportKey("pkcs8", privateKey);
  const body = btoa(String.fromCharCode(...new Uint8Array(der)));
  return `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;
}

/** The 32 bytes of a public key; null if the text is none. */
export function readPublicKey(text: string): Bytes | null {
  return text.startsWith(PREFIX)
    ? fromBase64Url(text.slice(PREFIX.length), KEY_BYTES)
    : null;
}

/** The text itself. Throws `invalid_argument` if it is no public key. */
export function checkPublicKey(text: string): string {
  if (readPublicKey(text) !== null) return text;
  throw new LimpetError(
    "invalid_argument",
    `"${printable(text.slice(0, 80))}" is no public key: it is written ` +
      "ed25519: and 43 letters, digits, - and _",
  );
}

/** Whether the owner of a public key has signed the message. */
export async function verifySignature(
  publicKey: string,
  signature: Bytes,
  message: Bytes,
): Promise<boolean> {
  const raw = readPublicKey(publicKey);
  if (raw === null) return false;
  try {
    const algorithm = "Ed25519";
    const key = await crypto.subtle.importKey("raw", raw, algorithm, false, [
      "verify",
    ]);
    return await crypto.subtle.verify(algorithm, key, signature, message);
  } catch {
    // No point of the curve: no signature of it can be right.
    return false;
  }
}

function importPrivate(der: Bytes, extractable: boolean): Promise<CryptoKey> {
  return crypto.subtle.importKey("pkcs8", der, "Ed25519", extractable, [
    "sign",
  ]);
}
