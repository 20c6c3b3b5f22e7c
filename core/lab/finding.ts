/**
 * What an experiment found.
 *
 * @module
 */

/** What was measured, by name: flat, so that a script can take it apart. */
export type Measured = Readonly<
  Record<string, number | string | boolean | null>
>;

/** What an experiment found. */
export interface Finding {
  /** Whether the phenomenon really showed. */
  readonly observed: boolean;
  /** Whether the cure really cured it. */
  readonly cured: boolean;
  readonly measured: Measured;
}
