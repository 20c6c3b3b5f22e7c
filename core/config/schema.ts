/**
 * The schema of the configuration file, and the part of JSON Schema (2020-12)
 * that it is written in.
 *
 * @module
 */

import serverSchema from "./server.schema.json" with { type: "json" };
import type { ServerLimits } from "../server_limits.ts";

/** What a schema may say here. `test/config_schema.test.ts` lets nothing else pass. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** A schema for the keys that have none of their own, or false: none such. */
  readonly additionalProperties?: boolean | Schema;
  /** Exactly one of these keys, each given as `{ "required": [key] }`. */
  readonly oneOf?: readonly { readonly required: readonly string[] }[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  /** A name in `formats.ts`. */
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  /** For messages: `"x" is no <title>, such as <the first example>`. */
  readonly title?: string;
  readonly examples?: readonly unknown[];
  /** A secret: its value is in no message. */
  readonly writeOnly?: boolean;
}

/** The whole, with the parts that it refers to. */
export interface RootSchema extends Schema {
  readonly $defs: Readonly<Record<string, Schema>>;
}

/** `core/config/server.schema.json` */
export const SERVER_SCHEMA: RootSchema = serverSchema;

// Does not compile while a limit is missing in the schema, or one too many.
const limits: Readonly<Record<keyof ServerLimits, unknown>> =
  serverSchema.properties.limits.properties;
const unlimited: Readonly<
  Record<
    Exclude<
      keyof typeof serverSchema.properties.limits.properties,
      keyof ServerLimits
    >,
    never
  >
> = {};
void limits, unlimited;

/** The schema itself, or the one that it refers to. */
export function resolved(schema: Schema, root: RootSchema): Schema {
  if (schema.$ref === undefined) return schema;
  const name = schema.$ref.replace("#/$defs/", "");
  return { ...resolved(root.$defs[name], root), ...schema, $ref: undefined };
}
