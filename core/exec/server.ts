/**
 * The server's side of exec: one value per session.
 *
 * @module
 */

import type { Channel } from "../channel/channel.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import { brief } from "../frame/control.ts";
import { FrameType } from "../frame/frame.ts";
import type { Command, ConsoleText, ProcessHandle, Spawner } from "../ports.ts";
import { type Console, consoleText } from "./console_text.ts";
import type { ExecEvent } from "./events.ts";
import type { TerminationReason } from "./exit.ts";
import { Job, type JobHost } from "./job.ts";
import { ProcessTree } from "./process_tree.ts";
import { decodeRequest, type ExecRequest } from "./request.ts";

/** How often to look whether what commands left behind is still there. */
const LEFTOVER_POLL_MS = 1_000;

/** What a server runs commands with. */
export interface ExecServerOptions {
  readonly spawner: Spawner;
  /** The environment commands get, before their own variables. */
  readonly environment: () => Record<string, string>;
  /** How commands get their text. */
  readonly console: Console;
  /** Commands running at once. */
  readonly maxCommands: number;
  /** From SIGTERM to SIGKILL at most, once nobody is left to wait for it. */
  readonly shutdownGraceMs: number;
  readonly report: (event: ExecEvent) => void;
}

/** See the module's description. */
export class ExecServer implements JobHost {
  readonly #options: ExecServerOptions;
  readonly #jobs = new Set<Job>();
  /** Process groups whose leader has ended and that still have members. */
  readonly #leftovers = new Set<ProcessHandle>();
  /** Commands that have not ended. */
  #running = 0;
  #closing = false;
  #poll: ReturnType<typeof setInterval> | undefined;

  constructor(options: ExecServerOptions) {
    this.#options = options;
  }

  /** A client opened a channel. */
  open(channel: Channel, payload: Uint8Array): void {
    let request: ExecRequest;
    try {
      request = decodeRequest(payload);
      this.#checkRoom();
    } catch (thrown) {
      const error = asLimpetError(thrown, "refused", "Request");
      // Not even a JSON object: that peer does not know the protocol.
      if (error.code === "protocol_error") throw error;
      const { code } = error;
      const message = brief(error.message);
      channel.send(FrameType.REFUSED, { code, message });
      this.report({
        type: "command_refused",
        command: channel.id,
        code,
        message,
      });
      return channel.end();
    }
    this.#running++;
    this.#jobs.add(new Job(channel, request, this));
  }

  /**
   * The session is over for good: ends everything, settles when it is gone. What
   * does not go by itself is killed after `graceMs`, or sooner if its command
   * said so. Called again, the shorter time counts.
   */
  async shutdown(
    reason: TerminationReason,
    graceMs: number = this.#options.shutdownGraceMs,
  ): Promise<void> {
    this.#closing = true;
    const running = [...this.#jobs].map((job) =>
      job.terminate(reason, Math.min(job.killAfterMs, graceMs))
    );
    await Promise.all(running);
    clearInterval(this.#poll);
    const leftovers = [...this.#leftovers].map((group) =>
      new ProcessTree(group, graceMs).terminate(reason)
    );
    await Promise.all(leftovers);
    this.#leftovers.clear();
  }

  start(command: Command): Promise<ProcessHandle> {
    return this.#options.spawner(command);
  }

  environment(): Record<string, string> {
    // LIMPET_TOKEN and the like are the server's own business.
    const inherited = Object.entries(this.#options.environment());
    return Object.fromEntries(
      inherited.filter(([name]) => !name.toUpperCase().startsWith("LIMPET_")),
    );
  }

  consoleText(request: ExecRequest): ConsoleText | undefined {
    return consoleText(request, this.#options.console);
  }

  report(event: ExecEvent): void {
    this.#options.report(event);
  }

  exited(job: Job): void {
    this.#running--;
    const { handle } = job;
    if (handle?.groupAlive()) this.#keep(handle);
  }

  finished(job: Job): void {
    this.#jobs.delete(job);
  }

  #checkRoom(): void {
    if (this.#closing) {
      throw new LimpetError("shutting_down", "Server is shutting down");
    }
    if (this.#running < this.#options.maxCommands) return;
    throw new LimpetError(
      "limit_exceeded",
      `Server runs ${this.#running} commands for this session already, as many as ` +
        "its limit maxCommands (--max-commands) allows",
    );
  }

  /**
   * What a command leaves in its group lives as long as the session. It is
   * forgotten as soon as it has gone, before its number can be used anew.
   */
  #keep(group: ProcessHandle): void {
    this.#leftovers.add(group);
    if (this.#leftovers.size > 1) return;
    this.#poll = setInterval(() => {
      for (const each of this.#leftovers) {
        if (!each.groupAlive()) this.#leftovers.delete(each);
      }
      if (this.#leftovers.size === 0) clearInterval(this.#poll);
    }, LEFTOVER_POLL_MS);
  }
}
