/**
 * The whole program `limpet` on Node and Bun.
 *
 * @module
 */

import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { main } from "../../core/cli/main.ts";
import type { CliRuntime } from "../../core/cli/runtime.ts";
import { cliRuntime } from "./cli_runtime.ts";
import { spawnHelper } from "./spawn_helper.ts";

// To start a command is to fork, and that takes longer the more memory a server
// has. V8 would let what new objects live in grow to 32 MiB and more, and keep it;
// as it is at first it is large enough for frames. Node warns of flags that are set
// behind its start: this one is read each time that memory is to grow, and tried on
// Node 20 to 24. Bun has no V8.
const isServer = process.argv[2] === "serve";
if (isServer && process.versions.bun === undefined) {
  setFlagsFromString("--semi-space-growth-factor=1");
}

let warn = (_words: string) => {};
const onLost = () =>
  warn(
    "the process that starts commands was killed, and with it what it ran: how " +
      "that ended is not known. Another one takes its place",
  );
const runtime: CliRuntime = isServer
  ? {
    ...cliRuntime(),
    spawner: spawnHelper({ onLost }).spawner,
    onWarning: (handler) => warn = handler,
  }
  : cliRuntime();
void main(runtime).then(runtime.exit);
