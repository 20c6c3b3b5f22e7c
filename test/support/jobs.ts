/**
 * Servers that keep jobs, on the files of whichever adapter this runtime uses.
 *
 * @module
 */

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Session } from "../../core/client.ts";
import type { ExecRequest } from "../../core/exec/request.ts";
import { jobs } from "../../core/jobs/client.ts";
import type { JobFiles } from "../../core/ports.ts";
import type { ServeOptions } from "../../core/server.ts";
import type { ServerLimits } from "../../core/server_limits.ts";
import { adapter } from "./adapter.ts";
import { THIS_RUNTIME } from "./runtimes.ts";
import { type Serving, serving } from "./serving.ts";

const files: { readonly jobFiles: JobFiles } = THIS_RUNTIME === "deno"
  ? await import("../../adapters/deno/job_files.ts")
  : await import("../../adapters/node/job_files.ts");

export const jobFiles: JobFiles = files.jobFiles;

/** A folder that goes with the test. */
export function temporaryFolder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "limpet-jobs-"));
  return {
    path,
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Where a test has its files, and a server its jobs. */
export function place(): {
  at(name: string): string;
  readonly jobs: string;
} & Disposable {
  const folder = temporaryFolder();
  const at = (name: string) => join(folder.path, name);
  return {
    at,
    jobs: at("jobs"),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

/** A line that goes on without its client. */
export const DETACH = { shell: true, onDisconnect: "detach" } as const;

/** Runs until the file is there. */
export function until(path: string): string {
  return `while ! [ -e '${path}' ]; do sleep 0.05; done`;
}

/** A server with a folder for its jobs. */
export function jobServer(
  path: string,
  limits: Partial<ServerLimits> = {},
  more: Partial<ServeOptions> = {},
): Promise<Serving> {
  const folder = { files: jobFiles, path };
  return serving(limits, adapter.spawner, { jobs: folder, ...more });
}

/** Within a folder of jobs, that of whoever has the one token: `default.KEY`. */
export function ownFolder(path: string): string {
  const name = readdirSync(path).find((name) =>
    /^default\.[0-9a-f]{24}$/.test(name)
  );
  return join(path, name ?? "there is none yet");
}

/** A client that knows of jobs. */
export function jobSession(
  served: Serving,
  options: Parameters<Serving["connect"]>[0] = {},
): Promise<Session> {
  return served.connect({ jobs, ...options });
}

/** What a client asks for who asks for nothing particular. */
export function requestOf(more: Partial<ExecRequest>): ExecRequest {
  return {
    argv: ["echo", "hi"],
    env: {},
    stdin: true,
    stdout: true,
    stderr: true,
    merge: false,
    killAfterMs: 5_000,
    drainMs: 1_000,
    ...more,
  };
}
