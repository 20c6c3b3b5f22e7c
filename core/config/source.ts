/**
 * Where somebody may connect from: addresses and ranges of addresses.
 *
 * @module
 */

/** A range of addresses, or one of the ways that have no address. */
export type Source =
  | "unix"
  | "stdio"
  | { readonly address: Uint8Array; readonly bits: number };

/**
 * `10.0.0.0/8`, `2001:db8::/32`, a single address, `unix` or `stdio`. Null if it
 * is none of these, or a range that has bits beyond its length (`10.0.0.1/8`).
 */
export function readSource(text: string): Source | null {
  if (text === "unix" || text === "stdio") return text;
  const [, host, length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = host === undefined ? null : readIp(host);
  if (address === null) return null;
  // An IPv4 range is one of the IPv6 addresses that stand for IPv4's.
  const given = length === undefined ? null : Number(length);
  const bits = given === null ? 128 : host.includes(":") ? given : given + 96;
  if (bits > 128 || `${given ?? 0}` !== (length ?? "0")) return null;
  const rest = address.some((byte, i) => (byte & ~maskOf(bits, i)) !== 0);
  return rest ? null : { address, bits };
}

/** `10.0.0.0/8` for `10.0.0.1/8`, which has bits beyond its length; else null. */
export function networkOf(text: string): string | null {
  const [host, length = ""] = text.split("/");
  const bits = Number(length) + (host.includes(":") ? 0 : 96);
  const address = readIp(host)?.map((byte, i) => byte & maskOf(bits, i));
  if (address === undefined) return null;
  const groups = Array.from(
    { length: 8 },
    (_, i) => (address[2 * i] << 8 | address[2 * i + 1]).toString(16),
  );
  const network = host.includes(":")
    ? groups.join(":").replace(/(:0)+$/, "::")
    : address.subarray(12).join(".");
  const range = `${network}/${length}`;
  return readSource(text) === null && readSource(range) !== null ? range : null;
}

/**
 * Whether a peer is one of these. `peer` is what a connection says of its other
 * end: `127.0.0.1:40312`, `[::1]:40312`, `unix`, `stdio`.
 */
export function isFrom(peer: string, sources: readonly Source[]): boolean {
  const host = /^\[([^\]]+)\]:\d+$/.exec(peer)?.[1] ??
    /^([^:]+):\d+$/.exec(peer)?.[1];
  // What comes over fe80::1%eth0 comes from fe80::1.
  const address = host === undefined ? null : readIp(host.split("%")[0]);
  return sources.some((source) => {
    if (typeof source === "string") return source === peer;
    if (address === null) return false;
    // Who writes ::/0 means all of IPv6, and nothing of IPv4.
    if (isIpv4(address) && source.bits < 96) return false;
    return source.address.every((byte, i) =>
      ((byte ^ address[i]) & maskOf(source.bits, i)) === 0
    );
  });
}

/** Whether it is one of `::ffff:0:0/96`. */
function isIpv4(address: Uint8Array): boolean {
  return address.subarray(0, 12).every((byte, i) =>
    byte === (i < 10 ? 0 : 255)
  );
}

/** The bits of byte `i` that are among the first `bits` of an address. */
function maskOf(bits: number, i: number): number {
  const own = Math.min(8, Math.max(0, bits - 8 * i));
  return 0xff & (0xff00 >> own);
}

/** 16 bytes, an IPv4 address as `::ffff:a.b.c.d`; null if it is no address. */
export function readIp(text: string): Uint8Array | null {
  if (!text.includes(":")) {
    const four = readIpv4(text);
    if (four === null) return null;
    return Uint8Array.of(...Array(10).fill(0), 0xff, 0xff, ...four);
  }
  // The last 32 bits may be written as IPv4's are.
  const tail = /:([\d.]+)$/.exec(text)?.[1];
  let hex = text;
  if (tail?.includes(".")) {
    const four = readIpv4(tail);
    if (four === null) return null;
    const [a, b, c, d] = four;
    const last = [(a << 8) | b, (c << 8) | d].map((n) => n.toString(16));
    hex = text.slice(0, -tail.length) + last.join(":");
  }
  const halves = hex.split("::");
  if (halves.length > 2) return null;
  const [head, rest] = halves.map((half) => half === "" ? [] : half.split(":"));
  const missing = 8 - head.length - (rest?.length ?? 0);
  if (rest === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...head, ...Array(missing).fill("0"), ...rest ?? []];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return Uint8Array.from(groups.flatMap((group) => {
    const number = parseInt(group, 16);
    return [number >> 8, number & 0xff];
  }));
}

function readIpv4(text: string): number[] | null {
  const parts = text.split(".");
  // A leading zero means octal to some, decimal to others.
  const plain = parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part));
  const bytes = parts.map(Number);
  return parts.length === 4 && plain && bytes.every((byte) => byte <= 255)
    ? bytes
    : null;
}
