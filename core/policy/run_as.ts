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
import type { ProcessHandle, Spawner } from "../ports.ts";

/** A user of this machine. */
export interface User {
  readonly name: string;
  readonly uid: string;
  readonly gid: string;
  readonly home: string;
  readonly shell: string;
}

/** A user as whom commands can be run. */
export interface Account extends User {
  /** What becomes a command of that user. */
  readonly wrapper: readonly string[];
}

/** What looking somebody up needs: how to start programs, and in what. */
export interface Lookup {
  readonly spawner: Spawner;
  /** The server's. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * How long one program may take to look somebody up, in ms: a directory service
 * that is asked over a network and does not answer must hold up nobody for good.
 */
const LOOKUP_MS = 10_000;

/**
 * Looks a user up, by name or number. Throws `unsupported` if there is none, or
 * if nobody can be asked or answers within 10 seconds.
 */
export async function findUser(user: string, lookup: Lookup): Promise<User> {
  const entry = await run(user, ["getent", "passwd", user], lookup);
  const [name, , uid, gid, , home, shell] = entry.text.split(":");
  if (entry.code !== 0 || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)) {
    throw fail(user, "there is no such user");
  }
  return { name, uid, gid, home, shell: shell || "/bin/sh" };
}

/**
 * Looks a user up, by name or number, and sees whether commands can be run as
 * them. Throws `unsupported` if not, saying why; neither step may take more than
 * 10 seconds.
 */
export async function findAccount(
  user: string,
  spawner: Spawner,
  environment: Readonly<Record<string, string>>,
): Promise<Account> {
  const lookup = { spawner, environment };
  const found = await findUser(user, lookup);
  const { uid, gid } = found;
  const wrapper = [
    "setpriv",
    `--reuid=${uid}`,
    `--regid=${gid}`,
    "--init-groups",
    "--inh-caps=-all",
    "--",
  ];
  const probe = await run(user, [...wrapper, "id", "-u"], lookup);
  if (probe.code !== 0) {
    throw fail(user, `the server must be started as root (${probe.text})`);
  }
  if (probe.text !== uid) {
    throw fail(user, `they would run as user ${probe.text}`);
  }
  return { ...found, wrapper };
}

async function run(
  user: string,
  argv: readonly string[],
  { spawner, environment }: Lookup,
): Promise<{ text: string; code: number | null }> {
  let handle: ProcessHandle;
  try {
    handle = await spawner({
      argv,
      cwd: "/",
      env: environment,
      stdin: "null",
      stdout: "piped",
      stderr: "stdout",
    });
  } catch (cause) {
    throw fail(
      user,
      `${argv[0]} is needed for it and does not start` +
        (cause instanceof Error ? `: ${cause.message}` : ""),
    );
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, LOOKUP_MS, null);
  });
  const answer = Promise.all([
    new Response(handle.stdout).text(),
    handle.status,
  ]);
  const outcome = await Promise.race([answer, patience]);
  clearTimeout(timer);
  if (outcome === null) {
    handle.kill("SIGKILL");
    const seconds = LOOKUP_MS / 1_000;
    throw fail(user, `${argv[0]} has not answered for ${seconds} seconds`);
  }
  const [text, { code }] = outcome;
  return { text: text.trim(), code };
}

function fail(user: string, why: string): LimpetError {
  return new LimpetError(
    "unsupported",
    `Cannot run commands as ${user}: ${why}`,
  );
}

/** What of a server's environment is true for every user. */
const SHARED = /^(LANG|LANGUAGE|LC_.*|TZ|LIMPET_ORIGINAL_COMMAND)$/;

/** As login(1), su(1) and `setpriv --reset-env` have it, for root and others. */
const ROOT_PATH =
  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const USER_PATH = "/usr/local/bin:/usr/bin:/bin";

/**
 * The same, run as that user, in an environment like that of a login. Without
 * another directory it begins in `start`.
 */
export function asAccount(
  { name, uid, home, shell, wrapper }: Account,
  start: string,
  authorized: Authorized,
): Authorized {
  const { environment = (inherited) => ({ ...inherited }) } = authorized;
  const { request } = authorized;
  return {
    ...authorized,
    request: { ...request, cwd: request.cwd ?? start },
    wrapper,
    environment: (inherited) => ({
      ...Object.fromEntries(
        Object.entries(environment(inherited)).filter(([name]) =>
          SHARED.test(name)
        ),
      ),
      PATH: uid === "0" ? ROOT_PATH : USER_PATH,
      HOME: home,
      USER: name,
      LOGNAME: name,
      SHELL: shell,
    }),
  };
}
