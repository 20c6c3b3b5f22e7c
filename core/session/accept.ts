/**
 * The channels that a server's peer opens.
 *
 * @module
 */

import type { Channel } from "../channel/channel.ts";
import { counted } from "../counted.ts";
import { LimpetError } from "../errors.ts";
import type { Accept } from "./mux.ts";

/**
 * Gives each channel, with its OPEN payload, to `opened`; one too many with the
 * reason for which it is to be refused.
 */
export function acceptor(
  maxChannels: number,
  opened: (
    channel: Channel,
    payload: Uint8Array,
    full: LimpetError | null,
  ) => void,
): Accept {
  return ({ channel: id, payload }, last, open, add) => {
    if (id % 2 === 0 || id <= last) {
      throw new LimpetError(
        "protocol_error",
        `Peer opened channel ${id} after ${last}: numbers are odd and grow`,
      );
    }
    const full = open < maxChannels ? null : new LimpetError(
      "limit_exceeded",
      `Session has ${
        counted(maxChannels, "channel")
      } open already, as many as ` +
        "the server's limit maxChannels allows",
    );
    opened(add(id), payload, full);
  };
}
