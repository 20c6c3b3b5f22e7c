import { expect, test } from "vitest";
import { readerOf } from "../core/exec/output_pump.ts";
import type { ProcessHandle, Spawner } from "../core/ports.ts";
import { adapter } from "./support/adapter.ts";
import { textOf } from "./support/bytes.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { serving, warmUp } from "./support/serving.ts";

useLeakCheck(warmUp);

const upperCase = (stream: ReadableStream<Uint8Array> | null) =>
  stream && stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) =>
        controller.enqueue(chunk.map((byte) => byte - 32)),
    }),
  );

/** Who starts commands may put streams of its own in place of a process's. */
test.each<[string, (handle: ProcessHandle) => ProcessHandle]>([
  ["a copy", (handle) => ({ ...handle, stdout: upperCase(handle.stdout) })],
  ["an object above it", (handle) => {
    const stdout = { value: upperCase(handle.stdout) };
    return Object.create(handle, { stdout });
  }],
  ["itself", (handle) => {
    const stdout = upperCase(handle.stdout);
    return Object.assign(handle, { stdout });
  }],
  ["a proxy", (handle) => {
    const stdout = upperCase(handle.stdout);
    return new Proxy(handle, {
      get: (target, name) =>
        name === "stdout" ? stdout : Reflect.get(target, name),
    });
  }],
])("a spawner's stdout is what a client gets, in %s", async (_, change) => {
  const spawner: Spawner = async (command) =>
    change(await adapter.spawner(command));
  await using served = await serving({}, spawner);
  await using session = await served.connect();
  const output = await session.output("printf", { args: ["abc"] });
  expect(new TextDecoder().decode(output.stdout)).toBe("ABC");
  expect(output.code).toBe(0);
});

test("a spawner may read what nobody asked for", async () => {
  const said: Promise<string>[] = [];
  const spawner: Spawner = async (command) => {
    const handle = await adapter.spawner({ ...command, stderr: "piped" });
    said.push(textOf(handle.stderr!));
    return handle;
  };
  await using served = await serving({}, spawner);
  await using session = await served.connect();
  const args = ["-c", "echo out; echo err >&2"];
  // The session goes on after the first one.
  for (let i = 0; i < 2; i++) {
    const child = session.spawn("sh", { args, stderr: "null" });
    expect(await textOf(child.stdout)).toBe("out\n");
    expect(await child.status).toMatchObject({ code: 0 });
  }
  expect(await Promise.all(said)).toEqual(["err\n", "err\n"]);
});

test("what core reads nobody else can", async () => {
  const handle = await adapter.spawner({
    argv: ["printf", "abc"],
    env: { PATH: "/usr/bin:/bin" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  const reader = readerOf(handle, "stdout")!;
  expect(() => handle.stdout!.getReader()).toThrow(TypeError);
  const { value } = await reader.read();
  expect(new TextDecoder().decode(value)).toBe("abc");
  expect(await reader.read()).toEqual({ done: true, value: undefined });
  await readerOf(handle, "stderr")!.read();
  expect(() => handle.stderr!.getReader()).toThrow(TypeError);
  expect(await handle.status).toEqual({ code: 0, signal: null });
});
