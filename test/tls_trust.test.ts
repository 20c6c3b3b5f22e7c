import { X509Certificate } from "node:crypto";
import {
  createServer as createPlain,
  type Server,
  type Socket,
} from "node:net";
import { createServer as createTls } from "node:tls";
import { describe, expect, test } from "vitest";
import type { Duplex } from "../core/ports.ts";
import type { MadeCertificate } from "../core/tls/certificate.ts";
import { formatFingerprint } from "../core/tls/fingerprint.ts";
import { type TlsClientOptions, tlsDialOptions } from "../core/tls_client.ts";
import { parseAddress } from "../core/target.ts";
import { adapter } from "./support/adapter.ts";
import { authority, certificate, selfSigned } from "./support/certificates.ts";
import { forgedServer } from "./support/forged_tls.ts";
import { useLeakCheck } from "./support/leak_check.ts";

const DAY_MS = 86_400_000;

interface Listening extends AsyncDisposable {
  readonly address: string;
}

/** A server that says a byte to whoever comes, so that tickets arrive too. */
async function listening(
  identity: MadeCertificate,
  hostname = "127.0.0.1",
): Promise<Listening> {
  const listener = await adapter.listen(
    { kind: "tls", hostname, port: 0 },
    { identity },
  );
  const taking = (async () => {
    for await (const { readable, writable } of listener) {
      const writer = writable.getWriter();
      readable.getReader().read()
        .then(() => writer.write(Uint8Array.of(1)))
        .then(() => writer.close()).catch(() => {});
    }
  })();
  return {
    address: listener.address,
    [Symbol.asyncDispose]: async () => {
      await listener.close();
      await taking;
    },
  };
}

function dial(address: string, tls?: TlsClientOptions): Promise<Duplex> {
  const target = parseAddress(address);
  return adapter.dial(target, undefined, tlsDialOptions(target, tls));
}

/** Uses a connection to its end; resolves to what it was secured with. */
async function visit(address: string, tls?: TlsClientOptions): Promise<string> {
  const duplex = await dial(address, tls);
  const writer = duplex.writable.getWriter();
  await writer.write(Uint8Array.of(1));
  const reader = duplex.readable.getReader();
  while (!(await reader.read()).done);
  await writer.close();
  return formatFingerprint(duplex.tls!.serverCertificateHash);
}

/** The code and the message of a dial that fails. */
async function refusal(
  address: string,
  tls?: TlsClientOptions,
): Promise<{ code: string; message: string }> {
  const thrown = await visit(address, tls).then(
    () => ({ code: "connected", message: "" }),
    (error) => error,
  );
  return { code: thrown.code, message: thrown.message };
}

function fingerprint({ certificate }: MadeCertificate): string {
  const hex = new X509Certificate(certificate).fingerprint256;
  return `sha256:${hex.replaceAll(":", "").toLowerCase()}`;
}

let ca: MadeCertificate;
useLeakCheck(async () => {
  ca = await authority();
  await using server = await listening(await selfSigned());
  await refusal(server.address);
});

describe("a pin", () => {
  test("is of one server, whichever was there before on the same host", async () => {
    const [one, two] = await Promise.all([selfSigned(), selfSigned()]);
    const pins = { one: fingerprint(one), two: fingerprint(two) };
    expect(pins.one).not.toBe(pins.two);
    // A runtime that resumes sessions by host name alone shows the certificate
    // of whoever it talked to first. Both orders, by address and by name.
    for (const hostname of ["127.0.0.1", "localhost"]) {
      await using a = await listening(one);
      await using b = await listening(two);
      const at = (server: Listening) =>
        server.address.replace("127.0.0.1", hostname);
      for (let round = 0; round < 3; round++) {
        expect(await visit(at(a), { pin: pins.one })).toBe(pins.one);
        expect(await refusal(at(b), { pin: pins.one })).toMatchObject({
          code: "certificate_changed",
          message: expect.stringContaining(`its certificate is ${pins.two}`),
        });
        expect(await visit(at(b), { pin: pins.two })).toBe(pins.two);
        expect((await refusal(at(a), { pin: pins.two })).code)
          .toBe("certificate_changed");
        expect(await visit(at(b), { pin: [pins.one, pins.two] }))
          .toBe(pins.two);
      }
      // Nor does having pinned one make any of them trusted by the system.
      expect((await refusal(at(a))).code).toBe("certificate_untrusted");
      expect((await refusal(at(b))).code).toBe("certificate_untrusted");
    }
  });

  test("needs the key too: whoever shows the certificate alone is refused", async () => {
    const [real, other] = await Promise.all([selfSigned(), selfSigned()]);
    const pin = fingerprint(real);
    const at = (server: Server) =>
      `tls://127.0.0.1:${(server.address() as { port: number }).port}`;
    // With the right key, this server of ours is one that clients accept.
    const honest = await forgedServer(real.certificate, real.key);
    const duplex = await dial(at(honest), { pin });
    expect(formatFingerprint(duplex.tls!.serverCertificateHash)).toBe(pin);
    await Promise.all([duplex.readable.cancel(), duplex.writable.abort()]);
    const forger = await forgedServer(real.certificate, other.key);
    for (const tls of [{ pin }, { ca: real.certificate }, {}]) {
      expect((await refusal(at(forger), tls)).code).toMatch(
        /^(connection_failed|unauthenticated|protocol_error)$/,
      );
    }
    honest.close();
    forger.close();
  });

  test("looks at neither names nor dates", async () => {
    const old = await certificate({
      names: ["other.example"],
      notAfter: new Date(Date.now() - DAY_MS / 2),
    });
    await using server = await listening(old);
    const pin = fingerprint(old);
    expect(await visit(server.address, { pin })).toBe(pin);
  });
});

