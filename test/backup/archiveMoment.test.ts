/**
 * The moment in which a month changes hands, on a server: connections that die,
 * others that read, and months that are not as they should be.
 */
import type { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { layerPostgres } from "../../src/runtime/EventStoreLayer.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventArchive } from "../../src/store/EventArchive.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { LogArchive } from "../../src/store/LogArchive.ts"
import { LogTransfer } from "../../src/store/LogTransfer.ts"
import { SnapshotStore } from "../../src/store/SnapshotStore.ts"
import { StoreAdmin } from "../../src/store/StoreAdmin.ts"
import { inOpenTransaction, openSql, runAll, scalar, withUser } from "../postgres/fixtures.ts"
import { type Fault, makeFaultProxy } from "../support/faultProxy.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { type ArchivedStore, archiveOf, monthBegins, monthlyRows, type Place, plant, servicesOf } from "./archives.ts"
import { makePlace } from "./fixtures.ts"

const ROWS = monthlyRows()
const APRIL = monthBegins(4)

const openAt = (url: string, place: Place, migrate = true): Effect.Effect<ArchivedStore, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const archive = yield* archiveOf(place)
    const context = yield* Layer.build(
      Layer.fresh(layerPostgres({ url, migrate, maxConnections: 2 })).pipe(
        Layer.provide(Layer.succeed(EventArchive, archive))
      )
    )
    return {
      context,
      store: Context.get(context, EventStore),
      transfer: Context.get(context, LogTransfer),
      archive: Context.get(context, LogArchive),
      checkpoints: Context.get(context, CheckpointStore),
      snapshots: Context.get(context, SnapshotStore),
      admin: Context.get(context, StoreAdmin)
    }
  })

/** Statements of a move, and of the way back, by a piece of their text. */
const STATEMENTS = [
  "pg_try_advisory_lock",
  "create_events_partition",
  "CREATE TABLE",
  /INSERT INTO .*archiving_/s,
  "CREATE UNIQUE INDEX",
  "pg_logical_emit_message",
  "VACUUM",
  "relallvisible",
  "IN SHARE MODE",
  "FULL JOIN",
  "SAVEPOINT moment",
  "ACCESS EXCLUSIVE",
  "DROP TABLE IF EXISTS",
  "RENAME TO",
  "ATTACH PARTITION",
  "DROP CONSTRAINT",
  "CREATE TRIGGER",
  /INSERT INTO .*archives|DELETE FROM .*archives/s,
  (sql: string) => sql === "COMMIT",
  "pg_advisory_unlock"
]

const FAULTS: ReadonlyArray<Fault> = [{ _tag: "LoseRequest" }, { _tag: "LoseAnswer" }]

/** How many events have their data, of those that are there. */
const countData = (sql: PgClient.PgClient) =>
  scalar(sql, "SELECT count(*) || ' ' || count(data) FROM event_store.events")

