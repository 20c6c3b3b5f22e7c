/**
 * The end of a process group: asked, then forced, then confirmed.
 *
 * @module
 */

import type { ProcessHandle } from "../ports.ts";
import type { TerminationReason } from "./exit.ts";

/** How often to look whether a group that must go has gone. */
const POLL_MS = 10;

/** The same of one that not even SIGKILL has ended. */
const STUCK_POLL_MS = 1_000;

/** How long SIGKILL may take to show before we stop looking. */
const KILL_CONFIRM_MS = 2_000;

/** A process and its descendants, as one group. */
export class ProcessTree {
  readonly #handle: ProcessHandle;
  readonly #killAfterMs: number;
  #reason: TerminationReason | null = null;
  #deadline = Infinity;
  #gone: Promise<void> | null = null;

  constructor(handle: ProcessHandle, killAfterMs: number) {
    this.#handle = handle;
    this.#killAfterMs = killAfterMs;
  }

  /** Why it is being ended; null while nobody ended it. The first one counts. */
  get reason(): TerminationReason | null {
    return this.#reason;
  }

  /** Sends one signal to the group, or nothing if the platform lacks it. */
  signal(name: string): void {
    try {
      this.#handle.kill(name);
    } catch {
      // A name this platform does not have: there is nobody to tell, and the
      // command is better off running on.
    }
  }

  /**
   * SIGTERM (or `signal`) now, SIGKILL after the grace period to whatever is
   * left. Settles when nothing is left.
   */
  terminate(
    reason: TerminationReason,
    signal: string = "SIGTERM",
    killAfterMs: number = this.#killAfterMs,
  ): Promise<void> {
    if (this.#reason === null) {
      this.#reason = reason;
      this.signal(signal);
    } else if (signal !== "SIGTERM") {
      this.signal(signal);
    }
    // Asked again with less patience: the shorter one counts.
    const deadline = performance.now() + killAfterMs;
    this.#deadline = Math.min(this.#deadline, deadline);
    this.#gone ??= this.#untilGone();
    return this.#gone;
  }

  async #untilGone(): Promise<void> {
    let killedAt = Infinity;
    let leaderEnded = false;
    this.#handle.status.then(() => leaderEnded = true);
    for (;;) {
      await Promise.resolve();
      if (leaderEnded && !this.#handle.groupAlive()) return;
      const now = performance.now();
      if (now >= this.#deadline && killedAt === Infinity) {
        this.signal("SIGKILL");
        killedAt = now;
      }
      // A process in an uninterruptible sleep dies when the kernel lets it.
      const stuck = now - killedAt >= KILL_CONFIRM_MS;
      if (leaderEnded && stuck) return;
      await new Promise((resolve) =>
        setTimeout(resolve, stuck ? STUCK_POLL_MS : POLL_MS)
      );
    }
  }
}
