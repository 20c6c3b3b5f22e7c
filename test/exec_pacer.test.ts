import { expect, test } from "vitest";
import { Pacer } from "../core/exec/pacer.ts";

/** As starting a process does on a busy machine. */
function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test("many that block let the event loop turn in between, in order", async () => {
  const pacer = new Pacer();
  const done: number[] = [];
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  await Promise.all(Array.from({ length: 20 }, (_, i) =>
    pacer.run(() => {
      block(20);
      done.push(i);
    })));
  clearInterval(timer);
  expect(done).toEqual(done.map((_, i) => i));
  expect(done).toHaveLength(20);
  // 400 ms of it, and a turn at the latest after each 70.
  expect(turns).toBeGreaterThanOrEqual(4);
});

test("one that blocks nobody is done at once, and what it throws is passed on", async () => {
  const pacer = new Pacer();
  let done = false;
  const running = pacer.run(() => {
    done = true;
    return Promise.resolve(7);
  });
  expect(done).toBe(true);
  expect(await running).toBe(7);
  const failing = pacer.run(() => {
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
  await expect(pacer.run(() => Promise.reject(new Error("later")))).rejects
    .toThrow("later");
});

test("what has blocked it before the loop had its turns keeps nobody waiting", async () => {
  const pacer = new Pacer();
  const begun = performance.now();
  await pacer.run(() => block(60));
  const ended = performance.now();
  while (performance.now() - ended <= ended - begun) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  let done = false;
  const running = pacer.run(() => {
    done = true;
  });
  expect(done).toBe(true);
  await running;
});

test("a few are under way at once, so that those of others get their turn", async () => {
  const pacer = new Pacer();
  const ends: (() => void)[] = [];
  const all = Array.from(
    { length: 20 },
    () => pacer.run(() => new Promise<void>((resolve) => ends.push(resolve))),
  );
  let ended = 0;
  while (ended < 20) {
    expect(ends.length - ended).toBe(Math.min(4, 20 - ended));
    ends[ended]();
    await all[ended++];
    await Promise.resolve();
  }
  await Promise.all(all);
});
