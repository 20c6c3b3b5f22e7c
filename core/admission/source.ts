/**
 * Where a connection comes from, as far as somebody can be blamed for it.
 *
 * @module
 */

/**
 * The source of a peer such as `192.0.2.7:40312` or `[2001:db8::1]:40312`: an
 * IPv4 address, or the /64 of an IPv6 address, which one machine may have all
 * of. Null for what is on this machine (loopback, a Unix socket, stdio): all
 * who use it share one address, and one could have the others locked out.
 */
export function sourceOf(peer: string): string | null {
  const [, v6, v4] = /^(?:\[([^\]]+)\]|([\d.]+)):\d+$/.exec(peer) ?? [];
  if (v4 !== undefined) return ofV4(v4);
  if (v6 === undefined) return null;
  // A scope such as %eth0 is this machine's own name for a network.
  const groups = groupsOf(v6.split("%")[0]);
  if (groups === null) return null;
  if (groups.slice(0, 5).every((group) => group === 0)) {
    if (groups[5] === 0xffff) return ofV4(embedded(groups));
    if (groups.slice(5, 7).every((group) => group === 0) && groups[7] === 1) {
      return null;
    }
  }
  const network = groups.slice(0, 4).map((group) => group.toString(16));
  return `${network.join(":")}::/64`;
}

function ofV4(address: string): string | null {
  return address.startsWith("127.") ? null : address;
}

/** The IPv4 address in the last 32 bits. */
function embedded(groups: readonly number[]): string {
  const [high, low] = groups.slice(6);
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

/** The eight groups of an IPv6 address; null if it is none. */
function groupsOf(address: string): number[] | null {
  const [head, tail, more] = address.split("::");
  if (more !== undefined) return null;
  const before = numbersOf(head);
  const after = numbersOf(tail ?? "");
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 0) return null;
  const groups = [...before, ...Array<number>(missing).fill(0), ...after];
  return groups.every((group) => group >= 0 && group <= 0xffff) ? groups : null;
}

function numbersOf(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    const bytes = group.split(".").map(Number);
    if (bytes.length === 4) {
      return [bytes[0] * 256 + bytes[1], bytes[2] * 256 + bytes[3]];
    }
    return [/^[\da-f]{1,4}$/i.test(group) ? parseInt(group, 16) : -1];
  });
}
