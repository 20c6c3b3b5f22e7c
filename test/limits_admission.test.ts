import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Admission, type Visit } from "../core/admission/admission.ts";
import { dropsEarly } from "../core/admission/early_drop.ts";
import { Penalties } from "../core/admission/penalties.ts";
import {
  type Refusal,
  Refusals,
  REPORT_EVERY_MS,
} from "../core/admission/refusals.ts";
import { Seats } from "../core/admission/seats.ts";
import { sourceOf } from "../core/admission/source.ts";
import {
  resolveServerLimits,
  type ServerLimits,
} from "../core/server_limits.ts";

describe("the source of a peer", () => {
  test.each([
    ["192.0.2.7:40312", "192.0.2.7"],
    ["[::ffff:192.0.2.7]:40312", "192.0.2.7"],
    ["[::ffff:c000:207]:40312", "192.0.2.7"],
    ["[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::/64"],
    ["[2001:db8:1:2::9]:65535", "2001:db8:1:2::/64"],
    ["[2001:DB8:0001:2::]:1", "2001:db8:1:2::/64"],
    ["[2001:db8::1]:1", "2001:db8:0:0::/64"],
    ["[fe80::1%eth0]:1", "fe80:0:0:0::/64"],
    ["[::2]:1", "0:0:0:0::/64"],
    // What is on this machine, or no address at all.
    ["127.0.0.1:40312", null],
    ["127.9.9.9:1", null],
    ["[::1]:40312", null],
    ["[0:0:0:0:0:0:0:1]:40312", null],
    ["[::ffff:127.0.0.1]:1", null],
    ["unix", null],
    ["stdio", null],
    ["peer", null],
    ["", null],
    ["[1::2::3]:1", null],
    ["[1:2:3]:1", null],
    ["[1:2:3:4:5:6:7:8:9]:1", null],
    ["[12345::]:1", null],
    ["[::g]:1", null],
  ])("%s is %s", (peer, source) => {
    expect(sourceOf(peer)).toBe(source);
  });

  test("all of a /64 is one, however it is written", () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    fc.assert(fc.property(
      fc.tuple(group, group, group, group, group, group, group, group),
      (groups) => {
        groups[0] |= 0x2000;
        const full = groups.map((each) => each.toString(16));
        // As an operating system writes it.
        const short = new URL(`http://[${full.join(":")}]`).hostname;
        const network = `${full.slice(0, 4).join(":")}::/64`;
        expect(sourceOf(`[${full.join(":")}]:1`)).toBe(network);
        expect(sourceOf(`${short}:1`)).toBe(network);
      },
    ));
  });
});

describe("random early drop", () => {
  const limits = {
    earlyDropStart: 10,
    earlyDropPercent: 30,
    maxUnauthenticated: 100,
  };

  test("drops none below the start and all from the limit up", () => {
    expect(dropsEarly(9, limits, 0)).toBe(false);
    expect(dropsEarly(10, limits, 0)).toBe(true);
    expect(dropsEarly(99, limits, 0.9999)).toBe(false);
    expect(dropsEarly(100, limits, 0.9999)).toBe(true);
    expect(dropsEarly(101, limits, 0.9999)).toBe(true);
  });

  test.each([[10, 0.3], [55, 0.65], [99, 0.9922]])(
    "of those that come when there are %d, drops %d",
    (count, share) => {
      expect(dropsEarly(count, limits, share - 0.001)).toBe(true);
      expect(dropsEarly(count, limits, share + 0.001)).toBe(false);
    },
  );

  test("a start at or beyond the limit leaves the limit alone", () => {
    for (const earlyDropStart of [100, 200]) {
      const hard = { ...limits, earlyDropStart };
      expect(dropsEarly(99, hard, 0)).toBe(false);
      expect(dropsEarly(100, hard, 0.9999)).toBe(true);
    }
  });
});

