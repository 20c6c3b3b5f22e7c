/**
 * What commands inherit of a server's own environment.
 *
 * @module
 */

/**
 * What is about the server itself. systemd's are in systemd.exec(5),
 * sd_notify(3), sd_listen_fds(3) and sd_watchdog_enabled(3): a command that
 * believes them takes itself for the service.
 */
const OWN: ReadonlySet<string> = new Set([
  "CREDENTIALS_DIRECTORY",
  "ENCRYPTED_CREDENTIALS_DIRECTORY",
  "RUNTIME_DIRECTORY",
  "STATE_DIRECTORY",
  "CACHE_DIRECTORY",
  "LOGS_DIRECTORY",
  "CONFIGURATION_DIRECTORY",
  "NOTIFY_SOCKET",
  "FDSTORE",
  "LISTEN_FDS",
  "LISTEN_FDNAMES",
  "LISTEN_PID",
  "LISTEN_PIDFDID",
  "MAINPID",
  "MANAGERPID",
  "MANAGERPIDFDID",
  "SYSTEMD_EXEC_PID",
  "INVOCATION_ID",
  "JOURNAL_STREAM",
  "LOG_NAMESPACE",
  "MEMORY_PRESSURE_WATCH",
  "MEMORY_PRESSURE_WRITE",
  // A Node or Bun that was started with a channel to its parent.
  "NODE_CHANNEL_FD",
  "NODE_CHANNEL_SERIALIZATION_MODE",
  "NODE_UNIQUE_ID",
  // The command's place is in the client's trace, not in the server's.
  "TRACEPARENT",
  "TRACESTATE",
]);

/** LIMPET_TOKEN and the like, WATCHDOG_USEC and WATCHDOG_PID. */
const OWN_PREFIXES = ["LIMPET_", "WATCHDOG_"] as const;

/** All but what is the server's own business. */
export function inherited(
  environment: Readonly<Record<string, string>>,
): Record<string, string> {
  // A copy as it is takes a quarter of what it takes to choose pair by pair.
  const kept = { ...environment };
  for (const name of Object.keys(kept)) {
    if (isOwn(name.toUpperCase())) delete kept[name];
  }
  return kept;
}

function isOwn(name: string): boolean {
  return OWN.has(name) ||
    OWN_PREFIXES.some((prefix) => name.startsWith(prefix));
}
