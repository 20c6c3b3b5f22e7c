/**
 * A connection that says when it is over.
 *
 * @module
 */

import { deferred } from "../deferred.ts";
import type { LimpetError } from "../errors.ts";
import { PlainLink } from "../link/plain_link.ts";

/** See the module's description. */
export class Carrier extends PlainLink {
  readonly #gone = deferred<void>();

  /** Settles when the transport was given up, by whomever. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  override abort(reason: LimpetError): void {
    super.abort(reason);
    this.#gone.resolve();
  }
}
