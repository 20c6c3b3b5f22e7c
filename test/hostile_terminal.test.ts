import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { main } from "../core/cli/main.ts";
import { encodeFrame, type Frame, FrameType } from "../core/frame/frame.ts";
import { SERVER_PREFACE } from "../core/frame/preface.ts";
import type { Platform } from "../core/ports.ts";
import { adapter } from "./support/adapter.ts";
import {
  environment,
  quoted,
  type Running,
  startLimpet,
  temporaryFolder,
} from "./support/cli.ts";
import { cliRuntime } from "./support/cli_in_process.ts";
import { join as joined } from "./support/frames.ts";
import { BytesTerminal } from "./support/pty.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";
import { TOKEN } from "./support/serving.ts";

const {
  ABORT,
  CLOSE,
  END,
  EXIT,
  HELLO,
  OPEN,
  PART,
  PROOF,
  REFUSED,
  STARTED,
  GOAWAY,
} = FrameType;
const MIB = 1_048_576;
const BUSY = 240_000;
/** A busy machine is no reason to give up. */
const PATIENT = ["--connect-timeout", "60s"];

/** Clears a screen, sets a title, turns text around; C0, C1 and bidi. */
const EVIL =
  "\u001b[2J\u001b]0;pwned\u0007\u009b31m\u0085\u202e\u0008\r$ rm -rf /";

/** What a terminal would obey, as the bytes it gets. Line ends are ours. */
const OBEYED =
  // deno-lint-ignore no-control-regex -- control characters are what it is about
  /[\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f]|\u00c2[\u0080-\u009f]|\u00e2\u0080[\u00aa-\u00ae]|\u00e2\u0081[\u00a6-\u00a9]|\r(?!\r*\n)/;

const folder = temporaryFolder();
let count = 0;

/** Where a client could write, if it could be made to. */
function emptyFolder(): string {
  const path = join(folder, `client${count++}`);
  mkdirSync(path);
  return path;
}

/** No server makes a client write a file. Bun has a cache of its own there. */
function expectEmpty(home: string): void {
  const files = readdirSync(home).filter((name) => name !== ".bun");
  expect(files, "what it wrote").toEqual([]);
}

/** What is done with each connection of a server that is up to no good. */
type Play = (peer: RawPeer) => Promise<void>;

/** Runs `use` against such a server. */
async function against<T>(
  play: Play,
  use: (address: string) => Promise<T>,
): Promise<T> {
  const listener = await adapter.listen({
    kind: "tcp",
    hostname: "127.0.0.1",
    port: 0,
  });
  const playing = (async () => {
    for await (const duplex of listener) {
      const peer = new RawPeer(duplex);
      // The client may leave in the middle: that is its right.
      await play(peer).catch(() => {});
      await peer.rest();
      await peer.drop();
    }
  })();
  try {
    return await use(listener.address);
  } finally {
    await listener.close();
    await playing;
  }
}

const evil: Platform = {
  os: EVIL,
  arch: EVIL,
  shell: EVIL,
  encoding: EVIL,
  cwd: EVIL,
  runtime: EVIL,
};

/** Admits the client, and answers its first command with these. */
const answers = (...frames: Frame[]): Play => async (peer) => {
  await peer.admit({}, evil);
  await peer.expect(OPEN);
  await peer.write(...frames);
};

const started = jsonFrame(STARTED, { pid: 1 }, 1);
const ends = [1, 2].map((stream) => jsonFrame(END, { bytes: 0 }, 1, stream));

/** Says this in place of the server's HELLO. */
const greets = (hello: object): Play => async (peer) => {
  await peer.write(SERVER_PREFACE, jsonFrame(HELLO, hello));
};

const HELLO_BODY = {
  version: 1,
  nonce: "A".repeat(43),
  limits: { frame: 65_536, control: 65_536, window: 65_536 },
  features: [EVIL],
  software: EVIL,
};

