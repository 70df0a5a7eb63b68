/** An append together with other work: both are committed, or neither is. */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Data, Deferred, Effect, Exit, Fiber, Layer, Option } from "effect"
import { randomUUID } from "node:crypto"
import { PgTransaction } from "../../src/postgres/index.ts"
import { layerPostgres, type PostgresStoreOptions } from "../../src/runtime/index.ts"
import { type AppendAllOptions, EventStore } from "../../src/store/index.ts"
import { makeFaultProxy } from "../support/faultProxy.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { assertSound, assertStorageError, type OpenStore, openStore } from "./fixtures.ts"

class OutOfStock extends Data.TaggedError("OutOfStock")<{}> {}

const openWith = (url: string, options: Omit<PostgresStoreOptions, "url"> = {}) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(Layer.fresh(layerPostgres({ url, ...options })))
    const sql = Context.get(context, PgClient.PgClient)
    yield* sql`CREATE TABLE IF NOT EXISTS notes (id text PRIMARY KEY)`
    return {
      store: Context.get(context, EventStore),
      sql,
      transact: Context.get(context, PgTransaction.PgTransaction).transact,
      notes: Effect.map(sql`SELECT id FROM notes ORDER BY id`, (rows) => rows.map(({ id }) => String(id)))
    }
  })

const placed = (streamId: string, expected: "noStream" | "any" = "noStream", id = randomUUID()): AppendAllOptions => ({
  writes: [{ streamId, expected, events: [{ id, type: "OrderPlaced", data: { total: 10 } }] }]
})

/** Writes a note, and leads to the append. */
const note = (sql: PgClient.PgClient, id: string, append: AppendAllOptions) =>
  Effect.as(sql`INSERT INTO notes ${sql.insert({ id })}`, { append, value: id })

for (const server of servers) {
  describe(`PgTransaction (${server.label})`, () => {
    it.live("the work and the append are committed together", () =>
      Effect.gen(function*() {
        const { notes, sql, store, transact } = yield* openWith(yield* makeDatabase(server.admin))
        const { result, value } = yield* transact(note(sql, "a", placed("order-1")))
        assert.strictEqual(value, "a")
        assert.strictEqual(result.position, (yield* store.head).position)
        assert.deepStrictEqual(yield* notes, ["a"])
      }))

    it.live("another schema and its settings are those of the layer", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const { sql, store, transact } = yield* openWith(url, { schema: "other_store" })
        yield* transact(note(sql, "a", placed("order-1")))
        assert.strictEqual((yield* store.head).position, 1)
      }))

    it.live("every refusal of the append, and every failure of the work, takes both back", () =>
      Effect.gen(function*() {
        const { notes, sql, store, transact } = yield* openWith(yield* makeDatabase(server.admin))
        yield* transact(
          note(sql, "first", {
            writes: [{ streamId: "order-1", expected: "noStream", events: [{ type: "A", data: 1, tags: ["t:1"] }] }]
          })
        )
        const id = randomUUID()
        yield* store.append({ streamId: "order-2", expected: "any", events: [{ id, type: "A", data: 1 }] })
        yield* store.append({ streamId: "order-3", expected: "any", events: [{ type: "A", data: 1 }] })
        yield* store.tombstone("order-3")
        const before = yield* store.head

        const tags = yield* Effect.forEach(
          [
            note(sql, "x", placed("order-1")),
            note(sql, "x", { ...placed("order-9"), condition: { query: [{ tags: ["t:1"] }], after: 0 } }),
            note(sql, "x", placed("order-9", "any", id)),
            note(sql, "x", placed("order-3", "any")),
            note(sql, "x", placed("$bad")),
            note(sql, "x", { writes: [] }),
            Effect.andThen(note(sql, "x", placed("order-9")), Effect.fail(new OutOfStock())),
            note(sql, "first", placed("order-9"))
          ],
          (work) => Effect.map(Effect.flip(transact(work)), ({ _tag }) => _tag)
        )
        assert.deepStrictEqual(tags, [
          "RevisionConflict",
          "AppendConditionFailed",
          "IdempotencyConflict",
          "StreamTombstoned",
          "InvalidInput",
          "InvalidInput",
          "OutOfStock",
          // the work's own: a note with this id is there
          "SqlError"
        ])
        const defect = yield* Effect.exit(
          transact(Effect.andThen(note(sql, "x", placed("order-9")), Effect.die("bug")))
        )
        assert.isTrue(Exit.hasDies(defect))

        assert.deepStrictEqual(yield* notes, ["first"])
        assert.deepStrictEqual(yield* store.head, before)
      }))

    it.live("an interrupted transaction leaves nothing, and frees its connection", () =>
      Effect.gen(function*() {
        const { notes, sql, store, transact } = yield* openWith(yield* makeDatabase(server.admin), {
          maxConnections: 2
        })
        for (let round = 0; round < 5; round++) {
          const isWorking = yield* Deferred.make<void>()
          const fiber = yield* Effect.forkChild(transact(
            note(sql, "x", placed("order-1")).pipe(
              Effect.tap(() => Deferred.succeed(isWorking, undefined)),
              Effect.andThen(Effect.never)
            )
          ))
          yield* Deferred.await(isWorking)
          yield* Fiber.interrupt(fiber)
        }
        assert.deepStrictEqual(yield* notes, [])
        assert.strictEqual((yield* store.head).position, 0)
      }))

    it.live("the append lock is free while the work runs", () =>
      Effect.gen(function*() {
        const { sql, store, transact } = yield* openWith(yield* makeDatabase(server.admin))
        const mayEnd = yield* Deferred.make<void>()
        const isWorking = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(transact(
          note(sql, "a", placed("order-1")).pipe(
            Effect.tap(() => Deferred.succeed(isWorking, undefined)),
            Effect.tap(() => Deferred.await(mayEnd))
          )
        ))
        yield* Deferred.await(isWorking)
        const other = yield* store.append({ streamId: "order-2", expected: "any", events: [{ type: "A", data: 1 }] })
        assert.strictEqual(other.position, 1)
        yield* Deferred.succeed(mayEnd, undefined)
        assert.strictEqual((yield* Fiber.join(fiber)).result.position, 2)
      }))

    it.live("a retry with the same ids does the work once, and answers the original places", () =>
      Effect.gen(function*() {
        const { notes, sql, transact } = yield* openWith(yield* makeDatabase(server.admin))
        const id = randomUUID()
        const first = yield* transact(note(sql, "a", placed("order-1", "noStream", id)))
        const again = yield* transact(note(sql, "b", placed("order-1", "noStream", id)))
        assert.deepStrictEqual([first.result.alreadyAppended, again.result.alreadyAppended], [false, true])
        assert.strictEqual(again.result.position, first.result.position)
        assert.deepStrictEqual(yield* notes, ["a"])
      }))

    it.live("append inside a transaction of the client is refused, and so is a transaction in a transaction", () =>
      Effect.gen(function*() {
        const { sql, store, transact } = yield* openWith(yield* makeDatabase(server.admin))
        const append = store.append({ streamId: "order-1", expected: "any", events: [{ type: "A", data: 1 }] })
        yield* assertStorageError(sql.withTransaction(append), "Refused", /PgTransaction\.transact/)
        yield* assertStorageError(sql.withTransaction(transact(note(sql, "a", placed("order-1")))), "Refused")
        assert.strictEqual((yield* store.head).position, 0)
        assert.strictEqual((yield* append).position, 1)
      }))

    it.live("A7 a lost answer to COMMIT is resolved: committed is answered as done, exactly once", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const direct: OpenStore = yield* openStore(url)
        const proxy = yield* makeFaultProxy(url)
        const { sql, transact } = yield* openWith(proxy.url)
        yield* transact(note(sql, "warm", placed("order-0")))

        const lost = yield* proxy.arm((text) => text === "COMMIT", { _tag: "LoseAnswer" })
        const { result } = yield* transact(note(sql, "a", placed("order-1")))
        yield* lost.happened
        assert.strictEqual(result.alreadyAppended, false)
        assert.strictEqual(result.position, 2)

        // COMMIT never came: nothing was written, and that is what is answered
        const dropped = yield* proxy.arm((text) => text === "COMMIT", { _tag: "LoseRequest" })
        yield* assertStorageError(transact(note(sql, "b", placed("order-2"))), "Unavailable")
        yield* dropped.happened

        const log = yield* assertSound(direct)
        assert.deepStrictEqual(log.map(({ streamId }) => streamId as string), ["order-0", "order-1"])
        const rows = yield* direct.sql`SELECT id FROM notes ORDER BY id`
        assert.deepStrictEqual(rows.map(({ id }) => id), ["a", "warm"])
      }))
  })
}

