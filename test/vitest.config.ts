import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/**
 * What measures this process's memory, which is to be its own. All others share
 * a few processes: starting one and loading core costs more than most of them do
 * by themselves.
 */
const ALONE = readdirSync(at("."))
  .filter((name) => name.endsWith(".test.ts"))
  .filter((name) =>
    readFileSync(at(name), "utf8").includes("support/memory.ts")
  )
  .map((name) => `test/${name}`);

/**
 * The lab, the lesson and the README's commands promise to run on Node and on
 * Deno. On Bun `lab_cli` alone sees all of the lab, and `raw_server*` what the
 * lesson's clients meet; what breaks off, and what the page says, is tried on
 * those two. So is fuzzing, which is in memory and of core alone; Bun has its
 * turn by hand. And so are the prompt, a server's configuration, and the words for
 * what files, peers, encodings and lost connections come to: what decides there is
 * core's, and Bun reads and writes files by the adapter of Node. The command line's
 * jobs are the library's (`jobs_*`), met by another client in `interop`; what
 * becomes of a network is the kernel's, and that a connection is got back is `cuts`.
 * The library's encodings are tried on Bun (`encoding_session`, `encoding_command`),
 * and how a command starts, carries bytes, takes signals and ends, and that the
 * program serves and executes.
 */
const NOT_ON_BUN = [
  "cli_lost",
  "cli_outcomes",
  "cli_prompt",
  "config_check",
  "config_serve",
  "config_tokens",
  "cuts_network",
  "encoding_cli",
  "fuzz",
  "hostile_terminal",
  "hostile_words",
  "jobs_cli",
  "lab_broken_off",
  "lab_page",
  "raw_cli",
  "raw_lesson",
  "readme",
].map((name) => `test/${name}.test.ts`);

/**
 * What each verdict of the lab takes is core's alone, and tried with sockets that a
 * test has changed: once is enough. That each experiment observes what it is to, on
 * both runtimes, is `lab_cli` and `lab_page`. Helpers that start commands are for
 * Node alone, and setsid(1) is for Deno.
 */
const ON_NODE_ALONE = [
  "test/lab_verdict.test.ts",
  "test/spawn_helper.test.ts",
];

const ON_DENO_ALONE = ["test/setsid.test.ts"];

const excluded = [
  ..."Bun" in globalThis ? NOT_ON_BUN : [],
  ..."Deno" in globalThis ? [] : ON_DENO_ALONE,
  ..."Bun" in globalThis || "Deno" in globalThis ? ON_NODE_ALONE : [],
];

/**
 * What takes longest, first: begun last, one of these would run alone while
 * everybody else has nothing left to do. Without them vitest goes by size.
 */
const LONG = [
  "lab_verdict",
  "leaks",
  "readme",
  "fuzz",
  "adapter_spawn",
  "raw_lesson",
  "cli_streams",
  "exec_exit",
  "cli_prompt",
  "jobs_cli",
  "exec_stdin",
  "cuts_network",
  "cli_lost",
  "exec_trees",
  "session_resume",
  "lab_cli",
  "exec_many",
  "interop",
  "hostile",
  "cli_outcomes",
  "spawn_helper",
  "config_serve",
  "adapter_socket",
  "exec_faults",
  "exec_streams_end",
  "exec_streams",
  "encoding_command",
  "exec_backpressure",
  "policy_serve",
  "exhaustion",
  "cli_serve",
  "hostile_terminal",
  "raw_cli",
  "policy_cli",
  "cli_exec",
  "encoding_session",
  "down_cli",
  "cli_report",
  "resume_cuts",
  "cli_stdio",
  "cli_signals",
  "encoding_cli",
  "cuts",
  "cli_silence",
  "raw_server",
  "raw_server_ends",
  "cli_audit",
  "cli_terminal",
  "lab_page",
  "session_faults",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]) {
    const rank = ({ moduleId, project }: TestSpecification) => {
      const at = LONG.indexOf(basename(moduleId, ".test.ts"));
      // A shared process ends when a file that wants its own one is next.
      const shared = project.config.isolate ? 0 : LONG.length + 1;
      return shared + (at < 0 ? LONG.length : at);
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

// One configuration for all three runtimes; run.mjs starts vitest in each.
export default defineConfig({
  root: at(".."),
  resolve: {
    alias: {
      "@std/streams": at("../node_modules/deno-std/streams/mod.js"),
    },
  },
  test: {
    // Processes rather than threads: tests send signals and count descriptors.
    pool: "forks",
    // More than a machine in automation has cores, of which there are two at
    // least: tests wait, for processes and for time to pass, half of the time.
    maxWorkers: 4,
    // What waits for a condition gives up before; a busy machine is no failure.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
    experimental: {
      fsModuleCache: process.env.LIMPET_TEST_CACHE !== undefined,
      fsModuleCachePath: process.env.LIMPET_TEST_CACHE,
    },
    sequence: { sequencer: LongestFirst },
    setupFiles: [at("support/setup.ts")],
    projects: [
      { extends: true, test: { name: "alone", include: ALONE } },
      {
        extends: true,
        test: {
          name: "together",
          isolate: false,
          include: ["test/**/*.test.ts"],
          exclude: [
            "**/node_modules/**",
            ...ALONE,
            ...excluded,
          ],
        },
      },
    ],
  },
});
