/**
 * The client: a session with a server, and commands on it.
 *
 * @module
 */

import type { Credential } from "./auth/credential.ts";
import { TokenKey } from "./auth/token.ts";
import { asLimpetError, LimpetError } from "./errors.ts";
import { RemoteCommand } from "./exec/client.ts";
import {
  collectOutput,
  commandName,
  type Output,
  rawInput,
} from "./exec/output.ts";
import {
  checkRequest,
  DEFAULT_DRAIN_MS,
  DEFAULT_KILL_AFTER_MS,
  encodeRequest,
  type ExecRequest,
} from "./exec/request.ts";
import type {
  AttachOptions,
  JobCommand,
  JobsClient,
  JobsFeature,
} from "./jobs/client.ts";
import type { Noise } from "./frame/preface.ts";
import { type Limits, resolveLimits } from "./limits.ts";
import { PlainLink } from "./link/plain_link.ts";
import type { Dialler, Duplex, Platform } from "./ports.ts";
import { within } from "./session/deadline.ts";
import type { GoingAway } from "./session/go_away.ts";
import { clientHandshake, turnAway } from "./session/handshake.ts";
import { Mux } from "./session/mux.ts";
import type { OutputOptions, SpawnOptions } from "./options.ts";
import { printable } from "./printable.ts";
import type { Resumption } from "./resumption.ts";
import { type ShellCommand, shellTag } from "./shell.ts";
import { codecNamed, type Encodings, type TextCodec } from "./text/mod.ts";

/** How to connect. */
export interface ConnectOptions {
  /** The secret shared with the server, at least 16 bytes. Never sent. */
  readonly token?: string;
  /** What to prove instead of a token: `KeyCredential` for a key pair. */
  readonly credential?: Credential;
  /** Bounds on what the server can make us hold; see `Limits`. */
  readonly limits?: Partial<Limits>;
  /** Gives up waiting for the connection. The session, once there, stays. */
  readonly signal?: AbortSignal;
  /**
   * Knows the encodings that `TextDecoder` does not, or cannot write, and more
   * names for those that it does: `iconv` of `limpet/iconv`. Not needed for
   * servers that speak UTF-8.
   */
  readonly encodings?: Encodings;
  /**
   * For `session.jobs()`, `attach()`, and commands that outlive us: `jobs` of
   * `limpet/jobs`, which comes with `limpet/node` and `limpet/deno`.
   */
  readonly jobs?: JobsFeature;
  /** For servers on the stdio of a program that prints something first. */
  readonly noise?: Noise;
  /**
   * Return before the server has proved that it has the token, so that the
   * first command leaves together with our own proof: one round trip less. Its
   * arguments and variables are then shown to whoever answers there; its input
   * waits for the server's proof, and nothing the server says is believed
   * before. `session.ready` tells. Default false.
   */
  readonly early?: boolean;
  /**
   * Survive lost connections: `resumable()`. Needs a dialler. Default: the session
   * ends with its connection.
   */
  readonly resume?: Resumption;
}

/**
 * Connects to a server: over a byte stream that is there already, or one that
 * `dial` makes.
 *
 * @throws {LimpetError} `connection_failed`, `connection_lost`,
 * `unauthenticated` (either side), `version_mismatch`, `protocol_error`,
 * `timed_out`, `cancelled`, or `invalid_argument` for a token that is too short.
 */
