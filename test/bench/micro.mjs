/**
 * What a frame costs by itself, and a stream of them in memory, with nothing of
 * a machine in between: against it-length-prefixed and libp2p's yamux. Part of
 * `npm run bench`; alone:
 *
 *     npm run bench:micro
 *     npm run bench:micro -- --json
 *
 * @module
 */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { build, install, root } from "./set_up.mjs";

const MiB = 2 ** 20;
/** What a read of a socket brings. */
const READ_BYTES = 65_536;
const ROUNDS = 5;

/**
 * What Node needs for the allocations to be counted: no collection but ours.
 */
export const FLAGS = [
  "--expose-gc",
  "--min-semi-space-size=128",
  "--max-semi-space-size=128",
];

/**
 * @typedef {object} MicroRow medians
 * @property {string} what
 * @property {string} peer
 * @property {number} [framesPerSecond]
 * @property {number} gigabytesPerSecond
 * @property {number} [bytesPerFrame] of the heap, until the next collection
 *
 * @typedef {object} Codec
 * @property {string} peer
 * @property {(payloads: Uint8Array[]) => Uint8Array[]} encode
 * @property {(chunks: Uint8Array[]) => number} decode bytes of the payloads
 */

/** @returns {Promise<MicroRow[]>} */
async function measure() {
  const codecs = [await ownCodec(), await lengthPrefixed()];
  /** @type {MicroRow[]} */
  const rows = [];
  for (const bytes of [64, 1_024, 65_536]) {
    const count = Math.min(20_000, Math.floor(64 * MiB / bytes));
    const payloads = Array.from({ length: count }, () => new Uint8Array(bytes));
    for (const { peer, encode, decode } of codecs) {
      const chunks = recut(encode(payloads));
      rows.push({
        what: `encoding ${count} frames of ${bytes} bytes`,
        peer,
        ...timed(count, bytes, () => {
          encode(payloads);
        }),
      }, {
        what: `decoding ${count} frames of ${bytes} bytes`,
        peer,
        ...timed(count, bytes, () => {
          const found = decode(chunks);
          if (found !== count * bytes) throw new Error(`${peer}: ${found}`);
        }),
      });
    }
  }
  const streams = [await ownStream(), await yamuxStream()];
  for (const { peer, run } of streams) {
    const bytes = 32 * MiB;
    const times = [];
    for (let i = 0; i < ROUNDS; i++) {
      const started = performance.now();
      const found = await run(bytes);
      if (found !== bytes) throw new Error(`${peer}: ${found} of ${bytes}`);
      times.push(performance.now() - started);
    }
    rows.push({
      what: "a stream with its window, in memory",
      peer,
      gigabytesPerSecond: bytes / median(times) / 1e6,
    });
  }
  return rows.sort((a, b) => a.what < b.what ? -1 : a.what > b.what ? 1 : 0);
}

/**
 * @param {number} count
 * @param {number} bytes
 * @param {() => void} act
 */
function timed(count, bytes, act) {
  const times = [];
  const sizes = [];
  act();
  for (let i = 0; i < ROUNDS; i++) {
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    const started = performance.now();
    act();
    times.push(performance.now() - started);
    sizes.push(process.memoryUsage().heapUsed - before);
  }
  return {
    framesPerSecond: count / median(times) * 1_000,
    gigabytesPerSecond: count * bytes / median(times) / 1e6,
    bytesPerFrame: median(sizes) / count,
  };
}

/** @returns {Promise<Codec>} */
async function ownCodec() {
  const { Decoder, encodeFrames, FrameType } = await load(
    `export { Decoder } from "./core/frame/decoder.ts";
     export { encodeFrames, FrameType } from "./core/frame/frame.ts";`,
  );
  return {
    peer: "limpet",
    encode(payloads) {
      const chunks = [];
      // As many at a time as the writer of a session takes.
      for (let at = 0; at < payloads.length;) {
        const batch = [];
        for (
          let size = 0;
          size < 262_144 && at < payloads.length;
          size += payloads[at++].length
        ) {
          const payload = payloads[at];
          batch.push({ type: FrameType.DATA, stream: 1, channel: 1, payload });
        }
        for (const chunk of encodeFrames(batch)) chunks.push(chunk);
      }
      return chunks;
    },
    decode(chunks) {
      const decoder = new Decoder(65_536);
      let bytes = 0;
      for (const chunk of chunks) {
        decoder.push(chunk);
        for (let frame; (frame = decoder.next()) !== undefined;) {
          bytes += frame.payload.length;
        }
      }
      return bytes;
    },
  };
}

/** @returns {Promise<Codec>} */
async function lengthPrefixed() {
  const { decode, encode } = await import(LENGTH_PREFIXED);
  return {
    peer: "it-length-prefixed",
    encode: (payloads) => [...encode(payloads)],
    decode(chunks) {
      let bytes = 0;
      for (const message of decode(chunks)) bytes += message.byteLength;
      return bytes;
    },
  };
}

/**
 * A command's output through a whole session: server, link, windows, client.
 * Only the process is none, so that no pipe of the system's is measured.
 */
