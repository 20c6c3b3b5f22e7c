/**
 * Help on serving and on running commands.
 *
 * @module
 */

import {
  DEMO_FLAGS,
  EXEC_FLAGS,
  LAB_FLAGS,
  SERVE_FLAGS,
  SHELL_FLAGS,
} from "../flags.ts";
import { flagTable } from "./table.ts";

const SERVE = `Usage: limpet serve [FLAGS] [ADDRESS]

Lets everyone who has the token run commands here, as the user you are; or those
whom the configuration names (limpet help config), which is read again whenever
it changes. The token is made on first start. ADDRESS is tcp://host:port,
tls://host:port (limpet help tls) or unix:PATH (default tcp://127.0.0.1:8090);
port 0 takes a free one, and the address is printed.

With --audit FILE every connection, refusal, command, signal and end is a line
of JSON in FILE: who, from where, what, how it ended, how long it took and how
many bytes it moved; no input, output, token or value of a variable. What ran is
"argv", with "shell" true if that is a line for the shell; where a policy ran
something else than was asked for, "requested" and "requestedShell" are the same
of that, and null otherwise. While FILE
cannot be written nobody connects and no command starts, unless --audit-failure
says continue: what is lost is then counted, in a line "audit_gap", before which
there may be a line that broke off and is no JSON.

SIGTERM and Ctrl-C end it: no more commands begin, clients are told, and what
runs has --drain to come to its end; again ends what runs at once, and a third
time kills it. SIGHUP reads token, configuration and certificate again, and says
what came of each; sessions stay. But it ends a server that stands on a terminal
or on --stdio.

With --raw it is the lesson's server instead: what one recv brings is a command,
and there is no token, so everybody on this machine can run commands as you. A
teaching aid, on the loopback interface and with --insecure only.
`;

const SERVE_STATUS = `
Exit status:
  0 if it was told to end; 125 for a mistake on the command line, in the
  configuration or in a file that these name, which a restart would not mend;
  255 if it cannot listen, such as at an address that is taken
`;

const SERVE_EXAMPLES = `
Examples:
  limpet serve
  limpet serve tcp://127.0.0.1:0
  limpet serve unix:/tmp/limpet.sock
`;

const EXEC = `Usage: limpet exec [FLAGS] TARGET -- CMD ARG...
       limpet exec [FLAGS] TARGET -c LINE

Runs one command on the server. stdout is the command's and nothing else,
or with -d the id of a command that is left to itself (limpet help job);
messages of limpet itself begin with "limpet:" on stderr. SIGINT, SIGTERM,
SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are passed on to the command.

Bytes pass as they are; a terminal shows them as text, read in the encoding that
the server says. With --encoding NAME all is text, in pipes too: the command's
arguments and stdin are written in NAME, and what it prints is read in NAME and
written in our own locale's encoding.

With --insecure raw://127.0.0.1:port and -c LINE, one recv of at most 1024 bytes
is all that comes back, --timeout (default 5s) is how long to wait for it, and
the outcome is always unknown: exit status 255.
`;

const EXEC_STATUS = `
Exit status:
  the command's own; 128+n if signal n ended it; 124 its --timeout passed;
  125 refused, or a mistake on the command line; 126 not executable;
  127 not found; 255 connection, authentication, or outcome unknown, and what
  the server ended that made a success (0) of it

Environment:
  TRACEPARENT  a W3C trace context, which goes to the command and the audit log
`;

const EXEC_EXAMPLES = `
Examples:
  limpet exec 127.0.0.1 -- uname -a
  limpet exec 127.0.0.1 -c 'ls | wc -l'
  echo hello | limpet exec -i 127.0.0.1 -- tr a-z A-Z
  limpet exec --timeout 5s -w /tmp -e GREETING=hi 127.0.0.1 -c 'echo $GREETING'
  limpet exec --output json 127.0.0.1 -- true
  limpet exec -d 127.0.0.1 -- sleep 1
`;

const SHELL = `Usage: limpet shell [FLAGS] TARGET

Prompts with ">>: ", runs each line in the server's shell, and shows what it
prints. "cd" lasts from line to line. Ctrl-C ends the running command; "exit" or
the end of input leaves. Without a terminal, lines are read without a prompt.
Variables, functions and unfinished lines do not last from line to line.

With --insecure raw://127.0.0.1:port it is the lesson's client instead: each
line is sent, and one recv of at most 1024 bytes is taken for its answer, within
--timeout (default 5s). "cd" and exit codes are not known there.

Exit status: N at "exit N". At "exit" and at the end of input that of the last
line, as "limpet help exec" has it (125 if it was refused), or 0 in a terminal
and of raw://. 255 if the connection is lost.
`;

const SHELL_EXAMPLES = `
Examples:
  limpet shell 127.0.0.1
  printf 'cd /tmp\\npwd\\n' | limpet shell 127.0.0.1
`;

const DEMO = `Usage: limpet demo [FLAGS]

A server on a free port of this machine with a token of its own, and a prompt
that talks to it over the socket. Both end with the prompt.
`;

const DEMO_EXAMPLES = `
Examples:
  limpet demo
  echo 'seq 1 3' | limpet demo
`;

const LAB = `Usage: limpet lab [FLAGS] [NAME|all]

Shows live, on real sockets of this machine, what programs run into that use TCP
and UDP without framing, then the same through frames. NAME is one of

  sticky    the rest of one answer becomes the answer to the next command
  nagle     several sends arrive as one read, with Nagle on and off
  split     one send arrives in many reads, or is not even sent whole
  datagram  UDP keeps boundaries, and loses what does not fit
  empty     an empty message blocks both sides for ever
  reset     a client that resets kills the naive server for everybody

Without a NAME they are listed; "all" runs all of them.
`;

const LAB_STATUS = `
Exit status: 0 if everything was observed and cured, 1 if not; 125 for a mistake
on the command line, or what this machine cannot do; 255 if a socket failed,
such as for a --port that is taken.
`;

const LAB_EXAMPLES = `
Examples:
  limpet lab sticky
  limpet lab datagram --size 60000
  limpet lab all --json
`;

/** By topic. */
export const COMMANDS: Readonly<Record<string, string>> = {
  serve: SERVE + flagTable(SERVE_FLAGS) + SERVE_STATUS + SERVE_EXAMPLES,
  exec: EXEC + flagTable(EXEC_FLAGS) + EXEC_STATUS + EXEC_EXAMPLES,
  shell: SHELL + flagTable(SHELL_FLAGS) + SHELL_EXAMPLES,
  demo: DEMO + flagTable(DEMO_FLAGS) + DEMO_EXAMPLES,
  lab: LAB + flagTable(LAB_FLAGS) + LAB_STATUS + LAB_EXAMPLES,
};
