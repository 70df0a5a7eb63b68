/**
 * Appends of many at once: few transactions, each append on its own, and one
 * lock for all processes.
 */
import { PgConnection } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, Result, Stream } from "effect"
import { InvalidInput } from "../../src/event/InvalidInput.ts"
import { toStatement } from "../../src/postgres/internal/batch.ts"
import { encodeAppend } from "../../src/store/AppendRequest.ts"
import type { AppendOptions } from "../../src/store/EventStore.ts"
import { assertFailure, indexes, positionsOf, proposed, proposedMany } from "../store/fixtures.ts"
import { makeFaultProxy } from "../support/faultProxy.ts"
import { makeDatabase, scopedServer } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  assertSound,
  assertStorageError,
  inOpenTransaction,
  isAppendWaiting,
  openSql,
  type OpenStore,
  openStore,
  runAll,
  takeAppendLock,
  wholeLog
} from "./fixtures.ts"

const one = (streamId: string, expected: AppendOptions["expected"] = "noStream"): AppendOptions => ({
  streamId,
  expected,
  events: [proposed()]
})

/** Opens sessions until the server has no place for another; they end with the scope. */
const fillServer = (url: string) =>
  Effect.gen(function*() {
    while (Result.isSuccess(yield* Effect.result(PgConnection.make({ url: Redacted.make(url) })))) { /* one more */ }
  })

/** Appends to so many streams at once. */
const together = (store: OpenStore["store"], count: number, prefix = "b") =>
  Effect.forEach(indexes(count), (n) => Effect.result(store.append(one(`${prefix}-${n}`))), {
    concurrency: "unbounded"
  })

/** An append of another process, in a transaction that is still open. */
const appendInOpenTransaction = (url: string, options: AppendOptions) =>
  Effect.gen(function*() {
    const request = encodeAppend(options)
    if (request instanceof InvalidInput) return yield* Effect.fail(request)
    const sql = yield* openSql(url, { maxConnections: 1 })
    const connection = yield* sql.reserve
    yield* connection.executeUnprepared("BEGIN", [], undefined)
    const { parameters, text } = toStatement("event_store", [request], { checkIds: true, notify: false })
    yield* connection.executeValues(text, parameters)
    return {
      commit: Effect.asVoid(connection.executeUnprepared("COMMIT", [], undefined)),
      rollback: Effect.asVoid(connection.executeUnprepared("ROLLBACK", [], undefined))
    }
  })

