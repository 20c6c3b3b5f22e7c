/**
 * Noticing that a file has changed.
 *
 * @module
 */

import type { Files } from "../machine.ts";

/** What a watched file is to its owner. */
export interface Watched {
  readonly files: Pick<Files, "status">;
  readonly path: string;
  /** Takes over what the file says; resolves to what that is, in words. */
  readonly adopt: () => Promise<string>;
  /** Told what came of a change. */
  readonly tell: (message: string) => void;
}

/** Looks when it is told to. */
export class FileWatch {
  readonly #watched: Watched;
  /** What was there when it was adopted or refused last. */
  #done: string | null = null;
  /** With mistakes, but whoever writes it may not be done. */
  #unfinished: string | null = null;
  #looking: Promise<void> | null = null;
  #lookingNext: Promise<void> | null = null;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** Adopts the file as it is now. Rejects if that cannot be. */
  async adopt(): Promise<string> {
    const version = await this.#version();
    const words = await this.#watched.adopt();
    this.#done = version;
    return words;
  }

  /**
   * Adopts the file if it is not what it was when this was called. Never
   * rejects.
   */
  look(): Promise<void> {
    if (this.#looking === null) {
      this.#looking = this.#look().finally(() => this.#looking = null);
      return this.#looking;
    }
    // One that is under way may have looked before the change.
    this.#lookingNext ??= this.#looking.then(() => {
      this.#lookingNext = null;
      return this.look();
    });
    return this.#lookingNext;
  }

  async #look(): Promise<void> {
    const { adopt, tell } = this.#watched;
    const version = await this.#version();
    if (version === this.#done) return;
    try {
      const words = await adopt();
      this.#done = version;
      tell(`read again: ${words}`);
    } catch (error) {
      if (this.#unfinished !== version) {
        this.#unfinished = version;
        return;
      }
      this.#done = version;
      const why = error instanceof Error ? error.message : String(error);
      tell(`the old configuration stays: ${why}`);
    }
  }

  async #version(): Promise<string> {
    const { files, path } = this.#watched;
    try {
      return (await files.status(path))?.version ?? "none";
    } catch (error) {
      return String(error);
    }
  }
}
