import process from "node:process";
import { expect, test } from "vitest";
import { ERROR_CODES } from "../core/errors.ts";
import { connect } from "../core/client.ts";
import { parseAddress } from "../core/target.ts";
import { Prng } from "./fuzz/prng.ts";
import { adapter } from "./support/adapter.ts";
import { selfSigned, TRUST_ALL } from "./support/certificates.ts";
import { fromHex } from "./support/frames.ts";
import { useLeakCheck } from "./support/leak_check.ts";
import { eventually } from "./support/leaks.ts";
import { type Serving, serving, TOKEN } from "./support/serving.ts";
import { browserRecordings } from "./support/vectors.ts";

const CASES = 60;

/** Another one each time: what one run does not find, the next may. */
const seed = Number(
  process.env.LIMPET_FUZZ_SEED ?? crypto.getRandomValues(new Uint32Array(1))[0],
);

/** What Chromium says first where TLS is spoken. */
const HELLOS = browserRecordings.recordings
  .filter(({ way }) => way.includes("TLS"))
  .map(({ hex }) => fromHex(hex));

useLeakCheck(async () => {
  await withTls(async (_, good) => await good());
});

/** A server at a TLS port; `good` is a client that means well. */
async function withTls(
  use: (
    served: Serving,
    good: () => Promise<void>,
    port: number,
  ) => Promise<void>,
): Promise<void> {
  const served = await serving({
    maxUnauthenticated: 200,
    earlyDropStart: 200,
  });
  const listener = await adapter.listen(
    { kind: "tls", hostname: "127.0.0.1", port: 0 },
    { identity: await selfSigned() },
  );
  const listening = served.server.listen(listener);
  const target = parseAddress(listener.address);
  const good = async () => {
    const dial = () => adapter.dial(target, undefined, TRUST_ALL);
    await using session = await connect(dial, { token: TOKEN });
    expect(await session.output("true")).toMatchObject({ code: 0 });
  };
  await use(served, good, Number(new URL(listener.address).port));
  await served.server.close();
  await listening;
  await served[Symbol.asyncDispose]();
}

/** Noise, or a hello with some of its bytes changed, cut off or sent twice. */
function bad(prng: Prng): Uint8Array {
  if (prng.oneIn(8)) return prng.bytes(prng.below(400));
  const hello = new Uint8Array(prng.pick(HELLOS));
  for (let i = prng.below(6); i > 0; i--) {
    // Most of what matters is at its begin.
    const end = prng.oneIn(2) ? 120 : hello.length;
    hello[prng.below(end)] = prng.next();
  }
  if (prng.oneIn(3)) return hello.subarray(0, prng.below(hello.length));
  return prng.oneIn(4) ? new Uint8Array([...hello, ...hello]) : hello;
}

test(`no handshake of TLS brings a server down, seed ${seed}`, async () => {
  await withTls(async (served, good, port) => {
    const target = { kind: "tcp", hostname: "127.0.0.1", port } as const;
    for (let i = 0; i < CASES; i++) {
      const prng = new Prng(seed, i);
      const { readable, writable } = await adapter.dial(target);
      const [reader, writer] = [readable.getReader(), writable.getWriter()];
      await writer.write(bad(prng)).catch(() => {});
      if (prng.oneIn(2)) {
        await Promise.allSettled([reader.cancel(), writer.abort()]);
      } else {
        await writer.close().catch(() => {});
        const rest = async () => {
          while (!(await reader.read()).done);
        };
        await rest().catch(() => {});
        await Promise.allSettled([reader.cancel()]);
      }
    }
    // Behind all of them.
    await good();
    await eventually(
      () => served.server.connectionCount === 0,
      () => `${served.server.connectionCount} are still open`,
    );
    const ends = served.disconnected();
    // One that was reset before it was accepted may never have been there.
    expect(ends.length).toBeGreaterThan(CASES / 2);
    const last = ends.pop();
    expect(last).toMatchObject({ code: "closed", authenticated: true });
    for (const { code, authenticated, message } of ends) {
      expect(ERROR_CODES).toContain(code);
      expect(authenticated).toBe(false);
      // deno-lint-ignore no-control-regex -- control characters are what it is about
      expect(message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
    }
    expect(served.spawned).toHaveLength(1);
  });
});
