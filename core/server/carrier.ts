/**
 * A connection that says when it is over.
 *
 * @module
 */

import { deferred } from "../deferred.ts";
import type { LimpetError } from "../errors.ts";
import type { Frame } from "../frame/frame.ts";
import { PlainLink } from "../link/plain_link.ts";

/** See the module's description. */
export class Carrier extends PlainLink {
  readonly #gone = deferred<void>();

  /** Settles when the transport was given up, by whomever. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  override async send(frames: readonly Frame[]): Promise<void> {
    await super.send(frames);
    for (const frame of frames) frame.recycle?.();
  }

  override abort(reason: LimpetError): void {
    super.abort(reason);
    this.#gone.resolve();
  }
}