describe("penalties", () => {
  const limits = {
    penaltyThresholdMs: 15_000,
    maxPenaltyMs: 60_000,
    maxPenaltySources: 3,
  };
  let now = 0;
  let box: Penalties;
  beforeEach(() => {
    now = 1_000;
    box = new Penalties(limits, () => now);
  });

  test("add up, refuse from the threshold up, and run off", () => {
    box.add("a", 5_000);
    box.add("a", 5_000);
    box.add("a", 4_999);
    expect(box.refuses("a")).toBe(false);
    box.add("a", 1);
    expect(box.refuses("a")).toBe(true);
    expect(box.refuses("b")).toBe(false);
    now += 1;
    expect(box.refuses("a")).toBe(false);
    expect(box.of("a")).toBe(14_999);
    now += 20_000;
    expect(box.of("a")).toBe(0);
    box.add("a", 5_000);
    expect(box.of("a")).toBe(5_000);
  });

  test("grow with every failure, up to the most there is", () => {
    const waits: number[] = [];
    for (let i = 0; i < 30; i++) {
      box.add("a", 5_000);
      waits.push(Math.max(0, box.of("a") - limits.penaltyThresholdMs));
    }
    expect(waits.slice(0, 6)).toEqual([0, 0, 0, 5_000, 10_000, 15_000]);
    expect(waits.at(-1)).toBe(45_000);
    now += 45_000;
    expect(box.refuses("a")).toBe(true);
    now += 1;
    expect(box.refuses("a")).toBe(false);
  });

  test("of so many sources and no more; the one hit longest ago goes", () => {
    for (const source of ["a", "b", "c"]) box.add(source, 20_000);
    expect(box.size).toBe(3);
    box.add("a", 1);
    box.add("d", 20_000);
    expect(box.size).toBe(3);
    expect(box.refuses("b")).toBe(false);
    for (const source of ["a", "c", "d"]) {
      expect(box.refuses(source)).toBe(true);
    }
  });

  test("those that have run off make room first", () => {
    box.add("a", 1_000);
    box.add("b", 1_000);
    now += 2_000;
    box.add("c", 20_000);
    box.add("d", 20_000);
    expect(box.size).toBe(2);
    expect(box.refuses("c")).toBe(true);
  });

  test("many sources take no more memory than the limit", () => {
    const small = new Penalties(
      { ...limits, maxPenaltySources: 1_000 },
      () => now,
    );
    for (let i = 0; i < 50_000; i++) small.add(`source ${i}`, 5_000);
    expect(small.size).toBe(1_000);
  });
});

describe("seats", () => {
  const seats = () =>
    new Seats({ name: "maxSessions", max: 3 }, {
      name: "maxSessionsPerIdentity",
      max: 2,
    });

  test("at the limit of one identity, and one past it", () => {
    const all = seats();
    const back = all.take("a");
    all.take("a");
    expect(() => all.take("a")).toThrow(expect.objectContaining({
      code: "limit_exceeded",
      message: expect.stringContaining("maxSessionsPerIdentity"),
    }));
    all.take("b");
    back();
    all.take("a");
  });

  test("at the limit of all, and one past it; a seat is given back once", () => {
    const all = seats();
    const back = all.take("a");
    all.take("b");
    all.take("c");
    expect(() => all.take("d")).toThrow(expect.objectContaining({
      code: "limit_exceeded",
      message: expect.stringContaining("limit maxSessions "),
    }));
    back();
    back();
    all.take("d");
    expect(() => all.take("e")).toThrow();
  });
});

