/**
 * Who may connect, by a configuration file that may change meanwhile: as with
 * `authorized_keys`, what it says counts at once.
 *
 * @module
 */

import {
  type Admission,
  type Authenticator,
  type Claim,
  type Denial,
  tokenAuthenticator,
} from "../auth/authenticator.ts";
import { Identities } from "../auth/identities.ts";
import type { KeyPair } from "../auth/key_pair.ts";
import { counted } from "../counted.ts";
import { asLimpetError, LimpetError } from "../errors.ts";
import type { Identity, WhyGone } from "../identity.ts";
import type { Machine } from "../machine.ts";
import type { FoundToken } from "../token_file.ts";
import { comersOf, Known } from "./known.ts";
import { loadConfig, type Loaded } from "./load.ts";
import type { Told } from "./problem.ts";
import type { IdentityEntry, ServerConfig } from "./types.ts";
import { FileWatch } from "./watch.ts";

/** What {@linkcode LiveIdentities} is made of. */
export interface LiveOptions {
  readonly place: Pick<Machine, "files" | "env">;
  /** The configuration file, which need not be there. */
  readonly path: string;
  /** The one token that counts while the configuration has no identities. */
  readonly token: () => Promise<FoundToken>;
  /** The server's own key pair, asked for once somebody has one. */
  readonly hostKey: () => Promise<KeyPair>;
  /** Told what has changed, and what could not. */
  readonly tell: (message: string) => void;
  /** Told of what in the file is hardly meant. */
  readonly warn: (message: string) => void;
  /**
   * Looks at what the file names outside of itself: before it counts at the
   * start, and later on once it does, with nobody waiting for it.
   */
  readonly examine: (loaded: Loaded) => Promise<Told>;
  /** Told of everybody who was let in, with their peer address. */
  readonly used: (name: string, peer: string) => void;
}

/** Mistakes of a file that are told in one line. */
const MAX_TOLD = 3;

/** See the module's description. */
export class LiveIdentities implements Authenticator {
  readonly #options: LiveOptions;
  readonly #watch: FileWatch;
  #config: ServerConfig | null = null;
  /** What it said when the server began. */
  #started: ServerConfig | null = null;
  /** Set before anybody is let in. */
  #authenticator: Authenticator | null = null;
  /** Whose sessions may live; in front, those who may connect. */
  #known: readonly Known[] = [];

