import { connect as connectPlain, createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { describe, expect, test } from "vitest";
import { connectTo as connectSocket } from "../adapters/node/connection.ts";
import { connect } from "../core/client.ts";
import { connectTo } from "../core/dial.ts";
import { serveAt } from "../core/endpoint.ts";
import type { Duplex } from "../core/ports.ts";
import { resumable, type ResumeEvent } from "../core/resume.ts";
import { Server, type ServerEvent } from "../core/server.ts";
import { parseAddress } from "../core/target.ts";
import type { MadeCertificate } from "../core/tls/certificate.ts";
import { clientTlsError } from "../core/tls/failure.ts";
import type { TlsDialOptions } from "../core/tls/options.ts";
import { adapter } from "./support/adapter.ts";
import { authority, certificate, TRUST_ALL } from "./support/certificates.ts";
import { start } from "./support/cli.ts";
import { machine } from "./support/machine.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { type Break, proxyTo, type Tap } from "./support/proxy.ts";
import { program, THIS_RUNTIME } from "./support/runtimes.ts";
import { PLATFORM, TOKEN } from "./support/serving.ts";

interface TlsServing extends AsyncDisposable {
  readonly server: Server;
  readonly address: string;
  readonly events: ServerEvent[];
  readonly taken: Duplex[];
}

let ca: MadeCertificate;
let identity: MadeCertificate;
useLeakCheck(async () => {
  ca = await authority();
  identity = await certificate({}, ca);
  await using serving = await serve();
  await (await session(serving.address)).close();
});

async function serve(
  { clientRoots, handshakeTimeoutMs }: {
    clientRoots?: string[];
    handshakeTimeoutMs?: number;
  } = {},
): Promise<TlsServing> {
  const events: ServerEvent[] = [];
  const taken: Duplex[] = [];
  const server = new Server({
    token: TOKEN,
    platform: PLATFORM,
    environment: () => ({ PATH: "/usr/local/bin:/usr/bin:/bin" }),
    spawner: adapter.spawner,
    limits: handshakeTimeoutMs === undefined ? {} : { handshakeTimeoutMs },
    onEvent: (event) => events.push(event),
  });
  const listener = await adapter.listen(
    { kind: "tls", hostname: "127.0.0.1", port: 0 },
    { identity, clientRoots },
  );
  const listening = (async () => {
    for await (const duplex of listener) {
      taken.push(duplex);
      server.accept(duplex);
    }
  })();
  return {
    server,
    address: listener.address,
    events,
    taken,
    [Symbol.asyncDispose]: async () => {
      await listener.close();
      await server.close();
      await listening;
    },
  };
}

function session(address: string, tls: Partial<TlsDialOptions> = {}) {
  const dial = () =>
    adapter.dial(parseAddress(address), undefined, { ...TRUST_ALL, ...tls });
  return connect(dial, { token: TOKEN });
}

function turnedAway(events: ServerEvent[]) {
  return events.filter((event) => event.type === "disconnected");
}

function portOf(address: string): number {
  return Number(new URL(address).port);
}

test("a session runs commands, and both ends know the connection", async () => {
  await using serving = await serve();
  let ours: Duplex | undefined;
  const client = await connect(async () => {
    ours = await adapter.dial(
      parseAddress(serving.address),
      undefined,
      TRUST_ALL,
    );
    return ours;
  }, { token: TOKEN });
  const { stdout } = await client.output("cat", { stdin: "over TLS" });
  expect(new TextDecoder().decode(stdout)).toBe("over TLS");
  const theirs = serving.taken[0].tls;
  expect(ours?.tls?.serverCertificateHash).toHaveLength(32);
  expect(theirs?.serverCertificateHash).toEqual(
    ours?.tls?.serverCertificateHash,
  );
  expect(theirs?.clientCertificate).toBeUndefined();
  const material = ours?.tls?.exporter?.("EXPORTER-Channel-Binding", 32);
  if (THIS_RUNTIME === "deno") expect(material).toBeUndefined();
  else expect(material).toHaveLength(32);
  expect(theirs?.exporter?.("EXPORTER-Channel-Binding", 32)).toEqual(material);
  await client.close();
});

describe("a server that asks for a client's certificate", () => {
  test("lets in who has one of its authority, and knows the name", async () => {
    await using serving = await serve({ clientRoots: [ca.certificate] });
    const ann = await certificate({ commonName: "ann", names: [] }, ca);
    const client = await session(serving.address, { identity: ann });
    expect(serving.taken[0].tls?.clientCertificate).toMatchObject({
      commonName: "ann",
    });
    expect(serving.taken[0].tls?.clientCertificate?.hash).toHaveLength(32);
    await client.close();
  });

  test("turns everybody else away, whoever has the token", async () => {
    await using serving = await serve({ clientRoots: [ca.certificate] });
    await expect(session(serving.address)).rejects.toMatchObject({
      code: "unauthenticated",
      message: expect.stringContaining("only clients that have a certificate"),
    });
    const stranger = await certificate({ commonName: "ann", names: [] });
    const late = await certificate({
      commonName: "ann",
      names: [],
      notAfter: new Date(Date.now() - 3_600_000),
    }, ca);
    // No runtime's server says why; so the client says what is most likely.
    for (const wrong of [stranger, late]) {
      await expect(session(serving.address, { identity: wrong })).rejects
        .toMatchObject({
          code: "connection_failed",
          message: expect.stringMatching(
            /hung up when it had our certificate, which it most likely does not/,
          ),
        });
    }
    await eventually(
      () => turnedAway(serving.events).length === 3,
      () => JSON.stringify(serving.events),
    );
    for (const event of turnedAway(serving.events)) {
      expect(event).toMatchObject({
        code: "unauthenticated",
        authenticated: false,
      });
    }
    const [, unknown, expired] = turnedAway(serving.events);
    expect(unknown.message).toMatch(
      /^Peer's client certificate was not accepted: no authority that is trusted/,
    );
    expect(expired.message).toMatch(/ was not accepted: .*it has expired$/);
    expect(serving.events.some(({ type }) => type === "authenticated"))
      .toBe(false);
    expect(serving.taken.map(({ tls }) => tls?.clientCertificate))
      .toEqual([undefined, undefined, undefined]);
  });
});

describe("a session of a client with a certificate goes on", () => {
  test.each<Break>(["reset", "close"])(
    "when ways back are cut right after their handshakes by %s",
    async (how) => {
      await using serving = await serve({ clientRoots: [ca.certificate] });
      const ann = await certificate({ commonName: "ann", names: [] }, ca);
      let cuts = 0;
      /** What a client says after the server's flight is the end of its own. */
      const cutting = (): Tap => {
        let isAnswered = false;
        return {
          server: () => isAnswered = true,
          client: () => {
            if (!isAnswered || cuts === 0) return;
            cuts--;
            proxy.cut(how);
          },
        };
      };
      await using proxy = await proxyTo(portOf(serving.address), cutting);
      const target = parseAddress(`tls://127.0.0.1:${proxy.port}`);
      const tls = { ...TRUST_ALL, identity: ann };
      const events: ResumeEvent[] = [];
      const client = await connect(
        (signal) => adapter.dial(target, signal, tls),
        {
          token: TOKEN,
          resume: resumable({
            random: () => 0,
            onEvent: (event) => events.push(event),
          }),
        },
      );
      cuts = 3;
      proxy.cut("reset");
      await eventually(
        () => events.length === 2 || client.over,
        () => JSON.stringify(events),
      );
      expect(events[1]).toMatchObject({ type: "resumed", attempt: 4 });
      expect(cuts).toBe(0);
      expect(await client.output("true")).toMatchObject({ code: 0 });
      await client.close();
    },
  );
});

/** A server that turns away everybody at once, in a process of its own. */
const REFUSING = `
const { createServer } = require("node:tls");
const { cert, key, ca } = JSON.parse(process.argv[1]);
const server = createServer(
  { cert, key, ca, minVersion: "TLSv1.3", requestCert: true },
).listen(0, "127.0.0.1", () => console.log(server.address().port));
server.on("tlsClientError", () => {});
`;

test("who has no certificate hears of it, however soon the server says it", async () => {
  const { certificate: cert, key } = identity;
  const server = start([
    program("node"),
    "-e",
    REFUSING,
    JSON.stringify({ cert, key, ca: ca.certificate }),
  ]);
  await server.says("\n");
  const address = `tls://127.0.0.1:${server.stdout().trim()}`;
  try {
    // It answers while we still look at its own certificate, or a little later.
    for (let i = 0; i < 30; i++) {
      await expect(session(address)).rejects.toMatchObject({
        code: "unauthenticated",
        message: expect.stringContaining(
          "only clients that have a certificate",
        ),
      });
    }
  } finally {
    server.kill("SIGKILL");
    await server.outcome;
  }
});

test("a server that hangs up without a word is told of as it is", async () => {
  const { certificate: cert, key } = identity;
  const silent = createTlsServer({ cert, key }, (socket) => {
    socket.on("error", () => {}).resume().end();
  });
  await new Promise<void>((done) => silent.listen(0, "127.0.0.1", done));
  const { port } = silent.address() as { port: number };
  await expect(session(`tls://127.0.0.1:${port}`)).rejects.toMatchObject({
    code: "connection_failed",
    message: `tls://127.0.0.1:${port} hung up before it said anything: ` +
      "perhaps the connection was cut on the way, or the server is full, keeps " +
      "this address out for a while, or lets in only clients that have a " +
      "certificate (--cert and --key)",
  });
  await new Promise((done) => silent.close(done));
});

test("what cannot be used for TLS is refused before anything connects", async () => {
  await using serving = await serve();
  const other = await certificate({}, ca);
  const { certificate: shown } = identity;
  const broken =
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  for (
    const [tls, why] of [
      [
        { identity: { certificate: shown, key: other.key } },
        "the private key is that of another certificate",
      ],
      [
        { identity: { certificate: broken, key: other.key } },
        "the certificate cannot be read",
      ],
      [
        { roots: [broken] },
        "a certificate of the server's authority cannot be read",
      ],
    ] as const
  ) {
    await expect(session(serving.address, tls)).rejects.toMatchObject({
      code: "invalid_argument",
      message: `Cannot be used for TLS: ${why}`,
    });
  }
  expect(serving.taken).toEqual([]);
});

test("what is thrown when a connection is there rejects, and drops it", async () => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as { port: number };
  const ended = new Promise<void>((resolve) =>
    server.once("connection", (socket) => {
      socket.on("error", () => {}).once("close", () => resolve()).resume();
    })
  );
  const target = { kind: "tcp", hostname: "127.0.0.1", port } as const;
  const failing = connectSocket(target, () => {
    throw new Error("no such thing");
  });
  await expect(failing).rejects.toMatchObject({
    code: "connection_failed",
    message: expect.stringContaining("no such thing"),
  });
  await ended;
  await new Promise((done) => server.close(done));
});

