/**
 * Our server of the lesson's protocol, hostile clients, and one that means well.
 *
 * @module
 */

import { LimpetError } from "../../core/errors.ts";
import type { Command, Duplex, ProcessHandle } from "../../core/ports.ts";
import type { RawServerEvent } from "../../core/raw/options.ts";
import { RECV_BYTES } from "../../core/raw/receiver.ts";
import { RawServer } from "../../core/raw/server.ts";
import { concat } from "../support/bytes.ts";
import { fakeSpawner, type Script as Life } from "../support/fake_process.ts";
import { pair } from "../support/pair.ts";
import { settle } from "./player.ts";
import { Prng } from "./prng.ts";
import { orHang, unclean } from "./problems.ts";
import { isStranger, makeRawScript, sentBytes } from "./raw_generate.ts";
import { RawPlayer } from "./raw_player.ts";
import type { Script } from "./script.ts";
import { count, type Target } from "./target.ts";

/** What the transport and the receiver may hold, and one chunk more. */
const PIPE_BYTES = 4_096;
const MAX_AHEAD_BYTES = 65_536 + PIPE_BYTES;
/** It costs as much as an attack: so it is there for every so many of them. */
const HONEST_EVERY = 4;
const HONEST = "honest ";

/** See the module's description. */
export class RawServerTarget implements Target<Script> {
  readonly reached: Map<string, number> = new Map();
  readonly #server: RawServer;
  readonly #events: RawServerEvent[] = [];
  #chance = new Prng(0);
  #lines: string[] = [];
  #answers: Uint8Array[] = [];
  /** From the first command whose answer nobody can foretell. */
  #unknown = false;
  #running = 0;
  #problems: string[] = [];
  #honestCount = 0;