const CASES: readonly (readonly [name: string, play: Play])[] = [
  ["CLOSE", answers(jsonFrame(CLOSE, { code: EVIL, message: EVIL }))],
  ["REFUSED", answers(jsonFrame(REFUSED, { code: EVIL, message: EVIL }, 1))],
  [
    "ABORT",
    answers(
      started,
      jsonFrame(ABORT, { code: EVIL, message: EVIL }, 1, 1),
      ends[1],
      jsonFrame(EXIT, { code: 0, signal: null }, 1),
    ),
  ],
  [
    "EXIT",
    answers(
      started,
      ...ends,
      jsonFrame(EXIT, { code: null, signal: EVIL, reason: EVIL }, 1),
    ),
  ],
  [
    "GOAWAY",
    answers(
      started,
      jsonFrame(GOAWAY, { code: EVIL, message: EVIL, drainMs: 1 }),
      ...ends,
      jsonFrame(EXIT, { code: 3, signal: null }, 1),
    ),
  ],
  ["a second PROOF", answers(jsonFrame(PROOF, { proof: EVIL }))],
  ["a frame nobody knows", answers(jsonFrame(99, { message: EVIL }))],
  ["JSON that is none", answers({ ...started, payload: bytesOf(EVIL) })],
  ["what is no preface", (peer) => peer.write(bytesOf(EVIL))],
  ["a binding", greets({ ...HELLO_BODY, binding: EVIL })],
  [
    "HELLO, and CLOSE behind it",
    async (peer) => {
      await greets({ ...HELLO_BODY, hostKey: EVIL })(peer);
      const gone = { code: "unauthenticated", message: EVIL };
      await peer.write(jsonFrame(CLOSE, gone));
    },
  ],
];

/** As a program in a terminal of its own, and what that showed. */
async function inTerminal(args: readonly string[], home: string) {
  const terminal = new BytesTerminal(args, latin1, {
    cwd: home,
    timeoutMs: BUSY,
    env: { LIMPET_TOKEN: TOKEN, HOME: home, NO_COLOR: "1" },
  });
  const { code } = await terminal.outcome;
  return { code, shown: terminal.text() };
}

/** In this process, with outputs that say they are a terminal. */
async function asInTerminal(args: readonly string[], home: string) {
  const env = environment({ LIMPET_TOKEN: TOKEN, HOME: home, NO_COLOR: "1" });
  const { runtime } = cliRuntime(args, env, "");
  let shown = "";
  const screen = {
    isTerminal: true,
    columns: () => 80,
    write: (bytes: Uint8Array) => {
      shown += latin1(bytes);
      return Promise.resolve();
    },
  };
  const code = await main({ ...runtime, stdout: screen, stderr: screen });
  return { code, shown };
}

/** Of these it is seen that the program itself adds nothing to it. */
const IN_TERMINAL = new Set(["CLOSE", "EXIT", "what is no preface"]);

/** Runs `limpet exec` in a terminal against it: what comes out is safe. */
async function obeysNothing(name: string, play: Play, ...flags: string[]) {
  const home = emptyFolder();
  await against(play, async (address) => {
    const args = ["exec", ...flags, ...PATIENT, address, "--", "true"];
    const run = IN_TERMINAL.has(name) ? inTerminal : asInTerminal;
    const { code, shown } = await run(args, home);
    expect(code, name).not.toBe(0);
    expect(shown, name).not.toBe("");
    expect(OBEYED.exec(shown)?.[0], `${name}: ${shown}`).toBe(undefined);
  });
  expectEmpty(home);
}

/** As many at a time as there are processors, more or less. */
const AT_ONCE = 4;

