/**
 * The bare relay: a connection per command, no frames, `pipe()` both ways. What
 * crosses first is the command as a line of JSON. It knows no exit code, no
 * stderr, no signal and no user: it is what all of these cost nothing against.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import * as net from "node:net";
import * as tls from "node:tls";
import { nodeCommand } from "./node_command.mjs";

/**
 * @param {{ cert?: string, key?: string }} files for TLS
 * @returns {Promise<{ port: number }>}
 */
export function serve({ cert, key }) {
  const server = cert === undefined
    ? net.createServer({ noDelay: true, allowHalfOpen: true }, relay)
    : tls.createServer({
      cert: readFileSync(cert),
      key: readFileSync(key),
      minVersion: "TLSv1.3",
      noDelay: true,
      allowHalfOpen: true,
    }, relay);
  return new Promise((resolve) => {
    server.listen(
      0,
      "127.0.0.1",
      () => resolve({ port: server.address().port }),
    );
  });
}

/** @param {net.Socket} socket */
function relay(socket) {
  socket.on("error", () => {});
  let head = Buffer.alloc(0);
  const begin = () => {
    for (let chunk; (chunk = socket.read()) !== null;) {
      head = Buffer.concat([head, chunk]);
    }
    const end = head.indexOf(10);
    if (end < 0) return;
    socket.off("readable", begin);
    const { argv: [program, ...args], stdin } = JSON.parse(
      head.subarray(0, end).toString(),
    );
    if (end + 1 < head.length) socket.unshift(head.subarray(end + 1));
    const child = spawn(program, args, {
      stdio: [stdin ? "pipe" : "ignore", "pipe", "ignore"],
    });
    child.stdout.pipe(socket, { end: false });
    // A command may close its output long before it ends.
    child.on("close", () => socket.end());
    if (child.stdin === null) {
      socket.resume();
    } else {
      child.stdin.on("error", () => {});
      socket.pipe(child.stdin);
    }
    socket.on("close", () => child.kill());
  };
  socket.on("readable", begin);
  // One that was opened and no more.
  socket.once("end", () => head.length === 0 && socket.destroy());
}

/**
 * @param {{ port: number, cert?: string, open?: boolean }} address `open` for a
 * connection without a command: what it takes to have one
 * @returns {Promise<import("./node_command.mjs").Connection>}
 */
export function connect({ port, cert, open }) {
  const dial = () =>
    new Promise((resolve, reject) => {
      const to = {
        host: "127.0.0.1",
        port,
        noDelay: true,
        allowHalfOpen: true,
      };
      const socket = cert === undefined
        ? net.connect(to, () => resolve(socket))
        : tls.connect({
          ...to,
          ca: readFileSync(cert),
          checkServerIdentity: () => undefined,
        }, () => resolve(socket));
      socket.once("error", reject);
    });
  if (open) return dial().then(idle);
  return Promise.resolve({
    async command(argv, stdin = false) {
      const socket = await dial();
      const exit = new Promise((resolve) => {
        socket.on("close", () => resolve(null));
      });
      if (!stdin) socket.on("end", () => socket.end());
      socket.on("error", () => {});
      socket.write(`${JSON.stringify({ argv, stdin })}\n`);
      return nodeCommand(socket, socket, exit, () => socket.destroy());
    },
    close: () => Promise.resolve(),
  });
}

/**
 * @param {net.Socket} socket
 * @returns {import("./node_command.mjs").Connection}
 */
function idle(socket) {
  return {
    command: () => Promise.reject(new Error("It is there to be opened")),
    close: () =>
      new Promise((resolve) => {
        socket.on("close", () => resolve(undefined));
        socket.destroy();
      }),
  };
}
