/**
 * The help texts. Their examples are run by the test suite as they stand.
 *
 * @module
 */

import type { Flag } from "./args.ts";
import {
  CONFIG_FLAGS,
  DEMO_FLAGS,
  EXEC_FLAGS,
  JOB_FLAGS,
  KEY_FLAGS,
  LAB_FLAGS,
  PS_FLAGS,
  SERVE_FLAGS,
  SHELL_FLAGS,
  TOKEN_FLAGS,
} from "./flags.ts";

const OVERVIEW = `limpet: run commands on another machine over any byte stream

Usage:
  limpet serve [FLAGS] [ADDRESS]            let clients run commands here
  limpet exec [FLAGS] TARGET -- CMD ARG...  run one program, no shell
  limpet exec [FLAGS] TARGET -c LINE        run one line in the shell there
  limpet shell [FLAGS] TARGET               a prompt, one command a line
  limpet ps [FLAGS] TARGET                  the jobs there; help job has all of
  limpet attach|logs|wait|kill|rm TARGET JOB  what can be done with them
  limpet demo                               a server and a prompt, right here
  limpet lab [FLAGS] [NAME|all]             see what goes wrong without frames
  limpet token add|list|revoke              who may connect, each by name
  limpet key new|add|trust|show             the same with a key pair
  limpet config check [FILE]                is the server's file right?
  limpet help SUBCOMMAND                    flags and examples
  limpet help tls                           encryption, and whom to trust
  limpet help resume                        what survives a lost connection
  limpet help policy                        what each may run
  limpet --version

ADDRESS  tcp://host:port, tls://host:port or unix:PATH
         (default tcp://127.0.0.1:8090)
TARGET   host, host:port, tcp://host:port, tls://host:port, unix:PATH, or
         cmd:COMMAND LINE for the stdio of a program, such as
         cmd:ssh box limpet serve --stdio;
         raw://127.0.0.1:port for a server without frames, as "serve --raw" is

Examples:
  limpet serve &
  limpet exec 127.0.0.1 -- uname -a
  limpet exec 127.0.0.1 -c 'ls | wc -l'
`;

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
says continue: what is lost is then counted.

SIGTERM and Ctrl-C end it: no more commands begin, clients are told, and what
runs has --drain to come to its end; again ends what runs at once, and a third
time kills it. SIGHUP reads token, configuration and certificate again, and says
what came of each; sessions stay. But it ends a server that stands on a terminal
or on --stdio.

With --raw it is the lesson's server instead: what one recv brings is a command,
and there is no token, so everybody on this machine can run commands as you. A
teaching aid, on the loopback interface and with --insecure only.
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

const SERVE_STATUS = `
Exit status:
  0 if it was told to end; 125 for a mistake on the command line, in the
  configuration or in a file that these name, which a restart would not mend;
  255 if it cannot listen, such as at an address that is taken
`;

const SHELL = `Usage: limpet shell [FLAGS] TARGET

Prompts with ">>: ", runs each line in the server's shell, and shows what it
prints. "cd" lasts from line to line. Ctrl-C ends the running command; "exit" or
the end of input leaves. Without a terminal, lines are read without a prompt.
Variables, functions and unfinished lines do not last from line to line.

With --insecure raw://127.0.0.1:port it is the lesson's client instead: each
line is sent, and one recv of at most 1024 bytes is taken for its answer, within
--timeout (default 5s). "cd" and exit codes are not known there.

Exit status: 0 at the end of input and at "exit", N at "exit N", whatever the
lines came to (each failure is told on stderr); 255 if the connection is lost.
`;

