/**
 * The transfer of a store in PostgreSQL.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import { completeRows } from "../store/EventArchive.ts"
import { Corrupt, StorageError, storeRestoring } from "../store/EventStoreError.ts"
import { LogTransfer, type TransferState } from "../store/LogTransfer.ts"
import { fromTransferStorage, type TransferStorage } from "../store/LogTransferStorage.ts"
import { makeArchivedParts } from "./internal/archived.ts"
import { quoteName } from "./internal/identifiers.ts"
import * as Sessions from "./internal/projectionSession.ts"
import { abandonRestore, beginRestore } from "./internal/restoreSession.ts"
import { READER } from "./internal/sessions.ts"
import { storageErrors } from "./internal/sqlErrors.ts"
import { runner } from "./internal/statements.ts"
import * as statements from "./internal/transferStatements.ts"
import { makeView } from "./internal/transferView.ts"
import { SchemaName } from "./PgMigrations.ts"

/**
 * Layer that moves the log of a schema with its snapshots and projections.
 * Reading needs the rights of `event_store_backup` only
 * (`sql/privileges.sql`), a restore those of the owner; the schema has to be up
 * to date.
 *
 * **Details**
 *
 * Opens connections of its own when they are needed, with the client's settings:
 * up to 2 to read, one for each view, one for a restore. A restore writes each
 * month into a table of its own, which becomes a partition of the log when all
 * of it is there: nobody sees a part, and what is written is committed step by
 * step.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<LogTransfer, StorageError, PgClient.PgClient> = Layer.effect(
  LogTransfer,
  Effect.gen(function*() {
    const config: PgClient.PgPoolConfig = (yield* PgClient.PgClient).config
    const schema = quoteName(yield* SchemaName)
    const reading = { ...config, startupParameters: { ...config.startupParameters, ...READER } }
    const sql = yield* PgClient.make({ ...reading, maxConnections: CONNECTIONS_READ }).pipe(storageErrors("connect"))
    const run = runner(sql)
    const sessions = yield* Sessions.make({
      ...config,
      startupParameters: { ...config.startupParameters, ...WRITER }
    }, 1)
    const describe: Effect.Effect<TransferState, StorageError> = Effect.flatMap(
      run("describe", statements.describeStore(schema)),
      ([row]) => row === undefined ? Effect.fail(headMissing) : Effect.succeed(statements.toState(row))
    )
    // an empty answer may be that of a store whose events nobody sees yet
    const refuseRestoring = Effect.flatMap(
      describe,
      ({ restoring }) => restoring === undefined ? Effect.void : Effect.fail(storeRestoring("readEvents"))
    )
    const parts = yield* makeArchivedParts(run, schema)
    const readEvents: TransferStorage["readEvents"] = (page) => {
      const read = Effect.map(
        run("readEvents", statements.eventPage(schema, page)),
        (rows) => rows.map(statements.toStoredRow)
      )
      return Effect.flatMap(
        completeRows(parts, "readEvents", read, statements.PAGE_SIZE_BYTES),
        (rows) => rows.length > 0 ? Effect.succeed(rows) : Effect.as(refuseRestoring, [])
      )
    }
    const storage: TransferStorage = {
      describe,
      readEvents,
      view: makeView(reading, schema, readEvents, parts),
      restore: (plan) => beginRestore(sessions, schema, plan),
      abandonRestore: abandonRestore(sessions, schema)
    }
    return fromTransferStorage(storage)
  })
).pipe(Layer.provide(Reactivity.layer))

// internal

/** A page is read while the one before is used. */
const CONNECTIONS_READ = 2

/**
 * A step that a crash of the server takes back is taken back whole, and is done again by whoever goes on; the last one
 * asks for more. Indexes of a month are made at once, and what takes its time is not ended for that.
 */
const WRITER = {
  ...READER,
  synchronous_commit: "off",
  maintenance_work_mem: "128MB",
  statement_timeout: "0",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  // a machine that is gone keeps its locks for a minute, and not for the two hours of most systems
  tcp_keepalives_idle: "30",
  tcp_keepalives_interval: "10",
  tcp_keepalives_count: "3"
}

const headMissing = new StorageError({
  operation: "describe",
  reason: new Corrupt({ detail: "the head of the log is missing" })
})
