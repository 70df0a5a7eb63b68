import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as SqlError from "effect/sql/SqlError"
import {
  AppendBusy,
  Corrupt,
  Refused,
  SchemaMismatch,
  StorageError,
  storeRestoring,
  Unavailable
} from "../../store/EventStoreError.ts"

/**
 * What a failed statement means for what it was to write.
 *
 * - `lost`: nobody knows whether it was done
 * - `again`: nothing was written, and the same may succeed at once
 * - `duplicate`: nothing was written, an event id is recorded already
 * - `refused`: nothing was written, and the same will fail again
 */
export type Verdict = "lost" | "again" | "duplicate" | "refused"

/** Judges a failed append statement that was sent. */
export const judge = ({ reason }: SqlError.SqlError): Verdict => {
  switch (reason._tag) {
    case "ConnectionError":
      return "lost"
    case "DeadlockError":
    case "SerializationError":
      return "again"
    case "UniqueViolation":
      return reason.constraint.endsWith("_id") ? "duplicate" : "refused"
    default: {
      const code = sqlState(reason)
      // without a code it was not the server who said no: its answer could not be read
      return code === undefined || SHUTDOWN.has(code) ? "lost" : "refused"
    }
  }
}

/** Puts a failed statement into the words of the contract. */
export const toStorageError = (operation: string, { reason }: SqlError.SqlError): StorageError =>
  new StorageError({ operation, reason: toReason(reason, operation) })

/** Fails an effect's SQL errors in the words of the contract. */
export const storageErrors = (operation: string) =>
  Effect.mapError((error: SqlError.SqlError) => toStorageError(operation, error))

/** Fails an operation that gets no answer. */
export const answeredWithin =
  (operation: string, duration: Duration.Duration) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | StorageError, R> =>
    Effect.timeoutOrElse(self, {
      duration,
      orElse: () =>
        Effect.fail(
          new StorageError({
            operation,
            reason: new Unavailable({ detail: `no answer within ${Duration.format(duration)}` })
          })
        )
    })

/** The SQLSTATE of a failure, where the server gave one. */
export const sqlState = (reason: SqlError.SqlErrorReason): string | undefined => {
  const cause: unknown = reason.cause
  return typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : undefined
}

/**
 * Turns the defect that a connection's death inside a transaction is raised as
 * back into an error. When COMMIT was sent, nobody knows whether it was done.
 */
export const rescueTransaction = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SqlError.SqlError, R> =>
  Effect.catchCause(self, (cause): Effect.Effect<never, E | SqlError.SqlError> => {
    for (const reason of cause.reasons) {
      if (Cause.isDieReason(reason) && SqlError.isSqlError(reason.defect)) {
        const lost = reason.defect.reason
        const message = lost.message ?? lost._tag
        return Effect.fail(
          new SqlError.SqlError({
            reason: new SqlError.ConnectionError({ cause: lost.cause, message, operation: "transaction" })
          })
        )
      }
    }
    return Effect.failCause(cause)
  })

// internal

/** The server ends the session: it shuts down, crashed, starts, or was told to end it. */
const SHUTDOWN = new Set(["57P01", "57P02", "57P03", "57P05", "25P03", "25P04"])

/** No such schema, table, function, column or type. */
const MISSING = new Set(["3F000", "42P01", "42883", "42703", "42704"])

/** Fewer events were recorded than were sent. */
const ROWS_MISSING = "ES003"

const HINTS: Readonly<Record<string, string>> = {
  "53100": "the disk is full: free some space and try again",
  "53300": "the server has no connection left: raise max_connections or use fewer",
  "25006": "the server is read-only: connect to the primary",
  "3D000": "the database does not exist: create it or correct the URL"
}

const NOT_ALLOWED = "42501"

/** What those lack who may not do something. */
const RIGHTS_OF_ROLES =
  "the role lacks a right (event_store_reader reads, event_store_backup makes backups, event_store_writer appends; the owner does everything)"

const RIGHTS: Readonly<Record<string, string>> = {
  restore: "a restore takes the rights of the schema's owner"
}

/** The server's own sentence; never its DETAIL, which may hold values. */
const describe = (reason: SqlError.SqlErrorReason): string => {
  const cause: unknown = reason.cause
  const own = cause instanceof Error ? deepest(cause).message : undefined
  return own !== undefined && own !== "" ? own : reason.message ?? reason._tag
}

/** A refused connection is reported inside of others; the innermost says why. */
const deepest = (error: Error): Error => {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return deepest(error.errors[0])
  return error.cause instanceof Error ? deepest(error.cause) : error
}

/** The head of the log takes no part in an append while the store is being restored; others are told so. */
const RESTORING = new Set(["P0002", "ES005"])

const toReason = (reason: SqlError.SqlErrorReason, operation: string): StorageError["reason"] => {
  const code = sqlState(reason)
  const detail = code === NOT_ALLOWED
    ? `${describe(reason)}: ${RIGHTS[operation] ?? RIGHTS_OF_ROLES}`
    : HINTS[code ?? ""] ?? describe(reason)
  switch (reason._tag) {
    case "ConnectionError":
      return new Unavailable({ detail, cause: reason.cause })
    case "LockTimeoutError":
      return new AppendBusy({ detail: "another process held the append lock for too long" })
    case "DeadlockError":
    case "SerializationError":
    case "StatementTimeoutError":
      return new Unavailable({ detail, cause: reason.cause })
    default:
      if (code === undefined) return new Corrupt({ detail, cause: reason.cause })
      if (RESTORING.has(code)) return storeRestoring("").reason
      if (SHUTDOWN.has(code) || code === "53300") return new Unavailable({ detail, cause: reason.cause })
      if (MISSING.has(code)) {
        return new SchemaMismatch({
          detail: `${detail}: run "event-store schema apply", or provide a layer that migrates`
        })
      }
      return code === ROWS_MISSING || code.startsWith("XX")
        ? new Corrupt({ detail, cause: reason.cause })
        : new Refused({ code, detail, cause: reason.cause })
  }
}
