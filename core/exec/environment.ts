/**
 * What commands inherit of a server's own environment.
 *
 * @module
 */

/** All but `LIMPET_*`: LIMPET_TOKEN and the like are the server's business. */
export function inherited(
  environment: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) =>
      !name.toUpperCase().startsWith("LIMPET_")
    ),
  );
}
