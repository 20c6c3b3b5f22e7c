/**
 * Our server, hostile clients, and one client that means well all the while.
 *
 * @module
 */

import { tokenAuthenticator } from "../../core/auth/authenticator.ts";
import { Identities } from "../../core/auth/identities.ts";
import { auditLine } from "../../core/audit/record.ts";
import { connect, type Session } from "../../core/client.ts";
import { isErrorCode, LimpetError } from "../../core/errors.ts";
import type { RemoteCommand } from "../../core/exec/client.ts";
import type { Command, ProcessHandle } from "../../core/ports.ts";
import { Server, type ServerEvent } from "../../core/server.ts";
import { iconv } from "../../core/text/iconv.ts";
import { fakeSpawner, type Script as Life } from "../support/fake_process.ts";
import { pair } from "../support/pair.ts";
import { makeScript } from "./generate.ts";
import { policyAuthorizer } from "../../core/policy/authorizer.ts";
import type { Policy } from "../../core/policy/policy.ts";
import { seedNonces } from "./inline_crypto.ts";
import { Player, settle } from "./player.ts";
import { Prng } from "./prng.ts";
import { OBEYED, orHang, unclean } from "./problems.ts";
import {
  CLIENT_KEY,
  HOST_KEY,
  OTHER_TOKEN,
  pairs,
  TLS,
  TOKEN,
} from "./secrets.ts";
import { hasSecret, type Script } from "./script.ts";
import { count, type Target } from "./target.ts";

/** Small, so that what is to be kept within them gets there. */
const LIMITS = {
  maxFrameBytes: 4_096,
  maxControlBytes: 12_000,
  windowBytes: 2_048,
  maxChannels: 6,
  maxCommands: 4,
  maxQueuedControlBytes: 20_000,
  handshakeTimeoutMs: 60_000,
  shutdownGraceMs: 20,
  // The honest client's session goes on from case to case, and so would its timer.
  keepaliveMs: Infinity,
  // And so would that of the first command of all that is forgotten.
  jobTtlMs: Infinity,
};

/** It costs as much as an attack: so it is there for every so many of them. */
const HONEST_EVERY = 4;

/** A command of the honest client's: no other has this in its environment. */
const HONEST = "HONEST";

/** What bob may run. The others may run anything. */
const POLICY: Policy = {
  commands: [["cat", "**"]],
  env: ["A"],
  maxCommands: 2,
  maxOutputBytes: 5_000,
};

/** See the module's description. */
export class ServerTarget implements Target<Script> {
  readonly reached: Map<string, number> = new Map();
  readonly #server: Server;
  readonly #events: ServerEvent[] = [];
  #chance = new Prng(0);
  #spawned: Command[] = [];
  /** Whether it knows several clients, or the one token. */
  #several = false;
  #honest: Session | null = null;
  #served = 0;

  constructor() {
    const single = tokenAuthenticator(TOKEN);
    const several = pairs.host().then((host) =>
      Identities.from([
        { name: "alice", token: TOKEN },
        { name: "bob", publicKey: CLIENT_KEY },
        { name: "carol", token: OTHER_TOKEN, refuse: () => "it has expired" },
      ], host)
    );
    this.#server = new Server({
      authenticator: {
        hostKey: HOST_KEY,
        authenticate: async (claim) =>
          await (await (this.#several ? several : single)).authenticate(claim),
      },
      authorize: policyAuthorizer({
        policyOf: ({ name }) => name === "bob" ? POLICY : undefined,
        realPath: (path) => Promise.resolve(path === "/" ? path : null),
      }),
      platform: {
        os: "linux",
        arch: "x86_64",
        shell: "/bin/sh",
        encoding: "utf-8",
        cwd: "/",
        runtime: "fuzz",
      },
      environment: () => ({}),
      encodings: iconv,
      spawner: (command) => this.#spawn(command),
      limits: LIMITS,
      onEvent: (event) => {
        this.#events.push(event);
      },
    });
  }

