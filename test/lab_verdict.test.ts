import { describe, expect, test } from "vitest";
import {
  changed,
  labHere,
  type LabOutcome,
  labSockets,
} from "./support/lab.ts";
import { en } from "../core/lab/texts/en.ts";
import { zh } from "../core/lab/texts/zh.ts";
import { widthOf, wrap } from "../core/lab/wrap.ts";
import type {
  LabDatagrams,
  LabSocket,
  LabSockets,
} from "../core/lab/sockets.ts";
import { recvUntil, sendAll } from "../core/lab/naive.ts";
import { Story } from "../core/lab/story.ts";

let allAtOnce: Promise<LabOutcome> | null = null;

/** A terminal of 40 columns, without colours. */
const NARROW = { columns: 40, env: { NO_COLOR: "1" } };

/** What all of them say there, one after another, if no datagram is ever lost. */
function allOfThem(): Promise<LabOutcome> {
  const sockets = { ...labSockets, ...RELIABLE };
  return allAtOnce ??= labHere(["all"], { sockets, ...NARROW });
}

/** What one JSON run said. */
async function verdictOf(name: string, sockets: LabSockets) {
  const { code, stdout, stderr } = await labHere([name, "--json"], { sockets });
  expect(stderr).toBe("");
  const { observed, cured, measured } = JSON.parse(stdout);
  return { code, observed, cured, measured };
}

describe("without the phenomenon an experiment fails, and says so:", () => {
  test("sticky, where recv gives the whole answer", async () => {
    const sockets = changed((socket) => ({
      recv: () => socket.recv(65_536),
    }));
    expect(await verdictOf("sticky", sockets)).toMatchObject({
      code: 1,
      observed: false,
      cured: true,
      measured: { leftInBuffer: 0, secondReadBytes: 7, lateBytes: 0 },
    });
    const { code, stdout } = await labHere(["sticky"], { sockets });
    expect(code).toBe(1);
    expect(stdout).toContain("✗ Not observed this time: ");
    expect(stdout).toContain("✓ Cured: ");
  });

  test("nagle, where every read is one message", async () => {
    const sockets = changed((socket) => ({
      recv: (maxBytes) => socket.recv(Math.min(maxBytes, 9)),
    }));
    expect(await verdictOf("nagle", sockets)).toMatchObject({
      code: 1,
      observed: false,
      cured: true,
    });
  });

  test("split, where send takes everything", async () => {
    const sockets = changed((socket) => ({
      // It is a lie about the rest, which goes out in the background.
      async send(bytes) {
        const taken = await socket.send(bytes);
        sendRest(socket, bytes.subarray(taken));
        return bytes.byteLength;
      },
    }));
    expect(await verdictOf("split", sockets)).toMatchObject({
      code: 1,
      observed: false,
      cured: true,
    });
  });

  test("empty, where an empty send arrives", async () => {
    const sockets = changed((socket) => ({
      send: (bytes) =>
        socket.send(bytes.byteLength > 0 ? bytes : new Uint8Array([10])),
    }));
    const { code, observed } = await verdictOf("empty", sockets);
    expect({ code, observed }).toEqual({ code: 1, observed: false });
  });

  test("empty, where a recv ends instead of waiting", async () => {
    const sockets = changed((socket) => ({
      // The client is the one that sends nothing.
      send(bytes) {
        if (bytes.byteLength === 0) this.recv = () => Promise.resolve(null);
        return socket.send(bytes);
      },
    }));
    expect(await verdictOf("empty", sockets)).toMatchObject({
      code: 1,
      observed: false,
      measured: { blockedOnEmpty: false, blockedOnSilence: false },
    });
    const { stdout } = await labHere(["empty"], { sockets });
    expect(stdout).toContain("recv has got the end of the connection\n");
    expect(stdout).not.toContain("blocked");
  });

  test("empty, where the command without output never arrives", async () => {
    const sockets = changed((socket) => ({
      send: (bytes) =>
        bytesAre(bytes, "true")
          ? Promise.resolve(bytes.byteLength)
          : socket.send(bytes),
    }));
    expect(await verdictOf("empty", sockets)).toMatchObject({
      code: 1,
      observed: false,
      measured: { blockedOnEmpty: true, blockedOnSilence: false },
    });
  });

  test.each<[string, () => Promise<Uint8Array | null>, string]>([
    ["gets nothing", () => Promise.resolve(null), "recv(1024) → 0 bytes"],
    [
      "gets another answer",
      () => Promise.resolve(new TextEncoder().encode("first\n")),
      'recv(1024) → 6 bytes "first\\n"',
    ],
    [
      "is cut off",
      () => Promise.reject(new Error("The wire is cut")),
      "error: Connection: The wire is cut",
    ],
  ])(
    "reset, where the client after a caught error %s",
    async (_, recv, shown) => {
      const sockets = changed((socket) => ({
        send(bytes) {
          // To the first server it cannot even connect.
          if (bytesAre(bytes, "echo second")) this.recv = recv;
          return socket.send(bytes);
        },
      }));
      const { code, stdout } = await labHere(["reset"], { sockets });
      expect(code).toBe(1);
      expect(stdout).toContain("✗ Not observed this time: ");
      expect(stdout).toContain("✓ Cured: ");
      expect(stdout).not.toMatch(/next client\s+is served:\n/);
      expect(stdout).toContain(shown);
    },
  );

  test("reset, where nobody resets", async () => {
    let rude = false;
    const sockets = changed((socket) => ({
      recv(maxBytes) {
        // The client that goes away is the one that takes ten bytes.
        rude = maxBytes === 10;
        return socket.recv(maxBytes);
      },
      close() {
        if (rude) politely(socket);
        else socket.close();
        rude = false;
      },
    }));
    const { code, observed } = await verdictOf("reset", sockets);
    expect({ code, observed }).toEqual({ code: 1, observed: false });
  });

  test("datagram, where nothing is ever lost", async () => {
    expect(await verdictOf("datagram", { ...labSockets, ...RELIABLE }))
      .toMatchObject({
        code: 1,
        observed: false,
        cured: true,
        measured: { cutBytes: 1_976, burstLost: 0, overLimitRefused: false },
      });
  });

  test("one that fails is counted by all", async () => {
    const sockets = { ...labSockets, ...RELIABLE };
    const { code, stdout } = await labHere(["all", "--json"], { sockets });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ passed: 5, failed: 1 });
    const shown = await allOfThem();
    expect(shown.code).toBe(1);
    expect(shown.stdout).toMatch(/^datagram +✗ no +✓ yes/m);
    expect(shown.stdout).toMatch(/^sticky +✓ yes +✓ yes/m);
  });
});