test("a terminal obeys nothing that a server says", async () => {
  const runs = [
    ...CASES.map(([name, play]) => () => obeysNothing(name, play, "-v")),
    // These are fields of the object.
    ...CASES.filter(([name]) => ["CLOSE", "REFUSED", "EXIT"].includes(name))
      .map(([name, play]) => () => obeysNothing(name, play, "--output=json")),
  ];
  const work = async () => {
    for (let run; (run = runs.pop()) !== undefined;) await run();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}, BUSY);

test(
  "the prompt shows what a server says of itself, and obeys none of it",
  async () => {
    const home = emptyFolder();
    const refused = jsonFrame(REFUSED, { code: "refused", message: EVIL }, 1);
    await against(answers(refused), async (address) => {
      const terminal = new BytesTerminal(
        ["shell", "-v", ...PATIENT, address],
        latin1,
        {
          cwd: home,
          timeoutMs: BUSY,
          env: { LIMPET_TOKEN: TOKEN, HOME: home, NO_COLOR: "1" },
        },
      );
      await terminal.shows(">>: ");
      terminal.type(bytesOf("true\r"));
      await terminal.shows("rm -rf /");
      terminal.type(bytesOf("exit\r"));
      await terminal.outcome;
      // The line editor moves the cursor by itself: what it may not do is this.
      for (const order of ["\u001b[2J", "\u001b]0;pwned", "\u00c2\u009b31m"]) {
        expect(terminal.text()).not.toContain(order);
      }
    });
    expectEmpty(home);
  },
  BUSY,
);

/** A program in place of a server, on whose stdout `text` comes first. */
const says = (text: string, then = "") =>
  `cmd:sh -c ${quoted(`printf %b ${quoted(text)}; ${then}`)}`;

test.each([
  ["ends", says(String.raw`\033[2J\033]0;pwned\a\0302\0233m\n\r$ rm\n`)],
  ["has no end", "cmd:yes evil"],
])(
  "noise before the preface that %s is bounded and safe",
  async (_, target) => {
    const terminal = new BytesTerminal(
      ["exec", target, "--", "true"],
      latin1,
      { timeoutMs: BUSY, env: { LIMPET_TOKEN: TOKEN, NO_COLOR: "1" } },
    );
    const { code } = await terminal.outcome;
    expect(code).toBe(255);
    const shown = terminal.text();
    expect(OBEYED.exec(shown)?.[0], shown.slice(0, 500)).toBe(undefined);
    // 64 KiB of the shortest lines, each with who said it.
    expect(shown.length).toBeLessThan(3 * MIB);
  },
  BUSY,
);

/** The most memory that a process has held, in bytes; 0 if it has ended. */
function peakBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return 1_024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
}

// What a runtime takes by itself, until its collector has been round, is 60 to 105.
const FLOOD_BYTES = 256 * MIB;
const MAX_GROWTH_BYTES = 128 * MIB;

/** Frames that need not be kept, and those that must not be. */
const FLOODS: [string, Frame][] = [
  ["hints that nobody knows", filled(200, 65_536, 0)],
  ["pieces of a message without end", filled(PART, 65_536, 1)],
  ["output that nobody granted", filled(FrameType.DATA, 65_536, 1, 1)],
];

test.each(FLOODS)("%s do not fill the client's memory", async (_, frame) => {
  const bytes = encodeFrame(frame);
  const batch = joined(Array.from({ length: 16 }, () => bytes));
  let growth = NaN;
  let running: Running | undefined;
  const home = emptyFolder();
  await against(
    async (peer) => {
      await peer.admit();
      await peer.expect(OPEN);
      const before = peakBytes(running!.pid);
      growth = 0;
      try {
        for (let sent = 0; sent < FLOOD_BYTES; sent += batch.byteLength) {
          await peer.write(batch);
          growth = Math.max(growth, peakBytes(running!.pid) - before);
        }
      } finally {
        await peer.write(jsonFrame(CLOSE, { code: "closed", message: "" }));
      }
    },
    async (address) => {
      running = startLimpet(["exec", ...PATIENT, address, "--", "true"], {
        cwd: home,
        timeoutMs: BUSY,
        env: { LIMPET_TOKEN: TOKEN, HOME: home },
      });
      expect((await running.outcome).code).toBe(255);
    },
  );
  expect(growth).toBeLessThan(MAX_GROWTH_BYTES);
  expectEmpty(home);
}, BUSY);

function filled(
  type: number,
  length: number,
  channel: number,
  stream = 0,
): Frame {
  return { type, stream, channel, payload: new Uint8Array(length).fill(0x20) };
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** One character for each byte. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
