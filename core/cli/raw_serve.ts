/**
 * `limpet serve --raw`: the lesson's server, for the lesson's clients.
 *
 * @module
 */

import { counted } from "../counted.ts";
import type { RawServerEvent } from "../raw/options.ts";
import { RawServer } from "../raw/server.ts";
import { DEFAULT_PORT, formatTarget, parseAddress } from "../target.ts";
import { type Arguments, usageError } from "./args.ts";
import { servedPlatform } from "./encoding.ts";
import { SERVE_FLAGS } from "./flags.ts";
import { checkRawAddress, refuseFlags } from "./raw_connection.ts";
import { outliveErrors } from "./last_resort.ts";
import { endWords } from "./reasons.ts";
import { LAST_WORDS_MS, type Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";
import { STOP_SIGNALS, stopRequests } from "./stop_signals.ts";

const ALLOWED = ["raw", "encoding", "insecure", "verbose", "quiet"];

/** Serves until a signal; resolves to the program's exit status. */
export async function serveRaw(
  runtime: CliRuntime,
  args: Arguments,
  report: Reporter,
): Promise<number> {
  refuseFlags(args, SERVE_FLAGS, ALLOWED);
  const target = parseAddress(
    args.positionals[0] ?? `tcp://127.0.0.1:${DEFAULT_PORT}`,
  );
  if (target.kind !== "tcp") {
    throw usageError(
      `--raw cannot serve at ${formatTarget(target)}: it is for TCP on the ` +
        "loopback interface, tcp://127.0.0.1:8090",
    );
  }
  const address = formatTarget(target);
  checkRawAddress(address, target.hostname, args.has("insecure"));
  const { platform, encodings } = await servedPlatform(
    runtime,
    args.value("encoding"),
    report,
  );
  outliveErrors(runtime, report);
  const server = new RawServer({
    spawner: runtime.spawner,
    environment: () => runtime.environment(),
    console: { ...platform, encodings: await encodings() },
    onEvent: (event) => {
      const { text, important } = describeRawEvent(event);
      if (important) report.warn(text);
      else report.debug(text);
    },
  });
  const listener = await runtime.listen(target);
  // What a name such as localhost means is up to the machine.
  const bound = parseAddress(listener.address);
  if (bound.kind === "tcp") {
    try {
      checkRawAddress(formatTarget(bound), bound.hostname, true);
    } catch (error) {
      await listener.close();
      throw error;
    }
  }
  const serving = server.listen(listener);
  const { encoding } = platform;
  const spoken = encoding === "utf-8" ? "" : ` in ${encoding}`;
  report.warn(
    "no authentication: every program and every user of this machine can now " +
      "run commands as you. The raw protocol is a teaching aid",
  );
  report.info(
    `listening on ${listener.address} for plain lines${spoken}; clients write ` +
      listener.address.replace(/^tcp:/, "raw:"),
  );
  // SIGHUP too: it has no configuration, and its terminal should be there.
  const [asked, askedAgain] = stopRequests(runtime, [
    ...STOP_SIGNALS,
    "SIGHUP",
  ]);
  await asked;
  report.info("stopping: ending the commands that run (again to kill them)");
  askedAgain.then(() => server.close(0));
  await server.close();
  await serving;
  await report.flush(LAST_WORDS_MS);
  return 0;
}

/** An event in words, and whether it is said without `-v`. */
export function describeRawEvent(
  event: RawServerEvent,
): { text: string; important: boolean } {
  const who = `[${event.session}]`;
  const debug = (text: string) => ({
    text: `${who} ${text}`,
    important: false,
  });
  switch (event.type) {
    case "connected":
      return debug(`${event.peer} connected`);
    case "disconnected":
      return debug(`ended: ${event.message}`);
    case "turned_away": {
      const hint = event.sent === "Limpet's frames"
        ? ": that client is to write raw:// and not tcp://, or this server is " +
          "to be started without --raw"
        : "";
      return {
        text:
          `${who} ${event.peer} was turned away, nothing was run: it sent ` +
          event.sent + hint,
        important: true,
      };
    }
    case "too_many":
      return {
        text: `${who} ${event.peer} was refused: ${
          counted(event.maxConnections, "connection is", "connections are")
        } open, and there may be no more`,
        important: true,
      };
    case "command_started":
      return debug(
        `command started, process ${event.pid}: ` +
          JSON.stringify(event.line).slice(0, 200),
      );
    case "command_refused":
      return debug(`command refused: ${event.message}`);
    case "command_ended":
      return {
        text: `${who} command ${endWords(event.status)}`,
        important: event.status.reason === "limit_exceeded",
      };
  }
}
