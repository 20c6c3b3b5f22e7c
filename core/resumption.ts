/**
 * What `connect` has to know of sessions that survive their connections, so that
 * who does without does not carry how it is done.
 *
 * @module
 */

import type { Credential } from "./auth/credential.ts";
import type { Growth } from "./channel/window.ts";
import type { Noise } from "./frame/preface.ts";
import type { Limits } from "./limits.ts";
import type { Link } from "./link/link.ts";
import type { PlainLink } from "./link/plain_link.ts";
import type { Dialler, Duplex } from "./ports.ts";
import type { ResumeOffer } from "./session/handshake.ts";

/** How a connection was made, and can be made again. */
export interface Connecting {
  readonly to: Duplex | Dialler;
  readonly credential: Credential;
  readonly limits: Limits;
  readonly noise: Noise | undefined;
  /** Of the session's windows, which another connection may be a longer way for. */
  readonly growth: Growth;
}

/** A link that finds another connection when it has lost one. */
export interface LastingLink extends Link {
  /** For the first handshake. */
  readonly offer: ResumeOffer;
}

/** Makes one of a connection whose handshake is about to begin. */
export type Resumption = (
  first: PlainLink,
  connecting: Connecting,
) => LastingLink;
