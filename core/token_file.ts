/**
 * Where the token is kept, and how it is found.
 *
 * @module
 */

import { makeToken, MIN_TOKEN_BYTES } from "./auth/token.ts";
import { counted } from "./counted.ts";
import { asLimpetError, LimpetError } from "./errors.ts";
import type { Files, Machine } from "./machine.ts";

/** A token and where it came from, for messages. Never print `token`. */
export interface FoundToken {
  readonly token: string;
  /** The file's path, or `LIMPET_TOKEN`. */
  readonly source: string;
  /** It was made just now. */
  readonly made: boolean;
}

type Surroundings = Pick<Machine, "env" | "isWindows">;
type Place = Surroundings & {
  readonly files: Pick<Files, "read" | "createPrivate">;
};

/**
 * The token: from `path` if given, else from the file that `LIMPET_TOKEN_FILE`
 * names, else from `LIMPET_TOKEN`, else from the configuration folder.
 * Throws `invalid_argument` when there is none, when it is empty, or when
 * others than its owner can read its file.
 */
export async function findToken(
  place: Place,
  path?: string,
): Promise<FoundToken> {
  const file = path ?? place.env("LIMPET_TOKEN_FILE");
  const token = place.env("LIMPET_TOKEN");
  if (file === undefined && token !== undefined) {
    const source = "LIMPET_TOKEN";
    return { token: longEnough(token, source), source, made: false };
  }
  const source = file ?? defaultTokenPath(place);
  const found = await readToken(place, source);
  if (found !== null) return { token: found, source, made: false };
  throw new LimpetError(
    "invalid_argument",
    `There is no token: ${source} does not exist. "limpet serve" makes one ` +
      "on its machine; copy it here, or name it with --token-file, " +
      "LIMPET_TOKEN_FILE or LIMPET_TOKEN",
  );
}

/** The same for a server, which makes a token of 256 bits if there is none. */
export async function findOrMakeToken(
  place: Place,
  path?: string,
): Promise<FoundToken> {
  const file = path ?? place.env("LIMPET_TOKEN_FILE");
  if (file === undefined && place.env("LIMPET_TOKEN") !== undefined) {
    return await findToken(place);
  }
  const source = file ?? defaultTokenPath(place);
  const made = (await readToken(place, source)) === null &&
    await create(place, source);
  // Read again: another server may have been first to make it.
  const token = await readToken(place, source);
  if (token !== null) return { token, source, made };
  throw new LimpetError("invalid_argument", `Token file ${source} vanished`);
}

/**
 * The folder of Limpet's own files: `LIMPET_CONFIG`, else
 * `$XDG_CONFIG_HOME/limpet`, else `~/.config/limpet`; on Windows
 * `%APPDATA%\limpet`.
 */
export function configDirectory({ env, isWindows }: Surroundings): string {
  const own = env("LIMPET_CONFIG");
  if (own) return own;
  if (isWindows) {
    const roaming = env("APPDATA");
    if (roaming) return `${roaming}\\limpet`;
  }
  // The XDG Base Directory Specification: a path that is not absolute is void.
  const xdg = env("XDG_CONFIG_HOME");
  if (xdg?.startsWith("/")) return `${xdg}/limpet`;
  const home = env("HOME");
  if (home) return `${home}/.config/limpet`;
  throw new LimpetError(
    "invalid_argument",
    "Cannot tell where the token is kept: neither HOME nor XDG_CONFIG_HOME " +
      "is set. Name it with --token-file or LIMPET_TOKEN_FILE",
  );
}

function defaultTokenPath(place: Place): string {
  const separator = place.isWindows ? "\\" : "/";
  return `${configDirectory(place)}${separator}token`;
}

/**
 * Whether others than its owner can read a file of that mode. What systemd hands
 * a service (`LoadCredential=`) is the service's alone; newer versions see to
 * that with an access list, which shows in the mode as a right of the group.
 */
export function isOpenToOthers(
  { env }: Pick<Surroundings, "env">,
  path: string,
  mode: number | null,
): boolean {
  if (mode === null || (mode & 0o077) === 0) return false;
  const handed = env("CREDENTIALS_DIRECTORY");
  const isHanded = handed !== undefined && handed.startsWith("/") &&
    path.startsWith(`${handed}/`) && !path.split("/").includes("..");
  return !isHanded || (mode & 0o037) !== 0;
}

/** The token in a file; null without one. Throws as {@linkcode findToken}. */
export async function readToken(
  place: Place,
  path: string,
): Promise<string | null> {
  const contents = await place.files.read(path).catch((error) => {
    throw asLimpetError(error, "invalid_argument", `Cannot read token ${path}`);
  });
  if (contents === null) return null;
  const { text, mode } = contents;
  if (isOpenToOthers(place, path, mode)) {
    throw new LimpetError(
      "invalid_argument",
      `Token file ${path} can be read by others than its owner (mode ${
        (mode! & 0o777).toString(8).padStart(4, "0")
      }): run "chmod 600 ${path}", and replace the token if anyone may have ` +
        "seen it",
    );
  }
  const token = text.trim();
  if (token !== "") return longEnough(token, path);
  throw new LimpetError("invalid_argument", `Token file ${path} is empty`);
}

/** Refused here already, where it is known whose mistake it is. */
function longEnough(token: string, source: string): string {
  const { byteLength } = new TextEncoder().encode(token);
  if (byteLength >= MIN_TOKEN_BYTES) return token;
  const bytes = counted(byteLength, "byte");
  throw new LimpetError(
    "invalid_argument",
    `The token in ${source} has ${bytes}, and at least ${MIN_TOKEN_BYTES} are ` +
      "needed",
  );
}

async function create(place: Place, path: string): Promise<boolean> {
  try {
    return await place.files.createPrivate(path, `${makeToken()}\n`);
  } catch (error) {
    throw asLimpetError(
      error,
      "invalid_argument",
      `Cannot make token file ${path}`,
    );
  }
}
