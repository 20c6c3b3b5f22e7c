/**
 * Sessions made up on the fly: valid ones, or nearly, before they are spoiled.
 *
 * @module
 */

import { FrameType, STDERR, STDIN, STDOUT } from "../../core/frame/frame.ts";
import type { Role } from "../support/vectors.ts";
import { ALONE, RECORDED } from "./corpus.ts";
import type { Prng } from "./prng.ts";
import { creditFrame, jsonFrame, type RawFrame } from "./script.ts";

const { OPEN, STARTED, REFUSED, DATA, END, ABORT, STOP, SIGNAL, EXIT } =
  FrameType;
const { CLOSE, GOAWAY, DETACH, DROPPED, RESULT } = FrameType;

/** What one side says behind its proof; with `lasting`, of jobs more than else. */
export function sessionFrames(
  side: Role,
  rng: Prng,
  lasting = false,
): RawFrame[] {
  if (rng.oneIn(4)) return [...rng.pick(RECORDED[side])];
  const frames = side === "client"
    ? clientFrames(rng, lasting)
    : serverFrames(rng, lasting);
  if (rng.oneIn(6)) {
    frames.splice(rng.below(frames.length + 1), 0, ...rng.pick(ALONE[side]));
  }
  if (rng.oneIn(6)) {
    const sign = rng.oneIn(4) ? FrameType.PONG : FrameType.PING;
    const times = rng.pick([1, 1, 3, 200]);
    const at = rng.below(frames.length + 1);
    frames.splice(at, 0, ...Array(times).fill(sessionSign(sign)));
  }
  return frames;
}

const WORDS = [
  "cat",
  "sh",
  "-c",
  "x y",
  "ä€😀",
  "",
  "\u001b[2J",
  "a".repeat(300),
];
const MILLISECONDS = [0, 1, 5, 1_000, 0x7fff_ffff];

/** Names of jobs, and what is none. */
const JOBS = ["a", "b", "__proto__", "..", "", "x".repeat(64)];

/** The body of an OPEN that is in order. */
function openBody(rng: Prng, lasting: boolean): Record<string, unknown> {
  const body: Record<string, unknown> = { kind: "exec" };
  if (rng.oneIn(3)) body.line = rng.pick(WORDS);
  else {
    body.argv = [
      "cat",
      ...Array.from({ length: rng.below(4) }, () => rng.pick(WORDS)),
    ];
  }
  if (!rng.oneIn(4)) body.stdin = true;
  if (rng.oneIn(5)) body.stdout = false;
  if (rng.oneIn(5)) body.stderr = rng.oneIn(2);
  if (rng.oneIn(5)) body.merge = true;
  if (rng.oneIn(6)) body.cwd = rng.pick(["/", "/nowhere", "."]);
  if (rng.oneIn(6)) body.env = { A: rng.pick(WORDS), B: "" };
  if (rng.oneIn(8)) {
    body.encoding = rng.pick(["utf-8", "gbk", "utf-16le", "toString"]);
  }
  if (rng.oneIn(8)) {
    body.traceparent = rng.pick([
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      ...WORDS,
    ]);
  }
  for (const key of ["timeoutMs", "killAfterMs", "drainMs"]) {
    if (rng.oneIn(5)) body[key] = rng.pick(MILLISECONDS);
  }
  if (rng.oneIn(lasting ? 2 : 5)) body.jobId = rng.pick(JOBS);
  if (rng.oneIn(lasting ? 2 : 8)) {
    body.onDisconnect = rng.pick(["kill", "keep", "detach"]);
  }
  return body;
}

/** What is asked of jobs that are there, or not, or not this client's. */
function jobBody(rng: Prng): Record<string, unknown> {
  const job = rng.pick(JOBS);
  if (rng.oneIn(2)) {
    const offset = () => rng.pick([0, 1, 2 ** 40, 2 ** 53 - 1]);
    return {
      kind: "attach",
      job,
      stdin: rng.oneIn(2),
      stdoutOffset: offset(),
      stderrOffset: offset(),
      follow: rng.oneIn(2),
    };
  }
  return {
    kind: "jobs",
    op: rng.pick(["list", "get", "wait", "signal", "remove", "format"]),
    job,
    after: job,
    ...signalBody(rng),
  };
}

