/**
 * What only a database has: transactions that were begun before a restore, and projections with tables.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber } from "effect"
import { ProjectionRunner } from "../../src/projection/index.ts"
import { type AnyStore, postgres } from "../backup/stores.ts"
import { appendSales, salesByCountry } from "../projection/sales.ts"
import { allRows, digestOf, someRows, SOURCE } from "./transfers.ts"

const sqlOf = ({ context }: AnyStore) =>
  Context.get(context as unknown as Context.Context<PgClient.PgClient>, PgClient.PgClient)

for (const { label, open } of postgres) {
  describe(`a restore and an open transaction (${label})`, () => {
    it.live("a snapshot that is committed while the restore is under way keeps the store from being filled over it", () =>
      Effect.gen(function*() {
        const store = yield* open
        const sql = sqlOf(store)
        const [written, mayCommit] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const transaction = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
          yield* sql`INSERT INTO event_store.snapshots (stream, kind, fingerprint, revision, first_revision, serialization,
              compression, plain_bytes, bytes, digest, taken_at, load_millis)
            VALUES ('a-1', 'early', repeat('a', 64), 0, 0, 'json', 'none', 1, '\\x00', sha256('x'), now(), 1)`
          yield* Deferred.succeed(written, undefined)
          yield* Deferred.await(mayCommit)
        })))
        yield* Deferred.await(written)
        const rows = someRows(10)
        const failure = yield* Effect.flip(Effect.scoped(Effect.gen(function*() {
          const session = yield* store.transfer.restore({ source: SOURCE, until: 10 })
          yield* session.writeEvents(rows)
          yield* Deferred.succeed(mayCommit, undefined)
          yield* Fiber.join(transaction)
          yield* session.finish({ digest: digestOf(rows), rest: () => Effect.void })
        })))
        assert.strictEqual(failure._tag, "RestoreTargetNotEmpty")
        assert.isTrue(yield* store.transfer.abandonRestore)
        assert.deepInclude((yield* store.transfer.describe) as object, { position: 0, isEmpty: false })
      }))

    it.live("a projection whose rows stand in tables is left out of a view, and it is said", () =>
      Effect.gen(function*() {
        const { context, transfer } = yield* open
        const { projection } = salesByCountry({ category: "sale" })
        yield* Effect.provideContext(
          Effect.andThen(appendSales("sale", 4), ProjectionRunner.runOnce(projection)),
          context
        )
        const view = yield* transfer.view
        const { name, version } = projection
        assert.deepStrictEqual(view.leftOut, [{ projection: name, version, build: 1, reason: "tables" }])
        assert.deepStrictEqual((yield* allRows(view)).checkpoints, [])
      }))
  })
}
