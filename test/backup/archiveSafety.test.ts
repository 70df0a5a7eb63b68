/**
 * What could cost the only copy of a payload, or hold everybody up.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Result, Stream } from "effect"
import { indexEvents } from "../../src/backup/internal/segmentEvents.ts"
import { layerPostgres } from "../../src/runtime/EventStoreLayer.ts"
import { EventArchive } from "../../src/store/EventArchive.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { StorageError, Unavailable } from "../../src/store/EventStoreError.ts"
import { type ArchiveSession, LogArchive } from "../../src/store/LogArchive.ts"
import { openSql, runAll, scalar, withUser } from "../postgres/fixtures.ts"
import { makeFaultProxy } from "../support/faultProxy.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { memory, postgresAt } from "./anyStore.ts"
import {
  archiveOf,
  monthBegins,
  monthlyRows,
  openBare,
  openWith,
  type Place,
  plant,
  readEverything,
  servicesOf,
  storedRows
} from "./archives.ts"
import { filesOf, makePlace } from "./fixtures.ts"

const ROWS = monthlyRows()
const FEBRUARY = monthBegins(2)
const APRIL = monthBegins(4)

const marksOf = (place: Place) =>
  Effect.map(filesOf(place), (files) => [...files.keys()].filter((name) => name.startsWith("archive-")))

/** An archive whose moves seem to fail, and are done later. */
const answerLost = (archive: LogArchive["Service"], later: Array<Effect.Effect<unknown, unknown>>) => ({
  ...archive,
  open: Effect.map(archive.open, (session): ArchiveSession => ({
    ...session,
    archive: (step) => {
      later.push(session.archive(step))
      return Effect.fail(
        new StorageError({ operation: "archive", reason: new Unavailable({ detail: "no answer to COMMIT" }) })
      )
    }
  }))
})

describe("the only copy of a payload", () => {
  it.live("a commit whose answer was lost leaves the mark: the month may be archived later than anybody looks", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* makePlace
      const store = yield* openWith(memory, place)
      yield* plant(store, ROWS)
      const before = yield* readEverything(store)
      const later: Array<Effect.Effect<unknown, unknown>> = []
      const { archive, backups } = yield* servicesOf({ ...store, archive: answerLost(store.archive, later) }, place)
      assert.strictEqual((yield* Effect.flip(archive.move({ before: FEBRUARY })))._tag, "StorageError")
      yield* Effect.forEach(later, (commit) => commit)
      assert.strictEqual((yield* store.archive.entries).length, 1)
      assert.strictEqual((yield* marksOf(place)).length, 1)
      yield* backups.create({ kind: "full" })
      assert.deepStrictEqual((yield* backups.prune({ keepLast: 1 })).removed, [])
      assert.deepStrictEqual(yield* readEverything(store), before)
    })))

  it.live("a move that has surely done nothing takes its mark back", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* makePlace
      const store = yield* openWith(memory, place)
      yield* plant(store, ROWS)
      const other = {
        ...store.archive,
        months: Effect.map(store.archive.months, ([month]) => [{ ...month!, until: 19 }])
      }
      const { archive } = yield* servicesOf({ ...store, archive: other }, place)
      assert.strictEqual((yield* Effect.flip(archive.move({ before: FEBRUARY })))._tag, "ArchiveDiffers")
      assert.deepStrictEqual(yield* marksOf(place), [])
    })))

  it.live("a backup is the archived one by its hashes, also when one of its id was read before", () =>
    Effect.scoped(Effect.gen(function*() {
      const place = yield* makePlace
      const store = yield* openBare(memory)
      yield* plant(store, ROWS)
      const { archive } = yield* servicesOf(store, place)
      const { entries: [entry] } = yield* archive.move({ before: FEBRUARY })
      const reader = yield* archiveOf(place)
      const wanted = [{ position: 1, id: ROWS[0]!.id }]
      assert.strictEqual((yield* reader.read(entry!, wanted))[0]?.data, ROWS[0]?.data)
      const failure = yield* Effect.flip(reader.read({ ...entry!, chain: "0".repeat(64) }, wanted))
      assert.strictEqual(failure._tag, "Archived")
      assert.match(failure.detail, /its chain of hashes ends with/)
    })))

  it("a count of events for which a segment has no room is refused before there is memory for it", () => {
    const entry = { number: 1, kind: "events" as const, first: 1, last: 2 ** 50, records: 2 ** 50 }
    const found = indexEvents(Buffer.alloc(100), {
      backupId: "20261121T120000Z-0000000000000000",
      entry: entry as never
    })
    assert.isTrue(Result.isFailure(found))
    assert.match(String(Result.isFailure(found) && found.failure.detail), /no room for/)
  })
})

