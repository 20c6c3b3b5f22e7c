/**
 * The configuration of a server, as its file has it.
 *
 * @module
 */

import type { ServerLimits } from "../server_limits.ts";
import type { Policy } from "../policy/policy.ts";
import type { TlsFiles } from "../tls_server.ts";

/** Somebody who may connect: exactly one of `token` and `publicKey`. */
export interface IdentityEntry {
  readonly name: string;
  /** The secret that they share with the server. */
  readonly token?: string;
  /** `ed25519:` and the 32 bytes in base64url. */
  readonly publicKey?: string;
  /** RFC 3339; from then on they may not connect. Default: never. */
  readonly expires?: string;
  /** Ranges as `10.0.0.0/8`, `unix`, `stdio`. Default: from everywhere. */
  readonly from?: readonly string[];
  /**
   * How long their sessions wait for another connection, in ms. Default: the
   * limit `graceMs`.
   */
  readonly graceMs?: number;
  /** Default: they may run anything that the server's user may. */
  readonly policy?: Policy;
}

/** What `server.json` says; `server.schema.json` has the same for editors. */
export interface ServerConfig {
  /**
   * Those who may connect, and nobody if it is empty. Null where the file says
   * nothing of them: everyone who has the token of the token file.
   */
  readonly identities: readonly IdentityEntry[] | null;
  readonly limits: Partial<ServerLimits>;
  /** Default: no log. */
  readonly audit?: AuditEntry;
  /** For `tls://`. Default: a certificate that is made on first start. */
  readonly tls?: TlsFiles;
  /** How long commands may go on when the server ends, in ms. Default 30,000. */
  readonly drainMs?: number;
}

/** The log of what happens. */
export interface AuditEntry {
  /** A path, or `stderr`. */
  readonly file: string;
  /** Default `stop`. */
  readonly onFailure?: "stop" | "continue";
}
