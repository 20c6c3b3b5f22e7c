/**
 * What an adapter must know to speak TLS. It translates and decides nothing:
 * whom to trust is `trust.ts`, what a failure means is `failure.ts`.
 *
 * @module
 */

/** What is wrong with a certificate's path, in our words for the runtime's. */
export type CertificateProblem =
  | "untrusted"
  | "expired"
  | "not_yet_valid"
  | "wrong_name";

/** What a server has shown, together with the proof that it has the key. */
export interface ShownCertificate {
  /** SHA-256 of the certificate (DER), 32 bytes. */
  readonly hash: Uint8Array;
  /** Null if it leads to a root that is trusted, is in time and has the name. */
  readonly problem: CertificateProblem | null;
  /** The runtime's own words for the problem; empty without one. */
  readonly detail: string;
}

/** How to connect over TLS. */
export interface TlsDialOptions {
  /** Roots in PEM; none: no path leads anywhere. Default: the system's. */
  readonly roots?: readonly string[];
  /** Our own certificate and its key, in PEM, for servers that ask. */
  readonly identity?: TlsIdentity;
  /**
   * Called before a byte of ours is sent. Whatever it throws ends the connection
   * and is what dialling rejects with.
   */
  judge(shown: ShownCertificate): void;
}

/** How to serve over TLS. */
export interface TlsListenOptions {
  readonly identity: TlsIdentity;
  /** Roots in PEM: only clients with a certificate of theirs get in. */
  readonly clientRoots?: readonly string[];
}

/** A certificate (with what leads to its root) and its private key, in PEM. */
export interface TlsIdentity {
  readonly certificate: string;
  readonly key: string;
}