for (const server of servers) {
  describe(`the moment of a month (${server.label})`, () => {
    it.live("SQL finds of an archived event neither data nor metadata, and of others what they have", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const place = yield* makePlace
        const store = yield* openWith(postgresAt(url), place)
        yield* plant(store, ROWS)
        const sql = yield* openSql(url)
        yield* (yield* servicesOf(store, place)).archive.move({ before: FEBRUARY })
        const found = "SELECT string_agg(DISTINCT (position <= 20)::text || ' ' || (data IS NULL)::text || ' ' || " +
          "(metadata IS NULL)::text, ', ') FROM event_store.events_jsonb"
        assert.strictEqual(yield* scalar(sql, found), "false false false, true true true")
      }))

    it.live("months begin at midnight UTC, to the microsecond, wherever the server is", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const place = yield* makePlace
        const name = new URL(url).pathname.slice(1)
        yield* runAll(yield* openSql(url), [
          `ALTER DATABASE "${name}" SET TimeZone = 'Pacific/Auckland'`,
          `ALTER DATABASE "${name}" SET DateStyle = 'German, DMY'`
        ])
        const store = yield* openWith(postgresAt(url), place)
        const times = [
          Date.UTC(2025, 11, 1) * 1000 - 1,
          Date.UTC(2025, 11, 1) * 1000,
          Date.UTC(2026, 0, 1) * 1000 - 1,
          Date.UTC(2026, 0, 1) * 1000,
          Date.UTC(2026, 3, 1) * 1000,
          Date.UTC(2026, 3, 30, 23, 30) * 1000,
          Date.UTC(2026, 4, 1) * 1000
        ]
        const rows = times.map((recordedAt, index) => ({ ...ROWS[index]!, recordedAt }))
        yield* plant(store, rows)
        const before = yield* Stream.runCollect(store.store.readAll())
        const { archive } = yield* servicesOf(store, place)
        const { entries } = yield* archive.move({ before: monthBegins(5) })
        assert.deepStrictEqual(entries.map(({ after, month, until }) => `${month}: ${after} to ${until}`), [
          "2025-11: 0 to 1",
          "2025-12: 1 to 3",
          "2026-01: 3 to 4",
          "2026-04: 4 to 6"
        ])
        assert.deepStrictEqual(yield* Stream.runCollect(store.store.readAll()), before)
        assert.deepStrictEqual(yield* store.admin.verifyLog, [])
        yield* archive.bringBack({ from: "2026-01" })
        assert.deepStrictEqual(
          (yield* storedRows(store, 7)).map(({ data }) => data === undefined),
          [true, true, true, false, false, false, false]
        )
        yield* archive.bringBack()
        assert.deepStrictEqual(yield* storedRows(store, 7), rows)
      }))

    it.live("whoever may read the log may ask what is archived, without rights on the table of a month", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const place = yield* makePlace
        const store = yield* openWith(postgresAt(url), place)
        const sql = yield* openSql(url)
        const role = `reader_${url.slice(-12).replace(/\W/g, "")}`
        yield* store.admin.schemaApply({ roles: true })
        yield* runAll(sql, [
          `CREATE ROLE ${role} LOGIN PASSWORD 'secret'`,
          `GRANT event_store_reader TO ${role}`,
          "ALTER DEFAULT PRIVILEGES IN SCHEMA event_store REVOKE SELECT ON TABLES " +
          "FROM event_store_reader, event_store_backup, event_store_writer"
        ])
        yield* plant(store, ROWS)
        yield* (yield* servicesOf(store, place)).archive.move({ before: FEBRUARY })
        const reader = Layer.fresh(layerPostgres({ url: withUser(url, role, "secret"), migrate: false })).pipe(
          Layer.provide(Layer.succeed(EventArchive, yield* archiveOf(place)))
        )
        const [entries, months, events] = yield* Effect.gen(function*() {
          const archive = yield* LogArchive
          return [
            yield* archive.entries,
            yield* archive.months,
            yield* Stream.runCollect((yield* EventStore).readAll())
          ] as const
        }).pipe(Effect.provide(reader))
        assert.deepStrictEqual(entries.map(({ month }) => month), ["2026-01"])
        assert.deepStrictEqual(months.map(({ month, until }) => `${month} ${until}`), ["2026-02 40", "2026-03 60"])
        assert.strictEqual(events.length, 60)
        yield* runAll(sql, [`DROP OWNED BY ${role}`, `DROP ROLE ${role}`])
      }))

    it.live("nobody waits for a look at what the default partition has, and nothing is left of what spares it", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const proxy = yield* makeFaultProxy(url)
        const place = yield* makePlace
        const store = yield* openWith(postgresAt(url), place)
        const mover = yield* openWith(postgresAt(proxy.url), place)
        yield* plant(store, ROWS)
        const sql = yield* openSql(url)
        yield* runAll(sql, [
          "ALTER TABLE event_store.events DETACH PARTITION event_store.events_2026_03",
          "INSERT INTO event_store.events SELECT * FROM event_store.events_2026_03",
          "DROP TABLE event_store.events_2026_03"
        ])
        const { archive } = yield* servicesOf(mover, place)
        const rules = "SELECT string_agg(convalidated::text, ' ') FROM pg_constraint " +
          "WHERE conrelid = 'event_store.events_default'::regclass AND conname = 'archiving_month'"
        const killed = yield* proxy.arm("FULL JOIN", { _tag: "LoseRequest" })
        yield* Effect.flip(archive.move({ before: FEBRUARY }))
        yield* killed.happened
        assert.strictEqual(yield* scalar(sql, rules), "true")
        const held = yield* proxy.arm("SAVEPOINT moment", { _tag: "HoldRequest" })
        const moving = yield* Effect.forkChild(
          waitFor(Effect.result(archive.move({ before: FEBRUARY })), Result.isSuccess)
        )
        yield* held.happened
        assert.strictEqual(yield* scalar(sql, rules), "true")
        assert.strictEqual((yield* Stream.runCollect(store.store.readAll())).length, 60)
        yield* held.release
        yield* Fiber.join(moving)
        assert.isNull(yield* scalar(sql, rules))
        assert.deepStrictEqual(yield* store.admin.schemaVerify, [])
        assert.deepStrictEqual(yield* store.admin.verifyLog, [])
      }))

    it.live("a month is the owner's, whoever restores or archives it, and only the newest comes back", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const place = yield* makePlace
        const store = yield* openWith(postgresAt(url), place)
        const sql = yield* openSql(url)
        const role = `owner_${url.slice(-12).replace(/\W/g, "")}`
        yield* runAll(sql, [
          `CREATE ROLE ${role}`,
          `DO $$ DECLARE name text; BEGIN
             FOR name IN SELECT c.oid::regclass FROM pg_class c
               WHERE c.relnamespace = 'event_store'::regnamespace AND c.relkind IN ('r', 'p', 'v')
             LOOP EXECUTE 'ALTER TABLE ' || name || ' OWNER TO ${role}'; END LOOP;
           END $$`
        ])
        const { archive } = yield* servicesOf(store, place)
        const owners = "SELECT string_agg(DISTINCT pg_get_userbyid(c.relowner), ' ') FROM pg_class c " +
          "WHERE c.relnamespace = 'event_store'::regnamespace AND c.relname LIKE 'events_2026_0%' AND c.relkind IN ('r', 'i')"
        yield* plant(store, ROWS)
        assert.strictEqual(yield* scalar(sql, owners), role)
        yield* archive.move({ before: APRIL })
        assert.strictEqual(yield* scalar(sql, owners), role)
        const failure = yield* Effect.scoped(
          Effect.flatMap(
            store.archive.open,
            (session) => Effect.flip(session.bringBack("2026-01", Stream.fromIterable(ROWS.slice(0, 20))))
          )
        )
        assert.deepInclude(failure as object, { _tag: "ArchiveDiffers", expected: "the newest month" })
        assert.strictEqual((yield* storedRows(store, 60)).filter(({ data }) => data !== undefined).length, 0)
        yield* archive.bringBack()
        assert.strictEqual(yield* scalar(sql, owners), role)
        assert.deepStrictEqual(yield* storedRows(store, 60), [...ROWS])
        yield* runAll(sql, [`REASSIGN OWNED BY ${role} TO CURRENT_USER`, `DROP ROLE ${role}`])
      }))
  })
}

