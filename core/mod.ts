/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Limpet's core: a remote shell over any byte stream, with web standards only.
 *
 * A client connects over a {@linkcode Duplex} and runs commands; a
 * {@linkcode Server} takes such streams and runs them. Sockets and processes
 * come from an adapter (`limpet/node`, `limpet/deno`) or from whoever embeds
 * this.
 *
 * @module
 */

export { AuditLog } from "./audit/log.ts";
export type { AuditLogOptions, OnAuditFailure } from "./audit/log.ts";
export { auditLine } from "./audit/record.ts";
export { tokenAuthenticator } from "./auth/authenticator.ts";
export type {
  Admission,
  Authenticator,
  Claim,
  Denial,
} from "./auth/authenticator.ts";
export type {
  ClientProof,
  Credential,
  ServerClaim,
} from "./auth/credential.ts";
export { Identities } from "./auth/identities.ts";
export type { KnownIdentity } from "./auth/identities.ts";
export { KeyCredential } from "./auth/key_credential.ts";
export type { HostKeyCheck } from "./auth/key_credential.ts";
export { KeyPair, makeKeyPair } from "./auth/key_pair.ts";
export { makeToken } from "./auth/token.ts";
export { connect, Session } from "./client.ts";
export type { ConnectOptions } from "./client.ts";
export { ERROR_CODES, LimpetError } from "./errors.ts";
export type { CommandFacts, ErrorCode } from "./errors.ts";
export type {
  Authorize,
  Authorized,
  AuthorizeFacts,
} from "./exec/authorized.ts";
export { RemoteCommand } from "./exec/client.ts";
export type { CommandBytes, ExecEvent, RequestFacts } from "./exec/events.ts";
export type { CommandStatus, TerminationReason } from "./exec/exit.ts";
export type { Input, Output } from "./exec/output.ts";
export { SIGNALS } from "./exec/signals.ts";
export type { Signal } from "./exec/signals.ts";
export type { Noise } from "./frame/preface.ts";
export type { Identity, WhyGone } from "./identity.ts";
export type {
  AttachOptions,
  Channels,
  DroppedRange,
  JobCommand,
  JobHandle,
  JobInfo,
  JobsClient,
  JobsFeature,
  JobStreamInfo,
} from "./jobs/client.ts";
export { DEFAULT_LIMITS } from "./limits.ts";
export type { Limits } from "./limits.ts";
export type { OutputOptions, SpawnOptions } from "./options.ts";
export type {
  ByteReader,
  Command,
  ConsoleText,
  Dialler,
  Duplex,
  ExitStatus,
  FolderEntry,
  GatheringStream,
  JobFiles,
  Listener,
  LogFile,
  OutputReaders,
  Platform,
  ProcessHandle,
  SocketTarget,
  Spawner,
  TlsInfo,
} from "./ports.ts";
export { policyAuthorizer } from "./policy/authorizer.ts";
export type { AuthorizerOptions } from "./policy/authorizer.ts";
export { decide } from "./policy/decide.ts";
export type { PolicyFacts } from "./policy/decide.ts";
export type { Policy } from "./policy/policy.ts";
export { findAccount } from "./policy/run_as.ts";
export type { Account } from "./policy/run_as.ts";
export { resumable } from "./resume.ts";
export type { ResumeEvent, ResumeOptions } from "./resume.ts";
export type { Resumption } from "./resumption.ts";
export { Server } from "./server.ts";
export type {
  CloseOptions,
  JobsFolder,
  ServeOptions,
  ServerEvent,
} from "./server.ts";
export { DEFAULT_SERVER_LIMITS } from "./server_limits.ts";
export type { ServerLimits } from "./server_limits.ts";
export type { GoingAway } from "./session/go_away.ts";
export { quote, ShellCommand } from "./shell.ts";
export {
  decodeLines,
  decodeStream,
  decodeText,
  encodeStream,
  encodeText,
  findCodec,
} from "./text/mod.ts";
export type {
  Encodings,
  TextCodec,
  TextReader,
  TextWriter,
} from "./text/mod.ts";
