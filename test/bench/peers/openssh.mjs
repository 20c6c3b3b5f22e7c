/**
 * OpenSSH's own client and server. One `ssh` is the master of a connection
 * (ControlMaster), and each command a small one that asks it.
 *
 * Its bulk does not pass through this program: `ssh` reads and writes pipes and
 * files itself, as in a shell.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeCommand, quoted } from "./node_command.mjs";

/**
 * @param {{ port: number, key: string, user: string }} address
 * @returns {Promise<import("./node_command.mjs").Connection>}
 */
export async function connect({ port, key, user }) {
  const folder = mkdtempSync(join(tmpdir(), "limpet-bench-"));
  const socket = join(folder, "master");
  const options = [
    "-F",
    "none",
    "-o",
    "BatchMode=yes",
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "LogLevel=ERROR",
    "-o",
    "IdentitiesOnly=yes",
    "-i",
    key,
    "-p",
    String(port),
    "-S",
    socket,
    `${user}@127.0.0.1`,
  ];
  // It stays as long as what it runs, which ends with this program.
  const master = spawn(
    "ssh",
    ["-M", ...options, "echo; exec cat >/dev/null"],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const gone = new Promise((resolve, reject) => {
    master.on("error", reject);
    master.on("close", resolve);
  });
  const ready = new Promise((resolve) => master.stdout.once("data", resolve));
  await Promise.race([
    ready,
    gone.then((code) => {
      throw new Error(`ssh could not connect: exit code ${code}`);
    }),
  ]);
  /** @type {(argv: string[], stdio: import("node:child_process").StdioOptions) => import("node:child_process").ChildProcess} */
  const run = (argv, stdio) =>
    spawn("ssh", [...options, quoted(argv)], { stdio });
  const exitOf = (
    /** @type {import("node:child_process").ChildProcess} */ child,
  ) =>
    new Promise((resolve, reject) => {
      child.on("close", resolve);
      child.on("error", reject);
    });
  return {
    command(argv, stdin = false) {
      const child = run(argv, [stdin ? "pipe" : "ignore", "pipe", "inherit"]);
      return nodeCommand(
        child.stdout,
        child.stdin,
        exitOf(child),
        () => child.kill(),
      );
    },
    async bulkOut(argv) {
      return await exitOf(run(argv, ["ignore", "ignore", "inherit"]));
    },
    async bulkIn(argv, bytes) {
      const source = spawn("head", ["-c", String(bytes), "/dev/zero"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const child = run(argv, [source.stdout, "ignore", "inherit"]);
      source.stdout.destroy();
      return await exitOf(child);
    },
    async close() {
      master.stdin.end();
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