export async function connect(
  to: Duplex | Dialler,
  options: ConnectOptions,
): Promise<Session> {
  const limits = resolveLimits(options.limits);
  const credential = options.credential ??
    await TokenKey.from(options.token ?? "");
  if (options.signal?.aborted) throw cancelled(options.signal);
  const duplex = typeof to === "function"
    ? await to(options.signal).catch((error) => {
      throw options.signal?.aborted ? cancelled(options.signal) : error;
    })
    : to;
  const link = new PlainLink(duplex);
  const { noise, resume } = options;
  const growth = {
    // Until the handshake's first round trip, which begins now, is over.
    fastestMs: -link.heardAt,
    grown: 0,
    most: limits.maxWindowGrowthBytes,
    known: 0,
  };
  const lasting = resume?.(link, { to, credential, limits, noise, growth });
  const deadline = {
    ms: limits.handshakeTimeoutMs,
    signal: options.signal,
    doing: `Handshake with ${link.peer}`,
  };
  const shaking = clientHandshake(
    link,
    credential,
    limits,
    noise,
    lasting?.offer,
  );
  const handshake = await within(shaking, deadline).catch(async (thrown) => {
    const error = asLimpetError(thrown, "protocol_error", "Handshake");
    await turnAway(link, error);
    throw error;
  });
  growth.fastestMs += link.heardAt;
  const { peerLimits, proof } = handshake;
  const mux = new Mux({
    link: lasting ?? link,
    limits,
    peerLimits,
    proof,
    growth,
  });
  const ready = within(handshake.verify(), deadline);
  const session = new Session(mux, ready, options);
  if (!options.early) await session.ready;
  return session;
}

function cancelled(signal: AbortSignal, what = "Connecting"): LimpetError {
  return new LimpetError("cancelled", `${what} was cancelled by its signal`, {
    cause: signal.reason,
  });
}

type SessionOptions = Pick<ConnectOptions, "encodings" | "jobs">;

/** An authenticated connection to a server, with any number of commands. */
export class Session implements AsyncDisposable {
  /** What the server says of its machine, once it has proved its token. */
  readonly ready: Promise<Platform>;
  /** Resolves to the reason when the session is over. Never rejects. */
  readonly closed: Promise<LimpetError>;
  /**
   * Resolves if the server says that it is going down: it takes no more commands
   * (`spawn` throws `shutting_down`), those that run go on, and the session ends
   * by itself after the last of them. Stays pending otherwise.
   */
  readonly goingAway: Promise<GoingAway>;
  readonly #mux: Mux;
  readonly #encodings: Encodings | undefined;
  readonly #jobs: JobsFeature | undefined;
  #platform: Platform | null = null;

  /** Use {@linkcode connect}. */
  constructor(
    mux: Mux,
    ready: Promise<Platform>,
    options: SessionOptions = {},
  ) {
    this.#mux = mux;
    this.#encodings = options.encodings;
    this.#jobs = options.jobs;
    this.closed = mux.over;
    this.goingAway = mux.goingAway;
    this.ready = ready.then((platform) => {
      this.#platform = platform;
      mux.start();
      return platform;
    });
    this.ready.catch((error) => mux.fail(error));
  }

