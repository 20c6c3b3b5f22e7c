/**
 * What a server tells whoever embeds it about commands.
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts";
import type { CommandStatus } from "./exit.ts";

/** One event of one command; `command` numbers them within their session. */
export type ExecEvent =
  | {
    readonly type: "command_started";
    readonly command: number;
    readonly pid: number;
    /** The program's arguments, or the shell's line as the only element. */
    readonly argv: readonly string[];
  }
  | {
    readonly type: "command_refused";
    readonly command: number;
    readonly code: ErrorCode;
    readonly message: string;
  }
  | {
    readonly type: "command_ended";
    readonly command: number;
    readonly status: CommandStatus;
  };
