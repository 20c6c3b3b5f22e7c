import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { limpet, startLimpet, temporaryFolder } from "./support/cli.ts";
import { limpetHere } from "./support/cli_in_process.ts";
import { selfSigned } from "./support/certificates.ts";
import { Terminal, useTerminals } from "./support/terminal.ts";

useTerminals();
const folder = temporaryFolder();
const config = join(folder, "limpet");
const env = { XDG_CONFIG_HOME: folder };
const known = join(config, "known_hosts");

test(
  "a server makes its certificate; clients pin it, or know it after a question",
  async () => {
    const server = startLimpet(["serve", "tls://127.0.0.1:0"], {
      env,
      timeoutMs: 100_000,
    });
    await server.complains("--pin sha256:");
    const log = server.stderr();
    const address = /listening on (tls:\/\/[^\s,]+)/.exec(log)?.[1] ?? "";
    const pin = /--pin (sha256:[0-9a-f]{64})/.exec(log)?.[1] ?? "";
    const pem = join(config, "tls.pem");
    expect(log).toContain(`made a new key and certificate in ${pem}`);
    expect(statSync(pem).mode & 0o777).toBe(0o600);
    const words = ["--", "echo", "hi"];
    expect(await limpet(["exec", "--pin", pin, address, ...words], { env }))
      .toMatchObject({ code: 0, stdout: "hi\n" });
    const run = (...flags: string[]) =>
      limpetHere(["exec", ...flags, address, ...words], { env });
    // Nobody is there to be asked.
    const unknown = await run();
    expect(unknown).toMatchObject({ code: 255, stdout: "" });
    expect(unknown.stderr).toContain(`connect with --pin ${pin}`);
    expect(existsSync(known)).toBe(false);
    // What others can read is no secret.
    writeFileSync(join(folder, "key.pem"), readFileSync(pem), { mode: 0o644 });
    const open = ["--cert", pem, "--key", join(folder, "key.pem")];
    const loose = await run("--pin", pin, ...open);
    expect(loose).toMatchObject({ code: 125, stdout: "" });
    expect(loose.stderr).toContain("can be read by others than its owner");

    // What is not what it should be is named, before anything connects.
    const certificate = join(folder, "srv.crt");
    writeFileSync(
      certificate,
      readFileSync(pem, "utf8").replace(/^[^]*?(?=-----BEGIN CERT)/, ""),
    );
    const own = join(folder, "srv.key");
    const { key: otherKey } = await selfSigned();
    writeFileSync(own, otherKey, { mode: 0o600 });
    for (
      const [flags, why] of [
        [
          ["--cert", certificate, "--key", own],
          `the private key is that of another certificate (${certificate}, ${own})`,
        ],
        [
          ["--ca", pem, "--cert", certificate, "--key", own],
          `the private key is that of another certificate (${certificate}, ${own})`,
        ],
        [
          ["--cert", own, "--key", own],
          `the certificate cannot be read (${own})`,
        ],
        [
          ["--ca", own],
          "There is no certificate in PEM (-----BEGIN CERTIFICATE-----) in " +
          own,
        ],
        [
          ["--cert", own, "--key", pem],
          "There is no certificate in PEM (-----BEGIN CERTIFICATE-----) in " +
          own,
        ],
      ] as const
    ) {
      const refused = await run("--pin", pin, ...flags);
      expect(refused).toMatchObject({ code: 125, stdout: "" });
      expect(refused.stderr).toContain(why);
      expect(refused.stderr.trim().split("\n").length).toBe(2);
    }

    const asked = (answer: string) => {
      const terminal = new Terminal(
        ["exec", address, "--", "echo", "hi"],
        200,
        `XDG_CONFIG_HOME=${folder}`,
      );
      return terminal.shows(/Connect \(yes, no, or the fingerprint\)\?$/)
        .then(() => terminal.enter(answer)).then(() => terminal);
    };
    await (await asked("no")).shows("left with 255");
    const unsure = await asked("well");
    await unsure.shows(
      /type yes, no or the fingerprint\n.*Connect \(yes, no, or the fingerprint\)\?$/s,
    );
    unsure.press("C-c");
    await unsure.shows(/\^C\nleft with 130$/);
    expect(existsSync(known)).toBe(false);
    const yes = await asked("yes");
    await yes.shows("hi\nleft with 0");
    expect(yes.screen()).toContain(pin);
    expect(statSync(known).mode & 0o777).toBe(0o600);
    const entry = `${address.slice("tls://".length)} ${pin}\n`;
    expect(readFileSync(known, "utf8")).toBe(entry);
    expect(await run()).toMatchObject({ code: 0, stdout: "hi\n" });

    // Messages have the name that was typed, as with --pin.
    const named = address.replace("127.0.0.1", "localhost");
    const wrong = join(folder, "wrong");
    writeFileSync(wrong, "not-the-token-of-any-server\n", { mode: 0o600 });
    writeFileSync(known, `${named.slice("tls://".length)} ${pin}\n`);
    const stranger = await limpetHere(
      ["exec", "--token-file", wrong, named, "--", "true"],
      { env },
    );
    expect(stranger.stderr).toContain(
      `limpet: ${named.slice("tls://".length)} did not accept our proof`,
    );

    // Another certificate than the one from before.
    const other = pin.replace(/.$/, (digit) => digit === "0" ? "1" : "0");
    writeFileSync(known, `# mine\n\n${entry.replace(pin, other)}`);
    const changed = await run();
    expect(changed).toMatchObject({ code: 255, stdout: "" });
    expect(changed.stderr).toContain(
      `has changed: it is ${pin}, and line 3 of ${known} has ${other}`,
    );
    server.kill("SIGTERM");
    expect((await server.outcome).code).toBe(0);
  },
);
