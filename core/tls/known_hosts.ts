/**
 * The servers that were trusted on first use: a line for each certificate,
 *
 *     127.0.0.1:8090 sha256:0123…
 *
 * What follows is ignored, and so are empty lines, those that begin with `#`,
 * and those that say something that this version does not know.
 *
 * @module
 */

import { readFingerprint } from "./fingerprint.ts";

/** What one line says. */
export interface KnownHost {
  /** As {@linkcode hostName} writes it. */
  readonly host: string;
  readonly fingerprint: string;
  /** Of the file, from 1. */
  readonly line: number;
}

/** The name of a server in the file: `box.example:8090`, `[::1]:8090`. */
export function hostName(
  { hostname, port }: { readonly hostname: string; readonly port: number },
): string {
  const host = hostname.toLowerCase();
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** What the file says of one server. */
export function findKnownHosts(text: string, host: string): KnownHost[] {
  return text.split("\n").flatMap((content, index) => {
    const [name, fingerprint = ""] = content.trim().split(/\s+/);
    const known = readFingerprint(fingerprint);
    return name.toLowerCase() === host && known !== null
      ? [{ host, fingerprint: known, line: index + 1 }]
      : [];
  });
}

/** What to append to a file of this text for one server more. */
export function knownHostLine(
  text: string,
  host: string,
  fingerprint: string,
): string {
  const begin = text === "" || text.endsWith("\n") ? "" : "\n";
  return `${begin}${host} ${fingerprint}\n`;
}
