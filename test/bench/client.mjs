/**
 * One client of one peer, in a process of its own: takes a line of JSON per
 * thing to measure on stdin, and answers each with one on stdout.
 *
 *     node test/bench/client.mjs ./peers/relay.mjs '{"port":40123}'
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { WORKLOADS } from "./workloads.mjs";

const [module, address] = process.argv.slice(2);
const { connect } = await import(module);
const at = JSON.parse(address);
const dial = (/** @type {object} */ how = {}) => connect({ ...at, ...how });
/** The session that everything but connecting is measured on. */
let session = await dial();
answer({ ready: true });

for await (const line of createInterface({ input: process.stdin })) {
  const { work, options } = JSON.parse(line);
  try {
    answer(await WORKLOADS[work](session, options, dial));
  } catch (error) {
    answer({ error: error instanceof Error ? error.stack : String(error) });
    // What failed may have taken the session with it.
    session = await dial();
  }
}
await session.close();
process.exit(0);

/** @param {object} value */
function answer(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
