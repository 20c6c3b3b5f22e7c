/**
 * The ports: what an adapter, or anyone who embeds core, supplies. Core sees
 * sockets, processes and listeners only through these types.
 *
 * @module
 */

/**
 * A byte stream in both directions: the shape of `Deno.Conn`, of a Workers
 * `Socket`, of a `WebSocketStream`, of a WebTransport stream, of a pipe pair.
 *
 * - Clean end: `readable` closes when the peer has ended its side; `writable`
 *   `close()` ends ours and leaves `readable` open (half close).
 * - Abort: `readable.cancel()` and `writable.abort()` together drop the
 *   connection at once, unsent bytes included.
 * - Back pressure: `readable` reads no further while nobody takes its chunks;
 *   a write's promise settles once the transport has taken the bytes.
 * - Failure: either side errors, preferably with a `LimpetError` whose code is
 *   `connection_lost`.
 *
 * A chunk given out by `readable` belongs to core: the adapter never writes to
 * its buffer again, but for what `ByteReader.read` says.
 */
export interface Duplex {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  /**
   * Writes the chunks in order as one gathered write (`writev`), so that a
   * frame's header and its payload leave together without being copied into
   * one buffer. Settles once the transport has taken all bytes: the chunks are
   * core's again then, which writes to them anew, so what needs them for longer
   * copies them. Core has at most one call under way, and then takes `writable` only
   * to end or to abort it, so that this may be made when it is first asked for.
   */
  writev?(chunks: readonly Uint8Array[]): Promise<void>;
  /** As `writable.close()`, for which that need not be made then. */
  end?(): Promise<void>;
  /**
   * As `readable.getReader()`, for which that need not be made then. A session
   * calls it first of all and once, has at most one `read` under way, and leaves
   * `readable` alone. Whoever puts a stream of their own in front gives none: the
   * adapters' sockets keep it, `writev` and `end` out of copies of them.
   */
  getReader?(): ByteReader;
  /**
   * Where the other end is, for messages: `127.0.0.1:40312`, `unix`, `stdio`;
   * `unknown` if it had gone when it was asked.
   */
  readonly peer?: string;
  /** There if the bytes go over TLS. */
  readonly tls?: TlsInfo;
}

/** What core needs of a stream's reader; a stream's own has all of it. */
export interface ByteReader {
  /**
   * As of a stream's reader. `isOver` says that nobody looks any more at the chunk
   * that was read last, so that its memory may be read into again.
   */
  read(isOver?: boolean): Promise<ReadableStreamReadResult<Uint8Array>>;
  cancel(reason?: unknown): Promise<void>;
}

/**
 * What is known of a TLS connection beneath a {@linkcode Duplex}. A listener may
 * give its connections out before their TLS handshake: then all of this but
 * `serverCertificateHash` is true only once something has been read.
 */
export interface TlsInfo {
  /** SHA-256 of the server's certificate (DER), 32 bytes; the same on both ends. */
  readonly serverCertificateHash: Uint8Array;
  /**
   * Keying material of this one connection (RFC 8446 section 7.5, with an empty
   * context); the same on both ends. Only where the runtime can tell.
   */
  readonly exporter?: (label: string, length: number) => Uint8Array;
  /** At a server, if the client has shown one and it was accepted. */
  readonly clientCertificate?: ClientCertificate;
}

/** Who a client is by its certificate. */
export interface ClientCertificate {
  /** SHA-256 of the certificate (DER), 32 bytes. */
  readonly hash: Uint8Array;
  /** The common name of its subject; empty without one. The client's own words. */
  readonly commonName: string;
}

/** Makes a new connection to the same place each time it is called. */
export type Dialler = (signal?: AbortSignal) => Promise<Duplex>;

/** Incoming connections, until `close()` is called. */
export interface Listener extends AsyncIterable<Duplex> {
  /** Where it listens, in the form that `connect` takes: `tcp://127.0.0.1:8090`. */
  readonly address: string;
  /** Stops listening. Connections already given out stay open. */
  close(): Promise<void>;
}

/** A command for a {@linkcode Spawner}: exactly one of `argv` and `line`. */
export interface Command {
  /** Program and arguments as given, no shell. `argv[0]` is looked up in PATH. */
  readonly argv?: readonly string[];
  /** A line for the platform's shell (`/bin/sh -c`, `cmd.exe /d /s /c`). */
  readonly line?: string;
  /**
   * So many words at the beginning of `argv` are a program that becomes the rest
   * (`nice`, `setpriv … --`): what is wrong with the rest is an error to start,
   * as far as it can be found out beforehand. Default 0.
   */
  readonly wrapperWords?: number;
  /** Working directory; default: the spawner's own. */
  readonly cwd?: string;
  /** The whole environment of the process; nothing is inherited besides. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: "piped" | "null";
  readonly stdout: "piped" | "null";
  /** `stdout` sends both into the one pipe, which alone keeps their order. */
  readonly stderr: "piped" | "null" | "stdout" | "inherit";
  /** For a console that does not speak UTF-8. Default: all text goes as UTF-8. */
  readonly consoleText?: ConsoleText;
}

/** How a command's text becomes the bytes that the process gets. */
export interface ConsoleText {
  /**
   * For argv, line, cwd and the variables below, where they are not ASCII. Keeps
   * ASCII as it is. Throws a `LimpetError` for a character it cannot write.
   */
  encode(text: string): Uint8Array;
  /** Variables of `env` that are the client's text; the rest was inherited. */
  readonly variables: readonly string[];
}

/**
 * How a process ended: exactly one of the two is not null, or of a spawner's
 * neither if nobody can tell.
 */
export interface ExitStatus {
  /** 0 to 255, as the OS gave it. */
  readonly code: number | null;
  /** `SIGKILL` and the like. */
  readonly signal: string | null;
}

