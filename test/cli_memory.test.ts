import { describe, expect, test } from "vitest";
import { memoryWarning } from "../core/cli/memory_check.ts";
import { machine } from "./support/machine.ts";
import { THIS_RUNTIME } from "./support/runtimes.ts";

const GIB = 1_073_741_824;
const MEMINFO = "MemTotal:        4194304 kB\nMemFree:          100000 kB\n";
const LIMITS = (space: string, data: string) =>
  "Limit                     Soft Limit           Hard Limit           Units\n" +
  `Max data size             ${data.padEnd(21)}unlimited            bytes\n` +
  `Max address space         ${space.padEnd(21)}unlimited            bytes\n`;

/** A machine on which these files are, and no others. */
function on(files: Readonly<Record<string, string>>) {
  return {
    read: (path: string) =>
      path in files
        ? Promise.resolve({
          text: files[path],
          mode: 0o444,
          owner: "root" as const,
        })
        : Promise.reject(new Error("EACCES")),
  };
}

describe("more than there is, told at the start", () => {
  test.each<[string, Record<string, string>, number, string | null]>([
    ["nothing is known", {}, Infinity, null],
    ["a machine", { "/proc/meminfo": MEMINFO }, 4 * GIB, null],
    [
      "a machine, one byte past it",
      { "/proc/meminfo": MEMINFO },
      4 * GIB + 1,
      "up to 4,096 MiB of memory, and 4,096 MiB is all that this machine has",
    ],
    [
      "no bound at all",
      { "/proc/meminfo": MEMINFO },
      Infinity,
      "any amount of memory, and 4,096 MiB is all that this machine has",
    ],
    [
      "ulimit -d",
      {
        "/proc/meminfo": MEMINFO,
        "/proc/self/limits": LIMITS("unlimited", "1073741824"),
      },
      2 * GIB,
      "2,048 MiB of memory, and 1,024 MiB is all that its own limit (ulimit -d)",
    ],
    [
      "ulimit -v",
      {
        "/proc/meminfo": MEMINFO,
        "/proc/self/limits": LIMITS("1073741824", "2147483648"),
      },
      2 * GIB,
      "1,024 MiB is all that its own limit (ulimit -v) leaves it",
    ],
    [
      "no ulimit",
      { "/proc/self/limits": LIMITS("unlimited", "unlimited") },
      Infinity,
      null,
    ],
    [
      "a control group, or one that it is in",
      {
        "/proc/meminfo": MEMINFO,
        "/proc/self/cgroup": "0::/system.slice/limpet.service\n",
        "/sys/fs/cgroup/system.slice/limpet.service/memory.max": "max\n",
        "/sys/fs/cgroup/system.slice/memory.max": "536870912\n",
      },
      GIB,
      "512 MiB is all that its control group (MemoryMax=) leaves it",
    ],
    [
      "a control group of a container",
      {
        "/proc/self/cgroup": "0::/\n",
        "/sys/fs/cgroup/memory.max": "536870912\n",
      },
      GIB,
      "512 MiB is all that its control group",
    ],
    [
      "a control group of version 1",
      {
        "/proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/a\n0::/\n",
        "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "536870912\n",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
      },
      GIB,
      "512 MiB is all that its control group",
    ],
  ])("%s", async (_, files, bytes, words) => {
    const said = await memoryWarning(on(files), bytes);
    if (words === null) expect(said).toBeNull();
    else expect(said).toContain(words);
  });

  test(`this very machine, on ${THIS_RUNTIME}`, async () => {
    expect(await memoryWarning(machine.files, 1)).toBeNull();
    expect(await memoryWarning(machine.files, Infinity)).toMatch(
      /^clients may make this server hold any amount of memory, and [\d,]+ MiB /,
    );
  });
});
