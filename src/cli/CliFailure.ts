/**
 * What the command says when it fails, and its exit codes.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { BACKUP_WORDS } from "./internal/backupFailures.ts"
import { PROJECTION_WORDS } from "./internal/projectionFailures.ts"

/**
 * Exit codes, and what each means.
 *
 * @category constants
 * @since 0.1.0
 */
export const EXIT_CODES = [
  [0, "done"],
  [1, "the operation failed"],
  [2, "differences were found (verify, check and diff of any kind, migrate copy)"],
  [3, "not found: a stream, an event, a projection, a file, a store"],
  [4, "conflict: another revision, a condition that does not hold, an id used for something else, a lease held"],
  [5, "cannot connect, not allowed in, or the directory is in use"],
  [6, "a confirmation is required: add --yes"],
  [64, "wrong usage of the command"],
  [65, "bad input data"],
  [130, "interrupted (SIGINT)"],
  [143, "terminated (SIGTERM)"]
] as const

/**
 * One of {@link EXIT_CODES}.
 *
 * @category models
 * @since 0.1.0
 */
export type ExitCode = (typeof EXIT_CODES)[number][0]

/**
 * Represents a failure as it is told to the user.
 *
 * @category errors
 * @since 0.1.0
 */
export class CliFailure extends Schema.TaggedError<CliFailure>("effect-event-store/cli/CliFailure")(
  "CliFailure",
  {
    /** Stable: `ES-1` and three digits. */
    code: Schema.String,
    exitCode: Schema.Literals(EXIT_CODES.map(([code]) => code)),
    /** What failed, in one line. */
    message: Schema.String,
    /** Why, in one line. */
    why: Schema.String,
    /** What to do about it, in one line. */
    fix: Schema.String,
    /** The same for machines. */
    details: Schema.optional(Schema.Record(Schema.String, Schema.Unknown)),
    cause: Schema.optionalKey(Schema.Defect())
  }
) {}

/**
 * Puts any failure of a command into words.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromError = (error: unknown): CliFailure => {
  if (error instanceof CliFailure) return error
  if (!isTagged(error)) return unexpected(error)
  const words = WORDS[error._tag]
  return words === undefined ? unexpected(error) : new CliFailure({ ...words(error), cause: error })
}

/**
 * Makes the failure for something that is not there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const notFound = (
  code: string,
  what: string,
  why: string,
  fix: string,
  details?: Readonly<Record<string, unknown>>
): CliFailure => new CliFailure({ code, exitCode: 3, message: what, why, fix, details })

/**
 * Makes the failure for flags or arguments that make no sense together.
 *
 * @category constructors
 * @since 0.1.0
 */
export const usage = (message: string, why: string, fix: string): CliFailure =>
  new CliFailure({ code: "ES-1002", exitCode: 64, message, why, fix })

// internal

/** What the embedded storage says when its directory is taken. */
interface DataDirectoryLocked {
  readonly directory: string
  readonly pid: number | undefined
}

/** What the embedded storage says when it does not open. */
interface PgliteError {
  readonly reason: string
  readonly directory?: string | undefined
  readonly what: string
  readonly why: string
  readonly fix: string
}

interface Tagged {
  readonly _tag: string
  readonly message: string
}

type Words = Omit<ConstructorParameters<typeof CliFailure>[0], "cause">

const isTagged = (error: unknown): error is Tagged =>
  Predicate.hasProperty(error, "_tag") && typeof error._tag === "string" && Predicate.hasProperty(error, "message")

const unexpected = (cause: unknown): CliFailure =>
  new CliFailure({
    code: "ES-1001",
    exitCode: 1,
    message: "the command failed unexpectedly",
    why: cause instanceof Error ? cause.message : String(cause),
    fix: "run it again with --verbose and report what it prints",
    cause
  })