describe("the texts", () => {
  test("have the same values in both languages", () => {
    const values = (text: string) =>
      (text.match(/\{\w+\}/g) ?? []).sort().join(" ");
    expect(Object.keys(zh)).toEqual(Object.keys(en));
    for (const key of Object.keys(en) as (keyof typeof en)[]) {
      expect(values(zh[key]), key).toBe(values(en[key]));
    }
  });

  test.each(["en", "zh"])("fit into 40 columns (%s)", async (lang) => {
    const { code, stdout } = lang === "en"
      ? await allOfThem()
      : await labHere(["all", "--lang", lang], NARROW);
    expect(code).toBe(lang === "en" ? 1 : 0);
    for (const line of stdout.split("\n")) {
      expect(widthOf(line), line).toBeLessThanOrEqual(40);
    }
    expect(/[\u4e00-\u9fff]/.test(stdout)).toBe(lang === "zh");
  });

  test("have colours in a terminal alone", async () => {
    const colored = await labHere([], { columns: 80 });
    expect(colored.stdout).toContain("\x1b[");
    expect((await labHere([])).stdout).not.toContain("\x1b[");
    const forced = await labHere([], { env: { FORCE_COLOR: "1" } });
    expect(forced.stdout).toBe(colored.stdout);
    const dumb = await labHere([], { columns: 80, env: { TERM: "dumb" } });
    expect(dumb.stdout).not.toContain("\x1b[");
  });
});