describe("an authority", () => {
  test("vouches for those whom it has signed, and for their names", async () => {
    const signed = await certificate({}, ca);
    await using server = await listening(signed);
    const { address } = server;
    const shown = fingerprint(signed);
    for (const where of [address, address.replace("127.0.0.1", "localhost")]) {
      expect(await visit(where, { ca: ca.certificate })).toBe(shown);
    }
    const other = await authority("another CA");
    const both = [other.certificate, ca.certificate];
    expect(await visit(address, { ca: both })).toBe(shown);
    expect(await refusal(address, { ca: other.certificate })).toEqual({
      code: "certificate_untrusted",
      message: `The certificate of ${address} is not to be trusted: the ` +
        "authorities given with --ca have not signed it. If its server prints " +
        `this fingerprint, connect with --pin ${shown}; else name who has ` +
        "signed it with --ca FILE",
    });
    expect(await refusal(address)).toMatchObject({
      code: "certificate_untrusted",
      message: expect.stringContaining("nobody who is trusted has signed it"),
    });
  });

  test.each([
    ["expired", { notAfter: new Date(Date.now() - DAY_MS / 2) }, "has expired"],
    [
      "not valid yet",
      { notBefore: new Date(Date.now() + DAY_MS / 2) },
      "is not valid yet",
    ],
    ["of another name", { names: ["other.example"] }, "is for another name"],
  ])("does not make good a certificate that is %s", async (_, content, why) => {
    await using server = await listening(await certificate(content, ca));
    const tls = { ca: ca.certificate };
    expect(await refusal(server.address, tls)).toMatchObject({
      code: "certificate_invalid",
      message: expect.stringContaining(`not to be trusted: it ${why}`),
    });
  });
});

describe("what is no TLS server is told apart:", () => {
  /** Answers the first bytes, whatever they are. */
  async function answering(
    answer: (socket: Socket) => void,
  ): Promise<Server> {
    const server = createPlain((socket) => {
      socket.on("error", () => {}).once("data", () => answer(socket));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return server;
  }
  const at = (server: Server) =>
    `tls://127.0.0.1:${(server.address() as { port: number }).port}`;

  test("plain text, an early end, an older TLS", async () => {
    const http = await answering((s) =>
      s.end("HTTP/1.1 400 Bad Request\r\n\r\n")
    );
    expect(await refusal(at(http))).toMatchObject({
      code: "protocol_error",
      message: expect.stringContaining(`${at(http)} does not speak TLS: `),
    });
    const gone = await answering((socket) => socket.destroy());
    expect(await refusal(at(gone))).toMatchObject({
      code: "connection_failed",
      message: expect.stringContaining(`Cannot connect to ${at(gone)}: `),
    });
    const { certificate: cert, key } = await selfSigned();
    const old = createTls({
      cert,
      key,
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.2",
    });
    old.on("tlsClientError", () => {});
    await new Promise<void>((done) => old.listen(0, "127.0.0.1", done));
    expect(await refusal(at(old))).toMatchObject({
      code: "version_mismatch",
      message: `${at(old)} does not speak TLS 1.3, and Limpet speaks nothing ` +
        "older",
    });
    for (const server of [http, gone, old]) server.close();
  });
});

describe("pins and files", () => {
  test("a pin is written as openssl writes it too, and nothing else is one", () => {
    const target = parseAddress("tls://box");
    const hex = "0123456789ABCDEF".repeat(4);
    const pairs = hex.match(/../g)!.join(":");
    for (const pin of [`sha256:${hex}`, `SHA256:${pairs}`]) {
      expect(() => tlsDialOptions(target, { pin })).not.toThrow();
    }
    for (const pin of ["", hex, `sha1:${hex}`, `sha256:${hex}0`, "sha256:x"]) {
      expect(() => tlsDialOptions(target, { pin })).toThrow(
        "is no fingerprint",
      );
    }
    expect(() => tlsDialOptions(target, { cert: "x" })).toThrow("needs both");
  });
});
