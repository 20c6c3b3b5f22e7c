import { afterEach, describe, expect, test } from "vitest";
import type { RawServeOptions, RawServerEvent } from "../core/raw/options.ts";
import { RawServer } from "../core/raw/server.ts";
import { adapter } from "./support/adapter.ts";
import { seqBytes } from "./support/bytes.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { Plain } from "./support/raw.ts";

const SEQ = seqBytes(300_000);

describe("RawServer", () => {
  const servers: RawServer[] = [];
  useLeakCheck(async () => {
    const { server, client } = await serve({});
    await client.send("echo on");
    expect(await client.text(3)).toBe("on\n");
    client.close();
    await server.close();
  });
  // Before that check: the last to be asked for is the first to be done.
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close(0);
  });

  async function serve(
    bounds: Pick<
      RawServeOptions,
      "maxStderrBytes" | "silenceMs" | "maxConnections"
    >,
  ) {
    const events: RawServerEvent[] = [];
    const server = new RawServer({
      spawner: adapter.spawner,
      environment: () => ({ PATH: "/usr/bin:/bin" }),
      onEvent: (event) => void events.push(event),
      ...bounds,
    });
    servers.push(server);
    const listener = await adapter.listen({
      kind: "tcp",
      hostname: "127.0.0.1",
      port: 0,
    });
    server.listen(listener);
    const port = Number(listener.address.split(":").at(-1));
    const client = await Plain.to(port);
    const ended = () =>
      events.find((event) => event.type === "command_ended")?.status;
    return { server, client, events, ended, port };
  }

  test("stderr over the bound ends the command, which is said", async () => {
    const { client, ended } = await serve({ maxStderrBytes: 10_000 });
    await client.send("echo out; yes >&2");
    const note = "limpet: ended, because it wrote too much stderr\n";
    const answer = await client.text(4 + 10_000 + note.length);
    expect(answer).toBe(`out\n${"y\n".repeat(5_000)}${note}`);
    expect(ended()).toMatchObject({ success: false, reason: "limit_exceeded" });
    await client.send("echo next");
    expect(await client.text(5)).toBe("next\n");
    client.close();
  });

  test("as many connections as there may be, and one more", async () => {
    const { server, client, events, port } = await serve({ maxConnections: 2 });
    await client.send("echo 1");
    expect(await client.text(2)).toBe("1\n");
    const second = await Plain.to(port);
    await second.send("echo 2");
    expect(await second.text(2)).toBe("2\n");

    const third = await Plain.to(port);
    // It may be closed before that is sent.
    third.send("echo 3 && exit").catch(() => {});
    expect(await third.rest()).toBe(
      "limpet: refused, because 2 connections are open and there may be no " +
        "more. Try again when one has ended\n",
    );
    expect(events.filter(({ session }) => session === 3)).toEqual([
      expect.objectContaining({ type: "too_many", maxConnections: 2 }),
    ]);
    expect(server.connectionCount).toBe(2);
    third.close();

    // The others go on, and a place that is free again is taken.
    await second.send("echo 2 on");
    expect(await second.text(5)).toBe("2 on\n");
    client.close();
    await eventually(() => server.connectionCount === 1, () => "it is over");
    const fourth = await Plain.to(port);
    await fourth.send("echo 4 4");
    expect(await fourth.text(4)).toBe("4 4\n");
    fourth.close();
    second.close();
  });

  test("very many too many cost no more than a few", async () => {
    const { server, client, port } = await serve({ maxConnections: 1 });
    await client.send("echo 1");
    expect(await client.text(2)).toBe("1\n");
    const many = await Promise.all(
      Array.from({ length: 20 }, () => Plain.to(port)),
    );
    await Promise.all(many.map((each) => each.ended));
    expect(server.connectionCount).toBe(1);
    await client.send("echo on on");
    expect(await client.text(6)).toBe("on on\n");
    for (const each of [client, ...many]) each.close();
  });

  test("much of both at once blocks neither", async () => {
    const { client } = await serve({});
    await client.send("seq 1 300000 >&2; seq 1 300000");
    expect(await client.take(SEQ.byteLength)).toEqual(SEQ);
    expect(await client.take(SEQ.byteLength)).toEqual(SEQ);
    client.close();
  });

  test("a client that has ended its side and hears nothing counts as gone", async () => {
    const { client, ended, server } = await serve({ silenceMs: 100 });
    await client.send("echo on; exec sleep 1000");
    expect(await client.text(3)).toBe("on\n");
    await client.end();
    await eventually(() => server.connectionCount === 0, () => "it is over");
    expect(ended()).toMatchObject({
      signal: "SIGTERM",
      reason: "disconnected",
    });
    client.close();
  });

  test("a command whose client has gone may talk while it cleans up", async () => {
    const { client, ended, server } = await serve({ silenceMs: 100 });
    await client.send(
      "trap 'echo bye; sleep 0.1; echo bye >&2; exit 3' TERM; " +
        "echo on; while :; do sleep 0.1; done",
    );
    expect(await client.text(3)).toBe("on\n");
    await client.end();
    await eventually(() => server.connectionCount === 0, () => "it is over");
    expect(ended()).toMatchObject({ code: 3, reason: "disconnected" });
    client.close();
  });

  test("one that has gone behind much that nobody took counts as gone", async () => {
    const { client, ended, server } = await serve({ silenceMs: 100 });
    await client.send("echo on; exec sleep 1000");
    expect(await client.text(3)).toBe("on\n");
    // Its end stands behind more than the server reads ahead.
    client.send(new Uint8Array(4_000_000)).catch(() => {});
    await eventually(() => server.connectionCount === 0, () => "it is over");
    expect(ended()).toMatchObject({
      signal: "SIGTERM",
      reason: "disconnected",
    });
    client.close();
  });

  test("closing ends idle connections too", async () => {
    const { client, server, events } = await serve({});
    await client.send("echo on");
    expect(await client.text(3)).toBe("on\n");
    await server.close();
    expect(await client.rest()).toBe("");
    expect(server.connectionCount).toBe(0);
    expect(events.at(-1)).toMatchObject({
      type: "disconnected",
      message: "the server is shutting down",
    });
    client.close();
  });
});
