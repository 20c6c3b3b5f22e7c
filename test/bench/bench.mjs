/**
 * Measures Limpet against its peers, each client and each server a process of its
 * own. Every figure is a ratio to one that was measured in the same turn: a round
 * goes through all peers several times where a work is short, in an order of its
 * own, so that the machine's drift hits them alike.
 *
 *     npm run bench
 *     npm run bench -- --only true,echo --rounds 5
 *     npm run bench -- --size 1024 --json result.json
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { binary, build, install, root } from "./set_up.mjs";
import { MEASURES } from "./measures.mjs";
import { FLAGS } from "./micro.mjs";
import { makeKeys, PEERS } from "./peers.mjs";
import { load } from "./processes.mjs";
import { start, versionOf } from "./programs.mjs";
import { report, summarise } from "./report.mjs";
import { Side } from "./sides.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    size: { type: "string", default: "256" },
    count: { type: "string", default: "40" },
    only: { type: "string" },
    peers: { type: "string" },
    json: { type: "string" },
  },
});
const size = {
  bytes: Number(flags.size) * 2 ** 20,
  count: Number(flags.count),
};
const rounds = Number(flags.rounds);
const measures = chosen(MEASURES, "id", flags.only);

await install(root, "the build tools");
await install(join(root, "test"), "the test tools");
await install(here, "the peers");
await build();

const folder = mkdtempSync(join(tmpdir(), "limpet-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const deno = binary("@deno", ["deno"]);
const runtimes = {
  node: [process.execPath],
  deno: [
    deno,
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-all",
    "--config",
    join(root, "deno.json"),
  ],
};
await makeKeys(folder);

/** @type {{ name: string, reason: string }[]} */
const missing = [];
/** @type {import("./peers.mjs").Peer[]} */
const peers = [];
for (const peer of chosen(PEERS, "name", flags.peers)) {
  const reason = await peer.lacks?.() ?? null;
  if (reason === null) peers.push(peer);
  else {
    missing.push({ name: peer.name, reason });
    progress(`${peer.name} is not measured: ${reason}`);
  }
}

/** By measure and peer, of each round, of each of its turns. */
/** @type {Record<string, Record<string, (number | null)[][]>>} */
const figures = {};
/** The last round's, where a measure has them. */
/** @type {Record<string, Record<string, [number, number][]>>} */
const curves = {};
/** Why each turn that failed did, those of warming up included. */
/** @type {Record<string, Record<string, string[]>>} */
const failures = {};
for (let round = 1; round <= rounds; round++) {
  // Processes of its own for each: one and the same program may be a tenth faster
  // or slower for as long as it runs.
  /** @type {Side[]} */
  const sides = [];
  for (const peer of peers) {
    sides.push(await Side.start(peer, { folder, runtimes }));
  }
  progress(`round ${round} of ${rounds}: all are ready`);
  for (const measure of measures) {
    progress(`round ${round} of ${rounds}: ${measure.title} (load ${load()})`);
    const order = shuffled(
      sides.filter(({ peer }) =>
        measure.takes?.(peer) !== false &&
        !(measure.slow && round > 1 && !isCompared(peer))
      ),
    );
    const of = figures[measure.id] ??= {};
    for (const side of order) {
      await attempt(measure, side, async () => {
        await measure.warmUp?.(side, size);
      });
      (of[side.peer.name] ??= []).push([]);
    }
    for (let turn = 0; turn < (measure.turns ?? 1); turn++) {
      // There and back: who is late in one turn is early in the next.
      for (const side of order.reverse()) {
        const turns = of[side.peer.name][of[side.peer.name].length - 1];
        turns.push(await attempt(measure, side, () => measured(measure, side)));
      }
    }
  }
  await Promise.all(sides.map((side) => side.end()));
}
/** @type {import("./micro.mjs").MicroRow[] | undefined} */
let micro;
if (flags.only === undefined && flags.peers === undefined) {
  progress("frames and streams in memory");
  const file = join(here, "micro.mjs");
  const program = start([process.execPath, ...FLAGS, file, "--json"]);
  micro = JSON.parse(await program.line());
  await program.end();
}

const seconds = Math.round(performance.now() / 1_000);
progress(`took ${Math.floor(seconds / 60)} min ${seconds % 60} s`);

const result = {
  date: new Date().toISOString().slice(0, 10),
  machine: `${cpus().length} × ${cpus()[0].model}`,
  versions: {
    node: process.version,
    deno: await versionOf(deno),
    openssh: await versionOf("ssh", "-V"),
  },
  rounds,
  size,
  seconds,
  missing,
  measures: summarise(measures, peers, { figures, curves, failures }),
  ...(micro && { micro }),
};
if (flags.json !== undefined) {
  writeFileSync(flags.json, `${JSON.stringify(result, null, 2)}\n`);
}
process.stdout.write(report(result));

/**
 * @param {import("./measures.mjs").Measure} measure
 * @param {Side} side
 * @returns {Promise<number>}
 */
async function measured(measure, side) {
  const found = await measure.figure(side, size);
  if (typeof found === "number") return found;
  (curves[measure.id] ??= {})[side.peer.name] = found.curve;
  return found.figure;
}

/**
 * @template T
 * @param {import("./measures.mjs").Measure} measure
 * @param {Side} side
 * @param {() => Promise<T>} act
 * @returns {Promise<T | null>} null if it failed
 */
async function attempt(measure, side, act) {
  try {
    return await act();
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    const { name } = side.peer;
    progress(`${name} failed at ${measure.title}: ${message}`);
    ((failures[measure.id] ??= {})[name] ??= []).push(message.split("\n")[0]);
    return null;
  }
}

/**
 * Limpet, and what its targets are ratios to.
 *
 * @param {import("./peers.mjs").Peer} peer
 */
function isCompared({ kind }) {
  return kind === "limpet" || kind === "relay" || kind === "spawn";
}

/**
 * @template {Record<string, any>} T
 * @param {T[]} all
 * @param {string} key
 * @param {string} [names]
 * @returns {T[]}
 */
function chosen(all, key, names) {
  if (names === undefined) return all;
  const wanted = names.split(",").map((name) => name.trim());
  for (const name of wanted) {
    if (all.some((each) => each[key] === name)) continue;
    const known = all.map((each) => each[key]).join(", ");
    console.error(`limpet: there is no "${name}", only: ${known}`);
    process.exit(2);
  }
  return all.filter((each) => wanted.includes(each[key]));
}

/**
 * @template T
 * @param {T[]} values
 * @returns {T[]}
 */
function shuffled(values) {
  const all = [...values];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [all[i], all[j]] = [all[j], all[i]];
  }
  return all;
}

/** @param {string} text */
function progress(text) {
  process.stderr.write(`limpet: ${text}\n`);
}
