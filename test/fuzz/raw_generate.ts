/**
 * What a peer may send where there are no frames: lines, a browser's requests,
 * other protocols, and any of them spoiled.
 *
 * @module
 */

import { CLIENT_PREFACE, SERVER_PREFACE } from "../../core/frame/preface.ts";
import { mutateBytes } from "./mutate.ts";
import type { Prng } from "./prng.ts";
import type { Item, Script } from "./script.ts";

const text = (string: string) => new TextEncoder().encode(string);

const LINES = [
  "ls",
  "ls /tmp",
  "cat /etc/passwd\n",
  "echo a; echo b >&2",
  "GET",
  "ls / HTTP",
  "rm http://x",
  "echo 你好😀",
  "exit 3\r\n",
  "\u001b[2J\u001b]0;x\u0007\u009b",
  "\0",
  " ",
  "",
];

/** `fetch()` takes any word; where it is a shell's, so much the worse. */
const METHODS = [
  "GET",
  "CONNECT",
  "POST",
  "OPTIONS",
  "PRI",
  "ls",
  "rm",
  "sh;",
  "$(id)",
];
const TARGETS = ["/", "/;id", "/tmp", "*", "http://x/", "https://y", "x:443"];
const VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1"];

/** What other programs begin with. */
const OTHERS: readonly Uint8Array[] = [
  CLIENT_PREFACE,
  SERVER_PREFACE,
  Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3),
  text("SSH-2.0-OpenSSH_9.6\r\n"),
  text("HTTP/1.1 400 Bad Request\r\n\r\n"),
];

/** More than a receiver reads ahead. */
const FLOOD_BYTES = 100_000;

/** Everything a hostile raw peer does, on either side. */
export function makeRawScript(rng: Prng): Script {
  const items: Item[] = [];
  for (let count = 1 + rng.below(6); count > 0; count--) {
    items.push({ do: "bytes", bytes: words(rng, items.length === 0) });
    if (rng.oneIn(2)) items.push({ do: "settle" });
    if (rng.oneIn(12)) items.push({ do: "mute" });
  }
  if (rng.oneIn(3)) items.push({ do: "end" });
  const chunk = rng.oneIn(2) ? 0 : 1 + rng.below(rng.pick([4, 64, 2_000]));
  return { seed: rng.next(), items, chunk };
}

function words(rng: Prng, first: boolean): Uint8Array {
  const said = first ? opening(rng) : others(rng);
  return rng.oneIn(4) ? mutateBytes(said, rng) : said;
}

/** What tells one peer from another stands at the beginning. */
function opening(rng: Prng): Uint8Array {
  if (rng.oneIn(5)) return rng.pick(OTHERS);
  return rng.oneIn(2) ? request(rng) : others(rng);
}

function others(rng: Prng): Uint8Array {
  switch (rng.below(8)) {
    case 0:
      return rng.pick(OTHERS);
    case 1:
      return request(rng);
    case 2:
      return rng.bytes(rng.below(rng.pick([10, 1_024, 3_000])));
    case 3:
      return text(rng.pick(LINES).repeat(1 + rng.below(400)));
    case 4:
      if (!rng.oneIn(8)) return text(rng.pick(LINES));
      return new Uint8Array(FLOOD_BYTES).fill(0x61 + rng.below(26));
    default:
      return text(rng.pick(LINES));
  }
}

/** A request line and what follows it; now and then longer than one `recv`. */
function request(rng: Prng): Uint8Array {
  const target = rng.pick(TARGETS) + "a".repeat(rng.pick([0, 0, 3, 1_100]));
  const line = `${rng.pick(METHODS)} ${target} ${rng.pick(VERSIONS)}\r\n`;
  return text(`${line}Host: localhost\r\n\r\n${rng.pick(LINES)}`);
}

/** Everything that was sent, in one piece. */
export function sentBytes({ items }: Script): Uint8Array[] {
  return items.flatMap((item) => item.do === "bytes" ? [item.bytes] : []);
}

/**
 * RFC 9112, with the targets that it knows, written anew: the judge is not to
 * share a mistake.
 */
const REQUEST_LINE =
  /^(CONNECT [!-\xff]+|[\w!#$%&'*+.^`|~-]+ (\/|\*|https?:\/\/)[!-\xff]*) HTTP\/[0-9]/;

/**
 * Whether it begins as a browser's request does, or as another protocol: then
 * nothing of it is ever to be run.
 */
export function isStranger(sent: Uint8Array): boolean {
  const start = String.fromCharCode(...sent.subarray(0, 8_192));
  return REQUEST_LINE.test(start) || start.startsWith("\u0016\u0003") ||
    start.startsWith("\u00afLPT\r\n\u001a");
}
