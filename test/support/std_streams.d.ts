/**
 * Types for `@std/streams`. The npm build of it has none, and Deno needs none:
 * this is for `tsc` alone. Add what a test uses.
 */
declare module "@std/streams" {
  /** Reads a stream of bytes to its end. */
  export function toBytes(
    stream: ReadableStream<Uint8Array>,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** Reads a stream of text or of UTF-8 to its end. */
  export function toText(
    stream: ReadableStream<Uint8Array | string>,
  ): Promise<string>;
}
