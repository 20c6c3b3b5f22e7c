/**
 * The program `limpet` on Deno. README.md beside it has the permissions.
 *
 * @module
 */

import { main } from "../../core/cli/main.ts";
import { cliRuntime } from "./cli_runtime.ts";

const runtime = cliRuntime();
runtime.exit(await main(runtime));