const JOB = `Jobs: commands that outlive their client

Every command has an id, which exec -d prints. With it, and -d or --on-disconnect,
a command goes on when its client ends or loses its connection. Who proves the
same identity can then look after it from anywhere:

  limpet ps [FLAGS] TARGET               what runs; -a: and what has ended
  limpet attach [FLAGS] TARGET JOB       all that it wrote, and what comes; with
                                         our signals, and with -i our stdin
  limpet logs [FLAGS] TARGET JOB         what it wrote; -f: and what comes
  limpet wait [FLAGS] TARGET JOB         until it ends; its exit status is ours
  limpet kill [FLAGS] TARGET JOB         SIGTERM, and SIGKILL if that is not enough
  limpet rm [FLAGS] TARGET JOB...        forget what has ended

--on-disconnect says what becomes of it without a client:
  kill    it ends (default)
  detach  it goes on. The server keeps what it writes, of more than 64 MiB the
          beginning and the end: where bytes are missing is told on stderr
  keep    it goes on, and waits when 64 MiB are full until somebody attaches.
          Nothing is lost

--job-id ID names a command, and starts it once: asked for again with the same
flags, it is attached to, also after it has ended. So a script that does not know
whether it got through just tries again.

A server keeps jobs in --jobs-dir, by default in $STATE_DIRECTORY/jobs,
$XDG_STATE_HOME/limpet/jobs or ~/.local/state/limpet/jobs, readable by its user
alone, for a week after their end. A server that is started again finds them; of
those that ran when it was killed it says that their outcome is unknown. A server
on --stdio keeps none.
`;

const RESUME = `What survives what

The connection is lost (reset, cable, another address, a sleeping laptop):
nothing ends. The client connects again, at once and then less and less often,
proves itself anew, and goes on: no byte is lost, none comes twice, no command
runs again. Commands run on meanwhile, and wait when what they write has no more
room. A loss of more than a second is told on stderr; -v tells of each.

  --keepalive TIME       both sides: ask who is silent after TIME (15s); three
                         times that is a loss
  --resume-timeout TIME  client: look for another connection for TIME (as long
                         as the server says); 0: not at all
  --grace TIME           serve: keep the session for TIME (60s); 0: not at all.
                         "grace" in the configuration is for one identity

The client ends, or stays away for longer: its commands are ended, by SIGTERM
and then SIGKILL. Jobs go on, which are what was started with -d, or with
--on-disconnect keep or detach (limpet help job).

The server is told to end: commands and jobs have its --drain to come to their
end, and are ended then. Jobs and what they wrote are there when it is started
again.

The server is killed: what became of commands is unknown, exit status 255. The
next server knows the jobs that had ended, and says of the others that their
outcome is unknown; processes of theirs may run on.

So that a command runs once, whatever happens: --job-id ID and --on-disconnect
detach, and again with the same flags until there is an answer.

Through cmd: nothing is resumed, for a program that is started again is another
server; raw:// has no sessions. A server on --stdio keeps no jobs.

Examples:
  limpet exec --resume-timeout 10m 127.0.0.1 -- sleep 1
  limpet exec --job-id once --on-disconnect detach 127.0.0.1 -- echo done
  limpet rm 127.0.0.1 once
`;

const JOB_EXAMPLES = `
Examples:
  id=$(limpet exec -d 127.0.0.1 -c 'for i in 1 2 3; do echo $i; sleep 1; done')
  limpet ps 127.0.0.1
  limpet logs -f 127.0.0.1 "$id"
  limpet wait 127.0.0.1 "$id"
  limpet exec --job-id backup-7 --on-disconnect detach 127.0.0.1 -- echo done
  limpet ps -a 127.0.0.1
  limpet rm 127.0.0.1 "$id" backup-7
`;

const JOB_USAGE: Readonly<Record<keyof typeof JOB_FLAGS, string>> = {
  attach: `Usage: limpet attach [FLAGS] TARGET JOB

Shows all that a job wrote, and what comes, to its end; passes our signals on to it,
and with -i our stdin. To end our side leaves the job alone.
`,
  logs: `Usage: limpet logs [FLAGS] TARGET JOB

Shows what a job wrote, its stderr on ours. Ctrl-C ends our side alone.
`,
  wait: `Usage: limpet wait [FLAGS] TARGET JOB

Waits for a job's end. Prints nothing; the exit status is the job's.
`,
  kill: `Usage: limpet kill [FLAGS] TARGET JOB

Ends a job and all it has started: SIGTERM, and SIGKILL for what is left then. With
-s that signal alone is sent, and nothing else.
`,
  rm: `Usage: limpet rm [FLAGS] TARGET JOB...

Forgets jobs that have ended, and removes what they wrote.
`,
};