function clientFrames(rng: Prng, lasting: boolean): RawFrame[] {
  const frames: RawFrame[] = [];
  const opened: { channel: number; sent: number; open: boolean }[] = [];
  let channel = -1;
  for (let steps = 1 + rng.below(14); steps > 0; steps--) {
    const one = opened.length === 0 || rng.oneIn(4)
      ? undefined
      : rng.pick(opened);
    if (one === undefined) {
      channel += rng.oneIn(6) ? 2 + 2 * rng.below(5) : 2;
      const body = rng.oneIn(lasting ? 2 : 5)
        ? jobBody(rng)
        : openBody(rng, lasting);
      opened.push({ channel, sent: 0, open: body.stdin === true });
      frames.push(...inParts(jsonFrame(OPEN, body, channel), rng));
      continue;
    }
    // A stream that has ended, or never was, now and then gets more.
    const choices = one.open || rng.oneIn(12) ? 8 : 4;
    switch (rng.below(choices)) {
      case 0:
      case 1:
        frames.push(
          creditFrame(1 + rng.below(5_000), one.channel, 1 + rng.below(2)),
        );
        break;
      case 2:
        frames.push(stop(one.channel, rng.pick([STDOUT, STDERR])));
        break;
      case 3:
        if (rng.oneIn(6)) frames.push(jsonFrame(DETACH, {}, one.channel));
        frames.push(jsonFrame(SIGNAL, signalBody(rng), one.channel));
        break;
      case 4:
        one.open = false;
        frames.push(
          rng.oneIn(2)
            ? jsonFrame(END, { bytes: one.sent }, one.channel)
            : jsonFrame(ABORT, { code: "x", message: "gone" }, one.channel),
        );
        break;
      default: {
        const payload = rng.bytes(rng.below(rng.oneIn(3) ? 2_500 : 40));
        one.sent += payload.byteLength;
        frames.push({
          type: DATA,
          stream: STDIN,
          channel: one.channel,
          payload,
        });
      }
    }
  }
  if (rng.oneIn(3)) frames.push(closeFrame(rng));
  return frames;
}

function signalBody(rng: Prng): object {
  const signal = rng.pick(["SIGTERM", "SIGINT", "SIGKILL", "SIGWINCH"]);
  if (rng.oneIn(2)) return { signal };
  return { signal, terminate: true, killAfterMs: rng.pick([0, 1, 5]) };
}

function serverFrames(rng: Prng, lasting: boolean): RawFrame[] {
  const frames: RawFrame[] = [];
  const last = lasting ? 7 : 5;
  for (let channel = 1; channel <= last; channel += 2) {
    if (rng.oneIn(5)) continue;
    if (lasting && rng.oneIn(3)) {
      frames.push(jsonFrame(RESULT, resultBody(rng), channel));
      continue;
    }
    if (rng.oneIn(5)) {
      frames.push(jsonFrame(REFUSED, {
        code: rng.pick(["not_found", "refused", "closed", "unheard_of"]),
        message: rng.pick(WORDS),
      }, channel));
      continue;
    }
    const pid = rng.pick([1, 4_711, 0]);
    const jobId = rng.pick([undefined, "x", ...WORDS]);
    const stdinOffset = lasting && rng.oneIn(2)
      ? rng.pick([0, 5, 2 ** 53 - 1])
      : undefined;
    frames.push(jsonFrame(STARTED, { pid, jobId, stdinOffset }, channel));
    const sent = [0, 0, 0];
    for (let steps = rng.below(8); steps > 0; steps--) {
      const stream = rng.pick([STDOUT, STDERR]);
      const payload = rng.bytes(rng.below(rng.oneIn(3) ? 2_500 : 40));
      sent[stream] += payload.byteLength;
      frames.push({ type: DATA, stream, channel, payload });
      if (rng.oneIn(3)) {
        frames.push(creditFrame(rng.below(3_000), channel, STDIN));
      }
      if (rng.oneIn(6)) frames.push(stop(channel, STDIN));
      if (lasting && rng.oneIn(3)) {
        frames.push(jsonFrame(DROPPED, droppedBody(rng), channel));
      }
    }
    const ends: RawFrame[] = [STDOUT, STDERR].map((stream) =>
      rng.oneIn(6)
        ? jsonFrame(
          ABORT,
          { code: "x", message: rng.pick(WORDS) },
          channel,
          stream,
        )
        : jsonFrame(END, { bytes: sent[stream] }, channel, stream)
    );
    const exit = lasting && rng.oneIn(4)
      ? jsonFrame(DETACH, detachBody(rng), channel)
      : jsonFrame(EXIT, exitBody(rng), channel);
    ends.splice(rng.below(3), 0, exit);
    frames.push(...ends.slice(0, rng.oneIn(4) ? rng.below(3) : 3));
  }
  // Commands run side by side: what is said of one comes between the others'.
  if (rng.oneIn(2)) interleave(frames, rng);
  if (rng.oneIn(3)) {
    frames.splice(rng.below(frames.length + 1), 0, goAwayFrame(rng));
  }
  if (rng.oneIn(3)) frames.push(closeFrame(rng));
  return frames.flatMap((frame) => inParts(frame, rng));
}

