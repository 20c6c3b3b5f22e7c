import process from "node:process";
import { describe, expect, test } from "vitest";
import { Identities, type KnownIdentity } from "../core/auth/identities.ts";
import { KeyCredential } from "../core/auth/key_credential.ts";
import { KeyPair, makeKeyPair } from "../core/auth/key_pair.ts";
import { connect, type ConnectOptions } from "../core/client.ts";
import { deferred } from "../core/deferred.ts";
import { LimpetError } from "../core/errors.ts";
import type { Duplex, TlsInfo } from "../core/ports.ts";
import { Server, type ServerEvent } from "../core/server.ts";
import { pair, recorded, type Recording } from "./support/faults.ts";
import { join } from "./support/frames.ts";
import { holdTimers } from "./support/held_timers.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { serving } from "./support/serving.ts";

useLeakCheck();

const ALICE = "the token of alice, who is known";
const BOB = "the token of bob, who is known too";

/** One handshake over streams in memory, and what both sides made of it. */
async function meet(
  known: readonly KnownIdentity[],
  options: ConnectOptions,
  { host, tls, recording, early }: {
    host?: KeyPair;
    tls?: { client?: TlsInfo; server?: TlsInfo };
    recording?: Recording;
    early?: boolean;
  } = {},
) {
  const [clientEnd, serverEnd] = pair();
  const events: ServerEvent[] = [];
  let spawned = 0;
  const server = new Server({
    authenticator: await Identities.from(known, host),
    platform: PLATFORM,
    environment: () => ({}),
    spawner: () => {
      spawned++;
      return Promise.reject(new LimpetError("spawn_failed", "Not here"));
    },
    onEvent: (event) => events.push(event),
  });
  const over = server.accept({ ...serverEnd, tls: tls?.server });
  const ours: Duplex = { ...clientEnd, tls: tls?.client };
  const to = recording === undefined ? ours : recorded(ours, recording);
  let error: LimpetError | null = null;
  let code = "connected";
  try {
    const session = await connect(to, { ...options, early });
    if (early) session.spawn("true").status.catch(() => {});
    await session.ready;
    await session.close();
  } catch (thrown) {
    error = thrown as LimpetError;
    code = error.code;
  }
  await over;
  const last = events.at(-1);
  return {
    code,
    error,
    events,
    spawned,
    identity: last?.identity ?? null,
    said: last?.type === "disconnected" ? last.message : "",
  };
}

const PLATFORM = {
  os: "linux",
  arch: "x86_64",
  shell: "/bin/sh",
  encoding: "utf-8",
  cwd: "/",
  runtime: "test",
};

const pairOf = async () => KeyPair.fromPem(await makeKeyPair());

describe("tokens", () => {
  const known = [
    { name: "alice", token: ALICE },
    { name: "bob", token: BOB },
  ];

  test("each is its own identity, in every event from then on", async () => {
    for (const [name, token] of [["alice", ALICE], ["bob", BOB]]) {
      const { code, events } = await meet(known, { token });
      expect(code).toBe("connected");
      expect(events.map(({ type, identity }) => [type, identity])).toEqual([
        ["connected", null],
        ["authenticated", name],
        ["disconnected", name],
      ]);
    }
  });

  test("who is unknown learns as much as who has a wrong proof", async () => {
    const stranger = await meet(known, {
      token: "the token of nobody at all",
    });
    expect(stranger.code).toBe("unauthenticated");
    expect(stranger.identity).toBeNull();
    expect(stranger.said).toContain("nobody here has token:");
    const late = await meet([
      { name: "alice", token: ALICE, refuse: () => "expired yesterday" },
    ], { token: ALICE });
    expect(late.code).toBe("unauthenticated");
    expect(late.said).toContain('as "alice": expired yesterday');
    expect(late.error?.message).toBe(stranger.error?.message);
    expect(late.error?.message).not.toContain("expired");
  });

  test("who has a right token may still be refused for where it comes from", async () => {
    const seen: string[] = [];
    const refuse = (peer: string) => {
      seen.push(peer);
      return "wrong address";
    };
    const known = [{ name: "alice", token: ALICE, refuse }];
    expect((await meet(known, { token: BOB })).code).toBe("unauthenticated");
    // Not asked about who has not even the token.
    expect(seen).toEqual([]);
    expect((await meet(known, { token: ALICE })).code).toBe("unauthenticated");
    expect(seen).toEqual(["client"]);
  });

  test("neither the token nor anything it could be guessed from is sent", async () => {
    const recording: Recording = { sent: [], received: [] };
    await meet(known, { token: ALICE }, { recording });
    const sent = new TextDecoder().decode(join(recording.sent));
    expect(sent).toContain("token:");
    expect(sent).not.toContain(ALICE);
    expect(sent).not.toContain("alice");
  });
});

