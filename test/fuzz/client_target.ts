/**
 * Our client, used in some way or other, and a hostile server.
 *
 * @module
 */

import { connect, type Session } from "../../core/client.ts";
import { LimpetError } from "../../core/errors.ts";
import type { RemoteCommand } from "../../core/exec/client.ts";
import type { Credential } from "../../core/auth/credential.ts";
import { KeyCredential } from "../../core/auth/key_credential.ts";
import type { SpawnOptions } from "../../core/options.ts";
import { type JobInfo, jobs } from "../../core/jobs/client.ts";
import type { Dialler, Duplex } from "../../core/ports.ts";
import { resumable } from "../../core/resume.ts";
import { iconv } from "../../core/text/iconv.ts";
import { pair } from "../support/pair.ts";
import { makeScript } from "./generate.ts";
import { seedNonces } from "./inline_crypto.ts";
import { LastingPlayer } from "./lasting_player.ts";
import { settle } from "./player.ts";
import { Prng } from "./prng.ts";
import { orHang, unclean, wrongWith } from "./problems.ts";
import { HOST_KEY, pairs, TLS, TOKEN } from "./secrets.ts";
import { hasSecret, type Script } from "./script.ts";
import { count, type Target } from "./target.ts";

const WINDOW = 2_048;
const MAX_NOISE = 64;

const LIMITS = {
  maxFrameBytes: 4_096,
  maxControlBytes: 12_000,
  windowBytes: WINDOW,
  maxWindowGrowthBytes: 14_336,
  maxChannels: 6,
  maxQueuedControlBytes: 20_000,
  handshakeTimeoutMs: 60_000,
};

/** See the module's description. */
export class ClientTarget implements Target<Script> {
  readonly reached: Map<string, number> = new Map();
  readonly #lasting: boolean;

  /** `lasting`: a client that comes back, and that knows of jobs. */
  constructor(lasting = false) {
    this.#lasting = lasting;
  }

