/**
 * What a command may make the server hold, at most.
 *
 * @module
 */

import { READ_AHEAD_BYTES } from "./output_pump.ts";
import type { ExecRequest } from "./request.ts";

/** The streams of a command. */
export type Outputs = Pick<
  ExecRequest,
  "stdin" | "stdout" | "stderr" | "merge"
>;

/** One chunk of a pipe or of the connection, in bytes. */
const CHUNK_BYTES = 65_536;

/**
 * Bytes to set aside for a command while it is there. All that it could come to
 * is set aside when it starts, so that no stream ever waits for what another
 * one holds: a reader that stops holds up its own stream alone.
 *
 * - the request, whose JSON becomes characters of two bytes
 * - of stdin one window, which the client may fill without asking, and what the
 *   process has not taken yet: less than two chunks are written at once
 * - of each output what is read ahead of the client, and one chunk
 */
export function reservationFor(
  { stdin, stdout, stderr, merge }: Outputs,
  requestBytes: number,
  windowBytes: number,
): number {
  const outputs = Number(stdout) + Number(stderr && !merge);
  return 2 * requestBytes +
    (stdin ? windowBytes + 2 * CHUNK_BYTES : 0) +
    outputs * (READ_AHEAD_BYTES + CHUNK_BYTES);
}
