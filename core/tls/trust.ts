/**
 * Whether a server is the one that is meant.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import { formatFingerprint } from "./fingerprint.ts";
import type { KnownHost } from "./known_hosts.ts";
import type { CertificateProblem, ShownCertificate } from "./options.ts";

/** By what a server is known. */
export type Trust =
  /** By its certificate and nothing else: neither its name nor its dates count. */
  | { readonly by: "pin"; readonly pins: readonly string[] }
  /** By a certificate that was recorded on first use. */
  | {
    readonly by: "record";
    readonly records: readonly KnownHost[];
    readonly file: string;
  }
  /** By who has signed it. */
  | { readonly by: "authority"; readonly named: boolean };

/**
 * Throws `certificate_changed`, `certificate_untrusted` or `certificate_invalid`
 * unless the server at `address` is to be trusted.
 */
export function judgeServer(
  address: string,
  { hash, problem }: ShownCertificate,
  trust: Trust,
): void {
  const shown = formatFingerprint(hash);
  switch (trust.by) {
    case "pin":
      if (trust.pins.includes(shown)) return;
      throw new LimpetError(
        "certificate_changed",
        `${address} is not the server that was pinned: its certificate is ` +
          `${shown}, and only ${trust.pins.join(", ")} is to be trusted. ` +
          "Somebody may be in between, or it has a new certificate",
      );
    case "record":
      if (trust.records.some((each) => each.fingerprint === shown)) return;
      throw changed(address, shown, trust.records, trust.file);
    case "authority":
      if (problem === null) return;
      throw refused(address, shown, problem, trust.named);
  }
}

function changed(
  address: string,
  shown: string,
  records: readonly KnownHost[],
  file: string,
): LimpetError {
  const lines = records.map(({ line }) => line);
  const which = `${lines.length > 1 ? "lines" : "line"} ${lines.join(", ")}`;
  const old = records.map(({ fingerprint }) => fingerprint).join(", ");
  return new LimpetError(
    "certificate_changed",
    `The certificate of ${address} has changed: it is ${shown}, and ${which} ` +
      `of ${file} has ${old} from before. Somebody may be in between, or the ` +
      "server has a new certificate. If you know that it has, remove " +
      `${which} of that file and connect again`,
  );
}

const WORDS: Readonly<Record<CertificateProblem, string>> = {
  untrusted: "nobody who is trusted has signed it",
  expired: "it has expired (is the clock here right?)",
  not_yet_valid: "it is not valid yet (is the clock here right?)",
  wrong_name: "it is for another name",
};

const ADVICE: Readonly<Record<CertificateProblem, string>> = {
  untrusted: "name who has signed it with --ca FILE",
  expired: "renew it on the server",
  not_yet_valid: "wait, or make another on the server",
  wrong_name: "connect by the name that it has",
};

function refused(
  address: string,
  shown: string,
  problem: CertificateProblem,
  named: boolean,
): LimpetError {
  const words = problem === "untrusted" && named
    ? "the authorities given with --ca have not signed it"
    : WORDS[problem];
  return new LimpetError(
    problem === "untrusted" ? "certificate_untrusted" : "certificate_invalid",
    `The certificate of ${address} is not to be trusted: ${words}. If its ` +
      `server prints this fingerprint, connect with --pin ${shown}; else ` +
      ADVICE[problem],
  );
}
