/**
 * `limpet key show`: by what this machine is known, server and client, whether a
 * server runs or not; and the public half of any pair that `key new` made.
 *
 * @module
 */

import { hostKeyPath, readPrivateKey } from "../config/host_key.ts";
import { LimpetError } from "../errors.ts";
import { fingerprintOfPem } from "../tls/fingerprint.ts";
import { defaultCertificatePath, readPem } from "../tls_server.ts";
import { type Arguments, usageError } from "./args.ts";
import { ownWords } from "./codecs.ts";
import {
  configPath,
  defaultIdentityPath,
  soundConfig,
} from "./identity_flags.ts";
import type { CliRuntime } from "./runtime.ts";

/** What can be shown, and where it is. */
interface Shown {
  readonly file: string;
  /** Null: it does not exist. */
  readonly value: string | null;
  /** How it comes to exist. */
  readonly made: string;
}

const KINDS = ["host", "cert", "own"] as const;

/** Prints all that there is, or the one thing or file that is asked for. */
export async function showKeys(
  runtime: CliRuntime,
  args: Arguments,
  kind: string | undefined,
): Promise<void> {
  const known = KINDS.find((each) => each === kind);
  if (kind !== undefined && known === undefined) {
    const pair = await readPrivateKey(runtime, kind);
    if (pair !== null) return await print(runtime, [pair.publicKey]);
    throw usageError(
      `key show ${kind} is none of ${KINDS.join(", ")}, and there is no such ` +
        "file",
    );
  }
  if (known !== undefined) {
    const { value, file, made } = await shownOf(runtime, args, known);
    if (value !== null) return await print(runtime, [value]);
    throw new LimpetError(
      "invalid_argument",
      `There is nothing to show: ${file} does not exist; ${made}`,
    );
  }
  const rows: string[][] = [];
  for (const each of KINDS) {
    const { value, file } = await shownOf(runtime, args, each);
    if (value !== null) rows.push([each, value, file]);
  }
  if (rows.length === 0) {
    throw new LimpetError(
      "invalid_argument",
      "There is nothing to show: neither a server nor a client has made a key " +
        "here yet",
    );
  }
  const separator = runtime.stdout.isTerminal ? "  " : "\t";
  await print(
    runtime,
    rows.map(([name, ...rest]) =>
      [runtime.stdout.isTerminal ? name.padEnd(4) : name, ...rest]
        .join(separator)
    ),
  );
}

async function shownOf(
  runtime: CliRuntime,
  args: Arguments,
  kind: (typeof KINDS)[number],
): Promise<Shown> {
  if (kind === "cert") return await certificate(runtime, args);
  const file = kind === "host"
    ? hostKeyPath(runtime)
    : defaultIdentityPath(runtime);
  const pair = await readPrivateKey(runtime, file);
  const made = kind === "host"
    ? '"limpet serve" makes it once an identity has a key pair'
    : '"limpet key new" makes it';
  return { file, value: pair?.publicKey ?? null, made };
}

/** The one that the configuration names, or the server's own. */
async function certificate(
  runtime: CliRuntime,
  args: Arguments,
): Promise<Shown> {
  const config = await soundConfig(runtime, configPath(runtime, args));
  const configured = config?.tls?.cert;
  const own = defaultCertificatePath(runtime);
  const file = configured ?? own;
  const made = '"limpet serve tls://127.0.0.1" makes it';
  const isThere = await runtime.files.status(file) !== null;
  if (!isThere) return { file, value: null, made };
  const value = await fingerprintOfPem(
    await readPem(runtime, file, file === own),
  );
  if (value !== null) return { file, value, made };
  throw new LimpetError("invalid_argument", `File ${file} has no certificate`);
}

async function print(
  runtime: CliRuntime,
  lines: readonly string[],
): Promise<void> {
  const text = `${lines.join("\n")}\n`;
  await runtime.stdout.write(await ownWords(runtime, text));
}
