/**
 * Whether TLS can be done with what there is. Asked beforehand, and in our own
 * words: Node's TLS throws at connecting, in a callback; Deno's takes anything,
 * and fails at the first peer.
 *
 * @module
 */

import { LimpetError } from "../../core/errors.ts";
import type { Validity } from "../../core/tls/failure.ts";
import type {
  TlsDialOptions,
  TlsIdentity,
  TlsListenOptions,
} from "../../core/tls/options.ts";

/**
 * When the certificate is good. Throws `invalid_argument` if it is none, if the
 * key is none or that of another certificate, or if an authority is none.
 */
export async function inspectTls(
  { identity, clientRoots }: TlsListenOptions,
): Promise<Validity> {
  const validity = await inspectIdentity(identity);
  await inspectRoots("the clients' authority", clientRoots);
  return validity;
}

/** As {@linkcode inspectTls}, for a client: what it shows, and whom it trusts. */
export async function inspectDial(
  { identity, roots }: TlsDialOptions,
): Promise<void> {
  if (identity !== undefined) await inspectIdentity(identity);
  await inspectRoots("the server's authority", roots);
}

async function inspectIdentity(identity: TlsIdentity): Promise<Validity> {
  const { createPrivateKey, X509Certificate } = await import("node:crypto");
  if (/BEGIN ENCRYPTED|,ENCRYPTED$/m.test(identity.key)) {
    throw unusable(
      "the private key is encrypted, and nobody is there to be asked for its " +
        'passphrase: "openssl pkey -in FILE -out NEW" takes it off',
    );
  }
  const certificate = read(
    "the certificate",
    () => new X509Certificate(identity.certificate),
  );
  const key = read("the private key", () => createPrivateKey(identity.key));
  if (!certificate.checkPrivateKey(key)) {
    throw unusable("the private key is that of another certificate");
  }
  return {
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
}

async function inspectRoots(
  whose: string,
  roots: readonly string[] = [],
): Promise<void> {
  const { X509Certificate } = await import("node:crypto");
  for (const root of roots.flatMap(blocksOf)) {
    read(`a certificate of ${whose}`, () => new X509Certificate(root));
  }
}

function read<T>(what: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw unusable(`${what} cannot be read`, cause);
  }
}

function unusable(why: string, cause?: unknown): LimpetError {
  return new LimpetError(
    "invalid_argument",
    `Cannot be used for TLS: ${why}`,
    { cause },
  );
}

/** A file of authorities has one after another; each as it is if there is none. */
function blocksOf(pem: string): readonly string[] {
  return pem.match(/-----BEGIN [^-]+-----[^-]*-----END [^-]+-----/g) ?? [pem];
}