describe("key pairs", () => {
  test("prove the client to the server and the server to the client", async () => {
    const [alice, host] = [await pairOf(), await pairOf()];
    const recording: Recording = { sent: [], received: [] };
    const { code, identity } = await meet(
      [{ name: "alice", publicKey: alice.publicKey }],
      { credential: new KeyCredential(alice, host.publicKey) },
      { host, recording },
    );
    expect([code, identity]).toEqual(["connected", "alice"]);
  });

  test("stand beside tokens on one server", async () => {
    const [alice, host] = [await pairOf(), await pairOf()];
    const known = [
      { name: "alice", publicKey: alice.publicKey },
      { name: "bob", token: BOB },
    ];
    const bob = await meet(known, { token: BOB }, { host });
    expect([bob.code, bob.identity]).toEqual(["connected", "bob"]);
    const credential = new KeyCredential(alice, host.publicKey);
    const met = await meet(known, { credential }, { host });
    expect(met.identity).toBe("alice");
  });

  test("an unknown key is refused, and so is a known one with another's signature", async () => {
    const [alice, eve, host] = [await pairOf(), await pairOf(), await pairOf()];
    const known = [{ name: "alice", publicKey: alice.publicKey }];
    const credential = new KeyCredential(eve, host.publicKey);
    const unknown = await meet(known, { credential }, { host, early: true });
    expect([unknown.code, unknown.spawned]).toEqual(["unauthenticated", 0]);
    const forged = await meet(known, {
      credential: {
        features: credential.features,
        prove: async (transcript, server) => ({
          ...await credential.prove(transcript, server),
          key: alice.publicKey,
        }),
      },
    }, { host, early: true });
    expect([forged.code, forged.spawned]).toEqual(["unauthenticated", 0]);
    expect(forged.said).toContain("the proof is wrong");
  });

  test("nothing is signed for a server with another key", async () => {
    const [alice, host, other] = [
      await pairOf(),
      await pairOf(),
      await pairOf(),
    ];
    const recording: Recording = { sent: [], received: [] };
    const { code, error } = await meet(
      [{ name: "alice", publicKey: alice.publicKey }],
      { credential: new KeyCredential(alice, other.publicKey) },
      { host, recording },
    );
    expect(code).toBe("unauthenticated");
    expect(error?.message).toContain(host.publicKey);
    expect(error?.message).toContain(other.publicKey);
    const sent = new TextDecoder().decode(join(recording.sent));
    expect(sent).not.toContain('"proof"');
  });

  test("a server that shows a key which it does not have is not believed", async () => {
    const [alice, host, thief] = [
      await pairOf(),
      await pairOf(),
      await pairOf(),
    ];
    const [clientEnd, serverEnd] = pair();
    const honest = await Identities.from(
      [{ name: "alice", publicKey: alice.publicKey }],
      thief,
    );
    const server = new Server({
      authenticator: {
        hostKey: host.publicKey,
        authenticate: (claim) => honest.authenticate(claim),
      },
      platform: PLATFORM,
      environment: () => ({}),
      spawner: () => Promise.reject(new Error("Not here")),
    });
    const over = server.accept(serverEnd);
    const credential = new KeyCredential(alice, host.publicKey);
    await expect(connect(clientEnd, { credential })).rejects.toMatchObject({
      code: "unauthenticated",
    });
    await over;
  });

  test("a signature for one server is worth nothing to another", async () => {
    // Mallory has a server that Alice trusts, and shows her proof to Bob's.
    const [alice, mallory, bob] = [
      await pairOf(),
      await pairOf(),
      await pairOf(),
    ];
    const [aliceEnd, malloryServer] = pair();
    const [malloryClient, bobEnd] = pair();
    relay(malloryServer, malloryClient);
    const server = new Server({
      authenticator: await Identities.from(
        [{ name: "alice", publicKey: alice.publicKey }],
        bob,
      ),
      platform: PLATFORM,
      environment: () => ({}),
      spawner: () => Promise.reject(new Error("Not here")),
    });
    const over = server.accept(bobEnd);
    const credential = new KeyCredential(alice, mallory.publicKey);
    await expect(connect(aliceEnd, { credential })).rejects.toMatchObject({
      code: "unauthenticated",
    });
    await over;
  });

  test("a server without a host key says so", async () => {
    const alice = await pairOf();
    const { error } = await meet(
      [{ name: "bob", token: BOB }],
      { credential: new KeyCredential(alice, alice.publicKey) },
    );
    expect(error?.message).toContain("it wants a token");
  });

  test("a host key that is not known can be asked about", async () => {
    const [alice, host] = [await pairOf(), await pairOf()];
    const asked: unknown[] = [];
    const known = [{ name: "alice", publicKey: alice.publicKey }];
    const trusting = new KeyCredential(alice, (server) => {
      asked.push(server);
    });
    expect((await meet(known, { credential: trusting }, { host })).code)
      .toBe("connected");
    expect(asked).toEqual([{ hostKey: host.publicKey, peer: "server" }]);
    const wary = new KeyCredential(alice, () => {
      throw new LimpetError("cancelled", "Not that one");
    });
    expect((await meet(known, { credential: wary }, { host })).code)
      .toBe("cancelled");
  });

  test("the key of openssl can be read, and nothing else is taken for one", async () => {
    // RFC 8410 section 10.3; the public half is that of its example certificate.
    const pem = "-----BEGIN PRIVATE KEY-----\n" +
      "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n" +
      "-----END PRIVATE KEY-----\n";
    expect((await KeyPair.fromPem(pem)).publicKey).toBe(
      "ed25519:Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE",
    );
    const wrong = [
      "",
      "hello",
      pem.replace("PRIVATE", "PUBLIC"),
      pem.replace("MC4C", "MC4D"),
      pem.replace("\n-----END", "AAAA\n-----END"),
    ];
    for (const text of wrong) {
      await expect(KeyPair.fromPem(text)).rejects.toMatchObject({
        code: "invalid_argument",
        message: expect.stringContaining("limpet key new"),
      });
    }
  });

  test("a public key that is none is refused by name", async () => {
    const pair = await pairOf();
    for (const text of ["", "ed25519:", "ed25519:AAAA", "rsa:x", "\x1b[31m"]) {
      expect(() => new KeyCredential(pair, text)).toThrow("no public key");
      await expect(Identities.from([{ name: "a", publicKey: text }]))
        .rejects.toMatchObject({ code: "invalid_argument" });
    }
  });
});