async function ownStream() {
  const { connect, makeToken, Server } = await import(LIMPET);
  const token = makeToken();
  const [near, far] = pair();
  const server = new Server({
    token,
    environment: () => ({}),
    platform: {
      os: "none",
      arch: "none",
      shell: "none",
      encoding: "utf-8",
      cwd: "/",
      runtime: "none",
    },
    spawner(/** @type {any} */ { argv }) {
      /** @type {(status: object) => void} */
      let end;
      return Promise.resolve({
        pid: 1,
        stdin: null,
        stdout: zeros(Number(argv[1]), () => end({ code: 0, signal: null })),
        stderr: null,
        status: new Promise((resolve) => end = resolve),
        kill: () => false,
        groupAlive: () => false,
      });
    },
  });
  server.accept(far);
  const session = await connect(near, { token });
  return {
    peer: "limpet",
    async run(/** @type {number} */ bytes) {
      const child = session.spawn("zeros", {
        args: [String(bytes)],
        stderr: "null",
      });
      let found = 0;
      for await (const chunk of child.stdout) found += chunk.length;
      await child.status;
      return found;
    },
  };
}

async function yamuxStream() {
  // It takes Node 22 for granted.
  Object.assign(Promise, { withResolvers });
  const { yamux } = await import(YAMUX);
  const { multiaddrConnectionPair } = await import(LIBP2P_UTILS);
  const [near, far] = multiaddrConnectionPair({ delay: 0, capacity: MiB });
  const client = yamux()({}).createStreamMuxer(near);
  const server = yamux()({}).createStreamMuxer(far);
  server.addEventListener("stream", (/** @type {any} */ { detail }) => {
    const stream = detail;
    stream.addEventListener("message", async (/** @type {any} */ { data }) => {
      const asked = new DataView(data.subarray().slice().buffer).getUint32(0);
      const chunk = new Uint8Array(READ_BYTES);
      for (let left = asked; left > 0; left -= chunk.length) {
        if (!stream.send(chunk)) await stream.onDrain();
      }
      await stream.close();
    });
  });
  return {
    peer: "libp2p-yamux",
    async run(/** @type {number} */ bytes) {
      const stream = await client.createStream();
      const ask = new Uint8Array(4);
      new DataView(ask.buffer).setUint32(0, bytes);
      stream.send(ask);
      let found = 0;
      for await (const chunk of stream) {
        found += chunk.byteLength;
        if (found === bytes) break;
      }
      await stream.close();
      return found;
    },
  };
}

/**
 * @param {number} bytes
 * @param {() => void} done
 */
function zeros(bytes, done) {
  const chunk = new Uint8Array(READ_BYTES);
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) {
        controller.close();
        return done();
      }
      const taken = Math.min(left, chunk.length);
      controller.enqueue(chunk.subarray(0, taken));
      left -= taken;
    },
  }, { highWaterMark: 0 });
}

function withResolvers() {
  let resolve, reject;
  const promise = new Promise((...both) => [resolve, reject] = both);
  return { promise, resolve, reject };
}

/** Two byte streams that are each other's ends. */
function pair() {
  const size = { highWaterMark: MiB, size: (/** @type {any} */ c) => c.length };
  const up = new TransformStream(undefined, size);
  const down = new TransformStream(undefined, size);
  return [
    { readable: down.readable, writable: up.writable },
    { readable: up.readable, writable: down.writable },
  ];
}

/**
 * The same bytes as reads of a socket would bring them.
 *
 * @param {Uint8Array[]} chunks
 */
function recut(chunks) {
  const all = new Uint8Array(
    chunks.reduce((sum, chunk) => sum + chunk.length, 0),
  );
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  const pieces = [];
  for (let begin = 0; begin < all.length; begin += READ_BYTES) {
    pieces.push(all.slice(begin, begin + READ_BYTES));
  }
  return pieces;
}

/**
 * Modules of core that no entry of the package exports.
 *
 * @param {string} contents
 */
async function load(contents) {
  // Installed by then; whoever only wants the lines does without.
  const { build: bundle } = await import("esbuild");
  const { outputFiles: [{ text }] } = await bundle({
    stdin: { contents, resolveDir: root, loader: "ts" },
    bundle: true,
    format: "esm",
    write: false,
  });
  return await import(`data:text/javascript,${encodeURIComponent(text)}`);
}

/** @param {number[]} values */
function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/**
 * For a terminal of 80 columns.
 *
 * @param {MicroRow[]} rows
 * @returns {string[]}
 */
export function microLines(rows) {
  /** @type {string[]} */
  const lines = [];
  let before = "";
  for (const { what, peer, ...row } of rows) {
    if (what !== before) lines.push("", what);
    before = what;
    const { framesPerSecond: rate, bytesPerFrame: memory } = row;
    const cells = [
      `${row.gigabytesPerSecond.toPrecision(3)} GB/s`,
      rate === undefined ? "" : `${(rate / 1e6).toPrecision(3)} M frames/s`,
      memory === undefined ? "" : `${Math.round(memory)} B of heap a frame`,
    ];
    lines.push(
      `  ${peer.padEnd(20)}${cells.map((each) => each.padEnd(18)).join("")}`
        .trimEnd(),
    );
  }
  return lines;
}

const LENGTH_PREFIXED = "it-length-prefixed";
const YAMUX = "@chainsafe/libp2p-yamux";
const LIBP2P_UTILS = "@libp2p/utils";
const LIMPET = "../../dist/mod.js";

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await install(root, "the build tools");
  await install(fileURLToPath(new URL(".", import.meta.url)), "the peers");
  await build();
  const rows = await measure();
  process.stdout.write(
    process.argv.includes("--json")
      ? `${JSON.stringify(rows)}\n`
      : `${microLines(rows).slice(1).join("\n")}\n`,
  );
  // yamux keeps its connection alive.
  process.exit(0);
}
