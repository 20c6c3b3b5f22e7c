/**
 * From a program's options to a TLS connection.
 *
 * @module
 */

import { LimpetError } from "./errors.ts";
import type { SocketTarget } from "./ports.ts";
import { formatTarget } from "./target.ts";
import { requireFingerprint } from "./tls/fingerprint.ts";
import type { TlsDialOptions } from "./tls/options.ts";
import { identityOf } from "./tls/pem.ts";
import { judgeServer, type Trust } from "./tls/trust.ts";

/** How a `tls://` server is known, and how we are known to it. */
export interface TlsClientOptions {
  /**
   * Its certificate is this one, whoever signed it, whatever its name and dates:
   * `sha256:` and 64 hexadecimal digits, as `limpet serve` prints it.
   */
  readonly pin?: string | readonly string[];
  /** Who may have signed it, in PEM. Default: those whom the system trusts. */
  readonly ca?: string | readonly string[];
  /** Our own certificate in PEM, for servers that ask. With `key`. */
  readonly cert?: string;
  /** Its private key, in PEM. */
  readonly key?: string;
}

/** What a dialler needs. Throws `invalid_argument`. Nobody is ever asked. */
export function tlsDialOptions(
  target: SocketTarget,
  { pin, ca, cert, key }: TlsClientOptions = {},
  record?: Trust & { readonly by: "record" },
): TlsDialOptions {
  const pins = listOf(pin)?.map(requireFingerprint);
  const roots = listOf(ca);
  const trust: Trust = pins !== undefined
    ? { by: "pin", pins }
    : roots === undefined && record !== undefined
    ? record
    : { by: "authority", named: roots !== undefined };
  if ((cert === undefined) !== (key === undefined)) {
    throw new LimpetError(
      "invalid_argument",
      "A client certificate needs both: the certificate and its key",
    );
  }
  const address = formatTarget(target);
  return {
    // Without need of any, none is looked up.
    roots: trust.by === "authority" ? roots : [],
    judge: (shown) => judgeServer(address, shown, trust),
    ...(cert === undefined || key === undefined
      ? {}
      : { identity: identityOf(cert, key) }),
  };
}

function listOf(
  given: string | readonly string[] | undefined,
): readonly string[] | undefined {
  const list = typeof given === "string" ? [given] : given;
  return list?.length === 0 ? undefined : list;
}
