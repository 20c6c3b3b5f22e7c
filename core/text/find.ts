/**
 * Encodings by any of their names, read as the standard says: what a client need
 * not carry that meets UTF-8 alone.
 *
 * @module
 */

import { nearest } from "../nearest.ts";
import {
  codecNamed,
  type Encodings,
  MORE_ENCODINGS,
  type TextCodec,
  UTF_8,
} from "./codec.ts";
import { COMMON_NAMES, standardName } from "./names.ts";
import { nativeReader, type TextReader } from "./native.ts";
import { gb18030UnitAt, unitReader } from "./units.ts";

/**
 * The encoding of that name. `more` (`limpet/iconv`) knows what `TextDecoder`
 * does not, and how to write what `TextDecoder` can only read.
 *
 * @throws {LimpetError} `invalid_argument`, with the nearest known names.
 */
export function findCodec(label: string, more?: Encodings): TextCodec {
  return codecNamed(label, standardEncodings(more));
}

/**
 * The encodings of `TextDecoder` under the names that Windows and Unix have for
 * them too, and what `more` adds to them.
 */
export function standardEncodings(more?: Encodings): Encodings {
  return {
    find: (label) => find(label, more),
    get names() {
      return [...new Set([...COMMON_NAMES, ...more?.names ?? []])];
    },
    hint(label) {
      const near = nearest(label.toLowerCase(), this.names).slice(0, 3);
      const hint = near.length > 0
        ? `Did you mean ${near.join(" or ")}?`
        : "For example there are utf-8, gbk, big5, shift_jis and windows-1252";
      if (more !== undefined) return hint;
      return `${hint}${near.length > 0 ? "" : ";"} ${MORE_ENCODINGS}`;
    },
  };
}

function find(label: string, more: Encodings | undefined): TextCodec | null {
  const other = more?.find(label) ?? null;
  // A name that only they know may still mean what TextDecoder can read.
  const name = standardName(label) ?? standardName(other?.name ?? label);
  if (name === "utf-8") return UTF_8;
  if (name === null) return other;
  const same = () => more?.find(name) ?? null;
  return {
    name,
    reader: () => readerOf(name, same),
    writer: () => same()?.writer() ?? null,
  };
}

/**
 * Where ICU's decoders, which Node has, part from the standard. `limpet/iconv`
 * puts them right; without it they are as they are.
 */
const ICU_DIFFERS =
  /^(big5|euc-..|shift_jis|ibm866|koi8-u|windows-(874|125[235]))$/;

function readerOf(name: string, same: () => TextCodec | null): TextReader {
  // By the standard GBK is read as GB 18030; ICU knows more of it than there is.
  if (/^gb/.test(name)) return unitReader("gb18030", gb18030UnitAt);
  const other = ICU_DIFFERS.test(name) ? same() : null;
  return other?.reader() ?? nativeReader(name);
}
