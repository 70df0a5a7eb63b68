/**
 * Months: events find theirs, ids are known over all of them, and a log that is
 * not sound says what is wrong with it.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { PgStoreAdmin } from "../../src/postgres/index.ts"
import { StoreAdmin } from "../../src/store/StoreAdmin.ts"
import { assertFailure, idsOf, indexes, proposed, proposedMany } from "../store/fixtures.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import {
  assertSound,
  assertStorageError,
  inOpenTransaction,
  openSql,
  openStore,
  runAll,
  scalar,
  wholeLog
} from "./fixtures.ts"
import { idAt, partitionOf, plantLog } from "./plantedLog.ts"

const someStore = (admin: string) =>
  Effect.gen(function*() {
    const url = yield* makeDatabase(admin)
    return { url, sql: yield* openSql(url), open: yield* openStore(url) }
  })

const checkOf = (open: { readonly admin: StoreAdmin["Service"] }, name: string) =>
  Effect.map(open.admin.checkHealth, (checks) => checks.find((check) => check.name === name))

const inDefault = (sql: PgClient.PgClient) => scalar(sql, "SELECT count(*)::int FROM event_store.events_default")

/** A UUIDv7 that claims this time. */
const idOf = (milliseconds: number): string => {
  const time = Math.trunc(milliseconds).toString(16).padStart(12, "0")
  return `${time.slice(0, 8)}-${time.slice(8)}${SecureRandom.uuidV7Unsafe().slice(13)}`
}

/** The same, in SQL, for the event of a row. */
const idIn = (time: string): string =>
  `(lpad(to_hex((extract(epoch FROM ${time}) * 1000)::bigint), 12, '0') || '7' || substr(md5(position::text), 1, 3) ||
    '8' || substr(md5(position::text), 5, 15))::uuid`

const DAY_MS = 24 * 60 * 60 * 1_000

/** Changes of a log behind its back, and what they break. */
const FAULTS: ReadonlyArray<readonly [name: string, statements: ReadonlyArray<string>, faults: ReadonlyArray<string>]> =
  [
    ["an event is gone", ["DELETE FROM event_store.events WHERE position = 47"], [
      "positions have gaps",
      "revisions of a stream repeat or have gaps",
      "tags differ from their events"
    ]],
    ["the last event is gone", ["DELETE FROM event_store.events WHERE position = 120"], [
      "head differs from the last event",
      "streams differ from their events"
    ]],
    ["a month is gone", [`ALTER TABLE event_store.events DETACH PARTITION event_store.${partitionOf(1)}`], [
      "positions have gaps",
      "streams differ from their events"
    ]],
    ["a position stands twice", [
      "INSERT INTO event_store.events SELECT 3, 'x-1', 0, gen_random_uuid(), 'A', 1, '{}', NULL, NULL, now()"
    ], ["positions repeat"]],
    ["an id stands in two months", [
      `UPDATE event_store.events SET id = '${idAt(3)}' WHERE position = 100`
    ], ["event ids repeat"]],
    ["a revision stands in two months", [
      "UPDATE event_store.events SET revision = 0 WHERE position = 80"
    ], ["revisions of a stream repeat or have gaps"]],
    ["a revision is left out", ["UPDATE event_store.events SET revision = 7 WHERE position = 120"], [
      "revisions of a stream repeat or have gaps"
    ]],
    ["a version is none", ["UPDATE event_store.events SET version = 0 WHERE position = 5"], [
      "values are out of their range"
    ]],
    ["a type has no name", ["UPDATE event_store.events SET type = '' WHERE position = 5"], [
      "values are out of their range"
    ]],
    ["a stream's revision is off", ["UPDATE event_store.streams SET revision = revision + 1 WHERE name = 'acct-1-1'"], [
      "streams differ from their events"
    ]],
    ["a stream's times are off", ["UPDATE event_store.streams SET last_recorded_at = now() WHERE name = 'acct-1-1'"], [
      "streams differ from their events"
    ]],
    [
      "a stream's first position is off",
      ["UPDATE event_store.streams SET first_position = 1 WHERE name = 'acct-1-1'"],
      [
        "streams differ from their events"
      ]
    ],
    ["a stream is unknown", ["DELETE FROM event_store.streams WHERE name = 'acct-1-1'"], [
      "streams differ from their events"
    ]],
    ["a stream has no events", [
      "INSERT INTO event_store.streams SELECT 'x-1', 0, 1, 1, now(), now()"
    ], ["streams differ from their events"]],
    ["two events of a stream changed places", [
      "UPDATE event_store.events SET position = 999 WHERE position = 1",
      "UPDATE event_store.events SET position = 1 WHERE position = 2",
      "UPDATE event_store.events SET position = 2 WHERE position = 999"
    ], ["stream order differs from log order"]],
    ["time runs backwards", [
      "UPDATE event_store.events SET recorded_at = recorded_at + interval '2 days' WHERE position = 5"
    ], ["time runs against position"]],
    ["a tag is lost", ["DELETE FROM event_store.event_tags WHERE position = 41 AND tag = 'rare:1'"], [
      "tags differ from their events"
    ]],
    ["a tag is invented", ["INSERT INTO event_store.event_tags VALUES ('x', 41, 'Type0')"], [
      "tags differ from their events"
    ]],
    ["a tag has another type", ["UPDATE event_store.event_tags SET type = 'X' WHERE position = 41"], [
      "tags differ from their events"
    ]],
    ["the head is ahead", ["UPDATE event_store.head SET position = 121"], ["head differs from the last event"]]
  ]

