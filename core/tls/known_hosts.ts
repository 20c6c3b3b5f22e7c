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

/** The lines of the file that are about one server, and what they have of it. */
export function hostLines(
  text: string,
  host: string,
): { readonly value: string; readonly line: number }[] {
  return text.split("\n").flatMap((content, index) => {
    const [name, value = ""] = content.trim().split(/\s+/);
    return name.toLowerCase() === host ? [{ value, line: index + 1 }] : [];
  });
}

/** The certificates that the file has of one server. */
export function findKnownHosts(text: string, host: string): KnownHost[] {
  return hostLines(text, host).flatMap(({ value, line }) => {
    const fingerprint = readFingerprint(value);
    return fingerprint === null ? [] : [{ host, fingerprint, line }];
  });
}

/** What to append to a file of this text for one server more. */
export function knownHostLine(
  text: string,
  host: string,
  value: string,
): string {
  const begin = text === "" || text.endsWith("\n") ? "" : "\n";
  return `${begin}${host} ${value}\n`;
}
