import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { beforeAll, describe, expect, test } from "vitest";
import { helpText } from "../core/cli/help.ts";
import {
  binFolder,
  limpet,
  start,
  startLimpet,
  startShell,
  temporaryFolder,
} from "./support/cli.ts";
import { inProcess } from "./support/cli_in_process.ts";
import { ALL_AS_OBJECT, ALL_IN_CHINESE } from "./support/lab.ts";
import { program, ROOT, THIS_RUNTIME } from "./support/runtimes.ts";

const README = readFileSync(join(ROOT, "README.md"), "utf8");
const folder = temporaryFolder();
const bin = binFolder(folder);
const HOME = join(folder, "home");
mkdirSync(HOME);
const env = { HOME };

// Everything here is run as it stands, and it stands there with this port.
beforeAll(async () => {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.on("error", (error) => {
      reject(new Error("Port 8090, which README.md uses, is taken: " + error));
    });
    probe.listen(8090, "127.0.0.1", () => resolve());
  });
  await new Promise((resolve) => probe.close(resolve));
});

/** The fenced block that follows a heading, as it stands. */
function block(heading: string, language: string): string {
  const section = README.split(/^## /m).find((s) => s.startsWith(heading));
  const match = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "ms")
    .exec(section ?? "");
  if (match === null) throw new Error(`README.md has no block in ${heading}`);
  return match[1];
}

/** The indented lines under "Examples:" of a help text. */
function examples(topic: string | undefined): string[] {
  const text = (helpText(topic) ?? "").split("Examples:\n")[1] ?? "";
  return text.split("\n").filter((line) => line !== "").map((line) => {
    expect(line).toMatch(/^ {2}\S/);
    return line.slice(2);
  });
}

/** What the kernel calls itself, and what examples print of it. */
const UNAME = execFileSync("uname", ["-a"], { encoding: "utf8" });

test("the two commands are what npm and Deno start", () => {
  const [first] = README.match(/^```sh\n(.*?)^```/ms) ?? [""];
  const commands = first.match(/^npm \w+/gm);
  expect(commands).toEqual(["npm start", "npm test"]);
  const { scripts } = JSON.parse(
    readFileSync(join(ROOT, "package.json"), "utf8"),
  );
  const { tasks } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));
  expect(Object.keys(scripts)).toEqual(
    expect.arrayContaining(["start", "test"]),
  );
  expect(README).toContain("deno task start");
  expect(Object.keys(tasks)).toContain("start");
  for (const [, path] of README.matchAll(/\]\(([^)#]+)\)/g)) {
    expect(() => readFileSync(join(ROOT, path)), path).not.toThrow();
  }
});

// Deno, whichever runtime started it: once is enough.
if (THIS_RUNTIME === "deno") {
  describe("adapters/deno/README.md, as it stands", () => {
    const page = readFileSync(join(ROOT, "adapters/deno/README.md"), "utf8");
    const commands = Array.from(
      page.matchAll(/^```sh\n(.*?)\n```/gms),
      ([, command]) => command,
    );
    const deno = join(folder, "deno");
    mkdirSync(deno);
    symlinkSync(program("deno"), join(deno, "deno"));
    const path = { ...env, PATH: `${deno}:${process.env.PATH}` };
    const run = (command: string) =>
      start(["/bin/sh", "-c", `exec ${command}`], { env: path, cwd: ROOT });

    test("serving and connecting with these flags alone", async () => {
      const serves = commands.filter((command) => command.endsWith(" serve"));
      const execs = commands.filter((command) => command.includes(" exec "));
      expect([serves.length, execs.length, commands.length]).toEqual([2, 2, 4]);
      for (const command of serves) {
        const serving = run(command);
        await serving.complains("listening on tcp://127.0.0.1:8090");
        for (const command of execs) {
          const { code, stdout, stderr } = await run(command).outcome;
          expect({ code, stdout, stderr }, command).toEqual({
            code: 0,
            stdout: UNAME,
            stderr: "",
          });
        }
        serving.kill("SIGTERM");
        expect((await serving.outcome).code).toBe(0);
      }
    });

    test("without the permission to connect, that is said", async () => {
      const command = commands.findLast((each) => each.includes(" exec "));
      const less = command?.replace("--allow-net=127.0.0.1:8090 ", "") ?? "";
      const { code, stderr } = await run(less).outcome;
      expect(code).toBe(255);
      expect(stderr).toContain("--allow-net");
    });
  });
}

