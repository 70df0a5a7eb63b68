/**
 * Followers of one process and appends of another: a notification is a hint,
 * reading is the truth.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Stream } from "effect"
import { indexes, positionsOf, proposed } from "../store/fixtures.ts"
import { makeFaultProxy } from "../support/faultProxy.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { assertSound, inOpenTransaction, openSql, type OpenStore, openStore, runAll } from "./fixtures.ts"

const TOTAL = 60

/** Follows from the start; tells how much it has seen. */
const follow = (open: OpenStore, total = TOTAL) =>
  Effect.gen(function*() {
    const seen: Array<number> = []
    const fiber = yield* open.store.subscribe().pipe(
      Stream.take(total),
      Stream.tap(({ position }) => Effect.sync(() => seen.push(position))),
      Stream.runCollect,
      Effect.forkChild({ startImmediately: true })
    )
    return { fiber, seen }
  })

/** Appends singly and many at once, and waits for the follower in between: it is asleep at the end of the log. */
const appendAndWait = (writer: OpenStore, seen: ReadonlyArray<number>, total = TOTAL) =>
  Effect.gen(function*() {
    for (let written = 0; written < total;) {
      const count = Math.min(written % 3 === 0 ? 1 : 10, total - written)
      yield* Effect.forEach(indexes(count), (n) =>
        writer.store.append({ streamId: `a-${n}`, expected: "any", events: [proposed()] }), {
        concurrency: "unbounded"
      })
      written += count
      yield* waitFor(
        Effect.sync(() =>
          seen.length
        ),
        (length) => length >= written
      )
    }
  })

/** Ends the sessions that listen. */
const endListeners =
  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
const listeners = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"

for (const server of servers) {
  describe(`following another process (${server.label})`, () => {
    for (const schema of ["event_store", "user"]) {
      it.live(`a follower sees the appends of another process, whose notifications wake it (schema ${schema})`, () =>
        Effect.gen(function*() {
          const url = yield* makeDatabase(server.admin)
          const writer = yield* openStore(url, { schema })
          const proxy = yield* makeFaultProxy(url)
          const reader = yield* openStore(proxy.url, { schema })
          const { fiber, seen } = yield* follow(reader)
          yield* appendAndWait(writer, seen)
          assert.deepStrictEqual(yield* Fiber.join(fiber), yield* assertSound(writer))
          const { notifications } = yield* proxy.counters
          assert.isAtLeast(notifications, 6)
          // at most one a batch
          assert.isAtMost(notifications, TOTAL / 2)
        }))
    }

    it.live("an append notifies only while somebody follows", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const writer = yield* openStore(url)
        const sql = yield* openSql(url)
        // listens without saying so: what it is told is what appends send
        const deaf = yield* sql.listen("event_store")
        const append = (streamId: string) => writer.store.append({ streamId, expected: "any", events: [proposed()] })
        yield* append("a-1")
        const reader = yield* openStore(url)
        const { fiber } = yield* follow(reader, 2)
        yield* waitFor(
          sql`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = 1163088962 AND granted`,
          (rows) => rows.length === 1
        )
        yield* append("a-2")
        yield* Fiber.join(fiber)
        yield* sql`SELECT pg_notify('event_store', 'last')`
        const heard: Array<string> = []
        while (heard.at(-1) !== "last") heard.push((yield* Queue.take(deaf)).payload)
        assert.deepStrictEqual(heard, ["", "last"])
      }))

    it.live("P8 without notifications a follower sees them all the same, by polling", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const proxy = yield* makeFaultProxy(url)
        const writer = yield* openStore(url, { notifications: false })
        const reader = yield* openStore(proxy.url, { notifications: false })
        const sql = yield* openSql(url)
        const { fiber, seen } = yield* follow(reader)
        yield* appendAndWait(writer, seen)
        assert.deepStrictEqual(yield* Fiber.join(fiber), yield* assertSound(writer))
        assert.deepStrictEqual(yield* sql.unsafe(listeners), [])
      }))

    for (const fate of ["drop", "duplicate"] as const) {
      it.live(`P8 a follower whose notifications are ${fate === "drop" ? "all lost" : "doubled"} sees each event once`, () =>
        Effect.gen(function*() {
          const url = yield* makeDatabase(server.admin)
          const proxy = yield* makeFaultProxy(url)
          yield* proxy.setNotifications(fate)
          const writer = yield* openStore(url)
          const reader = yield* openStore(proxy.url)
          const { fiber, seen } = yield* follow(reader)
          yield* appendAndWait(writer, seen)
          assert.deepStrictEqual(yield* Fiber.join(fiber), yield* assertSound(writer))
          assert.isAtLeast((yield* proxy.counters).notifications, 6)
        }))
    }

    it.live("a follower whose listening session is ended goes on, and listens again", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const writer = yield* openStore(url)
        const reader = yield* openStore(url)
        const sql = yield* openSql(url)
        const { fiber, seen } = yield* follow(reader)
        yield* waitFor(sql.unsafe(listeners), (rows) => rows.length === 1)
        yield* runAll(sql, [endListeners])
        yield* appendAndWait(writer, seen)
        assert.deepStrictEqual(yield* Fiber.join(fiber), yield* assertSound(writer))
        yield* waitFor(sql.unsafe(listeners), (rows) => rows.length === 1)
      }))

    it.live("a follower in a storm of foreign notifications sees its events, and asks no more than it must", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const writer = yield* openStore(url)
        const proxy = yield* makeFaultProxy(url)
        const reader = yield* openStore(proxy.url)
        const sql = yield* openSql(url)
        const { fiber, seen } = yield* follow(reader, 12)
        yield* waitFor(sql.unsafe(listeners), (rows) => rows.length === 1)
        const before = yield* proxy.counters
        yield* runAll(sql, ["SELECT pg_notify('event_store', n::text) FROM generate_series(1, 5000) AS n"])
        yield* waitFor(proxy.counters, ({ notifications }) => notifications - before.notifications >= 5_000)
        yield* appendAndWait(writer, seen, 12)
        assert.deepStrictEqual(positionsOf(yield* Fiber.join(fiber)), indexes(12).map((n) => n + 1))
        assert.isAtMost((yield* proxy.counters).statements - before.statements, 500)
      }))

    it.live("a session that listens in an open transaction, and so holds back notifications, holds up no append", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const writer = yield* openStore(url)
        const reader = yield* openStore(url)
        const guest = yield* inOpenTransaction(url, ["LISTEN event_store", "SELECT 1"])
        const { fiber, seen } = yield* follow(reader)
        yield* appendAndWait(writer, seen)
        yield* guest.commit
        assert.deepStrictEqual(yield* Fiber.join(fiber), yield* assertSound(writer))
      }))

    it.live("followers that stop leave nothing that asks the server", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const proxy = yield* makeFaultProxy(url)
        const { store } = yield* openStore(proxy.url)
        yield* store.append({ streamId: "a-1", expected: "any", events: [proposed()] })
        const followers = yield* Effect.forEach(indexes(5), () => Effect.forkChild(Stream.runDrain(store.subscribe())))
        const reading = yield* proxy.counters
        yield* waitFor(proxy.counters, ({ statements }) => statements > reading.statements + 8)
        yield* Effect.forEach(followers, Fiber.interrupt)
        // quiet for as long as several polls take
        let last = { statements: -1, since: 0 }
        yield* waitFor(proxy.counters, ({ statements }) => {
          if (statements !== last.statements) last = { statements, since: performance.now() }
          return performance.now() - last.since > 500
        })
      }))
  })
}
