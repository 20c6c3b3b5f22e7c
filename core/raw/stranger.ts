/**
 * Who must not get a command run by knocking on a raw server's port.
 *
 * @module
 */

import { beginsAsPreface } from "../frame/preface.ts";
import { recogniseClient, recogniseServer } from "../frame/strangers.ts";
import { RECV_BYTES } from "./receiver.ts";

/** So many bytes of a preface are enough: no command begins with them. */
const PREFACE_BYTES = 4;

/** Method, target, version. The method may be any word: `fetch` takes any. */
const REQUEST_LINE = /^[!-\xff]+ [!-\xff]+ HTTP\/\d/;

/** What a browser's target begins with; the last two are for a proxy. */
const TARGETS = ["/", "*", "http://", "https://"];

/**
 * Names what the first bytes of a connection are if they are no command:
 * `Limpet's frames`, `an HTTP request`. Null if they may be one.
 *
 * A page in a browser can connect to this port, without asking anybody, and
 * chooses the path of its request; with a host name of its own that leads here
 * it chooses the method too. Run by a shell, that is a command of its choice.
 *
 * As many bytes as one `recv` takes are enough to be sure: what has been nothing
 * but the beginning of a request line so far is taken for one then. Fewer may be
 * either, see {@linkcode mayBecomeRequest}.
 */
export function strangerIn(first: Uint8Array): string | null {
  if (first.byteLength >= PREFACE_BYTES && beginsAsPreface(first)) {
    return "Limpet's frames";
  }
  const known = recogniseClient(first) ?? recogniseServer(first);
  if (known !== null) return known;
  const isRequest = REQUEST_LINE.test(latin1(first)) ||
    (first.byteLength >= RECV_BYTES && mayBecomeRequest(first));
  return isRequest ? "an HTTP request" : null;
}

/**
 * Whether more bytes could make an HTTP request line of these. `ls /tmp` could
 * become `ls /tmp HTTP/1.1`: nothing in the bytes tells a whole command from the
 * first part of a request that was cut on its way. A line end does, and so does
 * a second word that is no target.
 */
export function mayBecomeRequest(first: Uint8Array): boolean {
  const text = latin1(first);
  if (!/^[ -\xff]*$/.test(text)) return false;
  const [method, target, version, ...more] = text.split(" ");
  if (method === "" || more.length > 0) return false;
  if (target === undefined) return true;
  if (version !== undefined) {
    return target !== "" && "HTTP/".startsWith(version);
  }
  return TARGETS.some((each) =>
    target.startsWith(each) || each.startsWith(target)
  );
}

/** One character for each byte. */
function latin1(first: Uint8Array): string {
  return String.fromCharCode(...first.subarray(0, RECV_BYTES));
}