  constructor() {
    this.#server = new RawServer({
      spawner: (command) => this.#spawn(command),
      environment: () => ({}),
      // One character for each byte, so that what is run can be compared.
      console: { os: "linux", encoding: "iso-8859-2" },
      graceMs: 20,
      silenceMs: 20,
      maxStderrBytes: 2_000,
      // It passes when a script ends its side, not before: whether a request
      // that was cut is run must not be up to this machine's load.
      doubtMs: 60_000,
      onEvent: (event) => {
        this.#events.push(event);
      },
    });
  }

  make(rng: Prng): Script {
    return makeRawScript(rng);
  }

  async run(script: Script): Promise<string[]> {
    this.#chance = new Prng(script.seed, 2);
    this.#events.length = 0;
    this.#lines = [];
    this.#answers = [];
    this.#problems = [];
    this.#unknown = false;
    const honest = script.seed % HONEST_EVERY === 0 ? this.#beHonest() : null;
    const [clientEnd, serverEnd] = pair(PIPE_BYTES);
    const counted = countingReads(serverEnd);
    const over = this.#server.accept(counted.duplex);
    const player = new RawPlayer(clientEnd);
    await player.play(script);
    const ahead = counted.bytes() - this.#lines.join("").length;
    const isServed = this.#events.every(({ type }) => type !== "turned_away");
    if (isServed && ahead > MAX_AHEAD_BYTES) {
      this.#problems.push(`${ahead} bytes were read that nobody took`);
    }
    player.unmute();
    await settle();
    await player.drop();
    await orHang(over, "The server has not let go of a client that has gone");
    return [
      ...player.problems,
      ...this.#problems,
      ...this.#check(script, player.heard),
      ...(honest === null ? [] : await honest),
    ];
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  #check(script: Script, heard: Uint8Array): string[] {
    const problems: string[] = [];
    const events = this.#events.filter(({ peer }) => peer === "client");
    const [first, last] = [events[0], events.at(-1)];
    if (first?.type !== "connected" || last?.type !== "disconnected") {
      return [`It began with ${first?.type} and ended with ${last?.type}`];
    }
    for (const event of events) {
      count(this.reached, event.type);
      const problem = "message" in event ? unclean(event.message) : null;
      if (problem !== null) problems.push(`Event ${event.type}: ${problem}`);
    }
    const times = (type: string) =>
      events.filter((event) => event.type === type).length;
    if (times("command_started") !== times("command_ended")) {
      problems.push("A command never ended");
    }
    const sent = concat(sentBytes(script));
    if (this.#lines.length > 0 && isStranger(sent)) {
      problems.push(`A stranger ran ${JSON.stringify(this.#lines[0])}`);
    }
    if (this.#lines.some((line) => line.length > RECV_BYTES)) {
      problems.push("A command was longer than what one recv brings");
    }
    if (!asText(sent).startsWith(this.#lines.join(""))) {
      problems.push("What was run is not what was sent");
    }
    const answer = asText(concat(this.#answers));
    const isAnswer = times("turned_away") === 0 && !this.#unknown;
    if (isAnswer && !answer.startsWith(asText(heard))) {
      problems.push("What came back is not what the commands wrote");
    }
    return problems;
  }

  #spawn({ line = "" }: Command): Promise<ProcessHandle> {
    if (line.startsWith(HONEST)) {
      const stdout = new TextEncoder().encode(`${line} answered`);
      return fakeSpawner({ stdout, exit: { code: 0, signal: null } })(
        { stdin: "null", stdout: "piped", stderr: "piped" } as Command,
      );
    }
    this.#lines.push(line);
    if (++this.#running > 1) this.#problems.push("Two commands at once");
    const rng = this.#chance;
    if (rng.oneIn(8)) {
      this.#running--;
      this.#unknown = true;
      return Promise.reject(
        new LimpetError("resource_exhausted", "Too many processes"),
      );
    }
    const script = life(rng);
    this.#unknown ||= script.fails === true || script.exit === null ||
      script.stderr!.byteLength > 2_000;
    this.#answers.push(script.stdout!, script.stderr!);
    const command = { stdin: "null", stdout: "piped", stderr: "piped" };
    return fakeSpawner(script)(command as Command).then((handle) => {
      handle.status.finally(() => this.#running--);
      return handle;
    });
  }

  /** Asks, and is answered, while the other does what it does. */
  async #beHonest(): Promise<string[]> {
    const line = `${HONEST}${++this.#honestCount}`;
    const [clientEnd, serverEnd] = pair();
    const over = this.#server.accept({ ...serverEnd, peer: "honest" });
    const player = new RawPlayer(clientEnd);
    await player.play({
      seed: 0,
      chunk: 0,
      items: [
        // A second word that is no target: this is no request.
        { do: "bytes", bytes: new TextEncoder().encode(`${line}\n`) },
        { do: "end" },
      ],
    });
    await orHang(over, "The honest client has waited");
    const got = new TextDecoder().decode(player.heard);
    return got === `${line}\n answered`
      ? player.problems
      : [`The honest client was answered ${JSON.stringify(got)}`];
  }
}

/** One that ends with its output, if it ends. */
function life(rng: Prng): Life {
  const ends = [{ code: 0, signal: null }, { code: null, signal: "SIGSEGV" }];
  return {
    pid: 1 + rng.below(30_000),
    stdout: rng.bytes(rng.pick([0, 3, 800, 9_000])),
    stderr: rng.bytes(rng.pick([0, 3, 800, 2_400])),
    fails: rng.oneIn(10),
    exit: rng.oneIn(5) ? null : rng.pick(ends),
  };
}

/** The same connection, and how much was read off it. */
function countingReads(duplex: Duplex) {
  let bytes = 0;
  const reader = duplex.readable.getReader();
  const readable = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      bytes += value.byteLength;
      controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
  return { duplex: { ...duplex, readable }, bytes: () => bytes };
}

/** One character for each byte, as the server's console has it. */
function asText(bytes: Uint8Array): string {
  return new TextDecoder("iso-8859-2").decode(bytes);
}