describe("what connects and does no TLS", () => {
  test("counts, and meets the handshake's deadline", async () => {
    await using serving = await serve({ handshakeTimeoutMs: 300 });
    // One says nothing, the other half of a ClientHello's header.
    const sockets = [new Uint8Array(0), Uint8Array.of(22, 3, 1)].map(
      (bytes) => {
        const socket = connectPlain(portOf(serving.address), "127.0.0.1");
        socket.on("error", () => {}).write(bytes);
        return socket;
      },
    );
    await eventually(
      () => turnedAway(serving.events).length === 2,
      () => JSON.stringify(serving.events),
    );
    expect(serving.events.filter(({ type }) => type === "connected"))
      .toHaveLength(2);
    for (const event of turnedAway(serving.events)) {
      expect(event).toMatchObject({ code: "timed_out", authenticated: false });
    }
    expect(serving.server.connectionCount).toBe(0);
    await eventually(
      () => sockets.every((socket) => socket.destroyed),
      () => "a connection is still open",
    );
  });

  test("is recognised, and a plain client hears what to do", async () => {
    await using serving = await serve();
    // By the name that it was dialled by, which its certificate may have.
    const named = serving.address.replace("127.0.0.1", "localhost");
    for (const address of [serving.address, named]) {
      const plain = address.replace("tls:", "tcp:");
      await expect(connectTo(machine, plain, { token: TOKEN })).rejects
        .toMatchObject({
          code: "protocol_error",
          message: "Peer does not speak Limpet: it sent a TLS alert: connect " +
            `to ${address}`,
        });
    }
    await eventually(
      () => turnedAway(serving.events).length === 2,
      () => JSON.stringify(serving.events),
    );
    expect(turnedAway(serving.events)[0]).toMatchObject({
      code: "protocol_error",
      message: "Peer does not speak TLS",
    });
  });
});

