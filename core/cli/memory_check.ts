/**
 * Whether there is the memory that clients may make a server hold. A request too
 * many is refused; an allocation that fails inside a JavaScript engine is the
 * end of the process, so the bound has to be below what there is.
 *
 * @module
 */

import type { Files } from "../machine.ts";

/** So much memory there is, and what says so. */
interface Room {
  readonly bytes: number;
  readonly of: string;
}

/**
 * Says that `maxTotalBufferedBytes` is more than the machine, the control group
 * or our own ulimit has; null if it is not, or if nobody can tell: on other
 * systems than Linux, and on Deno without `--allow-all`.
 */
export async function memoryWarning(
  { read }: Pick<Files, "read">,
  maxTotalBufferedBytes: number,
): Promise<string | null> {
  const text = async (path: string) => {
    const file = await read(path).catch(() => null);
    return file?.text ?? "";
  };
  const rooms = [
    ofMachine(await text("/proc/meminfo")),
    ...ofLimits(await text("/proc/self/limits")),
    ...await ofGroups(await text("/proc/self/cgroup"), text),
  ].sort((one, other) => one.bytes - other.bytes);
  const [least] = rooms;
  if (least === undefined || maxTotalBufferedBytes <= least.bytes) return null;
  const allowed = maxTotalBufferedBytes === Infinity
    ? "any amount of memory"
    : `up to ${inMiB(maxTotalBufferedBytes)} of memory`;
  return `clients may make this server hold ${allowed}, and ` +
    `${inMiB(least.bytes)} is all that ${least.of}: without memory it is ` +
    "killed, not refused. Set maxTotalBufferedBytes in the configuration " +
    "(limpet help config)";
}

function inMiB(bytes: number): string {
  return `${Math.floor(bytes / 1_048_576).toLocaleString("en-US")} MiB`;
}

function ofMachine(meminfo: string): Room {
  const [, kib = "Infinity"] = /^MemTotal: +(\d+) kB/m.exec(meminfo) ?? [];
  return { bytes: Number(kib) * 1_024, of: "this machine has" };
}

/** The soft limits, which are those that count. */
function ofLimits(limits: string): Room[] {
  return [["Max address space", "v"], ["Max data size", "d"]].map(
    ([row, letter]) => ({
      bytes: Number(
        new RegExp(`^${row} +(\\d+)`, "m").exec(limits)?.[1] ?? Infinity,
      ),
      of: `its own limit (ulimit -${letter}) leaves it`,
    }),
  );
}

/** Of this group and of all that it is in; version 2, and version 1 before it. */
async function ofGroups(
  groups: string,
  text: (path: string) => Promise<string>,
): Promise<Room[]> {
  const rooms: Room[] = [];
  for (const line of groups.split("\n")) {
    const [, kinds, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    const [folder, name] = kinds === ""
      ? ["/sys/fs/cgroup", "memory.max"]
      : kinds?.split(",").includes("memory")
      ? ["/sys/fs/cgroup/memory", "memory.limit_in_bytes"]
      : [];
    if (folder === undefined) continue;
    const names = path.split("/").filter((each) => each !== "");
    for (let depth = names.length; depth >= 0; depth--) {
      const file = [folder, ...names.slice(0, depth), name].join("/");
      const [digits] = /^\d+/.exec(await text(file)) ?? ["Infinity"];
      rooms.push({
        bytes: Number(digits),
        of: "its control group (MemoryMax=) leaves it",
      });
    }
  }
  return rooms;
}
