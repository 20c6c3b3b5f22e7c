/**
 * The two ends of a session on byte streams that a test supplies.
 *
 * @module
 */

import { connect } from "../../core/client.ts";
import { LimpetError } from "../../core/errors.ts";
import type { Limits } from "../../core/limits.ts";
import type { Duplex, Spawner } from "../../core/ports.ts";
import { Server, type ServerEvent } from "../../core/server.ts";
import type { ServerLimits } from "../../core/server_limits.ts";
import { PLATFORM, TOKEN } from "./serving.ts";

/** A server that must not run anything here, on one end of a pair. */
export function serverOn(
  duplex: Duplex,
  limits: Partial<ServerLimits> = {},
  token: string = TOKEN,
) {
  const events: ServerEvent[] = [];
  let spawned = 0;
  const spawner: Spawner = () => {
    spawned++;
    return Promise.reject(new LimpetError("not_found", "Not in this test"));
  };
  const server = new Server({
    token,
    spawner,
    platform: PLATFORM,
    environment: () => ({}),
    limits: { handshakeTimeoutMs: 60_000, ...limits },
    onEvent: (event) => events.push(event),
  });
  const over = server.accept(duplex);
  return {
    events,
    over,
    server,
    get spawned() {
      return spawned;
    },
    /** Waits for the end; the code that it was reported with. */
    code: async () => {
      await over;
      const last = events.at(-1);
      return last?.type === "disconnected" ? last.code : last?.type;
    },
  };
}

/** The client's outcome: an error, or null for a session, closed again. */
export async function clientOn(
  duplex: Duplex,
  options: { token?: string; limits?: Partial<Limits> } = {},
): Promise<LimpetError | null> {
  try {
    const session = await connect(duplex, {
      token: TOKEN,
      ...options,
      limits: { handshakeTimeoutMs: 60_000, ...options.limits },
    });
    await session.close();
    return null;
  } catch (error) {
    if (error instanceof LimpetError) return error;
    throw error;
  }
}
