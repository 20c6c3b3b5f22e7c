/**
 * The certificate that a server shows, and where it is kept.
 *
 * @module
 */

import { counted } from "./counted.ts";
import { asLimpetError, LimpetError } from "./errors.ts";
import type { Machine } from "./machine.ts";
import type { Validity } from "./tls/failure.ts";
import { fingerprintOfPem } from "./tls/fingerprint.ts";
import type { TlsIdentity, TlsListenOptions } from "./tls/options.ts";
import { identityOf } from "./tls/pem.ts";
import { configDirectory, isOpenToOthers } from "./token_file.ts";

/** How to serve at a `tls://` address. */
export interface TlsServerOptions {
  /**
   * The certificate, and what leads to its root, in PEM. With `key`. Default:
   * one that was made on first start, in the configuration folder.
   */
  readonly cert?: string;
  /** Its private key, in PEM. */
  readonly key?: string;
  /** Only clients with a certificate of these authorities get in. In PEM. */
  readonly clientCa?: string | readonly string[];
}

/** The same by the files that they are in; `cert` and `key` together. */
export interface TlsFiles {
  readonly cert?: string;
  readonly key?: string;
  readonly clientCa?: string;
}

/** What to listen with. */
export interface ServerTls {
  readonly options: TlsListenOptions;
  /** Of the certificate, in the form that `--pin` takes. */
  readonly fingerprint: string;
  /** The file that was made just now; null if none was. */
  readonly made: string | null;
}

type Place = Pick<Machine, "env" | "files" | "isWindows">;

/** The file with certificate and key that a server makes for itself. */
export function defaultCertificatePath(place: Place): string {
  const separator = place.isWindows ? "\\" : "/";
  return `${configDirectory(place)}${separator}tls.pem`;
}

/** The certificate that was given, or our own. Throws `invalid_argument`. */
export async function serverTls(
  place: Place,
  { cert, key, clientCa }: TlsServerOptions = {},
): Promise<ServerTls> {
  if ((cert === undefined) !== (key === undefined)) {
    throw new LimpetError(
      "invalid_argument",
      "A server's certificate and its key go together: give both, or neither " +
        "for one that is made on first start",
    );
  }
  const own = cert === undefined || key === undefined
    ? await findOrMake(place)
    : null;
  const identity = own?.identity ?? identityOf(cert!, key!);
  const fingerprint = await fingerprintOfPem(identity.certificate);
  if (fingerprint === null) {
    throw new LimpetError(
      "invalid_argument",
      "There is no certificate in PEM (-----BEGIN CERTIFICATE-----) in " +
        (own === null ? "what is given for one" : own.path),
    );
  }
  const clientRoots = typeof clientCa === "string" ? [clientCa] : clientCa;
  return {
    options: { identity, clientRoots },
    fingerprint,
    made: own?.made ? own.path : null,
  };
}

/**
 * A small file in PEM that is named on the command line. Of one with a private
 * key, `secret`, nobody else may be able to read it.
 */
export async function readPem(
  place: Pick<Machine, "env" | "files">,
  path: string,
  secret: boolean,
): Promise<string> {
  const contents = await place.files.read(path).catch((error) => {
    throw asLimpetError(error, "invalid_argument", `Cannot read ${path}`);
  });
  const fail = (why: string) =>
    new LimpetError("invalid_argument", `File ${path} ${why}`);
  if (contents === null) throw fail("does not exist");
  const { text, mode } = contents;
  if (secret && isOpenToOthers(place, path, mode)) {
    throw fail(
      "has a private key and can be read by others than its owner (mode " +
        `${(mode! & 0o777).toString(8).padStart(4, "0")}): run "chmod 600 ` +
        `${path}", and replace the key if anyone may have seen it`,
    );
  }
  const [what, label] = secret
    ? ["private key", "PRIVATE KEY"]
    : ["certificate", "CERTIFICATE"];
  if (!new RegExp(`-----BEGIN ([A-Z0-9]+ )*${label}-----`).test(text)) {
    throw new LimpetError(
      "invalid_argument",
      `There is no ${what} in PEM (-----BEGIN ${label}-----) in ${path}`,
    );
  }
  return text;
}

/** Reads what there is. Throws as {@linkcode readPem} does. */
export async function readTls(
  place: Pick<Machine, "env" | "files">,
  { cert, key, clientCa }: TlsFiles,
): Promise<TlsServerOptions> {
  const read = async (path: string | undefined) =>
    path === undefined
      ? undefined
      // One file may hold both.
      : await readPem(place, path, path === key);
  return {
    cert: await read(cert),
    key: await read(key),
    clientCa: await read(clientCa),
  };
}

/** A certificate is to be renewed so long before its end, in ms. */
const SOON_MS = 14 * 86_400_000;

/** What to say of a certificate that is not good now or ends soon, else null. */
export function validityWarning(
  { notBefore, notAfter }: Validity,
  now: number,
): string | null {
  if (notBefore > now) {
    const from = new Date(notBefore).toISOString().replace(".000", "");
    return `the certificate is not valid yet, but from ${from} on`;
  }
  if (notAfter - now > SOON_MS) return null;
  const at = new Date(notAfter).toISOString().replace(".000", "");
  if (notAfter <= now) return `the certificate has expired, at ${at}`;
  const days = Math.floor((notAfter - now) / 86_400_000);
  const left = days === 0 ? "today or tomorrow" : `in ${counted(days, "day")}`;
  return `the certificate expires ${left}, at ${at}`;
}

interface Own {
  readonly identity: TlsIdentity;
  readonly path: string;
  readonly made: boolean;
}

async function findOrMake(place: Place): Promise<Own> {
  const path = defaultCertificatePath(place);
  const found = await place.files.read(path).catch((error) => {
    throw asLimpetError(error, "invalid_argument", `Cannot read ${path}`);
  });
  let made = false;
  if (found === null) {
    const text = await makeOwn();
    made = await place.files.createPrivate(path, text).catch((error) => {
      throw asLimpetError(error, "invalid_argument", `Cannot make ${path}`);
    });
  }
  // Read again: another server may have been first to make it.
  const text = await readPem(place, path, true);
  return { identity: identityOf(text, text), path, made };
}

/** One file holds both, so that they never fail to fit. */
async function makeOwn(): Promise<string> {
  const { makeCertificate, NO_END } = await import("./tls/certificate.ts");
  const { certificate, key } = await makeCertificate({
    commonName: "limpet",
    names: ["localhost", "127.0.0.1", "::1"],
    // Clocks differ.
    notBefore: new Date(Date.now() - 86_400_000),
    // Who pins it looks at nothing but the certificate itself.
    notAfter: NO_END,
  });
  return key + certificate;
}
