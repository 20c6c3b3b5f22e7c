/**
 * The servers' own keys, as this machine knows them: lines of `known_hosts`,
 *
 *     box.example:8090 ed25519:…
 *
 * Lines that say something else (certificates, comments) are left alone.
 *
 * @module
 */

import { readPublicKey } from "../auth/key_pair.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { Machine } from "../machine.ts";
import { printable } from "../printable.ts";
import { configDirectory } from "../token_file.ts";

type Place = Pick<Machine, "env" | "files" | "isWindows">;

/** A server at an address. */
export interface Host {
  readonly hostname: string;
  readonly port: number;
}

/** Where the file is. */
export function knownHostsPath(place: Place): string {
  return `${configDirectory(place)}${place.isWindows ? "\\" : "/"}known_hosts`;
}

/** `box.example:8090`, `[::1]:8090` */
function nameOf({ hostname, port }: Host): string {
  const host = hostname.toLowerCase();
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * Throws `unauthenticated` unless the file has this key for the server: with
 * what to do if it has none, and with the old one if it has another.
 */
export async function checkHostKey(
  place: Place,
  host: Host,
  hostKey: string,
): Promise<void> {
  const name = nameOf(host);
  const path = knownHostsPath(place);
  const known = await keysOf(place, name);
  if (known.some(({ key }) => key === hostKey)) return;
  if (known.length === 0) {
    throw new LimpetError(
      "unauthenticated",
      `Server at ${name} is not known here. If what it printed when it ` +
        `started is the key ${printable(hostKey)}, run "limpet key trust ` +
        `${name} ${printable(hostKey)}"`,
    );
  }
  const lines = known.map(({ line }) => line).join(", ");
  throw new LimpetError(
    "unauthenticated",
    `The key of ${name} has changed: it is ${printable(hostKey)}, and line ` +
      `${lines} of ${path} has ${
        known.map(({ key }) => key).join(", ")
      } from ` +
      "before. Somebody may be in between, or the server has a new key. If " +
      "you know that it has, remove that line and trust the new one",
  );
}

/** Adds a server's key. False if the file has it already. */
export async function trustHostKey(
  place: Place,
  host: Host,
  hostKey: string,
): Promise<boolean> {
  const name = nameOf(host);
  const path = knownHostsPath(place);
  const known = await keysOf(place, name);
  if (known.some(({ key }) => key === hostKey)) return false;
  if (known.length > 0) {
    throw new LimpetError(
      "invalid_argument",
      `Cannot trust ${hostKey}: line ${known[0].line} of ${path} has another ` +
        `key for ${name}; remove it first if you know that it is the old one`,
    );
  }
  const line = `${name} ${hostKey}\n`;
  try {
    if (await place.files.createPrivate(path, line)) return true;
    const before = (await place.files.read(path))?.text ?? "";
    const begin = before === "" || before.endsWith("\n") ? "" : "\n";
    // In one write of the system's: several may do so at the same time.
    const file = await place.files.openLog(path);
    try {
      await file.write(new TextEncoder().encode(`${begin}${line}`));
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    throw asLimpetError(error, "invalid_argument", `Cannot write to ${path}`);
  }
}

/** What the file has of a server. */
async function keysOf(
  place: Place,
  name: string,
): Promise<{ readonly key: string; readonly line: number }[]> {
  const path = knownHostsPath(place);
  const found = await place.files.read(path).catch((error) => {
    throw asLimpetError(error, "invalid_argument", `Cannot read ${path}`);
  });
  if (found === null) return [];
  if (found.mode !== null && (found.mode & 0o022) !== 0) {
    throw new LimpetError(
      "invalid_argument",
      `File ${path} can be written by others than its owner, so whom it ` +
        `trusts means nothing: look through it, then run "chmod 600 ${path}"`,
    );
  }
  return found.text.split("\n").flatMap((content, index) => {
    const [host, key = ""] = content.trim().split(/\s+/);
    return host.toLowerCase() === name && readPublicKey(key) !== null
      ? [{ key, line: index + 1 }]
      : [];
  });
}
