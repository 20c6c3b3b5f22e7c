/**
 * base64url without padding: RFC 4648 section 5.
 *
 * @module
 */

/** Bytes that WebCrypto takes: not over a `SharedArrayBuffer`. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** RFC 4648 section 5, without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes, or null if it is not base64url of exactly `length` bytes. */
export function fromBase64Url(text: string, length: number): Bytes | null {
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    // Several texts decode to the same bytes; only one of them is canonical.
    if (bytes.byteLength === length && toBase64Url(bytes) === text) {
      return bytes;
    }
  } catch {
    // There are characters in it that base64 does not have.
  }
  return null;
}
