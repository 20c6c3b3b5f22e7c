import { expect, test } from "vitest";
import type { Session } from "../core/client.ts";
import { adapter } from "./support/adapter.ts";
import { fakeSpawner } from "./support/fake_process.ts";
import { checkLeaks, countTimers, eventually } from "./support/leaks.ts";
import { growthOf } from "./support/memory.ts";
import { serving } from "./support/serving.ts";

const KIB = 1_024;
const ROUNDS = 7;

// So long that a timer which is not cleared is there when it is looked for. And so
// few records of ended commands that they are no growth: the first ones fill them.
const LIMITS = { handshakeTimeoutMs: 600_000, maxJobsPerIdentity: 40 };

/** Runs `true` so many times, a few at a time. */
async function runMany(session: Session, count: number): Promise<void> {
  let left = count;
  const runner = async () => {
    while (left-- > 0) {
      const { success } = await session.output("true");
      expect(success).toBe(true);
    }
  };
  await Promise.all(Array.from({ length: 8 }, runner));
}

// Most of what a command costs is its process. What a session forgets to let go
// of, some hundred bytes each time, shows without any; what an adapter does is a
// handle with its streams, of several KiB. The played ones come first: what the
// engine keeps of code that has become hot is the core's for the most part.
test.each([
  {
    processes: "played",
    spawner: fakeSpawner({ exit: { code: 0, signal: null } }),
    count: 400,
    bytes: KIB,
  },
  { processes: "real", spawner: adapter.spawner, count: 80, bytes: 3 * KIB },
])(
  "$count commands on one session, seven times, leave nothing behind: $processes processes",
  async ({ spawner, count, bytes }) => {
    await using served = await serving(LIMITS, spawner);
    using timers = countTimers();
    await using session = await served.connect({ limits: LIMITS });
    await runMany(session, count);
    served.events.length = served.spawned.length = 0;
    const noLeaks = checkLeaks();
    const timersBefore = timers.pending;

    const growth = await growthOf(ROUNDS, async () => {
      await runMany(session, count);
      expect(served.spawned).toHaveLength(count);
      served.events.length = served.spawned.length = 0;
    });

    await noLeaks();
    await eventually(
      () => timers.pending <= timersBefore,
      () => `${timers.pending} timers, ${timersBefore} before`,
    );
    expect(growth).toBeLessThan(count * bytes);
  },
  600_000,
);

test("500 sessions, one after another, leave nothing behind", async () => {
  await using served = await serving(LIMITS);
  using timers = countTimers();
  const visit = async () => {
    await using session = await served.connect({ limits: LIMITS });
    expect(session.over).toBe(false);
  };
  for (let i = 0; i < 50; i++) await visit();
  await served.untilDisconnected(50);
  served.events.length = 0;
  const noLeaks = checkLeaks();
  const timersBefore = timers.pending;

  const growth = await growthOf(ROUNDS, async () => {
    for (let i = 0; i < 100; i++) await visit();
    await served.untilDisconnected(100);
    served.events.length = 0;
    expect(served.server.connectionCount).toBe(0);
  });

  await noLeaks();
  await eventually(
    () => timers.pending <= timersBefore,
    () => `${timers.pending} timers, ${timersBefore} before`,
  );
  // 8 KiB for each session would be twice as much.
  expect(growth).toBeLessThan(400 * KIB);
}, 600_000);
