import fc from "fast-check";
import { expect, test } from "vitest";
import type { ExecRequest } from "../core/exec/request.ts";
import type { Proven } from "../core/identity.ts";
import type { JobEntry } from "../core/jobs/entry.ts";
import { isTheirs } from "../core/jobs/owner.ts";
import { JobRegistry } from "../core/jobs/registry.ts";

const LIMITS = { maxJobs: 4, maxJobsPerIdentity: 3, jobTtlMs: Infinity };

const request = (more: Partial<ExecRequest>): ExecRequest => ({
  argv: ["true"],
  env: {},
  stdin: true,
  stdout: true,
  stderr: true,
  merge: false,
  killAfterMs: 5_000,
  drainMs: 1_000,
  ...more,
});

const clients: Proven[] = [
  { identity: { name: "ann" }, key: "1" },
  { identity: { name: "ann" }, key: "2" },
  { identity: { name: "ann" }, key: "2", isSole: true },
  { identity: { name: "bob" } },
];

/** What a server does with jobs, by a client's number and an entry's. */
const actions = fc.array(
  fc.record({
    what: fc.constantFrom("claim", "claim", "end", "forget"),
    client: fc.nat(clients.length - 1),
    jobId: fc.constantFrom(undefined, undefined, "a", "b", "c"),
    onDisconnect: fc.constantFrom("kill", "kill", "keep"),
    entry: fc.nat(),
  }),
  { maxLength: 60 },
);

test("who looks through all of them comes to the same as the registry does", () => {
  fc.assert(
    fc.property(actions, (all) => {
      const kept = new Set<JobEntry>();
      const registry = new JobRegistry(LIMITS, (entry) => kept.delete(entry));
      const counting = (name?: string) =>
        [...kept].filter((entry) =>
          (entry.isNamed || entry.onDisconnect !== "kill" || entry.isOver) &&
          (name === undefined || entry.owner.name === name)
        ).length;
      for (const { what, client: number, jobId, onDisconnect, entry } of all) {
        const client = clients[number];
        const one = [...kept][entry % Math.max(1, kept.size)];
        const { name } = client.identity;
        if (what === "claim") {
          const there = jobId !== undefined &&
            [...kept].some((each) =>
              each.id === jobId && isTheirs(each.owner, client)
            );
          const wanted = request({ jobId, onDisconnect });
          const counts = jobId !== undefined || onDisconnect !== "kill";
          const mayEnd = [...kept].some((each) =>
            each.isOver && each.owner.name === name
          );
          const isFull = counting(name) >= LIMITS.maxJobsPerIdentity ||
            counting() >= LIMITS.maxJobs;
          let claimed;
          try {
            claimed = registry.claim(client, wanted);
          } catch (error) {
            expect(error).toMatchObject({ code: "limit_exceeded" });
            expect([there, counts, isFull, mayEnd]).toEqual(
              [false, true, true, false],
            );
            continue;
          }
          expect(claimed.isNew).toBe(!there);
          kept.add(claimed.entry);
        } else if (one !== undefined && what === "end" && !one.isOver) {
          one.exited(null);
          registry.ended(one);
        } else if (one !== undefined && what === "forget") registry.forget(one);
        expect(new Set(registry.all())).toEqual(kept);
        expect(counting()).toBeLessThanOrEqual(LIMITS.maxJobs);
        for (const each of clients) {
          expect(counting(each.identity.name))
            .toBeLessThanOrEqual(LIMITS.maxJobsPerIdentity);
          const theirs = [...kept].filter(({ owner }) => isTheirs(owner, each));
          expect(registry.of(each)).toEqual(theirs);
          for (const { id, owner } of theirs) {
            const found = registry.find(each, id);
            expect(theirs).toContain(found);
            if (owner.key === each.key) expect(found.owner.key).toBe(each.key);
          }
        }
      }
      registry.close();
    }),
    { numRuns: 500 },
  );
});
