/**
 * The help texts. Their examples are run by the test suite as they stand.
 *
 * @module
 */

import { ACCESS } from "./help/access.ts";
import { COMMANDS } from "./help/commands.ts";
import { JOBS } from "./help/jobs.ts";

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

const HELP: Readonly<Record<string, string>> = {
  ...COMMANDS,
  ...ACCESS,
  ...JOBS,
};

/** The help for a topic; null when there is no such topic. */
export function helpText(topic: string | undefined): string | null {
  if (topic === undefined) return OVERVIEW;
  return Object.hasOwn(HELP, topic) ? HELP[topic] : null;
}

/** The topics there are. */
export const TOPICS: readonly string[] = Object.keys(HELP);