const PS = `Usage: limpet ps [FLAGS] TARGET

Lists the commands of our identity that run on the server, whoever started them and
over whatever connection; with -a those too that have ended and are still kept.
`;

const SEE_JOB = `
See "limpet help job" for what jobs are, and for examples.
`;

const DEMO = `Usage: limpet demo [FLAGS]

A server on a free port of this machine with a token of its own, and a prompt
that talks to it over the socket. Both end with the prompt.
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

const TOKEN = `Usage: limpet token add [FLAGS] NAME
       limpet token list [FLAGS]
       limpet token revoke [FLAGS] NAME

Says who may connect, by the server's configuration file (limpet help config),
and by name. add makes a token and prints it this once, and nothing else on
stdout; or puts it into the FILE of --out, which must not be there yet. A server
that runs with the configuration lets them in at once; and within 2 seconds of
revoke, or of the end of their time, it ends their sessions and what these run.
revoke is for those with a key pair, too.

list prints a table. In a pipe it is a line for each, with tabs between: name,
token or key, when that ends, from where they may come (with commas between),
last use, and where that came from; - is none. --json prints the same as JSON.
`;

const TOKEN_REST = `
Examples:
  limpet token add --out ci.token ci
  limpet token add --out bob.token --from 10.0.0.0/8 --expires 30d bob
  limpet token list
  limpet token revoke ci

Without identities in the configuration, who has the server's one token may
connect, and nobody else, "serve --raw" excepted. "limpet serve" makes it on
first start; the first "token add" makes it the identity "default". With
"identities": [], as when the last one was revoked, nobody may connect.

A token never crosses the wire: both sides prove that they have it, the client
to the server and the reverse. It is read from, in this order:
  --token-file FILE
  the file that LIMPET_TOKEN_FILE names
  LIMPET_TOKEN
  $LIMPET_CONFIG/token, else $XDG_CONFIG_HOME/limpet/token,
  else ~/.config/limpet/token (on Windows %APPDATA%\\limpet\\token)

Its file must be readable by its owner alone (mode 0600). For another machine,
copy the file there, and encrypt the connection: see "limpet help tls", or carry
it over ssh:
  limpet exec 'cmd:ssh box limpet serve --stdio' -- uname -a
`;

const CONFIG = `Usage: limpet config check [FILE]
       limpet config schema

check tells whether the server's configuration FILE is right, with the users and
files that it names, and who may do what by it; if not, every mistake in it with
its line. What is allowed and hardly meant is a warning: a directory that is not
there, a certificate that ends soon. schema prints the JSON Schema of the file,
for editors: save it, and name it in the file's "$schema". The default FILE is
server.json where the token is (limpet help token).

FILE is JSON. Everything in it may be left out:
  {
    "identities": [
      { "name": "ci", "token": "...", "from": ["10.0.0.0/8"] },
      { "name": "ann", "publicKey": "ed25519:...",
        "expires": "2027-01-31T00:00:00Z" }
    ],
    "limits": { "maxCommands": 100, "handshakeTimeoutMs": "10s" }
  }

identities  who may connect: a name for each, and their token or public key;
            the names are what logs say. "expires" is when that ends. "from" is
            where they may come from: addresses, ranges, unix, stdio. "policy"
            is what they may run (limpet help policy); without it, anything that
            the server's own user may
limits      what clients may make the server hold, by the names that the schema
            lists, with what each is by default
audit       a log with a line of JSON per event: { "file": "/var/log/x.log",
            "onFailure": "continue" }, as --audit and --audit-failure
tls         what to show at a tls:// address, as --cert, --key and --client-ca:
            { "cert": "cert.pem", "key": "key.pem", "clientCa": "ca.pem" }
drain       how long commands may go on when the server ends, as --drain: "30s"

Flags come before the file. The paths of tls and audit are from its own folder
on, those of a policy are whole. A server
that runs takes over a change of the identities at once; of drain, too, of tls
at SIGHUP, of limits and audit when it is started again.

