/**
 * Who came instead of a client or a server of ours, by their first bytes. What
 * the one hears of and what the other does are apart: a client carries only its
 * own.
 *
 * @module
 */

import { printable } from "../printable.ts";
import { beginsAsPreface, SHOWN_BYTES } from "./preface.ts";

const TLS_ALERT = "a TLS alert";

/** Names what knocks on a server's port by mistake; null if it is none. */
export function recogniseClient(bytes: Uint8Array): string | null {
  const method = /^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT|PRI) /;
  const text = textOf(bytes);
  if (method.test(text)) return "an HTTP request";
  if (text.startsWith("SSH-")) return "an ssh banner";
  return bytes[0] === 0x16 && (bytes.length < 2 || bytes[1] === 0x03)
    ? "a TLS handshake"
    : null;
}

/** Names what answers to a client by mistake; null if it is none. */
export function recogniseServer(bytes: Uint8Array): string | null {
  const text = textOf(bytes);
  if (text.startsWith("HTTP/")) return "an HTTP response";
  if (text.startsWith("SSH-")) return "an ssh banner";
  return bytes[0] === 0x15 && bytes[1] === 0x03 ? TLS_ALERT : null;
}

/** What a server says of what was sent in place of a client's preface. */
export function describeClient(bytes: Uint8Array): string {
  return recogniseClient(bytes) ??
    describe(bytes, "limpet serve --raw is for clients that send plain lines");
}

/**
 * What a client says of what was sent in place of a server's preface by `peer`,
 * which has a colon in it if it is a host and a port.
 */
export function describeServer(bytes: Uint8Array, peer = ""): string {
  const place = peer.includes(":") ? peer : "HOST:PORT";
  const known = recogniseServer(bytes);
  if (known === TLS_ALERT) return `${known}: connect to tls://${place}`;
  return known ??
    describe(bytes, `raw://${place} is for a server that answers plain text`);
}

function describe(bytes: Uint8Array, hint: string): string {
  return bytes.length >= 8 && beginsAsPreface(bytes)
    ? "the preface of our own role"
    : `${quote(bytes)}. ${hint}`;
}

function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, SHOWN_BYTES));
}

/** What is text as text, anything else in hexadecimal. */
function quote(bytes: Uint8Array): string {
  // The last character may have been cut, by us or on the way.
  let text = new TextDecoder().decode(bytes).replace(/\ufffd$/, "");
  // Whole lines, if we had to stop somewhere and there is one.
  const end = text.lastIndexOf("\n") + 1;
  if (bytes.byteLength >= SHOWN_BYTES && end > 0) text = text.slice(0, end);
  // deno-lint-ignore no-control-regex -- control characters are no text
  if (text !== "" && !/[\ufffd\x00-\x08\x0e-\x1a\x7f]/.test(text)) {
    return `the text ${printable(JSON.stringify(text))}`;
  }
  const hex = Array.from(
    bytes.subarray(0, 16),
    (byte) => byte.toString(16).padStart(2, "0"),
  );
  return `the bytes ${hex.join(" ")}`;
}
