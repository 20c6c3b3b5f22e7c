/**
 * A process group of its own without a fork of Deno.
 *
 * For `detached` Deno forks, which takes the longer the more memory it has, and
 * each page that it writes to afterwards is a fault. Without it a program is
 * started by `posix_spawn`, and setsid(1) makes the group. But where setsid
 * cannot start a program it ends with 126 or 127, as the program itself may. So
 * it gets only what Deno has started before: programs of the machine's own format
 * whose files have not changed since.
 *
 * @module
 */

import { codeOf } from "./errors.ts";

const SETSID = "/usr/bin/setsid";

/** How many programs are remembered. */
const MOST = 256;

/**
 * A file that has changed so lately, in ms, may change again without a trace: Deno
 * tells the time of a change in whole seconds.
 */
const SETTLED_MS = 1_100;

/** What has nothing to do with the file, and may meet a program that runs already. */
const SHORTAGES = ["EAGAIN", "EMFILE", "ENFILE", "ENOMEM", "ENOSPC"];

const ELF = [0x7f, 0x45, 0x4c, 0x46];

/** Programs that Deno has started, with the state that their files were in. */
export class Started {
  readonly #stamps = new Map<string, string>();
  #usable: boolean | undefined;

  /**
   * Starts `file`, an absolute path, in a group of its own, which is there a
   * moment later. Null if Deno has to start it. Throws a shortage, as Deno would:
   * the program may run by then, and is not to be started twice.
   */
  again(file: string, options: Deno.CommandOptions): Deno.ChildProcess | null {
    const stamp = this.#stamps.get(file);
    if (stamp === undefined || stamp !== stampOf(file)) return null;
    const { env = {}, args = [] } = options;
    // With these the loader may be told what setsid does not live with.
    if (Object.keys(env).some((name) => name.startsWith("LD_"))) return null;
    try {
      const words = [file, ...args];
      const command = new Deno.Command(SETSID, { ...options, args: words });
      const child = command.spawn();
      // Should setsid have failed after all, the next one tells why.
      child.status.then(({ code }) => {
        if (code === 126 || code === 127) this.#stamps.delete(file);
      }, () => {});
      return child;
    } catch (error) {
      // What Deno says of the program itself is exact.
      if (!SHORTAGES.includes(codeOf(error) ?? "")) return null;
      throw error;
    }
  }

  /**
   * To be called before Deno starts `file`, and what it returns when it has
   * started: a file that is exchanged in between is none that has.
   */
  first(file: string): () => void {
    const isUsable = file.startsWith("/") && this.#isUsable();
    const stamp = isUsable ? stampOf(file) : null;
    return () => {
      this.#stamps.delete(file);
      // What has come in its place meanwhile may not even be a file.
      if (stamp === null || stamp !== stampOf(file) || !isNative(file)) return;
      this.#stamps.set(file, stamp);
      if (this.#stamps.size <= MOST) return;
      const [oldest] = this.#stamps.keys();
      this.#stamps.delete(oldest);
    };
  }

  /** Asking for a permission could have Deno ask the user. */
  #isUsable(): boolean {
    return this.#usable ??= Deno.build.os === "linux" &&
      isGranted({ name: "read" }) &&
      isGranted({ name: "run", command: SETSID }) && stampOf(SETSID) !== null;
  }
}

function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}

/** What changes with the file; null if it cannot be looked at, or may change yet. */
function stampOf(file: string): string | null {
  try {
    const found = Deno.statSync(file);
    const { dev, ino, mode, uid, gid, size } = found;
    const mtime = found.mtime?.getTime() ?? NaN;
    const ctime = found.ctime?.getTime() ?? NaN;
    // Not so if the clock was put back, either.
    if (!(Date.now() - ctime >= SETTLED_MS)) return null;
    return [dev, ino, mode, uid, gid, size, mtime, ctime].join();
  } catch {
    return null;
  }
}

/** A script has an interpreter besides, which can go away by itself. */
function isNative(file: string): boolean {
  try {
    using opened = Deno.openSync(file);
    const head = new Uint8Array(ELF.length);
    opened.readSync(head);
    return ELF.every((byte, index) => head[index] === byte);
  } catch {
    return false;
  }
}