  /** The server's machine. Throws `unauthenticated` before `ready`. */
  get platform(): Platform {
    if (this.#platform !== null) return this.#platform;
    throw new LimpetError(
      "unauthenticated",
      "The server has not proved its token yet: await session.ready first",
    );
  }

  /**
   * The encoding of that name, by default that of the server's console. Throws
   * `invalid_argument` for a name that neither `TextDecoder` nor the option
   * `encodings` knows, and `unsupported` if that is the server's.
   */
  codec(encoding?: string): TextCodec {
    if (encoding !== undefined) return codecNamed(encoding, this.#encodings);
    const { encoding: spoken } = this.platform;
    try {
      return codecNamed(spoken, this.#encodings);
    } catch (cause) {
      const shown = printable(spoken);
      throw new LimpetError(
        "unsupported",
        `The server's console speaks ${shown}, unknown here: name an ` +
          "encoding, or give connect() those of limpet/iconv",
        { cause },
      );
    }
  }

  /** Whether the session is over. */
  get over(): boolean {
    return this.#mux.error !== null;
  }

  /**
   * Starts a command, in the way of `Deno.Command`. Throws `invalid_argument`
   * for what no command can be, `limit_exceeded` for one too many, `cancelled`
   * for a signal that has fired already, `shutting_down` once the server is
   * going down, and the session's end.
   */
  spawn(
    command: string,
    options: SpawnOptions & { readonly onDisconnect: "keep" | "detach" },
  ): JobCommand;
  spawn(command: string, options?: SpawnOptions): RemoteCommand;
  spawn(command: string, options: SpawnOptions = {}): RemoteCommand {
    return this.#start(this.#request(command, options), options.signal);
  }

  /**
   * Runs a command to its end and collects what it writes. Resolves whenever
   * the command ended by itself, whatever its code. Rejects as `spawn().status`
   * does, and with `timed_out` or `cancelled` if it was ended for that; the
   * error then has what came of stdout and stderr.
   */
  async output(command: string, options: OutputOptions = {}): Promise<Output> {
    const { stdin: input, maxBytes, ...rest } = options;
    const stdin = input === undefined ? "null" : "piped";
    const request = this.#request(command, { ...rest, stdin });
    // What the server's console speaks is known with its proof.
    if (typeof input === "string") await this.ready;
    const raw = rawInput(input, () => this.codec(options.encoding));
    const child = this.#start(request, options.signal);
    const piped = {
      stdout: request.stdout,
      stderr: request.stderr && !request.merge,
    };
    return await collectOutput(child, commandName(command), piped, {
      input: raw,
      maxBytes,
    });
  }

  /**
   * Runs a line in the server's shell, every value quoted for it:
   * `` await session.$`grep -c ${pattern} ${file}`.text() ``. Lists become
   * several words. Rejects with `command_failed` unless the code is 0.
   */
  $(strings: TemplateStringsArray, ...values: unknown[]): ShellCommand {
    return shellTag(this, strings, values);
  }

  /**
   * The jobs of our identity on this server. Throws `unsupported` unless `connect`
   * was given `jobs`.
   */
  jobs(): JobsClient {
    if (this.#jobs) return this.#jobs(this.#mux);
    throw new LimpetError("unsupported", "Jobs need connect()'s option jobs");
  }

  /** As `jobs().attach()`. */
  attach(id: string, options?: AttachOptions): JobCommand {
    return this.jobs().attach(id, options);
  }

  /**
   * Ends the session. Commands that still run end with it, here with the code
   * `closed`, there by SIGTERM and SIGKILL. Never rejects.
   */
  close(): Promise<void> {
    return this.#mux.close("closed");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #request(command: string, options: SpawnOptions): ExecRequest {
    const { encoding } = options;
    // Under the name that the server knows, whatever the caller calls it.
    const name = encoding === undefined ? undefined : this.codec(encoding).name;
    return makeRequest(command, { ...options, encoding: name });
  }

  #start(request: ExecRequest, signal: AbortSignal | undefined): RemoteCommand {
    checkRequest(request);
    if (signal?.aborted) throw cancelled(signal, "Starting");
    const channel = this.#mux.openChannel();
    let child: RemoteCommand;
    try {
      const what = [channel, request, encodeRequest(request)] as const;
      child = (request.onDisconnect ?? "kill") === "kill"
        ? new RemoteCommand(...what)
        : this.jobs().command(...what);
    } catch (error) {
      channel.end();
      throw error;
    }
    if (signal !== undefined) {
      const abort = () => child.terminate();
      signal.addEventListener("abort", abort, { once: true });
      const forget = () => signal.removeEventListener("abort", abort);
      child.status.then(forget, forget);
    }
    return child;
  }
}

function makeRequest(command: string, options: SpawnOptions): ExecRequest {
  if (options.shell && options.args !== undefined) {
    throw new LimpetError(
      "invalid_argument",
      "A shell line takes no args: they would have to be quoted into it",
    );
  }
  return {
    ...(options.shell
      ? { line: command }
      : { argv: [command, ...options.args ?? []] }),
    cwd: options.cwd,
    env: options.env ?? {},
    stdin: options.stdin === "piped",
    stdout: options.stdout !== "null",
    stderr: options.stderr !== "null",
    merge: options.merge ?? false,
    encoding: options.encoding,
    timeoutMs: options.timeoutMs,
    killAfterMs: options.killAfterMs ?? DEFAULT_KILL_AFTER_MS,
    drainMs: options.drainMs ?? DEFAULT_DRAIN_MS,
    traceparent: options.traceparent,
    jobId: options.jobId,
    onDisconnect: options.onDisconnect,
  };
}