test("a client that speaks TLS to a server without hears what to do", async () => {
  await using serving = await serveAt(machine, "tcp://127.0.0.1:0", {
    token: TOKEN,
  });
  const address = serving.address.replace("tcp:", "tls:");
  await expect(session(address)).rejects.toMatchObject({
    code: "connection_failed",
    message: `Cannot connect to ${address}: it hung up instead of a TLS ` +
      `handshake. A Limpet server without encryption is ${serving.address}; ` +
      "one that is full, or keeps this address out for a while after attempts " +
      "that failed, hangs up as well",
  });
});

test.each([
  [
    "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
    ": no authority that is trusted for it has",
  ],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", ": it has expired; give one"],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED", ": it has been revoked; give"],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "accept our certificate; give one"],
])(
  "what a server of another kind says of our certificate: %s",
  (code, words) => {
    const error = clientTlsError("tls://box:8090", { code, cause: null });
    expect(error).toMatchObject({
      code: "unauthenticated",
      message: expect.stringContaining(words),
    });
  },
);

test("a connection cut off without TLS's own end is a loss", async () => {
  await using serving = await serve();
  // What an attacker in between can do without any key: end both sides of TCP.
  const links: [Socket, Socket][] = [];
  const relay = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connectPlain({
      port: portOf(serving.address),
      host: "127.0.0.1",
      allowHalfOpen: true,
    });
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      from.on("error", () => {}).on("data", (chunk) => to.write(chunk));
      from.on("end", () => to.end());
    }
    links.push([client, upstream]);
  });
  await new Promise<void>((done) => relay.listen(0, "127.0.0.1", done));
  const { port } = relay.address() as { port: number };
  const client = await session(`tls://127.0.0.1:${port}`);
  const child = client.spawn("cat", { stdin: "piped" });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode("half of it"));
  const reader = child.stdout.getReader();
  await reader.read();
  for (const socket of links.flat()) socket.end();
  await expect(child.status).rejects.toMatchObject({ code: "connection_lost" });
  await expect(reader.read()).rejects.toMatchObject({
    code: "connection_lost",
  });
  await expect(writer.closed).rejects.toBeDefined();
  await eventually(
    () => turnedAway(serving.events).length === 1,
    () => JSON.stringify(serving.events),
  );
  expect(turnedAway(serving.events)[0].code).not.toBe("closed");
  await client.close();
  for (const socket of links.flat()) socket.destroy();
  relay.close();
});

