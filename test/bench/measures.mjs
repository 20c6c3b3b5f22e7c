/**
 * The figures: how each is got from a peer, and what Limpet should reach.
 *
 * @module
 */

import { performance } from "node:perf_hooks";
import { join } from "node:path";
import { root } from "./set_up.mjs";
import { exitOf } from "./programs.mjs";

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/**
 * @typedef {import("./peers.mjs").Peer} Peer
 * @typedef {import("./sides.mjs").Side} Side
 *
 * @typedef {object} Size
 * @property {number} bytes of a large output or input
 * @property {number} count of small things
 *
 * @typedef {object} Measure
 * @property {string} id for --only
 * @property {string} title
 * @property {string} unit of the figure
 * @property {(side: Side, size: Size) => Promise<number | Growth>} figure
 * @property {"spawn" | "relay" | "OpenSSH" | "trip" | "itself" | null} base what
 * it is a ratio to: the peer of that kind in the same round, on the same runtime;
 * the round trip of the slow line; or the figure is a ratio by itself
 * @property {"higher" | "lower"} better whether the ratio is the base's figure by
 * this one (of a time: a rate), or this one by the base's
 * @property {{ plain: number, tls: number }} [target] of the ratio, or of the
 * figure if there is none
 * @property {(peer: Peer) => boolean} [takes] default: all
 * @property {(side: Side, size: Size) => Promise<unknown>} [warmUp] goes before
 * each round, uncounted: what compilers do in the first second is no part of what
 * a byte or a command costs
 * @property {number} [turns] a round is measured in so many parts, and all peers
 * have one of them before any has the next; default 1
 * @property {boolean} [slow] peers other than Limpet and the relays take part in
 * the first round only, so that all of it stays a matter of minutes
 *
 * @typedef {object} Growth a figure that is read off a curve
 * @property {number} figure
 * @property {[number, number][]} curve how many there were, and what one cost
 */

const isRemote = (/** @type {Peer} */ peer) => peer.kind !== "spawn";
const hasSessions = (/** @type {Peer} */ peer) =>
  isRemote(peer) && peer.kind !== "relay";
const isLimpet = (/** @type {Peer} */ peer) => peer.kind === "limpet";