/** A job as a server tells of it, with something about it that is not so. */
function jobInfo(rng: Prng): object {
  const count = () => rng.pick([0, 7, 2 ** 53 - 1]);
  const stream = () => ({ bytes: count(), dropped: count() });
  return {
    id: rng.oneIn(3) ? rng.pick(WORDS) : rng.pick(JOBS),
    state: rng.pick(["running", "ended", "unknown", "starting", ...WORDS]),
    onDisconnect: rng.pick(["keep", "detach", "kill", "stay"]),
    argv: rng.oneIn(8) ? "cat" : [rng.pick(WORDS), rng.pick(WORDS)],
    shell: rng.oneIn(3),
    startedAt: count(),
    endedAt: rng.oneIn(2) ? count() : undefined,
    pid: rng.oneIn(2) ? 1 : undefined,
    status: rng.oneIn(2) ? exitBody(rng) : undefined,
    stdout: rng.oneIn(2) ? stream() : undefined,
    stderr: rng.oneIn(3) ? stream() : undefined,
    readers: rng.below(3),
    problem: rng.oneIn(4) ? rng.pick(WORDS) : undefined,
  };
}

function resultBody(rng: Prng): object {
  if (rng.oneIn(3)) return rng.oneIn(2) ? {} : { job: jobInfo(rng) };
  const jobs = Array.from({ length: rng.below(4) }, () => jobInfo(rng));
  // In the order that is promised, mostly.
  if (!rng.oneIn(3)) {
    jobs.forEach((each, i) => Object.assign(each, { id: `${i}` }));
  }
  return { jobs, more: rng.oneIn(4), job: jobInfo(rng) };
}

function droppedBody(rng: Prng): object {
  const from = rng.pick([0, 3, 800]);
  return {
    stream: rng.pick(["stdout", "stderr", "stdin"]),
    from,
    to: rng.oneIn(6) ? from - 1 : from + rng.pick([0, 1, 2 ** 40]),
  };
}

function detachBody(rng: Prng): object {
  return rng.oneIn(2) ? {} : {
    code: rng.pick(["connection_lost", "closed", "x"]),
    message: rng.pick(WORDS),
  };
}

function exitBody(rng: Prng): object {
  const reason = rng.oneIn(3) ? { reason: rng.pick(["timed_out", "new"]) } : {};
  return rng.oneIn(3)
    ? { code: null, signal: rng.pick(["SIGKILL", "constructor"]), ...reason }
    : {
      code: rng.pick([0, 1, 255, 256, 0xffff_ffff]),
      signal: null,
      ...reason,
    };
}

function goAwayFrame(rng: Prng): RawFrame {
  const drainMs = rng.pick([undefined, 0, 30_000, 2 ** 53 - 1]);
  const code = rng.pick(["shutting_down", "other"]);
  return jsonFrame(GOAWAY, { code, message: rng.pick(WORDS), drainMs });
}

function closeFrame(rng: Prng): RawFrame {
  const code = rng.pick(["closed", "shutting_down", "timed_out", "other"]);
  return jsonFrame(CLOSE, { code, message: rng.pick(WORDS) });
}

/** PING or PONG. */
function sessionSign(type: number): RawFrame {
  return { type, stream: 0, channel: 0, payload: new Uint8Array(0) };
}

function stop(channel: number, stream: number): RawFrame {
  return { type: STOP, stream, channel, payload: new Uint8Array(0) };
}

/** Keeps the order within each channel. */
function interleave(frames: RawFrame[], rng: Prng): void {
  for (let i = 1; i < frames.length; i++) {
    const at = rng.below(i);
    const between = frames.slice(at, i);
    if (between.every(({ channel }) => channel !== frames[i].channel)) {
      frames.splice(at, 0, ...frames.splice(i, 1));
    }
  }
}

/** Now and then in PART frames, as a long message would be. */
function inParts(frame: RawFrame, rng: Prng): RawFrame[] {
  const whole = frame.type === DATA || frame.type === FrameType.CREDIT ||
    frame.type === STOP || frame.type === CLOSE || frame.type === GOAWAY ||
    frame.type === FrameType.PING || frame.type === FrameType.PONG;
  if (whole || !rng.oneIn(8)) return [frame];
  const parts: RawFrame[] = [];
  let rest = frame.payload;
  while (rest.byteLength > 0 && parts.length < 20) {
    const size = Math.min(rest.byteLength, 1 + rng.below(60));
    const payload = rest.subarray(0, size);
    parts.push({ ...frame, type: FrameType.PART, payload });
    rest = rest.subarray(size);
  }
  return [...parts, { ...frame, payload: rest }];
}
