/**
 * The schema as a whole: the same on every server, complete under every name,
 * and every difference seen.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { readFileSync } from "node:fs"
import * as PgliteClient from "../../src/pglite/PgliteClient.ts"
import { PgMigrations, PgStoreAdmin } from "../../src/postgres/index.ts"
import { layerPglite } from "../../src/runtime/EventStoreLayer.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { StoreAdmin } from "../../src/store/StoreAdmin.ts"
import { assertSound, assertStorageError, openSql, openStore, runAll, scalar } from "../postgres/fixtures.ts"
import { proposed, proposedMany } from "../store/fixtures.ts"
import { makeDatabase } from "../support/postgres.ts"
import { layerDatabase, servers } from "../support/servers.ts"

const golden = readFileSync(new URL("../../sql/schema.sql", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("--"))

const goldenTest = <E>(label: string, layer: Layer.Layer<PgClient.PgClient, E>) =>
  it.live(`sql/schema.sql is what all migrations and functions make (${label})`, () =>
    Effect.gen(function*() {
      yield* PgMigrations.apply()
      assert.deepStrictEqual(yield* PgStoreAdmin.describeCatalog, golden)
      const admin = yield* StoreAdmin.pipe(Effect.provide(PgStoreAdmin.layer("postgres")))
      assert.deepStrictEqual(yield* admin.schemaVerify, [])
    }).pipe(Effect.provide(layer)))

goldenTest("pglite", PgliteClient.layer({}))
for (const server of servers) goldenTest(server.label, layerDatabase(server))

/** A change that somebody made by hand, and a word of the line that must say so. */
const DRIFTS: ReadonlyArray<readonly [name: string, statements: ReadonlyArray<string>, word: RegExp]> = [
  ["a table dropped", ["DROP TABLE $.event_tags CASCADE"], /missing: table event_tags/],
  ["a table added", ["CREATE TABLE $.notes (i int)"], /unexpected: table notes/],
  ["a table no longer logged", ["ALTER TABLE $.event_tags SET UNLOGGED"], /event_tags not logged/],
  ["row security", ["ALTER TABLE $.head ENABLE ROW LEVEL SECURITY"], /table head .*with row security/],
  ["a rule", ["CREATE RULE r AS ON INSERT TO $.head DO INSTEAD NOTHING"], /unexpected: rule r on head/],
  ["a column added", ["ALTER TABLE $.streams ADD COLUMN note text"], /unexpected: column streams.note text/],
  ["a column dropped", ["ALTER TABLE $.streams DROP COLUMN metadata"], /missing: column streams.metadata/],
  ["a column's type", ["ALTER TABLE $.head ALTER id TYPE integer"], /missing: column head.id smallint/],
  [
    "a column's collation",
    ["ALTER TABLE $.event_tags ALTER tag TYPE text COLLATE \"POSIX\""],
    /event_tags.tag .*POSIX/
  ],
  [
    "a column that may be null",
    ["ALTER TABLE $.head ALTER incarnation DROP NOT NULL"],
    /missing: column head.incarnation/
  ],
  ["a default", ["ALTER TABLE $.streams ALTER truncate_before SET DEFAULT 1"], /truncate_before .*default 1/],
  [
    "a constraint dropped",
    ["ALTER TABLE $.event_tags DROP CONSTRAINT event_tags_pkey"],
    /missing: constraint event_tags.event_tags_pkey/
  ],
  ["an index dropped", ["DROP INDEX $.events_default_id"], /missing: .*events_default_id/],
  ["an index added", ["CREATE INDEX extra ON $.streams (last_position)"], /unexpected: .*extra/],
  ["a trigger dropped", ["DROP TRIGGER refuse_change ON $.events"], /missing: .*refuse_change .* ON events /],
  ["a trigger disabled", ["ALTER TABLE $.event_tags DISABLE TRIGGER refuse_truncate"], /refuse_truncate .*disabled/],
  [
    "a trigger of the default partition disabled",
    ["ALTER TABLE $.events_default DISABLE TRIGGER USER"],
    /events_default .*disabled/
  ],
  ["a trigger added", [
    "CREATE TRIGGER t AFTER INSERT ON $.streams FOR EACH ROW EXECUTE FUNCTION $.refuse_change()"
  ], /unexpected: .*TRIGGER t/],
  ["a view replaced", [
    "CREATE OR REPLACE VIEW $.event_types AS SELECT type, version, count(*) + 1 AS events, " +
    "min(recorded_at) AS first_recorded_at, max(recorded_at) AS last_recorded_at FROM $.events GROUP BY type, version"
  ], /missing: view event_types/],
  ["a function's text", [
    "CREATE OR REPLACE FUNCTION $.refuse_change() RETURNS trigger LANGUAGE plpgsql " +
    "AS 'BEGIN RETURN NEW; END'"
  ], /missing: function refuse_change/],
  ["a function dropped", ["DROP FUNCTION $.first_match"], /missing: function first_match/],
  ["a function's setting", ["ALTER FUNCTION $.append_many RESET search_path"], /missing: function append_many/],
  ["a function that borrows rights", ["ALTER FUNCTION $.verify_log SECURITY DEFINER"], /verify_log.*security definer/],
  [
    "the default partition detached",
    ["ALTER TABLE $.events DETACH PARTITION $.events_default"],
    /missing: table events_default partition/
  ],
  ["a month detached", ["ALTER TABLE $.events DETACH PARTITION $.@"], /@ is no partition of events/],
  ["a month without its index of ids", ["DROP INDEX $.@_id"], /@ lacks the unique index \(id\)/],
  [
    "a month whose trigger is disabled",
    ["ALTER TABLE $.@ DISABLE TRIGGER refuse_change"],
    /@ lacks the trigger refuse_change/
  ],
  ["a migration taken back", ["DELETE FROM $.migrations"], /migration 0001_log is pending/],
  [
    "a function of another version",
    ["UPDATE $.functions SET checksum = 'x' WHERE name = 'verify_log'"],
    /function verify_log/
  ]
]