/** The fields of an error that a machine may want. */
const fieldsOf = (error: object, ...names: ReadonlyArray<string>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(names.map((name) => [name, (error as Readonly<Record<string, unknown>>)[name]]))

const conflict = (code: string, ...names: ReadonlyArray<string>) => (error: Tagged): Words => ({
  code,
  exitCode: 4,
  message: "that conflicts with what is recorded",
  why: error.message,
  fix: "read again, decide anew and try with what you found",
  details: fieldsOf(error, ...names)
})

const WORDS: Readonly<Record<string, (error: Tagged) => Words>> = {
  ...BACKUP_WORDS,
  ...PROJECTION_WORDS,
  RevisionConflict: conflict("ES-1101", "streamId", "expected", "actual"),
  AppendConditionFailed: conflict("ES-1102", "after", "position"),
  IdempotencyConflict: conflict("ES-1103", "streamId", "id", "position"),
  StreamTombstoned: (error) => ({
    code: "ES-1104",
    exitCode: 1,
    message: "the stream was ended",
    why: error.message,
    fix: "use another stream; its events are still in the log: event-store export --stream NAME",
    details: fieldsOf(error, "streamId")
  }),
  AppendOutcomeUnknown: (error) => ({
    code: "ES-1105",
    exitCode: 1,
    message: "nobody knows whether the append was recorded",
    why: error.message,
    fix: "run the same command again with the same ids (--id): it never happens twice",
    details: fieldsOf(error, "streamIds", "ids")
  }),
  PositionAheadOfLog: (error) => ({
    code: "ES-1106",
    exitCode: 3,
    message: "the log has not come that far",
    why: error.message,
    fix: "check that the position and --url belong to the same store",
    details: fieldsOf(error, "position", "head")
  }),
  InvalidInput: (error) => invalidInput(error as Tagged & InvalidInput),
  LineRejected: (error) => ({
    code: "ES-1501",
    exitCode: 65,
    message: "the input has a line that cannot be imported",
    why: error.message,
    fix: "correct it and import the same file again, or add --continue-on-error --rejects FILE",
    details: fieldsOf(error, "line", "reason", "detail")
  }),
  InputDamaged: (error) => ({
    code: "ES-1502",
    exitCode: 65,
    message: "the input cannot be decompressed",
    why: error.message,
    fix: "fetch the file again; what was read before is imported already and will be skipped",
    details: fieldsOf(error, "format")
  }),
  SameStore: (error) => ({
    code: "ES-1801",
    exitCode: 64,
    message: "the source and the target are the same store",
    why: error.message,
    fix: "name another store, or another --to-schema",
    details: fieldsOf(error, "incarnation")
  }),
  TargetNotEmpty: (error) => ({
    code: "ES-1802",
    exitCode: 4,
    message: "the target is not empty",
    why: error.message,
    fix: "name an empty store, or leave --no-resume out to go on with an earlier copy",
    details: fieldsOf(error, "position")
  }),
  TargetDiffers: (error) => ({
    code: "ES-1803",
    exitCode: 4,
    message: "the target holds something else than this copy",
    why: error.message,
    fix: "name an empty store; to go on with an earlier copy, use the flags that it had",
    details: fieldsOf(error, "position", "id", "sourcePosition")
  }),
  EventNotCopied: (error) => ({
    code: "ES-1804",
    exitCode: 65,
    message: "an event cannot be copied",
    why: error.message,
    fix: "see all such events with --dry-run; what was copied before is kept",
    details: fieldsOf(error, "position", "streamId", "revision", "type", "version", "path", "reason")
  }),
  CopyUnequal: (error) => ({
    code: "ES-1805",
    exitCode: 2,
    message: "the target is not what was copied",
    why: error.message,
    fix: "somebody else wrote to it: copy into an empty store that nobody else writes to",
    details: fieldsOf(error, "differences")
  }),
  StorageError: (error) => storageError(error as Tagged & StorageError),
  StoreUrlInvalid: (error) => ({
    code: "ES-1003",
    exitCode: 64,
    message: "the store's URL is not one",
    why: error.message,
    fix: "use memory:, pglite:DIRECTORY or postgres://USER@HOST:PORT/DATABASE"
  }),
  DataDirectoryLocked: (error) => ({
    code: "ES-1207",
    exitCode: 5,
    message: "the store's directory is in use",
    why: describeHolder(error as Tagged & DataDirectoryLocked),
    fix: "stop that process, or use another directory",
    details: fieldsOf(error, "directory", "pid")
  }),
  PgliteError: (error) => pgliteError(error as Tagged & PgliteError),
  PlatformError: (error) => ({
    code: "ES-1301",
    exitCode: isNotFound(error) ? 3 : 1,
    message: isNotFound(error) ? "there is no such file" : "a file cannot be read or written",
    why: error.message,
    fix: "check the path and its rights"
  })
}

const describeHolder = ({ directory, pid }: DataDirectoryLocked): string =>
  `${pid === undefined ? "another process" : `process ${pid}`} has ${directory} open`

const pgliteError = ({ directory, fix, reason, what, why }: PgliteError): Words => ({
  code: "ES-1208",
  exitCode: 1,
  message: what,
  why,
  fix,
  details: { reason, directory }
})

const isNotFound = (error: object): boolean =>
  Predicate.hasProperty(error, "reason") && Predicate.hasProperty(error.reason, "_tag") &&
  error.reason._tag === "NotFound"

const invalidInput = ({ detail, path, reason }: InvalidInput): Words => ({
  code: "ES-1107",
  exitCode: 65,
  message: "the input breaks a rule or a limit",
  why: `${path}: ${detail}`,
  fix: "change that value; nothing was written",
  details: { reason, path, detail }
})

/** SQLSTATEs that say that we are not let in: class 28, no such database, no right to connect or to use the schema. */
const NOT_LET_IN = /^(28...|3D000|42501)$/

const storageError = ({ message, operation, reason }: StorageError): Words => {
  const { details, ...words } = storageWords(reason)
  return { ...words, why: message, details: { operation, reason: reason._tag, ...details } }
}

const storageWords = (reason: StorageError["reason"]): Omit<Words, "why"> => {
  switch (reason._tag) {
    case "Unavailable":
      return {
        code: "ES-1201",
        exitCode: 5,
        message: "the store cannot be reached",
        fix: "check --url (EVENT_STORE_URL) and that the server runs"
      }
    case "AppendBusy":
      return {
        code: "ES-1202",
        exitCode: 1,
        message: "another process holds the append lock",
        fix: "try again; if it lasts, look for a long transaction in the database"
      }
    case "Refused":
      return {
        code: "ES-1203",
        exitCode: NOT_LET_IN.test(reason.code ?? "") ? 5 : 1,
        message: "the store refuses",
        fix: "check the user, its password and rights, and the space on disk",
        details: { sqlState: reason.code }
      }
    case "SchemaMismatch":
      return {
        code: "ES-1204",
        exitCode: 1,
        message: "the store's schema is missing or of another version",
        fix: "run: event-store schema status, then event-store schema apply"
      }
    case "Corrupt":
      return {
        code: "ES-1205",
        exitCode: 1,
        message: "the store answered what it can never answer",
        fix: "run: event-store doctor"
      }
    default:
      return stateWords(reason)
  }
}

/** What is told of the state that the store or its projections are in. */
const stateWords = (
  reason: Extract<StorageError["reason"], { _tag: "InlineFailed" | "InlineBehind" | "Restoring" | "Archived" }>
): Omit<Words, "why"> => {
  switch (reason._tag) {
    case "InlineFailed":
      return {
        code: "ES-1206",
        exitCode: 1,
        message: "an inline projection cannot apply the event",
        fix: "mend the projection, or the event; nothing was written",
        details: { projection: reason.name, version: reason.version, type: reason.type }
      }
    case "InlineBehind":
      return {
        code: "ES-1209",
        exitCode: 1,
        message: "an inline projection is too far behind the log",
        fix: "run the projection once, then append again",
        details: { projection: reason.name, version: reason.version, position: reason.position }
      }
    case "Restoring":
      return {
        code: "ES-1210",
        exitCode: 1,
        message: "the store is being restored",
        fix: "run the restore again, which goes on where it was, or abandon it"
      }
    case "Archived":
      return {
        code: "ES-1211",
        exitCode: 1,
        message: "old events are archived, and cannot be read from there",
        fix: "name the place with --archive (EVENT_STORE_ARCHIVE, archive in the configuration); check it: " +
          "event-store archive verify",
        details: { position: reason.position, until: reason.until, backup: reason.backupId }
      }
  }
}
