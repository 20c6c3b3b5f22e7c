/**
 * From the client's flags to a session.
 *
 * @module
 */

import type { Credential } from "../auth/credential.ts";
import { connect, type Session } from "../client.ts";
import { diallerOf, MAX_NOISE_BYTES, saidNothing } from "../dial.ts";
import { DROPPED_ADVICE, LimpetError } from "../errors.ts";
import { jobs } from "../jobs/client.ts";
import type { Dialler } from "../ports.ts";
import { DEFAULT_DRAIN_MS, DEFAULT_KILL_AFTER_MS } from "../exec/request.ts";
import { resumable } from "../resume.ts";
import { formatTarget, isLocal, parseTarget, type Target } from "../target.ts";
import { findToken } from "../token_file.ts";
import {
  type Arguments,
  parseDuration,
  parseWait,
  usageError,
} from "./args.ts";
import { AwayNotice } from "./away.ts";
import { loadCodec, loadEncodings } from "./codecs.ts";
import { clientLimits, resumeTimeout } from "./limits.ts";
import { LAST_WORDS_MS, type Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";

/**
 * Connects as the flags say, for as long as `use` takes. The session may not be
 * proved yet: see `ready`. That it was refused is told with what was proved.
 */
export async function withSession<T>(
  runtime: CliRuntime,
  args: Arguments,
  report: Reporter,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const target = parseTarget(args.positionals[0]);
  refuseTlsFlags(target, args);
  const { what, ...proving } = await credentialOf(runtime, args, target);
  report.debug(what);
  const session = await openSession(runtime, args, target, proving, report);
  try {
    return await use(session);
  } catch (error) {
    if (!(error instanceof LimpetError) || error.code !== "unauthenticated") {
      throw error;
    }
    const message = `${error.message} (${what})`;
    throw new LimpetError(error.code, message, { cause: error });
  } finally {
    await Promise.all([report.flush(LAST_WORDS_MS), session.close()]);
  }
}

/** What we prove ourselves with. */
type Proving =
  | { readonly token: string }
  | { readonly credential: Credential };

async function openSession(
  runtime: CliRuntime,
  args: Arguments,
  target: Target,
  proving: Proving,
  report: Reporter,
): Promise<Session> {
  if (
    target.kind !== "tls" && !isLocal(target) && !args.has("insecure")
  ) {
    report.warn(
      `the connection to ${
        formatTarget(target)
      } is not encrypted: whoever is ` +
        "on the way can read and change it (--insecure says that you know)",
    );
  }
  const timeout = args.value("connect-timeout") ?? "10s";
  const patienceMs = parseWait(timeout, "--connect-timeout");
  const noise = {
    maxBytes: MAX_NOISE_BYTES,
    show: (bytes: Uint8Array) => {
      for (const line of new TextDecoder().decode(bytes).trim().split("\n")) {
        report.info(`${formatTarget(target)} says: ${line.trimEnd()}`);
      }
    },
  };
  const encodings = args.has("encoding") ? await loadEncodings() : undefined;
  let connected = false;
  const patience = new AbortController();
  const begin = () => setTimeout(() => patience.abort(), patienceMs);
  let timer = begin();
  /** Time in which the user thinks does not count. */
  const withoutHurry = async <T>(wait: () => Promise<T>): Promise<T> => {
    clearTimeout(timer);
    try {
      return await wait();
    } finally {
      timer = begin();
    }
  };
  try {
    const dial = target.kind === "tls"
      ? await (await import("./tls.ts"))
        .tlsDialler(runtime, target, args, report, withoutHurry)
      : diallerOf(runtime, target);
    const dialled: Dialler = async (signal) => {
      const duplex = await dial(signal);
      connected = true;
      return duplex;
    };
    const away = new AwayNotice(report, formatTarget(target));
    const { onEvent } = away;
    const timeoutMs = resumeTimeout(args);
    // The program behind cmd: has our session, and ends with its stdio: started
    // again it would be another server.
    const resumes = target.kind !== "command" && timeoutMs !== 0;
    const session = await connect(dialled, {
      ...proving,
      resume: resumes ? resumable({ timeoutMs, onEvent }) : undefined,
      encodings,
      jobs,
      early: true,
      limits: { handshakeTimeoutMs: patienceMs, ...clientLimits(args) },
      signal: patience.signal,
      noise: target.kind === "command" ? noise : undefined,
    });
    session.closed.then(() => away.stop());
    report.debug(`connected to ${formatTarget(target)}`);
    return session;
  } catch (error) {
    if (!patience.signal.aborted) throw explained(error, connected, target);
    const silent = connected && target.kind === "tcp"
      ? ": it takes connections, and does not answer as a Limpet server does. " +
        "A server of plain lines, as the lesson's, is " +
        formatTarget({ ...target, kind: "raw" })
      : "";
    throw new LimpetError(
      "timed_out",
      `Cannot connect to ${formatTarget(target)} within ${timeout}${silent}`,
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** With what it may mean that the server said nothing. */
function explained(
  error: unknown,
  connected: boolean,
  { kind }: Target,
): unknown {
  if (!connected || kind === "command" || !(error instanceof LimpetError)) {
    return error;
  }
  const { code, message } = error;
  if (!saidNothing(error)) return error;
  return new LimpetError(code, `${message}. ${DROPPED_ADVICE}`, {
    cause: error,
  });
}

/** What we prove ourselves with: a key pair if one is named, else a token. */
async function credentialOf(
  runtime: CliRuntime,
  args: Arguments,
  target: Target,
): Promise<Proving & { readonly what: string }> {
  const given = args.value("identity-file");
  const tokenFile = args.value("token-file");
  if (given !== undefined && tokenFile !== undefined) {
    throw usageError("--identity-file and --token-file exclude each other");
  }
  const path = given ??
    (tokenFile === undefined ? runtime.env("LIMPET_IDENTITY_FILE") : undefined);
  if (path === undefined) {
    if (args.has("host-key")) {
      throw usageError("--host-key goes with --identity-file");
    }
    const { token, source } = await findToken(runtime, tokenFile);
    return { token, what: `the token is from ${source}` };
  }
  const { keyCredential } = await import("./identity_file.ts");
  const credential = await keyCredential(runtime, args, path, target);
  return { credential, what: `the private key is from ${path}` };
}

/** What protects nothing must not look as if it did. */
function refuseTlsFlags(target: Target, args: Arguments): void {
  if (target.kind === "tls") return;
  const flag = ["pin", "ca", "cert", "key"].find((name) => args.has(name));
  if (flag === undefined) return;
  throw usageError(`--${flag} is for tls://, not for ${formatTarget(target)}`);
}

/** What `exec` and `shell` say of every command they run. */
export interface CommandFlags {
  readonly cwd: string | undefined;
  readonly env: Record<string, string>;
  readonly timeoutMs: number | undefined;
  readonly killAfterMs: number;
  readonly drainMs: number;
  readonly merge: boolean;
  /** Undefined unless the user named one. */
  readonly encoding: string | undefined;
  /** Of our own environment: whoever started us may be part of a trace. */
  readonly traceparent: string | undefined;
}

/** Reads the flags that `exec` and `shell` share. */
export async function commandFlags(
  runtime: CliRuntime,
  args: Arguments,
): Promise<CommandFlags> {
  const time = (name: string) => {
    const value = args.value(name);
    return value === undefined ? undefined : parseDuration(value, `--${name}`);
  };
  const encoding = args.value("encoding");
  return {
    cwd: args.value("workdir"),
    env: readEnv(runtime, args.values("env")),
    timeoutMs: time("timeout"),
    killAfterMs: time("kill-after") ?? DEFAULT_KILL_AFTER_MS,
    drainMs: time("drain") ?? DEFAULT_DRAIN_MS,
    merge: args.has("merge"),
    encoding: encoding === undefined
      ? undefined
      : (await loadCodec(encoding)).name,
    traceparent: runtime.env("TRACEPARENT"),
  };
}

function readEnv(
  runtime: CliRuntime,
  given: readonly string[],
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const entry of given) {
    const at = entry.indexOf("=");
    const name = at < 0 ? entry : entry.slice(0, at);
    if (name === "") throw usageError(`--env "${entry}" names no variable`);
    const value = at < 0 ? runtime.env(name) : entry.slice(at + 1);
    // As docker does: a variable that is not set here is not set there.
    if (value !== undefined) env[name] = value;
  }
  return env;
}
