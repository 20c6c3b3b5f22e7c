import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { main } from "../core/cli/main.ts";
import {
  expectOwnWords,
  limpet,
  type Running,
  startLimpet,
  temporaryFolder,
} from "./support/cli.ts";
import { cliRuntime, limpetHere } from "./support/cli_in_process.ts";
import { eventually } from "./support/leaks.ts";
import { cli, DENO_SERVE_FLAGS, THIS_RUNTIME } from "./support/runtimes.ts";

const folder = temporaryFolder();
let homes = 0;
function home(): string {
  const path = join(folder, `home${homes++}`);
  mkdirSync(path);
  return path;
}
const mode = (path: string) => statSync(path).mode & 0o777;
const TOKEN = "0123456789abcdef0123456789abcdef";

async function serving(
  env: Record<string, string>,
  ...args: string[]
): Promise<{ running: Running; address: string }> {
  const running = startLimpet(["serve", "tcp://127.0.0.1:0", ...args], { env });
  await running.complains(", token in ");
  const [, address] = /listening on (tcp:\/\/[\d.:]+)/.exec(running.stderr())!;
  return { running, address };
}

async function stop(running: Running): Promise<string> {
  running.kill("SIGTERM");
  const { code, stderr } = await running.outcome;
  expect(code).toBe(0);
  expectOwnWords(stderr);
  return stderr;
}

