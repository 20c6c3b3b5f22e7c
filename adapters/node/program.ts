/**
 * The whole program `limpet` on Node and Bun.
 *
 * @module
 */

import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { main } from "../../core/cli/main.ts";
import { cliRuntime } from "./cli_runtime.ts";

// To start a command is to fork, and that takes longer the more memory a server
// has. V8 would let what new objects live in grow to 32 MiB and more, and keep it;
// as it is at first it is large enough for frames. Node warns of flags that are set
// behind its start: this one is read each time that memory is to grow, and tried on
// Node 20 to 24. Bun has no V8.
if (process.argv[2] === "serve" && process.versions.bun === undefined) {
  setFlagsFromString("--semi-space-growth-factor=1");
}

const runtime = cliRuntime();
void main(runtime).then(runtime.exit);
