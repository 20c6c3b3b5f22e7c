/**
 * What may never come of a hostile peer, whatever it does.
 *
 * @module
 */

import process from "node:process";
import { ByteQueue } from "../../core/channel/byte_queue.ts";
import { ERROR_CODES, LimpetError } from "../../core/errors.ts";

/** What a terminal obeys: C0, DEL, C1, and marks that turn text around. */
export const OBEYED: RegExp =
  // deno-lint-ignore no-control-regex -- control characters are what it is about
  /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/** More than this is no message for people. */
const MAX_MESSAGE = 20_000;

/**
 * An exception of the engine's that was made a typed error on its way out: the
 * peer did not do wrong, we did.
 */
const DISGUISED = /^(Reading from the peer|Handshake|Request|Cannot start): /;

/** What engines say of a program that is wrong. */
const MISTAKE =
  /\b(Range|Reference)Error\b|Maximum call stack|Invalid state|is not a function|Cannot read prop|of undefined/;

/** What is wrong with a message, or null. */
export function unclean(message: string): string | null {
  if (DISGUISED.test(message) || MISTAKE.test(message)) {
    return `a mistake of our own: ${message}`;
  }
  if (message.length > MAX_MESSAGE) {
    return `a message of ${message.length} characters`;
  }
  if (!OBEYED.test(message)) return null;
  return `a message that a terminal obeys: ${JSON.stringify(message)}`;
}

/** What is wrong with an error that somebody is given, or null. */
export function wrongWith(error: unknown): string | null {
  if (!(error instanceof LimpetError)) {
    const trace = error instanceof Error ? error.stack : String(error);
    return `an error that is not ours: ${trace}`;
  }
  if (!(ERROR_CODES as readonly unknown[]).includes(error.code)) {
    return `an error without a code of ours: ${error.code}`;
  }
  const problem = unclean(error.message);
  if (problem !== null) return `${error.code}: ${problem}`;
  const { cause } = error;
  if (cause instanceof LimpetError) return wrongWith(cause);
  const beneath = cause instanceof Error ? String(cause) : "";
  return MISTAKE.test(beneath) ? `${error.code} because of ${beneath}` : null;
}

/** What nobody caught: rejections and exceptions. */
export interface Escapes extends Disposable {
  /** Takes them out. */
  take(): string[];
}

/** Listens for them from now on. */
export function watchEscapes(): Escapes {
  const seen: string[] = [];
  const note = (error: unknown) => {
    const trace = error instanceof Error ? error.stack : String(error);
    seen.push(`Nobody caught ${trace}`);
  };
  const take = () => seen.splice(0);
  if ("Deno" in globalThis) {
    const onEvent = (event: Event) => {
      event.preventDefault();
      note("reason" in event ? event.reason : (event as ErrorEvent).error);
    };
    const names = ["unhandledrejection", "error"];
    for (const name of names) globalThis.addEventListener(name, onEvent);
    return {
      take,
      [Symbol.dispose]: () => {
        for (const name of names) globalThis.removeEventListener(name, onEvent);
      },
    };
  }
  process.on("unhandledRejection", note).on("uncaughtException", note);
  return {
    take,
    [Symbol.dispose]: () => {
      process.off("unhandledRejection", note).off("uncaughtException", note);
    },
  };
}

/** Looks at what streams hold for readers who do not come. */
export function watchQueues(maxBytes: number): Escapes {
  const seen: string[] = [];
  const { push } = ByteQueue.prototype;
  ByteQueue.prototype.push = function (piece) {
    push.call(this, piece);
    if (this.byteLength <= maxBytes) return;
    seen.push(`A stream holds ${this.byteLength} bytes of ${maxBytes}`);
  };
  return {
    take: () => seen.splice(0),
    [Symbol.dispose]: () => {
      ByteQueue.prototype.push = push;
    },
  };
}

/** The promise's value, or a complaint after so long: nothing may hang. */
export async function orHang<T>(
  promise: Promise<T>,
  what: string,
  ms = 60_000,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Hang(`${what} after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, hang]);
  } finally {
    clearTimeout(timer);
  }
}

/** What `orHang` rejects with. */
export class Hang extends Error {
  override readonly name = "Hang";
}
