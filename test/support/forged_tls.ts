/**
 * A TLS 1.3 server that shows any certificate and signs with any key. No TLS
 * library does that: they refuse a key that is not the certificate's.
 *
 * @module
 */

import {
  createCipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  sign,
  X509Certificate,
} from "node:crypto";
import { createServer, type Server } from "node:net";

/** X25519, the one group that every client offers a share of. */
const X25519 = 0x001d;
/** What SubjectPublicKeyInfo has before the 32 bytes of such a key. */
const X25519_SPKI = "302a300506032b656e032100";

/** Listens on a free port of the loopback interface. */
export async function forgedServer(
  certificate: string,
  key: string,
): Promise<Server> {
  const der = new Uint8Array(new X509Certificate(certificate).raw);
  const server = createServer((socket) => {
    let received = new Uint8Array(0);
    let answered = false;
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      received = join(received, new Uint8Array(chunk));
      const length = 5 + ((received[3] ?? 0) << 8) + (received[4] ?? 0);
      if (answered || received.length < 5 || received.length < length) return;
      answered = true;
      socket.write(answer(received.subarray(5, length), der, key));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

/** ServerHello and, encrypted, all that the server sends in its one flight. */
function answer(
  hello: Uint8Array,
  certificate: Uint8Array,
  key: string,
): Uint8Array {
  const { sessionId, share } = readClientHello(hello);
  const pair = generateKeyPairSync("x25519");
  const ours = pair.publicKey.export({ type: "spki", format: "der" });
  const secret = diffieHellman({
    privateKey: pair.privateKey,
    publicKey: createPublicKey({
      key: Buffer.concat([Buffer.from(X25519_SPKI, "hex"), share]),
      format: "der",
      type: "spki",
    }),
  });
  const serverHello = message(
    2,
    bytes(3, 3),
    crypto.getRandomValues(new Uint8Array(32)),
    vector(1, sessionId),
    bytes(0x13, 0x01, 0),
    vector(
      2,
      bytes(0, 43),
      vector(2, bytes(3, 4)),
      bytes(0, 51),
      vector(2, uint(2, X25519), vector(2, new Uint8Array(ours.subarray(-32)))),
    ),
  );
  const transcript = join(hello, serverHello);
  const zero = new Uint8Array(32);
  const early = hmac(zero, zero);
  const handshake = hmac(
    derive(early, "derived", hash(new Uint8Array(0)), 32),
    new Uint8Array(secret),
  );
  const traffic = derive(handshake, "s hs traffic", hash(transcript), 32);
  const shown = join(
    message(8, vector(2)),
    message(11, vector(1), vector(3, vector(3, certificate), vector(2))),
  );
  const signed = join(
    new Uint8Array(64).fill(0x20),
    new TextEncoder().encode("TLS 1.3, server CertificateVerify\0"),
    hash(join(transcript, shown)),
  );
  const signature = new Uint8Array(sign("sha256", signed, key));
  const verify = message(15, bytes(4, 3), vector(2, signature));
  const finished = message(
    20,
    hmac(
      derive(traffic, "finished", new Uint8Array(0), 32),
      hash(join(transcript, shown, verify)),
    ),
  );
  return join(
    bytes(22, 3, 3),
    vector(2, serverHello),
    encrypt(traffic, join(shown, verify, finished)),
  );
}

/** One record of handshake messages. */
function encrypt(traffic: Uint8Array, messages: Uint8Array): Uint8Array {
  const none = new Uint8Array(0);
  const key = derive(traffic, "key", none, 16);
  const cipher = createCipheriv(
    "aes-128-gcm",
    key,
    derive(traffic, "iv", none, 12),
  );
  const header = join(bytes(23, 3, 3), uint(2, messages.length + 17));
  cipher.setAAD(header);
  const body = cipher.update(join(messages, bytes(22)));
  return join(
    header,
    new Uint8Array(body),
    new Uint8Array(cipher.final()),
    new Uint8Array(cipher.getAuthTag()),
  );
}

function readClientHello(
  hello: Uint8Array,
): { sessionId: Uint8Array; share: Uint8Array } {
  let at = 4 + 2 + 32;
  const take = (size: number): Uint8Array => {
    let length = 0;
    for (let i = 0; i < size; i++) length = length * 256 + hello[at++];
    at += length;
    return hello.subarray(at - length, at);
  };
  const sessionId = take(1);
  take(2);
  take(1);
  at += 2;
  while (at < hello.length) {
    const type = hello[at] * 256 + hello[at + 1];
    at += 2;
    const content = take(2);
    for (let i = 2; type === 51 && i < content.length;) {
      const group = content[i] * 256 + content[i + 1];
      const length = content[i + 2] * 256 + content[i + 3];
      const share = content.subarray(i + 4, i + 4 + length);
      if (group === X25519) return { sessionId, share };
      i += 4 + length;
    }
  }
  throw new Error("The client offers no share of X25519");
}

/** HKDF-Expand-Label of RFC 8446, for up to one block. */
function derive(
  secret: Uint8Array,
  label: string,
  context: Uint8Array,
  length: number,
): Uint8Array {
  const info = join(
    uint(2, length),
    vector(1, new TextEncoder().encode(`tls13 ${label}`)),
    vector(1, context),
    bytes(1),
  );
  return hmac(secret, info).subarray(0, length);
}

function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac("sha256", key).update(data).digest());
}

function hash(data: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(data).digest());
}

function message(type: number, ...body: Uint8Array[]): Uint8Array {
  return join(bytes(type), vector(3, ...body));
}

function vector(size: number, ...content: Uint8Array[]): Uint8Array {
  const body = join(...content);
  return join(uint(size, body.length), body);
}

function uint(size: number, value: number): Uint8Array {
  return Uint8Array.from(
    { length: size },
    (_, i) => (value >> (8 * (size - 1 - i))) & 255,
  );
}

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