// one of them: it waits for seconds
for (const server of servers.slice(0, 1)) {
  describe(`the locks of the moment (${server.label})`, () => {
    it.live(
      "a machine that is gone while it has all locks holds nobody up for longer than seconds",
      () =>
        Effect.gen(function*() {
          const url = yield* makeDatabase(server.admin)
          const proxy = yield* makeFaultProxy(url)
          const place = yield* makePlace
          const store = yield* openWith(postgresAt(url), place)
          const victim = yield* openWith(postgresAt(proxy.url), place)
          yield* plant(store, ROWS)
          const { archive } = yield* servicesOf(victim, place)
          const armed = yield* proxy.arm("ATTACH PARTITION", { _tag: "LoseRequest", ending: "silence" })
          const moving = yield* Effect.forkChild(archive.move({ before: FEBRUARY }))
          yield* armed.happened
          const late = { streamId: "late-1", expected: "any" as const, events: [{ type: "Late", data: 1 }] }
          yield* waitFor(Effect.result(store.store.append(late)), Result.isSuccess, { deadlineMs: 20_000 })
          assert.strictEqual((yield* Stream.runCollect(store.store.readAll())).length, 61)
          yield* proxy.reset
          assert.strictEqual((yield* Effect.flip(Fiber.join(moving)))._tag, "StorageError")
          assert.deepStrictEqual(yield* store.archive.entries, [])
          yield* (yield* servicesOf(store, place)).archive.move({ before: FEBRUARY })
          assert.deepStrictEqual(yield* store.admin.verifyLog, [])
        }),
      40_000
    )
  })
}
