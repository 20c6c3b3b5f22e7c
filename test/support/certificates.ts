/**
 * Certificates for tests, made when they are wanted.
 *
 * @module
 */

import {
  type CertificateContent,
  type MadeCertificate,
  makeCertificate,
} from "../../core/tls/certificate.ts";
import type { TlsDialOptions } from "../../core/tls/options.ts";

const DAY_MS = 86_400_000;

/** Whoever answers is let through: for tests that are not about trust. */
export const TRUST_ALL: TlsDialOptions = { roots: [], judge: () => {} };

/** A certificate that is good today, for a server on loopback. */
export function certificate(
  content: Partial<CertificateContent> = {},
  issuer?: MadeCertificate,
): Promise<MadeCertificate> {
  return makeCertificate({
    commonName: "limpet test",
    names: ["localhost", "127.0.0.1"],
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    ...content,
  }, issuer);
}

/** One that nobody has signed. */
export function selfSigned(): Promise<MadeCertificate> {
  return certificate();
}

/** An authority, in whose name others can be made. */
export function authority(name = "limpet test CA"): Promise<MadeCertificate> {
  return certificate({ commonName: name, names: [], authority: true });
}
