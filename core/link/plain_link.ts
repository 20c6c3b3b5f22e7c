/**
 * The plain link: frames over one connection, which ends when that ends.
 *
 * @module
 */

import { concat } from "../bytes.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import { Decoder } from "../frame/decoder.ts";
import { encodeFrames, type Frame } from "../frame/frame.ts";
import { PrefaceMatcher } from "../frame/preface.ts";
import { MAX_HANDSHAKE_FRAME_BYTES } from "../limits.ts";
import type { ByteReader, Duplex, TlsInfo } from "../ports.ts";
import type { Link, LinkReceiver } from "./link.ts";

/** How long a peer may take to end its side after we ended ours. */
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * During the handshake frames are pulled one at a time with `next`, since what
 * follows a proof must not be looked at before the proof is verified; after
 * `start` they are pushed to the session.
 */
export class PlainLink implements Link {
  readonly peer: string;
  /** What TLS says of the connection, where it is one. */
  readonly tls: TlsInfo | undefined;
  heardAt: number = performance.now();
  dismissed = false;
  /** Whether the peer has sent anything at all. */
  heard = false;
  /** Whether the peer has shown that it speaks Limpet. */
  greeted = false;
  readonly #duplex: Duplex;
  readonly #reader: ByteReader;
  #writer: WritableStreamDefaultWriter<Uint8Array> | undefined;
  readonly #decoder = new Decoder(MAX_HANDSHAKE_FRAME_BYTES);
  #preface: Uint8Array | null = null;
  /** Settles when nothing more will be read. Set by `start`. */
  #reading: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  /** Our side has come to its end, and cannot be aborted any more. */
  #ended = false;

  constructor(duplex: Duplex) {
    this.peer = duplex.peer ?? "peer";
    this.tls = duplex.tls;
    this.#duplex = duplex;
    this.#reader = duplex.getReader?.() ?? quiet(duplex.readable.getReader());
  }

  /** Where there are `writev` and `end`, only an abort needs it. */
  get #writing(): WritableStreamDefaultWriter<Uint8Array> {
    return this.#writer ??= quiet(this.#duplex.writable.getWriter());
  }

  /** Our preface leaves in one write with our first frame. */
  sendPreface(bytes: Uint8Array): void {
    this.#preface = bytes;
  }

  /** Reads up to the end of the peer's preface. */
  async receivePreface(
    ...expected: ConstructorParameters<typeof PrefaceMatcher>
  ): Promise<void> {
    const matcher = new PrefaceMatcher(...expected);
    for (;;) {
      const chunk = await this.#read();
      if (chunk === null) throw matcher.ended();
      this.heard = true;
      const rest = matcher.push(chunk);
      if (rest) {
        this.greeted = true;
        return this.#decoder.push(rest);
      }
    }
  }

  /** The next frame, or null after the peer's clean end. Not after `start`. */
  async next(): Promise<Frame | null> {
    for (;;) {
      const frame = this.#decoder.next();
      if (frame) return frame;
      if (!this.#feed(await this.#read())) return null;
    }
  }

  /** Raises the bound on payloads once the peer is known. */
  set maxPayload(bytes: number) {
    this.#decoder.maxPayload = bytes;
  }

  start(receiver: LinkReceiver): void {
    this.#reading = this.#pump(receiver);
  }

  async send(frames: readonly Frame[]): Promise<void> {
    const chunks = encodeFrames(frames);
    if (this.#preface) chunks.unshift(this.#preface);
    this.#preface = null;
    try {
      // Without `writev` they are message-based as often as not (a WebSocket),
      // where a header of its own would be a message.
      if (this.#duplex.writev) await this.#duplex.writev(chunks);
      else await this.#writing.write(concat(chunks));
    } catch (error) {
      lost(error);
    }
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  abort(reason: LimpetError): void {
    this.#reader.cancel(reason).catch(() => {});
    if (!this.#ended) this.#writing.abort(reason).catch(() => {});
  }

  async #pump(receiver: LinkReceiver): Promise<void> {
    let error: LimpetError | null = null;
    try {
      // What the handshake has read is its own.
      for (let isOver = false;; isOver = true) {
        for (let frame; (frame = this.#decoder.next());) {
          if (!this.#closing && !receiver.frame(frame, this.#decoder.whole)) {
            isOver = false;
          }
        }
        if (!this.#feed(await this.#read(isOver))) break;
      }
    } catch (thrown) {
      error = asLimpetError(thrown, "protocol_error", "Reading from the peer");
    }
    receiver.ended(error);
  }

  /** Gives the decoder more bytes; false at a clean end between two frames. */
  #feed(chunk: Uint8Array | null): boolean {
    if (chunk) this.#decoder.push(chunk);
    else this.#decoder.end();
    return chunk !== null;
  }

  /** Not async, nor is `#feed`: an idle connection waits in here. */
  #read(isOver?: boolean): Promise<Uint8Array | null> {
    return this.#reader.read(isOver).then(({ value }) => {
      this.heardAt = performance.now();
      return value ?? null;
    }, lost);
  }

  async #close(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
    });
    await Promise.race([this.#goodbye().catch(() => {}), patience]);
    clearTimeout(timer);
    this.abort(new LimpetError("closed", "Connection closed"));
  }

  async #goodbye(): Promise<void> {
    await (this.#duplex.end?.() ?? this.#writing.close());
    this.#ended = true;
    // Dropping a socket with unread bytes resets it, and the peer might lose
    // our last frame with that: so read to its end, and throw that away.
    await this.#reading;
    while (!(await this.#reader.read()).done);
  }
}

function lost(error: unknown): never {
  throw asLimpetError(error, "connection_lost", "Connection lost");
}

/** A lost connection shows in reads and writes; nobody awaits its end. */
function quiet<Side extends { readonly closed: Promise<unknown> }>(
  side: Side,
): Side {
  side.closed.catch(() => {});
  return side;
}