/** @type {Measure[]} */
export const MEASURES = [
  // First, for a program that has had large outputs takes a third longer to fork.
  {
    id: "true",
    title: "`true` on an open session",
    unit: "ms",
    warmUp: (side, { count }) => side.ask("commands", { count: count * 25 }),
    figure: async (side, { count }) =>
      median((await side.ask("commands", { count: count / 4 })).times),
    turns: 6,
    base: "spawn",
    better: "lower",
    target: { plain: 1.25, tls: 1.25 },
  },
  {
    id: "true-8",
    title: "`true`, eight at a time, per command",
    unit: "ms",
    warmUp: (side, { count }) =>
      side.ask("manyCommands", { count: count * 10, atOnce: 8 }),
    figure: async (side, { count }) => {
      const commands = { count, atOnce: 8 };
      return (await side.ask("manyCommands", commands)).ms / count;
    },
    turns: 6,
    base: "spawn",
    better: "higher",
    target: { plain: 1, tls: 1 },
  },
  {
    id: "bulk-out",
    title: "large output",
    unit: "ms",
    warmUp: (side, { bytes }) => side.ask("bulkOut", { bytes: bytes * 4 }),
    figure: async (side, { bytes }) =>
      (await side.ask("bulkOut", { bytes })).ms,
    turns: 4,
    base: "relay",
    better: "higher",
    target: { plain: 0.9, tls: 0.92 },
  },
  {
    id: "bulk-in",
    title: "large input",
    unit: "ms",
    warmUp: (side, { bytes }) => side.ask("bulkIn", { bytes: bytes * 4 }),
    figure: async (side, { bytes }) => (await side.ask("bulkIn", { bytes })).ms,
    turns: 4,
    base: "relay",
    better: "higher",
    target: { plain: 0.9, tls: 0.92 },
  },
  {
    id: "cpu",
    title: "processor time per GiB of output, client and server",
    unit: "s",
    warmUp: (side, { bytes }) => side.ask("bulkOut", { bytes }),
    figure: async (side, { bytes }) =>
      await side.cpuSeconds(() => side.ask("bulkOut", { bytes })) * GiB / bytes,
    turns: 2,
    base: "relay",
    better: "lower",
    target: { plain: 1.25, tls: 1.25 },
    takes: isRemote,
  },
  {
    id: "echo",
    title: "echo of a byte",
    unit: "ms",
    warmUp: (side, { count }) => side.ask("echo", { count: count * 100 }),
    figure: async (side, { count }) =>
      median((await side.ask("echo", { count: count * 10 })).times),
    turns: 8,
    base: "relay",
    better: "lower",
    target: { plain: 1.5, tls: 1.5 },
  },
  {
    id: "echo-loaded",
    title: "echo beside a large output, 99th percentile",
    unit: "ms",
    figure: async (side, { count }) => {
      const loaded = { count: count * 25, loaded: true };
      return percentile((await side.ask("echo", loaded)).times, 0.99);
    },
    base: "OpenSSH",
    better: "lower",
    target: { plain: 1, tls: 1 },
    takes: isRemote,
  },
  {
    id: "bulk-beside-echo",
    title: "large output beside an echo, of its own rate without",
    unit: "",
    figure: async (side, { bytes, count }) => {
      const { ms } = await side.ask("bulkOut", { bytes });
      const loaded = { count: count * 25, loaded: true };
      const { loadBytesPerMs } = await side.ask("echo", loaded);
      return loadBytesPerMs * ms / bytes;
    },
    base: "itself",
    better: "higher",
    target: { plain: 0.85, tls: 0.85 },
    // Of OpenSSH's alone goes to nowhere, beside an echo through this client.
    takes: (peer) => hasSessions(peer) && peer.kind !== "openssh",
  },
  {
    id: "connect",
    title: "connecting and being let in",
    unit: "ms",
    warmUp: manyConnects,
    figure: timeToConnect,
    turns: 4,
    base: null,
    better: "lower",
    target: { plain: 1, tls: NaN },
    takes: (peer) => hasSessions(peer) && !peer.tls,
  },
  {
    id: "connect-tls",
    title: "connecting and being let in, over TLS",
    unit: "ms",
    warmUp: manyConnects,
    figure: timeToConnect,
    turns: 4,
    base: "relay",
    better: "lower",
    target: { plain: NaN, tls: 2 },
    takes: (peer) => peer.tls === true,
  },
  {
    id: "first",
    title: "a first command, 50 ms a round trip",
    unit: "ms",
    warmUp: (side, { count }) =>
      side.ask("first", { port: side.address.port, count }),
    figure: (side) =>
      side.through(
        { delayMs: 25 },
        async (port) =>
          median((await side.ask("first", { port, count: 5 })).times),
      ),
    base: "trip",
    better: "lower",
    target: { plain: 3.1, tls: 4.1 },
    takes: isRemote,
  },
  far(4),
  far(64),
  { ...far(64, true), id: "far-64-again" },
  {
    id: "stopped",
    title: "memory while nobody reads an output for 10 s, the larger end",
    unit: "MiB",
    figure: async (side) => {
      const server = side.serverBytes;
      const client = side.clientBytes;
      let growth = 0;
      const look = setInterval(() => {
        const here = side.clientBytes - client;
        growth = Math.max(growth, here, side.serverBytes - server);
      }, 500);
      await side.ask("stopped", { ms: 10_000, count: 5 });
      clearInterval(look);
      return growth / MiB;
    },
    base: null,
    better: "lower",
    // The window of a stream, and 3 MiB.
    target: { plain: 3.25, tls: 3.25 },
    takes: hasSessions,
    slow: true,
  },
  {
    id: "beside-stopped",
    title: "`true` beside an output that nobody reads, against without",
    unit: "",
    figure: async (side, { count }) => {
      const { without, beside } = await side.ask("stopped", {
        ms: 1_000,
        count: count / 2,
      });
      return median(beside) / median(without);
    },
    turns: 2,
    base: "itself",
    better: "lower",
    // As fast as without, but for what the machine's own time differs by.
    target: { plain: 1.1, tls: 1.1 },
    takes: hasSessions,
  },
  {
    id: "idle",
    title: "memory per idle connection, server",
    unit: "KiB",
    figure: async (side) => {
      // What the first ones need once, and what comes with the others.
      await side.ask("hold", { count: 50 });
      const before = side.serverBytes;
      const { held } = await side.ask("hold", { count: 250 });
      const after = side.serverBytes;
      await side.ask("release", {});
      return (after - before) / (held - 50) / KiB;
    },
    base: null,
    better: "lower",
    target: { plain: 24, tls: NaN },
    slow: true,
    // A master of OpenSSH is a process, and 250 of them are another matter.
    takes: (peer) => hasSessions(peer) && peer.kind !== "openssh",
  },
  {
    id: "many-commands",
    title: "processor time per command, 1,000 at once against 1",
    unit: "",
    figure: (side) => growth(side, "manyCommands", "atOnce"),
    base: "itself",
    better: "lower",
    target: { plain: 1.3, tls: 1.3 },
    takes: (peer) => isLimpet(peer) && !peer.tls,
  },
  {
    id: "many-sessions",
    title: "processor time per command, on 1,000 sessions against 1",
    unit: "",
    figure: (side) => growth(side, "manySessions", "sessions"),
    base: "itself",
    better: "lower",
    target: { plain: 1.3, tls: 1.3 },
    takes: (peer) => isLimpet(peer) && !peer.tls,
  },
  {
    id: "start",
    title: "`limpet exec TARGET -- true` against an empty program",
    unit: "",
    figure: async (side, { count }) => {
      const runtime = side.place.runtimes[side.peer.runtime];
      const { scheme, port, token, pin } = side.address;
      const program = side.peer.runtime === "node"
        ? [join(root, "dist", "limpet.cjs")]
        : [join(root, "adapters", "deno", "main.ts")];
      const whole = [
        ...runtime,
        ...program,
        "exec",
        "--token-file",
        token,
        ...(pin === undefined ? [] : ["--pin", pin]),
        `${scheme}://127.0.0.1:${port}`,
        "--",
        "true",
      ];
      const empty = side.peer.runtime === "node"
        ? [...runtime, "-e", "0"]
        : [...runtime.slice(0, 1), "eval", "0"];
      const ratios = [];
      for (let i = 0; i < count / 4; i++) {
        const without = await timeOf(empty);
        ratios.push(await timeOf(whole) / without);
      }
      return median(ratios);
    },
    base: "itself",
    better: "lower",
    target: { plain: 1.4, tls: NaN },
    takes: isLimpet,
  },
];