describe("limpet lab", () => {
  test.each(["zh", "ZH", "zh-CN", "zh_CN", "zh_CN.UTF-8"])(
    "speaks Chinese with --lang %s",
    async (lang) => {
      const chinese = await labHere(["--lang", lang]);
      expect(chinese).toEqual(await labHere(["--lang", "zh"]));
      expect(chinese.stdout).toContain("limpet lab all --lang zh");
    },
  );

  test("speaks English with --lang en-US", async () => {
    expect(await labHere(["--lang", "en-US"])).toEqual(await labHere([]));
  });

  test("has empty lines between experiments, and none at the end", async () => {
    const { stdout } = await labHere(["nagle"]);
    expect(stdout).toMatch(/[^\n]\n$/);
    const all = await allOfThem();
    expect(all.stdout).toMatch(/[^\n]\n$/);
    expect(all.stdout).not.toContain("\n\n\n");
    expect(all.stdout.match(/\n\n[^\n]+\n─+\n/g)).toHaveLength(6);
  });

  test("tells of split the same number of reads twice", async () => {
    const { stdout } = await allOfThem();
    const words = stdout.replaceAll(/\s+/g, " ");
    const [, told] = /recv\(1,048,576\) → (\d+) reads/.exec(words) ?? [];
    expect(words).toMatch(
      new RegExp(` split ✓ yes ✓ yes [^✓✗]* in ${told} reads `),
    );
  });

  test("lists all of them alike where one has no room", async () => {
    const { stdout } = await labHere(["--lang", "zh"], NARROW);
    expect(stdout).toMatch(/^empty\n {2}一条/m);
    expect(stdout).toMatch(/^reset\n {2}一个/m);
  });
});

describe("a table", () => {
  const table = (columns: number) => {
    let written = "";
    const write = (text: string) => written += text;
    new Story({ texts: en, write, columns, color: false }).table([
      ["lab", "observed", "measured"],
      ["sticky", "yes", "a number that is long"],
    ]);
    return written.split("\n").slice(0, -1);
  };

  test("keeps its columns where the last one goes on a line below", () => {
    expect(table(80)[1]).toBe("sticky  yes       a number that is long");
    expect(table(30)).toEqual([
      "lab     observed  measured",
      "sticky  yes",
      "  a number that is long",
    ]);
  });
});

describe("wrap", () => {
  test("breaks English between words", () => {
    expect(wrap("one two  three\nfour", 9)).toEqual([
      "one two",
      "three",
      "four",
    ]);
    expect(wrap("exactly it", 10)).toEqual(["exactly it"]);
    expect(wrap("a b", 1, "")).toEqual(["a", "b"]);
    expect(wrap("one two three", 9, "  ")).toEqual(["one two", "  three"]);
    expect(wrap("", 9)).toEqual([""]);
  });

  test("breaks Chinese anywhere but before a comma", () => {
    expect(wrap("粘包就是粘包", 8)).toEqual(["粘包就是", "粘包"]);
    expect(wrap("粘包就是，粘包", 8)).toEqual(["粘包就", "是，粘包"]);
    expect(wrap("第一行\n    第二行", 80)).toEqual(["第一行第二行"]);
    expect(wrap("调用 recv(1024)\n    一次", 80)).toEqual([
      "调用 recv(1024)一次",
    ]);
    expect(widthOf("粘包 ok")).toBe(7);
  });

  test("cuts a word that is longer than a line", () => {
    expect(wrap("abcdefgh", 3)).toEqual(["abc", "def", "gh"]);
    expect(wrap("x abcdefgh", 5, " ")).toEqual(["x", " abcd", " efgh"]);
  });
});

function bytesAre(bytes: Uint8Array, text: string): boolean {
  return new TextDecoder().decode(bytes) === text;
}

/** Sends what the kernel did not take. */
async function sendRest(socket: LabSocket, bytes: Uint8Array): Promise<void> {
  await sendAll(socket, bytes).catch(() => {}); // Then the receiver misses it.
}

/** Closes a socket once it has read all of `seq 1 2000000`. */
async function politely(socket: LabSocket): Promise<void> {
  try {
    await recvUntil(socket, 14_888_896 - 10, 1_048_576);
  } finally {
    socket.close();
  }
}

/** Datagrams with a queue without end. They still do not stretch a buffer. */
const RELIABLE: Pick<LabSockets, "bindDatagrams"> = {
  bindDatagrams: () => {
    const port = ++lastPort;
    const queue: Uint8Array[] = [];
    queues.set(port, queue);
    const socket: LabDatagrams = {
      address: { hostname: "127.0.0.1", port },
      send: (bytes, to) => {
        queues.get(to.port)?.push(bytes);
        return Promise.resolve();
      },
      receive: (maxBytes) =>
        Promise.resolve(
          (queue.shift() ?? new Uint8Array(0)).slice(0, maxBytes),
        ),
      close: () => void queues.delete(port),
    };
    return Promise.resolve(socket);
  },
};
const queues = new Map<number, Uint8Array[]>();
let lastPort = 0;
