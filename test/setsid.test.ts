import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { Started } from "../adapters/deno/setsid.ts";
import type { ProcessHandle } from "../core/ports.ts";
import { adapter } from "./support/adapter.ts";
import { textOf } from "./support/bytes.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { childrenOf, statOf } from "./support/proc.ts";
import { SLEEPER, untilGone } from "./support/processes.ts";

useLeakCheck(async () => {
  for (let i = 0; i < 2; i++) await output(await start(["true"]));
});

const folder = mkdtempSync(join(tmpdir(), "limpet-setsid-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

afterEach(() => vi.restoreAllMocks());

const PATH = "/usr/bin:/bin";
let copies = 0;

/** A program of its own, which nobody has started yet. */
function copyOf(program: string): string {
  const path = join(folder, `${++copies}`);
  copyFileSync(program, path);
  chmodSync(path, 0o755);
  return path;
}

/** Old enough for it to show if they change. */
async function settled(...paths: string[]): Promise<string> {
  await eventually(
    () => paths.every((path) => Date.now() - statSync(path).ctimeMs > 1_200),
    () => `older: ${paths}`,
  );
  return paths[0];
}

function start(argv: string[], env = {}): Promise<ProcessHandle> {
  return adapter.spawner({
    argv,
    env: { PATH, ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

async function output(child: ProcessHandle): Promise<string> {
  const [stdout, stderr] = await Promise.all([
    textOf(child.stdout!),
    textOf(child.stderr!),
    child.status,
  ]);
  // Where glibc starts a program by posix_spawn, two signals of its own that no
  // program can use are ignored.
  return (stdout + stderr).replace(
    "SigIgn:\t0000000180",
    "SigIgn:\t0000000000",
  );
}

// The fork that setsid(1) is there to spare is Deno's.
describe(
  "a program that has been started",
  () => {
    test("is started again with the same surroundings", async () => {
      const sh = await settled(copyOf("/bin/sh"));
      const seen = [
        sh,
        "-c",
        "env; pwd; umask; cat /proc/self/limits; ls /proc/$$/fd; echo $PPID $0 $*;" +
        // By the shell itself: it blocks signals until a grep of its has begun.
        "while read -r said; do case $said in " +
        'Sig[PBIC]*|Shd*|Cap*|Uid*|Gid*|Groups*|NoNew*|Seccomp:*) echo "$said";; ' +
        "esac; done </proc/$$/status;" +
        "cat /proc/$$/oom_score_adj; nice; tr '\\0' ' ' </proc/$$/cmdline;" +
        "read -r pid _ _ _ group session _ </proc/$$/stat;" +
        "test $pid = $group && test $pid = $session && echo leads",
        "a word",
        "",
        "-w",
      ];
      const first = await output(await start(seen));
      expect(first).toMatch(/leads\n$/);
      for (let i = 0; i < 3; i++) {
        expect(await output(await start(seen))).toBe(first);
      }
    });

    test("gets every signal from its first moment on", async () => {
      const sleep = await settled(copyOf("/bin/sleep"));
      for (let i = 0; i < 20; i++) {
        const child = await start([sleep, "60"]);
        expect(child.groupAlive()).toBe(true);
        expect(child.kill(i % 2 === 0 ? "SIGTERM" : "SIGINT")).toBe(true);
        const { signal } = await child.status;
        expect(signal).toBe(i % 2 === 0 ? "SIGTERM" : "SIGINT");
        expect(child.groupAlive()).toBe(false);
        expect(child.kill("SIGTERM")).toBe(false);
        expect(await output(child)).toBe("");
      }
    });

    test("and stopped before it has its group goes on with the group", async () => {
      const sleep = await settled(copyOf("/bin/sleep"));
      for (let i = 0; i < 5; i++) {
        const child = await start([sleep, "0"]);
        child.kill("SIGSTOP");
        child.kill("SIGCONT");
        expect(await child.status).toEqual({ code: 0, signal: null });
        expect(await output(child)).toBe("");
      }
    });

    test("is killed with all that it has started while we found it alone", async () => {
      const sh = await settled(copyOf("/bin/sh"));
      await output(await start([sh, "-c", ":"]));
      const { kill } = Deno;
      let children: number[] = [];
      vi.spyOn(Deno, "kill").mockImplementation((pid, signal) => {
        try {
          kill(pid, signal);
        } catch (error) {
          // As if the others had had their turn first.
          const until = performance.now() + 10_000;
          while (signal === "SIGKILL" && children.length === 0) {
            children = childrenOf(-pid).map((child) => parseInt(child));
            if (performance.now() > until) throw new Error("No child");
          }
          throw error;
        }
      });
      // Once in a while it is faster than we are.
      while (children.length === 0) {
        const child = await start([sh, "-c", `(${SLEEPER}) & wait`]);
        expect(child.kill("SIGKILL")).toBe(true);
        expect(await child.status).toEqual({ code: null, signal: "SIGKILL" });
        await untilGone(children);
        await output(child);
      }
    });

    test("and cannot be for a moment ends as setsid does, once", async () => {
      const path = await settled(copyOf("/bin/true"));
      await output(await start([path]));
      // A file that somebody has open for writing is not executed.
      const writer = openSync(path, "r+");
      try {
        const child = await start([path]);
        expect(await output(child)).toMatch(/^setsid: .*\n$/);
        expect(await child.status).toEqual({ code: 126, signal: null });
        await expect(start([path])).rejects.toThrow(/ETXTBSY|busy/);
      } finally {
        closeSync(writer);
      }
      expect(await output(await start([path]))).toBe("");
    });

    test("and cannot be any more is refused as it would be at first", async () => {
      const path = copyOf("/bin/true");
      const script = join(folder, "script");
      const twice = async () => {
        await settled(path);
        for (let i = 0; i < 2; i++) {
          const child = await start([path]);
          expect(await output(child)).toBe("");
          expect(await child.status).toEqual({ code: 0, signal: null });
        }
      };
      const refused = (code: string) =>
        expect(start([path])).rejects.toMatchObject({ code });
      await twice();
      chmodSync(path, 0o644);
      await refused("not_executable");
      chmodSync(path, 0o755);
      await twice();
      writeFileSync(script, "#!/no/such/interpreter\n", { mode: 0o755 });
      renameSync(script, path);
      await refused("not_executable");
      rmSync(path);
      await refused("not_found");
    });

    describe("is Deno's to start", () => {
      const options: Deno.CommandOptions = {
        args: [],
        env: { PATH },
        clearEnv: true,
        stdin: "null",
        stdout: "null",
        stderr: "null",
      };

      const started = new Started();

      /** As if Deno had started it, which it may or may not notice. */
      async function known(path: string): Promise<string> {
        await settled(path);
        started.first(path)();
        return path;
      }

      test("but not as long as it is the same", async () => {
        const path = await known(copyOf("/bin/true"));
        for (let i = 0; i < 3; i++) {
          const child = started.again(path, options);
          expect(await child?.status).toMatchObject({ code: 0, signal: null });
        }
      });

      test("at first", async () => {
        const path = await settled(copyOf("/bin/true"));
        expect(started.again(path, options)).toBe(null);
      });

      test("if it is another one since", async () => {
        const changes: ((path: string) => void)[] = [
          (path) => rmSync(path),
          (path) => chmodSync(path, 0o700),
          (path) => renameSync(copyOf("/bin/true"), path),
          (path) => writeFileSync(path, "another"),
          (path) => {
            // As large as before, and as old.
            const { size, atime, mtime } = statSync(path);
            writeFileSync(path, new Uint8Array(size));
            utimesSync(path, atime, mtime);
          },
        ];
        const paths = changes.map(() => copyOf("/bin/true"));
        await settled(...paths);
        for (const path of paths) started.first(path)();
        const mayStart = () =>
          paths.map((path) => started.again(path, options) !== null);
        changes.forEach((change, index) => change(paths[index]));
        expect(mayStart()).toEqual([false, false, false, false, false]);
        await settled(...paths.slice(1));
        expect(mayStart()).toEqual([false, false, false, false, false]);
      });

      test("if it was exchanged while it started", async () => {
        const other = copyOf("/bin/false");
        const path = await settled(copyOf("/bin/true"), other);
        const first = started.first(path);
        renameSync(other, path);
        first();
        await settled(path);
        expect(started.again(path, options)).toBe(null);
      });

      test("if it is so new that it may change without a trace", () => {
        const path = copyOf("/bin/true");
        started.first(path)();
        expect(started.again(path, options)).toBe(null);
      });

      test("if it is a script, whose interpreter may go", async () => {
        const path = join(folder, "a-script");
        writeFileSync(path, "#!/bin/sh\n", { mode: 0o755 });
        await known(path);
        expect(started.again(path, options)).toBe(null);
      });

      test("if the loader is told what setsid would hear, too", async () => {
        const path = await known(copyOf("/bin/true"));
        const env = { PATH, LD_LIBRARY_PATH: "/no/such/folder" };
        expect(started.again(path, { ...options, env })).toBe(null);
      });

      test("once it has ended as setsid does that cannot start it", async () => {
        const path = copyOf("/bin/sh");
        for (const code of [126, 127]) {
          await known(path);
          const args = ["-c", `exit ${code}`];
          const child = started.again(path, { ...options, args });
          expect(await child?.status).toMatchObject({ code });
          expect(started.again(path, options)).toBe(null);
        }
      });

      test("and a file in its place is not read that never ends", async () => {
        const path = await settled(copyOf("/bin/true"));
        const first = started.first(path);
        rmSync(path);
        execFileSync("mkfifo", [path]);
        const fifo = openSync(path, "r+");
        try {
          writeSync(fifo, "\x7fELF");
          first();
          // Nobody has read what was there before.
          writeSync(fifo, "!");
          const read = new Uint8Array(8);
          expect(readSync(fifo, read)).toBe(5);
        } finally {
          closeSync(fifo);
        }
      });

      test("but not where it may have started", async () => {
        const path = await known(copyOf("/bin/true"));
        vi.spyOn(Deno, "Command").mockImplementation(function () {
          throw Object.assign(new Error("No more"), { code: "ENOSPC" });
        } as never);
        expect(() => started.again(path, options)).toThrow("No more");
      });

      test("if setsid cannot be started", async () => {
        const path = await known(copyOf("/bin/true"));
        const cwd = "/no/such/folder";
        expect(started.again(path, { ...options, cwd })).toBe(null);
      });

      test("if 256 others were started since", async () => {
        const path = await known(copyOf("/bin/true"));
        const others = Array.from({ length: 256 }, () => copyOf("/bin/true"));
        const last = await settled(others.pop()!);
        for (const other of others) started.first(other)();
        expect(await started.again(path, options)?.status)
          .toMatchObject({ code: 0 });
        started.first(last)();
        expect(started.again(path, options)).toBe(null);
      });
    });

    test("is a child of ours", async () => {
      const sleep = await settled(copyOf("/bin/sleep"));
      for (let i = 0; i < 3; i++) {
        const child = await start([sleep, "60"]);
        expect(statOf(child.pid)?.parent).toBe(process.pid);
        child.kill("SIGKILL");
        await output(child);
      }
    });
  },
);
