/**
 * What the system says of its network buffers. Read by `cat`, because Deno lets
 * no program look into `/proc` itself.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Bench } from "./bench.ts";
import { textOf } from "./bytes.ts";

/** In bytes; null where the system does not tell. */
export interface NetworkFacts {
  readonly loopbackMtu: number | null;
  /** The most that the kernel keeps of what one TCP socket sends. */
  readonly sendBufferMax: number | null;
  /** What it keeps at first of what one TCP socket has not read. */
  readonly receiveBufferDefault: number | null;
  /** The same for a UDP socket. */
  readonly datagramBufferDefault: number | null;
}

/** Linux alone has these files. */
export async function networkFacts(bench: Bench): Promise<NetworkFacts> {
  const [mtu, sending, receiving, datagrams] = await Promise.all([
    numbersIn(bench, "/sys/class/net/lo/mtu"),
    numbersIn(bench, "/proc/sys/net/ipv4/tcp_wmem"),
    numbersIn(bench, "/proc/sys/net/ipv4/tcp_rmem"),
    numbersIn(bench, "/proc/sys/net/core/rmem_default"),
  ]);
  return {
    loopbackMtu: mtu[0] ?? null,
    sendBufferMax: sending[2] ?? null,
    receiveBufferDefault: receiving[1] ?? null,
    datagramBufferDefault: datagrams[0] ?? null,
  };
}

async function numbersIn(bench: Bench, path: string): Promise<number[]> {
  if (bench.machine.isWindows) return [];
  try {
    const words = textOf(await bench.run(`cat ${path} 2>/dev/null`)).split(
      /\s+/,
    );
    return words.filter((word) => /^\d+$/.test(word)).map(Number);
  } catch (error) {
    // The experiment does without; but not without being told that it is over.
    if (error instanceof LimpetError && error.code === "closed") throw error;
    return [];
  }
}