  private constructor(options: LiveOptions) {
    this.#options = options;
    this.#watch = new FileWatch({
      files: options.place.files,
      path: options.path,
      adopt: () => this.#adopt(),
      tell: options.tell,
    });
  }

  /** Reads the file. Throws `invalid_argument` if it has mistakes. */
  static async open(options: LiveOptions): Promise<LiveIdentities> {
    const live = new LiveIdentities(options);
    await live.reload();
    return live;
  }

  get hostKey(): string | undefined {
    return this.#authenticator?.hostKey;
  }

  prepare(): Promise<void> {
    return this.look();
  }

  /** What the file says now; null while there is none. */
  get config(): ServerConfig | null {
    return this.#config;
  }

  async authenticate(claim: Claim): Promise<Admission | Denial> {
    const before = this.#authenticator!;
    const [early] = await Promise.all([
      before.authenticate(claim),
      this.look(),
    ]);
    // What the file says now is what counts.
    const now = this.#authenticator!;
    const outcome = now === before ? early : await now.authenticate(claim);
    const [onlyOne] = this.#known;
    if ("denied" in outcome) return outcome;
    const { identity } = outcome;
    this.#options.used(identity.name, claim.peer);
    return identity instanceof Known
      ? outcome
      : { ...outcome, identity: onlyOne };
  }

  /** What the file has of an identity that was let in; null once it has not. */
  entryOf(identity: Identity): IdentityEntry | null {
    return identity instanceof Known && this.#known.includes(identity)
      ? identity.entry
      : null;
  }

  /**
   * Why the sessions of an identity that was let in are to end; null if they are
   * not. How the operator has it is not for its clients to know.
   */
  whyGone(identity: Identity): WhyGone | null {
    if (!(identity instanceof Known)) return null;
    if (identity.isOver) {
      return `Identity has expired, at ${identity.entry.expires}`;
    }
    if (this.#known.includes(identity)) return null;
    const now = this.#known.find(({ name }) => name === identity.name);
    if (now === undefined) return "Identity was revoked";
    return {
      told: "Identity was changed in the server's configuration",
      logged: identity.changes(now).join(", "),
    };
  }

  /** Adopts the file if it has changed. Never rejects: mistakes are told. */
  look(): Promise<void> {
    return this.#watch.look();
  }

  /**
   * Reads the file again, whether it has changed or not. Resolves to what there
   * is now, in words. Throws `invalid_argument` for mistakes, and all stays as
   * it was.
   */
  reload(): Promise<string> {
    return this.#watch.adopt();
  }

  async #adopt(): Promise<string> {
    const { place, path, warn, examine } = this.#options;
    const loaded = await loadConfig(place, path);
    if (loaded === null && this.#config !== null) {
      throw new LimpetError("invalid_argument", `${path} is gone`);
    }
    refuseAll(loaded?.problems ?? [], path);
    const isFirst = this.#authenticator === null;
    const found = loaded !== null && isFirst ? await examine(loaded) : null;
    refuseAll(found?.problems ?? [], path);
    const config = loaded?.config ?? null;
    const entries = config?.identities ?? null;
    const words = entries === null
      ? await this.#adoptToken()
      : await this.#adoptEntries(entries);
    if (isFirst) this.#started = config;
    this.#config = config;
    for (const each of loaded?.warnings ?? []) warn(each);
    for (const each of found?.warnings ?? []) warn(each);
    if (loaded !== null && !isFirst) this.#examineAdopted(loaded);
    return words + laterWords(this.#started, config);
  }

  /**
   * A user who has vanished, or takes long to be looked up, must not keep others
   * from being revoked or let in: commands that would be theirs are refused, or
   * wait.
   */
  #examineAdopted(loaded: Loaded): void {
    const { examine, path, warn } = this.#options;
    const tell = (lines: readonly string[]) => {
      // What a later one says counts more.
      if (this.#config !== loaded.config) return;
      for (const each of lines) warn(each);
    };
    examine(loaded).then(
      ({ warnings, problems }) => tell([...warnings, ...problems]),
      (error) => {
        const what = `Looking at what ${path} names`;
        tell([asLimpetError(error, "refused", what).message]);
      },
    );
  }

  /** Another token is for new sessions: those of the old one stay. */
  async #adoptToken(): Promise<string> {
    const { token, source } = await this.#options.token();
    const authenticator = await tokenAuthenticator(token);
    const entry = { name: "default", token };
    const { known, takeOver } = comersOf([entry], this.#known);
    const before = this.#config?.identities == null ? this.#known : [];
    takeOver();
    this.#known = [...known, ...before.filter((each) => !known.includes(each))];
    this.#authenticator = authenticator;
    return `the token in ${source}`;
  }

  async #adoptEntries(entries: readonly IdentityEntry[]): Promise<string> {
    const { hostKey, path } = this.#options;
    const { known, takeOver } = comersOf(entries, this.#known);
    const signs = entries.some(({ publicKey }) => publicKey !== undefined);
    const host = signs ? await hostKey() : undefined;
    // Made or wanted for the first time: those with a key have to know it.
    const isNew = host !== undefined &&
      host.publicKey !== this.#authenticator?.hostKey;
    const shown = isNew ? `; this server's key is ${host.publicKey}` : "";
    this.#authenticator = await Identities.from(known, host);
    takeOver();
    this.#known = known;
    const identities = counted(entries.length, "identity", "identities");
    return `${identities} in ${path}${shown}`;
  }
}

/** Throws the first of them, and how many there are. */
function refuseAll(problems: readonly string[], path: string): void {
  if (problems.length === 0) return;
  const more = problems.length - MAX_TOLD;
  const rest = more > 0
    ? `; and ${more} more, which limpet config check ${path} tells`
    : "";
  const told = problems.slice(0, MAX_TOLD).join("; ");
  throw new LimpetError("invalid_argument", told + rest);
}

/** What the server has from its start and keeps until it ends. */
function laterWords(
  started: ServerConfig | null,
  now: ServerConfig | null,
): string {
  const asText = (part: object | undefined) => JSON.stringify(part ?? {});
  const changed = (["limits", "audit"] as const).filter((key) =>
    asText(started?.[key]) !== asText(now?.[key])
  );
  if (changed.length === 0) return "";
  return `; a change of ${changed.join(" and ")} counts from the next start on`;
}
