/**
 * The flags of each subcommand. The help is printed from these tables.
 *
 * @module
 */

import type { Flag } from "./args.ts";

const LATER = "this version does not have it yet";

const HELP: Flag = { name: "help", short: "h", help: "Show this help" };
const QUIET: Flag = {
  name: "quiet",
  short: "q",
  help: "Say only what went wrong",
};
const VERBOSE: Flag = { name: "verbose", short: "v", help: "Say what happens" };
const TOKEN_FILE: Flag = {
  name: "token-file",
  value: "FILE",
  help: "Read the token from FILE (mode 0600)",
};

const CONFIG: Flag = {
  name: "config",
  value: "FILE",
  help: "The server's configuration (limpet help config)",
};

const NO_TLS_FLAG: Flag = {
  name: "tls",
  help: "",
  refused: "TLS is part of the address: write tls://host:port",
};

const OWN_CERTIFICATE: readonly Flag[] = [
  { name: "cert", value: "FILE", help: "tls: show this certificate (PEM)" },
  { name: "key", value: "FILE", help: "tls: its private key (PEM, mode 0600)" },
];

const TTY: Flag = {
  name: "tty",
  short: "t",
  help: "",
  refused: `a terminal on the other machine: ${LATER}`,
};

const KEEPALIVE: Flag = {
  name: "keepalive",
  value: "TIME",
  help: "Ask a silent peer after TIME (15s), 0: never",
};

const CLIENT: readonly Flag[] = [
  TOKEN_FILE,
  {
    name: "identity-file",
    value: "FILE",
    help: "Prove a key pair instead (limpet help key)",
  },
  {
    name: "host-key",
    value: "KEY",
    help: "Its server has this key (default: the known one)",
  },
  {
    name: "connect-timeout",
    value: "TIME",
    help: "Give up connecting after TIME (default 10s)",
  },
  KEEPALIVE,
  {
    name: "resume-timeout",
    value: "TIME",
    help: "Get a lost connection back within TIME, 0: never",
  },
  {
    name: "insecure",
    help: "Do not warn that nothing is encrypted",
  },
  {
    name: "pin",
    value: "sha256:HASH",
    many: true,
    help: "tls: trust this certificate alone",
  },
  {
    name: "ca",
    value: "FILE",
    help: "tls: trust whom these have signed (PEM)",
  },
  ...OWN_CERTIFICATE,
];

const COMMAND: readonly Flag[] = [
  {
    name: "workdir",
    short: "w",
    value: "DIR",
    help: "Run in DIR (default: the server's directory)",
  },
  {
    name: "env",
    short: "e",
    value: "NAME=VALUE",
    many: true,
    help: "Set a variable; NAME alone copies ours",
  },
  {
    name: "timeout",
    value: "TIME",
    help: "End the command after TIME; exit status 124",
  },
  {
    name: "kill-after",
    value: "TIME",
    help: "From SIGTERM to SIGKILL to end it (default 5s)",
  },
  {
    name: "drain",
    value: "TIME",
    help: "Wait for what background jobs print (default 1s)",
  },
  { name: "merge", help: "Send stderr into stdout, in its order" },
  {
    name: "encoding",
    value: "NAME",
    help: "The command's text is in NAME, such as gbk",
  },
];

/** `limpet serve` */
export const SERVE_FLAGS: readonly Flag[] = [
  CONFIG,
  TOKEN_FILE,
  { name: "stdio", help: "Serve one client on stdin and stdout" },
  {
    name: "raw",
    help: "The lesson's plain protocol; needs --insecure",
  },
  {
    name: "encoding",
    value: "NAME",
    help: "Text of commands, as gbk (default: the locale's)",
  },
  {
    name: "max-connections",
    value: "N",
    help: "Connections at once (default 2048)",
  },
  {
    name: "max-sessions",
    value: "N",
    help: "Sessions at once (default 1024)",
  },
  {
    name: "max-commands",
    value: "N",
    help: "Commands at once per session (default: no limit)",
  },
  {
    name: "max-commands-per-identity",
    value: "N",
    help: "The same of one identity, jobs included",
  },
  {
    name: "max-total-commands",
    value: "N",
    help: "The same of all, jobs included",
  },
  {
    name: "handshake-timeout",
    value: "TIME",
    help: "Until the token must be proved (default 10s)",
  },
  {
    name: "audit",
    value: "FILE",
    help: "Add a JSON line per event to FILE, or to stderr",
  },
  {
    name: "audit-failure",
    value: "MODE",
    help: "If it cannot be written: stop (default), continue",
  },
  {
    name: "jobs-dir",
    value: "DIR",
    help: "Keep jobs and their output in DIR; off: nowhere",
  },
  {
    name: "drain",
    value: "TIME",
    help: "Let commands finish before we end (default 30s)",
  },
  {
    name: "grace",
    value: "TIME",
    help: "Keep sessions without a connection (60s), 0: end",
  },
  {
    name: "idle-timeout",
    value: "TIME",
    help: "Close sessions that run nothing (default: never)",
  },
  KEEPALIVE,
  {
    name: "insecure",
    help: "Serve beyond this machine without encryption",
  },
  ...OWN_CERTIFICATE,
  {
    name: "client-ca",
    value: "FILE",
    help: "tls: only clients whom these have signed (PEM)",
  },
  {
    name: "allow-root",
    help: "Serve beyond this machine as root",
  },
  VERBOSE,
  QUIET,
  HELP,
  NO_TLS_FLAG,
];

