/**
 * `limpet serve`: lets clients run commands here.
 *
 * @module
 */

import type { Authenticator } from "../auth/authenticator.ts";
import { LimpetError } from "../errors.ts";
import type { Authorize } from "../exec/authorized.ts";
import { serveAt } from "../endpoint.ts";
import type { Platform } from "../ports.ts";
import { type JobsFolder, Server, type ServerEvent } from "../server.ts";
import { resolveServerLimits, type ServerLimits } from "../server_limits.ts";
import {
  DEFAULT_PORT,
  formatTarget,
  isLocal,
  parseAddress,
} from "../target.ts";
import type { Encodings } from "../text/mod.ts";
import type { TlsServerOptions } from "../tls_server.ts";
import {
  type Arguments,
  parseArguments,
  parseDuration,
  usageError,
} from "./args.ts";
import { auditEntry, openAudit, readAuditFlags } from "./audit.ts";
import { missingFolder } from "../config/permissions.ts";
import type { Door } from "./door.ts";
import { servedPlatform } from "./encoding.ts";
import { SERVE_FLAGS } from "./flags.ts";
import { DEFAULT_DRAIN_MS, goDown } from "./go_down.ts";
import { outliveErrors } from "./last_resort.ts";
import { jobsFolder } from "./jobs_dir.ts";
import { serverLimits } from "./limits.ts";
import { memoryWarning } from "./memory_check.ts";
import { serveRaw } from "./raw_serve.ts";
import { hangsUpWithTerminal, type Reading, reloadOnHangup } from "./reload.ts";
import { endWords } from "./reasons.ts";
import { LAST_WORDS_MS, loudnessOf, Reporter } from "./report.ts";
import type { CliRuntime } from "./runtime.ts";
import { STOP_SIGNALS, stopRequests } from "./stop_signals.ts";

/** Runs the subcommand; resolves to the program's exit status. */
export async function serveCommand(
  runtime: CliRuntime,
  words: readonly string[],
): Promise<number> {
  const args = parseArguments(words, SERVE_FLAGS);
  const report = new Reporter(runtime, loudnessOf(runtime, args));
  if (args.positionals.length > 1 || args.rest !== null) {
    throw usageError("serve takes one ADDRESS at most");
  }
  if (args.has("raw")) return await serveRaw(runtime, args, report);
  const stdio = args.has("stdio");
  if (stdio && args.positionals.length > 0) {
    throw usageError("--stdio and an ADDRESS exclude each other");
  }
  const address = args.positionals[0] ?? `tcp://127.0.0.1:${DEFAULT_PORT}`;
  const warnings = stdio ? [] : [...doorWarnings(address, args)];
  const kind = stdio ? "stdio" : parseAddress(address).kind;
  const isTls = kind === "tls";
  if (!isTls) refuseTlsFlags(args);
  const limits = serverLimits(args);
  const auditFlags = readAuditFlags(args);
  const drain = args.value("drain");
  const drainFlag = drain === undefined
    ? undefined
    : parseDuration(drain, "--drain");
  if (!stdio) warnings.push(...rootWarnings(runtime, address, args));
  const { openDoor } = await import("./door.ts");
  const served = await servedPlatform(runtime, args.value("encoding"), report);
  report.debug(`commands speak ${served.platform.encoding}`);
  const { Accounts, policiesOf } = await import("./policies.ts");
  const accounts = new Accounts(runtime);
  const door = await openDoor(
    runtime,
    args,
    report,
    (loaded) => accounts.examine(loaded),
  );
  const { authenticator } = door;
  const authorize = policiesOf(runtime, authenticator, accounts);
  const drainMs = () =>
    drainFlag ?? authenticator.config?.drainMs ?? DEFAULT_DRAIN_MS;
  const certificate = async () => {
    const { serverTlsOptions } = await import("./server_tls.ts");
    const configured = authenticator.config?.tls ?? {};
    return await serverTlsOptions(runtime, args, configured, report);
  };
  const tls = isTls ? await certificate() : undefined;
  if (kind === "tcp" && door.config?.tls !== undefined) {
    report.warn(
      `nothing is encrypted at ${address}: the certificate of the ` +
        "configuration is for an ADDRESS that begins with tls://",
    );
  }
  const settings = auditFlags ?? auditEntry(door.config?.audit);
  const audit = settings && await openAudit(runtime, settings, report);
  outliveErrors(runtime, report);
  runtime.onWarning?.((words) => report.warn(words));
  const { maxTotalBufferedBytes } = resolveServerLimits({
    ...door.config?.limits,
    ...limits,
  });
  const memory = await memoryWarning(runtime.files, maxTotalBufferedBytes);
  if (memory !== null) report.warn(memory);
  const onEvent = (event: ServerEvent) => {
    audit?.record(event);
    const { text, important } = describeEvent(event);
    if (important) report.info(text);
    else report.debug(text);
  };
  const options = {
    authenticator,
    limits: { ...door.config?.limits, ...limits },
    gate: audit === null ? undefined : () => audit.ready(),
    authorize,
    onEvent,
    tls,
    // A server on stdio ends with its one client, and so do its commands.
    jobs: stdio ? undefined : await jobsFolder(runtime, args, address, report),
    ...served,
  };
  if (stdio) await serveStdio(runtime, options, door, drainMs, report);
  else {
    const running = await serveAt(runtime, address, options)
      .catch((error) => explainListening(runtime, address, error));
    const { address: bound, fingerprint, server } = running;
    // Behind all that is refused: who made a mistake is told of that alone.
    for (const each of warnings) report.warn(each);
    const { encoding } = served.platform;
    const spoken = encoding === "utf-8" ? "" : `; commands speak ${encoding}`;
    const { hostKey } = authenticator;
    if (hostKey !== undefined) report.info(`this server's key is ${hostKey}`);
    report.info(`listening on ${bound}, ${door.words}${spoken}`);
    if (fingerprint !== null) {
      report.info(`clients know it by --pin ${fingerprint}`);
    }
    const read: Reading[] = [
      {
        what: "configuration",
        again: () => authenticator.reload(),
      },
      ...isTls
        ? [{
          what: "certificate",
          again: async () =>
            `the certificate, --pin ${await running.renewTls(
              await certificate(),
            )}`,
        }]
        : [],
    ];
    const reload = () => {
      audit?.reopen();
      return read;
    };
    await serveSocket(runtime, server, door, reload, drainMs, report);
  }
  await door.close();
  await audit?.close();
  await report.flush(LAST_WORDS_MS);
  return 0;
}