  make(rng: Prng): Script {
    return makeScript("client", rng);
  }

  async run(script: Script): Promise<string[]> {
    seedNonces(new Prng(script.seed, 1));
    this.#chance = new Prng(script.seed, 2);
    const honest = script.seed % HONEST_EVERY === 0
      ? await this.#beginHonest()
      : null;
    this.#events.length = 0;
    this.#spawned = [];
    this.#several = script.seed % 3 !== 0;
    const [clientEnd, serverEnd] = pair(4_096).map((end) => ({
      ...end,
      tls: TLS[script.tls ?? "none"],
    }));
    const over = this.#server.accept(serverEnd);
    const player = new Player("client", clientEnd);
    await player.play(script);
    player.unmute();
    await settle();
    await player.drop();
    await orHang(over, "The server has not let go of a client that has gone");
    return [
      ...player.problems,
      ...this.#check(script, player.strayed),
      ...(honest === null ? [] : await this.#endHonest(honest)),
    ];
  }

  async close(): Promise<void> {
    await this.#honest?.close();
    await this.#server.close();
  }

  #check(script: Script, strayed: boolean): string[] {
    const problems: string[] = [];
    const first = this.#events[0];
    const events = this.#events.filter(({ session }) =>
      session === first?.session
    );
    const last = events.at(-1);
    if (first?.type !== "connected" || last?.type !== "disconnected") {
      return [`It began with ${first?.type} and ended with ${last?.type}`];
    }
    let running = 0;
    count(this.reached, `end ${last.code}`);
    for (const event of events) {
      count(this.reached, event.type);
      const problem = unlogged(event);
      if (problem !== null) problems.push(problem);
      if ("message" in event) {
        const problem = unclean(event.message);
        if (problem !== null) problems.push(`Event ${event.type}: ${problem}`);
      }
      if ("code" in event && !isErrorCode(event.code)) {
        problems.push(`Event ${event.type} with the code ${event.code}`);
      }
      if (event.type === "command_started") running++;
      if (event.type === "command_ended") running--;
    }
    if (running !== 0) problems.push(`${running} commands never ended`);
    const known = events.some(({ type }) => type === "authenticated");
    if (last.authenticated !== known) {
      problems.push("Two minds about the proof");
    }
    if (known && !hasSecret(script)) problems.push("Let in without a secret");
    if (known && strayed) problems.push("Let in by another connection's proof");
    const { identity } = last;
    count(this.reached, `known as ${identity}`);
    if (identity === "bob" && !this.#spawned.every(isAllowed)) {
      problems.push("What a policy does not allow was run");
    }
    if (known !== (identity !== null)) problems.push("Nobody, and let in");
    if (!known && this.#spawned.length > 0) {
      problems.push("A stranger ran a command");
    }
    return problems;
  }

  /** A command that is there from before the attack to after it. */
  async #beginHonest(): Promise<RemoteCommand> {
    if (this.#honest === null) {
      const [clientEnd, serverEnd] = pair();
      this.#server.accept(serverEnd);
      this.#honest = await connect(clientEnd, {
        token: TOKEN,
        limits: { keepaliveMs: Infinity },
      });
    }
    const command = this.#honest.spawn("cat", {
      env: { [HONEST]: "1" },
      stdin: "piped",
      stderr: "null",
    });
    await command.pid;
    return command;
  }

  async #endHonest(command: RemoteCommand): Promise<string[]> {
    const sent = new Prng(++this.#served).bytes(700);
    try {
      const writer = command.stdin.getWriter();
      writer.write(sent).catch(() => {});
      const got = await orHang(
        readSome(command.stdout, sent.byteLength),
        "The honest client waits for its bytes",
      );
      writer.close().catch(() => {});
      const status = await orHang(command.status, "The honest client waits");
      if (!status.success) return [`The honest command: ${status.code}`];
      if (got.some((byte, i) => byte !== sent[i])) {
        return ["The honest client got other bytes than it should"];
      }
      await command.stdout.cancel();
      return [];
    } catch (error) {
      await this.#honest?.close();
      this.#honest = null;
      return [`The honest client was disturbed: ${error}`];
    }
  }

  #spawn(command: Command): Promise<ProcessHandle> {
    if (Object.hasOwn(command.env, HONEST)) return honestCat();
    this.#spawned.push(command);
    // As the adapters do it, so that what cannot be written is refused.
    const { consoleText, argv, line } = command;
    try {
      for (const text of [...argv ?? [], line ?? ""]) consoleText?.encode(text);
    } catch (error) {
      return Promise.reject(error);
    }
    const rng = this.#chance;
    if (rng.oneIn(6)) {
      const name = argv?.[0] ?? "";
      return Promise.reject(
        new LimpetError("not_found", `Command "${name}" was not found`),
      );
    }
    const started = fakeSpawner(life(rng))(command);
    return rng.oneIn(5) ? started.then(deaf) : started;
  }
}

