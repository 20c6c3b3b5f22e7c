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
  /** Something left behind keeps its output open. */
  readonly heldOpen?: boolean;
  /** Reading its stdout fails after what there is. */
  readonly fails?: boolean;
  /** It closes its stdin at the first byte. */
  readonly stopsReading?: boolean;
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
    const output = (bytes: Uint8Array = new Uint8Array(0), fails = false) => {
      let written = bytes.byteLength === 0;
      return new ReadableStream<Uint8Array>({
        async pull(controller) {
          await fed.promise;
          if (!written) {
            written = true;
            return controller.enqueue(bytes);
          }
          await ended.promise;
          if (fails) controller.error(new Error("As it was recorded"));
          else if (!script.heldOpen) controller.close();
        },
        cancel() {
          if (alive) finish({ code: null, signal: "SIGPIPE" });
        },
      }, { highWaterMark: 0 });
    };
    const stdin = new WritableStream<Uint8Array>({
      write(chunk) {
        read += chunk.byteLength;
        if (read >= wanted || script.stopsReading) fed.resolve();
        if (script.stopsReading) throw new Error("Nobody reads");
      },
    }, { highWaterMark: 0 });
    fed.promise.then(() => script.exit && finish(script.exit));
    const handle: ProcessHandle = {
      pid: script.pid ?? 1,
      stdin: command.stdin === "piped" ? stdin : null,
      stdout: command.stdout === "piped"
        ? output(script.stdout, script.fails)
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
