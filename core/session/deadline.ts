/**
 * Waiting with an end.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";

/** How long to wait, and who may end the wait. */
export interface Deadline {
  readonly ms: number;
  readonly signal?: AbortSignal;
  /** For the message: `Handshake with 127.0.0.1:8090`. */
  readonly doing: string;
}

/** The promise's outcome, or `timed_out`, or `cancelled`, whatever is first. */
export async function within<T>(
  promise: Promise<T>,
  { ms, signal, doing }: Deadline,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let onAbort = () => {};
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new LimpetError("timed_out", `${doing} took over ${ms} ms`)),
      Math.min(ms, 0x7fff_ffff),
    );
    onAbort = () =>
      reject(
        new LimpetError("cancelled", `${doing} was cancelled`, {
          cause: signal?.reason,
        }),
      );
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, end]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
