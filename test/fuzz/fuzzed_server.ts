/**
 * A server of ours that strangers are let loose on: who may come, what they may
 * run, and what may never become of it.
 *
 * @module
 */

import { tokenAuthenticator } from "../../core/auth/authenticator.ts";
import { Identities } from "../../core/auth/identities.ts";
import { auditLine } from "../../core/audit/record.ts";
import { isErrorCode, LimpetError } from "../../core/errors.ts";
import { policyAuthorizer } from "../../core/policy/authorizer.ts";
import type { Policy } from "../../core/policy/policy.ts";
import type { Command, JobFiles, ProcessHandle } from "../../core/ports.ts";
import { Server, type ServerEvent } from "../../core/server.ts";
import type { ServerLimits } from "../../core/server_limits.ts";
import { iconv } from "../../core/text/iconv.ts";
import { fakeSpawner, type Script as Life } from "../support/fake_process.ts";
import { Prng } from "./prng.ts";
import { OBEYED, unclean } from "./problems.ts";
import {
  CLIENT_KEY,
  HONEST_TOKEN,
  HOST_KEY,
  OTHER_TOKEN,
  pairs,
  TOKEN,
} from "./secrets.ts";
import { hasSecret, type Script } from "./script.ts";
import { count } from "./target.ts";

/** Small, so that what is to be kept within them gets there. */
const LIMITS = {
  maxFrameBytes: 4_096,
  maxControlBytes: 12_000,
  windowBytes: 2_048,
  maxWindowGrowthBytes: 14_336,
  maxChannels: 6,
  maxCommands: 4,
  maxQueuedControlBytes: 20_000,
  handshakeTimeoutMs: 60_000,
  shutdownGraceMs: 20,
  // An honest client's session goes on from case to case, and so would its timer.
  keepaliveMs: Infinity,
  // And so would that of the first command of all that is forgotten.
  jobTtlMs: Infinity,
};

/** A command of an honest client's: no other has this in its environment. */
export const HONEST = "HONEST";

/** What bob may run. The others may run anything. */
const POLICY: Policy = {
  commands: [["cat", "**"]],
  env: ["A"],
  maxCommands: 2,
  maxOutputBytes: 5_000,
};

/** What a case may find. */
export interface Fuzzed {
  /** In place of those of all cases. */
  readonly limits: Partial<ServerLimits>;
  /** Where jobs are kept; nowhere by default. */
  readonly files?: JobFiles;
}

/** See the module's description. */
export class FuzzedServer {
  readonly server: Server;
  readonly #reached: Map<string, number>;
  /** Whether commands may outlive the sessions that started them. */
  readonly #lasting: boolean;
  readonly #events: ServerEvent[] = [];
  #chance = new Prng(0);
  #spawned: Command[] = [];
  /** Whether it knows several clients, or the one token. */
  #several = false;

  constructor({ limits, files }: Fuzzed, reached: Map<string, number>) {
    this.#reached = reached;
    this.#lasting = files !== undefined;
    const single = tokenAuthenticator(TOKEN);
    const several = pairs.host().then((host) =>
      Identities.from([
        { name: "alice", token: TOKEN },
        { name: "bob", publicKey: CLIENT_KEY },
        { name: "carol", token: OTHER_TOKEN, refuse: () => "it has expired" },
        { name: "honest", token: HONEST_TOKEN },
      ], host)
    );
    this.server = new Server({
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
      jobs: files && { files, path: "/jobs" },
      limits: { ...LIMITS, ...limits },
      onEvent: (event) => {
        this.#events.push(event);
      },
    });
  }

  /** The next case: what chance there is comes from its script. */
  begin(script: Script, several: boolean): void {
    this.#chance = new Prng(script.seed, 2);
    this.#events.length = 0;
    this.#spawned = [];
    this.#several = several;
  }

  /**
   * What is wrong with what it has told of the session that the first connection
   * of a case began.
   */
  check(script: Script, strayed: boolean): string[] {
    const problems: string[] = [];
    const first = this.#events.find(({ type }) => type === "connected");
    const later = this.#events.filter(({ session }) =>
      session >= (first?.session ?? Infinity)
    );
    const own = later.filter(({ session }) => session === first?.session);
    const at = own.findIndex(({ type }) => type === "disconnected");
    const end = own[at];
    if (end?.type !== "disconnected") {
      return [`It had no end: ${own.map(({ type }) => type)}`];
    }
    // Its jobs may have theirs behind it.
    for (const { type } of own.slice(at + 1)) {
      if (this.#lasting && /^command_|^jobs?_/.test(type)) continue;
      problems.push(`It ended, and then: ${type}`);
    }
    let running = 0;
    count(this.#reached, `end ${end.code}`);
    const names = new Set<string | null>();
    for (const event of later) {
      count(this.#reached, event.type);
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
      if (event.type === "authenticated") names.add(event.identity);
    }
    if (running !== 0) problems.push(`${running} commands never ended`);
    const known = own.some(({ type }) => type === "authenticated");
    if (end.authenticated !== known) {
      problems.push("Two minds about the proof");
    }
    names.delete("honest");
    if (names.size > 0 && !hasSecret(script)) {
      problems.push("Let in without a secret");
    }
    if (known && strayed) problems.push("Let in by another connection's proof");
    const { identity } = end;
    count(this.#reached, `known as ${identity}`);
    const onlyBob = names.size === 1 && names.has("bob");
    if (onlyBob && !this.#spawned.every(isAllowed)) {
      problems.push("What a policy does not allow was run");
    }
    if (known !== (identity !== null)) problems.push("Nobody, and let in");
    if (names.size === 0 && this.#spawned.length > 0) {
      problems.push("A stranger ran a command");
    }
    return problems;
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
