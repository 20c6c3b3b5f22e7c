/**
 * dev-tunnels-ssh (npm, Microsoft): its client against its own server.
 *
 * @module
 */

import { spawn } from "node:child_process";
import ssh from "@microsoft/dev-tunnels-ssh";
import tcp from "@microsoft/dev-tunnels-ssh-tcp";
import { nodeCommand, quoted } from "./node_command.mjs";

const PASSWORD = "benchmark";

/** @returns {Promise<{ port: number }>} */
export async function serve() {
  const server = new tcp.SshServer(new ssh.SshSessionConfiguration());
  server.credentials.publicKeys = [
    await ssh.SshAlgorithms.publicKey.ecdsaSha2Nistp384.generateKeyPair(),
  ];
  let found;
  const port = new Promise((resolve) => found = resolve);
  const { tcpListenerFactory } = server;
  // It tells nobody which port it was given for 0.
  server.tcpListenerFactory = {
    async createTcpListener(...args) {
      const listener = await tcpListenerFactory.createTcpListener(...args);
      const tell = () => found(listener.address().port);
      if (listener.listening) tell();
      else listener.once("listening", tell);
      listener.on("connection", (socket) => socket.setNoDelay(true));
      return listener;
    },
  };
  server.onSessionOpened((session) => {
    session.onAuthenticating((event) => {
      event.authenticationPromise = Promise.resolve(
        event.password === PASSWORD ? {} : null,
      );
    });
    session.onChannelOpening(({ channel }) => {
      channel.onRequest((event) => {
        if (event.requestType !== "exec") return;
        event.isAuthorized = true;
        const request = event.request.convertTo(
          new ssh.CommandRequestMessage(),
        );
        run(channel, request.command);
      });
    });
  });
  server.acceptSessions(0, "127.0.0.1");
  return { port: await port };
}

function run(channel, command) {
  const child = spawn("/bin/sh", ["-c", `exec ${command}`]);
  const stream = new ssh.SshStream(channel);
  stream.on("error", () => {});
  child.stdin.on("error", () => {});
  stream.pipe(child.stdin);
  child.stdout.pipe(stream, { end: false });
  child.stderr.resume();
  child.on("close", (code) => {
    // What was written must have left before.
    stream.end(() => channel.close(code ?? 1).catch(() => {}));
  });
  channel.onClosed(() => child.kill());
}

/**
 * @param {{ port: number }} address
 * @returns {Promise<import("./node_command.mjs").Connection>}
 */
export async function connect({ port }) {
  const client = new tcp.SshClient(new ssh.SshSessionConfiguration());
  const session = await client.openSession("127.0.0.1", port);
  session.onAuthenticating((event) => {
    event.authenticationPromise = Promise.resolve({});
  });
  const known = await session.authenticate({
    username: "benchmark",
    password: PASSWORD,
  });
  if (!known) throw new Error("dev-tunnels-ssh did not let us in");
  return {
    async command(argv) {
      const channel = await session.openChannel();
      const exit = new Promise((resolve) => {
        channel.onClosed(({ exitStatus }) => resolve(exitStatus ?? null));
      });
      const stream = new ssh.SshStream(channel);
      stream.on("error", () => {});
      const request = new ssh.CommandRequestMessage();
      request.requestType = "exec";
      request.wantReply = true;
      request.command = quoted(argv);
      if (!(await channel.request(request))) throw new Error("Refused");
      return nodeCommand(stream, stream, exit, () => stream.destroy());
    },
    close: async () => {
      await session.close(ssh.SshDisconnectReason.byApplication);
      client.dispose();
    },
  };
}
