import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/**
 * What neither starts nor opens anything and changes nothing that is everybody's
 * may share a process: starting one and loading core costs more than most of
 * these do by themselves.
 */
const IN_MEMORY = [
  "adapter_files",
  "architecture",
  "audit_record",
  "channel_byte_queue",
  "channel_ends",
  "channel_parts",
  "channel_windows",
  "channel_writer",
  "cli_args",
  "config_edit",
  "config_schema",
  "config_watch",
  "credentials",
  "encoding_names",
  "exec_output_pump",
  "exec_pacer",
  "frame_decoder",
  "frame_preface",
  "lab_pictures",
  "limits_admission",
  "limits_table",
  "links",
  "policy_decide",
  "raw_receiver",
  "readme_zh",
  "session_auth",
  "session_faults",
  "session_idle",
  "session_keepalive",
  "text_codecs",
  "text_lines",
  "vectors",
  "vectors_invalid",
  "vectors_server",
  "vectors_sessions",
].map((name) => `test/${name}.test.ts`);

/**
 * The lab promises to run on Node and on Deno. On Bun `lab_cli` alone sees all of
 * it; what each verdict takes, and what the page says, is tried on those two.
 */
const NOT_ON_BUN = ["lab_page", "lab_verdict"].map((name) =>
  `test/${name}.test.ts`
);

/**
 * What takes longest, first: begun last, one of these would run alone while
 * everybody else has nothing left to do. Without them vitest goes by size.
 */
const LONG = [
  "leaks",
  "exec_stdin",
  "exec_many",
  "adapter_spawn",
  "lab_verdict",
  "raw_lesson",
  "cli_streams",
  "cli_prompt",
  "interop",
  "exec_exit",
  "exec_streams",
  "exec_faults",
  "encoding_terminal",
  "cli_outcomes",
  "exec_trees",
  "exec_backpressure",
  "exec_streams_end",
  "fuzz",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]) {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONG.indexOf(basename(moduleId, ".test.ts"));
      return at < 0 ? LONG.length : at;
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
    // One more than most machines in automation have cores: tests wait a lot.
    maxWorkers: 3,
    // What waits for a condition gives up before; a busy machine is no failure.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 60_000,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "alone",
          include: ["test/**/*.test.ts"],
          exclude: [
            "**/node_modules/**",
            ...IN_MEMORY,
            ..."Bun" in globalThis ? NOT_ON_BUN : [],
          ],
        },
      },
      {
        extends: true,
        test: { name: "together", include: IN_MEMORY, isolate: false },
      },
    ],
  },
});