for (const server of servers) {
  describe(`appends (${server.label})`, () => {
    it.live("64 appends at once take a few transactions, not 64", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const proxy = yield* makeFaultProxy(url)
        const open = yield* openStore(proxy.url, { notifications: false })
        yield* open.store.append(one("a-1"))
        const before = yield* proxy.counters
        assert.isTrue((yield* together(open.store, 64)).every(Result.isSuccess))
        assert.isAtMost((yield* proxy.counters).statements - before.statements, 4)
        yield* assertSound(open)
      }))

    it.live("of appends that share a transaction, one that the server refuses does not disturb the others", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url)
        const { admin, store } = open
        yield* admin.createIndex("data")
        for (const count of [3, 8, 9, 40]) {
          const poisonous = new Set([1, count - 1])
          const results = yield* Effect.forEach(indexes(count), (n) =>
            Effect.result(store.append({
              streamId: `s${count}-${n}`,
              expected: "noStream",
              events: [proposed("A", { data: { text: poisonous.has(n) ? "\u0000" : "fine" } })]
            })), { concurrency: "unbounded" })
          for (const [n, result] of results.entries()) {
            assert.strictEqual(Result.isFailure(result), poisonous.has(n), `${n} of ${count}`)
            if (Result.isFailure(result)) {
              assert.match(result.failure.message, /append failed: Refused: unsupported Unicode/)
            }
          }
          assert.deepStrictEqual(yield* Stream.runCollect(store.readStream(`s${count}-1`)), [])
        }
        assert.strictEqual((yield* assertSound(open)).length, 3 + 8 + 9 + 40 - 8)
      }))

    it.live("A4 G1 an append waits for the one that is being committed, and sees what it recorded", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url)
        const { store } = open
        const sql = yield* openSql(url)
        const others = { ...one("a-1"), events: proposedMany(3, () => ({ tags: ["k:1"] })) }
        const other = yield* appendInOpenTransaction(url, others)
        const waiting = yield* Effect.forkChild(Effect.all([
          Effect.result(store.append(one("a-1"))),
          Effect.result(store.append({ ...one("b-1"), condition: { after: 0, query: [{ tags: ["k:1"] }] } })),
          Effect.result(store.append(others)),
          Effect.result(store.append(one("c-1")))
        ], { concurrency: "unbounded" }))
        yield* waitFor(isAppendWaiting(sql), (isWaiting) => isWaiting)
        assert.deepStrictEqual(yield* wholeLog(store), [])
        assert.isUndefined(waiting.pollUnsafe())

        yield* other.commit
        const [conflict, condition, again, next] = yield* Fiber.join(waiting)
        assert.deepInclude(Result.isFailure(conflict) ? { ...conflict.failure } as object : {}, {
          _tag: "RevisionConflict",
          actual: 2
        })
        assert.deepInclude(Result.isFailure(condition) ? { ...condition.failure } as object : {}, {
          _tag: "AppendConditionFailed",
          position: 1
        })
        assert.deepInclude(Result.isSuccess(again) ? { ...again.success } as object : {}, {
          firstPosition: 1,
          alreadyAppended: true
        })
        assert.deepInclude(Result.isSuccess(next) ? { ...next.success } as object : {}, { position: 4 })
        yield* assertSound(open)
      }))

    it.live("G4 an append that waits for one that is rolled back takes its place, without a gap", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url)
        const sql = yield* openSql(url)
        const other = yield* appendInOpenTransaction(url, one("a-1"))
        const waiting = yield* Effect.forkChild(open.store.append(one("a-1")))
        yield* waitFor(isAppendWaiting(sql), (isWaiting) => isWaiting)
        yield* other.rollback
        assert.deepInclude({ ...(yield* Fiber.join(waiting)) } as object, { position: 1, revision: 0 })
        yield* assertSound(open)
      }))

    it.live("a lock that is held too long is AppendBusy: nothing is written, and all works when it is free", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url, { lockTimeout: "60 millis" })
        const { store } = open
        yield* store.append(one("a-1"))
        const holder = yield* inOpenTransaction(url, [takeAppendLock()])

        const error = yield* assertStorageError(store.append(one("a-1", 0)), "AppendBusy")
        assert.isTrue(error.isRetryable)
        yield* assertStorageError(store.tombstone("a-1"), "AppendBusy")
        for (const result of yield* together(store, 3)) {
          assert.isTrue(
            Result.isFailure(result) && result.failure._tag === "StorageError" && result.failure.isRetryable
          )
        }
        // readers do not wait
        assert.strictEqual((yield* wholeLog(store)).length, 1)
        assert.strictEqual((yield* store.head).position, 1)

        yield* holder.commit
        assert.strictEqual((yield* store.append(one("a-1", 0))).position, 2)
        yield* store.tombstone("a-1")
        assert.isTrue((yield* together(store, 3)).every(Result.isSuccess))
        yield* assertSound(open)
      }))

    it.live("a statement_timeout of the role is typed and writes nothing, while it waits for the lock and while it writes", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const sql = yield* openSql(url)
        yield* Effect.scoped(openStore(url))
        yield* runAll(sql, [`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET statement_timeout = '80ms'`])
        const open = yield* openStore(url)
        const { store } = open
        const holder = yield* inOpenTransaction(url, [takeAppendLock()])
        const error = yield* assertStorageError(store.append(one("a-1")), "Unavailable", /statement timeout/)
        assert.isTrue(error.isRetryable)
        yield* holder.commit

        yield* runAll(sql, [
          "CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(10); RETURN NULL; END'",
          "CREATE TRIGGER dawdle AFTER INSERT ON event_store.streams " +
          "FOR EACH ROW WHEN (new.name = 'slow-1') EXECUTE FUNCTION public.dawdle()"
        ])
        yield* assertStorageError(store.append(one("slow-1")), "Unavailable", /statement timeout/)
        const [slow, quick] = yield* Effect.all([
          Effect.result(store.append(one("slow-1"))),
          Effect.result(store.append(one("a-1")))
        ], { concurrency: "unbounded" })
        assert.isTrue(Result.isFailure(slow))
        assert.isTrue(Result.isSuccess(quick))
        assert.strictEqual((yield* assertSound(open)).length, 1)
      }))

    it.live("the only connection of a pool is enough to append, read and follow, with notifications on", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const open = yield* openStore(url, { maxConnections: 1 })
        const follower = yield* open.store.subscribe().pipe(Stream.take(20), Stream.runCollect, Effect.forkChild)
        assert.isTrue((yield* together(open.store, 20)).every(Result.isSuccess))
        assert.strictEqual((yield* Fiber.join(follower)).length, 20)
        yield* open.store.tombstone("b-1")
        yield* assertSound(open)
      }))

    it.live("an append that waits in the queue when the store is closed is answered, and so is one after it", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const holder = yield* inOpenTransaction(yield* Effect.as(Effect.scoped(openStore(url)), url), [
          takeAppendLock()
        ])
        const sql = yield* openSql(url)
        const { sent, store, waits } = yield* Effect.scoped(Effect.gen(function*() {
          const { store } = yield* openStore(url)
          const sent = yield* Effect.forkDetach(Effect.result(store.append(one("a-1"))))
          yield* waitFor(isAppendWaiting(sql), (isWaiting) => isWaiting)
          const waits = yield* Effect.forkDetach(Effect.result(store.append(one("b-1"))), { startImmediately: true })
          yield* Effect.forkDetach(holder.commit)
          return { sent, store, waits }
        }))
        for (const result of [yield* Fiber.join(sent), yield* Fiber.join(waits)]) {
          if (Result.isFailure(result)) assert.include(["StorageError", "AppendOutcomeUnknown"], result.failure._tag)
        }
        yield* assertStorageError(store.append(one("c-1")), "Unavailable", /closed/)
        yield* assertSound(yield* openStore(url))
      }))
  })
}

