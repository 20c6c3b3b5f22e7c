/**
 * Whom Limpet is measured against: how each one's server is started, and which
 * module is its client.
 *
 * @module
 */

import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import * as net from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { root } from "../../adapters/node/setup.mjs";
import { start, versionOf } from "./programs.mjs";

/**
 * @typedef {import("./programs.mjs").Program} Program
 * @typedef {object} Place what all peers share
 * @property {string} folder for keys, emptied afterwards
 * @property {Record<"node" | "deno", string[]>} runtimes how to start a module
 *
 * @typedef {object} Peer
 * @property {string} name
 * @property {string} module of its client, and of its server unless it has `serve`
 * @property {"node" | "deno"} runtime of its client
 * @property {boolean} [tls]
 * @property {"spawn" | "relay" | "limpet" | "openssh" | "ssh2" | "dev-tunnels"} kind
 * @property {(place: Place) => Promise<{ address: object, server: Program | null }>} serve
 * @property {() => Promise<string | null>} [lacks] why it cannot be measured
 */

const CERTIFICATE = "../../dist/certificate.js";
const SSH2 = "ssh2";

const here = fileURLToPath(new URL(".", import.meta.url));

/** @type {Peer[]} */
export const PEERS = [
  {
    name: "local spawn",
    module: "./peers/spawn.mjs",
    runtime: "node",
    kind: "spawn",
    serve: nobody,
  },
  own("bare relay", "relay", "./peers/relay.mjs", "node"),
  own("bare TLS relay", "relay", "./peers/relay.mjs", "node", true),
  limpet("limpet", "node", false),
  limpet("limpet TLS", "node", true),
  {
    name: "OpenSSH",
    kind: "openssh",
    module: "./peers/openssh.mjs",
    runtime: "node",
    serve: sshd,
    lacks: lacksOpenSsh,
  },
  {
    name: "ssh2 to sshd",
    kind: "ssh2",
    module: "./peers/ssh2.mjs",
    runtime: "node",
    serve: sshd,
    lacks: lacksOpenSsh,
  },
  own("ssh2 to ssh2", "ssh2", "./peers/ssh2.mjs", "node"),
  own("dev-tunnels-ssh", "dev-tunnels", "./peers/dev_tunnels.mjs", "node"),
  {
    name: "local spawn (Deno)",
    module: "./peers/spawn_deno.mjs",
    runtime: "deno",
    kind: "spawn",
    serve: nobody,
  },
  own("bare relay (Deno)", "relay", "./peers/relay_deno.mjs", "deno"),
  own("bare TLS relay (Deno)", "relay", "./peers/relay_deno.mjs", "deno", true),
  limpet("limpet (Deno)", "deno", false),
  limpet("limpet TLS (Deno)", "deno", true),
];

/** @returns {Promise<{ address: object, server: null }>} */
function nobody() {
  return Promise.resolve({ address: {}, server: null });
}

/**
 * A peer whose server is in the module of its client.
 *
 * @param {string} name
 * @param {Peer["kind"]} kind
 * @param {string} module
 * @param {"node" | "deno"} runtime
 * @returns {Peer}
 */
function own(name, kind, module, runtime, tls = false) {
  return {
    name,
    kind,
    module,
    runtime,
    tls,
    async serve({ folder, runtimes }) {
      const options = {
        ...(tls ? filesOf(folder).tls : {}),
        ...filesOf(folder).ssh,
      };
      const server = start([
        ...runtimes[runtime],
        join(here, "server.mjs"),
        module,
        JSON.stringify(options),
      ]);
      const { port } = JSON.parse(await server.line());
      const { userKey: key } = filesOf(folder).ssh;
      const address = {
        port,
        key,
        user: userInfo().username,
        ...(tls ? { cert: filesOf(folder).tls.cert } : {}),
      };
      return { address, server };
    },
  };
}

/**
 * @param {string} name
 * @param {"node" | "deno"} runtime
 * @param {boolean} tls
 * @returns {Peer}
 */
