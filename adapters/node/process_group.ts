/**
 * Signals to a process group, which may outlive its leader.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { LimpetError } from "../../core/errors.ts";
import { codeOf } from "./errors.ts";
import { isLiving, livingMember } from "../../core/adapter/proc_stat.ts";

const IS_WINDOWS = process.platform === "win32";

/** The group of one child. Its number is the child's process id. */
export class ProcessGroup {
  readonly #pid: number;
  #leaderEnded = false;
  /** Once empty, the number may belong to somebody else's processes. */
  #gone = false;
  /** A member that was alive when we last looked: to be looked at first. */
  #member: number | null = null;

  /** Signals until the exit of the leader is known, where we do not collect it. */
  readonly #relay: ((signal: NodeJS.Signals) => void) | null;

  constructor(
    pid: number,
    relay: ((signal: NodeJS.Signals) => void) | null = null,
  ) {
    this.#pid = pid;
    this.#relay = relay;
  }

  /**
   * To be called when the exit of the leader has been collected; by others, who
   * looked at once whether anything of the group was left.
   */
  leaderEnded(isGone: boolean = IS_WINDOWS || !this.#send(0)): void {
    this.#leaderEnded = true;
    if (isGone) this.#gone = true;
  }

  /** As `ProcessHandle.kill`. */
  kill(signal: string): boolean {
    if (!Object.hasOwn(constants.signals, signal)) {
      throw new LimpetError(
        "invalid_argument",
        `Cannot send ${JSON.stringify(signal)}: no such signal`,
      );
    }
    return IS_WINDOWS ? this.#endTree() : this.#send(signal as NodeJS.Signals);
  }

  /** As `ProcessHandle.groupAlive`. */
  isAlive(): boolean {
    if (this.#gone) return false;
    if (!this.#leaderEnded) return true;
    if (IS_WINDOWS || !this.#send(0) || this.#isZombies()) this.#gone = true;
    return !this.#gone;
  }

  #send(signal: NodeJS.Signals | 0): boolean {
    if (this.#gone) return false;
    const relay = this.#leaderEnded || signal === 0 ? null : this.#relay;
    try {
      process.kill(-this.#pid, relay === null ? signal : 0);
      if (signal !== 0) relay?.(signal);
      return true;
    } catch (error) {
      // EPERM: they are there, but belong to another user (sudo). To ask is
      // answered with yes, to send has had no effect.
      return codeOf(error) === "EPERM" && signal === 0;
    }
  }

  /**
   * Whether all that is left has ended and waits to be collected by init. Some
   * init processes take seconds, some containers have one that never does.
   */
  #isZombies(): boolean {
    if (process.platform !== "linux") return false;
    const read = (path: string) => readFileSync(path, "latin1");
    try {
      // Everything in /proc is read only when the one we know of has ended.
      if (this.#member === null || !isLiving(this.#member, this.#pid, read)) {
        this.#member = livingMember(this.#pid, readdirSync("/proc"), read);
      }
      return this.#member === null;
    } catch {
      return false;
    }
  }

  /** Windows has no signals and no groups: whatever was asked, the tree ends. */
  #endTree(): boolean {
    if (this.#gone) return false;
    spawn("taskkill.exe", ["/PID", String(this.#pid), "/T", "/F"], {
      stdio: "ignore",
      windowsHide: true,
    }).on("error", () => {});
    return true;
  }
}