// seconds of waiting, and no matter of the version
for (const server of servers.slice(0, 1)) {
  describe("PgTransaction behind a silent network", () => {
    it.live(
      "A7 a server that answers no COMMIT any more is waited for no longer than it may take, nor after an interruption",
      () =>
        Effect.gen(function*() {
          const url = yield* makeDatabase(server.admin)
          const direct: OpenStore = yield* openStore(url)
          const proxy = yield* makeFaultProxy(url)
          const { sql, store, transact } = yield* openWith(proxy.url, { resolveTimeout: "2 seconds" })
          yield* transact(note(sql, "warm", placed("order-0")))
          const silence = proxy.arm((text) => text === "COMMIT", { _tag: "LoseAnswer", ending: "silence" })

          const lost = yield* silence
          const { result } = yield* transact(note(sql, "a", placed("order-1")))
          yield* lost.happened
          assert.strictEqual(result.position, 2)

          const works: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
            transact(note(sql, "b", placed("order-2"))),
            store.tombstone("order-1")
          ]
          yield* Effect.forEach(works, (work) =>
            Effect.gen(function*() {
              const armed = yield* silence
              const fiber = yield* Effect.forkChild(work)
              yield* armed.happened
              assert.isTrue(
                Option.isSome(yield* Effect.timeoutOption(Fiber.interrupt(fiber), "30 seconds")),
                "it hangs"
              )
            }), { discard: true })
          assert.isTrue(Option.getOrThrow(yield* direct.store.describeStream("order-1")).isTombstoned)
          const log = yield* assertSound(direct)
          assert.deepStrictEqual(log.map(({ streamId }) => streamId as string), ["order-0", "order-1", "order-2"])
          const rows = yield* direct.sql`SELECT id FROM notes ORDER BY id`
          assert.deepStrictEqual(rows.map(({ id }) => id), ["a", "b", "warm"])
        }),
      60_000
    )
  })
}
