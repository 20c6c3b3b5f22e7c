/**
 * Types for `@std/streams`. The npm build of it has none, and Deno needs none:
 * this is for `tsc` alone. Add what you use.
 */
declare module "@std/streams" {
  /** Joins streams one after the other. */
  export function concatReadableStreams<T>(
    ...streams: ReadableStream<T>[]
  ): ReadableStream<T>;
  /** Reads a stream of bytes to its end. */
  export function toBytes(
    stream: ReadableStream<Uint8Array>,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /** Reads a stream of text or of UTF-8 to its end. */
  export function toText(
    stream: ReadableStream<Uint8Array | string>,
  ): Promise<string>;
  /** Cuts text into lines, at `\n` and `\r\n`. */
  export class TextLineStream extends TransformStream<string, string> {
    constructor(options?: { allowCR?: boolean });
  }
  /** Cuts bytes at a delimiter. */
  export class DelimiterStream
    extends TransformStream<Uint8Array, Uint8Array<ArrayBuffer>> {
    constructor(
      delimiter: Uint8Array,
      options?: { disposition?: "suffix" | "prefix" | "discard" },
    );
  }
  /** Lets a number of bytes pass; more is the end, or with `error` a RangeError. */
  export class LimitedBytesTransformStream
    extends TransformStream<Uint8Array, Uint8Array> {
    constructor(size: number, options?: { error?: boolean });
  }
}
