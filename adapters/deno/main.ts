/**
 * What `limpet` is on Deno: `exec` without what it does not need, or `program.ts`.
 * README.md beside it has the permissions.
 *
 * @module
 */

import { execAlone } from "../../core/cli/exec_alone.ts";
import { cliRuntime } from "./cli_runtime.ts";

const runtime = cliRuntime();
const alone = execAlone(runtime);
if (alone === null) await import("./program.ts");
else runtime.exit(await alone);
