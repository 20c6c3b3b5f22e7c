import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { digest, seqDigest } from "./support/bytes.ts";
import {
  binFolder,
  limpet,
  type RunOptions,
  startLimpet,
  startShell,
  temporaryFolder,
} from "./support/cli.ts";
import { type Runtime, THIS_RUNTIME } from "./support/runtimes.ts";
import { ALL_SERVERS, serverFor, useServer } from "./support/servers.ts";

const folder = temporaryFolder();
const bin = binFolder(folder);

/** Every byte value, 4 MB of them, the same each time and without a period. */
const binary = new Uint8Array(4_000_000);
for (let at = 0, state = 1; at < binary.byteLength; at++) {
  state = state * 48_271 % 2_147_483_647;
  binary[at] = state >> 8;
}
const binaryFile = join(folder, "binary");
writeFileSync(binaryFile, binary);

/** A server, and `exec` that knows its token. */
function useExec(runtime: Runtime) {
  const server = useServer(runtime);
  const env = () => ({ LIMPET_TOKEN_FILE: server().tokenFile });
  const exec = (args: readonly string[], options: RunOptions = {}) =>
    limpet(["exec", ...args], { ...options, env: env() });
  return { server, env, exec };
}

describe.each(ALL_SERVERS)(
  `exec on ${THIS_RUNTIME}, serve on %s`,
  (runtime) => {
    const { server, exec } = useExec(runtime);

    test("seq 1 2000000 to the last byte", async () => {
      const { bytes, code, stderr } = await exec([
        server().address,
        "--",
        "seq",
        "1",
        "2000000",
      ]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(await digest([bytes])).toEqual(await seqDigest(2_000_000));
    });

    test("-i: binary input from a pipe", async () => {
      const expected = await digest([binary]);
      const args = ["-i", server().address, "--", "cat"];
      const piped = await exec(args, { input: binary });
      expect(piped).toMatchObject({ code: 0, stderr: "" });
      expect(await digest([piped.bytes])).toEqual(expected);
    });
  },
);

// The client's own: to the server each of these is an exec like any other.
describe(`exec on ${THIS_RUNTIME}`, () => {
  const { server, env, exec } = useExec(serverFor(1));

  test("-i: binary input from a file, by whoever opens it", async () => {
    const expected = await digest([binary]);
    const args = ["-i", server().address, "--", "cat"];
    const fd = openSync(binaryFile, "r");
    try {
      const read = await exec(args, { input: fd });
      expect(read).toMatchObject({ code: 0, stderr: "" });
      expect(await digest([read.bytes])).toEqual(expected);
    } finally {
      closeSync(fd);
    }
    const file =
      `limpet exec -i ${server().address} -- sha256sum <${binaryFile}`;
    const { stdout } = await startShell(file, bin, { env: env() }).outcome;
    expect(stdout).toBe(`${expected.sha256}  -\n`);
  });

  test("-i: the end of input arrives, and output goes on after it", async () => {
    const line = "cat >/dev/null; sleep 1; echo done";
    const args = ["-i", server().address, "-c", line];
    expect(await exec(args, { input: "some\n" }))
      .toMatchObject({ code: 0, stdout: "done\n", stderr: "" });
    expect(await exec(args)).toMatchObject({ code: 0, stdout: "done\n" });
  });

  test("without -i stdin is empty, and ours is left alone", async () => {
    const { address } = server();
    const loop = `printf 'a\\nb\\nc\\n' | while read x; do
      limpet exec ${address} -c "cat; echo $x"; done`;
    const { stdout } = await startShell(loop, bin, { env: env() }).outcome;
    expect(stdout).toBe("a\nb\nc\n");
  });

  test("-i: what is typed arrives at once, not at the end", async () => {
    const running = startLimpet(
      ["exec", "-i", server().address, "--", "cat"],
      { env: env(), input: "pipe" },
    );
    const { stdin } = running.child;
    stdin!.write("one\n");
    await running.says("one\n");
    stdin!.write("two\n");
    await running.says("two\n");
    stdin!.end();
    expect(await running.outcome).toMatchObject({
      code: 0,
      stdout: "one\ntwo\n",
    });
  });

  test("-i: a command that wants no more is no error", async () => {
    const line = `limpet exec -i ${server().address} -- head -c 1 </dev/zero`;
    const { bytes, code, stderr } = await startShell(line, bin, { env: env() })
      .outcome;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(bytes).toEqual(Uint8Array.of(0));
    const left = startLimpet(["exec", "-i", server().address, "--", "true"], {
      env: env(),
      input: "pipe",
    });
    // Our stdin stays open: the command's end is enough.
    expect(await left.outcome).toMatchObject({ code: 0, stderr: "" });
  });
});
