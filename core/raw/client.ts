/**
 * The raw protocol's client: sends a line, takes what one `recv` brings.
 *
 * @module
 */

import { asLimpetError, LimpetError } from "../errors.ts";
import { beginsAsPreface } from "../frame/preface.ts";
import type { Duplex } from "../ports.ts";
import { Receiver, RECV_BYTES } from "./receiver.ts";

/** How long to wait for an answer where nothing else is said. */
export const DEFAULT_ANSWER_MS = 5_000;

/** How long to wait, and who may end the wait. */
export interface Patience {
  /** In milliseconds. Default {@linkcode DEFAULT_ANSWER_MS}. */
  readonly ms?: number;
  readonly signal?: AbortSignal;
}

/** One connection to a raw server. See README.md beside this file. */
export class RawClient {
  /**
   * Settles when the server's side is over: null after a clean end, else why it
   * broke off. Never rejects.
   */
  readonly ended: Promise<LimpetError | null>;
  readonly #receiver: Receiver;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #peer: string;
  #heard = false;

  constructor(duplex: Duplex) {
    this.#peer = duplex.peer ?? "peer";
    this.#receiver = new Receiver(duplex.readable);
    this.#writer = duplex.writable.getWriter();
    this.#writer.closed.catch(() => {});
    this.#writer.ready.catch(() => {});
    this.ended = this.#receiver.ended;
  }

  /** Sends one message. An empty one sends nothing: TCP has no messages. */
  async send(message: Uint8Array): Promise<void> {
    try {
      if (message.byteLength > 0) await this.#writer.write(message);
    } catch (thrown) {
      throw this.gone(thrown);
    }
  }

  /**
   * At most {@linkcode RECV_BYTES} of what is there, once. Whether that is the
   * whole answer, or the rest of an earlier one, nobody can tell. Rejects with
   * `timed_out`, `cancelled` (the answer then is what the next call gets),
   * `connection_lost`, and `protocol_error` for a server that speaks frames.
   */
  async recv({ ms = DEFAULT_ANSWER_MS, signal }: Patience = {}): Promise<
    Uint8Array
  > {
    const stop = new AbortController();
    const late = new LimpetError(
      "timed_out",
      `No answer within ${ms} ms: a command that prints nothing cannot be ` +
        "told from one that still runs. What it prints later will be taken " +
        "for the answer to a later line",
    );
    const timer = setTimeout(() => stop.abort(late), ms);
    const cancel = () =>
      stop.abort(new LimpetError("cancelled", "Waiting was cancelled"));
    if (signal?.aborted) cancel();
    else signal?.addEventListener("abort", cancel, { once: true });
    let bytes: Uint8Array | null;
    try {
      bytes = await this.#receiver.recv(RECV_BYTES, stop.signal);
    } catch (thrown) {
      if (thrown === stop.signal.reason) throw thrown;
      throw this.gone(thrown);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
    }
    if (bytes === null) throw this.gone(null);
    if (!this.#heard && bytes.byteLength >= 4 && beginsAsPreface(bytes)) {
      throw new LimpetError(
        "protocol_error",
        `${this.#peer} answers with Limpet's frames, which the raw protocol ` +
          `does not have: use tcp://${this.#peer}`,
      );
    }
    this.#heard = true;
    return bytes;
  }

  /** Ends the connection at once. */
  close(): void {
    this.#receiver.cancel();
    this.#writer.close().catch(() => {})
      .finally(() => this.#writer.abort().catch(() => {}));
  }

  /**
   * Sends a message and takes what one {@linkcode recv} brings, which rejects
   * as that does. A server that does not read makes nobody wait longer.
   */
  async ask(message: Uint8Array, patience: Patience = {}): Promise<Uint8Array> {
    const stop = new AbortController();
    const cancel = () => stop.abort();
    if (patience.signal?.aborted) cancel();
    else patience.signal?.addEventListener("abort", cancel, { once: true });
    const failed = this.send(message).then(() => new Promise<never>(() => {}));
    try {
      return await Promise.race([
        this.recv({ ms: patience.ms, signal: stop.signal }),
        failed,
      ]);
    } finally {
      patience.signal?.removeEventListener("abort", cancel);
      stop.abort();
    }
  }

  /** What to say of a server that has gone; null: it ended its side. */
  gone(thrown: unknown): LimpetError {
    const error = thrown === null
      ? null
      : asLimpetError(thrown, "connection_lost", "Connection lost");
    // A server of frames hangs up on a line, and says nothing.
    const hint = this.#heard
      ? ""
      : " without ever answering. If it is a limpet serve without --raw, use " +
        `tcp://${this.#peer}`;
    return new LimpetError(
      "connection_lost",
      `${this.#peer} closed the connection${hint}` +
        (error === null || hint !== "" ? "" : ` (${error.message})`),
      { cause: error ?? undefined },
    );
  }
}
