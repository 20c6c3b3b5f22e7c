/**
 * A peer at work: its server and its client, and how to ask them.
 *
 * @module
 */

import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { memoryOf, watchTime } from "./processes.mjs";
import { start } from "./programs.mjs";

/** Longer than anything takes. */
const PATIENCE_MS = 120_000;

const here = fileURLToPath(new URL(".", import.meta.url));

/** @typedef {{ delayMs: number, bytesPerMs?: number, window?: number }} Line */

/** See the module's description. */
export class Side {
  /**
   * @param {import("./peers.mjs").Peer} peer
   * @param {import("./peers.mjs").Place} place
   */
  static async start(peer, place) {
    const { address, server } = await peer.serve(place);
    const client = start([
      ...place.runtimes[peer.runtime],
      join(here, "client.mjs"),
      peer.module,
      JSON.stringify(address),
    ]);
    await client.line();
    return new Side(peer, place, address, server, client);
  }

  /**
   * @param {import("./peers.mjs").Peer} peer
   * @param {import("./peers.mjs").Place} place
   * @param {any} address
   * @param {import("./programs.mjs").Program | null} server
   * @param {import("./programs.mjs").Program} client
   */
  constructor(peer, place, address, server, client) {
    this.peer = peer;
    this.place = place;
    this.address = address;
    this.server = server;
    this.client = client;
    this.hung = false;
  }

  /**
   * Has the client do one of the workloads. A peer that hangs is asked no more,
   * and the others still have their figures.
   *
   * @param {string} work
   * @param {object} options
   * @returns {Promise<any>}
   */
  async ask(work, options) {
    if (this.hung) throw new Error("it hung before");
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => {
        this.hung = true;
        reject(new Error(`nothing for ${PATIENCE_MS / 1_000} s`));
      }, PATIENCE_MS);
    });
    this.client.tell(JSON.stringify({ work, options }));
    try {
      const answer = JSON.parse(await Promise.race([this.client.line(), late]));
      if ("error" in answer) throw new Error(answer.error);
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * What client and server use of the processors meanwhile, in seconds.
   *
   * @param {() => Promise<unknown>} act
   */
  async cpuSeconds(act) {
    const { client, server } = this;
    const roots = server === null ? [client.pid] : [client.pid, server.pid];
    const stop = watchTime(roots);
    let seconds = NaN;
    try {
      await act();
    } finally {
      seconds = stop();
    }
    return seconds;
  }

  /** What the server keeps in memory, in bytes. */
  get serverBytes() {
    return this.server === null ? 0 : memoryOf([this.server.pid]);
  }

  /** What the client keeps in memory, in bytes. */
  get clientBytes() {
    return memoryOf([this.client.pid]);
  }

  /**
   * Through a slow line to the server.
   *
   * @template T
   * @param {Line} line
   * @param {(port: number) => Promise<T>} act
   * @returns {Promise<T>}
   */
  async through(line, act) {
    const proxy = start([
      process.execPath,
      join(here, "proxy.mjs"),
      JSON.stringify({ ...line, port: this.address.port }),
    ]);
    try {
      return await act(JSON.parse(await proxy.line()).port);
    } finally {
      await proxy.end();
    }
  }

  async end() {
    await Promise.all([this.client.end(), this.server?.end()]);
  }
}
