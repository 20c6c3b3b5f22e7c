/**
 * The whole program `limpet` on Node and Bun.
 *
 * @module
 */

import { main } from "../../core/cli/main.ts";
import { cliRuntime } from "./cli_runtime.ts";

const runtime = cliRuntime();
void main(runtime).then(runtime.exit);
