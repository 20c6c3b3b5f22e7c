/**
 * What it costs to be able to resume: time, processor time and bytes of bulk,
 * beside the same session without it. Client and server are a process each, and
 * in each round both kinds take their turns; a figure is the median of the rounds'
 * ratios, with the lowest and the highest.
 *
 *     node test/bench/link_cost.mjs
 *     node test/bench/link_cost.mjs --size 1024 --rounds 9
 *
 * @module
 */

import { fork } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { root, setUp } from "../../adapters/node/setup.mjs";

/**
 * @typedef {"plain" | "resumable"} Kind
 * @typedef {"out" | "in"} Way as the command sees it
 * @typedef {{ seconds: number, cpu: number, bytes: number }} Cost
 */

const TOKEN = "a-token-for-what-resuming-costs";
const { values: flags } = parseArgs({
  options: {
    size: { type: "string", default: "512" },
    rounds: { type: "string", default: "7" },
  },
});
const bytes = Number(flags.size) * 2 ** 20;

await setUp();
const { connect, dial, resumable, serve } = await import(
  join(root, "dist", "node.js")
);

if (process.send) {
  const server = await serve("tcp://127.0.0.1:0", { token: TOKEN });
  process.send(server.address);
  process.on("message", () => process.send?.(process.cpuUsage()));
  process.on("disconnect", () => server.close(0));
} else {
  await compare();
}

async function compare() {
  const child = fork(fileURLToPath(import.meta.url));
  /** @returns {Promise<any>} */
  const answer = () => new Promise((done) => child.once("message", done));
  const port = Number(new URL(await answer()).port);
  const cpuSeconds = async () => {
    const theirs = answer();
    child.send("cpu");
    return [await theirs, process.cpuUsage()]
      .reduce((sum, { user, system }) => sum + user + system, 0) / 1e6;
  };
  /** @type {Record<Way, { [key in keyof Cost]: number }[]>} */
  const ratios = { out: [], in: [] };
  // The first round warms up and does not count.
  for (let round = 0; round <= Number(flags.rounds); round++) {
    for (const way of /** @type {Way[]} */ (["out", "in"])) {
      /** @type {Partial<Record<Kind, Cost>>} */
      const costs = {};
      /** @type {Kind[]} */
      const kinds = ["plain", "resumable"];
      for (const kind of round % 2 ? kinds : kinds.reverse()) {
        const before = await cpuSeconds();
        const once = await transfer(kind, way, port);
        costs[kind] = { ...once, cpu: await cpuSeconds() - before };
      }
      const { plain, resumable } = /** @type {Record<Kind, Cost>} */ (costs);
      if (round === 0) continue;
      ratios[way].push({
        seconds: resumable.seconds / plain.seconds,
        cpu: resumable.cpu / plain.cpu,
        bytes: resumable.bytes / plain.bytes,
      });
    }
  }
  for (const way of /** @type {Way[]} */ (["out", "in"])) {
    const more = (/** @type {keyof Cost} */ of) => {
      const all = ratios[way].map((each) => (each[of] - 1) * 100)
        .sort((one, other) => one - other);
      const at = (/** @type {number} */ i) => all[i].toFixed(2);
      const middle = at(Math.floor(all.length / 2));
      return `${middle} % (${at(0)} to ${at(all.length - 1)})`;
    };
    console.log(
      `bulk ${way.padEnd(3)}: ${more("seconds")} more time, ${more("cpu")} ` +
        `more processor time, ${more("bytes")} more bytes`,
    );
  }
  child.disconnect();
}

/**
 * One session and one command, which writes or reads zeros.
 *
 * @param {Kind} kind
 * @param {Way} way
 * @param {number} port
 */
async function transfer(kind, way, port) {
  let crossed = 0;
  const counted = async () => {
    const target = { kind: "tcp", hostname: "127.0.0.1", port };
    const duplex = await dial(target);
    const reader = duplex.readable.getReader();
    return {
      ...duplex,
      readable: new ReadableStream({
        async pull(controller) {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          crossed += value.byteLength;
          controller.enqueue(value);
        },
        cancel: (reason) => reader.cancel(reason),
      }, { highWaterMark: 0 }),
      /** @param {Uint8Array[]} chunks */
      writev(chunks) {
        for (const { byteLength } of chunks) crossed += byteLength;
        return duplex.writev(chunks);
      },
    };
  };
  const session = await connect(counted, {
    token: TOKEN,
    resume: kind === "resumable" ? resumable() : undefined,
  });
  const since = performance.now();
  if (way === "out") {
    const command = session.spawn("head", {
      args: ["-c", `${bytes}`, "/dev/zero"],
    });
    let got = 0;
    for await (const chunk of command.stdout) got += chunk.byteLength;
    if (got !== bytes) throw new Error(`${got} bytes came`);
    await command.status;
  } else {
    const command = session.spawn("sh", {
      args: ["-c", "exec cat >/dev/null"],
      stdin: "piped",
    });
    const writer = command.stdin.getWriter();
    const chunk = new Uint8Array(65_536);
    for (let sent = 0; sent < bytes; sent += chunk.byteLength) {
      await writer.write(chunk);
    }
    await writer.close();
    await command.status;
  }
  const seconds = (performance.now() - since) / 1_000;
  await session.close();
  return { seconds, bytes: crossed };
}
