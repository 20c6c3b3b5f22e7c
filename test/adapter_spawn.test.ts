import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Command, ProcessHandle, Spawner } from "../core/ports.ts";
import { adapter } from "./support/adapter.ts";
import { chunksOf, digest, seqBytes, textOf } from "./support/bytes.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { isAlive, untilGone } from "./support/processes.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import {
  type HelperInUse,
  helperInUse,
  WRITTEN_IN,
} from "./support/spawn_helper.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "limpet-spawn-")));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PATH = "/usr/bin:/bin";

/** Writes a file to run, or not to be able to. */
function file(name: string, text: string, mode: number): string {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const plain = file("plain", "echo never\n", 0o644);
const lost = file("lost", "#!/no/such/interpreter\n", 0o755);
file("tools/limpet-tool", "#!/bin/sh\necho tool $1\n", 0o755);
file("closed/limpet-tool", "#!/bin/sh\necho never\n", 0o644);

/** The one that the tests are about at the moment. */
let spawner: Spawner = adapter.spawner;

function start(command: Partial<Command>): Promise<ProcessHandle> {
  return spawner({
    env: { PATH },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...command,
  });
}

/** Runs to the end, without input. A stream that is not piped is null. */
async function run(command: Partial<Command>) {
  const child = await start(command);
  const [status, stdout, stderr] = await Promise.all([
    child.status,
    child.stdout && textOf(child.stdout),
    child.stderr && textOf(child.stderr),
    child.stdin?.close(),
  ]);
  return { ...status, stdout, stderr };
}

const ok = { code: 0, signal: null, stderr: "" };

// A helper is for Node alone.
const STARTED_BY = THIS_RUNTIME === "node"
  ? ["us", ...WRITTEN_IN] as const
  : ["us"] as const;

describe.each(STARTED_BY)("started by %s,", (by) => {
  if (by !== "us") {
    let helper: HelperInUse;
    beforeAll(async () => {
      helper = await helperInUse(by);
      spawner = helper.spawner;
    });
    afterAll(async () => {
      spawner = adapter.spawner;
      await helper.close();
    });
  }

  // Runtimes open descriptors of their own at the first use of this and that.
  useLeakCheck(async () => {
    await run({ line: "cat", stdin: "piped" }).catch(() => {});
    await run({ argv: ["limpet-no-such-program"] }).catch(() => {});
  });

  describe("a command", () => {
    test("is argv as it stands, or a line for the shell", async () => {
      const words = ["a b", "", "$HOME", "*", "é", "'", '"', "-n", "\n"];
      const argv = ["printf", "[%s]", ...words];
      const printed = words.map((word) => `[${word}]`).join("");
      expect(await run({ argv })).toEqual({ ...ok, stdout: printed });
      expect(await run({ argv, stderr: "stdout" }))
        .toEqual({ ...ok, stdout: printed, stderr: null });
      expect(await run({ line: "echo $((1 + 1)) | tr 2 3" }))
        .toEqual({ ...ok, stdout: "3\n" });
    });

    test("sees the environment it is given and no other", async () => {
      const env = { PATH, A: "1", "B C": "x=y", EMPTY: "", "UMLAUT": "ü" };
      const { stdout } = await run({ argv: ["env", "-0"], env });
      const seen = stdout?.split("\0").filter((entry) => entry !== "").sort();
      const given = Object.entries(env).map(([name, value]) =>
        `${name}=${value}`
      );
      expect(seen).toEqual(given.sort());
    });

    test("runs where it is told to", async () => {
      expect(await run({ argv: ["pwd"], cwd: folder }))
        .toEqual({ ...ok, stdout: `${folder}\n` });
    });

    test("is looked for in its own PATH and from its own directory", async () => {
      const found = { ...ok, stdout: "tool x\n" };
      const tools = join(folder, "tools");
      const both = `${join(folder, "closed")}:${tools}:${PATH}`;
      const argv = ["limpet-tool", "x"];
      for (const stderr of ["piped", "stdout"] as const) {
        const outcome = stderr === "piped" ? found : { ...found, stderr: null };
        const here = (command: Partial<Command>) => run({ ...command, stderr });
        expect(await here({ argv, env: { PATH: `${tools}:${PATH}` } }))
          .toEqual(outcome);
        // What may not be executed does not hide what may.
        expect(await here({ argv, env: { PATH: both } })).toEqual(outcome);
        expect(await here({ argv: ["./limpet-tool", "x"], cwd: tools }))
          .toEqual(outcome);
        expect(await here({ argv: ["tools/limpet-tool", "x"], cwd: folder }))
          .toEqual(outcome);
      }
    });

    test("can be copied with other streams, which nothing passes by", async () => {
      const child = await start({ line: "echo hi", stderr: "null" });
      const copy = { ...child };
      expect(copy).not.toHaveProperty("readers");
      expect(copy.stdout).toBe(child.stdout);
      expect(await textOf(copy.stdout!)).toBe("hi\n");
      expect(await copy.status).toEqual({ code: 0, signal: null });
    });

    test("has no streams but those asked for", async () => {
      const child = await start({
        argv: ["cat"],
        stdout: "null",
        stderr: "null",
      });
      expect([child.stdin, child.stdout, child.stderr])
        .toEqual([null, null, null]);
      expect(await child.status).toEqual({ code: 0, signal: null });
    });

    test("does not hold the pipes of those started before it", async () => {
      const first = await start({ argv: ["cat"], stdin: "piped" });
      const second = await start({ argv: ["sleep", "60"], stdin: "piped" });
      await first.stdin!.close();
      // Not so while anyone else has the other end of its stdin or stdout.
      expect(await textOf(first.stdout!)).toBe("");
      expect(await textOf(first.stderr!)).toBe("");
      expect(await first.status).toEqual({ code: 0, signal: null });
      expect(second.kill("SIGKILL")).toBe(true);
      await Promise.all([textOf(second.stdout!), textOf(second.stderr!)]);
      await second.stdin!.abort();
    });
  });

  describe("a command that cannot start says why:", () => {
    const cases: [string, Partial<Command>, string, string][] = [
      [
        "no such program",
        { argv: ["limpet-none"] },
        "not_found",
        "no such command in PATH",
      ],
      [
        "no such path",
        { argv: ["./limpet-none"], cwd: folder },
        "not_found",
        "no such file",
      ],
      [
        "no permission",
        { argv: [plain] },
        "not_executable",
        "permission denied: the file is not executable",
      ],
      [
        "no permission in PATH",
        { argv: ["limpet-tool"], env: { PATH: join(folder, "closed") } },
        "not_executable",
        "permission denied: the file is not executable",
      ],
      ["a directory", { argv: [folder] }, "not_executable", "is a directory"],
      [
        "no working directory",
        { argv: ["ls"], cwd: join(folder, "none") },
        "cwd_not_found",
        `working directory "${folder}/none" does not exist`,
      ],
      [
        "neither of both",
        { argv: ["limpet-none"], cwd: join(folder, "none") },
        "cwd_not_found",
        `working directory "${folder}/none" does not exist`,
      ],
      [
        "a file to work in",
        { argv: ["ls"], cwd: plain },
        "cwd_not_found",
        `working directory "${plain}" is not a directory`,
      ],
      [
        "one argument too long",
        { argv: ["echo", "x".repeat(200_000)] },
        "argument_list_too_long",
        "argument list too long (E2BIG)",
      ],
      [
        "2 MiB of arguments",
        { argv: ["echo", ...Array(2100).fill("x".repeat(1000))] },
        "argument_list_too_long",
        "argument list too long (E2BIG)",
      ],
      [
        "NUL in an argument",
        { argv: ["echo", "a\0b"] },
        "invalid_argument",
        "an argument contains a NUL character",
      ],
      [
        "NUL in the program",
        { argv: ["ec\0ho"] },
        "invalid_argument",
        "an argument contains a NUL character",
      ],
      [
        "NUL in the directory",
        { argv: ["echo"], cwd: "/\0" },
        "invalid_argument",
        "the working directory contains a NUL character",
      ],
      [
        "NUL in the environment",
        { argv: ["echo"], env: { A: "\0" } },
        "invalid_argument",
        "an environment variable contains a NUL character",
      ],
      [
        "no program at all",
        { argv: [] },
        "invalid_argument",
        "argv names no program",
      ],
      [
        "an empty program",
        { argv: [""] },
        "invalid_argument",
        "argv names no program",
      ],
    ];
    test("a file that is being written to", async () => {
      const path = join(folder, "written");
      copyFileSync("/bin/true", path);
      const writing = openSync(path, "r+");
      const error = await start({ argv: [path] }).then(
        () => null,
        (thrown) => thrown,
      );
      closeSync(writing);
      expect(error).toMatchObject({ name: "LimpetError" });
      expect([error.code, error.message]).toEqual([
        "not_executable",
        `Cannot start "${path}": file is being written to (ETXTBSY)`,
      ]);
    });
    for (const stderr of ["piped", "stdout"] as const) {
      test.each(cases)(
        `%s (stderr ${stderr})`,
        async (_, command, code, reason) => {
          const starting = start({ ...command, stdin: "piped", stderr });
          const error = await starting.then(() => null, (thrown) => thrown);
          expect(error).toMatchObject({ name: "LimpetError", code });
          const title = JSON.stringify(command.argv?.[0] ?? "");
          expect(error.message).toBe(`Cannot start ${title}: ${reason}`);
        },
      );
    }

    test("no interpreter", async () => {
      await expect(start({ argv: [lost] })).rejects.toMatchObject({
        code: "not_executable",
        message:
          `Cannot start "${lost}": the interpreter it names does not exist`,
      });
    });

    test("many times over, without a trace", async () => {
      for (let i = 0; i < 20; i++) {
        for (
          const argv of [["limpet-none"], [plain], [
            "echo",
            "x".repeat(200_000),
          ]]
        ) {
          await expect(start({ argv, stdin: "piped" })).rejects.toBeDefined();
        }
      }
    });
  });

  describe("the streams", () => {
    test("keep stdout and stderr apart", async () => {
      expect(await run({ line: "echo out; echo err >&2; exit 3" }))
        .toEqual({ code: 3, signal: null, stdout: "out\n", stderr: "err\n" });
    });

    test("keep the order of both in one", async () => {
      const script =
        "i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done";
      const lines = Array.from({ length: 500 }, (_, i) => `o${i}\ne${i}\n`);
      const both = { ...ok, stdout: lines.join(""), stderr: null };
      expect(await run({ line: script, stderr: "stdout" })).toEqual(both);
      expect(await run({ argv: ["sh", "-c", script], stderr: "stdout" }))
        .toEqual(both);
    });

    test("carry every byte through a process and back", async () => {
      const child = await start({ argv: ["cat"], stdin: "piped" });
      const piece = new Uint8Array(100_003).map((_, i) => i * 31 + (i >> 8));
      const count = 300;
      const writing = (async () => {
        const writer = child.stdin!.getWriter();
        for (let i = 0; i < count; i++) await writer.write(piece);
        await writer.close();
      })();
      const sent = digest(Array(count).fill(piece));
      expect(await digest(chunksOf(child.stdout!))).toEqual(await sent);
      await writing;
      expect(await textOf(child.stderr!)).toBe("");
      expect(await child.status).toEqual({ code: 0, signal: null });
    });

    test("give all of the output, however late it is read", async () => {
      // More than a pipe holds would keep the process from ending.
      const child = await start({ line: "seq 1 9000; seq 1 9000 >&2; exit 9" });
      expect(await child.status).toEqual({ code: 9, signal: null });
      await new Promise((resolve) => setTimeout(resolve, 50));
      const expected = await digest([seqBytes(9000)]);
      expect(await digest(chunksOf(child.stdout!))).toEqual(expected);
      expect(await digest(chunksOf(child.stderr!))).toEqual(expected);
    });

    test("make the process wait for the reader", async () => {
      const child = await start({ line: "yes | head -c 50000000" });
      const reader = child.stdout!.getReader();
      const first = await reader.read();
      reader.releaseLock();
      const ended = child.status.then(() => "ended");
      const pause = new Promise((resolve) => setTimeout(resolve, 300, "waits"));
      expect(await Promise.race([ended, pause])).toBe("waits");
      const { bytes } = await digest(chunksOf(child.stdout!));
      expect(bytes + (first.value?.byteLength ?? 0)).toBe(50_000_000);
      expect(await child.status).toEqual({ code: 0, signal: null });
      expect(await textOf(child.stderr!)).toBe("");
    });

    test("give SIGPIPE to a process whose output nobody wants", async () => {
      for (const underRead of [false, true]) {
        const gate = join(folder, `gate-${underRead}`);
        const line = `until [ -e ${gate} ]; do sleep 0.05; done; exec yes`;
        const child = await start({ line, stderr: "null" });
        const reader = child.stdout!.getReader();
        const read = reader.read();
        // What is cancelled while it waits has nothing to read yet.
        if (!underRead) {
          writeFileSync(gate, "");
          await read;
        }
        await reader.cancel();
        expect((await read).done).toBe(underRead);
        if (underRead) writeFileSync(gate, "");
        const status = await child.status;
        // Bun has no pipes but socket pairs, and closes them a moment later: a
        // writer whose bytes were still unread then gets an error, a later one
        // the signal.
        expect(THIS_RUNTIME === "bun" ? [1, "SIGPIPE"] : ["SIGPIPE"])
          .toContain(status.signal ?? status.code);
      }
    });

    test("end for a process that closes its input early", async () => {
      const child = await start({
        line: "exec <&-; echo closed; sleep 0.2",
        stdin: "piped",
      });
      const writer = child.stdin!.getWriter();
      const chunk = new Uint8Array(65_536);
      const writing = (async () => {
        for (;;) await writer.write(chunk);
      })();
      const stdinClosed = { name: "LimpetError", code: "broken_pipe" };
      await expect(writing).rejects.toMatchObject(stdinClosed);
      await expect(writer.closed).rejects.toMatchObject(stdinClosed);
      expect(await textOf(child.stdout!)).toBe("closed\n");
      expect(await textOf(child.stderr!)).toBe("");
      expect(await child.status).toEqual({ code: 0, signal: null });
    });

    test("drop a blocked write when stdin is aborted", async () => {
      const child = await start({ argv: ["sleep", "60"], stdin: "piped" });
      const writer = child.stdin!.getWriter();
      const writing = writer.write(new Uint8Array(10_000_000));
      writing.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 20));
      await writer.abort(new Error("Enough"));
      await expect(writing).rejects.toBeDefined();
      child.kill("SIGKILL");
      expect(await child.status).toEqual({ code: null, signal: "SIGKILL" });
      await Promise.all([textOf(child.stdout!), textOf(child.stderr!)]);
    });

    test("give an end of input at once, 100 times", async () => {
      for (let i = 0; i < 100; i++) {
        const child = await start({
          argv: ["cat"],
          stdin: "piped",
          stderr: "null",
        });
        await child.stdin!.close();
        expect(await textOf(child.stdout!)).toBe("");
        expect(await child.status).toEqual({ code: 0, signal: null });
      }
    });

    test("can be opened by their names", async () => {
      const line = "echo out >/dev/stdout; echo err >/dev/stderr";
      const named = await run({ line });
      // Where they are socket pairs, as on Bun, no program can.
      if (THIS_RUNTIME === "bun") expect(named.stdout).toBe("");
      else expect(named).toEqual({ ...ok, stdout: "out\n", stderr: "err\n" });
    });
  });

  describe("the end", () => {
    test("is the code or the signal, as the OS gave it", async () => {
      const ends = [
        "exit 0",
        "exit 1",
        "exit 255",
        "kill -TERM $$",
        "kill -KILL $$",
      ];
      const outcomes = await Promise.all(ends.map((line) => run({ line })));
      expect(outcomes.map(({ code, signal }) => code ?? signal))
        .toEqual([0, 1, 255, "SIGTERM", "SIGKILL"]);
      for (const { code, signal } of outcomes) {
        expect([code, signal]).toContain(null);
      }
    });

    test("does not wait for what still holds the pipes", async () => {
      const child = await start({ line: "sleep 60 & echo $!" });
      const reader = child.stdout!.getReader();
      const { value } = await reader.read();
      expect(await child.status).toEqual({ code: 0, signal: null });
      expect(child.groupAlive()).toBe(true);
      expect(child.kill("SIGTERM")).toBe(true);
      expect((await reader.read()).done).toBe(true);
      expect(await textOf(child.stderr!)).toBe("");
      await untilGone([Number(new TextDecoder().decode(value))]);
      // Also while what has ended still waits for init to collect it.
      expect(child.groupAlive()).toBe(false);
      expect(child.kill("SIGTERM")).toBe(false);
    });
  });

  describe("a signal", () => {
    test("reaches the whole tree, which may ignore it but for SIGKILL", async () => {
      const ignoring = (what: string) =>
        `trap '' TERM; echo $$; ${what} sleep 60 & echo $!; wait`;
      file("leaf", ignoring(""), 0o644);
      file("branch", ignoring(`sh ${join(folder, "leaf")} &`), 0o644);
      const child = await start({
        line: ignoring(`sh ${join(folder, "branch")} &`),
      });
      let output = "";
      const pids = () =>
        output.split("\n").filter((each) => each !== "").map(Number);
      const reading = (async () => {
        const decoder = new TextDecoder();
        for await (const chunk of chunksOf(child.stdout!)) {
          output += decoder.decode(chunk, { stream: true });
        }
      })();
      await eventually(() => pids().length === 6, () => `started: ${output}`);
      expect(pids()).toContain(child.pid);
      child.kill("SIGTERM");
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(pids().filter(isAlive)).toHaveLength(6);
      expect(child.groupAlive()).toBe(true);
      expect(child.kill("SIGKILL")).toBe(true);
      expect(await child.status).toEqual({ code: null, signal: "SIGKILL" });
      await untilGone(pids());
      // Also while what has ended still waits for init to collect it.
      expect(child.groupAlive()).toBe(false);
      await reading;
      expect(await textOf(child.stderr!)).toBe("");
    });

    test("does not reach us", async () => {
      const child = await start({ argv: ["sleep", "60"] });
      child.kill("SIGINT");
      expect(await child.status).toEqual({ code: null, signal: "SIGINT" });
      await Promise.all([textOf(child.stdout!), textOf(child.stderr!)]);
    });

    test("that does not exist is refused", async () => {
      const child = await start({
        argv: ["sleep", "60"],
        stdout: "null",
        stderr: "null",
      });
      for (const name of ["SIGNONE", "", "9", "KILL"]) {
        expect(() => child.kill(name)).toThrow(
          expect.objectContaining({ code: "invalid_argument" }),
        );
      }
      expect(isAlive(child.pid)).toBe(true);
      child.kill("SIGKILL");
      await child.status;
    });
  });

  // 300 and 1,000 at once are exec_many's, through this spawner in each runtime's
  // server.
  test("100 commands at once each have their own output and code", async () => {
    const numbers = Array.from({ length: 100 }, (_, i) => i);
    const outcomes = await Promise.all(
      numbers.map((i) =>
        run({ line: `echo out ${i}; echo err ${i} >&2; exit ${i % 256}` })
      ),
    );
    expect(outcomes).toEqual(numbers.map((i) => ({
      code: i % 256,
      signal: null,
      stdout: `out ${i}\n`,
      stderr: `err ${i}\n`,
    })));
  });
});
