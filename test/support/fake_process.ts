/**
 * Processes that exist in memory only, for tests of what is said about them.
 *
 * @module
 */

import { deferred } from "../../core/deferred.ts";
import type { ExitStatus, ProcessHandle, Spawner } from "../../core/ports.ts";

/** What a fake process does, written as what a real one would. */
export interface Script {
  readonly pid?: number;
  /** Bytes of stdin to take before it writes and ends. */
  readonly reads?: number;
  readonly stdout?: Uint8Array;
  readonly stderr?: Uint8Array;
  /** Something left behind keeps stdout open. */
  readonly heldOpen?: boolean;
  /** Null: it runs until a signal comes. */
  readonly exit: ExitStatus | null;
}

/** Starts the script, whatever the command is. */
export function fakeSpawner(script: Script): Spawner {
  return (command) => {
    const ended = deferred<ExitStatus>();
    let alive = true;
    const finish = (status: ExitStatus) => {
      alive = false;
      ended.resolve(status);
    };
    const fed = deferred<void>();
    let read = 0;
    const wanted = script.reads ?? 0;
    if (wanted === 0) fed.resolve();
    const output = (bytes: Uint8Array | undefined, heldOpen = false) =>
      new ReadableStream<Uint8Array>({
        async start(controller) {
          await fed.promise;
          if (bytes?.byteLength) controller.enqueue(bytes);
          await ended.promise;
          if (!heldOpen) controller.close();
        },
      });
    const stdin = new WritableStream<Uint8Array>({
      write(chunk) {
        read += chunk.byteLength;
        if (read >= wanted) fed.resolve();
      },
    }, { highWaterMark: 0 });
    fed.promise.then(() => script.exit && finish(script.exit));
    const handle: ProcessHandle = {
      pid: script.pid ?? 1,
      stdin: command.stdin === "piped" ? stdin : null,
      stdout: command.stdout === "piped"
        ? output(script.stdout, script.heldOpen)
        : null,
      stderr: command.stderr === "piped" ? output(script.stderr) : null,
      status: ended.promise,
      kill(signal) {
        if (alive) finish({ code: null, signal });
        return alive;
      },
      groupAlive: () => alive,
    };
    return Promise.resolve(handle);
  };
}
