/**
 * The whole program `limpet` on Deno.
 *
 * @module
 */

import { main } from "../../core/cli/main.ts";
import { cliRuntime } from "./cli_runtime.ts";

const runtime = cliRuntime();
runtime.exit(await main(runtime));
