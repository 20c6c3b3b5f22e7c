/**
 * TLS on Node and Bun. Loaded when a `tls://` address is used.
 *
 * @module
 */

import { type Tls, tlsOver } from "../tls/mod.ts";

/** See {@linkcode Tls}. */
export const tls: Tls = tlsOver({
  systemRoots: () => Promise.resolve(undefined),
  flow: (secure) => secure,
  // Bun takes `onread` and has a memory of its own for it.
  canLand: process.versions.bun === undefined,
  sharesContexts: process.versions.bun === undefined,
  canExport: true,
});
