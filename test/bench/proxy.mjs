/**
 * A long line: every byte arrives so much later, no more than `bytesPerMs` leave
 * in a millisecond, and no more than `window` bytes are on their way, as with a
 * TCP connection whose socket buffers are that large. One process of its own.
 *
 *     node test/bench/proxy.mjs '{"port":8090,"delayMs":25}'
 *
 * @module
 */

import * as net from "node:net";
import process from "node:process";

const { port: to, delayMs, bytesPerMs = Infinity, window = Infinity } = JSON
  .parse(
    process.argv[2],
  );

/**
 * Node's timers go by whole milliseconds. Who is up to half of one early does not
 * wait for another, or each way would be longer than it is said to be.
 */
const TIMER_MS = 1;

const server = net.createServer(
  { noDelay: true, allowHalfOpen: true },
  (near) => {
    // A connection takes a round trip by itself; what comes first waits for it.
    near.pause();
    setTimeout(() => {
      const far = net.connect({
        host: "127.0.0.1",
        port: to,
        noDelay: true,
        allowHalfOpen: true,
      });
      carry(near, far);
      carry(far, near);
      near.resume();
      for (const [one, other] of [[near, far], [far, near]]) {
        one.on("error", () => other.destroy());
        one.on("close", () => one.errored && other.destroy());
      }
    }, 2 * delayMs);
  },
);

/**
 * @param {net.Socket} from
 * @param {net.Socket} to
 */
function carry(from, to) {
  /** @type {{ chunk: Buffer | null, due: number }[]} */
  const line = [];
  let onItsWay = 0;
  let free = 0;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const deliver = () => {
    timer = undefined;
    const soon = performance.now() + TIMER_MS / 2;
    to.cork();
    while (line.length > 0 && line[0].due <= soon) {
      const { chunk } = line[0];
      line.shift();
      if (chunk === null) {
        to.end();
        continue;
      }
      // What its end takes has left the line; if it takes no more, all waits.
      to.write(chunk, () => {
        // An acknowledgement takes as long for its way back.
        setTimeout(() => {
          onItsWay -= chunk.length;
          if (onItsWay < window) from.resume();
        }, delayMs);
      });
    }
    to.uncork();
    wait();
  };
  const wait = () => {
    if (timer !== undefined || line.length === 0) return;
    timer = setTimeout(deliver, Math.max(0, line[0].due - performance.now()));
  };
  const enter = (/** @type {Buffer | null} */ chunk) => {
    const now = performance.now();
    free = Math.max(free, now) + (chunk?.length ?? 0) / bytesPerMs;
    line.push({ chunk, due: free + delayMs });
    wait();
  };
  from.on("data", (chunk) => {
    onItsWay += chunk.length;
    enter(chunk);
    if (onItsWay >= window) from.pause();
  });
  from.on("end", () => enter(null));
}

server.listen(0, "127.0.0.1", () => {
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  process.stdout.write(`${JSON.stringify({ port })}\n`);
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
