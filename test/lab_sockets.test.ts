import { afterEach, describe, expect, test } from "vitest";
import type { LabSocket } from "../core/lab/sockets.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { labSockets } from "./support/lab.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array | null) =>
  new TextDecoder().decode(data ?? undefined);

/** Closed after the test, whatever became of it. */
const open: { close(): void }[] = [];
function own<T extends { close(): void }>(thing: T): T {
  open.push(thing);
  return thing;
}

async function pair(): Promise<{ client: LabSocket; server: LabSocket }> {
  const listener = own(await labSockets.listen(0));
  const client = own(await labSockets.dial(listener.address));
  const server = own(await listener.accept());
  listener.close();
  return { client, server };
}

const closeAll = () => open.splice(0).forEach((each) => each.close());

useLeakCheck(async () => {
  await pair();
  own(await labSockets.bindDatagrams());
  closeAll();
});
// Before that check: the last to be asked for is the first to be done.
afterEach(closeAll);

describe("TCP", () => {
  test("recv takes what it was asked for and leaves the rest", async () => {
    const { client, server } = await pair();
    expect(await server.send(bytes("0123456789"))).toBe(10);
    expect(text(await client.recv(4))).toBe("0123");
    expect(text(await client.recv(4))).toBe("4567");
    expect(text(await client.recv(4))).toBe("89");
  });

  test("recv waits, and gets what lies there, not what was asked for", async () => {
    const { client, server } = await pair();
    const waiting = client.recv(1_000);
    await server.send(bytes("abc"));
    expect(text(await waiting)).toBe("abc");
    client.setNoDelay(true);
    client.setNoDelay(false);
    await client.send(bytes("d"));
    await client.send(bytes("e"));
    let got = "";
    while (got.length < 2) got += text(await server.recv(1_000));
    expect(got).toBe("de");
  });

  test("send is partial when the kernel has no room, and goes on later", async () => {
    const { client, server } = await pair();
    const message = new Uint8Array(64 * 1_048_576).fill(7);
    const taken = await client.send(message);
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(message.byteLength);
    // With the buffers full there is nothing to send until somebody reads.
    const next = client.send(message.subarray(taken));
    let read = 0;
    while (read < taken) {
      read += (await server.recv(1_048_576))?.byteLength ?? NaN;
    }
    expect(await next).toBeGreaterThan(0);
  });

  test("an empty send sends nothing", async () => {
    const { client, server } = await pair();
    expect(await client.send(new Uint8Array(0))).toBe(0);
    await client.send(bytes("x"));
    expect(text(await server.recv(10))).toBe("x");
  });

  test("a peer that closes is the end", async () => {
    const { client, server } = await pair();
    await server.send(bytes("last"));
    server.close();
    expect(text(await client.recv(100))).toBe("last");
    expect(await client.recv(100)).toBe(null);
  });

  test("a peer that closes with bytes unread is a lost connection", async () => {
    const { client, server } = await pair();
    await server.send(bytes("never read to its end"));
    expect(text(await client.recv(5))).toBe("never");
    client.close();
    const sending = (async () => {
      for (;;) await server.send(bytes("more"));
    })();
    await expect(sending).rejects.toMatchObject({
      code: "connection_lost",
      message: expect.stringMatching(/\(E(CONNRESET|PIPE)\)$/),
    });
  });

  test("close ends what waits, and what comes after", async () => {
    const { client } = await pair();
    const waiting = client.recv(10);
    client.close();
    await expect(waiting).rejects.toMatchObject({ code: "closed" });
    await expect(client.recv(1)).rejects.toMatchObject({ code: "closed" });
    await expect(client.send(bytes("x"))).rejects
      .toMatchObject({ code: "closed" });
    client.close();
    const listener = own(await labSockets.listen(0));
    const accepting = listener.accept();
    listener.close();
    await expect(accepting).rejects.toMatchObject({ code: "closed" });
    await expect(listener.accept()).rejects.toMatchObject({ code: "closed" });
  });

  test("a port that is taken, and one where nobody listens", async () => {
    const listener = own(await labSockets.listen(0));
    const { port } = listener.address;
    await expect(labSockets.listen(port)).rejects.toMatchObject({
      code: "connection_failed",
      message: `Cannot listen on tcp://127.0.0.1:${port}: ` +
        "address already in use (EADDRINUSE). Another program has it: end " +
        "that one, or choose another port (0 takes a free one)",
    });
    listener.close();
    await expect(labSockets.dial(listener.address)).rejects.toMatchObject({
      code: "connection_failed",
      message: expect.stringContaining("connection refused (ECONNREFUSED)"),
    });
  });
});

describe("UDP", () => {
  async function two() {
    const sender = own(await labSockets.bindDatagrams());
    const receiver = own(await labSockets.bindDatagrams());
    const send = (data: Uint8Array) => sender.send(data, receiver.address);
    return { sender, receiver, send };
  }

  test("keeps boundaries, empty ones too", async () => {
    const { receiver, send } = await two();
    for (const each of ["one", "", "three"]) await send(bytes(each));
    expect(text(await receiver.receive(100))).toBe("one");
    expect(text(await receiver.receive(100))).toBe("");
    expect(text(await receiver.receive(100))).toBe("three");
  });

  test("the kernel cuts what does not fit, and the rest is gone", async () => {
    const { receiver, send } = await two();
    await send(bytes("0123456789"));
    await send(bytes("next"));
    expect(text(await receiver.receive(4))).toBe("0123");
    expect(text(await receiver.receive(100))).toBe("next");
  });

  test("the largest datagram there is, and one byte more", async () => {
    const { receiver, send } = await two();
    await send(new Uint8Array(65_507));
    expect((await receiver.receive(70_000)).byteLength).toBe(65_507);
    await expect(send(new Uint8Array(65_508))).rejects.toMatchObject({
      code: "limit_exceeded",
      message: "Cannot send a datagram of 65508 bytes: it holds 65507 at " +
        "most (EMSGSIZE); send less at once, or use TCP",
    });
    // It has not spoilt the socket.
    await send(bytes("after"));
    expect(text(await receiver.receive(100))).toBe("after");
  });

  test("close ends what waits, and what comes after", async () => {
    const { receiver, send } = await two();
    const waiting = receiver.receive(10);
    receiver.close();
    await expect(waiting).rejects.toMatchObject({ code: "closed" });
    await expect(receiver.receive(10)).rejects
      .toMatchObject({ code: "closed" });
    await expect(receiver.send(bytes("x"), receiver.address)).rejects
      .toMatchObject({ code: "closed" });
    receiver.close();
    await send(bytes("to nobody"));
  });
});
