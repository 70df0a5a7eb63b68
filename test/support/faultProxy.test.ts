import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Queue, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import { makeFaultProxy } from "./faultProxy.ts"
import { makeDatabase } from "./postgres.ts"
import { servers } from "./servers.ts"
import { waitFor } from "./waitFor.ts"

for (const server of servers) {
  describe(`fault proxy (${server.label})`, () => {
    it.live("passes statements, and counts them", () =>
      Effect.gen(function*() {
        const { direct, proxied, proxy } = yield* setup(server.admin)

        yield* proxied`INSERT INTO t VALUES (${1})`

        assert.deepStrictEqual(yield* all(direct), [1])
        const counters = yield* proxy.counters
        assert.deepInclude(counters, { connections: 1, open: 1, statements: 1, faults: 0 })
        assert.isAbove(counters.bytesToServer, 0)
        assert.isAbove(counters.bytesToClient, 0)
      }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

    for (const isPrepared of [false, true]) {
      const kind = isPrepared ? "a prepared statement" : "a new statement"

      it.live(`a lost answer of ${kind} comes after the commit, and the client sees a lost connection`, () =>
        Effect.gen(function*() {
          const { direct, proxied, proxy } = yield* setup(server.admin)
          if (isPrepared) yield* proxied`INSERT INTO t VALUES (${0})`
          const armed = yield* proxy.arm("INSERT INTO t", { _tag: "LoseAnswer" })

          const exit = yield* Effect.exit(proxied`INSERT INTO t VALUES (${1})`)

          yield* armed.happened
          assert.isTrue(Exit.isFailure(exit))
          assert.deepStrictEqual(yield* all(direct), isPrepared ? [0, 1] : [1])
          assert.strictEqual((yield* proxy.counters).faults, 1)
          yield* proxied`INSERT INTO t VALUES (${2})`
        }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

      it.live(`a lost request of ${kind} never reaches the server`, () =>
        Effect.gen(function*() {
          const { direct, proxied, proxy } = yield* setup(server.admin)
          if (isPrepared) yield* proxied`INSERT INTO t VALUES (${0})`
          yield* proxy.arm("INSERT INTO t", { _tag: "LoseRequest" })

          const exit = yield* Effect.exit(proxied`INSERT INTO t VALUES (${1})`)

          assert.isTrue(Exit.isFailure(exit))
          assert.deepStrictEqual(yield* all(direct), isPrepared ? [0] : [])
        }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))
    }

    it.live("a lost answer of COMMIT leaves the transaction committed; a lost COMMIT, rolled back", () =>
      Effect.gen(function*() {
        const { direct, proxied, proxy } = yield* setup(server.admin)
        const insert = (i: number) => Effect.exit(proxied.withTransaction(proxied`INSERT INTO t VALUES (${i})`))

        yield* proxy.arm(/^COMMIT/i, { _tag: "LoseAnswer" })
        assert.isTrue(Exit.isFailure(yield* insert(1)))
        assert.deepStrictEqual(yield* all(direct), [1])

        yield* proxy.arm(/^COMMIT/i, { _tag: "LoseRequest" })
        assert.isTrue(Exit.isFailure(yield* insert(2)))
        assert.deepStrictEqual(yield* all(direct), [1])
      }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

    it.live("a silent loss leaves the client waiting in a half-open connection", () =>
      Effect.gen(function*() {
        const { direct, proxied, proxy } = yield* setup(server.admin)
        const armed = yield* proxy.arm("INSERT INTO t", { _tag: "LoseAnswer", ending: "silence" })
        const waiting = yield* Effect.forkChild(proxied`INSERT INTO t VALUES (${1})`)

        yield* armed.happened

        assert.deepStrictEqual(yield* all(direct), [1])
        assert.isUndefined(waiting.pollUnsafe())
        yield* proxy.reset
        assert.isTrue(Exit.isFailure(yield* Fiber.await(waiting)))
      }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

    it.live("a held request waits before the server, a held answer before the client", () =>
      Effect.gen(function*() {
        const { direct, proxied, proxy } = yield* setup(server.admin)
        const request = yield* proxy.arm("INSERT INTO t", { _tag: "HoldRequest" })
        const first = yield* Effect.forkChild(proxied`INSERT INTO t VALUES (${1})`)
        yield* request.happened
        assert.deepStrictEqual(yield* all(direct), [])
        yield* request.release
        yield* Fiber.join(first)
        assert.deepStrictEqual(yield* all(direct), [1])

        const answer = yield* proxy.arm("INSERT INTO t", { _tag: "HoldAnswer" })
        const second = yield* Effect.forkChild(proxied`INSERT INTO t VALUES (${2})`)
        yield* answer.happened
        assert.isUndefined(second.pollUnsafe())
        yield* answer.release
        yield* Fiber.join(second)
        assert.deepStrictEqual(yield* all(direct), [1, 2])
      }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

    it.live("a request that is cut does nothing, an answer that is cut is a failure", () =>
      Effect.gen(function*() {
        const { direct, proxied, proxy } = yield* setup(server.admin)

        yield* proxy.arm("INSERT INTO t", { _tag: "CutRequest", bytes: 7 })
        assert.isTrue(Exit.isFailure(yield* Effect.exit(proxied`INSERT INTO t VALUES (${1})`)))
        assert.deepStrictEqual(yield* all(direct), [])

        yield* proxy.arm("INSERT INTO t", { _tag: "CutAnswer", bytes: 7 })
        assert.isTrue(Exit.isFailure(yield* Effect.exit(proxied`INSERT INTO t VALUES (${2})`)))
        assert.deepStrictEqual(yield* all(direct), [2])
      }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

    it.live("a flipped bit in a row changes what the client reads, and nothing else", () =>
      Effect.gen(function*() {
        const { direct, proxied, proxy } = yield* setup(server.admin)
        yield* proxied`INSERT INTO t VALUES (${0})`
        // type 1, length 4, columns 2, length of the value 4, value 4: its last byte
        yield* proxy.arm("SELECT i", { _tag: "CorruptAnswer", message: "D", offset: 14, bit: 3 })

        assert.deepStrictEqual(yield* all(proxied), [8])
        assert.deepStrictEqual(yield* all(proxied), [0])
        assert.deepStrictEqual(yield* all(direct), [0])
      }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

    it.live("a refused server is away, and back on the same port", () =>
      Effect.gen(function*() {
        const { proxied, proxy } = yield* setup(server.admin)
        yield* proxied`INSERT INTO t VALUES (${1})`

        yield* proxy.setMode({ _tag: "Refuse" })
        assert.isTrue(Exit.isFailure(yield* Effect.exit(proxied`SELECT 1`)))
        assert.strictEqual((yield* proxy.counters).connections, 1)

        yield* proxy.setMode({ _tag: "Pass" })
        assert.deepStrictEqual(yield* eventually(all(proxied)), [1])
      }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

    it.live("a black hole answers nothing, on open and on new connections", () =>
      Effect.gen(function*() {
        const { proxied, proxy } = yield* setup(server.admin)
        yield* proxied`INSERT INTO t VALUES (${1})`

        yield* proxy.setMode({ _tag: "BlackHole" })
        const { bytesToClient } = yield* proxy.counters
        const waiting = yield* Effect.forkChild(proxied`SELECT 1`)
        const opening = yield* Effect.forkChild(
          Effect.scoped(Effect.flatMap(client(proxy.url), (sql) => sql`SELECT 1`))
        )
        yield* waitFor(proxy.counters, ({ bytesSwallowed, connections }) => bytesSwallowed > 0 && connections === 2)

        assert.isUndefined(waiting.pollUnsafe())
        assert.isUndefined(opening.pollUnsafe())
        assert.strictEqual((yield* proxy.counters).bytesToClient, bytesToClient)
        yield* proxy.setMode({ _tag: "Pass" })
        yield* proxy.reset
        assert.isTrue(Exit.isFailure(yield* Fiber.await(waiting)))
        assert.isTrue(Exit.isFailure(yield* Fiber.await(opening)))
        assert.deepStrictEqual(yield* eventually(all(proxied)), [1])
      }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

    it.live("delayed bytes arrive in order; a connection is cut after its bytes", () =>
      Effect.gen(function*() {
        const { proxied, proxy } = yield* setup(server.admin)
        yield* proxy.setMode({ _tag: "Delay", millis: 2 })
        yield* proxied`INSERT INTO t SELECT generate_series(1, 5000)`
        assert.strictEqual((yield* all(proxied)).length, 5000)

        yield* proxy.setMode({ _tag: "CutAfter", bytes: 10_000 })
        assert.isTrue(Exit.isFailure(yield* Effect.exit(all(proxied))))
        yield* proxy.setMode({ _tag: "Pass" })
        assert.strictEqual((yield* eventually(all(proxied))).length, 5000)
      }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))

    it.live("notifications can be dropped and duplicated", () =>
      Effect.gen(function*() {
        const { direct, proxied, proxy } = yield* setup(server.admin)
        const queue = yield* proxied.listen("c")

        yield* proxy.setNotifications("drop")
        yield* direct.notify("c", "dropped")
        yield* waitFor(proxy.counters, ({ notifications }) => notifications === 1)
        yield* proxy.setNotifications("duplicate")
        yield* direct.notify("c", "twice")

        const received = [yield* Queue.take(queue), yield* Queue.take(queue)]
        assert.deepStrictEqual(received.map(({ payload }) => payload), ["twice", "twice"])
      }).pipe(Effect.scoped, Effect.provide(Reactivity.layer)))
  })
}

// internal

const client = (url: string) =>
  PgClient.make({ url: Redacted.make(url), maxConnections: 2, connectTimeout: "500 millis" })

/** A pool gives out the failure of a connection that it tried before the server was back. */
const eventually = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E> => Effect.retry(self, { times: 5 })

/** A table `t (i int)` in a database of its own, a client to it, and one by way of a proxy. */
const setup = Effect.fnUntraced(function*(admin: string) {
  const url = yield* makeDatabase(admin)
  const proxy = yield* makeFaultProxy(url)
  const direct = yield* client(url)
  yield* direct`CREATE TABLE t (i int)`
  return { direct, proxy, proxied: yield* client(proxy.url) }
})

const all = (sql: PgClient.PgClient) =>
  Effect.map(sql<{ i: number }>`SELECT i FROM t ORDER BY i`, (rows) => rows.map(({ i }) => i))
