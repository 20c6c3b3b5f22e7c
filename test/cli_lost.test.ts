import { connect, createServer, type Socket } from "node:net";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, test } from "vitest";
import { digest, seqBytes, seqDigest } from "./support/bytes.ts";
import { expectOwnWords, limpet, startLimpet } from "./support/cli.ts";
import { temporaryFolder } from "./support/cli.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import { untilGone } from "./support/processes.ts";
import { proxyTo } from "./support/proxy.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import {
  serverFor,
  SERVERS,
  startServer,
  useServer,
} from "./support/servers.ts";

const folder = temporaryFolder();
const wrong = join(folder, "wrong");
writeFileSync(wrong, "not-the-token-of-any-server\n", { mode: 0o600 });

/** A port in front of another that cuts after so many bytes of the answer. */
async function cuttingProxy(address: string, bytes: number) {
  const { port, hostname } = new URL(address);
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    let left = bytes;
    client.pipe(server);
    server.on("data", (chunk) => {
      client.write(chunk.subarray(0, left));
      left -= chunk.byteLength;
      if (left > 0) return;
      // What was written still arrives; then the end.
      client.end();
      server.destroy();
    });
  });
  await new Promise<void>((resolve) =>
    proxy.listen(0, "127.0.0.1", () => resolve())
  );
  const own = proxy.address() as { port: number };
  return {
    address: `tcp://127.0.0.1:${own.port}`,
    [Symbol.asyncDispose]: async () => {
      sockets.forEach((socket) => socket.destroy());
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}

describe.each(SERVERS)(`exec on ${THIS_RUNTIME}, serve on %s`, (runtime) => {
  const server = useServer(runtime);
  const env = () => ({ LIMPET_TOKEN_FILE: server().tokenFile });

  test("the wrong token is 255, and nothing runs", async () => {
    const file = join(folder, `ran-${runtime}`);
    const { address } = server();
    const outcome = await limpetHere([
      "exec",
      "--token-file",
      wrong,
      address,
      "--",
      "touch",
      file,
    ], { env: env() });
    expect(outcome).toMatchObject({ code: 255, stdout: "" });
    expect(outcome.stderr).toMatch(
      /did not accept our proof: it knows no such/,
    );
    expect(outcome.stderr).toContain(` (the token is from ${wrong})\n`);
    expectOwnWords(outcome.stderr);
    const seen = await limpetHere(["exec", address, "--", "ls", folder], {
      env: env(),
    });
    expect(seen.stdout).toBe("wrong\n");
    expect(server().log()).toContain("did not get in (unauthenticated)");
  });

  test("only of a server that said nothing it is said why that may be", async () => {
    for (const [bytes, words] of [[0, "without a word"], [8, "before HELLO"]]) {
      await using proxy = await cuttingProxy(server().address, Number(bytes));
      const outcome = await limpetHere(["exec", proxy.address, "--", "true"], {
        env: env(),
      });
      expect(outcome).toMatchObject({ code: 255, stdout: "" });
      expect(outcome.stderr).toContain(words);
      expect(outcome.stderr.includes("Perhaps the server is full"))
        .toBe(bytes === 0);
    }
  });

  test("a connection that is cut is 255, stdout only what came", async () => {
    await using proxy = await cuttingProxy(server().address, 3_000_000);
    const command = ["--", "seq", "1", "2000000"];
    const alone = ["exec", "--resume-timeout=0", proxy.address, ...command];
    const text = await limpet(alone, { env: env() });
    expect(text.code).toBe(255);
    expect(text.bytes.byteLength).toBeGreaterThan(2_800_000);
    expect(text.bytes.byteLength).toBeLessThan(3_000_000);
    const whole = seqBytes(500_000);
    expect(text.bytes).toEqual(whole.subarray(0, text.bytes.byteLength));
    expect(text.stderr).toContain(
      "limpet: what became of the command is unknown\n",
    );
    expectOwnWords(text.stderr);
    const json = await limpetHere(
      ["exec", "--output=json", ...alone.slice(1)],
      { env: env() },
    );
    expect(json.code).toBe(255);
    const object = JSON.parse(json.stdout);
    expect(object).toMatchObject({
      exitStatus: 255,
      source: "limpet",
      outcome: "unknown",
      code: null,
      signal: null,
      complete: false,
      error: { code: "connection_lost" },
    });
    expect(object.stdout).toBe(
      new TextDecoder().decode(
        whole.subarray(0, object.stdout.length),
      ),
    );
    expect(object.stdout.length).toBeGreaterThan(2_800_000);
  });

  test("connections that are cut again and again are one that is not", async () => {
    await using proxy = await cuttingProxy(server().address, 3_000_000);
    const args = ["exec", "-v", proxy.address, "--", "seq", "1", "2000000"];
    const { code, bytes, stderr } = await limpet(args, { env: env() });
    expect(code).toBe(0);
    expect(await digest([bytes])).toEqual(await seqDigest(2_000_000));
    const back = stderr.match(
      /^limpet: the connection to tcp:.* is back after .*$/gm,
    );
    expect(back!.length).toBeGreaterThanOrEqual(4);
    // So short that nobody would have noticed, and so nothing is said without -v;
    // but of those which a busy machine has made longer.
    const noticed = back!.filter((line) => !line.endsWith(" ms"));
    const told = stderr.match(/trying to get it back$/gm) ?? [];
    expect(told.length).toBeLessThanOrEqual(noticed.length);
  });
});

describe(`exec on ${THIS_RUNTIME}`, () => {
  test("a server killed in the middle is 255, and so at the prompt", async () => {
    const server = await startServer(serverFor(1));
    const left: number[] = [];
    try {
      const env = { LIMPET_TOKEN_FILE: server.tokenFile };
      const line = "echo pid $$; exec sleep 1000";
      const soon = ["--resume-timeout=500ms", server.address];
      const running = startLimpet(["exec", ...soon, "-c", line], {
        env,
      });
      const waiting = startLimpet(["shell", ...soon], {
        env,
        input: "pipe",
      });
      const busy = startLimpet(["shell", ...soon], {
        env,
        input: `${line}\necho never\n`,
      });
      waiting.child.stdin!.write("echo first\n");
      await running.says("\n");
      await busy.says("\n");
      await waiting.says("first\n");
      for (const each of [running, busy]) {
        left.push(Number(/^pid (\d+)\n$/.exec(each.stdout())?.[1]));
      }
      process.kill(server.pid, "SIGKILL");
      for (const each of [running, waiting, busy]) {
        const { code, stderr } = await each.outcome;
        expect(code).toBe(255);
        expectOwnWords(stderr);
      }
      expect(running.stdout()).toBe(`pid ${left[0]}\n`);
      expect(waiting.stdout()).toBe("first\n");
      expect(busy.stdout()).toBe(`pid ${left[1]}\n`);
    } finally {
      // Of a server that is killed like this nobody is left to end them.
      left.forEach((pid) => process.kill(pid, "SIGKILL"));
      await server.stop();
    }
    await untilGone(left);
  });

  test("an absence of over a second is told, with one line each way, and -q says nothing", async () => {
    await using server = await startServer(serverFor(1));
    await using proxy = await proxyTo(Number(new URL(server.address).port));
    const env = { LIMPET_TOKEN_FILE: server.tokenFile };
    const target = `127.0.0.1:${proxy.port}`;
    const go = join(folder, "go");
    const line = `echo begun; until test -e ${go}; do sleep 0.05; done; exit 3`;
    const loud = startLimpet(["exec", target, "-c", line], { env });
    const quiet = startLimpet(["exec", "-q", target, "-c", line], { env });
    await loud.says("begun");
    await quiet.says("begun");
    proxy.refusing = true;
    proxy.cut("reset");
    await loud.complains("trying to get it back\n");
    proxy.refusing = false;
    await loud.complains("is back after ");
    writeFileSync(go, "");
    const told = await loud.outcome;
    expect(told.code).toBe(3);
    const name = `tcp://${target}`;
    const [away, back, ...more] = told.stderr.trimEnd().split("\n");
    expect(away).toBe(
      `limpet: no connection to ${name}: trying to get it back`,
    );
    expect(back).toMatch(
      new RegExp(`^limpet: the connection to ${name} is back after [\\d.]+ s$`),
    );
    expect(more).toEqual([]);
    expect(await quiet.outcome).toMatchObject({ code: 3, stderr: "" });
  });

  test("nobody there", async () => {
    const env = { LIMPET_TOKEN: "0123456789abcdef" };
    const gone = createServer();
    await new Promise<void>((resolve) =>
      gone.listen(0, "127.0.0.1", () => resolve())
    );
    const { port } = gone.address() as { port: number };
    await new Promise((resolve) => gone.close(resolve));
    for (const target of [`127.0.0.1:${port}`, `unix:${folder}/none`]) {
      const outcome = await limpetHere(["exec", target, "--", "true"], { env });
      expect(outcome).toMatchObject({ code: 255, stdout: "" });
      const name = target.startsWith("unix") ? target : `tcp://${target}`;
      expect(outcome.stderr).toContain(`Cannot connect to ${name}: `);
      expectOwnWords(outcome.stderr);
    }
    const json = await limpetHere(
      ["exec", "--output=json", `127.0.0.1:${port}`, "--", "true"],
      { env },
    );
    expect(json).toMatchObject({ code: 255, stderr: "" });
    expect(JSON.parse(json.stdout)).toMatchObject({
      source: "limpet",
      outcome: "refused",
      pid: null,
      error: { code: "connection_failed" },
    });
  });

  test("somebody there who says nothing, or something else", async () => {
    const env = { LIMPET_TOKEN: "0123456789abcdef" };
    const sockets = new Set<Socket>();
    let greeting = "";
    const other = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      if (greeting !== "") socket.write(greeting);
    });
    await new Promise<void>((resolve) =>
      other.listen(0, "127.0.0.1", () => resolve())
    );
    try {
      const { port } = other.address() as { port: number };
      const target = `127.0.0.1:${port}`;
      const args = ["exec", "--connect-timeout=300ms", target, "--", "true"];
      const silent = await limpetHere(args, { env });
      expect(silent).toMatchObject({ code: 255, stdout: "" });
      expect(silent.stderr).toContain(`tcp://${target} within 300ms`);
      greeting = "SSH-2.0-OpenSSH_9.9\x1b[2J\r\n";
      const ssh = await limpetHere(args, { env });
      expect(ssh).toMatchObject({ code: 255, stdout: "" });
      expect(ssh.stderr).not.toContain("\x1b");
      expectOwnWords(ssh.stderr);
    } finally {
      sockets.forEach((socket) => socket.destroy());
      await new Promise((resolve) => other.close(resolve));
    }
  });

  test("a client far away is told that nothing is encrypted", async () => {
    const env = { LIMPET_TOKEN: "0123456789abcdef" };
    // No such host, by RFC 6761.
    const args = ["limpet.invalid:9", "--", "true"];
    const warned = await limpetHere(["exec", ...args], { env });
    expect(warned.code).toBe(255);
    expect(warned.stderr).toContain(
      "the connection to tcp://limpet.invalid:9 is not encrypted",
    );
    const knows = await limpetHere(["exec", "--insecure", ...args], { env });
    expect(knows.stderr).not.toContain("not encrypted");
    expect(knows.stderr).toContain("limpet.invalid");
  });
});
