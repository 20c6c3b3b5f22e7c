/**
 * What a client proves itself with, as it may be written down and named a folder.
 *
 * @module
 */

/** As many bytes as a token's name has. */
const BYTES = 12;

/** Of `token:…` or `ed25519:…`: 24 hex digits, which no two of them share. */
export function digitsOf(key: string): string {
  const text = key.slice(
    key.indexOf(":") + 1,
    key.indexOf(":") + 1 + BYTES / 3 * 4,
  );
  const bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const hex = (char: string) =>
    char.charCodeAt(0).toString(16).padStart(2, "0");
  return Array.from(bytes, hex).join("");
}