/** Whether {@linkcode POLICY} has it, as far as words go. */
function isAllowed({ argv, line, cwd, env }: Command): boolean {
  const names = ["A", "TRACEPARENT"];
  return argv?.[0] === "cat" && line === undefined && cwd === undefined &&
    Object.keys(env).every((name) => names.includes(name));
}

/** What is wrong with what the audit log says of it, or null. */
function unlogged(event: ServerEvent): string | null {
  const line = auditLine(event);
  const text = line.slice(0, -1);
  if (OBEYED.test(text) || !line.endsWith("}\n")) {
    return `The audit log of ${event.type}: ${JSON.stringify(text)}`;
  }
  const { event: type } = JSON.parse(text);
  return type === event.type ? null : `The audit log calls it ${type}`;
}

function life(rng: Prng): Life {
  const ends = [{ code: 0, signal: null }, { code: null, signal: "SIGSEGV" }];
  return {
    pid: 1 + rng.below(30_000),
    reads: rng.oneIn(2) ? rng.below(60) : 0,
    stdout: rng.bytes(rng.pick([0, 3, 800, 9_000])),
    stderr: rng.bytes(rng.pick([0, 3, 800])),
    heldOpen: rng.oneIn(8),
    fails: rng.oneIn(8),
    stopsReading: rng.oneIn(6),
    exit: rng.oneIn(3) ? null : rng.pick(ends),
  };
}

/** Never reads its stdin, so that what is sent there has to wait. */
function deaf(handle: ProcessHandle): ProcessHandle {
  if (handle.stdin === null) return handle;
  const stdin = new WritableStream<Uint8Array>({
    write: () => new Promise(() => {}),
  });
  return { ...handle, stdin };
}

/** Gives back what it gets, and ends with its input. */
function honestCat(): Promise<ProcessHandle> {
  const through = new TransformStream<Uint8Array, Uint8Array>();
  let ended = false;
  const writer = through.writable.getWriter();
  return Promise.resolve({
    pid: 1,
    stdin: new WritableStream<Uint8Array>({
      write: (chunk) => {
        // Its reader may be slower than its writer.
        writer.write(chunk.slice()).catch(() => {});
      },
      close: () => writer.close(),
      abort: (reason) => writer.abort(reason),
    }),
    stdout: through.readable,
    stderr: null,
    status: writer.closed.then(
      () => ({ code: 0, signal: null }),
      () => ({ code: null, signal: "SIGPIPE" }),
    ).finally(() => ended = true),
    kill: () => {
      writer.abort().catch(() => {});
      return !ended;
    },
    groupAlive: () => !ended,
  });
}

async function readSome(
  stream: ReadableStream<Uint8Array>,
  count: number,
): Promise<Uint8Array> {
  const reader = stream.getReader();
  const bytes = new Uint8Array(count);
  let at = 0;
  while (at < count) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`Its output ended after ${at} bytes`);
    bytes.set(value.subarray(0, count - at), at);
    at += value.byteLength;
  }
  reader.releaseLock();
  return bytes;
}
