import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { AuditLog, type OnAuditFailure } from "../core/audit/log.ts";
import { deferred } from "../core/deferred.ts";
import type { Machine } from "../core/machine.ts";
import type { LogFile } from "../core/ports.ts";
import type { ServerEvent } from "../core/server.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { serving, warmUp } from "./support/serving.ts";

const { machine }: { machine: Machine } = THIS_RUNTIME === "deno"
  ? await import("../adapters/deno/machine.ts")
  : await import("../adapters/node/machine.ts");
const { openLog } = machine.files;

const folder = mkdtempSync(join(tmpdir(), "limpet-audit-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
useLeakCheck(async () => {
  await warmUp();
  // Bun opens an event loop for what it waits for, once.
  execFileSync("true");
});

function event(session: number): ServerEvent {
  return {
    type: "connected",
    time: 0,
    session,
    peer: "test",
    identity: null,
  };
}

/** A disk that takes so many bytes, in pieces, until it is given more room. */
class Disk {
  text = "";
  room = 0;
  opened = 0;
  /** Writes wait for it. */
  held: Promise<void> = Promise.resolve();

  open(): Promise<LogFile> {
    this.opened++;
    return Promise.resolve({
      write: async (bytes) => {
        await this.held;
        if (this.room === 0) throw new Error("ENOSPC: no space left");
        const taken = Math.min(bytes.byteLength, this.room, 40);
        this.text += new TextDecoder().decode(bytes.subarray(0, taken));
        this.room -= taken;
        return taken;
      },
      close: () => Promise.resolve(),
    });
  }

  /** What the lines are about: the number of a session, or of lost events. */
  lines(): unknown[] {
    return this.text.split("\n").slice(0, -1).map((line) => {
      try {
        const { event, session, lost } = JSON.parse(line);
        return event === "audit_gap" ? `${lost} lost` : session;
      } catch {
        return "torn";
      }
    });
  }
}

async function logOn(
  disk: { open(): Promise<LogFile> },
  onFailure: OnAuditFailure,
  maxQueuedBytes?: number,
  // However busy the machine: a disk here stalls in the tests about that alone.
  stallMs = 600_000,
) {
  const said: string[] = [];
  const log = await AuditLog.open({
    name: "the log",
    open: () => disk.open(),
    onFailure,
    warn: (message) => said.push(message),
    retryMs: 5,
    stallMs,
    maxQueuedBytes,
  });
  return { log, said };
}

describe("an audit log on a disk that is full", () => {
  test("with stop, refuses, loses nothing and goes on where it was", async () => {
    const disk = new Disk();
    disk.room = 250;
    const { log, said } = await logOn(disk, "stop");
    await log.ready();
    for (let i = 1; i <= 5; i++) log.record(event(i));
    await expect(log.ready()).rejects.toMatchObject({
      code: "refused",
      message: "Server cannot write its audit log, and takes nothing until " +
        "it can",
    });
    expect(disk.text.length).toBe(250);
    expect(said).toEqual([
      "the audit log cannot be written: Writing the log: ENOSPC: no space " +
      "left; nobody connects and no command starts until it can be",
    ]);
    disk.room = 1e6;
    await eventually(() => said.length === 2, () => said.join("\n"));
    await log.ready();
    await eventually(() => disk.lines().length === 5, () => disk.text);
    expect(disk.lines()).toEqual([1, 2, 3, 4, 5]);
    expect(said[1]).toBe("the log can be written again");
    expect(log.lost).toBe(0);
    await log.close();
  });

  test("with continue, refuses nobody and says how much is missing", async () => {
    const disk = new Disk();
    disk.room = 130;
    const { log, said } = await logOn(disk, "continue");
    for (let i = 1; i <= 5; i++) log.record(event(i));
    await log.ready();
    await eventually(() => log.lost === 4, () => `${log.lost} are lost`);
    disk.room = 1e6;
    log.record(event(6));
    await eventually(() => said.length === 2, () => said.join("\n"));
    await log.close();
    expect(disk.lines()).toEqual([1, "torn", "4 lost", 6]);
    expect(said).toEqual([
      expect.stringContaining("events are lost, and counted"),
      "the log can be written again; 4 events are lost",
      "4 events are not in the log",
    ]);
  });

  test("that is slow, holds only so much", async () => {
    const disk = new Disk();
    disk.room = 1e6;
    const gate = deferred<void>();
    disk.held = gate.promise;
    const { log } = await logOn(disk, "stop", 1_000);
    for (let i = 1; i <= 1_000; i++) log.record(event(i));
    const kept = 1_000 - log.lost;
    expect(kept).toBeGreaterThan(5);
    expect(kept).toBeLessThan(15);
    let ready = false;
    const settled = log.ready().then(() => ready = true);
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(ready).toBe(false);
    gate.resolve();
    await settled;
    log.record(event(1_001));
    await log.close();
    const expected = Array.from({ length: kept }, (_, i) => i + 1);
    // Told before the next line that is written, whichever that is.
    expect(disk.lines().filter((line) => typeof line === "number"))
      .toEqual([...expected, 1_001]);
    expect(disk.lines()).toContain(`${log.lost} lost`);
  });

  test("that never has a moment's peace, is ready for what was there", async () => {
    const disk = new Disk();
    disk.room = 1e6;
    let count = 1;
    // While one line is written comes the next: the queue is never empty.
    const busy = {
      open: async () => {
        const file = await disk.open();
        return {
          ...file,
          write: async (bytes: Uint8Array) => {
            await new Promise((resolve) => setTimeout(resolve));
            if (count < 200) log.record(event(++count));
            return await file.write(bytes);
          },
        };
      },
    };
    const { log } = await logOn(busy, "stop");
    log.record(event(count));
    await log.ready();
    expect(count).toBeLessThan(20);
    expect(disk.lines()[0]).toBe(1);
    await log.close();
  });

  test.each(["stop", "continue"] as const)(
    "that takes nothing, as a stopped terminal, and goes on later: %s",
    async (onFailure) => {
      const disk = new Disk();
      disk.room = 1e6;
      const flows = deferred<void>();
      disk.held = flows.promise;
      const { log, said } = await logOn(disk, onFailure, 500, 5);
      for (let i = 1; i <= 100; i++) log.record(event(i));
      await eventually(() => said.length === 1, () => "it is noticed");
      expect(said[0]).toContain("it has taken nothing for 5 ms");
      const ready = log.ready();
      if (onFailure === "continue") await ready;
      else await expect(ready).rejects.toMatchObject({ code: "refused" });
      const { lost } = log;
      expect(lost).toBeGreaterThan(90);
      flows.resolve();
      await eventually(() => said.length === 2, () => said.join("\n"));
      expect(said[1]).toContain(`written again; ${lost} events are lost`);
      await log.ready();
      log.record(event(101));
      await log.close();
      // Told before the next line that is written, whichever that is.
      expect(disk.lines()).toEqual([
        `${lost} lost`,
        ...Array.from({ length: 100 - lost }, (_, i) => i + 1),
        101,
      ]);
    },
  );

  test("that does not come back, does not keep the server from ending", async () => {
    const disk = new Disk();
    const { log, said } = await logOn(disk, "stop");
    log.record(event(1));
    await expect(log.ready()).rejects.toMatchObject({ code: "refused" });
    await log.close();
    expect(said.at(-1)).toBe("1 event is not in the log");
  });
});

test("a log that was moved away goes on in a new file", async () => {
  const path = join(folder, "rotated.log");
  const log = await AuditLog.open({
    name: path,
    open: () => openLog(path),
    onFailure: "stop",
    warn: () => {},
  });
  for (let i = 1; i <= 50; i++) log.record(event(i));
  await log.ready();
  renameSync(path, `${path}.1`);
  log.record(event(51));
  await log.ready();
  log.reopen();
  log.record(event(52));
  await log.close();
  const sessions = (file: string) =>
    readFileSync(file, "utf8").trimEnd().split("\n")
      .map((line) => JSON.parse(line).session);
  expect(sessions(`${path}.1`)).toEqual(
    Array.from({ length: 51 }, (_, i) => i + 1),
  );
  expect(sessions(path)).toEqual([52]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a named pipe whose reader stands still fails, and is written again", async () => {
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  // Deno can only wait for a reader.
  if (THIS_RUNTIME !== "deno") {
    await expect(openLog(path)).rejects.toThrow("nobody reads (ENXIO)");
  }
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const said: string[] = [];
  const log = await AuditLog.open({
    name: path,
    open: () => openLog(path),
    onFailure: "stop",
    warn: (message) => said.push(message),
    retryMs: 5,
    // Longer than between two looks of the reader below.
    stallMs: 1_000,
  });
  // More than the 64 KiB of a pipe.
  for (let i = 1; i <= 2_000; i++) log.record(event(i));
  await expect(log.ready()).rejects.toMatchObject({ code: "refused" });
  expect(said).toHaveLength(1);
  let text = "";
  const buffer = new Uint8Array(65_536);
  await eventually(
    () => {
      try {
        const bytes = readSync(reader, buffer);
        text += new TextDecoder().decode(buffer.subarray(0, bytes));
      } catch {
        // There is nothing in it just now.
      }
      return text.split("\n").length > 2_000;
    },
    () => `${text.length} characters`,
  );
  await log.ready();
  expect(said[1]).toContain("can be written again");
  await log.close();
  closeSync(reader);
  expect(text.trimEnd().split("\n").map((line) => JSON.parse(line).session))
    .toEqual(Array.from({ length: 2_000 }, (_, i) => i + 1));
});

test("nothing runs and nobody gets in while /dev/full is the log", async () => {
  const log = await AuditLog.open({
    name: "/dev/full",
    open: () => openLog("/dev/full"),
    onFailure: "stop",
    warn: () => {},
    retryMs: 5,
  });
  let recording = false;
  await using served = await serving({}, undefined, {
    gate: () => log.ready(),
    onEvent: (event) => {
      if (recording) log.record(event);
    },
  });
  const early = await served.connect();
  recording = true;
  // The line of its start cannot be written; what runs is left alone.
  const last = early.spawn("sh", { args: ["-c", "read x; exit 3"] });
  expect(await last.status).toMatchObject({ code: 3 });
  const refused = await early.output("true").catch((error) => error);
  expect(refused).toMatchObject({ code: "refused" });
  expect(refused.message).toContain("audit log");
  const late = await served.connect({ early: true });
  const outcome = await late.closed;
  expect(outcome.message).toContain("cannot write its audit log");
  expect(served.spawned).toHaveLength(1);
  await early.close();
  await served.server.close();
  await log.close();
});
