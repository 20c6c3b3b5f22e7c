/**
 * Making X.509 certificates. Loaded when one is to be made and never else: the
 * library for it is larger than all of Limpet.
 *
 * @module
 */

import { Integer, OctetString, Utf8String } from "asn1js";
import {
  AttributeTypeAndValue,
  BasicConstraints,
  Certificate,
  Extension,
  ExtKeyUsage,
  GeneralName,
  GeneralNames,
  Time,
} from "pkijs";

/** ECDSA on P-256 with SHA-256: what every runtime's TLS takes. */
const KEY = { name: "ECDSA", namedCurve: "P-256" };

/** RFC 5280, 4.1.2.5: a certificate that has no end that anybody knows. */
export const NO_END: Date = new Date("9999-12-31T23:59:59Z");

/** What is to be in a certificate. */
export interface CertificateContent {
  /** The common name of its subject. */
  readonly commonName: string;
  /** DNS names and IP addresses of a server. */
  readonly names?: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** May sign others. Default: it may not. */
  readonly authority?: boolean;
}

/** A certificate and its private key. */
export interface MadeCertificate {
  /** In PEM. */
  readonly certificate: string;
  /** In PEM (PKCS #8). */
  readonly key: string;
  readonly commonName: string;
  readonly privateKey: CryptoKey;
}

/** Makes a key and a certificate for it, signed by `issuer` or by itself. */
export async function makeCertificate(
  content: CertificateContent,
  issuer?: MadeCertificate,
): Promise<MadeCertificate> {
  const { commonName } = content;
  const keys = await crypto.subtle.generateKey(KEY, true, ["sign", "verify"]);
  const certificate = new Certificate({
    version: 2,
    serialNumber: new Integer({ valueHex: serialNumber() }),
    notBefore: time(content.notBefore),
    notAfter: time(content.notAfter),
    extensions: extensionsFor(content),
  });
  certificate.subject.typesAndValues.push(named(commonName));
  certificate.issuer.typesAndValues.push(
    named(issuer?.commonName ?? commonName),
  );
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey);
  await certificate.sign(issuer?.privateKey ?? keys.privateKey, "SHA-256");
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificate: pem("CERTIFICATE", certificate.toSchema(true).toBER(false)),
    key: pem("PRIVATE KEY", key),
    commonName,
    privateKey: keys.privateKey,
  };
}

/** Positive, and new for every certificate. */
function serialNumber(): ArrayBuffer {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = bytes[0] & 0x3f | 0x40;
  return bytes.buffer;
}

function named(commonName: string): AttributeTypeAndValue {
  return new AttributeTypeAndValue({
    type: "2.5.4.3",
    value: new Utf8String({ value: commonName }),
  });
}

/** RFC 5280: UTCTime through 2049, GeneralizedTime after it. */
function time(value: Date): Time {
  return new Time({ type: value.getUTCFullYear() < 2050 ? 0 : 1, value });
}

function extensionsFor(
  { names = [], authority = false }: CertificateContent,
): Extension[] {
  const extensions = [
    new Extension({
      extnID: "2.5.29.19",
      critical: true,
      extnValue: new BasicConstraints({ cA: authority }).toSchema().toBER(),
    }),
  ];
  if (!authority) {
    const usage = new ExtKeyUsage({
      keyPurposes: ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"],
    });
    extensions.push(
      new Extension({
        extnID: "2.5.29.37",
        extnValue: usage.toSchema().toBER(),
      }),
    );
  }
  if (names.length > 0) {
    const all = new GeneralNames({ names: names.map(generalName) });
    extensions.push(
      new Extension({ extnID: "2.5.29.17", extnValue: all.toSchema().toBER() }),
    );
  }
  return extensions;
}

function generalName(name: string): GeneralName {
  if (/^\d+(\.\d+){3}$/.test(name)) return ip(name.split(".").map(Number));
  if (name === "::1") return ip([...new Array<number>(15).fill(0), 1]);
  return new GeneralName({ type: 2, value: name });
}

function ip(bytes: readonly number[]): GeneralName {
  const valueHex = Uint8Array.from(bytes).buffer;
  return new GeneralName({ type: 7, value: new OctetString({ valueHex }) });
}

function pem(label: string, der: ArrayBuffer): string {
  const base64 = btoa(String.fromCharCode(...new Uint8Array(der)));
  const lines = base64.replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
