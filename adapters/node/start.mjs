/**
 * `npm start`: install and build if need be, then `limpet demo` in this process,
 * so that signals, the terminal and the exit code are the program's own.
 *
 * npm puts a shell in between. Without the `trap` in package.json's script that
 * shell would turn every exit code into 130 once Ctrl-C had ended a command at
 * the prompt. (`cmd.exe` knows no `trap` and goes on after the `||`.)
 *
 * @module
 */

import process from "node:process";
import { pathToFileURL } from "node:url";
import { cli, setUp } from "./setup.mjs";

try {
  await setUp();
} catch (error) {
  process.stderr.write(`limpet: ${error}\n`);
  process.exit(1);
}

// A signal sent to npm reaches only the shell that npm put between us, which
// dies of it without passing it on: losing our parent is that signal.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, "SIGTERM");
}, 500).unref();

process.argv = [process.argv[0], cli, "demo", ...process.argv.slice(2)];
await import(pathToFileURL(cli).href);
