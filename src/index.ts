/**
 * What the package exports: the types for handlers, and a receiver for your own app. Names and types in it are only
 * ever added to.
 */

export type { Receiver, ReceiverHealth, ReceiverOptions, ReceiverRouter } from './express.ts'
export { createReceiver } from './express.ts'
export type {
  Chunk,
  Citation,
  CompletedResult,
  Context,
  DeepSplitPageEvidence,
  FailedResult,
  FieldCitations,
  FileEntry,
  Handler,
  JobGetResponse,
  JobRecord,
  Log,
  Result,
  SavedFile,
  Schema,
  Split,
} from './handler/handler.ts'
export { Permanent } from './handler/handler.ts'
export type { ExpectingOptions, ExpectOptions, Registrar } from './library/expecting.ts'
export { expecting } from './library/expecting.ts'
export { SettingsError } from './settings/config.ts'
export type { EventBus, Events } from './telemetry/events.ts'
