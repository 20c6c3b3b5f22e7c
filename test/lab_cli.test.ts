import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { limpet, start, startLimpet, temporaryFolder } from "./support/cli.ts";
import { ALL_AS_OBJECT, ALL_IN_CHINESE } from "./support/lab.ts";
import { eventually } from "./support/leaks.ts";
import { childrenOf } from "./support/proc.ts";
import { untilGone } from "./support/processes.ts";
import { program, ROOT, THIS_RUNTIME } from "./support/runtimes.ts";

const NAMES = ["sticky", "nagle", "split", "datagram", "empty", "reset"];

type Measured = Record<string, number | string | boolean | null>;

/** What each experiment's numbers must say about each other. */
const CHECKS: Record<string, (measured: Measured) => void> = {
  sticky: (m) => {
    expect(m.firstAnswerBytes).toBe(1_492);
    expect(m.firstReadBytes).toBeLessThanOrEqual(1_024);
    expect(Number(m.firstReadBytes) + Number(m.leftInBuffer)).toBe(1_492);
    expect(m.secondReadStartsWithRestOfFirst).toBe(true);
    // No byte is lost, each only came for the wrong command.
    expect(Number(m.secondReadBytes) + Number(m.lateBytes))
      .toBe(Number(m.leftInBuffer) + Number(m.secondAnswerBytes));
    expect(m.framedFirstBytes).toBe(1_492);
    expect(m.framedSecondBytes).toBe(7);
  },
  nagle: (m) => {
    expect(m.readsWithNagle).toBeLessThan(Number(m.sends));
    expect(m.readsWithoutNagle).toBeLessThan(Number(m.sends));
    expect(m.framedMessages).toBe(m.sends);
  },
  split: (m) => {
    expect(m.firstSendBytes).toBeLessThan(Number(m.messageBytes));
    expect(m.reads).toBeGreaterThan(1);
    expect(m.sends).toBeGreaterThan(1);
    expect(m.smallestRead).toBeLessThanOrEqual(Number(m.largestRead));
    expect(m.framedMessages).toBe(1);
    expect(m.framedBytes).toBe(m.messageBytes);
  },
  datagram: (m) => {
    expect(m.receives).toBe(m.sends);
    expect(m.receivedOfLong).toBe(1_024);
    expect(m.cutBytes).toBe(Number(m.longBytes) - 1_024);
    expect(m.emptyBytes).toBe(0);
    expect(m.burstReceived).toBeGreaterThan(0);
    expect(Number(m.burstReceived) + Number(m.burstLost)).toBe(m.burstSent);
    expect(m.overLimitRefused).toBe(true);
    expect(m.framedMessages).toBe(m.framedSent);
  },
  empty: (m) => {
    expect(m).toMatchObject({
      sentBytes: 0,
      blockedOnEmpty: true,
      blockedOnSilence: true,
      framedBytes: 0,
      limpetAnswerBytes: 0,
      limpetExitCode: 0,
    });
  },
  reset: (m) => {
    expect(m.naiveServerDiedOf).toMatch(/\(E(CONNRESET|PIPE)\)$/);
    expect(m.nextClientGot).not.toBe("");
    expect(m).toMatchObject({
      servedWhenCaught: true,
      bystanderBytes: 16,
      nextAnswerBytes: 7,
    });
  },
};

/**
 * A listener on a port that the kernel gives nobody by itself, so that it is
 * still free for whom it is meant after the listener has closed.
 */
async function listenBelow(): Promise<Server> {
  for (;;) {
    const server = createServer();
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const listening = new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (await listening) return server;
  }
}

describe(`on ${THIS_RUNTIME}`, () => {
  // Each of them alone is run by lab_page.test.ts.

  test("all, as one object", async () => {
    const { code, stdout, stderr } = await limpet(ALL_AS_OBJECT);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.trimEnd()).not.toContain("\n");
    const { labs, passed, failed } = JSON.parse(stdout);
    expect({ passed, failed }).toEqual({ passed: NAMES.length, failed: 0 });
    expect(labs.map((each: { lab: string }) => each.lab)).toEqual(NAMES);
    for (const { lab, runtime, observed, cured, measured } of labs) {
      expect({ observed, cured }, lab).toEqual({ observed: true, cured: true });
      expect(runtime).toMatch(new RegExp(`^${THIS_RUNTIME} \\d`));
      CHECKS[lab](measured);
    }
  });

  // The words are core's, and what Bun's sockets do is above.
  if (THIS_RUNTIME !== "bun") {
    test("all, in Chinese, on a port of its own", async () => {
      const probe = await listenBelow();
      const { port } = probe.address() as AddressInfo;
      const words = [...ALL_IN_CHINESE, "--port", String(port)];
      // While somebody has it:
      const busy = await limpet(words);
      expect(busy).toMatchObject({ code: 255, stdout: "" });
      expect(busy.stderr).toBe(
        `limpet: Cannot listen on tcp://127.0.0.1:${port}: address already in ` +
          "use (EADDRINUSE). Another program has it: end that one, or choose " +
          "another port (0 takes a free one)\n",
      );
      await new Promise((done) => probe.close(done));
      const { code, stdout, stderr } = await limpet(words);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain("粘包");
      expect(stdout).toContain("缓冲区");
      expect(stdout.match(/✓ 已观察到：/g)).toHaveLength(NAMES.length);
      for (const name of NAMES) {
        expect(stdout).toMatch(new RegExp(`^${name} +✓ +✓\\s+\\S`, "m"));
      }
    });
  }

  test("one experiment as one object, and a datagram of another size", async () => {
    const words = ["lab", "datagram", "--json", "--size", "65507"];
    const { code, stdout, stderr } = await limpet(words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const object = JSON.parse(stdout);
    expect(Object.keys(object)).toEqual(
      ["lab", "runtime", "observed", "cured", "measured"],
    );
    expect(object.measured).toMatchObject({
      longBytes: 65_507,
      cutBytes: 64_483,
    });
  });

  test("Ctrl-C ends it, and what it started", async () => {
    const running = startLimpet(["lab", "all"]);
    await running.says("recv(1024)");
    running.kill("SIGINT");
    expect(await running.outcome).toMatchObject({ code: 130, stderr: "" });
    const late = startLimpet(["lab", "reset"]);
    await eventually(
      () => childrenOf(late.pid).length > 0,
      () => "reset runs a command",
    );
    const children = childrenOf(late.pid).map((child) => parseInt(child));
    late.kill("SIGTERM");
    expect(await late.outcome).toMatchObject({ code: 143, stderr: "" });
    await untilGone(children);
  });

  test("a reader who leaves early is no failure", async () => {
    const running = startLimpet(["lab", "sticky"]);
    running.child.stdout!.destroy();
    expect(await running.outcome).toMatchObject({ code: 0, stderr: "" });
  });
});

// Deno, whichever runtime started it: once is enough.
if (THIS_RUNTIME === "deno") {
  test("Deno without UDP sockets says which flag is missing", async () => {
    const config = join(temporaryFolder(), "deno.json");
    const streams = join(ROOT, "node_modules/deno-std/streams/mod.js");
    // Without what ours says of unstable parts.
    writeFileSync(
      config,
      JSON.stringify({ imports: { "@std/streams": `file://${streams}` } }),
    );
    const { code, stdout, stderr } = await start([
      program("deno"),
      "run",
      "--quiet",
      "--no-prompt",
      `--config=${config}`,
      "-A",
      join(ROOT, "adapters/deno/main.ts"),
      "lab",
      "datagram",
      "--json",
    ]).outcome;
    expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
    expect(stderr).toContain("--unstable-net");
  });
}
