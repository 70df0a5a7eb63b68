/**
 * What the tests of the log in PostgreSQL share: stores as processes of their
 * own have them, and plain SQL beside them.
 */
import { PgClient } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Redacted, type Scope, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import type { SqlError } from "effect/sql"
import type { RecordedEvent } from "../../src/event/Event.ts"
import { layerPostgres, type PostgresStoreOptions } from "../../src/runtime/EventStoreLayer.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import type { StorageError } from "../../src/store/EventStoreError.ts"
import { StoreAdmin } from "../../src/store/StoreAdmin.ts"

/** What `layerPostgres` provides. */
export interface OpenStore {
  readonly store: EventStore["Service"]
  readonly admin: StoreAdmin["Service"]
  readonly sql: PgClient.PgClient
}

/** Opens a store as a process of its own would: nothing is shared with the others of the test. */
export const openStore = (
  url: string,
  options: Omit<PostgresStoreOptions, "url"> = {}
): Effect.Effect<OpenStore, StorageError, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layerPostgres({ url, ...options }))), (context) => ({
    store: Context.get(context, EventStore),
    admin: Context.get(context, StoreAdmin),
    sql: Context.get(context, PgClient.PgClient)
  }))

/** Opens a client for plain SQL. */
export const openSql = (
  url: string,
  config: Omit<PgClient.PgPoolConfig, "url"> = {}
): Effect.Effect<PgClient.PgClient, SqlError.SqlError, Scope.Scope> =>
  PgClient.make({ ...config, url: Redacted.make(url) }).pipe(Effect.provide(Reactivity.layer))

/** The URL with another user, and a password where one is asked for. */
export const withUser = (url: string, user: string, password = ""): string => {
  const result = new URL(url)
  result.username = user
  result.password = password
  return result.href
}

/** The first column of the first row. */
export const scalar = (sql: PgClient.PgClient, text: string): Effect.Effect<unknown, SqlError.SqlError> =>
  Effect.map(sql.unsafe(text).unprepared.pipe(Effect.map((rows) => Object.values(rows[0] ?? {}))), ([value]) => value)

/** Runs statements one after the other. */
export const runAll = (
  sql: PgClient.PgClient,
  statements: ReadonlyArray<string>
): Effect.Effect<void, SqlError.SqlError> =>
  Effect.forEach(statements, (statement) => sql.unsafe(statement).unprepared, { discard: true })

/** The whole log. */
export const wholeLog = (store: EventStore["Service"]): Effect.Effect<ReadonlyArray<RecordedEvent>, unknown> =>
  Stream.runCollect(store.readAll())

/** Asserts that the log is sound: positions from 1 without gaps, each id once, and nothing that `verifyLog` finds. */
export const assertSound = ({ admin, store }: OpenStore): Effect.Effect<ReadonlyArray<RecordedEvent>, unknown> =>
  Effect.gen(function*() {
    const log = yield* wholeLog(store)
    assert.deepStrictEqual(log.map(({ position }) => position as number), log.map((_, index) => index + 1))
    assert.strictEqual(new Set(log.map(({ id }) => id)).size, log.length)
    assert.deepStrictEqual(yield* admin.verifyLog, [])
    return log
  })

/** Runs the effect in a transaction of a session of its own and keeps the transaction open until the scope closes. */
export const inOpenTransaction = (
  url: string,
  statements: ReadonlyArray<string>
): Effect.Effect<{ readonly commit: Effect.Effect<void> }, SqlError.SqlError, Scope.Scope> =>
  Effect.gen(function*() {
    const sql = yield* openSql(url, { maxConnections: 1 })
    const connection = yield* sql.reserve
    const run = (text: string) => connection.executeUnprepared(text, [], undefined)
    yield* run("BEGIN")
    for (const statement of statements) yield* run(statement)
    return { commit: Effect.orDie(Effect.asVoid(run("COMMIT"))) }
  })

/** Takes the append lock of the schema. */
export const takeAppendLock = (schema = "event_store"): string =>
  `SELECT pg_advisory_xact_lock(1163088961, '${schema}.head'::regclass::oid::integer)`

/** Whether a session waits for an advisory lock. */
export const isAppendWaiting = (sql: PgClient.PgClient): Effect.Effect<boolean, SqlError.SqlError> =>
  Effect.map(
    scalar(
      sql,
      "SELECT count(*)::int FROM pg_locks l JOIN pg_database d ON d.oid = l.database " +
        "WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted"
    ),
    (count) => Number(count) > 0
  )

/** The failure of an effect as a `StorageError` with this reason; fails the test for anything else. */
export const assertStorageError = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  reason: StorageError["reason"]["_tag"],
  detail?: RegExp
): Effect.Effect<StorageError, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    assert.isTrue(Exit.isFailure(exit), "it succeeded")
    const failure = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
    const error = (failure?._tag === "Fail" ? failure.error : undefined) as StorageError | undefined
    assert.strictEqual(error?._tag, "StorageError", String(Exit.isFailure(exit) ? exit.cause : ""))
    assert.strictEqual(error?.reason._tag, reason, error?.message)
    if (detail !== undefined) assert.match(error!.reason.detail, detail)
    return error!
  })