interface Options {
  readonly authenticator: Authenticator;
  readonly limits: Partial<ServerLimits>;
  readonly tls: TlsServerOptions | undefined;
  readonly jobs: JobsFolder | undefined;
  readonly gate: (() => Promise<void>) | undefined;
  readonly authorize: Authorize;
  readonly onEvent: (event: ServerEvent) => void;
  readonly platform: Platform;
  readonly encodings: () => Promise<Encodings>;
}

/** If the folder of a Unix socket is not there, systems say that in many ways. */
async function explainListening(
  { files }: CliRuntime,
  address: string,
  error: unknown,
): Promise<never> {
  const target = parseAddress(address);
  const why = target.kind === "unix"
    ? await missingFolder(files, target.path).catch(() => null)
    : null;
  if (why === null) throw error;
  const message = `Cannot listen on ${formatTarget(target)}: ${why}`;
  throw new LimpetError("connection_failed", message, { cause: error });
}

async function serveSocket(
  runtime: CliRuntime,
  server: Server,
  door: Door,
  reload: () => readonly Reading[],
  drainMs: () => number,
  report: Reporter,
): Promise<void> {
  door.keep(server);
  const tied = hangsUpWithTerminal(runtime);
  if (!tied) reloadOnHangup(runtime, reload, report);
  const told = stopRequests(
    runtime,
    tied ? [...STOP_SIGNALS, "SIGHUP"] : STOP_SIGNALS,
  );
  await told[0];
  await goDown(server, told, drainMs(), report);
}

async function serveStdio(
  runtime: CliRuntime,
  options: Options,
  door: Door,
  drainMs: () => number,
  report: Reporter,
): Promise<void> {
  const server = new Server({
    spawner: runtime.spawner,
    environment: () => runtime.environment(),
    ...options,
    // There is no other connection that a client could come back on.
    limits: { ...options.limits, graceMs: 0 },
  });
  await server.ready();
  const over = server.accept(runtime.stdio());
  door.keep(server);
  // SIGHUP: of a terminal that closes, or an ssh that hangs up.
  const told = stopRequests(runtime, [...STOP_SIGNALS, "SIGHUP"]);
  let going: Promise<void> | undefined;
  const gone = told[0].then(() =>
    going = goDown(server, told, drainMs(), report)
  );
  // The connection is not over while a command does not end.
  await Promise.race([over, gone]);
  await going;
  await server.close();
}

