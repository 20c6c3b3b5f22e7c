/**
 * What is measured, as the client of any peer does it. Times are in
 * milliseconds, sizes in bytes. Each checks that it got what it asked for: a peer
 * that loses something has no figure.
 *
 * @module
 */

const BYTE = new Uint8Array([120]);

/**
 * @typedef {import("./peers/node_command.mjs").Connection} Connection
 * @typedef {(how?: { port?: number, early?: boolean, open?: boolean }) => Promise<Connection>} Dial
 * @typedef {(session: Connection, options: any, dial: Dial) => Promise<object>} Work
 */

/** @type {Record<string, Work>} */
export const WORKLOADS = {
  /** One large output, or a second one. */
  async bulkOut(session, { bytes, port, again }, dial) {
    const on = port === undefined ? session : await dial({ port });
    if (again) await largeOutput(on, bytes / 2);
    const started = performance.now();
    await largeOutput(on, bytes);
    const ms = performance.now() - started;
    if (port !== undefined) await on.close();
    return { ms };
  },

  /** One large input. */
  async bulkIn(session, { bytes }) {
    const argv = ["sh", "-c", "exec cat >/dev/null"];
    const started = performance.now();
    if (session.bulkIn !== undefined) {
      expect("exit code", await session.bulkIn(argv, bytes), 0);
    } else {
      const command = await session.command(argv, true);
      await Promise.all([command.feed(bytes), command.drain()]);
      await command.exit;
    }
    return { ms: performance.now() - started };
  },

  /** `true`, one after the other. */
  async commands(session, { count }) {
    return { times: await timesOfTrue(session, count) };
  },

  /** `true`, so many at a time. */
  async manyCommands(session, { count, atOnce }) {
    const started = performance.now();
    let left = count;
    const worker = async () => {
      while (left-- > 0) await timeOfTrue(session);
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    return { ms: performance.now() - started };
  },

  /** Opens the sessions that the next measure is about, if it is about any. */
  async ready(_session, { sessions = 0 }, dial) {
    for (let i = held.length; i < sessions; i++) held.push(await dial());
    return {};
  },

  /** `true`, one after the other, each on the next of so many sessions. */
  async manySessions(_session, { sessions, count }) {
    const started = performance.now();
    for (let i = 0; i < count; i++) await timeOfTrue(held[i % sessions]);
    return { ms: performance.now() - started };
  },

  /** A byte there and back through a `cat` that runs already. */
  async echo(session, { count, loaded }) {
    const load = loaded
      ? await session.command(["cat", "/dev/zero"])
      : undefined;
    let flows = true;
    let bytes = 0;
    const started = performance.now();
    const flowing = (async () => {
      while (flows && load !== undefined) {
        const got = await load.next();
        if (got === 0) break;
        bytes += got;
      }
    })();
    const cat = await session.command(["cat"], true);
    const times = [];
    for (let i = 0; i < count; i++) {
      const sent = performance.now();
      await cat.send(BYTE);
      expect("echo", await cat.next(), 1);
      times.push(performance.now() - sent);
    }
    const ms = performance.now() - started;
    flows = false;
    cat.kill();
    load?.kill();
    await Promise.race([flowing, sleep(1_000)]);
    return loaded ? { times, loadBytesPerMs: bytes / ms } : { times };
  },

  /** Connecting and being let in, and leaving again, for so long at most. */
  async connect(_session, { count, ms }, dial) {
    const times = [];
    const end = performance.now() + ms;
    for (let i = 0; i < count && (i < 5 || performance.now() < end); i++) {
      const started = performance.now();
      const session = await dial({ open: true });
      times.push(performance.now() - started);
      await session.close();
    }
    return { times };
  },

  /** From nothing to the end of a first command, through a slow line. */
  async first(_session, { port, count }, dial) {
    const times = [];
    for (let i = 0; i < count; i++) {
      const started = performance.now();
      const session = await dial({ port, early: true });
      const command = await session.command(["true"]);
      await Promise.all([command.drain(), command.exit]);
      times.push(performance.now() - started);
      await session.close();
    }
    return { times };
  },

  /**
   * `true`, one after the other, before and while another command has an output
   * that nobody reads, and has not for so long.
   */
  async stopped(session, { ms, count }) {
    const without = await timesOfTrue(session, count);
    const command = await session.command(["cat", "/dev/zero"]);
    await sleep(ms);
    const beside = await timesOfTrue(session, count);
    command.kill();
    // Who cannot tell when it has ended is not waited for.
    const over = Promise.all([command.drain(), command.exit]).catch(() => {});
    await Promise.race([over, sleep(1_000)]);
    return { without, beside };
  },

  /** Connections that do nothing, until `release`. */
  async hold(_session, { count }, dial) {
    for (let i = held.length; i < count; i++) held.push(await dial());
    return { held: held.length };
  },

  async release() {
    await Promise.all(held.splice(0).map((each) => each.close()));
    return {};
  },
};

/** @type {Connection[]} */
const held = [];

/**
 * @param {Connection} session
 * @param {number} count
 */
async function timesOfTrue(session, count) {
  const times = [];
  for (let i = 0; i < count; i++) times.push(await timeOfTrue(session));
  return times;
}

/** @param {Connection} session */
async function timeOfTrue(session) {
  const started = performance.now();
  const command = await session.command(["true"]);
  const [bytes, code] = await Promise.all([command.drain(), command.exit]);
  expect("bytes", bytes, 0);
  if (code !== null) expect("exit code", code, 0);
  return performance.now() - started;
}

/**
 * @param {string} what
 * @param {unknown} found
 * @param {unknown} due
 */
function expect(what, found, due) {
  if (found !== due) throw new Error(`${what}: ${found} instead of ${due}`);
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * @param {Connection} on
 * @param {number} bytes
 */
async function largeOutput(on, bytes) {
  const argv = ["head", "-c", String(bytes), "/dev/zero"];
  if (on.bulkOut !== undefined) {
    return expect("exit code", await on.bulkOut(argv), 0);
  }
  const command = await on.command(argv);
  expect("bytes", await command.drain(), bytes);
  await command.exit;
}
