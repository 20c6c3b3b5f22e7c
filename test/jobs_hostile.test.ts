import { readdirSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { decodeControl } from "../core/frame/control.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { printable } from "../core/printable.ts";
import {
  jobServer,
  jobSession,
  ownFolder,
  temporaryFolder,
} from "./support/jobs.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";
import { warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

/** What the server answers to one OPEN: the code of REFUSED, or another name. */
function answerOf({ type, payload }: Frame): string {
  if (type !== FrameType.REFUSED) return `type ${type}`;
  return decodeControl(payload, "REFUSED").text("code");
}

describe("requests that nobody should send", () => {
  const attach = { kind: "attach", job: "there" };
  const exec = { kind: "exec", argv: ["true"] };
  const jobs = { kind: "jobs", job: "there" };

  test.each<[object, string]>([
    [{ ...attach, stdoutOffset: 3 }, "invalid_argument"],
    [{ ...attach, stderrOffset: 1 }, "invalid_argument"],
    [{ ...attach, stdoutOffset: Number.MAX_SAFE_INTEGER }, "invalid_argument"],
    [{ ...attach, stdoutOffset: -1 }, "invalid_argument"],
    [{ ...attach, stdoutOffset: 1e300 }, "invalid_argument"],
    [{ ...attach, stdoutOffset: "0" }, "invalid_argument"],
    [{ ...attach, stdoutOffset: null }, "invalid_argument"],
    [{ ...attach, follow: 1 }, "invalid_argument"],
    [{ kind: "attach" }, "invalid_argument"],
    [{ kind: "attach", job: "" }, "invalid_argument"],
    [{ kind: "attach", job: "." }, "invalid_argument"],
    [{ kind: "attach", job: ".." }, "invalid_argument"],
    [{ kind: "attach", job: "../default/there" }, "invalid_argument"],
    [{ kind: "attach", job: "/etc/passwd" }, "invalid_argument"],
    [{ kind: "attach", job: "a\u0000b" }, "invalid_argument"],
    [{ kind: "attach", job: "-there" }, "invalid_argument"],
    [{ kind: "attach", job: "x".repeat(65) }, "invalid_argument"],
    [{ kind: "attach", job: "__proto__" }, "no_such_job"],
    [{ kind: "attach", job: "constructor" }, "no_such_job"],
    [{ kind: "attach", job: "x".repeat(64) }, "no_such_job"],
    [{ ...exec, jobId: "../x" }, "invalid_argument"],
    [{ ...exec, jobId: "x/y", onDisconnect: "detach" }, "invalid_argument"],
    [{ ...exec, jobId: 7 }, "invalid_argument"],
    [{ ...exec, onDisconnect: "stay" }, "invalid_argument"],
    [{ ...exec, onDisconnect: true }, "invalid_argument"],
    [{ ...exec, onDisconnect: "keep", argv: [] }, "invalid_argument"],
    [{ ...jobs }, "invalid_argument"],
    [{ ...jobs, op: "format" }, "invalid_argument"],
    [{ ...jobs, op: "signal" }, "invalid_argument"],
    [{ ...jobs, op: "signal", signal: "SIGNOPE" }, "invalid_argument"],
    [{ ...jobs, op: "signal", signal: "\u0000\u001b" }, "invalid_argument"],
    [
      { ...jobs, op: "signal", signal: "SIGTERM", killAfterMs: -1 },
      "invalid_argument",
    ],
    [{ ...jobs, op: "signal", signal: "SIGTERM" }, "refused"],
    [{ kind: "jobs", op: "list", after: 7 }, "invalid_argument"],
    [{ kind: "jobs", op: "list", after: "nobody" }, "type 28"],
    [{ ...jobs, op: "get" }, "type 28"],
    [{ kind: "job" }, "unsupported"],
  ])("%j: %s", async (body, answer) => {
    using folder = temporaryFolder();
    await using served = await jobServer(`${folder.path}/jobs`);
    const session = await jobSession(served);
    const there = session.spawn("echo", {
      args: ["x"],
      jobId: "there",
      onDisconnect: "detach",
    });
    await there.status;
    await session.close();
    const peer = new RawPeer(await served.dial());
    await peer.authenticate({}, jsonFrame(FrameType.OPEN, body, 1));
    const answered = (await peer.next())!;
    expect(answerOf(answered)).toBe(answer);
    // A client may show it in a terminal.
    const said = new TextDecoder().decode(answered.payload);
    const { message = "" } = JSON.parse(said);
    expect(message).toBe(printable(message));
    // And the session goes on.
    const list = { kind: "jobs", op: "list" };
    await peer.write(jsonFrame(FrameType.OPEN, list, 3));
    const result = await peer.expect(FrameType.RESULT);
    expect(decodeControl(result.payload, "RESULT").has("jobs")).toBe(true);
    await peer.drop();
    // Nothing is where it does not belong.
    expect(readdirSync(folder.path)).toEqual(["jobs"]);
    expect(readdirSync(`${folder.path}/jobs`).sort())
      .toEqual([".lock.1", basename(ownFolder(`${folder.path}/jobs`))]);
  });

  test.each<[string, Frame]>([
    ["DATA of stdin that was not asked for", {
      type: FrameType.DATA,
      stream: 0,
      channel: 1,
      payload: new Uint8Array(1),
    }],
    ["EXIT", jsonFrame(FrameType.EXIT, { code: 0, signal: null }, 1)],
    [
      "DROPPED",
      jsonFrame(
        FrameType.DROPPED,
        { stream: "stdout", from: 0, to: 1 },
        1,
      ),
    ],
    ["RESULT", jsonFrame(FrameType.RESULT, {}, 1)],
  ])("%s ends the session of who sends it, not the job", async (_, frame) => {
    using folder = temporaryFolder();
    await using served = await jobServer(`${folder.path}/jobs`);
    await using session = await jobSession(served);
    const child = session.spawn("sleep", {
      args: ["100"],
      jobId: "there",
      onDisconnect: "detach",
    });
    await child.pid;
    const peer = new RawPeer(await served.dial());
    const open = { kind: "attach", job: "there" };
    await peer.authenticate({}, jsonFrame(FrameType.OPEN, open, 1));
    await peer.expect(FrameType.STARTED);
    await peer.write(frame);
    expect(await peer.closeCode()).toBe("protocol_error");
    expect(await session.jobs().job("there").info()).toMatchObject({
      state: "running",
    });
    await session.jobs().job("there").kill();
    await child.status;
  });

  test("DETACH means nothing to a command that ends with its client", async () => {
    using folder = temporaryFolder();
    await using served = await jobServer(`${folder.path}/jobs`);
    const peer = new RawPeer(await served.dial());
    const open = { kind: "exec", argv: ["sleep", "100"] };
    await peer.authenticate({}, jsonFrame(FrameType.OPEN, open, 1));
    await peer.expect(FrameType.STARTED);
    await peer.write(jsonFrame(FrameType.DETACH, {}, 1));
    expect(await peer.closeCode()).toBe("protocol_error");
  });
});
