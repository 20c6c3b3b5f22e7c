import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parseArguments } from "../core/cli/args.ts";
import { SERVE_FLAGS } from "../core/cli/flags.ts";
import { Reporter } from "../core/cli/report.ts";
import { serverTlsOptions } from "../core/cli/server_tls.ts";
import { connect } from "../core/client.ts";
import { serveAt } from "../core/endpoint.ts";
import { parseAddress } from "../core/target.ts";
import type { MadeCertificate } from "../core/tls/certificate.ts";
import { tlsDialOptions } from "../core/tls_client.ts";
import { fingerprintOfPem } from "../core/tls/fingerprint.ts";
import { authority, certificate } from "./support/certificates.ts";
import { startLimpet, temporaryFolder } from "./support/cli.ts";
import { cliRuntime } from "./support/cli_in_process.ts";
import { machine } from "./support/machine.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";
import { TOKEN } from "./support/serving.ts";

const folder = temporaryFolder();
let one: MadeCertificate;
let two: MadeCertificate;
beforeAll(async () => {
  one = await certificate();
  two = await certificate();
});

const pinOf = async ({ certificate }: MadeCertificate) =>
  (await fingerprintOfPem(certificate))!;

/** A session with the server that has this certificate. */
async function session(address: string, made: MadeCertificate) {
  const target = parseAddress(address);
  const tls = tlsDialOptions(target, { pin: await pinOf(made) });
  const dial = () => machine.dial(target, undefined, tls);
  return await connect(dial, { token: TOKEN });
}

test("another certificate is for new connections, sessions stay", async () => {
  const tls = { cert: one.certificate, key: one.key };
  await using running = await serveAt(machine, "tls://127.0.0.1:0", {
    token: TOKEN,
    tls,
  });
  const { address } = running;
  const before = await session(address, one);
  const renewed = { cert: two.certificate, key: two.key };
  expect(await running.renewTls(renewed)).toBe(await pinOf(two));
  const after = await session(address, two);
  await expect(session(address, one)).rejects.toMatchObject({
    code: "certificate_changed",
  });
  for (const each of [before, after]) {
    expect((await each.output("true")).code).toBe(0);
  }
  // What cannot be used changes nothing.
  const wrong = [
    { cert: one.certificate, key: two.key },
    { cert: "no certificate", key: two.key },
    { cert: one.certificate, key: one.key.replace(/\n..../, "\nAAAA") },
    { ...tls, clientCa: one.certificate.replace(/\n..../, "\nAAAA") },
    { cert: one.certificate },
  ];
  for (const each of wrong) {
    await expect(running.renewTls(each), JSON.stringify(each)).rejects
      .toMatchObject({ code: "invalid_argument" });
  }
  await (await session(address, two)).close();
  // Whom to let in is renewed with it.
  const { certificate: clientCa } = await authority();
  await running.renewTls({ ...renewed, clientCa });
  await expect(session(address, two)).rejects.toMatchObject({
    code: "unauthenticated",
  });
  for (const each of [before, after]) {
    expect((await each.output("true")).code).toBe(0);
    await each.close();
  }
});

test("without TLS there is nothing to renew", async () => {
  await using running = await serveAt(machine, "tcp://127.0.0.1:0", {
    token: TOKEN,
  });
  await expect(running.renewTls({ cert: one.certificate, key: one.key }))
    .rejects.toThrow(`There is no certificate at ${running.address}`);
});

describe("what a server cannot be served with is told at the start", () => {
  test.each([
    [
      "another's key",
      () => ({ cert: one.certificate, key: two.key }),
      "that of",
    ],
    ["no certificate", () => ({ cert: "x", key: two.key }), "no certificate"],
    [
      "an encrypted key",
      () => ({
        cert: one.certificate,
        key: two.key.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
      }),
      "the private key is encrypted",
    ],
  ])("%s", async (_, tls, message) => {
    const options = { token: TOKEN, tls: tls() };
    await expect(serveAt(machine, "tls://127.0.0.1:0", options)).rejects
      .toMatchObject({
        code: "invalid_argument",
        message: expect.stringContaining(message),
      });
  });
});

test("flags come before the configuration, certificate and key together", async () => {
  const write = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const files = (name: string, { certificate, key }: MadeCertificate) => ({
    cert: write(`${name}-cert.pem`, certificate),
    key: write(`${name}-key.pem`, key),
  });
  const clientCa = write("ca.pem", one.certificate);
  const configured = { ...files("one", one), clientCa };
  const flags = files("two", two);
  const { runtime } = cliRuntime([]);
  const given = (...words: string[]) =>
    serverTlsOptions(
      runtime,
      parseArguments(words, SERVE_FLAGS),
      configured,
      new Reporter(runtime, "info"),
    );
  expect((await given()).cert).toBe(one.certificate);
  const cert = ["--cert", flags.cert, "--key", flags.key];
  expect(await given(...cert)).toEqual({
    cert: two.certificate,
    key: two.key,
    clientCa: one.certificate,
  });
  expect((await given("--client-ca", flags.cert)).clientCa)
    .toBe(two.certificate);
  await expect(given("--cert", flags.cert)).rejects
    .toThrow("--cert and --key go together");
});

test(
  `serve on ${THIS_RUNTIME} reads certificate and drain of its configuration`,
  async () => {
    const own = join(folder, "own");
    mkdirSync(own, { mode: 0o700 });
    const path = join(own, "server.json");
    const configure = (more: object) =>
      machine.files.replacePrivate(
        path,
        JSON.stringify({ tls: { cert: "c.pem", key: "k.pem" }, ...more }),
      );
    const put = async ({ certificate, key }: MadeCertificate) => {
      await machine.files.replacePrivate(join(own, "c.pem"), certificate);
      await machine.files.replacePrivate(join(own, "k.pem"), key);
    };
    await put(one);
    await configure({ drain: "1h" });
    const running = startLimpet(["serve", "tls://127.0.0.1:0"], {
      env: { LIMPET_CONFIG: own, LIMPET_TOKEN: TOKEN },
      cwd: "/",
    });
    await running.complains("--pin sha256:");
    const log = running.stderr();
    expect(log).toContain(`--pin ${await pinOf(one)}`);
    // It ends in a day.
    expect(log).toContain("limpet: the certificate expires ");
    const [, address] = /listening on (tls:\/\/[^\s,]+)/.exec(log)!;
    const before = await session(address, one);
    const child = before.spawn("echo ready; exec sleep 1000", { shell: true });
    await child.stdout.getReader().read();

    await put(two);
    await configure({ drain: "0s", limits: { maxSessions: 9 } });
    running.kill("SIGHUP");
    await running.complains(
      `read again: the certificate, --pin ${await pinOf(two)}`,
    );
    expect(running.stderr()).toContain(
      "; a change of limits counts from the next start on\n",
    );
    const after = await session(address, two);
    writeFileSync(join(own, "k.pem"), one.key);
    running.kill("SIGHUP");
    await running.complains(
      "the old certificate stays: Cannot be used for TLS: the private key is " +
        `that of another certificate (${own}/c.pem, ${own}/k.pem)\n`,
    );
    await (await session(address, two)).close();
    expect((await after.output("true")).code).toBe(0);
    await after.close();

    // No hour is waited: it has read that there is none to wait.
    running.kill("SIGTERM");
    expect(await child.status).toMatchObject({ reason: "shutting_down" });
    expect((await running.outcome).code).toBe(0);
    expect(running.stderr()).toContain("stopping: ending 1 command ");
    await before.close();
  },
);
