/**
 * The golden vectors, typed. test/vectors/README.md says what they mean.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./runtimes.ts";

export type Role = "client" | "server";

export interface Message {
  readonly type: number;
  readonly name: string;
  readonly stream: number;
  readonly channel: number;
  readonly json?: Record<string, unknown>;
  readonly credit?: number;
  readonly payload?: string;
}

export interface PrefaceCase {
  readonly name: string;
  readonly reader: Role;
  readonly transport: "socket" | "stdio";
  readonly hex: string;
  readonly before?: { readonly hex: string; readonly times: number };
  readonly result: "accept" | "wait" | "close";
  readonly consumed?: number;
  readonly skipped?: string;
  readonly decided?: number;
}

export interface FrameCase {
  readonly name: string;
  readonly from: Role;
  readonly authenticated: boolean;
  readonly limits: { readonly frame: number; readonly control: number };
  readonly hex: string;
}

export interface ResumeCase {
  readonly name: string;
  readonly from: Role;
  readonly hex: string;
  readonly acknowledges: number;
  readonly cuts: readonly {
    readonly bytes: number;
    readonly received: number;
    readonly again: string;
    readonly begun: number;
    readonly rest: string;
    readonly then: { readonly bytes: number; readonly received: number };
  }[];
}

export interface HandshakeCase {
  readonly name: string;
  readonly token: string;
  readonly tokenId: string;
  readonly binding: string;
  readonly clientHello: string;
  readonly serverHello: string;
  readonly transcript: string;
  readonly clientProof: string;
  /** Null from a server that was not convinced itself. */
  readonly serverProof: string | null;
  readonly clientProofFrame: string;
  readonly serverProofFrame: string | null;
  readonly serverCloseFrame?: string;
  readonly verifies: boolean;
  readonly wrong?: Role;
}

export interface KeyPairCase {
  readonly name: string;
  readonly clientSeed: string;
  readonly hostSeed: string;
  readonly clientKey: string;
  readonly hostKey: string;
  readonly clientHello: string;
  readonly serverHello: string;
  readonly transcript: string;
  readonly clientProof: string;
  readonly serverProof: string;
  readonly clientProofFrame: string;
  readonly wrong?: Role;
}

export interface Step {
  readonly from: Role;
  readonly hex: string;
  readonly messages: readonly Message[];
}

interface WireLimits {
  readonly frame: number;
  readonly control: number;
  readonly window: number;
}

export interface SessionCase {
  readonly name: string;
  readonly token: string;
  readonly clientToken?: string;
  readonly limits: { readonly client: WireLimits; readonly server: WireLimits };
  readonly request: Record<string, unknown> | null;
  readonly stdin: string | null;
  readonly steps: readonly Step[];
  readonly result: {
    readonly status?: number;
    readonly stdout?: string;
    readonly stderr?: string;
    readonly close?: { readonly by: Role; readonly code: string };
  };
}

function read<T>(name: string): T {
  const path = join(ROOT, "test", "vectors", `${name}.json`);
  return JSON.parse(readFileSync(path, "utf8"));
}

export const prefaceVectors = read<{
  prefaces: Record<Role, string>;
  skipLimit: number;
  cases: PrefaceCase[];
}>("preface");

export const frameVectors = read<{
  types: Record<string, number>;
  valid: (FrameCase & { messages: Message[] })[];
  invalid: (FrameCase & { error: string; known: number; layer: string })[];
  refused: (FrameCase & { channel: number; refused: string })[];
}>("frames");

export const resumeVectors = read<{ cases: ResumeCase[] }>("resume");

export const handshakeVectors = read<{
  labels: Record<string, string>;
  cases: HandshakeCase[];
  keyPairs: KeyPairCase[];
}>("handshake");

export const sessionVectors = read<{
  sessions: SessionCase[];
  broken: SessionCase[];
}>("sessions");

/** What a page in a browser can send, by the way it is sent. */
export const browserRecordings = read<{
  browser: string;
  recordings: { way: string; hex: string }[];
}>("browser");
