/**
 * The way to the schema: once, whole, and never over something newer.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { PgMigrations, PgStoreAdmin } from "../../src/postgres/index.ts"
import { assertSound, assertStorageError, openSql, openStore, runAll, scalar } from "../postgres/fixtures.ts"
import { proposed } from "../store/fixtures.ts"
import { makeFaultProxy } from "../support/faultProxy.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"

const catalogOf = (sql: PgClient.PgClient) =>
  PgStoreAdmin.describeCatalog.pipe(Effect.provideService(PgClient.PgClient, sql))

/** All that a refused or broken start might have left. */
const traces = (sql: PgClient.PgClient) =>
  scalar(
    sql,
    "SELECT count(*)::int FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'event_store'"
  )

/** When each migration and function was applied, and each partition made: changes when anything is applied again. */
const history = (sql: PgClient.PgClient) =>
  Effect.all([
    sql`SELECT name, checksum, applied_at::text, xmin::text FROM event_store.migrations ORDER BY name`,
    sql`SELECT name, checksum, applied_at::text, xmin::text FROM event_store.functions ORDER BY name`,
    sql`SELECT oid::text, relname FROM pg_class WHERE relnamespace = 'event_store'::regnamespace ORDER BY relname`
  ])

/** Cuts a script at the semicolons outside of bodies, strings and comments, as psql does. */
const statementsOf = (script: string): ReadonlyArray<string> =>
  (script.match(/(?:\$\$[^]*?\$\$|'[^']*'|--[^\n]*|[^;])+;/g) ?? []).map((statement) => statement.slice(0, -1))

for (const server of servers) {
  describe(`migrations (${server.label})`, () => {
    it.live("8 processes that start at once on an empty database all succeed, and apply everything once", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const opens = yield* Effect.forEach(
          Array.from({ length: 8 }),
          () => openStore(url, { maxConnections: 2 }),
          { concurrency: "unbounded" }
        )
        yield* Effect.forEach(
          opens,
          ({ store }, index) => store.append({ streamId: `a-${index}`, expected: "noStream", events: [proposed()] }),
          {
            concurrency: "unbounded"
          }
        )
        const sql = yield* openSql(url)
        const [migrations, functions] = yield* history(sql)
        assert.strictEqual(new Set([...migrations, ...functions].map((row) => row["xmin"])).size, 1)
        assert.deepStrictEqual(yield* opens[0]!.admin.schemaVerify, [])
        assert.strictEqual((yield* assertSound(opens[0]!)).length, 8)
      }))

    it.live("a start on a schema that is up to date changes nothing, and says that it did nothing", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const { admin } = yield* openStore(url)
        const sql = yield* openSql(url)
        const before = yield* history(sql)
        assert.deepStrictEqual(yield* admin.schemaApply(), [])
        yield* openStore(url)
        assert.deepStrictEqual(yield* history(sql), before)
      }))

    it.live("a migration of a newer version, or one with another text, is refused, and nothing is changed", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        yield* Effect.scoped(openStore(url))
        const sql = yield* openSql(url)
        for (
          const [change, detail] of [
            ["INSERT INTO event_store.migrations (name, checksum) VALUES ('9999_newer', 'x')", /9999_newer .*newer/],
            ["UPDATE event_store.migrations SET checksum = 'y'", /0001_log .*another text/]
          ] as const
        ) {
          yield* runAll(sql, [
            "DELETE FROM event_store.migrations WHERE name = '9999_newer'",
            // there is something to apply, were it not refused
            "UPDATE event_store.functions SET checksum = 'x' WHERE name = 'verify_log'",
            change
          ])
          const before = yield* history(sql)
          yield* assertStorageError(Effect.scoped(openStore(url)), "SchemaMismatch", detail)
          assert.deepStrictEqual(yield* history(sql), before)
        }
        yield* runAll(sql, [
          "UPDATE event_store.functions SET checksum = 'x'",
          "INSERT INTO event_store.migrations (name, checksum) VALUES ('9999_newer', 'x')"
        ])
        yield* assertStorageError(
          Effect.scoped(openStore(url, { migrate: false })),
          "SchemaMismatch",
          /9999_newer.*update/
        )
      }))

    it.live("a function is made again when its text changed, and only then", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url)
        const sql = yield* openSql(url)
        const before = yield* history(sql)
        yield* runAll(sql, [
          "CREATE OR REPLACE FUNCTION event_store.first_match(after bigint, types text[], tags text[]) RETURNS bigint " +
          "LANGUAGE sql AS 'SELECT 1::bigint'",
          "UPDATE event_store.functions SET checksum = 'old' WHERE name = 'first_match'"
        ])
        assert.deepStrictEqual((yield* open.admin.schemaStatus).outdatedFunctions, ["first_match"])
        assert.deepStrictEqual(yield* open.admin.schemaApply(), ["function first_match"])
        assert.deepStrictEqual(yield* open.admin.schemaVerify, [])
        const after = yield* history(sql)
        assert.deepStrictEqual(
          after[1].filter((row, index) => row["applied_at"] !== before[1][index]?.["applied_at"]).map((row) =>
            row["name"]
          ),
          ["first_match"]
        )
        assert.deepStrictEqual(after[0], before[0])
      }))

    it.live("a store that does not migrate fails typed on a database without the schema, or with an old one", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const sql = yield* openSql(url)
        const open = Effect.scoped(openStore(url, { migrate: false }))
        yield* assertStorageError(open, "SchemaMismatch", /lacks 0001_log.*schema apply/)
        assert.strictEqual(yield* traces(sql), 0)

        yield* Effect.scoped(openStore(url))
        yield* runAll(sql, ["DELETE FROM event_store.functions WHERE name = 'append_each'"])
        yield* assertStorageError(open, "SchemaMismatch", /lacks append_each/)
        yield* Effect.scoped(openStore(url))
        assert.isTrue(Exit.isSuccess(yield* Effect.exit(open)))
      }))

    it.live("a schema that is dropped under an open store is a typed failure of every operation", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const { admin, store } = yield* openStore(url)
        yield* store.append({ streamId: "a-1", expected: "noStream", events: [proposed()] })
        const sql = yield* openSql(url)
        yield* sql`DROP SCHEMA event_store CASCADE`
        yield* assertStorageError(
          store.append({ streamId: "a-1", expected: 0, events: [proposed()] }),
          "SchemaMismatch",
          /schema apply/
        )
        yield* assertStorageError(store.head, "SchemaMismatch")
        yield* assertStorageError(store.readPage({ after: 0 }), "SchemaMismatch")
        yield* assertStorageError(store.tombstone("a-1"), "SchemaMismatch")
        yield* assertStorageError(store.statistics, "SchemaMismatch")
        yield* assertStorageError(admin.verifyLog, "SchemaMismatch")
        assert.isFalse((yield* admin.schemaStatus).isCurrent)
      }))

    it.live("an apply that is lost at any statement leaves nothing half done, and the next one does it", () =>
      Effect.gen(function*() {
        for (
          const at of [
            "CREATE TABLE event_store.streams",
            "CREATE OR REPLACE FUNCTION event_store.append_each",
            "INSERT INTO \"event_store\".functions",
            "ensure_events_partitions",
            /^COMMIT/
          ]
        ) {
          const url = yield* makeDatabase(server.admin)
          const sql = yield* openSql(url)
          const proxy = yield* makeFaultProxy(url)
          const lost = yield* proxy.arm(at, { _tag: "LoseRequest" })
          yield* assertStorageError(Effect.scoped(openStore(proxy.url)), "Unavailable")
          yield* lost.happened
          yield* waitFor(traces(sql), (count) => count === 0)

          const held = yield* proxy.arm(at, { _tag: "HoldRequest" })
          const start = yield* Effect.forkChild(Effect.exit(Effect.scoped(openStore(proxy.url))))
          yield* held.happened
          yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()`
          yield* waitFor(traces(sql), (count) => count === 0)
          yield* held.release
          yield* waitFor(Effect.sync(() => start.pollUnsafe()), (exit) => exit !== undefined)
          assert.strictEqual(yield* traces(sql), 0)

          const open = yield* openStore(proxy.url)
          assert.deepStrictEqual(yield* open.admin.schemaVerify, [])
        }
      }))

    it.live("the script, statement by statement, makes the same schema as apply, under another name too", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const sql = yield* openSql(url)
        for (const schema of ["event_store", "user"]) {
          yield* runAll(sql, statementsOf(PgMigrations.script(schema)))
          const other = yield* makeDatabase(server.admin)
          yield* openStore(other, { schema })
          const expected = yield* catalogOf(yield* openSql(other)).pipe(
            Effect.provideService(PgMigrations.SchemaName, schema)
          )
          assert.deepStrictEqual(
            yield* catalogOf(sql).pipe(Effect.provideService(PgMigrations.SchemaName, schema)),
            expected
          )
          const open = yield* openStore(url, { schema, migrate: false })
          yield* open.store.append({ streamId: "a-1", expected: "noStream", events: [proposed()] })
          assert.deepStrictEqual(yield* open.admin.schemaApply(), [])
          yield* assertSound(open)
        }
      }))
  })
}
