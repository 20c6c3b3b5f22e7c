import fc from "fast-check";
import { expect, test } from "vitest";
import { LimpetError } from "../core/errors.ts";
import {
  CLIENT_PREFACE,
  PrefaceMatcher,
  SERVER_PREFACE,
} from "../core/frame/preface.ts";
import { describeClient, describeServer } from "../core/frame/strangers.ts";
import { anyCuts, cutAt, join } from "./support/frames.ts";

const text = (string: string) => new TextEncoder().encode(string);
const REST = text("what follows");

interface Outcome {
  /** What followed the preface; undefined while it has not been complete. */
  readonly rest: Uint8Array | undefined;
  readonly shown: Uint8Array;
  readonly error: LimpetError | undefined;
}

/** What a matcher makes of chunks. Once it is done, the rest is the rest. */
function match(
  chunks: readonly Uint8Array[],
  maxNoise?: number,
  expected = SERVER_PREFACE,
): Outcome {
  const shown: Uint8Array[] = [];
  const noise = maxNoise === undefined ? undefined : {
    maxBytes: maxNoise,
    show: (bytes: Uint8Array) => shown.push(bytes.slice()),
  };
  const matcher = new PrefaceMatcher(
    expected,
    expected === SERVER_PREFACE ? describeServer : describeClient,
    noise,
  );
  let rest: Uint8Array | undefined;
  let error: LimpetError | undefined;
  try {
    for (const chunk of chunks) {
      if (rest === undefined) rest = matcher.push(chunk);
      else rest = join([rest, chunk]);
    }
  } catch (thrown) {
    if (!(thrown instanceof LimpetError)) throw thrown;
    error = thrown;
  }
  return { rest, shown: join(shown), error };
}

test("it is found at every split, and what follows is left alone", () => {
  for (const preface of [CLIENT_PREFACE, SERVER_PREFACE]) {
    const bytes = join([preface, REST]);
    for (let at = 0; at <= bytes.byteLength; at++) {
      const { rest, error } = match(cutAt(bytes, [at]), undefined, preface);
      expect(error).toBeUndefined();
      expect(rest, `cut at ${at}`).toEqual(REST);
    }
    const single = cutAt(bytes, [...bytes.keys()]);
    expect(match(single, undefined, preface).rest).toEqual(REST);
  }
});

test("an incomplete preface is neither an end nor an error", () => {
  for (let length = 0; length < 8; length++) {
    const { rest, error } = match([SERVER_PREFACE.subarray(0, length)]);
    expect(rest).toBeUndefined();
    expect(error).toBeUndefined();
  }
});

test("a wrong byte at any place is refused at that byte, on a socket", () => {
  for (let place = 0; place < 8; place++) {
    const bytes = SERVER_PREFACE.slice();
    bytes[place] ^= 0x01;
    for (let at = 0; at <= place; at++) {
      const chunks = cutAt(bytes.subarray(0, place + 1), [at]);
      expect(match(chunks).error?.code).toBe("protocol_error");
    }
    expect(match([bytes.subarray(0, place)]).error).toBeUndefined();
  }
});

const [C, S] = [CLIENT_PREFACE, SERVER_PREFACE];

test.each([
  ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", C, "an HTTP request"],
  ["POST /run HTTP/1.1\r\n", C, "an HTTP request"],
  ["HTTP/1.1 400 Bad Request\r\n", S, "an HTTP response"],
  ["SSH-2.0-OpenSSH_9.6\r\n", S, "an ssh banner"],
  ["SSH-2.0-OpenSSH_9.6\r\n", C, "an ssh banner"],
  ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", C, "a TLS handshake"],
  ["\x15\x03\x01\x00\x02\x02\x46", S, "a TLS alert"],
  ["\x00\x01\x02", S, "the bytes 00 01 02"],
  ["\x00\x01\x02", C, "the bytes 00 01 02"],
])("%j is called what it is", (greeting, expected, name) => {
  const bytes = Uint8Array.from(greeting, (char) => char.charCodeAt(0));
  const { error } = match([bytes], undefined, expected);
  expect(error?.code).toBe("protocol_error");
  expect(error?.message).toContain(name);
});

test("the preface of one's own role is refused and named", () => {
  for (let at = 0; at <= 8; at++) {
    const { error } = match(cutAt(CLIENT_PREFACE, [at]));
    expect(error?.code).toBe("protocol_error");
    expect(error?.message).toContain("the preface of our own role");
  }
});

test("noise before it is shown as it came, up to the bound", () => {
  const noise = text("Last login: Sun Nov 22\r\nWelcome!\r\n");
  const bytes = join([noise, SERVER_PREFACE, REST]);
  for (let at = 0; at <= bytes.byteLength; at++) {
    const { rest, shown, error } = match(
      cutAt(bytes, [at]),
      noise.byteLength,
    );
    expect(error).toBeUndefined();
    expect(rest).toEqual(REST);
    expect(shown, `cut at ${at}`).toEqual(noise);
  }
});

test("one byte of noise over the bound is refused, at every split", () => {
  const bytes = join([new Uint8Array(100), SERVER_PREFACE]);
  for (let at = 0; at <= bytes.byteLength; at++) {
    const { rest, error } = match(cutAt(bytes, [at]), 99);
    expect(rest).toBeUndefined();
    expect(error?.code).toBe("protocol_error");
    expect(error?.message).toContain("over the limit of 99");
  }
});

test("endless noise is refused once it is over the bound, and not kept", () => {
  const matcher = new PrefaceMatcher(SERVER_PREFACE, describeServer, {
    maxBytes: 65_536,
    show: () => {},
  });
  matcher.push(new Uint8Array(65_536));
  expect(() => matcher.push(Uint8Array.of(0))).toThrow("65536");
});

test("noise made of pieces of the preface hides nothing", () => {
  // Whatever the noise is: it ends where the preface begins for the first time.
  const pieces = fc.array(
    fc.oneof(
      fc.integer({ min: 0, max: 7 }).map((n) => SERVER_PREFACE.slice(0, n)),
      fc.constant(CLIENT_PREFACE),
      fc.uint8Array({ maxLength: 3 }),
    ),
    { maxLength: 8 },
  ).map(join).filter((noise) => {
    const all = String.fromCharCode(...noise, ...SERVER_PREFACE);
    const first = all.indexOf(String.fromCharCode(...SERVER_PREFACE));
    return first === noise.byteLength;
  });
  fc.assert(
    fc.property(pieces, anyCuts, (noise, cuts) => {
      const bytes = join([noise, SERVER_PREFACE, REST]);
      const { rest, shown, error } = match(cutAt(bytes, cuts), 1_000);
      expect(error).toBeUndefined();
      expect(rest).toEqual(REST);
      expect(shown).toEqual(noise);
    }),
    { numRuns: 500 },
  );
});
