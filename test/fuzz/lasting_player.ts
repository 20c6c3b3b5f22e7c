/**
 * Plays a script over one connection after another, as a peer does whose session
 * outlives them.
 *
 * @module
 */

import type { Duplex } from "../../core/ports.ts";
import type { Role } from "../support/vectors.ts";
import { Player, settle } from "./player.ts";
import type { Item, Script } from "./script.ts";

/** See the module's description. */
export class LastingPlayer {
  readonly #side: Role;
  readonly #next: () => Promise<Duplex | null>;
  readonly #players: Player[] = [];

  /** `next` gives out connections; null: there will be none. */
  constructor(side: Role, next: () => Promise<Duplex | null>) {
    this.#side = side;
    this.#next = next;
  }

  get problems(): string[] {
    return this.#players.flatMap(({ problems }) => problems);
  }

  /** As `Player.strayed`, of the first connection. */
  get strayed(): boolean {
    return this.#players[0].strayed;
  }

  /** How many connections there were. */
  get count(): number {
    return this.#players.length;
  }

  /** Plays it to its end, or until there is no connection for the rest of it. */
  async play(script: Script): Promise<void> {
    let items: Item[] = [];
    for (const item of script.items) {
      if (item.do !== "again") {
        items.push(item);
        continue;
      }
      const player = await this.#playOne({ ...script, items });
      if (player === null) return;
      player.note();
      if (item.drops) await player.drop();
      await settle();
      items = [];
    }
    await this.#playOne({ ...script, items });
  }

  /** Takes all that still comes, and drops what there is. */
  async drop(): Promise<void> {
    for (const player of this.#players) player.unmute();
    await settle();
    for (const player of this.#players) await player.drop();
  }

  async #playOne(script: Script): Promise<Player | null> {
    const duplex = await this.#next();
    if (duplex === null) return null;
    const { progress } = this.#players.at(-1) ?? {};
    const player = new Player(this.#side, duplex, progress);
    this.#players.push(player);
    await player.play(script);
    return player;
  }
}