/** `limpet exec` */
export const EXEC_FLAGS: readonly Flag[] = [
  {
    name: "command",
    short: "c",
    value: "LINE",
    help: "Run LINE in the server's shell",
  },
  { name: "stdin", short: "i", help: "Pass our stdin (otherwise it is empty)" },
  {
    name: "detach",
    short: "d",
    help: "Print the job's id, and leave it to itself",
  },
  {
    name: "on-disconnect",
    value: "MODE",
    help: "Without us it is to: kill (default), keep, detach",
  },
  {
    name: "job-id",
    value: "ID",
    help: "Call it ID, and start it once only",
  },
  ...COMMAND,
  {
    name: "output",
    value: "FORMAT",
    help: "text (default), or json: all of it in one object",
  },
  ...CLIENT,
  VERBOSE,
  QUIET,
  HELP,
  TTY,
  NO_TLS_FLAG,
];

/** `limpet shell` */
export const SHELL_FLAGS: readonly Flag[] = [
  ...COMMAND,
  ...CLIENT,
  VERBOSE,
  QUIET,
  HELP,
  TTY,
  NO_TLS_FLAG,
];

/** `limpet demo` */
export const DEMO_FLAGS: readonly Flag[] = [VERBOSE, QUIET, HELP];

/** `limpet lab` */
export const LAB_FLAGS: readonly Flag[] = [
  { name: "json", help: "Print what was measured, as one object" },
  {
    name: "lang",
    value: "LANG",
    help: "Explain in en (default) or zh",
  },
  {
    name: "port",
    value: "PORT",
    help: "Where to listen; not for datagram (default: any)",
  },
  {
    name: "size",
    value: "BYTES",
    help: "datagram: of the long one, 1025 to 65507 (3000)",
  },
  HELP,
];

/** `limpet config` */
export const CONFIG_FLAGS: readonly Flag[] = [HELP];

const LIMITED: readonly Flag[] = [
  {
    name: "expires",
    value: "WHEN",
    help: "add: until then: 12h, 30d, 2w, 2027-01-31",
  },
  {
    name: "from",
    value: "ADDRESS",
    many: true,
    help: "add: only from: 10.0.0.0/8, ::1, unix, stdio",
  },
];

/** `limpet token` */
export const TOKEN_FLAGS: readonly Flag[] = [
  {
    name: "out",
    value: "FILE",
    help: "add: put the token into FILE (mode 0600)",
  },
  ...LIMITED,
  { name: "json", help: "list: print it as JSON" },
  CONFIG,
  QUIET,
  HELP,
];

/** `limpet key` */
export const KEY_FLAGS: readonly Flag[] = [
  {
    name: "out",
    value: "FILE",
    help: "new: where the private key goes (mode 0600)",
  },
  ...LIMITED,
  CONFIG,
  QUIET,
  HELP,
];

const JOB: readonly Flag[] = [...CLIENT, VERBOSE, QUIET, HELP, NO_TLS_FLAG];

/** `limpet ps` */
export const PS_FLAGS: readonly Flag[] = [
  { name: "all", short: "a", help: "Also those that have ended" },
  {
    name: "output",
    value: "FORMAT",
    help: "text (default), or json: a list of objects",
  },
  ...JOB,
];

const OFFSETS: readonly Flag[] = [
  {
    name: "stdout-offset",
    value: "N",
    help: "Begin behind N bytes of its stdout",
  },
  {
    name: "stderr-offset",
    value: "N",
    help: "Begin behind N bytes of its stderr",
  },
];

/** `limpet attach` and the like */
export const JOB_FLAGS: {
  readonly [K in "attach" | "logs" | "wait" | "kill" | "rm"]: readonly Flag[];
} = {
  attach: [
    { name: "stdin", short: "i", help: "Pass our stdin, if it takes any" },
    ...OFFSETS,
    ...JOB,
  ],
  logs: [
    { name: "follow", short: "f", help: "Go on until it ends" },
    ...OFFSETS,
    ...JOB,
  ],
  wait: JOB,
  kill: [
    {
      name: "signal",
      short: "s",
      value: "SIGNAL",
      help: "Send this one, and no other",
    },
    {
      name: "kill-after",
      value: "TIME",
      help: "From SIGTERM to SIGKILL (default: as started)",
    },
    ...JOB,
  ],
  rm: [
    { name: "force", short: "f", help: "End it first, if it runs" },
    ...JOB,
  ],
};
