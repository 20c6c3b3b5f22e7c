/**
 * Commands of another user. No runtime can set a process's supplementary groups
 * (all three clear them when they set a user), so setpriv(1) of util-linux does
 * it, and becomes the command: process id, signals and exit stay
 * exact.
 *
 * @module
 */

import { LimpetError } from "../errors.ts";
import type { Authorized } from "../exec/authorized.ts";
import type { Spawner } from "../ports.ts";

/** A user of this machine, as commands can be run as. */
export interface Account {
  readonly name: string;
  readonly home: string;
  readonly shell: string;
  /** What becomes a command of that user. */
  readonly wrapper: readonly string[];
}

/**
 * Looks a user up, by name or number, and sees whether commands can be run as
 * them. Throws `unsupported` if not, saying why; `environment` is the server's.
 */
export async function findAccount(
  user: string,
  spawner: Spawner,
  environment: Readonly<Record<string, string>>,
): Promise<Account> {
  const fail = (why: string) =>
    new LimpetError("unsupported", `Cannot run commands as ${user}: ${why}`);
  const run = async (argv: readonly string[]) => {
    const handle = await spawner({
      argv,
      cwd: "/",
      env: environment,
      stdin: "null",
      stdout: "piped",
      stderr: "stdout",
    });
    const [text, { code }] = await Promise.all([
      new Response(handle.stdout).text(),
      handle.status,
    ]);
    return { text: text.trim(), code };
  };
  const tool = async (argv: readonly string[]) => {
    try {
      return await run(argv);
    } catch (cause) {
      throw fail(
        `${argv[0]} is needed for it and does not start` +
          (cause instanceof Error ? `: ${cause.message}` : ""),
      );
    }
  };
  const entry = await tool(["getent", "passwd", user]);
  const [name, , uid, gid, , home, shell] = entry.text.split(":");
  if (entry.code !== 0 || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)) {
    throw fail("there is no such user");
  }
  const wrapper = [
    "setpriv",
    `--reuid=${uid}`,
    `--regid=${gid}`,
    "--init-groups",
    "--inh-caps=-all",
    "--",
  ];
  const probe = await tool([...wrapper, "id", "-u"]);
  if (probe.code !== 0) {
    throw fail(`the server must be started as root (${probe.text})`);
  }
  if (probe.text !== uid) throw fail(`they would run as user ${probe.text}`);
  return { name, home, shell: shell || "/bin/sh", wrapper };
}

/** What of a server's environment is true for every user. */
const SHARED = /^(PATH|LANG|LANGUAGE|LC_.*|TZ|LIMPET_ORIGINAL_COMMAND)$/;

/** The same, run as that user, in an environment like that of a login. */
export function asAccount(
  { name, home, shell, wrapper }: Account,
  authorized: Authorized,
): Authorized {
  const { environment = (inherited) => ({ ...inherited }) } = authorized;
  return {
    ...authorized,
    wrapper,
    environment: (inherited) => ({
      ...Object.fromEntries(
        Object.entries(environment(inherited)).filter(([name]) =>
          SHARED.test(name)
        ),
      ),
      HOME: home,
      USER: name,
      LOGNAME: name,
      SHELL: shell,
    }),
  };
}