/**
 * Two connections from one port, to two addresses of the same server. The first
 * to come is the last to be encrypted.
 */
const FROM_ONE_PORT = `
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
local = None
plain = []
for to in ("127.0.0.1", "127.0.0.2"):
    each = socket.socket()
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    each.bind(local or ("127.0.0.1", 0))
    local = each.getsockname()
    each.connect((to, int(sys.argv[1])))
    plain.append(each)
for number in (1, 0):
    secure = context.wrap_socket(plain[number])
    secure.sendall(str(number).encode())
    plain[number] = secure
for secure in plain:
    secure.recv(1)
`;

test("two connections from one port to two addresses are told apart", async () => {
  const listener = await adapter.listen(
    { kind: "tls", hostname: "0.0.0.0", port: 0 },
    { identity },
  );
  const { outcome } = start([
    "python3",
    "-c",
    FROM_ONE_PORT,
    String(portOf(listener.address)),
  ]);
  const connections = listener[Symbol.asyncIterator]();
  const taken: Duplex[] = [];
  for (let i = 0; i < 2; i++) taken.push((await connections.next()).value);
  const said: string[] = [];
  for (const { readable, writable } of taken) {
    const reader = readable.getReader();
    said.push(new TextDecoder().decode((await reader.read()).value));
    const writer = writable.getWriter();
    await writer.write(new Uint8Array(1));
    await Promise.allSettled([reader.cancel(), writer.close()]);
  }
  expect(said).toEqual(["0", "1"]);
  expect(await outcome).toMatchObject({ code: 0 });
  expect(taken[0].peer).toBe(taken[1].peer);
  await listener.close();
});
