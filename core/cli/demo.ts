/**
 * `limpet demo`: a server and a prompt in one process, over a real socket.
 *
 * @module
 */

import { connectTo } from "../dial.ts";
import { serveAt } from "../endpoint.ts";
import { makeToken } from "../auth/token.ts";
import { parseArguments, usageError } from "./args.ts";
import { commandFlags } from "./connection.ts";
import { servedPlatform } from "./encoding.ts";
import { DEMO_FLAGS } from "./flags.ts";
import { runPrompt } from "./prompt.ts";
import { loudnessOf, Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";
import { describeEvent } from "./serve.ts";

/** Runs the subcommand; resolves to the program's exit status. */
export async function demoCommand(
  runtime: CliRuntime,
  words: readonly string[],
): Promise<number> {
  const args = parseArguments(words, DEMO_FLAGS);
  const report = new Reporter(runtime, loudnessOf(runtime, args));
  if (args.positionals.length > 0 || args.rest !== null) {
    throw usageError("demo takes no arguments");
  }
  const token = makeToken();
  const { platform, encodings } = await servedPlatform(
    runtime,
    undefined,
    report,
  );
  const server = await serveAt(runtime, "tcp://127.0.0.1:0", {
    token,
    platform,
    encodings,
    onEvent: (event) => report.debug(describeEvent(event).text),
  });
  const session = await connectTo(runtime, server.address, { token });
  if (runtime.stdin.isTerminal) {
    report.info(`a server on ${server.address}, and a prompt that talks to it`);
    report.info('one line is one command, such as seq 3; "exit" leaves');
    await report.flush();
  }
  try {
    return await runPrompt(
      runtime,
      session,
      await commandFlags(runtime, args),
      report,
    );
  } finally {
    await session.close();
    await Promise.all([server.close(), report.flush()]);
  }
}