for (const server of servers) {
  describe(`months that change hands (${server.label})`, () => {
    it.live(
      "connections that die at any statement leave each month whole or archived, and the next run goes on",
      () =>
        Effect.gen(function*() {
          const url = yield* makeDatabase(server.admin)
          const proxy = yield* makeFaultProxy(url)
          const place = yield* makePlace
          const store = yield* openAt(url, place)
          const victim = yield* openAt(proxy.url, place)
          yield* plant(store, ROWS)
          const before = yield* Stream.runCollect(store.store.readAll())
          const { archive } = yield* servicesOf(victim, place)
          const sql = yield* openSql(url)
          // the server may not know yet that the one before is gone
          const notBusy = <A, E>(run: Effect.Effect<A, E>) =>
            waitFor(
              Effect.exit(Effect.asVoid<A, unknown, never>(run)),
              (exit) => Exit.isSuccess(exit) || !String(exit.cause).includes("ArchiveBusy")
            )
          for (const fault of FAULTS) {
            for (const statement of STATEMENTS) {
              const isThere = (yield* store.archive.entries).length > 0
              const armed = yield* proxy.arm(statement, fault)
              yield* isThere ? notBusy(archive.bringBack()) : notBusy(archive.move({ before: APRIL }))
              yield* armed.disarm
              const { until } = yield* Effect.map(store.archive.entries, (entries) => entries.at(-1) ?? { until: 0 })
              assert.strictEqual(yield* countData(sql), `60 ${60 - until}`, `${fault._tag} at ${statement}`)
            }
          }
          // the way back makes no partition
          assert.isAtLeast((yield* proxy.counters).faults, FAULTS.length * (STATEMENTS.length - 1))
          yield* notBusy(archive.bringBack())
          assert.deepStrictEqual(yield* Stream.runCollect(store.store.readAll()), before)
          assert.deepStrictEqual(yield* store.admin.verifyLog, [])
          assert.deepStrictEqual(yield* store.admin.schemaVerify, [])
        }),
      60_000
    )

    it.live("a transaction that began before sees every event, and the month waits for it", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const place = yield* makePlace
        const store = yield* openAt(url, place)
        yield* plant(store, ROWS)
        const { archive } = yield* servicesOf(store, place)
        const sql = yield* openSql(url)
        const old = yield* openSql(url, { maxConnections: 1 })
        const session = yield* old.reserve
        const run = (text: string) => session.executeUnprepared(text, [], undefined)
        // its snapshot is of now, and it has locked nothing
        yield* run("BEGIN ISOLATION LEVEL REPEATABLE READ")
        yield* run("SELECT 1 FROM event_store.head")
        const moving = yield* Effect.forkChild(archive.move({ before: APRIL }))
        yield* waitFor(
          // it has looked several times whether everybody sees what is to take the place, or it has not waited
          scalar(
            sql,
            "SELECT coalesce((SELECT max(vacuum_count) FROM pg_stat_user_tables WHERE relname LIKE 'archiving_%'), 0)::int " +
              "+ 3 * (SELECT count(*)::int FROM event_store.archives)"
          ),
          (count) => Number(count) > 2
        )
        const [row] = yield* run("SELECT count(*)::int AS events, count(data)::int AS data FROM event_store.events")
        assert.deepStrictEqual({ ...(row as object) }, { events: 60, data: 60 })
        assert.isUndefined(moving.pollUnsafe())
        yield* run("COMMIT")
        assert.strictEqual((yield* Fiber.join(moving)).entries.length, 3)
      }))

    it.live("who reads without a pause is waited for, and nobody waits behind for long", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const place = yield* makePlace
        const store = yield* openAt(url, place)
        yield* plant(store, ROWS)
        const { archive } = yield* servicesOf(store, place)
        const sql = yield* openSql(url)
        const scope = yield* Scope.make()
        const { commit } = yield* Scope.provide(
          inOpenTransaction(url, ["LOCK TABLE event_store.events IN ACCESS SHARE MODE"]),
          scope
        )
        const moving = yield* Effect.forkChild(archive.move({ before: APRIL }))
        const waits = scalar(
          sql,
          "SELECT count(*)::int FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted AND database = " +
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        for (let round = 0; round < 3; round++) {
          yield* waitFor(waits, (count) => Number(count) > 0)
          yield* store.store.append({ streamId: "late-1", expected: "any", events: [{ type: "Late", data: round }] })
          assert.strictEqual((yield* Stream.runCollect(store.store.readAll())).length, 61 + round)
        }
        assert.isUndefined(moving.pollUnsafe())
        yield* commit
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Fiber.join(moving)).entries.length, 3)
      }))

    it.live("takes the owner; others read what is archived, and its schema is as it should be", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const place = yield* makePlace
        const store = yield* openAt(url, place)
        yield* plant(store, ROWS)
        const sql = yield* openSql(url)
        yield* store.admin.schemaApply({ roles: true })
        const role = `archiver_${url.slice(-12).replace(/\W/g, "")}`
        yield* runAll(sql, [
          `CREATE ROLE ${role} LOGIN PASSWORD 'secret'`,
          `GRANT event_store_writer TO ${role}`,
          "SELECT event_store.create_optional_index('type')"
        ])
        const { archive } = yield* servicesOf(store, place)
        yield* archive.move({ before: monthBegins(2) })
        const other = yield* openAt(withUser(url, role, "secret"), place, false)
        assert.deepStrictEqual(
          yield* Stream.runCollect(other.store.readAll()),
          yield* Stream.runCollect(store.store.readAll())
        )
        const refused = yield* Effect.flip((yield* servicesOf(other, place)).archive.move({ before: APRIL }))
        assert.deepInclude(refused as object, { _tag: "StorageError", operation: "archive" })
        assert.match(refused.message, /Refused: .*(permission denied|must be owner)/)
        assert.strictEqual((yield* store.archive.entries).length, 1)
        const indexes = yield* scalar(
          sql,
          "SELECT count(*)::int FROM pg_indexes WHERE schemaname = 'event_store' AND tablename = 'events_2026_01'"
        )
        assert.strictEqual(indexes, 4)
        assert.deepStrictEqual(
          (yield* store.admin.schemaVerify).filter((line) => !line.includes("events_type_position")),
          []
        )
        yield* runAll(sql, [`DROP OWNED BY ${role}`, `DROP ROLE ${role}`])
      }))

    it.live("a month that the default partition caught, and one that grew after it was archived, are archived too", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const place = yield* makePlace
        const store = yield* openAt(url, place)
        yield* plant(store, ROWS)
        const sql = yield* openSql(url)
        yield* runAll(sql, [
          "ALTER TABLE event_store.events DETACH PARTITION event_store.events_2026_02",
          "INSERT INTO event_store.events SELECT * FROM event_store.events_2026_02",
          "DROP TABLE event_store.events_2026_02"
        ])
        const before = yield* Stream.runCollect(store.store.readAll())
        const { archive } = yield* servicesOf(store, place)
        yield* archive.move({ before: APRIL })
        // a clock that was set back
        const appendLate = (position: number) =>
          runAll(sql, [
            `INSERT INTO event_store.events SELECT ${position}, 'slow-${position}', 0, gen_random_uuid(), 'Slow', 1,
                '{"n": 1}', NULL, NULL, recorded_at + interval '1 hour' FROM event_store.events WHERE position = ${
              position - 1
            }`,
            `INSERT INTO event_store.streams SELECT stream, 0, position, position, recorded_at, recorded_at
                FROM event_store.events WHERE position = ${position}`,
            `UPDATE event_store.head SET position = ${position}, recorded_at = e.recorded_at
                FROM event_store.events e WHERE e.position = ${position}`
          ])
        yield* appendLate(61)
        assert.deepStrictEqual(yield* store.admin.verifyLog, [])
        const { entries } = yield* archive.move({ before: APRIL })
        assert.deepStrictEqual(entries.map(({ after, month, until }) => [month, after, until]), [["2026-03", 60, 61]])
        const all = yield* Stream.runCollect(store.store.readAll())
        assert.deepStrictEqual(all.slice(0, 60), [...before])
        assert.deepStrictEqual(all[60]?.data, { n: 1 })
        assert.deepStrictEqual(yield* store.admin.verifyLog, [])
        yield* appendLate(62)
        yield* archive.bringBack()
        assert.strictEqual(yield* countData(sql), "62 62")
        assert.deepStrictEqual((yield* Stream.runCollect(store.store.readAll())).slice(0, 61), [...all])
        assert.deepStrictEqual(yield* store.admin.verifyLog, [])
      }))
  })
}
