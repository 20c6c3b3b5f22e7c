/**
 * What the runtimes differ in below `node:tls`, which all of them have. Deno's
 * own API shows no peer's certificate and asks no client for one, so there is no
 * pinning and no mutual TLS with it.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Flow } from "../node/streams.ts";

export type { Flow };

/** See the module's description. */
export interface TlsRuntime {
  /** What to give `ca` for the system's roots; undefined: nothing. */
  systemRoots(): Promise<readonly string[] | undefined>;
  /** What holds up what comes in. */
  flow(secure: TLSSocket, raw: Socket): Flow;
  /** Whether a socket can be told who gets what it reads, past its stream. */
  readonly canLand: boolean;
  /** Whether connections can have a context in common, and it costs to make one. */
  readonly sharesContexts: boolean;
  /** What to do with what was read, once core is over with it. */
  readonly release?: (bytes: Uint8Array) => void;
  /** Whether there is keying material to be had (RFC 5705). */
  readonly canExport: boolean;
}
