/**
 * The key pair by which clients with key pairs know a server.
 *
 * @module
 */

import { KeyPair, makeKeyPair } from "../auth/key_pair.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { FileContents, Machine } from "../machine.ts";
import { configDirectory } from "../token_file.ts";

type Place = Pick<Machine, "env" | "files" | "isWindows">;

/** Where a server's own private key is. */
export function hostKeyPath(place: Place): string {
  return `${configDirectory(place)}${place.isWindows ? "\\" : "/"}host_key`;
}

/**
 * The server's own key pair, made on first use. Throws `invalid_argument` if it
 * cannot be read or made, or if others could have read it.
 */
export async function findOrMakeHostKey(place: Place): Promise<KeyPair> {
  const path = hostKeyPath(place);
  const found = await readPrivateKey(place, path);
  if (found !== null) return found;
  const pem = await makeKeyPair();
  await place.files.createPrivate(path, pem).catch((error) => {
    throw asLimpetError(error, "invalid_argument", `Cannot make key ${path}`);
  });
  // Another server may have been first to make it.
  const made = await readPrivateKey(place, path);
  if (made !== null) return made;
  throw new LimpetError("invalid_argument", `Key ${path} vanished`);
}

/**
 * The key pair in a file; null without one. Throws `invalid_argument` if it is
 * none, or if others than its owner can read it.
 */
export async function readPrivateKey(
  { files }: Pick<Place, "files">,
  path: string,
): Promise<KeyPair | null> {
  let found: FileContents | null;
  try {
    found = await files.read(path);
  } catch (error) {
    throw asLimpetError(error, "invalid_argument", `Cannot read key ${path}`);
  }
  if (found === null) return null;
  const { text, mode } = found;
  if (mode !== null && (mode & 0o077) !== 0) {
    throw new LimpetError(
      "invalid_argument",
      `Private key ${path} can be read by others than its owner (mode ${
        (mode & 0o777).toString(8).padStart(4, "0")
      }): run "chmod 600 ${path}", and make a new one if anyone may have seen it`,
    );
  }
  return await KeyPair.fromPem(text).catch((cause) => {
    const { message } = asLimpetError(cause, "invalid_argument", "Key");
    throw new LimpetError("invalid_argument", `${message} (${path})`, {
      cause,
    });
  });
}