The file, and the folders above it up to the home directory, must belong to
whoever runs the server, or to root, and be changed by nobody else; a folder
like /tmp, where nobody can exchange another's files, is fine. If there are
tokens in it, nobody else may read it either (mode 0600).
`;

const POLICY = `Policies: what an identity may run

An identity without a policy may do what the server's own user may, as an ssh
key without options. With one, what is not allowed is refused. It is a part of
the identity in the configuration (limpet help config):

  { "name": "ci", "token": "...", "policy": {
      "commands": [["git", "pull", "**"], ["systemctl", "restart", "app-?"]],
      "cwd": ["/srv/app"], "env": ["LANG", "LC_*"], "stdin": false,
      "maxCommands": 2, "maxRuntime": "10m", "maxOutput": 1000000 } }

commands    argument lists, one pattern a word: * is any characters, ? any one,
            \\ makes the next literal, ** as the last word is any further words.
            In the program's name * and ? are no /. Words are compared as sent:
            ls, looked up in the server's PATH, is not /bin/ls. Default: none
shell       true: any line may be run in the shell. Default: false
forced      what is run in place of whatever is asked for: a list of words, or a
            line for the shell. LIMPET_ORIGINAL_COMMAND has what was asked for,
            as JSON: a list of words, or a string for a line
cwd         where commands may start, with all below. The first is the default,
            and has to be there. No jail: a command goes where its user may.
            Without it the client cannot choose, and commands start where the
            server was started, with runAs at home (or in /)
env         variables the client may set. A * at the end covers others, but none
            that make programs load code, such as LD_PRELOAD, NODE_OPTIONS or
            BASH_ENV: those only by their whole names. PATH and LIMPET_* never
stdin       false: no input
detach      true: commands may outlive their client (limpet help job). Default:
            false
maxCommands, maxRuntime, maxOutput
            at once, over all sessions; the time and the bytes of each. What
            runs longer or writes more is ended. Default: no limit
runAs       the user that commands run as, as after a login: their groups, HOME,
            USER, SHELL, and a PATH of /usr/local/bin:/usr/bin:/bin (for root,
            with each sbin). Looked up whenever the file is read. The server
            must run as root, and have setpriv(1)
`;

const CONFIG_STATUS = `
Exit status: 0 if it is right, 125 if not, or if there is none.
`;

const KEY = `Usage: limpet key new [FLAGS]
       limpet key add [FLAGS] NAME PUBLIC
       limpet key trust TARGET KEY
       limpet key show [FLAGS] [host|cert|own|FILE]

A key pair is for those who do not want to share a secret with the server: it
has their public key alone. new makes one (Ed25519), writes the private half to
a file that stays where it is, and prints the public one. add, on the server's
machine, lets who has that key connect as NAME, as "limpet token add" does. They
connect with --identity-file FILE, or with LIMPET_IDENTITY_FILE.

The server has a key pair of its own, by which they know it, and prints its
public half when it starts. trust writes that down for TARGET, host:port, in
known_hosts. Over tls:// and ssh it is not needed: those know their servers.

show prints by what this machine is known, whether a server runs or not: the
public key of its server (host), the fingerprint of the certificate that it
shows, as --pin takes it (cert), and the public key that new has made (own),
each with its file; or the one that is named, and nothing else. Of a FILE with a
private key that new has made it prints the public half, as ssh-keygen -y does.
`;

const KEY_REST = `
Examples:
  limpet key new
  limpet key add ann ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo
  limpet key trust box ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo
  limpet key show
  limpet key new --out ann.key
  limpet key show ann.key

The private key is in identity_key where the token is (limpet help token), if
--out does not say otherwise; the server's own is in host_key there.
`;

const TLS = `Encryption

tls://host:port is TLS 1.3, on port 8090 unless another is named:

  limpet serve tls://0.0.0.0            on the one machine
  limpet exec tls://box -- uname -a     on the other

The server shows --cert FILE with its --key FILE (PEM), or those of its
configuration. Without them it makes a key and a certificate on first start, in
tls.pem beside the token, and prints the fingerprint of the certificate at every
start. At SIGHUP it reads them again, for new connections; if they cannot be
used, the old ones stay. With --client-ca FILE only clients get in that have a
certificate of that authority, and the token.

