/**
 * The other way round: from a client's text to what a program of this machine
 * takes for the same text.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { ConsoleText } from "../ports.ts";
import {
  encodeText,
  type Encodings,
  findCodec,
  keepsAscii,
  type TextCodec,
} from "../text/mod.ts";
import type { ExecRequest } from "./request.ts";

/** The console that a server's commands run at. */
export interface Console {
  /** See `Platform.encoding`. */
  readonly encoding: string;
  /** See `Platform.os`. */
  readonly os: string;
  /** Knows how to write what is not UTF-8, or loads who does when asked. */
  readonly encodings?: Encodings | (() => Promise<Encodings>);
}

/** How a command's text is to reach it; undefined for UTF-8. */
export async function consoleText(
  request: Pick<ExecRequest, "encoding" | "env">,
  machine: Console,
): Promise<ConsoleText | undefined> {
  // Windows takes every command line as Unicode and converts it by itself.
  if (machine.os === "windows") return undefined;
  const wanted = request.encoding ?? machine.encoding;
  if (wanted === "utf-8") return undefined;
  const { encoding } = machine;
  const encodings = typeof machine.encodings === "function"
    ? await machine.encodings()
    : machine.encodings;
  let codec: TextCodec | undefined;
  return {
    variables: Object.keys(request.env),
    encode(text) {
      codec ??= chooseCodec(wanted, encoding, encodings);
      return encodeText(text, codec);
    },
  };
}

function chooseCodec(
  wanted: string,
  encoding: string,
  encodings: Encodings | undefined,
): TextCodec {
  // Who asks for what nobody knows has made a mistake; the console has not.
  const codec = encodings === undefined && wanted === encoding
    ? knownCodec(wanted)
    : findCodec(wanted, encodings);
  if (codec === null || (codec.writer() === null && encodings === undefined)) {
    throw new LimpetError(
      "unsupported",
      `Text that is not ASCII cannot be written in ${wanted} on this server, ` +
        "which was started without limpet/iconv",
    );
  }
  if (keepsAscii(codec)) return codec;
  // UTF-16 and its like are for files and streams: no console speaks them.
  const spoken = findCodec(encoding, encodings);
  if (keepsAscii(spoken)) return spoken;
  throw new LimpetError(
    "unsupported",
    `Text that is not ASCII cannot be written in ${spoken.name}, which this ` +
      "server's console is said to speak: name another encoding",
  );
}

function knownCodec(name: string): TextCodec | null {
  try {
    return findCodec(name);
  } catch {
    return null;
  }
}
