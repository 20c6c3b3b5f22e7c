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
  canExport: false,
});

/** What the types of our oldest Node do not have yet. */
interface NewerTls {
  getCACertificates(which: "default"): string[];
}

/** What is under a socket of `node:net`. */
interface Handle {
  readStart(): void;
  readStop(): void;
}
