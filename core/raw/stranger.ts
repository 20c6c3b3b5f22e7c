/**
 * Who must not get a command run by knocking on a raw server's port.
 *
 * @module
 */

import { beginsAsPreface, recognise } from "../frame/preface.ts";
import { RECV_BYTES } from "./receiver.ts";

/** So many bytes of a preface are enough: no command begins with them. */
const PREFACE_BYTES = 4;

/** Method, target, version. The method may be any word: `fetch` takes any. */
const REQUEST_LINE = /^\S+ \S+ HTTP\/\d/;

/** The same, with a target so long that its end is not in the first read. */
const LONG_REQUEST_LINE = /^\S+ \/\S*$/;

/**
 * Names what the first bytes of a connection are if they are no command:
 * `Limpet's frames`, `an HTTP request`. Null if they may be one.
 *
 * A page in a browser can connect to this port, without asking anybody, and
 * chooses the path of its request; with a host name of its own that leads here
 * it chooses the method too. Run by a shell, that is a command of its choice.
 */
export function strangerIn(first: Uint8Array): string | null {
  if (first.byteLength >= PREFACE_BYTES && beginsAsPreface(first)) {
    return "Limpet's frames";
  }
  const known = recognise(first);
  if (known !== null) return known;
  const text = String.fromCharCode(...first.subarray(0, RECV_BYTES));
  const isRequest = REQUEST_LINE.test(text) ||
    (first.byteLength >= RECV_BYTES && LONG_REQUEST_LINE.test(text));
  return isRequest ? "an HTTP request" : null;
}
