/**
 * Encodings on the command line: which one a command speaks, which one we do,
 * and what comes between.
 *
 * @module
 */

import type { Session } from "../client.ts";
import { LimpetError } from "../errors.ts";
import type { Platform } from "../ports.ts";
import {
  decodeStream,
  encodeStream,
  type Encodings,
  findCodec,
  keepsAscii,
  type TextCodec,
} from "../text/mod.ts";
import { usageError } from "./args.ts";
import { loadCodec, loadEncodings, ownCodec } from "./codecs.ts";
import type { Reporter } from "./report.ts";
import type { CliRuntime, StandardInput, StandardOutput } from "./runtime.ts";

/**
 * Refuses words of our own command line that we cannot have read: runtimes take
 * arguments as UTF-8 alone, whatever the locale.
 */
export async function refuseUnread(
  runtime: CliRuntime,
  words: readonly string[],
): Promise<void> {
  const word = words.find((word) => word.includes("\ufffd"));
  if (word === undefined || (await ownCodec(runtime)).name === "utf-8") return;
  throw usageError(
    `"${word}" is not UTF-8, and ${runtime.name} takes arguments in nothing ` +
      "else: type the line at limpet shell, which reads the locale's encoding",
  );
}

/** The encoding of a console, which has ASCII in it. */
async function consoleCodec(name: string): Promise<TextCodec> {
  const codec = await loadCodec(name);
  if (keepsAscii(codec)) return codec;
  throw usageError(
    `--encoding ${name} cannot be a console's: it does not write ASCII as ` +
      "ASCII. For one command's output, say it to limpet exec",
  );
}

/** A server's platform, with the encoding that it is told to speak. */
export async function servedPlatform(
  runtime: CliRuntime,
  wanted: string | undefined,
  report: Reporter,
): Promise<{ platform: Platform; encodings: () => Promise<Encodings> }> {
  const platform = runtime.platform();
  const { name: encoding } = wanted !== undefined
    ? await consoleCodec(wanted)
    : await loadCodec(platform.encoding).catch((error) => {
      report.warn(
        `taking this machine's console for UTF-8: ${messageOf(error)} ` +
          "(--encoding says otherwise)",
      );
      return findCodec("utf-8");
    });
  // A client may ask for an encoding of its own.
  return { platform: { ...platform, encoding }, encodings: loadEncodings };
}

/** Something that bytes go through on their way. */
export interface Filter {
  push(bytes: Uint8Array): Uint8Array;
  end(): Uint8Array;
}

/** Between a command's encoding and ours. */
export class Translation {
  /** What the command speaks. */
  readonly theirs: TextCodec;
  /** What we speak. */
  readonly ours: TextCodec;
  readonly #allText: boolean;

  /** `allText`: bytes are text for sure, also where there is no terminal. */
  constructor(theirs: TextCodec, ours: TextCodec, allText: boolean) {
    this.theirs = theirs;
    this.ours = ours;
    this.#allText = allText;
  }

  /**
   * For an output of ours: a terminal gets text, with U+FFFD for what is none.
   * Anything else gets the bytes as they are, unless all is text.
   */
  output(to: StandardOutput): Filter | undefined {
    if (!to.isTerminal && !this.#allText) return undefined;
    return translator(this.theirs, this.ours);
  }

  /** For our input, which is text by the same rule. */
  input(from: StandardInput): ReadableStream<Uint8Array> {
    const bytes = from.open();
    const isText = from.isTerminal || this.#allText;
    if (!isText || this.theirs.name === this.ours.name) return bytes;
    return encodeStream(decodeStream(bytes, this.ours), this.theirs);
  }
}

/**
 * `asked` is the encoding the user named, if any: then all is text, as it is at
 * a prompt whose two ends differ. Waits for the server's proof.
 */
export async function translationFor(
  runtime: CliRuntime,
  session: Session,
  asked: string | undefined,
  report: Reporter,
  atPrompt = false,
): Promise<Translation> {
  const { encoding } = await session.ready;
  const theirs = await loadCodec(asked ?? encoding).catch((error) => {
    report.warn(
      `taking the server's console for UTF-8: ${messageOf(error)} ` +
        "(--encoding says otherwise)",
    );
    return findCodec("utf-8");
  });
  const ours = await ownCodec(runtime);
  const differ = theirs.name !== ours.name;
  const allText = asked !== undefined || (atPrompt && differ);
  return new Translation(theirs, ours, allText);
}

/** Between the encoding that the user named and ours. */
export async function namedTranslation(
  runtime: CliRuntime,
  name: string,
): Promise<Translation> {
  return new Translation(await loadCodec(name), await ownCodec(runtime), true);
}

/** From one encoding to another. What ours does not have is shown as `?`. */
export function translator(from: TextCodec, to: TextCodec): Filter {
  const reader = from.reader();
  const writer = to.writer() ?? findCodec("utf-8").writer()!;
  return {
    push: (bytes) => writer.write(reader.write(bytes)),
    end: () => {
      const last = writer.write(reader.end());
      const rest = writer.end();
      return rest.byteLength === 0 ? last : Uint8Array.of(...last, ...rest);
    },
  };
}

/** One filter after the other. */
export function chain(first: Filter, second: Filter | undefined): Filter {
  if (second === undefined) return first;
  return {
    push: (bytes) => second.push(first.push(bytes)),
    end: () => {
      const last = second.push(first.end());
      const rest = second.end();
      return rest.byteLength === 0 ? last : Uint8Array.of(...last, ...rest);
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof LimpetError ? error.message : String(error);
}