describe(`on ${THIS_RUNTIME}, as they stand`, () => {
  test("the five lines of the command line", async () => {
    const lines = block("On the command line", "sh");
    expect(lines.trim().split("\n")).toHaveLength(5);
    const [serve, ...rest] = lines.trim().split("\n");
    expect(serve).toMatch(/^limpet serve & +# /);
    // The server is up before anybody types the second line.
    const script = `${serve}
      trap 'kill $!; wait $!' EXIT
      until grep -q 'listening on' ../log; do kill -0 $!; sleep 0.05; done
      ${rest.join("\n")}`;
    const { code, stdout, stderr } = await start(
      ["/bin/sh", "-ec", `{ ${script}\n} 2>../log; :`],
      { cwd: HOME, env: { ...env, PATH: `${bin}:${process.env.PATH}` } },
    ).outcome;
    const log = readFileSync(join(folder, "log"), "utf8");
    expect({ code, stderr }, log).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe(`${UNAME}2000000\nHELLO\n/tmp\n`);
    expect(log).toContain("listening on tcp://127.0.0.1:8090");
  });

  test("the examples of every help text", async () => {
    const serving = startLimpet(["serve"], { env, cwd: HOME });
    await serving.complains("listening on tcp://127.0.0.1:8090");
    const expected: Record<string, string> = {
      "limpet exec 127.0.0.1 -- uname -a": UNAME,
      "limpet exec 127.0.0.1 -c 'ls | wc -l'": "1\n",
      "echo hello | limpet exec -i 127.0.0.1 -- tr a-z A-Z": "HELLO\n",
      "limpet exec --timeout 5s -w /tmp -e GREETING=hi 127.0.0.1 -c 'echo $GREETING'":
        "hi\n",
      "limpet shell 127.0.0.1": "",
      "printf 'cd /tmp\\npwd\\n' | limpet shell 127.0.0.1": "/tmp\n",
      "limpet demo": "",
      "echo 'seq 1 3' | limpet demo": "1\n2\n3\n",
    };
    writeFileSync(join(HOME, "one file"), "");
    const all = [undefined, "exec", "shell", "demo"].flatMap(examples);
    for (const line of all.filter((each) => !each.startsWith("limpet serve"))) {
      const { code, stdout, stderr } = await startShell(line, bin, {
        env,
        cwd: HOME,
      }).outcome;
      expect({ code, stderr }, line).toEqual({ code: 0, stderr: "" });
      if (line.includes("json")) {
        expect(JSON.parse(stdout)).toMatchObject({ code: 0 });
      } else if (line.includes("-d ")) {
        expect(stdout, line).toMatch(/^[0-9a-z]{12}\n$/);
      } else {
        expect(stdout, line).toBe(expected[line]);
      }
    }
    expect(all.length).toBeGreaterThan(Object.keys(expected).length);
    serving.kill("SIGTERM");
    expect((await serving.outcome).code).toBe(0);
    for (const line of examples("serve")) {
      const server = startShell(`exec ${line}`, bin, { env });
      await server.complains("listening on ");
      server.kill("SIGTERM");
      expect((await server.outcome).code, line).toBe(0);
    }
  });

  test("the examples of jobs, one after the other", async () => {
    // What the job sleeps is not to be over before it is looked at.
    const commands = join(folder, "commands");
    mkdirSync(commands);
    const seen = join(folder, "seen");
    writeFileSync(
      join(commands, "sleep"),
      `#!/bin/sh\nuntil [ -e '${seen}' ]; do /bin/sleep 0.05; done\n`,
      { mode: 0o755 },
    );
    const serving = startLimpet(["serve"], {
      env: { ...env, PATH: `${commands}:${process.env.PATH}` },
      cwd: HOME,
    });
    await serving.complains("listening on tcp://127.0.0.1:8090");
    const lines = examples("job").flatMap((line) =>
      line === "limpet ps 127.0.0.1" ? [line, `: >'${seen}'`] : [line]
    );
    expect(lines).toHaveLength(examples("job").length + 1);
    const { code, stdout, stderr } = await startShell(
      `set -e\n${lines.join("\n")}`,
      bin,
      { env, cwd: HOME },
    ).outcome;
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      /^JOB .*\n\w{12} .* Running .*\n1\n2\n3\ndone\nJOB [^]*\nbackup-7 /,
    );
    const resume = await startShell(
      `set -e\n${examples("resume").join("\n")}`,
      bin,
      { env, cwd: HOME },
    ).outcome;
    expect(resume).toMatchObject({ code: 0, stdout: "done\n", stderr: "" });
    serving.kill("SIGTERM");
    expect((await serving.outcome).code).toBe(0);
  });

  test("the examples of the lab", async () => {
    const lines = examples("lab");
    expect(lines.length).toBeGreaterThan(0);
    const all = lines.filter((line) => line.includes("lab all"));
    // It takes seconds, and `lab_cli` runs just that.
    expect(all).toEqual([["limpet", ...ALL_AS_OBJECT].join(" ")]);
    for (const line of lines.filter((line) => !all.includes(line))) {
      const { code, stdout, stderr } = await startShell(line, bin, {
        env,
        cwd: HOME,
      }).outcome;
      expect({ code, stderr }, line).toEqual({ code: 0, stderr: "" });
      if (line.includes("json")) {
        expect(JSON.parse(stdout)).toMatchObject({ failed: 0 });
      } else {
        expect(stdout).toContain("✓ Observed: ");
      }
    }
  });

  test("the five lines of a program", async () => {
    const code = block("In a program", "ts");
    expect(code.trim().split("\n")).toHaveLength(5);
    expect(code).toContain("limpet/node");
    const modules = join(folder, "node_modules");
    mkdirSync(modules);
    symlinkSync(ROOT, join(modules, "limpet"));
    // Node 20 reads no types, and the block has none.
    const plain = join(folder, "program.mjs");
    const [imports] = /"imports": \{.*?\}/.exec(README) ?? [];
    const ofDeno = join(folder, "of-deno");
    mkdirSync(ofDeno);
    const path = JSON.stringify(ROOT.replace(/\/$/, "")).slice(1, -1);
    writeFileSync(
      join(ofDeno, "deno.json"),
      `{ ${imports?.replace("PATH", path)} }`,
    );
    const file = join(ofDeno, "program.mts");
    const shown = `${code}console.log(JSON.stringify([
      new TextDecoder().decode(stdout), code, count]));\n`;
    writeFileSync(plain, shown);
    writeFileSync(file, shown.replace("limpet/node", "limpet/deno"));
    const serving = startLimpet(["serve"], { env });
    await serving.complains("listening on tcp://127.0.0.1:8090");
    const command = THIS_RUNTIME === "deno"
      ? [program("deno"), "run", "--quiet", "-A", file]
      : [program(THIS_RUNTIME), plain];
    const outcome = await start(command, { env, cwd: ofDeno }).outcome;
    expect(outcome.stderr).toBe("");
    expect(JSON.parse(outcome.stdout)).toEqual([UNAME, 0, expect.any(String)]);
    expect(Number(JSON.parse(outcome.stdout)[2])).toBeGreaterThan(0);
    expect(outcome.code).toBe(0);
    serving.kill("SIGTERM");
    expect((await serving.outcome).code).toBe(0);
  });

  test("the two lines of the lesson", async () => {
    const lines = block("The lesson it grew from", "sh").trim().split("\n");
    expect(lines).toHaveLength(2);
    // This, too, is run by `lab_cli`, if on a port of its own.
    expect(lines[1].replace(/ +#.*/, ""))
      .toBe(["limpet", ...ALL_IN_CHINESE].join(" "));
    const run = startShell(lines[0], bin, { env, cwd: HOME });
    const { code, stdout, stderr } = await run.outcome;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("✓ Cured");
  });

  test("the examples of tokens and keys", async () => {
    // What else is indented there is no example.
    const lines = ["key", "token"].flatMap((topic) =>
      (helpText(topic) ?? "").split("Examples:\n")[1].split("\n\n")[0].trim()
        .split("\n").map((line) => line.trim())
    );
    expect(lines.length).toBeGreaterThan(5);
    for (const line of lines) {
      const [name, ...given] = line.split(" ");
      expect(name).toBe("limpet");
      const words = given.map((word) =>
        /\.(token|key)$/.test(word) ? join(folder, word) : word
      );
      const { code, stdout, stderr } = await inProcess(words, {
        LIMPET_CONFIG: join(folder, "identities"),
      });
      expect({ line, code }, stderr).toEqual({ line, code: 0 });
      if (line.includes(" list")) expect(stdout).toContain("ci\ttoken\t-");
    }
  });

  test("the lines of the token's help", async () => {
    const text = helpText("token") ?? "";
    const line = text.trim().split("\n").at(-1)?.trim() ?? "";
    expect(line).toBe(
      "limpet exec 'cmd:ssh box limpet serve --stdio' -- uname -a",
    );
    // An ssh that stays here.
    const ssh = join(bin, "ssh");
    writeFileSync(ssh, '#!/bin/sh\nshift\nexec "$@"\n', { mode: 0o755 });
    await limpet(["serve", "--stdio"], { env });
    const { code, stdout } = await startShell(line, bin, { env }).outcome;
    expect({ code, stdout }).toEqual({ code: 0, stdout: UNAME });
    expect(README.replace(/\s+/g, " ")).toContain(line);
  });
});
