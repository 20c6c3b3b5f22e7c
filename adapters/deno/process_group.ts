/**
 * Signals to a process group, which may outlive its leader.
 *
 * @module
 */

import { isLiving, livingMember } from "../../core/adapter/proc_stat.ts";
import { LimpetError } from "../../core/errors.ts";
import { codeOf } from "./errors.ts";

const IS_WINDOWS = Deno.build.os === "windows";

/** The group of one child. Its number is the child's process id. */
export class ProcessGroup {
  readonly #pid: number;
  #leaderEnded = false;
  /** Once empty, the number may belong to somebody else's processes. */
  #gone = false;
  /** Whether the group is there, or the child is still to make it. */
  #isMade: boolean;
  /** A member that was alive when we last looked: to be looked at first. */
  #member: number | null = null;

  constructor(pid: number, isMade = true) {
    this.#pid = pid;
    this.#isMade = isMade;
  }

  /** To be called when the exit of the leader has been collected. */
  leaderEnded(): void {
    this.#leaderEnded = true;
    if (IS_WINDOWS || !this.#send(0)) this.#gone = true;
  }

  /** As `ProcessHandle.kill`. */
  kill(signal: string): boolean {
    if (!/^SIG[A-Z0-9]+$/.test(signal)) throw noSuchSignal(signal, undefined);
    return IS_WINDOWS ? this.#endTree() : this.#send(signal as Deno.Signal);
  }

  /** As `ProcessHandle.groupAlive`. */
  isAlive(): boolean {
    if (this.#gone) return false;
    if (!this.#leaderEnded) return true;
    if (IS_WINDOWS || !this.#send(0) || this.#isZombies()) this.#gone = true;
    return !this.#gone;
  }

  #send(signal: Deno.Signal | 0): boolean {
    if (this.#gone) return false;
    try {
      this.#kill(signal);
      return true;
    } catch (error) {
      if (error instanceof TypeError) throw noSuchSignal(String(signal), error);
      // EPERM: they are there, but belong to another user (sudo). To ask is
      // answered with yes, to send has had no effect.
      return codeOf(error) !== "ESRCH" && signal === 0;
    }
  }

  /** Until the group is there, the child is alone. */
  #kill(signal: Deno.Signal | 0): void {
    try {
      Deno.kill(-this.#pid, signal);
      this.#isMade = true;
    } catch (error) {
      if (this.#isMade || this.#leaderEnded || codeOf(error) !== "ESRCH") {
        throw error;
      }
      Deno.kill(this.#pid, signal);
      // By now it may have made the group, and not be alone in it any more. What
      // a program may handle it gets once all the same.
      if (signal === "SIGKILL") this.#killAgain();
    }
  }

  #killAgain(): void {
    try {
      Deno.kill(-this.#pid, "SIGKILL");
    } catch {
      // It was alone.
    }
  }

  /**
   * Whether all that is left has ended and waits to be collected by init. Some
   * init processes take seconds, some containers have one that never does. Deno
   * lets us look only with `--allow-all`; without it they count as alive.
   */
  #isZombies(): boolean {
    if (Deno.build.os !== "linux") return false;
    const read = Deno.readTextFileSync;
    try {
      // Everything in /proc is read only when the one we know of has ended.
      if (this.#member === null || !isLiving(this.#member, this.#pid, read)) {
        const names = Array.from(Deno.readDirSync("/proc"), ({ name }) => name);
        this.#member = livingMember(this.#pid, names, read);
      }
      return this.#member === null;
    } catch {
      return false;
    }
  }

  /** Windows has no signals and no groups: whatever was asked, the tree ends. */
  #endTree(): boolean {
    if (this.#gone) return false;
    new Deno.Command("taskkill.exe", {
      args: ["/PID", String(this.#pid), "/T", "/F"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    return true;
  }
}

function noSuchSignal(signal: string, cause: unknown): LimpetError {
  return new LimpetError(
    "invalid_argument",
    `Cannot send ${JSON.stringify(signal)}: no such signal`,
    { cause },
  );
}