describe("appends (a server with other guests)", () => {
  it.live("G5 sessions that idle in transactions, and prepared ones, hold up neither appends nor readers; health names them", () =>
    Effect.gen(function*() {
      const server = yield* scopedServer({ settings: { max_prepared_transactions: "2" } })
      const url = yield* makeDatabase(server.admin)
      const open = yield* openStore(url)
      const { admin, store } = open
      const idle = yield* inOpenTransaction(url, [
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SELECT count(*) FROM event_store.events",
        "CREATE TABLE public.unfinished (i int)"
      ])
      const sql = yield* openSql(url)
      yield* inOpenTransaction(url, ["CREATE TABLE public.prepared (i int)", "PREPARE TRANSACTION 'forgotten'"])
      const follower = yield* store.subscribe().pipe(Stream.take(40), Stream.runCollect, Effect.forkChild)
      assert.isTrue((yield* together(store, 20)).every(Result.isSuccess))
      for (const n of indexes(20)) yield* store.append(one("a-1", n === 0 ? "noStream" : n - 1))
      assert.deepStrictEqual(positionsOf(yield* Fiber.join(follower)), indexes(40).map((n) => n + 1))
      assert.deepInclude((yield* admin.checkHealth).find(({ name }) => name === "prepared transactions"), {
        level: "warn",
        detail: "1"
      })
      yield* idle.commit
      yield* runAll(sql, ["ROLLBACK PREPARED 'forgotten'"])
      yield* assertSound(open)
    }))

  it.live("a server without a free connection is Unavailable with the reason, an open store goes on, a new one comes later", () =>
    Effect.gen(function*() {
      const server = yield* scopedServer({ settings: { max_connections: "12", superuser_reserved_connections: "0" } })
      const url = yield* makeDatabase(server.admin)
      const open = yield* openStore(url, { maxConnections: 2, readTimeout: "3 seconds" })
      yield* open.store.append(one("a-1"))
      yield* open.store.head
      yield* Effect.scoped(Effect.gen(function*() {
        yield* fillServer(url)
        // more reads at once than the pool has connections: each is answered
        const reads = yield* Effect.forEach(indexes(8), () => Effect.result(open.store.describeStream("a-1")), {
          concurrency: "unbounded"
        })
        assert.isTrue(reads.some(Result.isSuccess))
        yield* assertStorageError(Effect.scoped(openStore(url)), "Unavailable", /no connection left/)
        yield* open.store.append(one("a-1", 0))
      }))
      const later = yield* waitFor(Effect.result(openStore(url, { maxConnections: 2 })), Result.isSuccess)
      assert.isTrue(Result.isSuccess(later))
      yield* assertFailure(open.store.append(one("a-1")), {
        _tag: "RevisionConflict",
        streamId: "a-1",
        expected: "noStream",
        actual: 1
      })
      yield* assertSound(open)
    }))
})
