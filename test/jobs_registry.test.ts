import fc from "fast-check";
import { expect, test } from "vitest";
import type { Proven } from "../core/identity.ts";
import type { JobEntry } from "../core/jobs/entry.ts";
import { isTheirs } from "../core/jobs/owner.ts";
import { JobRegistry } from "../core/jobs/registry.ts";
import { requestOf } from "./support/jobs.ts";

const LIMITS = { maxJobs: 4, maxJobsPerIdentity: 3, jobTtlMs: Infinity };

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
    number: fc.nat(clients.length - 1),
    jobId: fc.constantFrom(undefined, undefined, "a", "b", "c"),
    onDisconnect: fc.constantFrom("kill", "kill", "keep"),
    which: fc.nat(),
  }),
  { maxLength: 60 },
);

/** Looks through all there are for whatever it is asked. */
class Model {
  /** In the order in which they came. */
  readonly kept: JobEntry[] = [];
  /** In the order in which they ended. */
  readonly over: JobEntry[] = [];

  isFull(name: string, more: number): boolean {
    const counting = this.kept.filter((entry) =>
      entry.isNamed || entry.onDisconnect !== "kill" || entry.isOver
    );
    const own = counting.filter(({ owner }) => owner.name === name);
    return own.length + more > LIMITS.maxJobsPerIdentity ||
      counting.length + more > LIMITS.maxJobs;
  }

  /** Forgets until there is room; null if there is none to be had. */
  makeRoom(name: string, more: number): JobEntry[] | null {
    const gone: JobEntry[] = [];
    while (this.isFull(name, more)) {
      const own = this.over.filter(({ owner }) => owner.name === name);
      const first = own.find(({ isNamed, onDisconnect }) =>
        !isNamed && onDisconnect === "kill"
      ) ?? own[0];
      if (first === undefined) {
        return null;
      }
      this.forget(first);
      gone.push(first);
    }
    return gone;
  }

  forget(entry: JobEntry): void {
    for (const list of [this.kept, this.over]) {
      if (list.includes(entry)) list.splice(list.indexOf(entry), 1);
    }
  }

  of(client: Proven): JobEntry[] {
    return this.kept.filter(({ owner }) => isTheirs(owner, client));
  }
}

test("who looks through all of them comes to the same as the registry does", () => {
  fc.assert(fc.property(actions, (all) => {
    const model = new Model();
    let gone: JobEntry[] = [];
    const registry = new JobRegistry(LIMITS, (entry) => gone.push(entry));
    for (const { what, number, jobId, onDisconnect, which } of all) {
      const client = clients[number];
      const { name } = client.identity;
      const one = model.kept[which % Math.max(1, model.kept.length)];
      gone = [];
      if (what === "claim") {
        const there = jobId !== undefined &&
          model.of(client).some(({ id }) => id === jobId);
        const counts = jobId !== undefined || onDisconnect !== "kill";
        const due = there || !counts ? [] : model.makeRoom(name, 1);
        const claim = () =>
          registry.claim(client, requestOf({ jobId, onDisconnect }));
        if (due === null) expect(claim).toThrow(/as many as its limit/);
        else {
          const { entry, isNew } = claim();
          expect(isNew).toBe(!there);
          expect(gone).toEqual(due);
          if (isNew) model.kept.push(entry);
        }
      } else if (one !== undefined && what === "end" && !one.isOver) {
        one.exited(null);
        registry.ended(one);
        model.over.push(one);
        expect(gone).toEqual(model.makeRoom(one.owner.name, 0));
      } else if (one !== undefined && what === "forget") {
        registry.forget(one);
        model.forget(one);
        expect(gone).toEqual([one]);
      }
      expect(registry.all().length).toBe(model.kept.length);
      for (const each of clients) {
        const theirs = model.of(each);
        expect(registry.of(each)).toEqual(theirs);
        for (const { id, owner } of theirs) {
          const found = registry.find(each, id);
          expect(theirs).toContain(found);
          if (owner.key === each.key) expect(found.owner.key).toBe(each.key);
        }
      }
    }
  }));
});
