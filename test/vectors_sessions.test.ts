import { describe, expect, test } from "vitest";
import { connect, type Session } from "../core/client.ts";
import { statusOf, statusOfError } from "../core/cli/exit_status.ts";
import { LimpetError } from "../core/errors.ts";
import type { RemoteCommand } from "../core/exec/client.ts";
import type { Limits } from "../core/limits.ts";
import { pair } from "./support/faults.ts";
import { fromHex, toHex } from "./support/frames.ts";
import { playServer } from "./support/played_server.ts";
import { type SessionCase, sessionVectors } from "./support/vectors.ts";

// The smallest that `Limits` takes is 1,024, the wire has no such bound: the
// client's own window cannot be made as small as in these recordings.
const runnable = (vector: SessionCase) =>
  vector.limits.client.window >= 1_024 && vector.limits.client.frame >= 1_024;

function limitsOf(vector: SessionCase): Partial<Limits> {
  const { frame, control, window } = vector.limits.client;
  return {
    maxFrameBytes: frame,
    maxControlBytes: control,
    windowBytes: Math.max(window, 1_024),
    handshakeTimeoutMs: 60_000,
  };
}

/** The command of a recording, started on a session of ours. */
function start(session: Session, request: Record<string, unknown>) {
  const { argv, line, stdin, merge, timeoutMs } = request as {
    argv?: string[];
    line?: string;
    stdin?: boolean;
    merge?: boolean;
    timeoutMs?: number;
  };
  const [program, ...args] = argv ?? [];
  return session.spawn(line ?? program, {
    ...(line === undefined ? { args } : { shell: true }),
    stdin: stdin ? "piped" : "null",
    merge,
    timeoutMs,
  });
}

/** What came of a stream, and the error if that is not all. */
async function collect(stream: ReadableStream<Uint8Array>) {
  let hex = "";
  try {
    for await (const chunk of stream) hex += toHex(chunk);
    return { hex, error: null };
  } catch (error) {
    return { hex, error };
  }
}

/** Writes what is to be written; that nobody wants it is no failure. */
async function feed(child: RemoteCommand, hex: string): Promise<void> {
  const writer = child.stdin.getWriter();
  try {
    if (hex !== "") await writer.write(fromHex(hex));
    await writer.close();
  } catch (error) {
    expect(error).toBeInstanceOf(LimpetError);
  }
}

/** As the command line does it. */
async function run(vector: SessionCase, session: Session) {
  const child = start(session, vector.request ?? {});
  if (vector.stdin !== null) void feed(child, vector.stdin);
  const none = { hex: "", error: null };
  const [stdout, stderr] = await Promise.all([
    collect(child.stdout),
    vector.request?.merge ? none : collect(child.stderr),
  ]);
  let status: number;
  try {
    status = statusOf(await child.status);
    const lost = stdout.error ?? stderr.error;
    if (lost !== null) throw lost;
  } catch (error) {
    if (!(error instanceof LimpetError)) throw error;
    status = statusOfError(error.code);
  }
  return { status, stdout: stdout.hex, stderr: stderr.hex };
}

const whole = sessionVectors.sessions.filter((vector) =>
  vector.result.status !== undefined && runnable(vector)
);

describe("recorded sessions, played to our client", () => {
  test("most of them can be", () => {
    expect(whole.length).toBeGreaterThan(20);
  });

  test.each(whole)("$name", async (vector) => {
    const [clientEnd, serverEnd] = pair();
    const played = playServer(serverEnd, vector);
    let outcome: Awaited<ReturnType<typeof run>>;
    try {
      const session = await connect(clientEnd, {
        token: vector.clientToken ?? vector.token,
        limits: limitsOf(vector),
        early: true,
      });
      outcome = await run(vector, session);
      await session.close();
    } catch (error) {
      if (!(error instanceof LimpetError)) throw error;
      outcome = { status: statusOfError(error.code), stdout: "", stderr: "" };
    }
    const { status, stdout = "", stderr = "" } = vector.result;
    expect(outcome).toEqual({ status, stdout, stderr });
    await played;
  });
});

const wrongServers = sessionVectors.broken.filter(({ result }) =>
  result.close?.by === "client"
);

describe("servers that break a rule", () => {
  test.each(wrongServers)("$name", async (vector) => {
    // A window of 16 is announced in the recording; ours is 1,024.
    if (vector.name === "beyond the window") {
      vector = atLargerWindow(vector);
    }
    const [clientEnd, serverEnd] = pair();
    const played = playServer(serverEnd, vector);
    const connecting = connect(clientEnd, {
      token: vector.token,
      limits: limitsOf(vector),
      early: true,
    });
    const { code } = vector.result.close!;
    try {
      const session = await connecting;
      const child = start(session, vector.request ?? {});
      // What it says before it breaks the rule may be believed.
      child.status.catch(() => {});
      expect((await session.closed).code).toBe(code);
    } catch (error) {
      expect(error).toMatchObject({ code });
    }
    expect(await played).toBe(code);
  });
});

function atLargerWindow(vector: SessionCase): SessionCase {
  const steps = vector.steps.map((step) => ({
    ...step,
    messages: step.messages.map((message) =>
      message.name === "DATA"
        ? { ...message, payload: "00".repeat(1_025) }
        : message
    ),
  }));
  return { ...vector, steps };
}
