import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { type Running, startLimpet, temporaryFolder } from "./support/cli.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";

const folder = temporaryFolder();
let count = 0;

const CI = "the-token-of-the-build-machine";
const ADMIN = "the-token-of-the-administrator";

/** A configuration in which `ci` has a policy and `admin` has none. */
function configure(policy: object, more: object = {}): string {
  const own = join(folder, String(count++));
  mkdirSync(own, { mode: 0o700 });
  const path = join(own, "server.json");
  const identities = [
    { name: "ci", token: CI, policy },
    { name: "admin", token: ADMIN },
  ];
  const text = JSON.stringify({ identities, ...more });
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

async function serve(
  path: string,
): Promise<{ running: Running; address: string }> {
  const args = ["serve", "tcp://127.0.0.1:0", "--config", path];
  const running = startLimpet(args, { timeoutMs: 60_000 });
  await running.complains("listening on");
  const [, address] = /listening on (tcp:\/\/[\d.:]+)/.exec(running.stderr())!;
  return { running, address };
}

function exec(token: string, address: string, ...words: string[]) {
  return limpetHere(["exec", address, ...words], {
    env: { LIMPET_TOKEN: token },
  });
}

describe(`serve with policies on ${THIS_RUNTIME}`, () => {
  test("each may run what their own allows", async () => {
    const audit = join(folder, "audit.log");
    const path = configure({ commands: [["echo", "**"]], env: ["LC_*"] }, {
      audit: { file: audit, onFailure: "continue" },
    });
    const { running, address } = await serve(path);
    const [allowed, shell, other, admin] = await Promise.all([
      exec(CI, address, "-e", "LC_X=1", "--", "echo", "hi"),
      exec(CI, address, "-c", "echo hi"),
      exec(CI, address, "-e", "PATH=/tmp", "--", "echo", "hi"),
      exec(ADMIN, address, "-c", "echo $((6 * 7))"),
    ]);
    expect(allowed).toMatchObject({ code: 0, stdout: "hi\n" });
    expect(shell).toMatchObject({ code: 125, stdout: "" });
    expect(shell.stderr).toContain(
      'Policy of "ci" does not allow the shell (shell)',
    );
    expect(other.code).toBe(125);
    expect(other.stderr).toContain('does not allow the variable "PATH" (env)');
    expect(admin).toMatchObject({ code: 0, stdout: "42\n" });
    running.kill("SIGTERM");
    const { code, stderr } = await running.outcome;
    expect(code).toBe(0);
    expect(stderr).toContain(`audit log: ${audit}; what cannot be written`);
  });

  test("who writes too much is told once, by the name of the rule", async () => {
    const path = configure({ shell: true, maxOutput: 1 });
    const { running, address } = await serve(path);
    for (const line of ["yes", "yes >&2 & yes"]) {
      const cut = await exec(CI, address, "-c", line);
      expect(cut.code).not.toBe(0);
      expect(cut.stderr.replace(/^y/, "")).toBe(
        "limpet: Output was cut after 1 byte, and the command ended: the " +
          "server's policy allows no more (maxOutput)\n",
      );
    }
    const json = await exec(CI, address, "--output=json", "-c", "yes");
    expect(JSON.parse(json.stdout)).toMatchObject({
      outcome: "ended",
      reason: "output_limit",
      stdout: "y",
      error: {
        code: "limit_exceeded",
        message: 'Command "yes" was ended by the server: it wrote as much as ' +
          "its policy allows (maxOutput)",
      },
    });
    running.kill("SIGTERM");
    expect(await running.outcome).toMatchObject({ code: 0 });
  });

  test("at a prompt, too: a directory that is not allowed is left again", async () => {
    const own = join(folder, "own");
    mkdirSync(join(own, "below"), { recursive: true });
    const lines = "pwd\ncd below\npwd\ncd /usr\npwd\npwd\n";
    const prompt = async (policy: object) => {
      const { running, address } = await serve(configure(policy));
      const outcome = await limpetHere(["shell", address], {
        input: lines,
        env: { LIMPET_TOKEN: CI },
      });
      running.kill("SIGTERM");
      expect(await running.outcome).toMatchObject({ code: 0 });
      return outcome;
    };
    const below = await prompt({ shell: true, cwd: [own] });
    expect(below).toMatchObject({
      code: 0,
      stdout: `${own}\n${own}/below\n${own}/below\n`,
      stderr: 'limpet: Policy of "ci" does not allow the working directory ' +
        `"/usr" (cwd)\nlimpet: going back to ${own}/below\n`,
    });
    const nowhere = await prompt({ shell: true });
    const [start] = nowhere.stdout.split("\n");
    expect(nowhere.stdout).toBe(`${start}\n`.repeat(3));
  });

  test("as another user, or not at all", async () => {
    const commands = [["id", "**"], ["env"], ["pwd"]];
    const path = configure({ commands, runAs: "daemon" });
    if (process.getuid?.() !== 0) {
      const { code, stderr } = await limpetHere(["serve", "--config", path]);
      expect(code).toBe(125);
      expect(stderr).toContain(
        "identities[0].policy.runAs: Cannot run commands as daemon: the server must be started as root",
      );
      return;
    }
    const { running, address } = await serve(path);
    const [user, groups, env, missing, root, pwd] = await Promise.all([
      exec(CI, address, "--", "id", "-un"),
      exec(CI, address, "--", "id", "-Gn"),
      exec(CI, address, "--", "env"),
      exec(CI, address, "--", "id", "--no-such-flag"),
      exec(ADMIN, address, "--", "id", "-u"),
      exec(CI, address, "--", "pwd"),
    ]);
    expect(user).toMatchObject({ code: 0, stdout: "daemon\n" });
    expect(groups.stdout).toBe("daemon\n");
    expect(env.stdout.split("\n")).toEqual(
      expect.arrayContaining([
        "USER=daemon",
        "LOGNAME=daemon",
        "PATH=/usr/local/bin:/usr/bin:/bin",
      ]),
    );
    const [home] = /^HOME=.*$/m.exec(env.stdout)!;
    expect(`HOME=${pwd.stdout.trim()}`).toBe(home);
    expect(env.stdout).not.toContain("LIMPET");
    expect(env.stdout).not.toContain("DENO_DIR");
    expect(missing.code).toBe(1);
    expect(root.stdout).toBe("0\n");
    running.kill("SIGTERM");
    expect(await running.outcome).toMatchObject({ code: 0 });
  });

  test("a user who is not there is told at the start", async () => {
    const path = configure({ shell: true, runAs: "no-such-user" });
    const { code, stderr } = await limpetHere(["serve", "--config", path]);
    expect(code).toBe(125);
    expect(stderr).toContain(
      "identities[0].policy.runAs: Cannot run commands as no-such-user: there is no such user",
    );
  });
});
