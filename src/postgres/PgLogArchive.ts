/**
 * Archiving in PostgreSQL.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Semaphore from "effect/Semaphore"
import type { StorageError } from "../store/EventStoreError.ts"
import { LogArchive, type LogMonth } from "../store/LogArchive.ts"
import { checkedPages } from "../store/LogTransferStorage.ts"
import { readEntries } from "./internal/archived.ts"
import { openSession } from "./internal/archiveSession.ts"
import * as statements from "./internal/archiveStatements.ts"
import { quoteName } from "./internal/identifiers.ts"
import { READER } from "./internal/sessions.ts"
import { storageErrors } from "./internal/sqlErrors.ts"
import { type Run, runner } from "./internal/statements.ts"
import { eventPage, toStoredRow } from "./internal/transferStatements.ts"
import { SchemaName } from "./PgMigrations.ts"

/**
 * Layer that archives months of a schema. Reading needs the rights of
 * `event_store_reader` only (`sql/privileges.sql`), moving those of the owner;
 * the schema has to be up to date.
 *
 * **Details**
 *
 * A month without payloads is made beside the month, and takes its place in one
 * transaction when everybody sees all of it: also those whose transaction began
 * before. Opens connections of its own when they are needed, with the client's
 * settings: up to 2 to read, and one for a session.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<LogArchive, StorageError, PgClient.PgClient> = Layer.effect(
  LogArchive,
  Effect.gen(function*() {
    const config: PgClient.PgPoolConfig = (yield* PgClient.PgClient).config
    const schema = quoteName(yield* SchemaName)
    const startupParameters = { ...config.startupParameters, ...READER }
    const sql = yield* PgClient.make({ ...config, startupParameters, maxConnections: CONNECTIONS_READ }).pipe(
      storageErrors("connect")
    )
    const run = runner(sql)
    // on the embedded engine all sessions are one to the server
    const own = yield* Semaphore.make(1)
    return {
      entries: readEntries(run, schema),
      months: readMonths(run, schema),
      readStored: checkedPages((page) =>
        Effect.map(run("readStored", eventPage(schema, page)), (rows) => rows.map(toStoredRow))
      ),
      open: openSession({ ...config, startupParameters: { ...startupParameters, ...PATIENT } }, schema, own)
    }
  })
).pipe(Layer.provide(Reactivity.layer))

// internal

/** A page is read while the one before is used. */
const CONNECTIONS_READ = 2

/** A month takes its time. */
const PATIENT = {
  maintenance_work_mem: "128MB",
  statement_timeout: "0",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  // a machine that is gone keeps its locks for a minute, and not for the two hours of most systems
  tcp_keepalives_idle: "30",
  tcp_keepalives_interval: "10",
  tcp_keepalives_count: "3"
}

const readMonths = (run: Run, schema: string): LogArchive["Service"]["months"] =>
  Effect.gen(function*() {
    const entries = yield* readEntries(run, schema)
    let after = entries.at(-1)?.until ?? 0
    const months: Array<LogMonth> = []
    for (const [name, isOwn] of yield* run("months", statements.finishedMonths(schema))) {
      const month = name as string
      const [row] = yield* run("months", statements.describeMonth(schema, month, isOwn === true))
      const [, last, bytes] = row ?? []
      if (typeof last !== "number" || last <= after) continue
      months.push({ month, after, until: last, bytes: Number(bytes) })
      after = last
    }
    return months
  })
