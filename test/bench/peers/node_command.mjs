/**
 * A command whose ends are Node streams, as the benchmark's client uses it.
 *
 * @module
 */

/** What is written at once; as large as a pipe of Linux. */
export const CHUNK = new Uint8Array(65_536);

/**
 * @typedef {object} Command
 * @property {() => Promise<number>} drain reads the output to its end: bytes
 * @property {(bytes: number) => Promise<void>} feed writes so many bytes and ends
 * @property {(chunk: Uint8Array) => Promise<void>} send writes, and does not end
 * @property {() => Promise<number>} next waits for more output: its bytes
 * @property {() => void} kill
 * @property {Promise<number | null>} exit the code; null where a peer tells none
 */

/**
 * @typedef {object} Connection
 * @property {(argv: string[], stdin?: boolean) => Command | Promise<Command>} command
 * @property {(argv: string[]) => Promise<number | null>} [bulkOut] a large output
 * that does not pass through this program
 * @property {(argv: string[], bytes: number) => Promise<number | null>} [bulkIn]
 * @property {() => Promise<void>} close
 */

/**
 * @param {import("node:stream").Readable} output
 * @param {import("node:stream").Writable | null} input null without stdin
 * @param {Promise<number | null>} exit
 * @param {() => void} kill
 * @returns {Command}
 */
export function nodeCommand(output, input, exit, kill) {
  /** @type {((bytes: number) => void) | null} */
  let waiting = null;
  let unread = 0;
  let listens = false;
  const write = (/** @type {Uint8Array} */ chunk) =>
    new Promise((resolve) => {
      if (input?.write(chunk)) resolve(undefined);
      else input?.once("drain", resolve);
    });
  return {
    exit,
    kill,
    drain: () =>
      new Promise((resolve, reject) => {
        let bytes = 0;
        output.on("data", (chunk) => bytes += chunk.length);
        output.on("end", () => resolve(bytes));
        output.on("error", reject);
      }),
    async feed(bytes) {
      for (let left = bytes; left > 0; left -= CHUNK.length) {
        await write(CHUNK.subarray(0, Math.min(left, CHUNK.length)));
      }
      input?.end();
    },
    async send(chunk) {
      await write(chunk);
    },
    next() {
      if (!listens) {
        listens = true;
        output.on("data", (chunk) => {
          unread += chunk.length;
          if (waiting === null) return;
          waiting(unread);
          waiting = null;
          unread = 0;
        });
      }
      if (unread > 0) {
        const bytes = unread;
        unread = 0;
        return Promise.resolve(bytes);
      }
      return new Promise((resolve) => waiting = resolve);
    },
  };
}

/**
 * @param {string[]} argv
 * @returns {string} for a POSIX shell
 */
export function quoted(argv) {
  return argv.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
}
