/**
 * What `limpet` is on Node and Bun. As this file and `program.ts` are bundled
 * apart, `exec` loads one file, which holds nothing that it does not need.
 *
 * @module
 */

import process from "node:process";
import { execAlone } from "../../core/cli/exec_alone.ts";
import { cliRuntime } from "./cli_runtime.ts";

// Should all that could wake us have gone, this is no success.
process.exitCode = 255;

const runtime = cliRuntime();
const alone = execAlone(runtime);
if (alone === null) void import("./program.ts");
else void alone.then(runtime.exit);