describe("a list of identities that cannot be", () => {
  const publicKey = "ed25519:Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE";
  test.each<[string, KnownIdentity[], string]>([
    ["neither", [{ name: "a" }], "needs either"],
    ["both", [{ name: "a", token: ALICE, publicKey }], "needs either"],
    [
      "a short token",
      [{ name: "a", token: "short" }],
      "Token has 5 of the 16 bytes that it needs",
    ],
    ["a name twice", [
      { name: "a", token: ALICE },
      { name: "a", token: BOB },
    ], '"a" is there already'],
    ["a token twice", [
      { name: "a", token: ALICE },
      { name: "b", token: ALICE },
    ], 'same key as "a"'],
    ["a key twice", [
      { name: "a", publicKey },
      { name: "b", publicKey },
    ], 'same key as "a"'],
  ])("%s", async (_, known, message) => {
    await expect(Identities.from(known)).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining(message),
    });
  });

  test("a token is never in the message", async () => {
    const known = [{ name: "a", token: ALICE }, { name: "b", token: ALICE }];
    await expect(Identities.from(known)).rejects.not.toThrow(ALICE);
  });
});

describe("the proof is bound to the connection beneath", () => {
  const known = [{ name: "alice", token: ALICE }];
  const certificate = (byte: number): TlsInfo => ({
    serverCertificateHash: new Uint8Array(32).fill(byte),
  });
  const exporting = (byte: number, secret: number): TlsInfo => ({
    ...certificate(byte),
    exporter: (label, length) => {
      expect([label, length]).toEqual(["EXPORTER-Channel-Binding", 32]);
      return new Uint8Array(length).fill(secret);
    },
  });

  test.each([
    ["both ends see one certificate", certificate(1), certificate(1), true],
    ["two certificates", certificate(1), certificate(2), false],
    ["one connection", exporting(1, 7), exporting(1, 7), true],
    // Even whoever has stolen the certificate's key is found out.
    ["two connections", exporting(1, 7), exporting(1, 8), false],
    ["only the client exports", exporting(1, 7), certificate(1), true],
    ["only the server exports", certificate(1), exporting(1, 7), true],
    [
      "only the server exports, and two certificates",
      certificate(1),
      exporting(
        2,
        7,
      ),
      false,
    ],
  ])("%s", async (_, client, server, fits) => {
    const { code } = await meet(known, { token: ALICE }, {
      tls: { client, server },
    });
    expect(code).toBe(fits ? "connected" : "unauthenticated");
  });

  test("what is between a client on TLS and a server without gets in no binding", async () => {
    const recording: Recording = { sent: [], received: [] };
    const { code } = await meet(known, { token: ALICE }, {
      tls: { client: certificate(1) },
      recording,
    });
    // A proxy that ends TLS in front of the server: nothing to bind to.
    expect(code).toBe("connected");
    const received = new TextDecoder().decode(join(recording.received));
    expect(received).not.toContain('"binding"');
  });
});

