/**
 * The end of the layer's scope ends nothing that was under way.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { layer, Pglite } from "../../src/pglite/index.ts"
import { someDirectory, withPglite } from "./fixtures.ts"

describe("the closing of an embedded PostgreSQL", () => {
  it.live("waits for a transaction that is open", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(layer({ directory }), scope)
      const sql = yield* Context.get(context, Pglite).makeClient({ maxConnections: 1 })
      yield* sql`CREATE TABLE kept (name text)`
      const inserted = yield* Deferred.make<void>()
      const closing = yield* Deferred.make<void>()
      const transaction = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
        yield* sql`INSERT INTO kept VALUES ('first')`
        yield* Deferred.succeed(inserted, undefined)
        yield* Deferred.await(closing)
        yield* sql`INSERT INTO kept VALUES ('last')`
      })))
      yield* Deferred.await(inserted)
      const closed = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* Deferred.succeed(closing, undefined)
      yield* Fiber.join(transaction)
      yield* Fiber.join(closed)
      const { reason } = yield* Effect.flip(sql`SELECT 1`)
      assert.strictEqual(reason._tag, "ConnectionError")
      const rows = yield* SqlClient.SqlClient.use((again) => again`SELECT name FROM kept`).pipe(
        withPglite({ directory })
      )
      assert.deepStrictEqual(rows, [{ name: "first" }, { name: "last" }])
    }).pipe(Effect.scoped))

  it.live("leaves nothing that keeps the process alive or grows from one opening to the next", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      const once = SqlClient.SqlClient.use((sql) => sql`SELECT 1`).pipe(withPglite({ directory }))
      const resources = () => process.getActiveResourcesInfo().filter((name) => name !== "Immediate").length
      yield* once
      const before = resources()
      for (let round = 0; round < 3; round++) yield* once
      assert.isAtMost(resources(), before)
    }).pipe(Effect.scoped))
})
