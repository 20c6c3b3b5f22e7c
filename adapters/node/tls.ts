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
  canExport: true,
});
