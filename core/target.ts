/**
 * Addresses as people write them.
 *
 * @module
 */

import { LimpetError } from "./errors.ts";
import type { SocketTarget } from "./ports.ts";

/** The port where nothing else is said. */
export const DEFAULT_PORT = 8090;

/** A server of the raw protocol, core/raw/README.md. */
export interface RawTarget {
  readonly kind: "raw";
  readonly hostname: string;
  readonly port: number;
}

/** Where to connect to: a socket, the stdio of a program, a raw server. */
export type Target =
  | SocketTarget
  | RawTarget
  | { readonly kind: "command"; readonly line: string };

const TARGET_FORMS = "host, host:port, tcp://host:port, tls://host:port, " +
  "unix:PATH, cmd:COMMAND LINE or raw://127.0.0.1:port";

const ADDRESS_FORMS =
  "host, host:port, tcp://host:port, tls://host:port or unix:PATH";

/** Reads a target. Throws `invalid_argument`. */
export function parseTarget(text: string): Target {
  if (text.startsWith("cmd:")) {
    const line = text.slice(4).trim();
    if (line === "") throw invalid(text, "it names no command", TARGET_FORMS);
    return { kind: "command", line };
  }
  if (/^raw:\/\//i.test(text)) {
    const { hostname, port } = parseHost(text, text.slice(6), TARGET_FORMS);
    return { kind: "raw", hostname, port };
  }
  return readAddress(text, TARGET_FORMS);
}

/** Reads the address of a socket. Throws as {@linkcode parseTarget} does. */
export function parseAddress(text: string): SocketTarget {
  return readAddress(text, ADDRESS_FORMS);
}

/** `forms`: what may be written here, for the error. */
function readAddress(text: string, forms: string): SocketTarget {
  if (text.startsWith("unix:")) {
    const path = text.slice(5).replace(/^\/\/(?=\/)/, "");
    if (path === "") throw invalid(text, "it names no path", forms);
    return { kind: "unix", path };
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1].toLowerCase();
  if (scheme === "tls") {
    return { ...parseHost(text, text.slice(6), forms), kind: "tls" };
  }
  if (scheme !== undefined && scheme !== "tcp") {
    if (scheme === "raw") {
      throw invalid(
        text,
        "raw:// is for those who connect; to serve the raw protocol, write " +
          "--raw tcp://host:port",
        forms,
      );
    }
    throw invalid(text, `it has the unknown scheme ${scheme}://`, forms);
  }
  return parseHost(text, scheme === undefined ? text : text.slice(6), forms);
}

function parseHost(
  whole: string,
  text: string,
  forms: string,
): { readonly kind: "tcp"; readonly hostname: string; readonly port: number } {
  const match = /^\[([^\]]*)\](?::(.*))?$/.exec(text) ??
    // More than one colon and no brackets: an IPv6 address without a port.
    (text.split(":").length > 2
      ? [text, text]
      : /^([^:]*)(?::(.*))?$/.exec(text));
  const bad = (why: string) => invalid(whole, why, forms);
  const hostname = match?.[1] ?? "";
  const port = match?.[2];
  if (hostname === "") throw bad("it names no host");
  if (hostname.includes("@")) {
    throw bad(
      "Limpet has no user names: the token says who you are",
    );
  }
  if (/^\d+$/.test(hostname) && port === undefined) {
    throw bad(`it looks like a port: write 127.0.0.1:${hostname}`);
  }
  if (/^(tcp|tls|raw)$/.test(hostname) || /^(tcp|tls|raw):/.test(text)) {
    throw bad(`// is missing after ${text.split(":", 1)[0]}:`);
  }
  if (!/^[A-Za-z0-9._:%-]+$/.test(hostname)) {
    throw bad(`"${hostname}" is no host name`);
  }
  if (port === undefined) return { kind: "tcp", hostname, port: DEFAULT_PORT };
  const number = /^\d{1,5}$/.test(port) ? Number(port) : NaN;
  if (!(number <= 65_535)) {
    throw bad(`"${port}" is no port from 0 to 65535`);
  }
  return { kind: "tcp", hostname, port: number };
}

/** The address in the form that can be read again: `tcp://127.0.0.1:8090`. */
export function formatTarget(target: Target): string {
  switch (target.kind) {
    case "command":
      return `cmd:${target.line}`;
    case "unix":
      return `unix:${target.path}`;
    case "tcp":
    case "tls":
    case "raw": {
      const { kind, hostname, port } = target;
      const host = hostname.includes(":") ? `[${hostname}]` : hostname;
      return `${kind}://${host}:${port}`;
    }
  }
}

/** Whether only this machine can reach the address. */
export function isLocal(target: Target): boolean {
  if (target.kind === "unix" || target.kind === "command") return true;
  return isLoopback(target.hostname) ||
    target.hostname.toLowerCase().endsWith(".localhost");
}

/** Whether a host is this machine's loopback interface, and says so itself. */
export function isLoopback(hostname: string): boolean {
  const host = hostname.toLowerCase();
  return host === "localhost" || host === "::1" ||
    /^127(\.\d{1,3}){3}$/.test(host);
}

function invalid(text: string, why: string, forms: string): LimpetError {
  return new LimpetError(
    "invalid_argument",
    `Address "${text}" cannot be used: ${why}. Write ${forms}`,
  );
}
