/**
 * Snapshots in PostgreSQL: the contract, and what only a database can do to
 * them.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Option } from "effect"
import { randomUUID } from "node:crypto"
import { Revision } from "../../src/event/Revision.ts"
import { StreamId } from "../../src/event/StreamId.ts"
import { PgEventStore, PgMigrations } from "../../src/postgres/index.ts"
import * as statements from "../../src/postgres/internal/snapshotStatements.ts"
import * as PgSnapshotStore from "../../src/postgres/PgSnapshotStore.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { SnapshotStore } from "../../src/store/SnapshotStore.ts"
import { appendAmounts, foldAll, idle, loadAndReport, makeSnapshots, streamId } from "../snapshot/fixtures.ts"
import { indexes, proposedMany } from "../store/fixtures.ts"
import { FINGERPRINT, stored, suite } from "../store/SnapshotSuite.ts"
import { makeDatabase } from "../support/postgres.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import { assertStorageError, openSql, openStore, runAll, scalar, withUser } from "./fixtures.ts"

suite("pglite", Layer.provideMerge(PgSnapshotStore.layer, layerPglite({})))

for (const server of servers) {
  suite(
    server.label,
    PgSnapshotStore.layer.pipe(
      Layer.provideMerge(PgEventStore.layer),
      Layer.provide(layerDatabase(server, { maxConnections: 8 }))
    )
  )
}

const NOTHING = { streamId: undefined, kind: undefined, fingerprint: undefined, revision: undefined }

const KEY = { streamId: "a-1", kind: "thing", fingerprint: FINGERPRINT }

/** The snapshots of a database, as a process of its own has them. */
const openSnapshots = (url: string, schema = "event_store") =>
  Effect.gen(function*() {
    const sql = yield* openSql(url)
    const layer = Layer.fresh(PgSnapshotStore.layer).pipe(
      Layer.provide(Layer.succeed(PgMigrations.SchemaName, schema)),
      Layer.provide(Layer.succeed(PgClient.PgClient, sql))
    )
    return { sql, store: Context.get(yield* Layer.build(layer), SnapshotStore) }
  })

/** A migrated database with one stream. */
const someDatabase = (admin: string, schema = "event_store") =>
  Effect.gen(function*() {
    const url = yield* makeDatabase(admin)
    const open = yield* openStore(url, { schema })
    yield* open.store.append({ streamId: "a-1", expected: "noStream", events: proposedMany(3) })
    return { ...open, url }
  })

