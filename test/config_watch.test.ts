import { expect, test } from "vitest";
import { deferred } from "../core/deferred.ts";
import type { FileStatus } from "../core/machine.ts";
import { FileWatch } from "../core/config/watch.ts";

/** A file that is nothing but its version, and what was made of it. */
function watched() {
  const told: string[] = [];
  const state = {
    version: "1",
    broken: false,
    adopted: [] as string[],
    /** Held up, once the version is known. */
    holdUp: null as Promise<void> | null,
  };
  const watch = new FileWatch({
    path: "/server.json",
    files: {
      async status(): Promise<FileStatus> {
        const { version, holdUp } = state;
        await holdUp;
        return { mode: 0o600, owner: "self", version, isFolder: false };
      },
    },
    adopt() {
      if (state.broken) return Promise.reject(new Error("a comma"));
      state.adopted.push(state.version);
      return Promise.resolve(state.version);
    },
    tell: (message) => told.push(message),
  });
  return { watch, state, told };
}

test("a change counts for whoever asks after it, though a look is under way", async () => {
  const { watch, state, told } = watched();
  await watch.adopt();
  const hold = deferred<void>();
  state.holdUp = hold.promise;
  const before = watch.look();
  state.version = "2";
  state.holdUp = null;
  const after = [watch.look(), watch.look()];
  hold.resolve();
  await before;
  await Promise.all(after);
  expect(state.adopted).toEqual(["1", "2"]);
  expect(told).toEqual(["read again: 2"]);
  await watch.look();
  expect(state.adopted).toEqual(["1", "2"]);
});

test("what stays broken is told once, what is written meanwhile is not", async () => {
  const { watch, state, told } = watched();
  await watch.adopt();
  state.version = "half";
  state.broken = true;
  await watch.look();
  expect(told).toEqual([]);
  state.version = "more of it";
  for (let i = 0; i < 4; i++) await watch.look();
  expect(told).toEqual(["the old configuration stays: a comma"]);
  state.broken = false;
  state.version = "whole";
  await watch.look();
  expect(told[1]).toBe("read again: whole");
  // Asked for, it is read whether it has changed or not, and fails aloud.
  expect(await watch.adopt()).toBe("whole");
  state.broken = true;
  await expect(watch.adopt()).rejects.toThrow("a comma");
});
