/**
 * A client in a process of its own, whose connections others cut: runs commands
 * whose outcome is known, again and again, until it is told to stop.
 *
 *     node test/cuts/client.mjs '{"address":"tcp://127.0.0.1:8090", …}'
 *
 * One line of JSON on stdout for each thing that happens; on stdin it takes the
 * lines `stop` (run what is running to its end, and tell what came of all) and
 * `close`. In between it holds its session, so that what it has open can be
 * counted.
 *
 * @module
 */

import { createHash } from "node:crypto";
import process from "node:process";
import { createInterface } from "node:readline";

const library = "Deno" in globalThis
  ? "../../adapters/deno/mod.ts"
  : "../../dist/node.js";
/** @type {typeof import("../../adapters/node/mod.ts")} */
const { connect, resumable } = await import(library);

/**
 * `file`: where each command adds its number. `bytes`: go through `cat`, and back,
 * instead of a script.
 *
 * @typedef {object} Task
 * @property {string} address
 * @property {string} token
 * @property {number} keepaliveMs
 * @property {string} [file]
 * @property {number} [bytes]
 */

/** Commands at once. */
const LANES = 4;

/** @type {Task} */
const task = JSON.parse(process.argv[2]);

/** @type {Record<string, () => void>} */
const orders = {};
const told = Object.fromEntries(
  ["stop", "close"].map((order) => [
    order,
    new Promise((resolve) => orders[order] = () => resolve(order)),
  ]),
);
let stopping = false;
told.stop.then(() => stopping = true);
const input = createInterface({ input: process.stdin });
input.on("line", (line) => orders[line]?.());

const session = await connect(task.address, {
  token: task.token,
  limits: { keepaliveMs: task.keepaliveMs, keepaliveCount: 2 },
  resume: resumable({
    onEvent: (event) =>
      event.type === "resumed"
        ? say({ event: "resumed", afterMs: event.afterMs })
        : say({ event: "disconnected", code: event.reason.code }),
  }),
});
// What a runtime opens once and keeps is open from here on.
let started = 0;
for (const kind of kinds()) await kind(started++);
say({ event: "ready" });
const problems = task.bytes === undefined
  ? (await Promise.all(Array.from({ length: LANES }, lane))).flat()
  : await bulk(task.bytes);
say({ event: "done", started, problems, over: session.over });
await told.close;
await session.close();
input.close();
process.stdin.destroy();

/** @param {object} what */
function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/** @returns {Promise<string[]>} what was not as it should be */
async function lane() {
  const wrong = [];
  while (!stopping) {
    const number = started++;
    try {
      const all = kinds();
      await all[number % all.length](number);
    } catch (error) {
      const { code, message } = /** @type {any} */ (error);
      wrong.push(`Command ${number}: ${code}: ${message}`);
      if (session.over) return wrong;
    }
  }
  return wrong;
}

/** @returns {((number: number) => Promise<void>)[]} the script */
function kinds() {
  return [
    // Much output.
    async (number) => {
      const got = await run(number, "seq 1 40000");
      expect(got.stdout, seq(40_000));
    },
    // Both streams, and a code.
    async (number) => {
      const line = "seq 1 5000; seq 1 9000 >&2; exit 7";
      const got = await run(number, line);
      expect(got.stdout, seq(5_000));
      expect(got.stderr, seq(9_000));
      expect(got.code, 7);
    },
    // Input that comes back.
    async (number) => {
      const bytes = noise(number, 200_000);
      const got = await run(number, "cat", bytes);
      expect(sha256(got.stdout), sha256(bytes));
    },
    // Input that the other side has a digest of.
    async (number) => {
      const bytes = noise(number, 150_000);
      const got = await run(number, "sha256sum", bytes);
      expect(new TextDecoder().decode(got.stdout), `${sha256(bytes)}  -\n`);
    },
    // A signal.
    async (number) => {
      const child = session.spawn(`${note(number)} exec sleep 1000`, {
        shell: true,
      });
      // The line must have been written before its shell may go.
      const reader = child.stdout.getReader();
      await reader.read();
      child.kill("SIGTERM");
      expect((await child.status).signal, "SIGTERM");
      await reader.cancel();
      await child.stderr.cancel();
    },
    // One that outlives its clients, and is read when it has ended.
    async (number) => {
      const jobId = `cut-${number}`;
      const child = session.spawn(`${note(number)} seq 1 30000; exit 5`, {
        shell: true,
        jobId,
        onDisconnect: "detach",
      });
      await child.pid;
      child.detach();
      await child.status.catch(() => {});
      const job = session.jobs().job(jobId);
      expect((await job.wait()).status?.code, 5);
      const again = session.attach(jobId);
      const chunks = [];
      for (const reader = again.stdout.getReader();;) {
        const { done, value } = await reader.read();
        if (done) break;
        chunks.push(value);
      }
      expect(Buffer.concat(chunks), `started\n${seq(30_000)}`);
      expect((await again.status).code, 5);
      await again.stderr.cancel();
      await job.remove();
    },
  ];
}

/**
 * Writes down that the command has started.
 *
 * @param {number} number
 */
function note(number) {
  return `echo ${number} >>${task.file}; echo started;`;
}

/**
 * @param {number} number
 * @param {string} line
 * @param {Uint8Array} [stdin]
 */
async function run(number, line, stdin) {
  const output = await session.output(
    `echo ${number} >>${task.file}; ${line}`,
    { shell: true, stdin },
  );
  return output;
}

/** @param {number} last */
function seq(last) {
  return Array.from({ length: last }, (_, i) => `${i + 1}\n`).join("");
}

/**
 * The same for the same number, and no two pieces alike.
 *
 * @param {number} seed
 * @param {number} length
 */
function noise(seed, length) {
  const bytes = new Uint8Array(length);
  let state = seed + 1;
  for (let i = 0; i < length; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + i | 0;
    bytes[i] = state >>> 11;
  }
  return bytes;
}

/** @param {Uint8Array | string} data */
function sha256(data) {
  return createHash("sha256").update(data).digest("hex");
}

/**
 * @param {unknown} got
 * @param {unknown} wanted
 */
function expect(got, wanted) {
  const brief = (/** @type {unknown} */ value) =>
    typeof value === "string" && value.length > 100 ||
      value instanceof Uint8Array
      ? sha256(value)
      : value;
  if (brief(got) === brief(wanted)) return;
  if (got instanceof Uint8Array && sha256(String(wanted)) === sha256(got)) {
    return;
  }
  throw new Error(`${brief(got)} in place of ${brief(wanted)}`);
}

/**
 * @param {number} bytes
 * @returns {Promise<string[]>}
 */
async function bulk(bytes) {
  const child = session.spawn("cat", { stdin: "piped" });
  const sent = createHash("sha256");
  const got = createHash("sha256");
  let came = 0;
  const feed = async () => {
    const writer = child.stdin.getWriter();
    for (let left = bytes, i = 0; left > 0; i++) {
      const chunk = noise(i, Math.min(left, 65_536));
      left -= chunk.byteLength;
      sent.update(chunk);
      await writer.write(chunk);
    }
    await writer.close();
  };
  const take = async () => {
    for (const reader = child.stdout.getReader();;) {
      const { done, value } = await reader.read();
      if (done) return;
      got.update(value);
      came += value.byteLength;
    }
  };
  try {
    await Promise.all([feed(), take()]);
    const { code } = await child.status;
    const same = came === bytes && got.digest("hex") === sent.digest("hex");
    await child.stderr.cancel();
    return same && code === 0 ? [] : [`${came} bytes, code ${code}`];
  } catch (error) {
    return [String(error)];
  }
}
