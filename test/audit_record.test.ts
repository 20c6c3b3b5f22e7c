import { describe, expect, test } from "vitest";
import { auditLine } from "../core/audit/record.ts";
import type { ServerEvent } from "../core/server.ts";

const WHO = {
  time: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  session: 7,
  peer: "127.0.0.1:40312",
  identity: "ci",
};
const ASKED = {
  argv: ["ls", "-l"],
  shell: false,
  cwd: "/srv",
  env: ["LANG"],
  traceparent: null,
  requested: null,
  requestedShell: null,
};

/** Control characters, and what is format or a line's end to Unicode. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

function started(changes: Partial<typeof ASKED> = {}): ServerEvent {
  const rest = { ...ASKED, ...changes };
  return {
    ...WHO,
    type: "command_started",
    command: 1,
    jobId: "01kq3b8m4x7z",
    pid: 42,
    ...rest,
  };
}

function read(event: ServerEvent): Record<string, unknown> {
  return JSON.parse(auditLine(event));
}

describe("a line of the audit log", () => {
  test("of a command has all that is known of it", () => {
    expect(auditLine(started())).toBe(
      '{"time":"2026-01-02T03:04:05.006Z","event":"command_started",' +
        '"session":7,"source":"127.0.0.1:40312","identity":"ci","command":1,' +
        '"jobId":"01kq3b8m4x7z","pid":42,"argv":["ls","-l"],"shell":false,"cwd":"/srv",' +
        '"env":["LANG"],"traceparent":null,"requested":null,"requestedShell":null}\n',
    );
    const ended = read({
      ...WHO,
      type: "command_ended",
      command: 1,
      status: { success: false, code: 3, signal: null, reason: null },
      bytes: { stdin: 1, stdout: 2, stderr: 3 },
      durationMs: 12,
    });
    expect(ended).toEqual({
      time: "2026-01-02T03:04:05.006Z",
      event: "command_ended",
      session: 7,
      source: "127.0.0.1:40312",
      identity: "ci",
      command: 1,
      code: 3,
      signal: null,
      reason: null,
      bytes: { stdin: 1, stdout: 2, stderr: 3 },
      durationMs: 12,
    });
  });

  test("of what was refused says why, and has no exit code", () => {
    const refused = read({
      ...WHO,
      type: "command_refused",
      command: 1,
      code: "refused",
      message: 'Policy of "ci" does not allow the shell',
      ...ASKED,
    });
    expect(refused).toMatchObject({
      reason: "refused",
      message: 'Policy of "ci" does not allow the shell',
      argv: ["ls", "-l"],
    });
    expect(refused).not.toHaveProperty("code");
  });

  test("is one line in any viewer, whatever a client sends", () => {
    const evil = "\n\r\x1b[2J\x85\u2028\u2029\u202e\u2066\ufeff\u200b\u00ad" +
      "\u{e0041}\0\ud800";
    const line = auditLine(started({ argv: [evil], cwd: evil, env: [evil] }));
    expect(line).toMatch(/^[ -~]+\n$/);
    expect(JSON.parse(line).argv).toEqual([evil]);
    // Every unit there is, and the tags, which are pairs.
    const units = Array.from({ length: 0x1_0000 }, (_, i) => i);
    const tags = Array.from({ length: 0x80 }, (_, i) => 0xe_0000 + i);
    const all = [...units, ...tags].map((code) => String.fromCodePoint(code));
    for (let at = 0; at < all.length; at += 100) {
      const argv = all.slice(at, at + 100);
      const written = auditLine(started({ argv }));
      expect(UNSEEN.exec(written.slice(0, -1))).toBeNull();
      expect(JSON.parse(written).argv).toEqual(argv);
    }
  });

  test("is short, and says what of it was cut", () => {
    const long = "x".repeat(100_000);
    const fields = read(started({ argv: ["a", long, "b"], cwd: long }));
    expect(fields.argv).toEqual(["a", "x".repeat(1_000), "b"]);
    expect(fields.cwd).toBe("x".repeat(1_000));
    expect(fields.cut).toEqual(["argv", "cwd"]);
    const many = Array.from({ length: 1_000 }, () => "\u202e".repeat(999));
    const line = auditLine(started({ argv: many, env: many }));
    expect(line.length).toBeLessThan(120_000);
    expect(JSON.parse(line).cut).toEqual(["argv", "env"]);
    const exact = "x".repeat(1_000);
    expect(read(started({ argv: [exact] }))).not.toHaveProperty("cut");
    const pair = `${"x".repeat(999)}\u{1f600}`;
    expect(read(started({ argv: [pair] })).argv).toEqual(["x".repeat(999)]);
  });
});
