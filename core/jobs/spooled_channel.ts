/**
 * The channel of a job: what stays when its clients go. What the command writes
 * goes into spools, from its first byte on, and every client reads those.
 *
 * @module
 */

import type { ChannelHandler } from "../channel/channel.ts";
import { deferred } from "../deferred.ts";
import type { JobChannel } from "../exec/job_channel.ts";
import { FrameType, STDOUT } from "../frame/frame.ts";
import type { Spool } from "./spool.ts";
import { SpoolWriter } from "./spool_writer.ts";
import { StdinRelay } from "./stdin_relay.ts";

/** See the module's description. */
export class SpooledChannel implements JobChannel {
  readonly id: number;
  /** Resolves to the body of STARTED or of REFUSED. */
  readonly answered: Promise<
    { readonly started: boolean; readonly body: object }
  >;
  /** Settles when the command has ended and all it wrote is in the spools. */
  readonly over: Promise<void>;
  handler: ChannelHandler | null = null;
  stdin: StdinRelay | null = null;
  stdout: SpoolWriter | null = null;
  stderr: SpoolWriter | null = null;
  readonly #makeSpool: (name: "stdout" | "stderr") => Spool;
  readonly #answered = deferred<{ started: boolean; body: object }>();
  readonly #over = deferred<void>();

  constructor(id: number, makeSpool: (name: "stdout" | "stderr") => Spool) {
    this.id = id;
    this.#makeSpool = makeSpool;
    this.answered = this.#answered.promise;
    this.over = this.#over.promise;
  }

  addReceiveStream(): StdinRelay {
    this.stdin = new StdinRelay();
    return this.stdin;
  }

  addSendStream(stream: number): SpoolWriter {
    const name = stream === STDOUT ? "stdout" : "stderr";
    const writer = new SpoolWriter(this.#makeSpool(name));
    this[name] = writer;
    return writer;
  }

  send(type: number, body: object): void {
    if (type === FrameType.EXIT) {
      // What is still to come is within what a pipe holds.
      this.stdout?.spool.unbound();
      this.stderr?.spool.unbound();
    } else {this.#answered.resolve({
        started: type === FrameType.STARTED,
        body,
      });}
  }

  end(): void {
    this.#over.resolve();
  }
}
