import { expect, test } from "vitest";
import { connect } from "../core/client.ts";
import { signalStatus, statusOf } from "../core/cli/exit_status.ts";
import { decodeControl } from "../core/frame/control.ts";
import { type Frame, FrameType } from "../core/frame/frame.ts";
import { CLIENT_PREFACE, PrefaceMatcher } from "../core/frame/preface.ts";
import { describeClient } from "../core/frame/strangers.ts";
import { iconv } from "../core/text/iconv.ts";
import { findCodec } from "../core/text/mod.ts";
import { adapter } from "./support/adapter.ts";
import { limpet } from "./support/cli.ts";
import { pair } from "./support/faults.ts";
import { unclean } from "./fuzz/problems.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";
import { PLATFORM, serving, TOKEN } from "./support/serving.ts";

const { CLOSE, EXIT, OPEN, PROOF, REFUSED, STARTED } = FrameType;

/** Clears a screen, sets a title, turns text around; C0, C1 and bidi. */
const EVIL = "\u001b[2J\u001b]0;x\u0007\u009b31m\u0085\u202e";

/** What a terminal is not to get from a message. */
function expectClean(message: string): void {
  expect(unclean(message)).toBe(null);
}

test.each([
  ["the kind", { kind: EVIL }],
  ["a name", { kind: "exec", argv: [EVIL] }],
  ["a folder", { kind: "exec", argv: ["true"], cwd: `/${EVIL}` }],
  ["a variable", { kind: "exec", argv: ["true"], env: { [`${EVIL}=`]: "" } }],
  ["a value", { kind: "exec", argv: ["true"], env: { [EVIL]: "\0" } }],
  ["an encoding", { kind: "exec", argv: ["ä"], encoding: EVIL }],
])(
  "a client's words in a refusal are made safe to show: %s",
  async (_, body) => {
    await using served = await serving();
    const peer = new RawPeer(await served.dial());
    await peer.authenticate();
    await peer.write(jsonFrame(OPEN, body, 1));
    const refused = decodeControl(
      (await peer.expect(REFUSED)).payload,
      "REFUSED",
    );
    expectClean(refused.text("message"));
    expect(refused.text("message")).toContain("\\x");
    const told = served.events.find(({ type }) => type === "command_refused");
    expect(told).toMatchObject({ message: refused.text("message") });
    await peer.drop();
  },
);

test.each([EVIL, "\u009b31m", "hello \u202e"])(
  "so is what speaks no Limpet: %j",
  (words) => {
    const matcher = new PrefaceMatcher(CLIENT_PREFACE, describeClient);
    try {
      matcher.push(new TextEncoder().encode(words));
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "protocol_error" });
      expectClean((error as Error).message);
    }
  },
);

test("so is the name of the server's encoding", async () => {
  const [clientEnd, serverEnd] = pair();
  const peer = new RawPeer(serverEnd);
  const connecting = connect(clientEnd, { token: TOKEN });
  await peer.admit({}, { ...PLATFORM, encoding: EVIL });
  const session = await connecting;
  try {
    session.codec();
    expect.unreachable();
  } catch (error) {
    expect(error).toMatchObject({ code: "unsupported" });
    expectClean((error as Error).message);
    expectClean(((error as Error).cause as Error).message);
  }
  await peer.drop();
});

test.each(["constructor", "toString", "__proto__", "hasOwnProperty"])(
  "what all objects have is no encoding: %s",
  (name) => {
    expect(iconv.find(name)).toBe(null);
    expect(() => findCodec(name, iconv)).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  },
);

test("a message of megabytes is cut", async () => {
  const [clientEnd, serverEnd] = pair();
  const peer = new RawPeer(serverEnd);
  const connecting = connect(clientEnd, {
    token: TOKEN,
    limits: { maxFrameBytes: 4_194_304 },
  });
  await peer.admit();
  const child = (await connecting).spawn("true");
  await peer.expect(OPEN);
  const message = "\u001b".repeat(500_000);
  await peer.write(jsonFrame(REFUSED, { code: "refused", message }, 1));
  const error = await child.status.catch((thrown) => thrown);
  expectClean(error.message);
  expect(error.message.length).toBeLessThan(20_000);
  await peer.drop();
});

/** Runs `limpet exec` against a server that answers OPEN with these frames. */
async function execAgainst(frames: Frame[], ...flags: string[]) {
  const listener = await adapter.listen({
    kind: "tcp",
    hostname: "127.0.0.1",
    port: 0,
  });
  const playing = (async () => {
    for await (const duplex of listener) {
      const peer = new RawPeer(duplex);
      await peer.admit({}, { ...PLATFORM, encoding: EVIL, cwd: EVIL });
      await peer.expect(OPEN);
      await peer.write(...frames);
      await peer.rest();
      await peer.drop();
    }
  })();
  try {
    return await limpet(
      ["exec", ...flags, listener.address, "--", "true"],
      { env: { LIMPET_TOKEN: TOKEN } },
    );
  } finally {
    await listener.close();
    await playing;
  }
}

const ended = (exit: object): Frame[] => [
  jsonFrame(STARTED, { pid: 1 }, 1),
  jsonFrame(FrameType.END, { bytes: 0 }, 1, 1),
  jsonFrame(FrameType.END, { bytes: 0 }, 1, 2),
  jsonFrame(EXIT, exit, 1),
];

test.each([
  ["a signal named as a method is", { code: null, signal: "toString" }, 255],
  ["__proto__ for a signal", { code: null, signal: "__proto__" }, 255],
  ["a code of which Unix keeps 0", { code: 256, signal: null }, 255],
  ["a reason nobody knows", { code: 0, signal: null, reason: EVIL }, 255],
])("%s: limpet exec ends with %j as %i", async (_, exit, status) => {
  const outcome = await execAgainst(ended(exit));
  expect(outcome).toMatchObject({ code: status, stdout: "" });
  expect(outcome.stderr.replaceAll("\n", "")).not.toMatch(/Error:|\n {4}at /);
  expectClean(outcome.stderr.replaceAll("\n", ""));
});

test.each([
  ["CLOSE", [jsonFrame(CLOSE, { code: EVIL, message: EVIL })]],
  ["REFUSED", [jsonFrame(REFUSED, { code: "x", message: EVIL }, 1)]],
  ["a second PROOF", [jsonFrame(PROOF, { proof: EVIL })]],
])(
  "what a server says in %s does not reach the terminal raw",
  async (_, frames) => {
    for (const flags of [["-v"], ["--output=json"]]) {
      const { code, stdout, stderr } = await execAgainst(frames, ...flags);
      expect(code).not.toBe(0);
      expectClean((stdout + stderr).replaceAll("\n", ""));
    }
  },
);

test("no signal's and no code's end is taken for another", () => {
  for (const name of ["constructor", "hasOwnProperty", "__proto__", ""]) {
    expect(signalStatus(name)).toBe(255);
  }
  const common = { success: false, signal: null, reason: null };
  const statuses = [0, 1, 255, 256, 257, 0x8000_0000].map((code) =>
    statusOf({ ...common, code })
  );
  expect(statuses).toEqual([0, 1, 255, 255, 257, 255]);
});
