import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Duplex, Listener, SocketTarget } from "../core/ports.ts";
import { parseAddress } from "../core/target.ts";
import { adapter } from "./support/adapter.ts";
import { chunksOf, digest, receive, textOf } from "./support/bytes.ts";
import { selfSigned, TRUST_ALL } from "./support/certificates.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { descriptors, eventually } from "./support/leaks.ts";

const identity = await selfSigned();

const dial = (target: SocketTarget, signal?: AbortSignal) =>
  adapter.dial(target, signal, TRUST_ALL);
const listen = (target: SocketTarget) => adapter.listen(target, { identity });

const folder = mkdtempSync(join(tmpdir(), "limpet-socket-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LOOPBACK = { kind: "tcp", hostname: "127.0.0.1", port: 0 } as const;
let sockets = 0;

/** A path that no other test uses. */
function path(): string {
  return join(folder, `${sockets++}.sock`);
}

const KINDS = ["tcp", "unix", "tls"] as const;
type Kind = typeof KINDS[number];

function target(kind: Kind): SocketTarget {
  return kind === "unix" ? { kind, path: path() } : { ...LOOPBACK, kind };
}

async function accepted(listener: Listener): Promise<Duplex> {
  const { done, value } = await listener[Symbol.asyncIterator]().next();
  if (done) throw new Error("The listener is closed");
  return value;
}

/** Both ends of a connection. */
async function pair(kind: Kind): Promise<[Duplex, Duplex]> {
  const listener = await listen(target(kind));
  const ends = await Promise.all([
    dial(parseAddress(listener.address)),
    accepted(listener),
  ]);
  await listener.close();
  return ends;
}

function drop({ readable, writable }: Duplex): void {
  readable.cancel().catch(() => {});
  writable.abort().catch(() => {});
}

/** Pieces of many sizes whose bytes differ from place to place. */
function* pieces(total: number): Generator<Uint8Array> {
  let state = 1;
  for (let sent = 0; sent < total;) {
    state = (state * 48_271) % 2_147_483_647;
    const piece = new Uint8Array(1 + state % 150_000);
    for (let i = 0; i < piece.length; i += 1 + i % 7) {
      piece[i] = state >> i % 23;
    }
    sent += piece.length;
    yield piece;
  }
}

/** In the place of `WritableStream` where none is to be made. */
const forbidden = class extends WritableStream {
  constructor() {
    super();
    throw new Error("A WritableStream was made");
  }
};

const failure = { name: "LimpetError", code: "connection_lost" };

// Runtimes open descriptors of their own at the first use of this and that.
useLeakCheck(async () => {
  for (const kind of KINDS) {
    for (const end of await pair(kind)) drop(end);
  }
  // Bun opens an event loop for what it waits for, once.
  execFileSync("true");
});

describe.each(KINDS)("a %s connection", (kind) => {
  test("carries bytes unchanged both ways at once", async () => {
    const [a, b] = await pair(kind);
    // Many times what all buffers in between hold.
    const total = (kind === "tls" ? 8 : 16) * 1024 * 1024;
    const gathered = async (end: Duplex) => {
      const writer = end.writable.getWriter();
      const batch: Uint8Array[] = [];
      for (const piece of pieces(total)) {
        batch.push(new Uint8Array(0), piece);
        if (batch.length % 6 === 0) await end.writev?.(batch.splice(0));
      }
      await end.writev?.(batch);
      await writer.close();
    };
    const oneByOne = async ({ writable }: Duplex) => {
      const writer = writable.getWriter();
      for (const piece of pieces(total)) await writer.write(piece);
      await writer.close();
    };
    expect(a.writev).toBeDefined();
    const [sent, atA, atB] = await Promise.all([
      digest(pieces(total)),
      digest(chunksOf(a.readable)),
      digest(chunksOf(b.readable)),
      gathered(a),
      oneByOne(b),
    ]);
    expect(atB).toEqual(sent);
    expect(atA).toEqual(sent);
  });

  test("batches of any size come as they were written", async () => {
    const [a, b] = await pair(kind);
    // Small ones are copied, on each runtime up to another size.
    const sizes = [4_096, 65_536, 262_144].flatMap((size) => [
      [1, size - 2],
      [1, size - 1],
      [1, size],
      [0, size, 0],
      [size + 1],
    ]);
    const text = textOf(b.readable);
    let sent = "";
    for (const [i, batch] of sizes.entries()) {
      const letter = String.fromCharCode(97 + i);
      const chunks = batch.map((size) => new Uint8Array(size).fill(97 + i));
      await a.writev!(chunks);
      for (const chunk of chunks) chunk.fill(0);
      for (const size of batch) sent += letter.repeat(size);
    }
    // Over TLS on Deno a client's end goes out once the server has said something.
    await b.writev!([Uint8Array.of(65)]);
    await a.writable.close();
    expect(await text === sent).toBe(true);
    await b.writable.close();
    expect(await textOf(a.readable)).toBe("A");
  });

  test("gives out chunks that are plain and never change again", async () => {
    const [a, b] = await pair(kind);
    const writer = a.writable.getWriter();
    const writing = (async () => {
      for (const piece of pieces(8_000_000)) await writer.write(piece);
      await writer.close();
    })();
    const kept: Uint8Array[] = [];
    const copies: Uint8Array[] = [];
    for await (const chunk of chunksOf(b.readable)) {
      kept.push(chunk);
      copies.push(Uint8Array.from(chunk));
    }
    await writing;
    await b.writable.close();
    await receive(a.readable);
    expect(kept.length).toBeGreaterThan(1);
    for (const [i, chunk] of kept.entries()) {
      // Not Node's Buffer, whose slice shares memory.
      expect(Object.getPrototypeOf(chunk)).toBe(Uint8Array.prototype);
      expect(digestOf(chunk)).toEqual(digestOf(copies[i]));
    }
  });

  test("ends each side on its own, and is closed after both", async () => {
    const [a, b] = await pair(kind);
    await a.writable.close();
    expect(await textOf(b.readable)).toBe("");
    const writer = b.writable.getWriter();
    await writer.write(new TextEncoder().encode("after your end"));
    await writer.close();
    expect(await textOf(a.readable)).toBe("after your end");
  });

  test("ends each side without a stream that has to be made for it", async () => {
    const [a, b] = await pair(kind);
    const { WritableStream } = globalThis;
    globalThis.WritableStream = forbidden;
    try {
      await a.end!();
      expect(await textOf(b.readable)).toBe("");
      await b.writev!([new TextEncoder().encode("after your end")]);
      await b.end!();
      expect(await textOf(a.readable)).toBe("after your end");
    } finally {
      globalThis.WritableStream = WritableStream;
    }
  });

  test("is read as core reads it: when there is something, to the end, and no more once it is cancelled", async () => {
    const [a, b] = await pair(kind);
    const readerOf = (end: Duplex) =>
      end.getReader?.() ?? end.readable.getReader();
    const [atA, atB] = [readerOf(a), readerOf(b)];
    const waiting = atB.read();
    await a.writev!([Uint8Array.of(1), Uint8Array.of(2)]);
    const came = [...(await waiting).value!];
    if (came.length < 2) came.push(...(await atB.read()).value!);
    expect(came).toEqual([1, 2]);
    await a.end!();
    const over = { done: true, value: undefined };
    expect([await atB.read(), await atB.read()]).toEqual([over, over]);
    const cancelled = atA.read();
    await atA.cancel();
    expect([await cancelled, await atA.read()]).toEqual([over, over]);
    drop(a);
    drop(b);
  });

  test("gives nothing to a reader that has cancelled it, whatever has come", async () => {
    const [a, b] = await pair(kind);
    const readerOf = (end: Duplex) =>
      end.getReader?.() ?? end.readable.getReader();
    const reader = readerOf(b);
    const first = reader.read();
    await a.writev!([Uint8Array.of(1)]);
    await first;
    await a.writev!([Uint8Array.of(2)]);
    await a.end!();
    const atA = readerOf(a);
    // Once the answer is here, what was sent before it has come.
    await b.writev!([Uint8Array.of(3)]);
    await atA.read();
    await reader.cancel();
    expect(await reader.read()).toEqual({ done: true, value: undefined });
    drop(a);
    drop(b);
  });

  test("makes the writer wait for the reader", async () => {
    const [a, b] = await pair(kind);
    const writer = a.writable.getWriter();
    const chunk = new Uint8Array(65_536);
    const total = 1024;
    let taken = 0;
    const writing = (async () => {
      for (; taken < total; taken++) await writer.write(chunk);
      await writer.close();
    })();
    // As far as it gets: until nothing was taken for a while.
    let before = -1;
    await eventually(() => {
      const stopped = taken === before;
      before = taken;
      return stopped && taken > 0;
    }, () => `${taken} chunks and still writing`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    // What the kernel's two buffers hold is not ours to decide.
    expect(taken).toBeLessThan(total / 4);
    const { bytes } = await digest(chunksOf(b.readable));
    expect(bytes).toBe(total * chunk.byteLength);
    await writing;
    await b.writable.close();
    await receive(a.readable);
  });

  test("fails on both sides when the peer drops it", async () => {
    const [a, b] = await pair(kind);
    const writer = a.writable.getWriter();
    const chunk = new Uint8Array(1 << 20);
    const writing = (async () => {
      for (;;) await writer.write(chunk);
    })();
    const reader = b.readable.getReader();
    await reader.read();
    reader.releaseLock();
    drop(b);
    await expect(writing).rejects.toMatchObject(failure);
    await expect(writer.closed).rejects.toMatchObject(failure);
    await expect(a.writev?.([chunk])).rejects.toMatchObject(failure);
    drop(a);
  });

  test.each(["write", "writev"] as const)(
    "drops a blocked %s at once when it is aborted",
    async (how) => {
      const [a, b] = await pair(kind);
      const before = descriptors().length;
      const writer = a.writable.getWriter();
      const chunk = new Uint8Array((kind === "tls" ? 16 : 64) << 20);
      const writing = how === "write"
        ? writer.write(chunk)
        : a.writev?.([chunk]);
      writing?.catch(() => {});
      // The first bytes are on their way, and most never will be.
      const reader = b.readable.getReader();
      await reader.read();
      reader.releaseLock();
      const cancelled = a.readable.cancel();
      const aborted = writer.abort(new Error("Enough"));
      await expect(writing).rejects.toBeDefined();
      await Promise.all([cancelled, aborted]);
      await eventually(
        () => descriptors().length < before,
        () => "the descriptor is still open",
      );
      const { bytes } = await receive(b.readable);
      expect(bytes.byteLength).toBeLessThan(chunk.byteLength);
      drop(b);
    },
  );

  test("is closed by abort then cancel, cancel then close, close then cancel", async () => {
    const abortFirst = await pair(kind);
    await abortFirst[0].writable.abort();
    await abortFirst[0].readable.cancel();
    await receive(abortFirst[1].readable);
    drop(abortFirst[1]);

    const cancelFirst = await pair(kind);
    await cancelFirst[0].readable.cancel();
    await cancelFirst[0].writable.close();
    expect(await textOf(cancelFirst[1].readable)).toBe("");
    drop(cancelFirst[1]);

    const closeFirst = await pair(kind);
    await closeFirst[0].writable.close();
    await closeFirst[0].readable.cancel();
    expect(await textOf(closeFirst[1].readable)).toBe("");
    drop(closeFirst[1]);
  });

  test("dialled with a signal is not opened, or closed again", async () => {
    const listener = await listen(target(kind));
    const where = parseAddress(listener.address);
    const reason = new Error("Changed my mind");
    await expect(dial(where, AbortSignal.abort(reason))).rejects.toBe(reason);
    const late = new AbortController();
    const dialling = dial(where, late.signal);
    late.abort(reason);
    await expect(dialling).rejects.toBe(reason);
    await listener.close();
  });

  test("that is given up just as it comes to be leaves nothing", async () => {
    const listener = await listen(target(kind));
    const serving = (async () => {
      for await (const end of listener) drop(end);
    })();
    const where = parseAddress(listener.address);
    let given = 0;
    for (let i = 0; i < (kind === "tls" ? 50 : 1_000); i++) {
      const stop = new AbortController();
      const dialling = dial(where, stop.signal);
      const enough = () => stop.abort(new Error("Enough"));
      // On a busy machine everything may be there before the first timer fires.
      if (i % 10 === 0) enough();
      else setTimeout(enough);
      // The kernel is done meanwhile, and whoever waits for it does not know yet.
      const until = performance.now() + Math.random() * 0.4;
      while (performance.now() < until);
      await dialling.then(drop, () => given++);
    }
    expect(given).toBeGreaterThan(0);
    await listener.close();
    await serving;
  });

  test("outlives its listener; one that nobody took does not", async () => {
    const listener = await listen(target(kind));
    const where = parseAddress(listener.address);
    const connections = listener[Symbol.asyncIterator]();
    const first = connections.next();
    const [client, server] = [await dial(where), (await first).value];
    const untaken = await dial(where);
    const next = connections.next();
    // Taken by the pending call or never; in no case left hanging.
    await listener.close();
    await listener.close();
    const { value } = await next;
    if (value !== undefined) drop(value);
    await receive(untaken.readable);
    drop(untaken);
    expect((await connections.next()).done).toBe(true);
    await expect(dial(where)).rejects.toMatchObject({
      code: "connection_failed",
    });
    await client.writable.close();
    expect(await textOf(server.readable)).toBe("");
    await server.writable.close();
    await receive(client.readable);
  });
});

describe("addresses", () => {
  test("tell the real port, and where the peer is", async () => {
    const listener = await listen(LOOPBACK);
    expect(listener.address).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/);
    const [client, server] = await Promise.all([
      dial(parseAddress(listener.address)),
      accepted(listener),
    ]);
    expect(`tcp://${client.peer}`).toBe(listener.address);
    expect(server.peer).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    await listener.close();
    drop(client);
    drop(server);
  });

  test("of IPv6 stand in brackets", async (context) => {
    const listener = await listen({ kind: "tcp", hostname: "::1", port: 0 })
      .catch(() => null);
    if (listener === null) return context.skip();
    expect(listener.address).toMatch(/^tcp:\/\/\[::1\]:[1-9]\d*$/);
    const [client, server] = await Promise.all([
      dial(parseAddress(listener.address)),
      accepted(listener),
    ]);
    expect(`tcp://${client.peer}`).toBe(listener.address);
    await listener.close();
    drop(client);
    drop(server);
  });

  test("that cannot be reached are named, with the reason", async () => {
    const listener = await listen(LOOPBACK);
    const closed = parseAddress(listener.address);
    await listener.close();
    const nowhere = join(folder, "nowhere.sock");
    const cases: [SocketTarget, string][] = [
      [
        closed,
        `${listener.address}: connection refused (ECONNREFUSED). Nothing listens there`,
      ],
      [
        { kind: "tcp", hostname: "no-such-host.invalid", port: 1 },
        "tcp://no-such-host.invalid:1: ",
      ],
      [
        { kind: "unix", path: nowhere },
        `unix:${nowhere}: no such file (ENOENT)`,
      ],
    ];
    for (const [where, message] of cases) {
      const error = await dial(where).then(() => null, (thrown) => thrown);
      expect(error).toMatchObject({
        name: "LimpetError",
        code: "connection_failed",
      });
      expect(error.message).toContain(`Cannot connect to ${message}`);
    }
  });

  test("that cannot be listened on are named, with the reason", async () => {
    const listener = await listen(LOOPBACK);
    const cases: [SocketTarget, string][] = [
      [
        parseAddress(listener.address),
        `${listener.address}: address already in use (EADDRINUSE)`,
      ],
      // From the range for documentation: no machine has it.
      [
        { kind: "tcp", hostname: "192.0.2.1", port: 0 },
        "tcp://192.0.2.1:0: address not available on this machine " +
        "(EADDRNOTAVAIL)",
      ],
      [
        { kind: "unix", path: join(folder, "none", "x.sock") },
        "x.sock: no such file (ENOENT)",
      ],
    ];
    for (const [where, message] of cases) {
      const error = await listen(where).then(() => null, (thrown) => thrown);
      expect(error).toMatchObject({
        name: "LimpetError",
        code: "connection_failed",
      });
      expect(error.message).toContain("Cannot listen on ");
      expect(error.message).toContain(message);
    }
    await listener.close();
  });
});

describe("a Unix socket's file", () => {
  test("is its owner's alone, and goes with the listener", async () => {
    const where = target("unix") as SocketTarget & { kind: "unix" };
    const listener = await listen(where);
    expect(listener.address).toBe(`unix:${where.path}`);
    expect(statSync(where.path).mode & 0o777).toBe(0o600);
    await listener.close();
    await eventually(() => !existsSync(where.path), () => "it is still there");
  });

  test("is replaced if nobody answers on it, and only then", async () => {
    const first = path();
    const second = path();
    const listener = await listen({ kind: "unix", path: first });
    // The same socket under a name that is left behind when it is closed.
    linkSync(first, second);
    const again = () => listen({ kind: "unix", path: second });
    await expect(again()).rejects.toMatchObject({
      code: "connection_failed",
      message: `Cannot listen on unix:${second}: address already in use ` +
        "(EADDRINUSE). Another program has it: end that one, or choose another " +
        "path",
    });
    // What asked whether somebody is there is a connection too.
    drop(await accepted(listener));
    const connection = await dial({ kind: "unix", path: second });
    drop(await accepted(listener));
    drop(connection);
    await listener.close();
    await eventually(() => !existsSync(first), () => "it is still there");
    const replacement = await again();
    const [client, server] = await Promise.all([
      dial({ kind: "unix", path: second }),
      accepted(replacement),
    ]);
    await replacement.close();
    drop(client);
    drop(server);
  });

  test("never replaces what is no socket", async () => {
    const precious = path();
    writeFileSync(precious, "precious");
    chmodSync(precious, 0o644);
    await expect(listen({ kind: "unix", path: precious })).rejects
      .toMatchObject({
        code: "connection_failed",
        message: `Cannot listen on unix:${precious}: there is a file that is ` +
          "not a socket (ENOTSOCK)",
      });
    expect(readFileSync(precious, "utf8")).toBe("precious");
    expect(statSync(precious).mode & 0o777).toBe(0o644);
  });
});

/** A short checksum, so that a difference is shown as two numbers. */
function digestOf(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum = (sum * 31 + byte) | 0;
  return sum;
}

/** Resets one connection at once; says the port of another, which ends well. */
const RESET = `
import socket, struct, sys
here = ("127.0.0.1", int(sys.argv[1]))
each = socket.create_connection(here)
each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
each.close()
print(socket.create_connection(here).getsockname()[1])
`;

test.each(["tcp", "tls"] as const)(
  "who resets a %s connection before it is accepted is not taken for a Unix socket",
  async (kind) => {
    const listener = await listen(target(kind));
    const { port } = new URL(listener.address);
    // We stand still meanwhile, so that it has gone when we come to it.
    const last = execFileSync("python3", ["-c", RESET, port], {
      encoding: "utf8",
    });
    const peers: string[] = [];
    while (peers.at(-1) !== `127.0.0.1:${last.trim()}`) {
      const { peer, readable, writable } = await accepted(listener);
      peers.push(peer ?? "");
      await Promise.allSettled([readable.cancel(), writable.abort()]);
    }
    // Some are given out without an address, some not at all.
    expect(peers.length).toBeLessThanOrEqual(2);
    expect(peers[0]).toMatch(/^(unknown|127\.0\.0\.1:\d+)$/);
    await listener.close();
  },
);

test("a TLS handshake that fails is none of a reader's who has cancelled", async () => {
  const listener = await listen({ ...LOOPBACK, kind: "tls" });
  const { port } = parseAddress(listener.address) as { port: number };
  const [stranger, end] = await Promise.all([
    dial({ ...LOOPBACK, port }),
    accepted(listener),
  ]);
  await listener.close();
  const reader = end.getReader?.() ?? end.readable.getReader();
  await reader.cancel();
  await stranger.writev!([new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")]);
  // It hangs up on one who does not speak TLS, with an alert or a reset.
  await textOf(stranger.readable).catch(() => {});
  expect(await reader.read()).toEqual({ done: true, value: undefined });
  drop(end);
  drop(stranger);
});

test("who comes by a Unix socket is known as that", async () => {
  const [client, server] = await pair("unix");
  expect([client.peer, server.peer]).toEqual(["unix", "unix"]);
  for (const { readable, writable } of [client, server]) {
    await Promise.allSettled([readable.cancel(), writable.abort()]);
  }
});