for (const server of servers) {
  describe(`PgSnapshotStore (${server.label})`, () => {
    it.live("a writer keeps snapshots and removes them, a reader only loads them", () =>
      Effect.gen(function*() {
        const { admin, sql, url } = yield* someDatabase(server.admin, "es")
        yield* admin.schemaApply({ roles: true })
        const login = (role: string) =>
          Effect.gen(function*() {
            const name = `t_${randomUUID().replaceAll("-", "")}`
            yield* Effect.acquireRelease(
              runAll(sql, [`CREATE ROLE ${name} LOGIN PASSWORD 'secret'`, `GRANT ${role} TO ${name}`]),
              () => Effect.orDie(runAll(sql, [`DROP ROLE ${name}`]))
            )
            return yield* openSnapshots(withUser(url, name, "secret"), "es")
          })
        const writer = yield* login("event_store_writer")
        const reader = yield* login("event_store_reader")
        yield* writer.store.save(stored("a-1", 1))
        yield* writer.store.save(stored("a-1", 1))
        yield* writer.store.save(stored("a-1", 2))
        assert.isTrue(Option.isSome(yield* reader.store.load(KEY)))
        assert.strictEqual((yield* reader.store.list()).snapshots.length, 2)
        yield* assertStorageError(reader.store.save(stored("a-1", 0)), "Refused", /permission denied/)
        yield* assertStorageError(reader.store.remove({}), "Refused", /permission denied/)
        assert.strictEqual(yield* writer.store.prune({ keepLast: 1 }), 1)
        assert.strictEqual(yield* writer.store.remove({}), 1)
      }))

    it.live("is no part of a transaction of the caller's: neither undone by it, nor able to break it", () =>
      Effect.gen(function*() {
        const { url } = yield* someDatabase(server.admin)
        const { sql, store } = yield* openSnapshots(url)
        yield* Effect.flip(sql.withTransaction(Effect.andThen(store.save(stored("a-1", 1)), Effect.fail("undo"))))
        assert.isTrue(Option.isSome(yield* store.load(KEY)))
        yield* sql`CREATE TABLE notes (i int)`
        yield* sql`DROP TABLE event_store.snapshots`
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`INSERT INTO notes VALUES (1)`
          yield* assertStorageError(store.load(KEY), "SchemaMismatch", /schema apply/)
        }))
        assert.strictEqual(yield* scalar(sql, "SELECT count(*)::int FROM notes"), 1)
        for (
          const effect of [
            store.save(stored("a-1", 1)),
            store.list(),
            store.prune({ unusable: true }),
            store.remove({}),
            store.statistics
          ]
        ) {
          yield* assertStorageError(effect, "SchemaMismatch")
        }
      }))

    it.live("what is asked of one stream, and a page of the list, reads the index", () =>
      Effect.gen(function*() {
        const { url } = yield* someDatabase(server.admin)
        const { sql } = yield* openSnapshots(url)
        yield* sql.unsafe(
          `INSERT INTO event_store.snapshots SELECT 's-' || i, 'thing', $1, r, 0, 'json', 'none', 1, 'x', 'x', now(), 1
           FROM generate_series(1, 3000) i, generate_series(1, 3) r`,
          [FINGERPRINT]
        )
        yield* sql`ANALYZE event_store.snapshots`
        const series = { streamId: StreamId.make("s-7"), kind: "thing", fingerprint: FINGERPRINT }
        const anything = { revision: undefined, keepLast: 1, takenBefore: undefined, unusable: true }
        const schema = "event_store"
        const plans = yield* Effect.forEach([
          statements.load(schema, { ...series, atMost: undefined }),
          statements.load(schema, { ...series, atMost: Revision.make(2) }),
          statements.list(schema, { ...series, ...anything, limit: 100, after: undefined }),
          statements.list(schema, { ...NOTHING, limit: 100, after: { ...series, revision: Revision.make(1) } }),
          statements.prune(schema, { ...series, ...anything }),
          statements.remove(schema, { ...NOTHING, streamId: series.streamId })
        ], ({ parameters, text }) => sql.unsafe(`EXPLAIN ${text}`, parameters).values)
        for (const plan of plans) {
          const text = plan.join("\n")
          assert.match(text, /using snapshots_pkey|on snapshots_pkey/)
          assert.notMatch(text, /Seq Scan on snapshots/)
        }
      }))

    it.live("any byte that changes in a row is a miss that heals", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const { store: log } = yield* openStore(url)
        const { sql, store } = yield* openSnapshots(url)
        yield* Effect.gen(function*() {
          yield* appendAmounts(indexes(60))
          const whole = yield* foldAll()
          const snapshots = yield* makeSnapshots({ cache: false, compression: { algorithm: "zstd", above: 0 } })
          yield* loadAndReport(snapshots)
          yield* idle(snapshots)
          const size = Number(yield* scalar(sql, "SELECT octet_length(bytes) FROM event_store.snapshots"))
          assert.isAbove(size, 50)
          const flips: ReadonlyArray<readonly [column: string, value: string]> = [
            ...indexes(size).map((index) =>
              ["bytes", `set_byte(bytes, ${index}, get_byte(bytes, ${index}) # 1)`] as const
            ),
            ...indexes(32).map((index) =>
              ["digest", `set_byte(digest, ${index}, get_byte(digest, ${index}) # 128)`] as const
            ),
            ["first_revision", "first_revision + 1"],
            ["revision", "revision - 1"],
            ["serialization", "'binary'"],
            ["compression", "'gzip'"],
            ["compression", "'brotli'"],
            ["plain_bytes", "plain_bytes + 1"],
            ["taken_at", "taken_at + interval '1 ms'"],
            ["load_millis", "load_millis + 0.5"]
          ]
          yield* sql`CREATE TABLE whole AS SELECT * FROM event_store.snapshots`
          for (const [column, value] of flips) {
            yield* sql.unsafe(`UPDATE event_store.snapshots SET ${column} = ${value}`).unprepared
            assert.deepStrictEqual(yield* snapshots.load(streamId), Option.none(), `${column} = ${value}`)
            yield* sql`TRUNCATE event_store.snapshots`
            yield* sql`INSERT INTO event_store.snapshots SELECT * FROM whole`
          }
          yield* sql`UPDATE event_store.snapshots SET digest = bytes`
          assert.strictEqual((yield* snapshots.statistics).broken, flips.length)
          assert.deepStrictEqual((yield* loadAndReport(snapshots)).state, whole)
          yield* idle(snapshots)
          assert.deepStrictEqual(Option.map(yield* snapshots.load(streamId), ({ state }) => state), Option.some(whole))
        }).pipe(Effect.provideService(EventStore, log), Effect.provideService(SnapshotStore, store))
      }))
  })
}
