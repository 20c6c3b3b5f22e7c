/**
 * Whether a server can be served with what it is given. Asked beforehand, and in
 * our own words: Deno's TLS takes anything, and fails at the first client.
 *
 * @module
 */

import { LimpetError } from "../../core/errors.ts";
import type { Validity } from "../../core/tls/failure.ts";
import type { TlsListenOptions } from "../../core/tls/options.ts";

/**
 * When the certificate is good. Throws `invalid_argument` if it is none, if the
 * key is none or that of another certificate, or if an authority is none.
 */
export async function inspectTls(
  { identity, clientRoots }: TlsListenOptions,
): Promise<Validity> {
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
  for (const root of clientRoots?.flatMap(blocksOf) ?? []) {
    read(
      "a certificate of the clients' authority",
      () => new X509Certificate(root),
    );
  }
  return {
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
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
