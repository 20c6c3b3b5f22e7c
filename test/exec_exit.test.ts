import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Session } from "../core/client.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { ALL_SERVERS, useServer } from "./support/servers.ts";

const folder = mkdtempSync(join(tmpdir(), "limpet-exit-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a file to run, or not to be able to. */
function file(name: string, text: string, mode: number): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const plain = file("plain", "echo never\n", 0o644);
const noShebang = file("script", "echo ran $1\n", 0o755);
const noInterpreter = file("lost", "#!/no/such/interpreter\n", 0o755);

describe.each(ALL_SERVERS)("a server on %s", (runtime) => {
  const server = useServer(runtime);

  /** With `merge` a shell stands in between, which must change nothing. */
  async function refusal(session: Session, argv: string[], cwd?: string) {
    const [command, ...args] = argv;
    for (const merge of [true, false]) {
      const child = session.spawn(command, { args, cwd, merge });
      const error = await child.status.then(() => null, (thrown) => thrown);
      expect(error, `${argv} with merge ${merge}`).toMatchObject({
        name: "LimpetError",
        exitCode: null,
        signal: null,
        complete: false,
      });
      await expect(child.pid).rejects.toBe(error);
      await expect(child.stdout.getReader().read()).rejects.toBe(error);
      if (merge) continue;
      return { code: error.code, message: error.message };
    }
  }

  // All of them where it is this runtime that reads them of the process: on the
  // wire they are numbers like any other.
  const own = runtime === THIS_RUNTIME;
  test(`tells ${own ? "every code" : "codes"} from 0 to 255`, async () => {
    await using session = await server().connect();
    const some = [0, 1, 2, 3, 63, 64, 124, 125, 126, 127, 128, 129, 254, 255];
    const codes = own ? Array.from({ length: 256 }, (_, code) => code) : some;
    const outcomes = await Promise.all(codes.map((code) => {
      const args = ["-c", "exit $1", "sh", String(code)];
      return session.spawn("/bin/sh", { args }).status;
    }));
    expect(outcomes).toEqual(codes.map((code) => ({
      code,
      signal: null,
      reason: null,
      success: code === 0,
    })));
  });

  test("tells signals by name", async () => {
    await using session = await server().connect();
    const names = [
      ..."HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2".split(" "),
      ..."PIPE ALRM TERM XCPU XFSZ VTALRM PROF SYS".split(" "),
    ];
    const outcomes = await Promise.all(names.map((name) => {
      const args = ["-c", "ulimit -c 0; kill -s $1 $$; sleep 9", "sh", name];
      return session.spawn("/bin/sh", { args }).status;
    }));
    expect(outcomes).toEqual(names.map((name) => ({
      code: null,
      signal: `SIG${name}`,
      reason: null,
      success: false,
    })));
  });

  test("knows 126 and 127 of a shell from commands that did not start", async () => {
    await using session = await server().connect();
    const missing = await session.output("no-such-command-here", {
      shell: true,
    });
    expect(missing).toMatchObject({ code: 127, signal: null, success: false });
    const denied = await session.output(plain, { shell: true });
    expect(denied).toMatchObject({ code: 126, signal: null, success: false });
    expect(await refusal(session, ["no-such-command-here"])).toEqual({
      code: "not_found",
      message: 'Cannot start "no-such-command-here": no such command in PATH',
    });
    expect(await refusal(session, [`${folder}/missing`])).toEqual({
      code: "not_found",
      message: `Cannot start "${folder}/missing": no such file`,
    });
    expect(await refusal(session, [plain])).toMatchObject({
      code: "not_executable",
      message: expect.stringContaining("permission denied"),
    });
    expect(await refusal(session, [folder])).toMatchObject({
      code: "not_executable",
      message: expect.stringContaining("is a directory"),
    });
    expect(await refusal(session, [`${plain}/below`])).toMatchObject({
      code: "not_found",
    });
  });

  test("names a working directory that cannot be entered", async () => {
    await using session = await server().connect();
    expect(await refusal(session, ["pwd"], `${folder}/missing`)).toEqual({
      code: "cwd_not_found",
      message:
        `Cannot start "pwd": working directory "${folder}/missing" does not exist`,
    });
    expect(await refusal(session, ["pwd"], plain)).toEqual({
      code: "cwd_not_found",
      message:
        `Cannot start "pwd": working directory "${plain}" is not a directory`,
    });
    const { stdout } = await session.output("pwd", { cwd: folder });
    expect(new TextDecoder().decode(stdout)).toBe(`${folder}\n`);
  });

  test("passes on the system's own error for 2 MiB of arguments", async () => {
    await using session = await server().connect();
    const args = ["x".repeat(2 * 1024 * 1024)];
    const error = await refusal(session, ["echo", ...args]);
    expect(error).toEqual({
      code: "argument_list_too_long",
      message: 'Cannot start "echo": argument list too long (E2BIG)',
    });
    // Many arguments, each of which is fine, and together they are as well.
    const many = Array.from({ length: 15_000 }, (_, i) => `argument ${i}`);
    const printf = await session.output("printf", { args: ["%s\n", ...many] });
    expect(new TextDecoder().decode(printf.stdout)).toBe(
      many.join("\n") + "\n",
    );
    const line = `true ${args[0]}`;
    await expect(session.output(line, { shell: true })).rejects
      .toMatchObject({ code: "argument_list_too_long" });
  });

  test("runs scripts as the system does", async () => {
    await using session = await server().connect();
    await expect(session.output(noInterpreter)).rejects.toMatchObject({
      code: "not_executable",
      message: expect.stringContaining("interpreter"),
    });
    const output = session.output(noShebang, { args: ["x"] });
    // execvp(3) takes such a file to the shell; Bun has an exec of its own.
    if (runtime === "bun") {
      await expect(output).rejects.toMatchObject({ code: "not_executable" });
    } else {
      const { stdout } = await output;
      expect(new TextDecoder().decode(stdout)).toBe("ran x\n");
    }
  });

  test("does not start what no command can be", async () => {
    await using session = await server().connect();
    const refused = (start: () => unknown, message: string) =>
      expect(start).toThrow(expect.objectContaining({
        code: "invalid_argument",
        message: expect.stringContaining(message),
      }));
    refused(() => session.spawn("a\0b"), "NUL");
    refused(() => session.spawn("echo", { args: ["a", "b\0"] }), "Argument 2");
    refused(() => session.spawn("a\0b", { shell: true }), "NUL");
    refused(() => session.spawn("pwd", { cwd: "/\0" }), "NUL");
    refused(() => session.spawn("env", { env: { A: "\0" } }), "NUL");
    refused(() => session.spawn("env", { env: { "A=B": "" } }), '"A=B"');
    refused(() => session.spawn("env", { env: { "": "x" } }), '""');
    refused(() => session.spawn(""), "empty");
    refused(() => session.spawn("echo", { args: ["\ud800"] }), "surrogate");
    refused(() => session.spawn("true", { timeoutMs: -1 }), "timeoutMs");
    refused(() => session.spawn("true", { killAfterMs: 0.5 }), "killAfterMs");
    refused(() => session.spawn("true", { drainMs: 2 ** 31 }), "drainMs");
    expect(await session.output("true")).toMatchObject({ success: true });
  });

  test("an empty argument is an argument", async () => {
    await using session = await server().connect();
    const args = ["-c", 'printf "%s|" "$#" "$@"', "sh", "", " ", ""];
    const { stdout } = await session.output("/bin/sh", { args });
    expect(new TextDecoder().decode(stdout)).toBe("3|| ||");
  });

  test("the outcome is there although nobody reads the output", async () => {
    await using session = await server().connect();
    const child = session.spawn("echo out; echo err >&2; exit 7", {
      shell: true,
    });
    expect(await child.status).toMatchObject({ code: 7 });
    // More than a window and a pipe hold: the command waits for its reader.
    const waiting = session.spawn("seq", { args: ["1", "1000000"] });
    const first = await Promise.race([
      waiting.status,
      session.output("true").then(() => "waits"),
    ]);
    expect(first).toBe("waits");
  });

  test("the process id is the one that the command sees", async () => {
    await using session = await server().connect();
    for (const merge of [false, true]) {
      const args = ["-c", "echo $$"];
      const child = session.spawn("/bin/sh", { args, merge });
      const reader = child.stdout.getReader();
      const { value } = await reader.read();
      expect(new TextDecoder().decode(value).trim()).toBe(
        String(await child.pid),
      );
      await reader.cancel();
      await child.status;
    }
  });
});
