/**
 * Where a command belongs in its client's trace: the `traceparent` of W3C Trace
 * Context, https://www.w3.org/TR/trace-context/.
 *
 * @module
 */

const FIRST_VERSION =
  /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Later versions begin as the first one does, and may go on after a dash. */
const LATER_VERSION =
  /^(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{1,200})?$/;

/** Whether it is one: what is none is dropped, as the standard has it. */
export function isTraceparent(text: string): boolean {
  return FIRST_VERSION.test(text) || LATER_VERSION.test(text);
}