for (const server of servers) {
  describe(`months (${server.label})`, () => {
    it.live("events of a month that nobody made go to the default partition, which health reports, and move when it is made", () =>
      Effect.gen(function*() {
        const { open, sql, url } = yield* someStore(server.admin)
        const { admin, store } = open
        assert.deepInclude(yield* checkOf(open, "default partition"), { level: "ok", detail: "0 events" })
        yield* runAll(sql, [`DROP TABLE event_store.${partitionOf(0)}`])
        const other = yield* openStore(url, { migrate: false })
        const follower = yield* other.store.subscribe().pipe(
          Stream.take(80),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true })
        )
        const first = proposedMany(5, () => ({ tags: ["k:1"] }))
        yield* store.append({ streamId: "a-1", expected: "noStream", events: first })
        yield* Effect.forEach(
          indexes(25),
          (n) => store.append({ streamId: `b-${n}`, expected: "noStream", events: [proposed()] }),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(yield* inDefault(sql), 30)
        assert.deepInclude(yield* checkOf(open, "partitions"), { level: "warn" })
        assert.deepInclude(yield* checkOf(open, "default partition"), { level: "warn", detail: "30 events" })
        const before = yield* assertSound(open)

        // appends go on while the month is made
        const [done] = yield* Effect.all([
          admin.schemaApply(),
          Effect.forEach(
            indexes(50),
            (n) => other.store.append({ streamId: `c-${n}`, expected: "noStream", events: [proposed()] }),
            {
              concurrency: 5
            }
          )
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(done, ["1 partitions of months"])
        assert.strictEqual(yield* inDefault(sql), 0)
        assert.deepInclude(yield* checkOf(open, "partitions"), { level: "ok" })
        assert.deepInclude(yield* checkOf(open, "default partition"), { level: "ok" })
        const after = yield* assertSound(open)
        assert.deepStrictEqual(after.slice(0, 30), before)
        assert.deepStrictEqual(yield* Fiber.join(follower), after)
        assert.deepStrictEqual(yield* admin.schemaVerify, [])
        assert.isTrue((yield* store.append({ streamId: "a-1", expected: "noStream", events: first })).alreadyAppended)
      }))

    it.live("the months of an old log are made one by one, and nothing of it changes", () =>
      Effect.gen(function*() {
        const { open, sql } = yield* someStore(server.admin)
        yield* plantLog(sql, { months: 6, eventsPerMonth: 100, partitioned: false })
        const before = yield* assertSound(open)
        assert.strictEqual(before.length, 600)
        for (const monthsAgo of [3, 1, 5, 2, 4]) {
          const month = partitionOf(monthsAgo)
          const day = `'${month.slice(7).replace("_", "-")}-17'`
          assert.strictEqual(yield* scalar(sql, `SELECT event_store.create_events_partition(${day})`), true)
          assert.strictEqual(yield* scalar(sql, `SELECT event_store.create_events_partition(${day})`), false)
          assert.strictEqual(yield* scalar(sql, `SELECT count(*)::int FROM event_store.${month}`), 100)
        }
        assert.strictEqual(yield* inDefault(sql), 0)
        assert.deepStrictEqual(yield* assertSound(open), before)
        assert.deepStrictEqual(yield* open.admin.schemaVerify, [])
        assert.strictEqual((yield* open.store.findEvent(idAt(250))).pipe((event) => event._tag), "Some")
        assert.strictEqual((yield* Stream.runCollect(open.store.readStream("long-1"))).length, 6)
      }))

    it.live("a month is not made behind a long read, which would hold up the appends: that is typed, and passes", () =>
      Effect.gen(function*() {
        const { open, sql, url } = yield* someStore(server.admin)
        yield* runAll(sql, [
          `DROP TABLE event_store.${partitionOf(0)}`,
          "ALTER FUNCTION event_store.create_events_partition SET lock_timeout = '50ms'"
        ])
        yield* open.store.append({ streamId: "a-1", expected: "noStream", events: [proposed()] })
        const dump = yield* inOpenTransaction(url, ["SELECT count(*) FROM event_store.events"])
        const error = yield* assertStorageError(open.admin.schemaApply(), "AppendBusy")
        assert.isTrue(error.isRetryable)
        yield* open.store.append({ streamId: "a-1", expected: 0, events: [proposed()] })
        assert.strictEqual(yield* inDefault(sql), 2)
        yield* dump.commit
        yield* open.admin.schemaApply()
        assert.strictEqual(yield* inDefault(sql), 0)
        yield* assertSound(open)
      }))

    it.live("optional indexes are made for all months, those to come too, and are no difference from the schema", () =>
      Effect.gen(function*() {
        const { open, sql } = yield* someStore(server.admin)
        const { admin, store } = open
        yield* store.append({ streamId: "a-1", expected: "noStream", events: [proposed("A", { data: { of: 1 } })] })
        for (const kind of ["type", "data", "type", "data"] as const) yield* admin.createIndex(kind)
        assert.strictEqual(
          yield* scalar(sql, "SELECT event_store.create_events_partition((now() + interval '9 months')::date)"),
          true
        )
        assert.deepStrictEqual(yield* admin.schemaVerify, [])
        const [tables, indexed] = [
          "SELECT count(*)::int FROM pg_inherits WHERE inhparent = 'event_store.events'::regclass",
          "SELECT (count(*) FILTER (WHERE x.indexdef LIKE '%gin%'))::int FROM pg_indexes x WHERE schemaname = 'event_store' " +
          "AND tablename LIKE 'events\\_%'"
        ]
        assert.strictEqual(yield* scalar(sql, indexed), yield* scalar(sql, tables))
        assert.strictEqual(
          yield* scalar(sql, "SELECT count(*)::int FROM event_store.events WHERE data::jsonb @> '{\"of\":1}'"),
          1
        )
        yield* assertStorageError(
          store.append({ streamId: "a-1", expected: 0, events: [proposed("A", { data: "\u0000" })] }),
          "Refused"
        )
        yield* store.append({ streamId: "a-1", expected: 0, events: [proposed()] })
        yield* assertSound(open)
      }))

    for (
      const [kind, time] of [
        ["no time", undefined],
        ["the time of the event", "recorded_at"],
        ["a time in the month before", "recorded_at - interval '20 days'"],
        ["a time just after, of a writer whose clock is ahead", "recorded_at + interval '40 minutes'"]
      ] as const
    ) {
      it.live(`A3 A6 an id with ${kind} that is recorded in an older month is found, and never recorded twice`, () =>
        Effect.gen(function*() {
          const { open, sql } = yield* someStore(server.admin)
          const { store } = open
          yield* plantLog(sql, { months: 4, eventsPerMonth: 200, partitioned: true })
          yield* sql.withTransaction(runAll(sql, [
            "SET LOCAL session_replication_role = replica",
            // the last events of each month are recorded in its last minutes
            `UPDATE event_store.events SET recorded_at = date_trunc('month', recorded_at, 'UTC') + interval '1 month'
               - interval '1 minute' WHERE position % 200 IN (198, 199, 0) AND position <= 600`,
            "UPDATE event_store.streams s SET (first_recorded_at, last_recorded_at) = (SELECT min(recorded_at), " +
            "max(recorded_at) FROM event_store.events e WHERE e.stream = s.name)",
            ...(time === undefined ? [] : [`UPDATE event_store.events SET id = ${idIn(time)}`])
          ]))
          const before = yield* assertSound(open)
          const ids = new Map(before.map((event) => [event.position as number, event]))
          const again = (position: number) => {
            const { data, id, tags, type } = ids.get(position)!
            return { id, type, data, tags }
          }
          const retry = (first: number, last: number) =>
            store.append({
              streamId: ids.get(first)!.streamId,
              expected: "noStream",
              events: indexes(last - first + 1).map((n) => again(first + n))
            })

          for (const [first, last] of [[1, 10], [191, 199], [200, 200], [398, 399], [601, 610], [791, 799]] as const) {
            const result = yield* retry(first, last)
            assert.deepInclude({ ...result } as object, { firstPosition: first, position: last, alreadyAppended: true })
          }
          // all at once, with new ones between them
          const results = yield* Effect.forEach(indexes(18), (n) =>
            n % 3 === 0
              ? store.append({
                streamId: `new-${n}`,
                expected: "noStream",
                events: [proposed("A", { id: SecureRandom.uuidV7Unsafe() })]
              })
              : retry(10 * n + 1, 10 * n + 10), { concurrency: "unbounded" })
          assert.deepStrictEqual(
            results.map(({ alreadyAppended }) => alreadyAppended),
            indexes(18).map((n) => n % 3 !== 0)
          )
          // a part of what was appended, other content, another stream
          yield* assertFailure(
            store.append({ streamId: "acct-0-0", expected: "any", events: [again(1), proposed()] }),
            { _tag: "IdempotencyConflict", streamId: "acct-0-0", id: ids.get(1)!.id, position: 1 }
          )
          yield* assertFailure(
            store.append({ streamId: "acct-0-1", expected: "any", events: [{ ...again(199), data: 1 }] }),
            { _tag: "IdempotencyConflict", streamId: "acct-0-1", id: ids.get(199)!.id, position: 199 }
          )
          assert.strictEqual((yield* assertSound(open)).length, before.length + 6)
        }))
    }

    for (const [kind, extra] of [["alone", []], ["beside an id without a time", [proposed("A")]]] as const) {
      it.live(`A3 an id that is ahead of the clock by weeks is recorded once, also when its month has come (${kind})`, () =>
        Effect.gen(function*() {
          const { open, sql } = yield* someStore(server.admin)
          const { store } = open
          yield* runAll(sql, [
            "SELECT event_store.create_events_partition((now() - make_interval(months => m))::date) FROM generate_series(1, 3) AS m"
          ])
          const ahead = 70 * DAY_MS
          const now = yield* DateTime.now
          const event = proposed("A", { id: idOf(now.epochMilliseconds + ahead) })
          const first = yield* store.append({ streamId: "a-1", expected: "noStream", events: [event, ...extra] })
          assert.isFalse(first.alreadyAppended)
          const horizon = yield* scalar(sql, "SELECT id_horizon FROM event_store.head")
          assert.strictEqual((horizon as Date).getTime(), now.epochMilliseconds + ahead)

          // the 70 days pass: everything moves that much into the past
          const past = idOf(now.epochMilliseconds)
          yield* sql.withTransaction(runAll(sql, [
            "SET LOCAL session_replication_role = replica",
            `UPDATE event_store.events SET id = '${past}' WHERE id = '${event.id}'`,
            "UPDATE event_store.events SET recorded_at = recorded_at - interval '70 days'",
            "UPDATE event_store.streams SET first_recorded_at = first_recorded_at - interval '70 days', " +
            "last_recorded_at = last_recorded_at - interval '70 days'",
            "UPDATE event_store.head SET recorded_at = recorded_at - interval '70 days', id_horizon = id_horizon - interval '70 days'"
          ]))
          const retried = yield* store.append({
            streamId: "a-1",
            expected: "noStream",
            events: [{ ...event, id: past }, ...extra]
          })
          assert.deepStrictEqual(retried, { ...first, alreadyAppended: true })
          yield* assertFailure(store.append({ streamId: "b-1", expected: "any", events: [{ ...event, id: past }] }), {
            _tag: "IdempotencyConflict",
            streamId: "b-1",
            id: past,
            position: 1
          })
          const many = yield* Effect.forEach(indexes(12), (n) =>
            Effect.result(store.append({
              streamId: n === 7 ? "a-1" : `c-${n}`,
              expected: "any",
              events: n === 7
                ? [{ ...event, id: past }, ...extra]
                : [proposed("A", { id: SecureRandom.uuidV7Unsafe() })]
            })), { concurrency: "unbounded" })
          assert.deepStrictEqual(many.filter((result) => result._tag === "Failure"), [])
          const log = yield* assertSound(open)
          assert.strictEqual(log.length, 12 + extra.length)
          assert.strictEqual(idsOf(log).filter((id) => id === past).length, 1)
        }))
    }

    it.live("verifyLog finds nothing in a sound log, and names each fault that somebody planted", () =>
      Effect.gen(function*() {
        const { open, sql } = yield* someStore(server.admin)
        yield* plantLog(sql, { months: 3, eventsPerMonth: 40, partitioned: true })
        yield* assertSound(open)
        // on the client whose transaction plants the fault
        const admin = yield* StoreAdmin.pipe(
          Effect.provide(PgStoreAdmin.layer("postgres")),
          Effect.provideService(PgClient.PgClient, sql)
        )
        for (const [name, statements, faults] of FAULTS) {
          const found = yield* sql.withTransaction(Effect.gen(function*() {
            yield* runAll(sql, ["SET LOCAL session_replication_role = replica", ...statements])
            return yield* Effect.fail({ _tag: "Undo" as const, lines: yield* admin.verifyLog })
          })).pipe(Effect.flip)
          if (found._tag !== "Undo") return yield* Effect.fail(found)
          const lines = found.lines.map((line) => line.split(":")[0]!)
          for (const fault of faults) assert.include(lines, fault, name)
        }
        assert.deepStrictEqual(yield* open.admin.verifyLog, [])
        yield* runAll(sql, ["UPDATE event_store.head SET position = position + 1"])
        assert.deepInclude(yield* checkOf(open, "positions"), { level: "fail", detail: "head 121, last event 120" })
      }))

    it.live("a read that starts in the middle of a log of months reads on from there, both ways", () =>
      Effect.gen(function*() {
        const { open, sql } = yield* someStore(server.admin)
        const { store } = open
        yield* plantLog(sql, { months: 5, eventsPerMonth: 500, partitioned: true })
        const log = yield* wholeLog(store)
        for (const after of [1, 499, 500, 501, 1_234, 2_000, 2_499, 2_500]) {
          assert.deepStrictEqual(yield* Stream.runCollect(store.readAll({ after })), log.slice(after))
          assert.deepStrictEqual(
            yield* Stream.runCollect(store.readAll({ after, direction: "backwards" })),
            log.slice(0, after - 1).toReversed()
          )
        }
      }))
  })
}