test("a revoked identity's sessions end, with their commands, and no others", async () => {
  const known = [{ name: "alice", token: ALICE }, { name: "bob", token: BOB }];
  await using server = await serving({}, undefined, {
    token: undefined,
    authenticator: await Identities.from(known),
  });
  const alice = await server.connect({ token: ALICE });
  const bob = await server.connect({ token: BOB });
  const hers = alice.spawn("sleep", { args: ["1000"], killAfterMs: 1_000 });
  const his = bob.spawn("cat", { stdin: "piped" });
  const pid = await hers.pid;
  await his.pid;
  await server.server.endSessions(({ name }) => name === "alice");
  expect((await alice.closed).code).toBe("unauthenticated");
  expect((await alice.closed).message).toContain("Identity was revoked");
  await expect(hers.status).rejects.toMatchObject({
    code: "connection_lost",
  });
  expect(() => process.kill(pid, 0)).toThrow();
  const writer = his.stdin.getWriter();
  await writer.write(new TextEncoder().encode("still here"));
  await writer.close();
  expect(await new Response(his.stdout).text()).toBe("still here");
  expect((await his.status).code).toBe(0);
  await bob.close();
});

test("who is sent away between its proof and its session gets none", async () => {
  const [clientEnd, serverEnd] = pair();
  const atGate = deferred<void>();
  const gate = deferred<void>();
  const events: string[] = [];
  const server = new Server({
    authenticator: await Identities.from([{ name: "alice", token: ALICE }]),
    platform: PLATFORM,
    environment: () => ({}),
    spawner: () => Promise.reject(new Error("Not here")),
    gate: () => {
      atGate.resolve();
      return gate.promise;
    },
    onEvent: ({ type }) => events.push(type),
  });
  const over = server.accept(serverEnd);
  const connecting = connect(clientEnd, { token: ALICE });
  await atGate.promise;
  const ended = server.endSessions(({ name }) => name === "alice");
  gate.resolve();
  await ended;
  await over;
  const session = await connecting.catch(() => null);
  await session?.closed;
  expect(events).toEqual(["connected", "disconnected"]);
});

test("a gate that never answers lets nobody in, and holds up no end", async () => {
  const handshakeTimeoutMs = 300_001;
  using timers = holdTimers(handshakeTimeoutMs);
  const atGate = deferred<void>();
  const [clientEnd, serverEnd] = pair();
  const server = new Server({
    token: ALICE,
    platform: PLATFORM,
    environment: () => ({}),
    spawner: () => Promise.reject(new Error("Not here")),
    gate: () => {
      atGate.resolve();
      return new Promise(() => {});
    },
    limits: { handshakeTimeoutMs },
  });
  const over = server.accept(serverEnd);
  const refused = expect(connect(clientEnd, { token: ALICE })).rejects
    .toMatchObject({ code: "limit_exceeded" });
  await atGate.promise;
  timers.fire(handshakeTimeoutMs);
  await refused;
  await over;
  await server.close();
});

test("a server needs one way to know its clients", async () => {
  const common = {
    platform: PLATFORM,
    environment: () => ({}),
    spawner: () => Promise.reject(new Error("Not here")),
  };
  for (
    const options of [
      common,
      { ...common, token: ALICE, authenticator: await Identities.from([]) },
    ]
  ) {
    await expect(new Server(options).ready()).rejects.toThrow(
      "either a token or an authenticator",
    );
  }
});

/** Hands every byte on, both ways, until either side ends. */
function relay(one: Duplex, other: Duplex): void {
  one.readable.pipeTo(other.writable).catch(() => {});
  other.readable.pipeTo(one.writable).catch(() => {});
}
