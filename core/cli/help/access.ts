/**
 * Help on who may connect, by what they know one another, and what each may run.
 *
 * @module
 */

import { CONFIG_FLAGS, KEY_FLAGS, TOKEN_FLAGS } from "../flags.ts";
import { flagTable } from "./table.ts";

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

const CONFIG_STATUS = `
Exit status: 0 if it is right, 125 if not, or if there is none.
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
public half when it starts, once anybody has a key pair. trust writes that down
for TARGET, host:port, in known_hosts. Over tls:// and ssh it is not needed:
those know their servers.

show prints by what this machine is known, whether a server runs or not: the
public key of its server (host), the fingerprint of the certificate that it
shows, as --pin takes it (cert), and the public key that new has made (own),
each with its file; or the one that is named, and nothing else. Of a FILE with a
private key that new has made it prints the public half, as ssh-keygen -y does.
`;

const KEY_REST = `
Examples:
  limpet key new
  limpet key add ann ed25519:FS9lgx1z4wBU7-_0sbqSr2GVXnOKiL6hXvj8b5JFStc
  limpet key trust box ed25519:UL7KjJZRfprrQwET8QEdQQfYGWZCoAMZKnj5KgwHeKA
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
used, the old ones stay (a tls.pem that is gone is made anew, and who knows the
server by it refuses it then). With --client-ca FILE only clients get in that
have a certificate of that authority, and the token.

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
            as JSON: a list of words, or a string for a line. (limpet shell
            has a line of its own before each, to learn where cd leads)
cwd         where commands may start, with all below. The first is the default,
            and has to be there. No jail: a command goes where its user may.
            Without it the client cannot choose, and commands start where the
            server was started, with runAs at home (or in /)
env         variables the client may set. A * at the end covers others, but none
            that make programs load code, such as LD_PRELOAD, NODE_OPTIONS or
            BASH_ENV: those only by their whole names. PATH and LIMPET_* never.
            A valid TRACEPARENT always comes through
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

/** By topic. */
export const ACCESS: Readonly<Record<string, string>> = {
  config: CONFIG + flagTable(CONFIG_FLAGS) + CONFIG_STATUS,
  token: TOKEN + flagTable(TOKEN_FLAGS) + TOKEN_REST,
  key: KEY + flagTable(KEY_FLAGS) + KEY_REST,
  tls: TLS,
  policy: POLICY,
};