/** A stream that may write several chunks at once. */
export interface GatheringStream extends WritableStream<Uint8Array> {
  /**
   * Writes chunks one behind the other, in one call of the system where there is
   * one, while the stream itself is idle. Settles and rejects as a write does. Not
   * where `returnsStdin`. Without it each chunk is a write of its own.
   */
  writev?(chunks: readonly Uint8Array[]): Promise<void>;
}

/** What reads a process's output; null for what is not piped. */
export interface OutputReaders {
  readonly stdout: ByteReader | null;
  readonly stderr: ByteReader | null;
}

/** A running process, the leader of a process group of its own. */
export interface ProcessHandle {
  readonly pid: number;
  /** Null unless it was asked for as `piped`. Closing it is the process's EOF. */
  readonly stdin: GatheringStream | null;
  /**
   * Whether a chunk is core's again when `stdin` has written it, for other bytes:
   * nobody behind it keeps a view. Otherwise chunks are for the garbage collector.
   */
  readonly returnsStdin?: true;
  /**
   * Null unless piped. Cancelling closes our end: the next write gets SIGPIPE. A
   * chunk belongs to core, as those of a `Duplex` do; of `stderr` too.
   */
  readonly stdout: ReadableStream<Uint8Array> | null;
  readonly stderr: ReadableStream<Uint8Array> | null;
  /**
   * What reads `stdout` and `stderr` in place of those streams, which are made when
   * somebody asks for them: to make both takes longer than most commands' output.
   * Who asks leaves the streams alone from then on; undefined if one of them was
   * asked for before. A copy of this object with other streams must not have it.
   */
  readonly readers?: OutputReaders;
  /**
   * Takes the memory of a chunk of `stdout` or `stderr` back, for another one:
   * core calls it, at most once for a chunk, when nobody looks at that any more.
   * Without it chunks are for the garbage collector; fresh memory for each
   * costs several times what reading into it does.
   */
  recycle?(chunk: Uint8Array): void;
  /** Settles when the process ends, whoever still holds its pipes. Never rejects. */
  readonly status: Promise<ExitStatus>;
  /**
   * Sends a signal to the whole process group, which may outlive its leader.
   * False when there is nothing left to signal. Throws a `LimpetError`
   * (`invalid_argument`) for a signal that this platform does not have.
   */
  kill(signal: string): boolean;
  /** Whether any process of the group is left. */
  groupAlive(): boolean;
}

/**
 * Starts a command. Rejects with a `LimpetError` whose code says why it could
 * not start: `not_found`, `not_executable`, `cwd_not_found`,
 * `argument_list_too_long`, `resource_exhausted`, `invalid_argument`, or
 * `spawn_failed` for anything else; the OS's own error is its `cause`.
 */
export type Spawner = (command: Command) => Promise<ProcessHandle>;

/** What a server says of its machine, once the client has proved its token. */
export interface Platform {
  /** `linux`, `darwin`, `windows`, … */
  readonly os: string;
  /** `x86_64`, `aarch64`, … */
  readonly arch: string;
  /** The shell that `line` commands run in: `/bin/sh`, `cmd.exe`. */
  readonly shell: string;
  /**
   * The text encoding of the console: the WHATWG's name (`utf-8`, `gbk`), or
   * iconv-lite's for what the WHATWG has none for (`cp437`).
   */
  readonly encoding: string;
  /** The directory that commands start in by default. */
  readonly cwd: string;
  /** `node 20.20.2`, `deno 2.9.5`, … */
  readonly runtime: string;
}

/** Where a socket connects to or listens on. */
export type SocketTarget =
  | { readonly kind: "tcp"; readonly hostname: string; readonly port: number }
  | { readonly kind: "tls"; readonly hostname: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** A file that grows: a log, or what a command writes. */
export interface LogFile {
  /**
   * Adds to its end, in one write of the system's. Settles with how many of the
   * bytes it took, which may be fewer than there are. Rejects with the OS's error.
   */
  write(bytes: Uint8Array): Promise<number>;
  close(): Promise<void>;
}

/** What is in a folder. */
export interface FolderEntry {
  readonly name: string;
  /** The length of a file; null for anything else. */
  readonly bytes: number | null;
}

/**
 * The files of a server's jobs: what their commands wrote, and what became of
 * them. All paths are absolute or relative to the process's directory, with `/`.
 * Whatever fails otherwise than said rejects with the OS's error.
 */
export interface JobFiles {
  /** Makes a folder of mode 0700, and those above it that are missing. */
  makeFolder(path: string): Promise<void>;
  /** What is in a folder, in no order; nothing if there is no such folder. */
  list(path: string): Promise<readonly FolderEntry[]>;
  /** A small text file; null if there is none. */
  read(path: string): Promise<string | null>;
  /** As `Files.createPrivate`: false if the file is there already. */
  create(path: string, text: string): Promise<boolean>;
  /** As `Files.replacePrivate`: all of the old text or all of the new one. */
  replace(path: string, text: string): Promise<void>;
  /** Removes a file, or a folder with all that is in it, if it is there. */
  remove(path: string): Promise<void>;
  /** Opens a file to add to; made with mode 0600 if it is not there. */
  append(path: string): Promise<LogFile>;
  /**
   * Up to `length` bytes of a file from `position` on, fewer only at its end;
   * null if there is no such file.
   */
  readAt(
    path: string,
    position: number,
    length: number,
  ): Promise<Uint8Array | null>;
  /** What tells this process from all others of the machine, also later ones. */
  ownMark(): string;
  /** Whether the process of such a mark runs; true if that cannot be told. */
  isRunning(mark: string): boolean;
}