/**
 * @param {number} window in MiB
 * @param {boolean} [again] the session has carried another one before
 * @returns {Measure}
 */
function far(window, again = false) {
  const line = { delayMs: 50, bytesPerMs: 125_000, window: window * MiB };
  const which = again ? ", the session's second" : "";
  return {
    id: `far-${window}`,
    title: `large output, 100 ms, 1 Gbit/s, ${window} MiB on the line${which}`,
    unit: "ms",
    figure: (side, { bytes }) =>
      side.through(line, async (port) => {
        // Where its window is no limit, a new line's program is, until compiled.
        if (window * MiB > line.bytesPerMs * 2 * line.delayMs) {
          await side.ask("bulkOut", { bytes: bytes / 2, port });
        }
        return (await side.ask("bulkOut", { bytes, port, again })).ms;
      }),
    base: "relay",
    better: "higher",
    target: { plain: 0.97, tls: 0.97 },
    takes: isRemote,
    slow: true,
  };
}

/**
 * @param {Side} side
 * @param {Size} size
 * @returns {Promise<number>}
 */
async function timeToConnect(side, { count }) {
  const most = { count: Math.max(5, count), ms: 1_000 };
  return median((await side.ask("connect", most)).times);
}

/**
 * Node's compilers are done after some 500 of ours; who takes longer for one does
 * most of it elsewhere (OpenSSH: a process each), and is not waited for.
 *
 * @param {Side} side
 * @param {Size} size
 */
function manyConnects(side, { count }) {
  return side.ask("connect", { count: count * 12, ms: 2_000 });
}

/** How many there are at a time, where the cost of one is looked at. */
const NUMBERS = [1, 10, 100, 1_000];

/**
 * @param {Side} side
 * @param {string} work
 * @param {string} key
 * @returns {Promise<Growth>}
 */
async function growth(side, work, key) {
  /** @type {[number, number][]} */
  const curve = [];
  for (const number of NUMBERS) {
    // Opening the sessions is another measure's.
    await side.ask("ready", { [key]: number });
    // Linux counts processor time in hundredths of a second.
    const count = Math.max(number, 300);
    const seconds = await side.cpuSeconds(() =>
      side.ask(work, { count, [key]: number })
    );
    curve.push([number, seconds / count * 1_000]);
  }
  await side.ask("release", {});
  return { figure: curve[curve.length - 1][1] / curve[0][1], curve };
}

/** @param {string[]} argv */
async function timeOf(argv) {
  const started = performance.now();
  const code = await exitOf(argv);
  if (code !== 0) throw new Error(`${argv.join(" ")}: exit code ${code}`);
  return performance.now() - started;
}

/** @param {number[]} values */
export function median(values) {
  return percentile(values, 0.5);
}

/**
 * @param {number[]} values
 * @param {number} part of them that is below, from 0 to 1
 */
export function percentile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * part;
  const low = sorted[Math.floor(at)];
  return low + (sorted[Math.ceil(at)] - low) * (at - Math.floor(at));
}
