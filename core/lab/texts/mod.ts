/**
 * The lab's words, in the languages it speaks.
 *
 * @module
 */

import { en, type Texts } from "./en.ts";
import { zh } from "./zh.ts";

/** The languages, by the name that `--lang` takes. */
export const LANGUAGES: Readonly<Record<string, Texts>> = { en, zh };
