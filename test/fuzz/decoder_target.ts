/**
 * The codec by itself: whatever the bytes, wherever they are cut, the same
 * frames, or the same error.
 *
 * @module
 */

import { LimpetError } from "../../core/errors.ts";
import { readExit } from "../../core/exec/exit.ts";
import { decodeRequest } from "../../core/exec/request.ts";
import { decodeControl } from "../../core/frame/control.ts";
import { Decoder } from "../../core/frame/decoder.ts";
import { type Frame, FrameType } from "../../core/frame/frame.ts";
import {
  CLIENT_PREFACE,
  PrefaceMatcher,
  SERVER_PREFACE,
} from "../../core/frame/preface.ts";
import { describeClient, describeServer } from "../../core/frame/strangers.ts";
import { readGoAway } from "../../core/session/go_away.ts";
import { readClose } from "../../core/session/handshake.ts";
import {
  chooseVersion,
  readHello,
  readPlatform,
  readProof,
} from "../../core/session/hello.ts";
import { PartAssembler } from "../../core/session/parts.ts";
import { makeScript } from "./generate.ts";
import { joined } from "./mutate.ts";
import { Prng } from "./prng.ts";
import { wrongWith } from "./problems.ts";
import type { Script } from "./script.ts";
import { count, type Target } from "./target.ts";

const MAX_PAYLOAD = 16_384;
const MAX_CONTROL = 20_000;
const MAX_NOISE = 100;

/** See the module's description. */
export class DecoderTarget implements Target<Script> {
  readonly reached: Map<string, number> = new Map();

  make(rng: Prng): Script {
    return makeScript(rng.oneIn(2) ? "client" : "server", rng);
  }

  run(script: Script): Promise<string[]> {
    const rng = new Prng(script.seed);
    const bytes = joined(
      ...script.items.map((item) =>
        item.do === "bytes" ? item.bytes : new Uint8Array(0)
      ),
    );
    const noisy = rng.oneIn(3);
    const whole = new Reading(noisy).take([bytes]);
    const cut = new Reading(noisy).take(pieces(bytes, script.chunk, rng));
    const problems = [...whole.problems, ...cut.problems];
    const last = whole.text.split("\n").at(-1) ?? "";
    count(this.reached, /^[a-z_]+$/.test(last) ? `end ${last}` : "end");
    if (whole.text !== cut.text) {
      problems.push(
        `Cut apart it is something else:\n${whole.text}\n${cut.text}`,
      );
    }
    return Promise.resolve(problems);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function* pieces(bytes: Uint8Array, chunk: number, rng: Prng) {
  for (let at = 0; at < bytes.byteLength;) {
    const size = rng.below(chunk === 0 ? 20 : 2 * chunk);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

/** What becomes of one side's bytes. */
class Reading {
  readonly problems: string[] = [];
  readonly #matcher: PrefaceMatcher;
  readonly #decoder = new Decoder(MAX_PAYLOAD);
  readonly #parts = new PartAssembler(MAX_CONTROL);
  readonly #seen: string[] = [];
  #greeted = false;
  #noise = 0;
  #data: string | null = null;
  #dataBytes = 0;

  constructor(noisy: boolean) {
    const show = (bytes: Uint8Array) => {
      this.#noise += bytes.byteLength;
    };
    const noise = { maxBytes: MAX_NOISE, show };
    this.#matcher = noisy
      ? new PrefaceMatcher(SERVER_PREFACE, describeServer, noise)
      : new PrefaceMatcher(CLIENT_PREFACE, describeClient);
  }

  get text(): string {
    return this.#seen.join("\n");
  }

  take(chunks: Iterable<Uint8Array>): this {
    try {
      for (const chunk of chunks) this.#push(chunk);
      if (!this.#greeted) throw this.#matcher.ended();
      this.#decoder.end();
    } catch (error) {
      this.#endData();
      this.#fails(error);
    }
    this.#endData();
    if (this.#noise > MAX_NOISE) {
      this.problems.push(`${this.#noise} bytes of noise were shown`);
    }
    return this;
  }

  #push(chunk: Uint8Array): void {
    let rest: Uint8Array | undefined = chunk;
    if (!this.#greeted) {
      rest = this.#matcher.push(chunk);
      if (rest === undefined) return;
      this.#greeted = true;
      this.#seen.push(`greeted after ${this.#noise}`);
    }
    this.#decoder.push(rest);
    for (let frame; (frame = this.#decoder.next()) !== undefined;) {
      if (frame.payload.byteLength > MAX_PAYLOAD) {
        this.problems.push(`A payload of ${frame.payload.byteLength} bytes`);
      }
      this.#frame(frame);
    }
  }

  #frame(received: Frame): void {
    const frame = this.#parts.push(received);
    if (frame === null) return;
    const { type, stream, channel, payload } = frame;
    const where = `${type} ${stream} ${channel}`;
    if (type === FrameType.DATA) {
      if (this.#data !== where) this.#endData();
      this.#data = where;
      this.#dataBytes += payload.byteLength;
      return;
    }
    this.#endData();
    this.#seen.push(`${where} ${payload.byteLength}`);
    try {
      this.#seen.push(String(JSON.stringify(meaning(frame))));
    } catch (error) {
      // The next frame is as good as any.
      this.#fails(error);
    }
  }

  /** Pieces of DATA count as one, wherever they were cut. */
  #endData(): void {
    if (this.#data !== null) {
      this.#seen.push(`${this.#data} ${this.#dataBytes}`);
    }
    this.#data = null;
    this.#dataBytes = 0;
  }

  #fails(error: unknown): void {
    const problem = wrongWith(error);
    if (problem !== null) this.problems.push(problem);
    this.#seen.push(error instanceof LimpetError ? error.code : "?");
  }
}

/** What a control frame says, read as each side would. */
function meaning({ type, payload }: Frame): unknown {
  switch (type) {
    case FrameType.HELLO: {
      const hello = decodeControl(payload, "HELLO");
      const limits = readHello(hello);
      return [limits, hello.has("min") ? chooseVersion(hello) : 0];
    }
    case FrameType.PROOF: {
      const proof = decodeControl(payload, "PROOF");
      const bytes = readProof(proof).byteLength;
      return [bytes, proof.has("platform") ? readPlatform(proof) : 0];
    }
    case FrameType.OPEN:
      return decodeRequest(payload);
    case FrameType.EXIT:
      return readExit(decodeControl(payload, "EXIT"));
    case FrameType.GOAWAY: {
      const { reason, drainMs } = readGoAway(payload, "peer");
      const problem = wrongWith(reason);
      if (problem !== null) throw new Error(problem);
      return [reason.message, drainMs];
    }
    case FrameType.CLOSE:
    case FrameType.ABORT:
    case FrameType.REFUSED: {
      const error = readClose(payload, "peer");
      const problem = wrongWith(error);
      if (problem !== null) throw new Error(problem);
      return error.message;
    }
    default:
      return null;
  }
}
