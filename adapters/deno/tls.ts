/**
 * TLS on Deno. Loaded when a `tls://` address is used.
 *
 * By `node:tls`, not by Deno's own API, which shows no peer's certificate, asks
 * no client for one, and so can neither pin nor do mutual TLS.
 *
 * @module
 */

import type { Socket } from "node:net";
import { type Tls, tlsOver } from "../tls/mod.ts";
import type { Flow } from "../tls/runtime.ts";

/** See {@linkcode Tls}. */
export const tls: Tls = tlsOver({
  async systemRoots(): Promise<readonly string[]> {
    const tls = await import("node:tls") as unknown as NewerTls;
    // Named, never left to the default: connections without roots of their own
    // share their sessions by host name alone, so that the server on another
    // port may show the certificate of the first, which then counts as trusted.
    try {
      return tls.getCACertificates("default");
    } catch (error) {
      // Without --allow-sys the system's authorities count for nothing.
      if (error instanceof Deno.errors.NotCapable) return [];
      throw error;
    }
  },
  flow: (secure, raw): Flow => {
    // `secure.pause()` alone stops nothing: everything would go on to be read
    // and kept. What does is not public, and there is no other way.
    const handle = (raw as Socket & { _handle?: Partial<Handle> })._handle;
    if (handle !== undefined) freeAfterReading(handle);
    return {
      isPaused: () => secure.isPaused(),
      pause: () => {
        secure.pause();
        handle?.readStop?.();
      },
      resume: () => {
        handle?.readStart?.();
        secure.resume();
      },
    };
  },
  canLand: false,
  sharesContexts: false,
  // Of a part of some memory the rest may be with another reader.
  release: ({ buffer, byteLength }) => {
    if (byteLength === buffer.byteLength) free(buffer);
  },
  canExport: false,
});

/** To free less takes longer than it saves. */
const LARGE_BYTES = 16 * 1024;

/**
 * Gone at once, and not with the next collection: those come with every 50 MiB
 * that is read, and each looks at all that there is.
 */
function free(memory: unknown): void {
  if (memory instanceof ArrayBuffer && memory.byteLength > LARGE_BYTES) {
    (memory as NewerBuffer).transfer(0);
  }
}

/**
 * Frees what comes from the network, new memory for each read, when TLS has taken
 * its copy. Does nothing where Deno does not take one any more, in this way.
 */
function freeAfterReading(handle: Partial<Handle>): void {
  const { onread } = handle;
  if (onread === undefined || !String(onread).includes(".receive(")) return;
  handle.onread = (memory) => {
    onread.call(handle, memory);
    free(memory);
  };
}

/** What the types of our oldest Node do not have yet. */
interface NewerBuffer extends ArrayBuffer {
  transfer(length: number): ArrayBuffer;
}

/** The same. */
interface NewerTls {
  getCACertificates(which: "default"): string[];
}

/** What is under a socket of `node:net`. */
interface Handle {
  onread(memory: unknown): void;
  readStart(): void;
  readStop(): void;
}
