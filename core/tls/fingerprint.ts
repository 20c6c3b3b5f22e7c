/**
 * Certificates by their hash, as people pass it on: `sha256:` and 64 digits.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { printable } from "../printable.ts";

/** `sha256:` and the hash in hexadecimal, the form that `--pin` takes. */
export function formatFingerprint(hash: Uint8Array): string {
  const digits = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0"));
  return `sha256:${digits.join("")}`;
}

/**
 * In the form of {@linkcode formatFingerprint}. Takes capitals and colons
 * between the digits too, as openssl prints them; null if it is none.
 */
export function readFingerprint(text: string): string | null {
  const digits = /^sha256:(.*)$/i.exec(text)?.[1].replaceAll(":", "");
  if (digits === undefined || !/^[0-9a-f]{64}$/i.test(digits)) return null;
  return `sha256:${digits.toLowerCase()}`;
}

/** The same of what a user wrote. Throws `invalid_argument`. */
export function requireFingerprint(text: string): string {
  const read = readFingerprint(text);
  if (read !== null) return read;
  throw new LimpetError(
    "invalid_argument",
    `Pin "${printable(text.slice(0, 100))}" is no fingerprint: write sha256: ` +
      "and 64 hexadecimal digits, as limpet serve prints it",
  );
}

/** Of the first certificate in a PEM text; null if there is none. */
export async function fingerprintOfPem(pem: string): Promise<string | null> {
  const [, base64] = PEM.exec(pem) ?? [];
  if (base64 === undefined) return null;
  let der: Uint8Array<ArrayBuffer>;
  try {
    const bytes = atob(base64.replace(/\s+/g, ""));
    der = Uint8Array.from(bytes, (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
  const hash = await crypto.subtle.digest("SHA-256", der);
  return formatFingerprint(new Uint8Array(hash));
}

const PEM =
  /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/;
