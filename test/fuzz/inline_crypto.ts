/**
 * The web's crypto with its answers in line. The platform's come from a pool of
 * threads, each case in another order; here the same seed runs the same way. The
 * proofs are as right or wrong as ever.
 *
 * @module
 */

import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from "node:crypto";
import { Buffer } from "node:buffer";
import { toBase64Url } from "../../core/auth/base64url.ts";
import type { Prng } from "./prng.ts";

type Key = Uint8Array | KeyObject;

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
    // A token's key is its bytes: nobody but these functions looks at it.
    importKey: async (format: string, bytes: Uint8Array, algorithm: unknown) =>
      await (algorithm === "Ed25519"
        ? keyObject(format, bytes)
        : bytes.slice()),
    exportKey: async (_: string, key: KeyObject) =>
      await createPublicKey(key).export({ format: "jwk" }),
    sign: async (_: string, key: Key, bytes: Uint8Array) =>
      await (key instanceof Uint8Array
        ? mac(key, bytes)
        : new Uint8Array(sign(null, bytes, key))),
    verify: async (_: string, key: Key, proof: Uint8Array, bytes: Uint8Array) =>
      await (key instanceof Uint8Array
        ? proof.byteLength === 32 && timingSafeEqual(mac(key, bytes), proof)
        : verify(null, bytes, key, proof)),
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

function keyObject(format: string, bytes: Uint8Array): KeyObject {
  if (format === "pkcs8") {
    const key = Buffer.from(bytes);
    return createPrivateKey({ key, format: "der", type: "pkcs8" });
  }
  const x = toBase64Url(bytes);
  const key = { kty: "OKP", crv: "Ed25519", x };
  return createPublicKey({ key, format: "jwk" });
}

function replace(value: unknown): void {
  Object.defineProperty(globalThis, "crypto", { value, configurable: true });
}