describe("telling of refusals", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const penalty = { reason: "penalty", message: "p" } as const;
  const early = { reason: "early_drop", message: "e" } as const;

  test("the first at once, the rest summed up, each kind by itself", () => {
    const told: [string, number][] = [];
    const all = new Refusals<Refusal>(({ message }, count) =>
      told.push([message, count])
    );
    all.add(penalty);
    all.add(early);
    for (let i = 0; i < 999; i++) all.add(penalty);
    all.add({ ...penalty, message: "the last" });
    expect(told).toEqual([["p", 1], ["e", 1]]);
    vi.advanceTimersByTime(REPORT_EVERY_MS - 1);
    expect(told).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(told.slice(2)).toEqual([["the last", 1_000]]);
    all.add(penalty);
    all.add(early);
    expect(told.slice(3)).toEqual([["e", 1]]);
    all.close();
    expect(told.slice(4)).toEqual([["p", 1]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("after a quiet while the next is told at once, and no timer is left", () => {
    const told: number[] = [];
    const all = new Refusals<Refusal>((_, count) => told.push(count));
    all.add(penalty);
    vi.advanceTimersByTime(REPORT_EVERY_MS);
    expect(vi.getTimerCount()).toBe(0);
    all.add(penalty);
    expect(told).toEqual([1, 1]);
    all.close();
  });
});

describe("admission", () => {
  let now = 0;
  let random = 0.999;
  const admission = (limits: Partial<ServerLimits> = {}) =>
    new Admission(resolveServerLimits(limits), {
      now: () => now,
      random: () => random,
    });
  const enter = (gate: Admission, peer = "192.0.2.1:1"): Visit => {
    const visit = gate.admit(peer);
    if ("reason" in visit) throw new Error(visit.message);
    return visit;
  };

  test("connections in total: at the limit, and one past it", () => {
    const gate = admission({ maxConnections: 3 });
    const [first] = ["unix", "stdio", "192.0.2.1:1"]
      .map((peer) => enter(gate, peer));
    gate.prove(first, "a");
    expect(gate.admit("192.0.2.1:2")).toMatchObject({
      reason: "max_connections",
    });
    gate.leave(first);
    enter(gate);
  });

  test("unproved connections: at the limit, and one past it", () => {
    const gate = admission({ maxUnauthenticated: 2, earlyDropStart: 2 });
    const visits = [enter(gate), enter(gate)];
    expect(gate.admit("192.0.2.1:1")).toMatchObject({
      reason: "max_unauthenticated",
    });
    gate.prove(visits[0], "a");
    enter(gate);
    expect(gate.admit("unix")).toHaveProperty("reason");
    // One that leaves without a proof makes room as well, and one proved does not.
    gate.leave(visits[1]);
    gate.leave(visits[0]);
    enter(gate);
    expect(gate.admit("unix")).toHaveProperty("reason");
  });

  test("unproved connections: some are dropped at random from the start on", () => {
    const gate = admission({ maxUnauthenticated: 20, earlyDropStart: 2 });
    random = 0.29;
    enter(gate);
    enter(gate);
    expect(gate.admit("unix")).toMatchObject({ reason: "early_drop" });
    random = 0.31;
    enter(gate);
  });

  test("each way to fail has its penalty, and success none", () => {
    const gate = admission({ penaltyThresholdMs: 20_000 });
    const fail = (code: Parameters<Admission["fail"]>[1], peer?: string) => {
      const visit = enter(gate, peer);
      gate.fail(visit, code);
      gate.leave(visit);
    };
    fail("timed_out");
    fail("unauthenticated");
    for (let i = 0; i < 4; i++) fail("protocol_error");
    fail("shutting_down");
    const good = enter(gate);
    gate.prove(good, "a");
    gate.fail(good, "limit_exceeded");
    gate.leave(good);
    // 10 + 5 + 4 s: one below the threshold.
    fail("connection_lost");
    expect(gate.admit("192.0.2.1:9")).toMatchObject({
      reason: "penalty",
      message: "192.0.2.1 has a penalty of 20 s for what came from it",
    });
    enter(gate, "192.0.2.2:9");
    now += 1;
    enter(gate);
  });

  test("ways back that come to nothing are charged to their session first", () => {
    const gate = admission({ penaltyThresholdMs: 30_000 });
    const fail = (
      code: Parameters<Admission["fail"]>[1],
      session: string | null = "known",
    ) => {
      const visit = enter(gate);
      gate.fail(visit, code, session);
      gate.leave(visit);
    };
    const refused = () => {
      const visit = gate.admit("192.0.2.1:9");
      if ("reason" in visit) return true;
      gate.leave(visit);
      return false;
    };
    // An honest client for an hour: three at a time, each as long as it may be.
    for (let round = 0; round < 360; round++) {
      for (let each = 0; each < 3; each++) fail("timed_out");
      expect(refused()).toBe(false);
      now += 10_000;
    }
    now += 3_600_000;
    // Whoever has seen the key and no more: six, and then as anybody.
    for (let each = 0; each < 6; each++) fail("connection_lost");
    for (let each = 0; each < 29; each++) fail("connection_lost");
    expect(refused()).toBe(false);
    fail("connection_lost");
    expect(refused()).toBe(true);
    now += 3_600_000;
    // What is no fault of a line is charged at once, and so is a wrong proof.
    for (let each = 0; each < 4; each++) fail("unauthenticated");
    for (let each = 0; each < 10; each++) fail("protocol_error");
    expect(refused()).toBe(true);
  });

  test("what has no source has no penalties", () => {
    const gate = admission();
    for (const peer of ["unix", "stdio", "127.0.0.1:1", "[::1]:1"]) {
      for (let i = 0; i < 100; i++) {
        const visit = enter(gate, peer);
        gate.fail(visit, "unauthenticated");
        gate.leave(visit);
      }
      enter(gate, peer);
    }
  });

  test("the whole of a /64 is refused together", () => {
    const gate = admission();
    for (let i = 0; i < 3; i++) {
      const visit = enter(gate, `[2001:db8::${i}]:1`);
      gate.fail(visit, "unauthenticated");
      gate.leave(visit);
    }
    expect(gate.admit("[2001:db8::ffff:1]:1")).toMatchObject({
      reason: "penalty",
    });
    enter(gate, "[2001:db8:0:1::1]:1");
  });

  test("an identity's connections and sessions are two things", () => {
    const gate = admission({
      maxConnectionsPerIdentity: 1,
      maxSessionsPerIdentity: 2,
    });
    const first = enter(gate);
    gate.prove(first, "a");
    const second = enter(gate);
    expect(() => gate.prove(second, "a")).toThrow("maxConnectionsPerIdentity");
    gate.leave(second);
    gate.end(second);
    // Its commands are still being ended: the session is there without it.
    gate.leave(first);
    const third = enter(gate);
    gate.prove(third, "a");
    gate.leave(third);
    const fourth = enter(gate);
    expect(() => gate.prove(fourth, "a")).toThrow("maxSessionsPerIdentity");
    gate.leave(fourth);
    gate.end(fourth);
    gate.end(first);
    gate.prove(enter(gate), "a");
  });

  test("whatever comes and goes, nothing is left in the end", () => {
    const steps = fc.array(
      fc.record({
        act: fc.constantFrom("admit", "prove", "fail", "leave"),
        which: fc.nat(20),
        who: fc.constantFrom("a", "b"),
      }),
      { maxLength: 200 },
    );
    fc.assert(fc.property(steps, (script) => {
      const gate = admission({
        maxConnections: 5,
        maxUnauthenticated: 4,
        earlyDropStart: 4,
        maxSessions: 3,
        maxSessionsPerIdentity: 2,
        penaltyThresholdMs: Infinity,
      });
      const present: { visit: Visit; proved: boolean }[] = [];
      const leave = (at: number) => {
        for (const { visit } of present.splice(at, 1)) {
          gate.leave(visit);
          gate.end(visit);
        }
      };
      for (const { act, which, who } of script) {
        const at = which % Math.max(1, present.length);
        const one = present[at];
        if (act === "admit") {
          const visit = gate.admit("192.0.2.1:1");
          const unproved = present.filter(({ proved }) => !proved).length;
          const full = present.length >= 5 || unproved >= 4;
          expect("reason" in visit).toBe(full);
          if (!("reason" in visit)) present.push({ visit, proved: false });
        } else if (one !== undefined && act === "prove" && !one.proved) {
          one.proved = true;
          try {
            gate.prove(one.visit, who);
          } catch {
            leave(at);
          }
        } else if (one !== undefined && act === "fail" && !one.proved) {
          gate.fail(one.visit, "protocol_error");
          leave(at);
        } else if (act === "leave") leave(at);
      }
      while (present.length > 0) leave(0);
      const again = Array.from({ length: 4 }, () => enter(gate));
      gate.prove(again[0], "a");
      gate.prove(again[1], "a");
      gate.prove(again[2], "b");
    }));
  });
});
