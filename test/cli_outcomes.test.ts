import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FrameType } from "../core/frame/frame.ts";
import { adapter } from "./support/adapter.ts";
import { seqBytes } from "./support/bytes.ts";
import { expectOwnWords, startLimpet, temporaryFolder } from "./support/cli.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import { eventually } from "./support/leaks.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { jsonFrame, RawPeer } from "./support/raw_peer.ts";
import { serverFor, startServer } from "./support/servers.ts";
import { TOKEN } from "./support/serving.ts";

const folder = temporaryFolder();
const env = { LIMPET_TOKEN: TOKEN };

/** `limpet serve` as a program that the test can send signals to. */
async function startServing(...flags: string[]) {
  const args = ["serve", "tcp://127.0.0.1:0", "--drain=0s", ...flags];
  const running = startLimpet(args, { env });
  await running.complains("listening on");
  const address = /listening on (tcp:\/\/[^\s,]+)/.exec(running.stderr())![1];
  return { running, address };
}

test("a signal that the command survives costs a slow reader nothing", async () => {
  await using server = await startServer(serverFor(1));
  // More than a pipe to us holds, less than all that is in between does.
  const last = 70_000;
  const running = startLimpet([
    "exec",
    server.address,
    "-c",
    `trap 'echo got >&2; seq 1 ${last}; exit 0' USR1; echo $$ ready >&2
    sleep 1000 & wait`,
  ], { env: { LIMPET_TOKEN_FILE: server.tokenFile } });
  running.child.stdout!.pause();
  await running.complains("ready\n");
  const remote = parseInt(running.stderr());
  running.kill("SIGUSR1");
  await running.complains("got\n");
  // It ends, its output in the windows and pipes between it and us …
  await untilGone([remote]);
  // … and whoever reads it takes a nap: what a command that a signal has ended
  // is given is 1 to 2 seconds.
  const woken = performance.now() + 2_500;
  await eventually(
    () => performance.now() > woken || !isAlive(running.pid),
    () => "time goes by",
  );
  // Bun may read on in spite of the pause, and all of it: then nobody was slow.
  // Of what it has not read, nothing is to be lost.
  running.child.stdout!.resume();
  const { code, bytes, stderr } = await running.outcome;
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: `${remote} ready\ngot\n`,
  });
  expect(bytes).toEqual(seqBytes(last));
});

/** A server by hand that starts a command and then ends the session. */
async function endingWith(code: string) {
  const listener = await adapter.listen({
    kind: "tcp",
    hostname: "127.0.0.1",
    port: 0,
  });
  const serving = (async () => {
    for await (const duplex of listener) {
      const peer = new RawPeer(duplex);
      await peer.admit();
      await peer.expect(FrameType.OPEN);
      await peer.write(
        jsonFrame(FrameType.STARTED, { pid: 7 }, 1),
        jsonFrame(FrameType.CLOSE, { code, message: "Enough" }),
      );
      await peer.end();
      await peer.rest();
    }
  })();
  return {
    address: listener.address,
    [Symbol.asyncDispose]: async () => {
      await listener.close();
      await serving;
    },
  };
}

test.each(["limit_exceeded", "not_found"])(
  "CLOSE %s after STARTED: 255, and unknown in text and JSON",
  async (code) => {
    await using server = await endingWith(code);
    const [text, json] = await Promise.all([
      limpetHere(["exec", server.address, "--", "true"], { env }),
      limpetHere(["exec", "--output=json", server.address, "--", "true"], {
        env,
      }),
    ]);
    expect(text).toMatchObject({ code: 255, stdout: "" });
    expect(text.stderr).toContain("what became of the command is unknown\n");
    expectOwnWords(text.stderr);
    expect(json).toMatchObject({ code: 255, stderr: "" });
    expect(JSON.parse(json.stdout)).toMatchObject({
      exitStatus: 255,
      source: "limpet",
      outcome: "unknown",
      code: null,
      signal: null,
      complete: false,
      error: { code: "connection_lost" },
    });
  },
);

test.each([
  // It takes the end nicely, yet was cut short.
  [0, "trap 'exit 0' TERM; ready; while :; do sleep 1000 & wait; done", 255, 0],
  [1, "trap 'exit 3' TERM; ready; while :; do sleep 1000 & wait; done", 3, 3],
  [2, "ready; exec sleep 1000", 143, null],
  // Its output is still held open when the session ends, so it breaks off.
  [3, "setsid sleep 3 & ready; exec sleep 1000", 143, null],
])(
  "a server that stops meanwhile, %i: %s",
  async (turn, line, status, code) => {
    const { running: serving, address } = await startServing();
    // What it says in JSON is seen at the end alone; its file is there before.
    const files = ["text", "json"].map((each) =>
      join(folder, `${each}-${turn}`)
    );
    const both = files.map((file) => {
      const output = file.includes("json") ? "json" : "text";
      const whole = line.replace("ready", `: > ${file}`);
      return limpetHere(["exec", `--output=${output}`, address, "-c", whole], {
        env,
      });
    });
    await eventually(() => files.every(existsSync), () => `${files} are there`);
    serving.kill("SIGTERM");
    const [text, json] = await Promise.all(both);
    expect([text.code, json.code]).toEqual([status, status]);
    expect(text.stderr).toContain("the command was ended by the server: ");
    expect(JSON.parse(json.stdout)).toMatchObject({
      exitStatus: status,
      outcome: "ended",
      code,
      reason: "shutting_down",
    });
    expect((await serving.outcome).code).toBe(0);
  },
);

test("SIGTERM twice makes a server kill what does not go, and its status is 0", async () => {
  // By itself the first SIGTERM has nothing killed before the hour is over.
  const config = join(folder, "server.json");
  writeFileSync(config, '{ "limits": { "shutdownGraceMs": "1h" } }', {
    mode: 0o600,
  });
  const { running: serving, address } = await startServing("--config", config);
  const stubborn = startLimpet([
    "exec",
    "--kill-after=1h",
    address,
    "-c",
    "trap 'echo asked' TERM; echo $$ ready; while :; do sleep 1000 & wait; done",
  ], { env });
  await stubborn.says("ready");
  const remote = parseInt(stubborn.stdout());
  serving.kill("SIGTERM");
  await stubborn.says("asked");
  expect(isAlive(remote)).toBe(true);
  serving.kill("SIGTERM");
  await untilGone([remote]);
  expect((await serving.outcome).code).toBe(0);
  expect((await stubborn.outcome).code).toBe(137);
});