/** Throws for what must be meant expressly, and says what is meant then. */
function doorWarnings(address: string, args: Arguments): string[] {
  const target = parseAddress(address);
  if (target.kind === "tls") {
    return args.has("insecure")
      ? ["--insecure is not needed: tls:// is encrypted"]
      : [];
  }
  if (isLocal(target)) return [];
  if (args.has("insecure")) {
    return [
      `nothing is encrypted at ${
        formatTarget(target)
      }: whoever is on the way ` +
      "can read every command and its output, and change them",
    ];
  }
  const host = formatTarget(target).replace(/^tcp:\/\//, "");
  throw new LimpetError(
    "invalid_argument",
    `${formatTarget(target)} can be reached from other machines, and the ` +
      "connection would not be encrypted: whoever is on the way could read " +
      `every command and its output, and change them. Serve tls://${host}, or ` +
      "say --insecure if the network itself is trusted",
  );
}

/** What protects nothing must not look as if it did. */
function refuseTlsFlags(args: Arguments): void {
  const flag = ["cert", "key", "client-ca"].find((name) => args.has(name));
  if (flag === undefined) return;
  throw usageError(`--${flag} is for an ADDRESS that begins with tls://`);
}

/** A Unix socket is for who it belongs to, and stdio for whoever started us. */
function rootWarnings(
  runtime: CliRuntime,
  address: string,
  args: Arguments,
): string[] {
  const target = parseAddress(address);
  const isRoot = runtime.isRoot();
  if (target.kind === "unix" || isRoot === false) return [];
  const meaning = isRoot === null
    ? "may run commands as root: whether it does Deno tells only with " +
      "--allow-sys=uid"
    : "runs commands as root: whoever has a token or a key can do anything to " +
      "this machine, unless a policy says otherwise (limpet help policy)";
  if (isLocal(target) || args.has("allow-root")) {
    return [`this server ${meaning}`];
  }
  const instead = isRoot === null
    ? "Start it with that permission"
    : "Serve as another user";
  throw new LimpetError(
    "invalid_argument",
    `${formatTarget(target)} can be reached from other machines, and this ` +
      `server ${meaning}. ${instead}, or say --allow-root if that is what you ` +
      "want",
  );
}

/** An event in words, and whether it is said without `-v`. */
export function describeEvent(
  event: ServerEvent,
): { text: string; important: boolean } {
  const who = `[${event.session}]`;
  switch (event.type) {
    case "refused": {
      const others = event.count === 1 ? "" : ` (${event.count} like it)`;
      return {
        text: `${who} ${event.peer} was refused: ${event.message}${others}`,
        important: true,
      };
    }
    case "jobs_problem":
      return { text: event.message, important: true };
    case "command_left": {
      const { argv, identity, pid } = event;
      const why = pid === null
        ? "it has not even started"
        : `process ${pid} does not end, not even by SIGKILL`;
      return {
        text: `a command of ${identity} is left behind, ${why}: ` +
          JSON.stringify(argv).slice(0, 200),
        important: true,
      };
    }
    case "connected":
      return { text: `${who} ${event.peer} connected`, important: false };
    case "authenticated":
      return { text: `${who} is ${event.identity}`, important: false };
    case "suspended":
      return {
        text: `${who} lost its connection and waits: ${event.message}`,
        important: false,
      };
    case "resumed":
      return {
        text: `${who} goes on from ${event.peer}, after ${event.awayMs} ms`,
        important: false,
      };
    case "disconnected":
      return event.authenticated
        ? {
          text: `${who} session of ${event.identity} ended: ${event.message}`,
          // Who was sent away is for the operator to know.
          important: event.code === "unauthenticated",
        }
        : {
          text: `${who} ${event.peer} did not get in (${event.code}): ` +
            event.message,
          important: true,
        };
    case "command_started":
      return {
        text:
          `${who} command ${event.command} started, process ${event.pid}: ` +
          JSON.stringify(event.argv).slice(0, 200),
        important: false,
      };
    case "command_refused":
      return {
        text: `${who} command ${event.command} refused (${event.code}): ` +
          event.message,
        important: false,
      };
    case "command_signalled":
      return {
        text: `${who} command ${event.command} is sent ${event.signal}`,
        important: false,
      };
    case "job_attached":
      return {
        text: `${who} command ${event.command} follows job ${event.jobId}`,
        important: false,
      };
    case "job_removed":
      return { text: `${who} removed job ${event.jobId}`, important: false };
    case "command_ended":
      return {
        text: `${who} command ${event.command} ${endWords(event.status)}`,
        important: false,
      };
  }
}