  make(rng: Prng): Script {
    return makeScript("server", rng, this.#lasting);
  }

  async run(script: Script): Promise<string[]> {
    seedNonces(new Prng(script.seed, 1));
    const user = new User(script, this.reached, this.#lasting);
    const door = new Door(script);
    const player = new LastingPlayer("server", () => door.next());
    const using = user.use(door.dial);
    await settle();
    await player.play(script);
    door.close();
    await player.drop();
    await orHang(using, "The client has not noticed that the server has gone");
    count(this.reached, `connections ${player.count}`);
    return [...player.problems, ...user.problems];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** After so many turns of the event loop a client that comes back is here. */
const TURNS_TO_DIAL = 40;

/** Where a client knocks, and a script waits for it. */
class Door {
  readonly #script: Script;
  readonly #waiting: Duplex[] = [];
  #closed = false;

  constructor(script: Script) {
    this.#script = script;
  }

  /** For the client. */
  readonly dial: Dialler = async () => {
    await null;
    if (this.#closed) {
      // What no other attempt can change.
      throw new LimpetError("unsupported", "Nothing more is played");
    }
    const [clientEnd, serverEnd] = pair(4_096).map((end) => ({
      ...end,
      tls: TLS[this.#script.tls ?? "none"],
    }));
    this.#waiting.push(serverEnd);
    return clientEnd;
  };

  /** For the script: the next connection; null if the client makes none. */
  async next(): Promise<Duplex | null> {
    for (let i = 0; i < TURNS_TO_DIAL && this.#waiting.length === 0; i++) {
      await settle(1);
    }
    return this.#waiting.shift() ?? null;
  }

  close(): void {
    this.#closed = true;
    for (const duplex of this.#waiting) {
      duplex.readable.cancel().catch(() => {});
      duplex.writable.abort().catch(() => {});
    }
  }
}

/** Someone who has a session and does things with it. */
class User {
  readonly problems: string[] = [];
  readonly #rng: Prng;
  readonly #proved: boolean;
  readonly #reached: Map<string, number>;
  readonly #lasting: boolean;
  #noise = 0;

  constructor(
    script: Script,
    reached: Map<string, number>,
    lasting: boolean,
  ) {
    this.#reached = reached;
    this.#lasting = lasting;
    this.#rng = new Prng(script.seed, 2);
    this.#proved = hasSecret(script);
  }

  /** Settles when the session and all of its commands are over. */
  async use(dial: Dialler): Promise<void> {
    const rng = this.#rng;
    const early = rng.oneIn(2);
    const show = (bytes: Uint8Array) => {
      this.#noise += bytes.byteLength;
    };
    const noise = rng.oneIn(3) ? { maxBytes: MAX_NOISE, show } : undefined;
    let session: Session;
    try {
      session = await connect(dial, {
        ...await this.#secret(),
        limits: LIMITS,
        early,
        noise,
        encodings: rng.oneIn(2) ? iconv : undefined,
        jobs: this.#lasting ? jobs : undefined,
        resume: this.#lasting ? this.#resumption() : undefined,
      });
      if (!early) this.#believes("The session");
    } catch (error) {
      return this.#fails("Connecting", error);
    } finally {
      if (this.#noise > MAX_NOISE) {
        this.problems.push(`${this.#noise} bytes of noise were shown`);
      }
    }
    const ready = session.ready.then(
      () => this.#believes("The platform"),
      (error) => this.#fails("Proof", error),
    );
    session.goingAway.then(({ reason }) => {
      this.#believes("That it goes away");
      this.#fails("Going away", reason);
    });
    const commands = Array.from(
      { length: 1 + rng.below(3) },
      () => this.#run(session),
    );
    if (rng.oneIn(4)) commands.push(this.#collect(session));
    if (this.#lasting) {
      for (let i = rng.below(4); i > 0; i--) {
        commands.push(this.#askOfJobs(session));
      }
    }
    if (rng.oneIn(6)) ready.then(() => this.#lookUpCodec(session));
    await Promise.all([ready, ...commands]);
    this.#fails("The session's end", await session.closed);
    await session.close();
  }

  /** A key pair, now and then, and the one server that it is for. */
  async #secret(): Promise<{ token: string } | { credential: Credential }> {
    if (!this.#rng.oneIn(3)) return { token: TOKEN };
    return { credential: new KeyCredential(await pairs.client(), HOST_KEY) };
  }

  #resumption() {
    return resumable({
      maxReplayBytes: this.#rng.pick([0, 6_000, undefined]),
      // No waiting between attempts.
      random: () => 0,
      onEvent: (event) => {
        count(this.#reached, event.type);
        if (event.type === "resumed") this.#believes("That it goes on");
        else this.#fails("A connection", event.reason);
      },
    });
  }

  async #askOfJobs(session: Session): Promise<void> {
    const rng = this.#rng;
    const client = session.jobs();
    const job = client.job("a");
    const clean = (infos: readonly JobInfo[]) => {
      this.#believes("A job");
      for (const { id, state, problem } of infos) {
        for (const text of [id, state, problem ?? ""]) {
          const wrong = unclean(text);
          if (wrong !== null) this.problems.push(`A job: ${wrong}`);
        }
      }
    };
    try {
      switch (rng.below(6)) {
        case 0:
          return clean(await client.list());
        case 1:
          return clean([await job.info()]);
        case 2: {
          const stop = new AbortController();
          const waiting = job.wait(stop.signal);
          if (rng.oneIn(3)) settle(3).then(() => stop.abort());
          return clean([await waiting]);
        }
        case 3:
          return await job.kill();
        case 4:
          return await job.remove();
        default: {
          const attached = session.attach("a", {
            stdoutOffset: rng.pick([0, 3, 1_000]),
            follow: rng.oneIn(2),
            stdin: rng.oneIn(2) ? "piped" : "null",
          });
          attached.onDropped = () => this.#believes("What is gone");
          if (rng.oneIn(4)) settle(3).then(() => attached.detach());
          attached.pid.catch(() => {});
          await Promise.all([
            this.#read(attached.stdout),
            this.#read(attached.stderr),
            attached.status,
          ]);
          this.#believes("How a job ended");
        }
      }
    } catch (error) {
      this.#fails("A job", error);
    }
  }

  async #run(session: Session): Promise<void> {
    const rng = this.#rng;
    const options: SpawnOptions = {
      // Mostly what the server's script counts on: it is not made for this user.
      stdin: rng.oneIn(4) ? "null" : "piped",
      stdout: rng.oneIn(12) ? "null" : "piped",
      stderr: rng.oneIn(12) ? "null" : "piped",
      merge: rng.oneIn(16),
      args: ["x".repeat(rng.pick([1, 10, 3_000]))],
      onDisconnect: this.#lasting
        ? rng.pick(["kill", "keep", "detach"] as const)
        : undefined,
    };
    let command: RemoteCommand;
    try {
      command = session.spawn("cat", options);
    } catch (error) {
      return this.#fails("Starting a command", error);
    }
    const tasks: Promise<void>[] = [
      command.pid.then(
        () => this.#believes("The process id"),
        (error) => this.#fails("The process id", error),
      ),
      command.status.then(
        ({ signal, reason }) => {
          this.#believes("The status");
          for (const text of [signal, reason]) {
            const problem = unclean(text ?? "");
            if (problem !== null) this.problems.push(`The status: ${problem}`);
          }
        },
        (error) => this.#fails("The status", error),
      ),
    ];
    if (options.stdin === "piped") tasks.push(this.#write(command));
    if (options.stdout === "piped") tasks.push(this.#read(command.stdout));
    if (options.stderr === "piped" && !options.merge) {
      tasks.push(this.#read(command.stderr));
    }
    if (rng.oneIn(5)) command.kill("SIGINT");
    if (rng.oneIn(5)) command.terminate();
    await Promise.all(tasks);
  }

  async #write(command: RemoteCommand): Promise<void> {
    const rng = this.#rng;
    const writer = command.stdin.getWriter();
    const how = rng.below(6);
    try {
      for (let i = rng.below(4); i > 0; i--) {
        await writer.write(rng.bytes(rng.pick([0, 5, 3_000])));
      }
      if (how === 0) await writer.abort("enough");
      else if (how === 1) writer.releaseLock();
      // Of a stream that has failed it says only that it cannot be closed.
      else await writer.close().catch(() => writer.closed);
    } catch (error) {
      this.#fails("Writing stdin", error);
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const rng = this.#rng;
    // Nobody has to read.
    if (rng.oneIn(8)) return;
    const until = rng.oneIn(5) ? rng.below(200) : Infinity;
    const reader = stream.getReader();
    let bytes = 0;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        this.#believes("Output");
        bytes += value.byteLength;
        if (bytes >= until) return await reader.cancel();
      }
    } catch (error) {
      this.#fails("Reading output", error);
    }
  }

  async #collect(session: Session): Promise<void> {
    try {
      const stdin = this.#rng.oneIn(2) ? "wörds" : this.#rng.bytes(100);
      await session.output("cat", { stdin });
      this.#believes("The output");
    } catch (error) {
      this.#fails("Collecting output", error);
    }
  }

  #lookUpCodec(session: Session): void {
    try {
      session.codec();
    } catch (error) {
      this.#fails("The server's encoding", error);
    }
  }

  /** Only what a server says that has the token may be believed. */
  #believes(what: string): void {
    count(this.#reached, what);
    if (!this.#proved) {
      this.problems.push(`${what} of a server without a token`);
    }
  }

  #fails(what: string, error: unknown): void {
    const problem = wrongWith(error);
    if (problem !== null) this.problems.push(`${what}: ${problem}`);
    if (!(error instanceof LimpetError)) return;
    count(this.#reached, `${what}: ${error.code}`);
  }
}