/** Rolls back what it changed, so that all drifts share one database. */
class Undo {
  readonly _tag = "Undo"
}

const driftTests = <E>(label: string, layer: Layer.Layer<PgClient.PgClient, E>, schema: string) =>
  it.live(`schemaVerify says nothing of a fresh schema "${schema}", and names each change made by hand (${label})`, () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      yield* PgMigrations.apply()
      const admin = yield* StoreAdmin.pipe(Effect.provide(PgStoreAdmin.layer("postgres")))
      assert.deepStrictEqual(yield* admin.schemaVerify, [])
      const month = String(yield* scalar(sql, "SELECT to_char(now() AT TIME ZONE 'UTC', '\"events_\"YYYY_MM')"))
      for (const [name, statements, word] of DRIFTS) {
        const found = yield* sql.withTransaction(Effect.gen(function*() {
          yield* runAll(sql, statements.map((text) => text.replaceAll("$.", `"${schema}".`).replaceAll("@", month)))
          return yield* Effect.fail({ ...new Undo(), lines: yield* admin.schemaVerify })
        })).pipe(Effect.flip)
        if (found._tag !== "Undo") return yield* Effect.fail(found)
        assert.match(found.lines.join("\n"), new RegExp(word.source.replaceAll("@", month)), name)
      }
      assert.deepStrictEqual(yield* admin.schemaVerify, [])
    }).pipe(Effect.provide(layer), Effect.provideService(PgMigrations.SchemaName, schema)))

driftTests("pglite", PgliteClient.layer({}), "event_store")
for (const server of servers) {
  driftTests(server.label, layerDatabase(server), "event_store")
  driftTests(server.label, layerDatabase(server), "user")
}

/** Words of SQL, names of our own tables and columns, beginnings of them, and the longest one. */
const NAMES = ["es", "head", "events", "user", "select", "position", "text", "event_store_2", "_", "a".repeat(48)]

/** Defaults of a database that change what SQL means, unless it says all that it needs. */
const HOSTILE: ReadonlyArray<readonly [name: string, settings: ReadonlyArray<string>]> = [
  ["a search path that leads to tables of the same names", ["search_path = evil, public"]],
  ["an empty search path", ["search_path = ''"]],
  ["a search path that leads to the store", ["search_path = event_store"]],
  ["a time zone and a style of dates that are ambiguous", ["TimeZone = 'Asia/Kolkata'", "DateStyle = 'SQL, DMY'"]],
  ["a time zone of half hours", ["TimeZone = 'Australia/Lord_Howe'", "DateStyle = 'Postgres, MDY'"]],
  ["standard_conforming_strings = off", ["standard_conforming_strings = off", "escape_string_warning = off"]],
  ["default isolation serializable", ["default_transaction_isolation = serializable"]],
  ["default isolation repeatable read", ["default_transaction_isolation = 'repeatable read'"]],
  ["odd styles of values", [
    "bytea_output = escape",
    "extra_float_digits = -15",
    "IntervalStyle = sql_standard",
    "array_nulls = off",
    "transform_null_equals = on",
    "jit_above_cost = 0"
  ]]
]

const UTC = ["SET LOCAL TimeZone = 'UTC'", "SET LOCAL DateStyle = 'ISO'"]