The client believes a server, by the first of these that there is:
  --pin sha256:HASH  whose certificate has this fingerprint, whoever signed it;
                     may be given more than once
  --ca FILE          whose certificate, with this name, the authorities in FILE
                     have signed
  known_hosts        a line "host:port sha256:HASH" of the file beside the token
  the system         whose certificate an authority of the system has signed
Otherwise it asks, as ssh does, and "yes" adds a line to known_hosts. Without a
terminal nobody is asked: it refuses, and says which --pin to give.

A server whose certificate is not the one in known_hosts is refused: somebody is
in between, or it has a new one. The message says which line to remove then.

For servers that ask for one, --cert FILE and --key FILE are the client's own
certificate. Files with a private key must be their owner's alone (mode 0600).
`;

const EXAMPLES: Readonly<Record<string, string>> = {
  serve: `
Examples:
  limpet serve
  limpet serve tcp://127.0.0.1:0
  limpet serve unix:/tmp/limpet.sock
`,
  exec: `
Examples:
  limpet exec 127.0.0.1 -- uname -a
  limpet exec 127.0.0.1 -c 'ls | wc -l'
  echo hello | limpet exec -i 127.0.0.1 -- tr a-z A-Z
  limpet exec --timeout 5s -w /tmp -e GREETING=hi 127.0.0.1 -c 'echo $GREETING'
  limpet exec --output json 127.0.0.1 -- true
  limpet exec -d 127.0.0.1 -- sleep 1
`,
  shell: `
Examples:
  limpet shell 127.0.0.1
  printf 'cd /tmp\\npwd\\n' | limpet shell 127.0.0.1
`,
  demo: `
Examples:
  limpet demo
  echo 'seq 1 3' | limpet demo
`,
  lab: `
Examples:
  limpet lab sticky
  limpet lab datagram --size 60000
  limpet lab all --json
`,
};

/** The help for a topic; null when there is no such topic. */
export function helpText(topic: string | undefined): string | null {
  switch (topic) {
    case undefined:
      return OVERVIEW;
    case "serve":
      return SERVE + table(SERVE_FLAGS) + SERVE_STATUS + EXAMPLES.serve;
    case "exec":
      return EXEC + table(EXEC_FLAGS) + EXEC_STATUS + EXAMPLES.exec;
    case "shell":
      return SHELL + table(SHELL_FLAGS) + EXAMPLES.shell;
    case "resume":
      return RESUME;
    case "job":
      return JOB + JOB_EXAMPLES;
    case "ps":
      return PS + table(PS_FLAGS) + SEE_JOB;
    case "attach":
    case "logs":
    case "wait":
    case "kill":
    case "rm":
      return JOB_USAGE[topic] + table(JOB_FLAGS[topic]) + SEE_JOB;
    case "demo":
      return DEMO + table(DEMO_FLAGS) + EXAMPLES.demo;
    case "lab":
      return LAB + table(LAB_FLAGS) + LAB_STATUS + EXAMPLES.lab;
    case "config":
      return CONFIG + table(CONFIG_FLAGS) + CONFIG_STATUS;
    case "policy":
      return POLICY;
    case "token":
      return TOKEN + table(TOKEN_FLAGS) + TOKEN_REST;
    case "key":
      return KEY + table(KEY_FLAGS) + KEY_REST;
    case "tls":
      return TLS;
    default:
      return null;
  }
}

/** The topics there are. */
export const TOPICS = [
  "serve",
  "exec",
  "shell",
  "demo",
  "lab",
  "config",
  "token",
  "key",
  "tls",
  "policy",
  "resume",
  "job",
  "ps",
  "attach",
  "logs",
  "wait",
  "kill",
  "rm",
] as const;

function table(flags: readonly Flag[]): string {
  const rows = flags.filter((flag) => flag.refused === undefined).map(
    (flag) => {
      const short = flag.short === undefined ? "    " : `-${flag.short}, `;
      const value = flag.value === undefined ? "" : ` ${flag.value}`;
      return `  ${`${short}--${flag.name}${value}`.padEnd(28)} ${flag.help}\n`;
    },
  );
  return `\nFlags:\n${rows.join("")}`;
}
