/**
 * The server of a peer that is a library, in a process of its own: says where it
 * listens with one line of JSON, and goes when its stdin ends.
 *
 * @module
 */

import process from "node:process";

const [module, options] = process.argv.slice(2);
const { serve } = await import(module);
const address = await serve(JSON.parse(options));
process.stdout.write(`${JSON.stringify(address)}\n`);
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