function limpet(name, runtime, tls) {
  return {
    name,
    kind: "limpet",
    module: "./peers/limpet.mjs",
    runtime,
    tls,
    async serve({ folder, runtimes }) {
      const program = runtime === "node"
        ? join(root, "dist", "limpet.cjs")
        : join(root, "adapters", "deno", "main.ts");
      const scheme = tls ? "tls" : "tcp";
      const { cert, key, pin } = filesOf(folder).tls;
      const { token } = filesOf(folder);
      const server = start([
        ...runtimes[runtime],
        program,
        "serve",
        ...(tls ? ["--cert", cert, "--key", key] : []),
        "--token-file",
        token,
        `${scheme}://127.0.0.1:0`,
      ], "stderr");
      let port;
      while (port === undefined) {
        port = /:\/\/127\.0\.0\.1:(\d+)/.exec(await server.line())?.[1];
      }
      return {
        address: {
          scheme,
          port: Number(port),
          token,
          ...(tls ? { pin } : {}),
        },
        server,
      };
    },
  };
}

/** @param {string} folder */
function filesOf(folder) {
  const at = (/** @type {string} */ name) => join(folder, name);
  return {
    token: at("token"),
    tls: { cert: at("cert.pem"), key: at("cert.key"), pin },
    ssh: {
      hostKey: at("host_key"),
      userKey: at("user_key"),
      publicKey: at("user_key.pub"),
    },
  };
}

let pin = "";

/**
 * Makes the keys with which everybody is let in.
 *
 * @param {string} folder
 */
export async function makeKeys(folder) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { token, tls, ssh } = filesOf(folder);
  const write = (/** @type {string} */ path, /** @type {string} */ text) =>
    writeFileSync(path, text, { mode: 0o600 });
  const secret = crypto.getRandomValues(new Uint8Array(32));
  write(token, `${Buffer.from(secret).toString("base64url")}\n`);
  // Made by the build, and installed for the benchmark: not there for a check.
  const { makeCertificate } = await import(CERTIFICATE);
  const made = await makeCertificate({
    commonName: "localhost",
    names: ["localhost", "127.0.0.1"],
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
  });
  write(tls.cert, made.certificate);
  write(tls.key, made.key);
  const { fingerprint256 } = new X509Certificate(made.certificate);
  pin = `sha256:${fingerprint256.replaceAll(":", "").toLowerCase()}`;
  const { default: ssh2 } = await import(SSH2);
  for (const path of [ssh.hostKey, ssh.userKey]) {
    const keys = ssh2.utils.generateKeyPairSync("ed25519");
    write(path, keys.private);
    write(`${path}.pub`, `${keys.public}\n`);
  }
}

/** @returns {Promise<string | null>} */
async function lacksOpenSsh() {
  if ((await versionOf("ssh", "-V")) === null) return "there is no ssh";
  if (!existsSync(SSHD)) return `there is no ${SSHD} (Debian: openssh-server)`;
  return null;
}

const SSHD = "/usr/sbin/sshd";

/** @param {Place} place */
async function sshd({ folder }) {
  const port = await freePort();
  const { hostKey, userKey: key, publicKey } = filesOf(folder).ssh;
  const config = join(folder, `sshd_config_${port}`);
  writeFileSync(
    config,
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${publicKey}`,
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      "StrictModes no",
      "UsePAM no",
      "PrintMotd no",
      "MaxSessions 2000",
      "MaxStartups 2000",
      `PidFile ${join(folder, `sshd_${port}.pid`)}`,
      // bash reads no start-up file then: it would be most of a command's time.
      "SetEnv SHLVL=2",
      "",
    ].join("\n"),
  );
  // Where it keeps its privileges apart; Debian's service makes it at boot.
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true });
  const server = start([SSHD, "-D", "-e", "-f", config], "stderr");
  while (!(await server.line()).includes("listening on"));
  const address = { port, key, user: userInfo().username };
  return { address, server };
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}
