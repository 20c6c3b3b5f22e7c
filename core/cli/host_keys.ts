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
import { LimpetError } from "../errors.ts";
import {
  addKnownHost,
  type Host,
  knownHostsPath,
  readKnownHosts,
} from "../known_hosts_file.ts";
import type { Machine } from "../machine.ts";
import { printable } from "../printable.ts";
import { hostLines, hostName } from "../tls/known_hosts.ts";

type Place = Pick<Machine, "env" | "files" | "isWindows">;

/**
 * Throws `unauthenticated` unless the file has this key for the server. What to
 * do about it is in `cause`, in words: the server is told the message.
 */
export async function checkHostKey(
  place: Place,
  host: Host,
  hostKey: string,
): Promise<void> {
  const name = hostName(host);
  const known = await keysOf(place, name);
  if (known.some(({ value }) => value === hostKey)) return;
  const shown = printable(hostKey);
  if (known.length === 0) {
    throw new LimpetError(
      "unauthenticated",
      `Server at ${name} is not known here`,
      {
        cause: `If what it printed when it started is the key ${shown}, run ` +
          `"limpet key trust ${name} ${shown}"`,
      },
    );
  }
  const lines = known.map(({ line }) => line).join(", ");
  const keys = known.map(({ value }) => value).join(", ");
  throw new LimpetError(
    "unauthenticated",
    `The key of ${name} has changed: it is ${shown}`,
    {
      cause: `Line ${lines} of ${knownHostsPath(place)} has ${keys} from ` +
        "before. Somebody may be in between, or the server has a new key. If " +
        "you know that it has, remove that line and trust the new one",
    },
  );
}

/** Adds a server's key. False if the file has it already. */
export async function trustHostKey(
  place: Place,
  host: Host,
  hostKey: string,
): Promise<boolean> {
  const name = hostName(host);
  const known = await keysOf(place, name);
  if (known.some(({ value }) => value === hostKey)) return false;
  if (known.length > 0) {
    throw new LimpetError(
      "invalid_argument",
      `Cannot trust ${hostKey}: line ${known[0].line} of ` +
        `${
          knownHostsPath(place)
        } has another key for ${name}; remove it first ` +
        "if you know that it is the old one",
    );
  }
  await addKnownHost(place, host, hostKey);
  return true;
}

/** What the file has of a server. */
async function keysOf(
  place: Place,
  name: string,
): Promise<{ readonly value: string; readonly line: number }[]> {
  return hostLines(await readKnownHosts(place), name)
    .filter(({ value }) => readPublicKey(value) !== null);
}
