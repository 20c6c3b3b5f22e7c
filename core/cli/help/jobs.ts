/**
 * Help on what outlives a connection, and on jobs.
 *
 * @module
 */

import { JOB_FLAGS, PS_FLAGS } from "../flags.ts";
import { flagTable } from "./table.ts";

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

const JOB = `Jobs: commands that outlive their client

Every command has an id, which exec -d prints. With it, and -d or
--on-disconnect, a command goes on when its client ends or loses its connection.
Who proves the same identity can then look after it from anywhere:

  limpet ps [FLAGS] TARGET               what runs; -a: and what has ended
  limpet attach [FLAGS] TARGET JOB       all that it wrote, and what comes; with
                                         our signals, and with -i our stdin
  limpet logs [FLAGS] TARGET JOB         what it wrote; -f: and what comes
  limpet wait [FLAGS] TARGET JOB         until it ends; its exit status is ours
  limpet kill [FLAGS] TARGET JOB         SIGTERM, and SIGKILL if it stays
  limpet rm [FLAGS] TARGET JOB...        forget what has ended

--on-disconnect says what becomes of it without a client:
  kill    it ends (default)
  detach  it goes on. The server keeps what it writes, of more than 32 MiB of
          stdout or of stderr (64 MiB with --merge) the beginning and the end:
          where bytes are missing is told on stderr
  keep    it goes on, and waits when so much is full until somebody attaches.
          Nothing is lost that nobody has read; but what one reader has taken
          makes room for more, and whoever reads later misses it

--job-id ID names a command, and starts it once: asked for again with the same
flags, it is attached to, also after it has ended. So a script that does not
know whether it got through just tries again.

A server keeps jobs in --jobs-dir, by default in $STATE_DIRECTORY/jobs,
$XDG_STATE_HOME/limpet/jobs or ~/.local/state/limpet/jobs, readable by its user
alone, for a week after their end. A server that is started again finds them; of
those that ran when it was killed it says that their outcome is unknown. A
server on --stdio keeps none.
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

const PS = `Usage: limpet ps [FLAGS] TARGET

Lists the commands of our identity that run on the server, whoever started them
and over whatever connection; with -a those too that have ended and are still
kept.
`;

const ATTACH = `Usage: limpet attach [FLAGS] TARGET JOB

Shows all that a job wrote, and what comes, to its end; passes our signals on to
it, and with -i our stdin. To end our side leaves the job alone.
`;

const LOGS = `Usage: limpet logs [FLAGS] TARGET JOB

Shows what a job wrote, its stderr on ours. Ctrl-C ends our side alone. Of a job
with --on-disconnect keep that has written more than the server keeps (32 MiB of
each), what somebody has read before may be gone: stderr tells where.
`;

const WAIT = `Usage: limpet wait [FLAGS] TARGET JOB

Waits for a job's end. Prints nothing; the exit status is the job's.
`;

const KILL = `Usage: limpet kill [FLAGS] TARGET JOB

Ends a job and all it has started: SIGTERM, and SIGKILL for what is left then.
With -s that signal alone is sent, and nothing else.
`;

const RM = `Usage: limpet rm [FLAGS] TARGET JOB...

Forgets jobs that have ended, and removes what they wrote.
`;

const SEE_JOB = `
See "limpet help job" for what jobs are, and for examples.
`;

/** By topic. */
export const JOBS: Readonly<Record<string, string>> = {
  resume: RESUME,
  job: JOB + JOB_EXAMPLES,
  ps: PS + flagTable(PS_FLAGS) + SEE_JOB,
  attach: ATTACH + flagTable(JOB_FLAGS.attach) + SEE_JOB,
  logs: LOGS + flagTable(JOB_FLAGS.logs) + SEE_JOB,
  wait: WAIT + flagTable(JOB_FLAGS.wait) + SEE_JOB,
  kill: KILL + flagTable(JOB_FLAGS.kill) + SEE_JOB,
  rm: RM + flagTable(JOB_FLAGS.rm) + SEE_JOB,
};
