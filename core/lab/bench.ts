/**
 * What an experiment works with: sockets, the shell, a Limpet server, a place
 * to tell what happens; and the one place that gives all of it back.
 *
 * @module
 */

import { concat } from "../bytes.ts";
import type { Session } from "../client.ts";
import { deferred } from "../deferred.ts";
import { connectTo } from "../dial.ts";
import {
  type RunningServer,
  serveAt,
  type ServeAtOptions,
} from "../endpoint.ts";
import { LimpetError } from "../errors.ts";
import type { Machine } from "../machine.ts";
import { makeToken } from "../auth/token.ts";
import type {
  LabAddress,
  LabDatagrams,
  LabListener,
  LabSocket,
  LabSockets,
} from "./sockets.ts";
import type { Story } from "./story.ts";

/** What a bench is made of. */
export interface BenchOptions {
  readonly sockets: LabSockets;
  readonly machine: Machine;
  readonly story: Story;
  /** Where the naive servers listen; 0 takes a free port each time. */
  readonly port: number;
  /** Bytes of the datagram that is received with a smaller buffer. */
  readonly datagramBytes: number;
}

/** See the module's description. */
export class Bench {
  readonly story: Story;
  readonly machine: Machine;
  readonly datagramBytes: number;
  /** Rejects when something that runs beside the experiment fails. */
  readonly failure: Promise<never>;
  readonly #options: BenchOptions;
  readonly #fail = deferred<never>();
  readonly #closers: (() => unknown)[] = [];
  #closed = false;

  constructor(options: BenchOptions) {
    this.#options = options;
    this.story = options.story;
    this.machine = options.machine;
    this.datagramBytes = options.datagramBytes;
    this.failure = this.#fail.promise;
    this.failure.catch(() => {});
  }

  /** Closes it at the end, if nobody has before. Once it is over, at once. */
  own<T extends { close(): unknown }>(thing: T): T {
    this.#closers.push(() => thing.close());
    if (!this.#closed) return thing;
    this.close();
    throw new LimpetError("closed", "The experiment was ended");
  }

  /** A naive server's loop: it runs on its own, and its failure is ours. */
  background(loop: Promise<void>): void {
    loop.catch((error) => {
      if (!this.#closed) this.#fail.reject(error);
    });
  }

  /** A naive server's socket. */
  async listen(): Promise<LabListener> {
    const { sockets, port } = this.#options;
    return this.own(await sockets.listen(port));
  }

  /** A naive client's socket. */
  async dial(to: LabAddress): Promise<LabSocket> {
    return this.own(await this.#options.sockets.dial(to));
  }

  /** Both ends of one TCP connection over the loopback interface. */
  async pair(): Promise<{ client: LabSocket; server: LabSocket }> {
    const listener = await this.listen();
    const client = await this.dial(listener.address);
    const server = this.own(await listener.accept());
    listener.close();
    return { client, server };
  }

  /** A UDP socket. */
  async datagrams(): Promise<LabDatagrams> {
    return this.own(await this.#options.sockets.bindDatagrams());
  }

  /** Runs a line in this machine's shell, as the lesson's server does. */
  async run(line: string): Promise<Uint8Array> {
    const process = await this.machine.spawner({
      line,
      env: this.machine.environment(),
      stdin: "null",
      stdout: "piped",
      stderr: "stdout",
    });
    this.own({ close: () => process.groupAlive() && process.kill("SIGKILL") });
    const chunks: Uint8Array[] = [];
    for await (const chunk of iterate(process.stdout)) chunks.push(chunk);
    await process.status;
    return concat(chunks);
  }

  /** A real Limpet server on a free port, with a token of its own. */
  async serve(
    onEvent?: ServeAtOptions["onEvent"],
  ): Promise<{ server: RunningServer; token: string }> {
    const token = makeToken();
    const server = await serveAt(this.machine, "tcp://127.0.0.1:0", {
      token,
      onEvent,
    });
    this.own({ close: () => server.close(0) });
    return { server, token };
  }

  /** A real Limpet session; without a server's address, on one of its own. */
  async connect(
    to?: { readonly server: RunningServer; readonly token: string },
  ): Promise<Session> {
    const { server, token } = to ?? await this.serve();
    const { address } = server;
    return this.own(await connectTo(this.machine, address, { token }));
  }

  /** Gives everything back, the last first. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const close of this.#closers.splice(0).reverse()) {
      try {
        await close();
      } catch {
        // It was over already, and the rest has to be given back all the same.
      }
    }
  }
}

/** `for await` over a web stream, which not every runtime's types know. */
async function* iterate(
  stream: ReadableStream<Uint8Array> | null,
): AsyncGenerator<Uint8Array> {
  if (stream === null) return;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
