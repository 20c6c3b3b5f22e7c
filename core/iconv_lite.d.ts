/**
 * Types for `iconv-lite`, what we use of it: its own need those of Node.
 */
declare module "iconv-lite" {
  interface Reader {
    write(bytes: Uint8Array): string;
    end(): string | 0 | undefined;
  }
  interface Writer {
    write(text: string): Uint8Array;
    end(): Uint8Array | undefined;
  }
  const iconv: {
    encodingExists(name: string): boolean;
    getDecoder(name: string): Reader;
    getEncoder(name: string): Writer;
    /** Null until the first encoding was asked for. */
    readonly encodings: Readonly<Record<string, unknown>> | null;
  };
  export default iconv;
}