for (const server of servers) {
  describe(`schema (${server.label})`, () => {
    it.live("stores in schemas of any good name live side by side in one database, and know nothing of each other", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        for (const schema of NAMES) {
          yield* Effect.scoped(Effect.gen(function*() {
            const open = yield* openStore(url, { schema, maxConnections: 2 })
            const { admin, store } = open
            assert.strictEqual((yield* store.head).position, 0, schema)
            yield* store.append({
              streamId: "a-1",
              expected: "noStream",
              events: proposedMany(2, () => ({ tags: ["t:1"] }))
            })
            yield* Effect.forEach(
              Array.from({ length: 12 }, (_, index) => `b-${index}`),
              (streamId) => store.append({ streamId, expected: "noStream", events: [proposed()] }),
              { concurrency: "unbounded" }
            )
            yield* store.tombstone("b-3")
            yield* admin.createIndex("type")
            assert.strictEqual((yield* store.statistics).events, 14)
            assert.strictEqual((yield* store.readPage({ after: 0, filter: { tags: ["t:1"] } })).events.length, 2)
            assert.deepStrictEqual(yield* admin.schemaVerify, [])
            assert.isTrue((yield* admin.schemaStatus).isCurrent)
            assert.notInclude((yield* admin.checkHealth).map(({ level }) => level), "fail")
            yield* assertSound(open)
          }))
        }
      }))

    it.live("a name that PostgreSQL would cut, fold or refuse is refused before anything is made", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        for (const schema of ["a".repeat(49), "", "Events", "1st", "a-b", "a b", "a\"b", "a;b", "ä", "pg_store"]) {
          for (const migrate of [true, false]) {
            yield* assertStorageError(
              Effect.scoped(openStore(url, { schema, migrate })),
              "SchemaMismatch",
              /must match/
            )
          }
        }
        const sql = yield* openSql(url)
        assert.strictEqual(
          yield* scalar(sql, "SELECT count(*)::int FROM pg_namespace WHERE nspname !~ '^(pg_|information)'"),
          1
        )
      }))

    for (const [name, settings] of HOSTILE) {
      it.live(`everything works in a database with ${name}`, () =>
        Effect.gen(function*() {
          const url = yield* makeDatabase(server.admin)
          const sql = yield* openSql(url)
          const database = new URL(url).pathname.slice(1)
          yield* runAll(sql, [
            "CREATE SCHEMA evil",
            "CREATE TABLE evil.events (x int)",
            "CREATE TABLE evil.streams (x int)",
            "CREATE TABLE evil.head (x int)",
            "CREATE FUNCTION evil.first_match(bigint, text[], text[]) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
            ...settings.map((setting) => `ALTER DATABASE ${database} SET ${setting}`)
          ])
          const open = yield* openStore(url)
          const { admin, store } = open
          const first = proposedMany(3, () => ({ tags: ["a:1", "b\\2"], data: { text: "back\\slash 'quote' \u0001" } }))
          yield* store.append({
            streamId: "a-1",
            expected: "noStream",
            events: first,
            condition: {
              after: 0,
              query: [{ tags: ["a:1", "b\\2"] }]
            }
          })
          yield* Effect.forEach(
            Array.from({ length: 20 }, (_, index) => `b-${index}`),
            (streamId) => store.append({ streamId, expected: "noStream", events: [proposed()] }),
            { concurrency: "unbounded" }
          )
          yield* store.truncateBefore("a-1", 1)
          yield* store.setStreamMetadata("a-1", { of: "back\\slash" })
          yield* store.tombstone("b-1")
          const again = yield* store.append({ streamId: "a-1", expected: "noStream", events: first })
          assert.isTrue(again.alreadyAppended)
          assert.strictEqual((yield* store.readPage({ after: 0, filter: { tags: ["b\\2"] } })).events.length, 3)
          assert.deepStrictEqual(yield* admin.schemaVerify, [])
          assert.notInclude((yield* admin.checkHealth).map(({ level }) => level), "fail")
          const log = yield* assertSound(open)
          assert.strictEqual(log.length, 23)
          const bounds = yield* scalar(
            sql,
            "SELECT string_agg(pg_get_expr(relpartbound, oid), '' ORDER BY relname) FROM pg_class " +
              "WHERE relispartition AND relkind = 'r' AND relname ~ '^events_2'"
          ).pipe((bounds) => sql.withTransaction(Effect.andThen(runAll(sql, UTC), bounds)))
          assert.notMatch(String(bounds), /(?!-01 00:00:00\+00')-\d\d \d\d:\d\d:\d\d/)
        }))
    }
  })
}

describe("schema (pglite)", () => {
  it.live("an embedded store lives under any good name too", () =>
    Effect.forEach(["user", "head"], (schema) =>
      Effect.gen(function*() {
        const store = yield* EventStore
        const admin = yield* StoreAdmin
        yield* store.append({ streamId: "a-1", expected: "noStream", events: [proposed()] })
        assert.deepStrictEqual(yield* admin.schemaVerify, [])
        assert.deepStrictEqual(yield* admin.verifyLog, [])
      }).pipe(Effect.provide(layerPglite({ schema })))))
})
