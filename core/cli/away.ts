/**
 * Tells the user when the connection has been away for longer than a moment.
 *
 * @module
 */

import type { ResumeEvent } from "../resume.ts";
import type { Reporter } from "./report.ts";
import { inWords } from "./go_down.ts";

/** Shorter than that nobody has noticed, in ms. */
const MOMENT_MS = 1_000;

/** See the module's description. */
export class AwayNotice {
  readonly #report: Reporter;
  readonly #name: string;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #said = false;

  /** `name`: of the other end. */
  constructor(report: Reporter, name: string) {
    this.#report = report;
    this.#name = name;
  }

  readonly onEvent = (event: ResumeEvent): void => {
    this.stop();
    if (event.type === "disconnected") {
      const { message } = event.reason;
      this.#report.debug(message);
      this.#timer = setTimeout(() => {
        this.#said = true;
        this.#report.info(
          `no connection to ${this.#name}: trying to get it back`,
        );
      }, MOMENT_MS);
      return;
    }
    const after = inWords(Math.round(event.afterMs / 100) * 100);
    const text = `the connection to ${this.#name} is back after ${after}`;
    if (this.#said) this.#report.info(text);
    else this.#report.debug(text);
    this.#said = false;
  };

  /** The session is over, which is told elsewhere. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
