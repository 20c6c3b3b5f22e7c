import { createServer, type Server, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import type { Duplex } from "../core/ports.ts";
import { parseAddress } from "../core/target.ts";
import { adapter } from "./support/adapter.ts";
import { concat, seqBytes } from "./support/bytes.ts";
import { selfSigned, TRUST_ALL } from "./support/certificates.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { useLeakCheck } from "./support/leak_check.ts";

useLeakCheck(async () => {
  await using serving = await saying((socket) => socket.end("hello"));
  const duplex = await serving.dial();
  await readToEnd(duplex);
  await duplex.writable.close();
});

interface Saying extends AsyncDisposable {
  dial(): Promise<Duplex>;
}

/** A TLS server of Node's that says something as soon as it can. */
async function saying(speak: (socket: TLSSocket) => void): Promise<Saying> {
  const { certificate: cert, key } = await selfSigned();
  const sockets: TLSSocket[] = [];
  const server: Server = createServer({ cert, key, allowHalfOpen: true });
  server.on("secureConnection", (socket) => {
    sockets.push(socket);
    socket.on("error", () => {}).resume();
    speak(socket);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as { port: number };
  const address = parseAddress(`tls://127.0.0.1:${port}`);
  return {
    dial: () => adapter.dial(address, undefined, TRUST_ALL),
    async [Symbol.asyncDispose]() {
      sockets.forEach((socket) => socket.destroy());
      await new Promise((done) => server.close(done));
    },
  };
}

async function readToEnd(
  { readable }: Duplex,
  pause = async () => {},
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readable) {
    chunks.push(chunk);
    await pause();
  }
  return concat(chunks);
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("connections that are read at the same time keep what is theirs", async () => {
  let count = 0;
  const said = Array.from({ length: 4 }, (_, i) => seqBytes(200_000 + i));
  await using serving = await saying((socket) => {
    // In writes that are no multiple of a record.
    const bytes = said[count++];
    for (let at = 0; at < bytes.length; at += 50_001) {
      socket.write(bytes.subarray(at, at + 50_001));
    }
    socket.end();
  });
  const duplexes: Duplex[] = [];
  // One after the other: which is which.
  for (const _ of said) duplexes.push(await serving.dial());
  const heard = await Promise.all(
    duplexes.map((duplex, i) => readToEnd(duplex, i % 2 ? turn : undefined)),
  );
  heard.forEach((bytes, i) => expect(bytes).toEqual(said[i]));
  await Promise.all(duplexes.map(({ writable }) => writable.close()));
});

test("what nobody reads yet waits at the server, and none of it is lost", async () => {
  const chunk = new Uint8Array(1_000_000);
  let taken = 0;
  const speak = (socket: TLSSocket) => {
    if (taken === 64 * chunk.length) return void socket.end();
    chunk.fill(taken / chunk.length);
    socket.write(chunk.slice(), () => {
      taken += chunk.length;
      speak(socket);
    });
  };
  await using serving = await saying(speak);
  const duplex = await serving.dial();
  const reader = duplex.readable.getReader();
  const first = await reader.read();
  // It has stopped if many turns bring nothing more.
  let quiet = 0;
  for (let before = -1; quiet < 2_000; before = taken) {
    quiet = before === taken ? quiet + 1 : 0;
    await turn();
  }
  // What the two kernels take in between is some MB.
  expect(taken).toBeLessThan(32 * chunk.length);
  let bytes = first.value!.length;
  let sum = first.value!.reduce((a, b) => a + b, 0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    sum += value.reduce((a, b) => a + b, 0);
  }
  expect(bytes).toBe(64 * chunk.length);
  expect(sum).toBe(chunk.length * (63 * 64 / 2));
  await duplex.writable.close();
});

test("an end that comes with the handshake is one", async () => {
  await using serving = await saying((socket) => socket.end("bye"));
  for (let i = 0; i < 10; i++) {
    const duplex = await serving.dial();
    // Whether it is there by then or not.
    for (let turns = 0; turns < i * 10; turns++) await turn();
    expect(new TextDecoder().decode(await readToEnd(duplex))).toBe("bye");
    await duplex.writable.close();
  }
});

test("what a reader is over with is gone at once on Deno, and nothing else is", async () => {
  const said = seqBytes(3_000_000);
  await using serving = await saying((socket) => socket.end(said));
  const duplex = await serving.dial();
  const reader = duplex.getReader!();
  let at = 0;
  let last: Uint8Array | undefined;
  let gone = 0;
  for (let isOver = false;; isOver = !isOver) {
    const { done, value } = await reader.read(isOver);
    if (last?.byteLength === 0) {
      expect(isOver).toBe(true);
      gone++;
    }
    if (done) break;
    expect(value).toEqual(said.subarray(at, at += value.byteLength));
    last = value;
  }
  expect(at).toBe(said.byteLength);
  expect(gone > 0).toBe(THIS_RUNTIME === "deno");
  await duplex.end!();
});
