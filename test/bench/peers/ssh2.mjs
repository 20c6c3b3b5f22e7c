/**
 * ssh2 (npm): its client, against its own server or OpenSSH's.
 *
 * Nagle's algorithm is off on both ends: with it on every command takes 80 ms,
 * which says nothing of ssh2.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import * as net from "node:net";
import ssh2 from "ssh2";
import { nodeCommand, quoted } from "./node_command.mjs";

/**
 * @param {{ hostKey: string, publicKey: string }} files
 * @returns {Promise<{ port: number }>}
 */
export function serve({ hostKey, publicKey }) {
  const allowed = ssh2.utils.parseKey(readFileSync(publicKey));
  const server = new ssh2.Server(
    { hostKeys: [readFileSync(hostKey)] },
    (client) => {
      client.on("error", () => {});
      client.on("authentication", (context) => {
        const { method, key, blob, signature } = context;
        const known = method === "publickey" &&
          allowed.getPublicSSH().equals(key.data) &&
          (signature === undefined ||
            allowed.verify(blob, signature, context.hashAlgo) === true);
        if (known) context.accept();
        else context.reject(["publickey"]);
      });
      client.on("session", (accept) => {
        accept().on("exec", (acceptExec, _reject, { command }) => {
          run(acceptExec(), command);
        });
      });
    },
  );
  // Its listener makes sockets without an option to turn Nagle off.
  server._srv.on("connection", (/** @type {net.Socket} */ socket) => {
    socket.setNoDelay(true);
  });
  return new Promise((resolve) => {
    server.listen(
      0,
      "127.0.0.1",
      () => resolve({ port: server.address().port }),
    );
  });
}

/**
 * @param {import("ssh2").ServerChannel} channel
 * @param {string} command
 */
function run(channel, command) {
  const child = spawn("/bin/sh", ["-c", `exec ${command}`]);
  child.stdin.on("error", () => {});
  channel.pipe(child.stdin);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr);
  child.on("close", (code) => {
    channel.exit(code ?? 1);
    channel.end();
  });
  channel.on("close", () => child.kill());
}

/**
 * @param {{ port: number, key: string, user: string }} address
 * @returns {Promise<import("./node_command.mjs").Connection>}
 */
export async function connect({ port, key, user }) {
  const client = new ssh2.Client();
  const sock = net.connect({ host: "127.0.0.1", port, noDelay: true });
  await new Promise((resolve, reject) => {
    client.on("ready", resolve);
    client.on("error", reject);
    client.connect({
      sock,
      username: user,
      privateKey: readFileSync(key),
    });
  });
  return {
    command: (argv, stdin = false) =>
      new Promise((resolve, reject) => {
        client.exec(quoted(argv), (error, channel) => {
          if (error) return reject(error);
          let code = null;
          channel.on("exit", (value) => code = value);
          const exit = new Promise((done) => {
            channel.on("close", () => done(code));
          });
          channel.stderr.resume();
          if (!stdin) channel.end();
          resolve(nodeCommand(channel, channel, exit, () => channel.close()));
        });
      }),
    close: () =>
      new Promise((resolve) => {
        client.on("close", () => resolve(undefined));
        client.end();
      }),
  };
}
