/**
 * What a client's connections have in common.
 *
 * @module
 */

import type { SecureContext } from "node:tls";
import type { TlsDialOptions } from "../../core/tls/options.ts";

/** The least that any of our connections speaks. */
export const MIN_VERSION = "TLSv1.3";

let trustsNobody: Promise<SecureContext> | undefined;

/**
 * One for all that show nothing of their own and whose server is known by its
 * certificate alone. Making it takes a tenth of a connection over loopback. It
 * keeps no sessions: a connection resumes one only if it is given one. Where there
 * is a key or an authority, the system's included, each has its own: keys are not
 * kept, and a program may change whom it trusts.
 */
export async function contextOf(
  { identity, roots }: TlsDialOptions,
): Promise<{ secureContext?: SecureContext }> {
  if (identity !== undefined || roots?.length !== 0) return {};
  trustsNobody ??= import("node:tls").then(({ createSecureContext }) =>
    createSecureContext({ minVersion: MIN_VERSION, ca: [] })
  );
  return { secureContext: await trustsNobody };
}
