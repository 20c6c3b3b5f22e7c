/**
 * PEM files may hold several things, and Deno looks at the first alone.
 *
 * @module
 */

import type { TlsIdentity } from "./options.ts";

/** The certificates and the key, whichever else is in the texts. */
export function identityOf(certificate: string, key: string): TlsIdentity {
  return {
    certificate: only(certificate, "CERTIFICATE"),
    key: only(key, "PRIVATE KEY"),
  };
}

/** As it is if there is none, for whoever reads it to say so. */
function only(text: string, label: string): string {
  const block = new RegExp(
    `-----BEGIN ([A-Z]+ )*${label}-----[^-]*-----END ([A-Z]+ )*${label}-----`,
    "g",
  );
  const found = text.match(block);
  return found === null ? text : `${found.join("\n")}\n`;
}
