/**
 * The file of known hosts.
 *
 * @module
 */

import { asLimpetError, LimpetError } from "./errors.ts";
import type { Machine } from "./machine.ts";
import { findKnownHosts, hostName, knownHostLine } from "./tls/known_hosts.ts";
import type { Trust } from "./tls/trust.ts";
import { configDirectory } from "./token_file.ts";

type Place = Pick<Machine, "env" | "files" | "isWindows">;
/** A server at an address. */
export interface Host {
  readonly hostname: string;
  readonly port: number;
}

/** Where it is. */
export function knownHostsPath(place: Place): string {
  return `${configDirectory(place)}${place.isWindows ? "\\" : "/"}known_hosts`;
}

/**
 * What the file says of a host's certificate. Throws as
 * {@linkcode readKnownHosts} does.
 */
export async function recordOf(
  place: Place,
  host: Host,
): Promise<Trust & { readonly by: "record" }> {
  const file = knownHostsPath(place);
  const text = await readKnownHosts(place);
  return { by: "record", file, records: findKnownHosts(text, hostName(host)) };
}

/** Adds a host by its certificate. Resolves to the number of its line. */
export async function recordKnownHost(
  place: Place,
  host: Host,
  fingerprint: string,
): Promise<number> {
  await addKnownHost(place, host, fingerprint);
  const found = findKnownHosts(await readKnownHosts(place), hostName(host));
  return found.find((each) => each.fingerprint === fingerprint)?.line ?? 0;
}

/** Adds a line for a host: what it is to be known by from now on. */
export async function addKnownHost(
  place: Place,
  host: Host,
  value: string,
): Promise<void> {
  const path = knownHostsPath(place);
  const line = knownHostLine(
    await readKnownHosts(place),
    hostName(host),
    value,
  );
  try {
    await append(place, path, line);
  } catch (error) {
    throw asLimpetError(error, "invalid_argument", `Cannot write to ${path}`);
  }
}

/** In one write of the system's: several may do so at the same time. */
async function append(
  { files }: Place,
  path: string,
  text: string,
): Promise<void> {
  if (await files.createPrivate(path, text)) return;
  const file = await files.openLog(path);
  try {
    await file.write(new TextEncoder().encode(text));
  } finally {
    await file.close();
  }
}

/**
 * The text of the file, which need not be there. Throws `invalid_argument` when
 * others than its owner can write to it, for then it says nothing.
 */
export async function readKnownHosts(place: Place): Promise<string> {
  const file = knownHostsPath(place);
  const contents = await place.files.read(file).catch((error) => {
    throw asLimpetError(error, "invalid_argument", `Cannot read ${file}`);
  });
  if (contents === null) return "";
  const { text, mode } = contents;
  if (mode === null || (mode & 0o022) === 0) return text;
  throw new LimpetError(
    "invalid_argument",
    `File ${file} can be written by others than its owner (mode ${
      (mode & 0o777).toString(8).padStart(4, "0")
    }), so whom it trusts means nothing: look through it, then run "chmod 600 ` +
      `${file}"`,
  );
}
