/**
 * The web's crypto with its answers in line. The platform's come from a pool of
 * threads, each case in another order; here the same seed runs the same way. The
 * proofs are as right or wrong as ever.
 *
 * @module
 */

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Prng } from "./prng.ts";

let chance: Prng | null = null;

/** Where nonces come from for the next case. */
export function seedNonces(rng: Prng): void {
  chance = rng;
}

/** Puts it in place of the platform's until disposed. */
export function inlineCrypto(): Disposable {
  const real = globalThis.crypto;
  const mac = (key: Uint8Array, bytes: Uint8Array) =>
    new Uint8Array(createHmac("sha256", key).update(bytes).digest());
  const subtle = {
    digest: (_: string, bytes: Uint8Array) =>
      Promise.resolve(
        new Uint8Array(createHash("sha256").update(bytes).digest()).buffer,
      ),
    // The key is its bytes: nobody but these functions looks at it.
    importKey: (_: string, bytes: Uint8Array) => Promise.resolve(bytes.slice()),
    sign: (_: string, key: Uint8Array, bytes: Uint8Array) =>
      Promise.resolve(mac(key, bytes).buffer),
    verify: (
      _: string,
      key: Uint8Array,
      proof: Uint8Array,
      bytes: Uint8Array,
    ) => Promise.resolve(timingSafeEqual(mac(key, bytes), proof)),
  };
  replace({
    subtle,
    getRandomValues: (into: Uint8Array) => {
      if (chance === null) return real.getRandomValues(into as never);
      into.set(chance.bytes(into.byteLength));
      return into;
    },
    randomUUID: () => real.randomUUID(),
  });
  return { [Symbol.dispose]: () => replace(real) };
}

function replace(value: unknown): void {
  Object.defineProperty(globalThis, "crypto", { value, configurable: true });
}