describe(`serve on ${THIS_RUNTIME}`, () => {
  test("makes a token on first start, and a client finds it", async () => {
    const HOME = home();
    const { running, address } = await serving({ HOME });
    const file = `${HOME}/.config/limpet/token`;
    expect(mode(file)).toBe(0o600);
    expect(mode(`${HOME}/.config/limpet`)).toBe(0o700);
    const token = readFileSync(file, "utf8");
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}\n$/);
    const line = "env; tr '\\0' ' ' </proc/$PPID/cmdline";
    const outcome = await limpetHere(["exec", "-v", address, "-c", line], {
      env: { HOME },
    });
    expect(outcome.code).toBe(0);
    expect(outcome.stdout).toContain(" serve tcp://127.0.0.1:0 ");
    const log = await stop(running);
    expect(log).toContain(`limpet: made a new token in ${file}\n`);
    const said = log + outcome.stdout + outcome.stderr;
    expect(said).not.toContain(token.trim());

    const again = await serving({ HOME });
    expect(await stop(again.running)).not.toContain("made");
    expect(readFileSync(file, "utf8")).toBe(token);
  });

  test("drops who is one too many without a word, and that client says why that may be", async () => {
    const env = { HOME: home() };
    const { running, address } = await serving(env, "--max-connections=1");
    const first = startLimpet(["exec", "-i", address, "--", "cat"], {
      env,
      input: "pipe",
    });
    first.child.stdin!.write("here\n");
    await first.says("here");
    const second = await limpetHere(["exec", address, "--", "true"], { env });
    expect(second).toMatchObject({ code: 255, stdout: "" });
    expect(second.stderr).toMatch(
      /^limpet: .*\. Perhaps the server is full, or keeps this address out for a while after attempts that failed: its log says so\n$/,
    );
    first.child.stdin!.end();
    expect(await first.outcome).toMatchObject({ code: 0, stdout: "here\n" });
    expect(await stop(running)).toContain(
      "1 connection is there already, as many",
    );
  });

  test.each(
    [
      ["XDG_CONFIG_HOME", "limpet/token"],
      ["LIMPET_CONFIG", "token"],
      ["LIMPET_TOKEN_FILE", null],
    ] as const,
  )("%s says where", async (name, below) => {
    const HOME = home();
    const place = join(HOME, "some where");
    const file = below === null ? place : join(place, below);
    const env = { HOME, [name]: place };
    const { running, address } = await serving(env);
    expect(mode(file)).toBe(0o600);
    const { code } = await limpet(["exec", address, "--", "true"], { env });
    expect(code).toBe(0);
    expect(await stop(running)).toContain(`token in ${file}\n`);
    expect(existsSync(join(HOME, ".config"))).toBe(false);
  });

  test("LIMPET_TOKEN is no child's business, and -v does not say it", async () => {
    const env = { HOME: home(), LIMPET_TOKEN: TOKEN };
    const { running, address } = await serving(env, "-v");
    const outcome = await limpet(["exec", "-v", address, "--", "env"], { env });
    expect(outcome.stdout).toContain("HOME=");
    expect(outcome.stdout + outcome.stderr).not.toContain(TOKEN);
    expect(outcome.stdout).not.toContain("LIMPET_TOKEN");
    const log = await stop(running);
    expect(log).toContain("command 1 started");
    expect(log).not.toContain(TOKEN);
  });

  test("the flag comes before the environment, here and there", async () => {
    const HOME = home();
    const file = join(HOME, "right");
    writeFileSync(file, TOKEN, { mode: 0o600 });
    const env = { HOME, LIMPET_TOKEN: "another-token-entirely" };
    const { running, address } = await serving(env, "--token-file", file);
    const exec = (flags: string[], more: Record<string, string> = {}) =>
      limpetHere(["exec", ...flags, address, "--", "true"], {
        env: { ...env, ...more },
      });
    expect((await exec(["--token-file", file])).code).toBe(0);
    expect((await exec([], { LIMPET_TOKEN_FILE: file })).code).toBe(0);
    expect((await exec([])).code).toBe(255);
    await stop(running);
  });

  test("a token that others can read, that is empty or short", async () => {
    const HOME = home();
    const file = join(HOME, "token");
    const attempt = async () => {
      const args = ["--token-file", file];
      const outcomes = [
        await limpetHere(["serve", ...args, "tcp://127.0.0.1:0"]),
        await limpetHere(["exec", ...args, "127.0.0.1:1", "--", "true"]),
      ];
      for (const { code, stdout, stderr } of outcomes) {
        expect({ code, stdout }).toEqual({ code: 125, stdout: "" });
        expectOwnWords(stderr);
        expect(stderr).not.toContain(TOKEN);
        expect(stderr).toContain("oken");
      }
      return outcomes.map(({ stderr }) => stderr).join();
    };
    writeFileSync(file, TOKEN);
    for (const bits of [0o640, 0o604]) {
      chmodSync(file, bits);
      expect(await attempt()).toContain(`chmod 600 ${file}`);
    }
    chmodSync(file, 0o600);
    writeFileSync(file, "\n");
    expect(await attempt()).toContain("is empty");
    writeFileSync(file, "short");
    expect(await attempt()).toContain("at least 16");
    expect(readFileSync(file, "utf8")).toBe("short");
    for (const LIMPET_TOKEN of ["", "short"]) {
      const { code, stderr } = await limpetHere(
        ["exec", "127.0.0.1:1", "-c", ":"],
        {
          env: { LIMPET_TOKEN },
        },
      );
      expect(code).toBe(125);
      expect(stderr).toContain("oken");
    }
  });

  test("a client without a token is told how to get one", async () => {
    const HOME = home();
    const args = ["exec", "127.0.0.1:1", "--", "true"];
    const { code, stderr } = await limpetHere(args, { env: { HOME } });
    expect(code).toBe(125);
    expect(stderr).toContain(`${HOME}/.config/limpet/token does not exist`);
    expect(stderr).toContain('"limpet serve" makes one');
    expect(existsSync(join(HOME, ".config"))).toBe(false);
  });

  test("a port that is taken", async () => {
    const env = { LIMPET_TOKEN: TOKEN };
    const { running, address } = await serving(env);
    const second = await limpet(["serve", address], { env });
    expect(second).toMatchObject({ code: 255, stdout: "" });
    expect(second.stderr).toMatch(/in use/);
    expect(second.stderr).toContain(address);
    expectOwnWords(second.stderr);
    await stop(running);
  });

  test("beyond this machine only with --insecure", async () => {
    const env = { LIMPET_TOKEN: TOKEN };
    const refused = await limpetHere(["serve", "tcp://0.0.0.0:0"], { env });
    expect(refused.code).toBe(125);
    expect(refused.stderr).toContain("would not be encrypted");
    expect(refused.stderr).toContain("--insecure");
    const open = ["serve", "tcp://0.0.0.0:0", "--insecure"];
    if (process.getuid?.() === 0) {
      const root = await limpetHere(open, { env });
      expect(root.code).toBe(125);
      expect(root.stderr).toContain("--allow-root");
    }
    const running = startLimpet([...open, "--allow-root"], { env });
    await running.complains("listening on tcp://0.0.0.0:");
    expect(running.stderr()).toContain(
      "nothing is encrypted at tcp://0.0.0.0:",
    );
    if (process.getuid?.() === 0) {
      expect(running.stderr()).toContain("this server runs commands as root");
    }
    await stop(running);
  });

  test("beyond this machine as nobody knows whom only with --allow-root", async () => {
    const serve = async (...words: string[]) => {
      const env = { LIMPET_TOKEN: TOKEN };
      const { runtime, written } = cliRuntime(["serve", ...words], env);
      // As Deno without --allow-sys=uid.
      const code = await main({ ...runtime, isRoot: () => null });
      return { code, ...written };
    };
    const { code, stderr } = await serve("tcp://0.0.0.0:0", "--insecure");
    expect(code).toBe(125);
    expect(stderr).toContain("may run commands as root");
    expect(stderr).toContain("--allow-sys=uid");
    expect(stderr).toContain("--allow-root");
  });

  test("a mistake is told alone, before what there is to warn of", async () => {
    const missing = join(folder, "missing");
    for (
      const [run, words, why] of [
        [
          limpetHere,
          ["tls://127.0.0.1:0", "--cert", "x"],
          "--cert and --key go together",
        ],
        [
          limpetHere,
          ["127.0.0.1:0", "--audit", join(missing, "x")],
          `Cannot open the audit log ${missing}/x: there is no folder ${missing}`,
        ],
        // To listen it is a program, which hears signals.
        [
          limpet,
          [`unix:${missing}/socket`],
          `Cannot listen on unix:${missing}/socket: there is no folder ${missing}`,
        ],
      ] as const
    ) {
      const { code, stdout, stderr } = await run(["serve", ...words], {
        env: { LIMPET_TOKEN: TOKEN },
      });
      expect(code).toBeGreaterThan(0);
      expect(stdout).toBe("");
      expect(stderr.split("\n")[0]).toContain(why);
    }
  });
});

if (THIS_RUNTIME === "deno") {
  test("Deno without --allow-sys=uid says on loopback what it cannot know", async () => {
    const flags = DENO_SERVE_FLAGS.filter((each) => each !== "--allow-sys=uid");
    const [program, ...words] = cli("deno", flags);
    const child = spawn(program, [...words, "serve", "127.0.0.1:0"], {
      env: { ...process.env, LIMPET_TOKEN: TOKEN },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (chunk) => said += chunk);
    await eventually(() => said.includes("listening on"), () => said);
    expect(said).toContain("--allow-sys=uid");
    child.kill("SIGTERM");
    await new Promise((resolve) => child.on("close", resolve));
  });
}
