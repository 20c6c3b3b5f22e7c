/**
 * The bare relay on Deno, by Deno's own sockets; see relay.mjs.
 *
 * @module
 */

import { webCommand } from "./web_command.mjs";

/**
 * @param {{ cert?: string, key?: string }} files for TLS
 * @returns {Promise<{ port: number }>}
 */
export function serve({ cert, key }) {
  const at = { hostname: "127.0.0.1", port: 0 };
  const listener = cert === undefined ? Deno.listen(at) : Deno.listenTls({
    ...at,
    cert: Deno.readTextFileSync(cert),
    key: Deno.readTextFileSync(key),
  });
  (async () => {
    for await (const connection of listener) {
      relay(connection).catch(() => {});
    }
  })();
  return Promise.resolve({ port: listener.addr.port });
}

/** @param {Deno.TcpConn | Deno.TlsConn} connection */
async function relay(connection) {
  if ("setNoDelay" in connection) connection.setNoDelay();
  const head = new Uint8Array(65_536);
  let filled = 0;
  let end = -1;
  while (end < 0) {
    const count = await connection.read(head.subarray(filled));
    if (count === null) return connection.close();
    filled += count;
    end = head.subarray(0, filled).indexOf(10);
  }
  const { argv: [program, ...args], stdin } = JSON.parse(
    new TextDecoder().decode(head.subarray(0, end)),
  );
  const child = new Deno.Command(program, {
    args,
    stdin: stdin ? "piped" : "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  if (stdin) {
    const early = child.stdin.getWriter();
    if (end + 1 < filled) await early.write(head.subarray(end + 1, filled));
    early.releaseLock();
    connection.readable.pipeTo(child.stdin).catch(() => {});
  }
  try {
    await child.stdout.pipeTo(connection.writable, { preventClose: true });
    // A command may close its output long before it ends.
    await child.status;
    await connection.writable.close();
  } finally {
    try {
      child.kill();
    } catch {
      // It has ended.
    }
    await child.status;
  }
}

/**
 * Ending a connection's own `writable` would drop the other direction, too.
 *
 * @param {Deno.TcpConn | Deno.TlsConn} connection
 */
function halfClosing(connection) {
  return new WritableStream({
    async write(chunk) {
      for (let sent = 0; sent < chunk.length;) {
        sent += await connection.write(chunk.subarray(sent));
      }
    },
    close: () => connection.closeWrite(),
  });
}

/**
 * @param {{ port: number, cert?: string }} address
 * @returns {Promise<Deno.TcpConn | Deno.TlsConn>}
 */
async function dial({ port, cert }) {
  const to = { hostname: "127.0.0.1", port };
  if (cert === undefined) {
    const connection = await Deno.connect(to);
    connection.setNoDelay();
    return connection;
  }
  const connection = await Deno.connectTls({
    ...to,
    hostname: "localhost",
    caCerts: [Deno.readTextFileSync(cert)],
  });
  await connection.handshake();
  return connection;
}

/**
 * @param {{ port: number, cert?: string, open?: boolean }} address as of relay.mjs
 * @returns {Promise<import("./node_command.mjs").Connection>}
 */
export async function connect({ open, ...address }) {
  if (open) {
    const idle = await dial(address);
    return {
      command: () => Promise.reject(new Error("It is there to be opened")),
      close: () => Promise.resolve(idle.close()),
    };
  }
  return {
    async command(argv, stdin = false) {
      const connection = await dial(address);
      const line = JSON.stringify({ argv, stdin });
      await connection.write(new TextEncoder().encode(`${line}\n`));
      let ended;
      const exit = new Promise((resolve) => ended = () => resolve(null));
      const output = connection.readable.pipeThrough(
        new TransformStream({ flush: () => ended() }),
      );
      return webCommand(
        () => output,
        () => halfClosing(connection),
        exit,
        () => connection.close(),
      );
    },
    close: () => Promise.resolve(),
  };
}
