/**
 * A server that crashes during a restore, and forgets the steps that it had not written yet.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Scope, Stream } from "effect"
import { openSql, runAll, scalar } from "../postgres/fixtures.ts"
import { digestOf } from "../store/transfers.ts"
import { startServer } from "../support/postgres.ts"
import { postgresAt } from "./anyStore.ts"
import { monthlyRows } from "./archives.ts"
import { INCARNATION } from "./fixtures.ts"

const ROWS = monthlyRows()

/** How far the mark says that the restore has come, and how many events are staged. */
const look = (url: string) =>
  Effect.scoped(Effect.gen(function*() {
    const sql = yield* openSql(url, { maxConnections: 1 })
    const mark = yield* scalar(
      sql,
      "SELECT coalesce((SELECT (restoring ->> 'position')::int FROM event_store.head), 0)"
    )
    const months = yield* scalar(
      sql,
      "SELECT string_agg(relname, ' ') FROM pg_class WHERE relname ~ '^restoring_.{7}$'"
    )
    let staged = 0
    for (const month of typeof months === "string" ? months.split(" ") : []) {
      staged += Number(yield* scalar(sql, `SELECT count(*)::int FROM event_store.${month}`))
    }
    return { mark, staged }
  }))

it.live(
  "what a crash of the server takes back of a restore is taken back with its mark, and what is finished stays",
  () =>
    Effect.gen(function*() {
      // it writes soon, but not at once, what no commit waits for
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => startServer({ settings: { wal_writer_delay: "12ms" } })),
        (server) => Effect.promise(() => server.stop())
      )
      const crash = Effect.andThen(Effect.promise(() => server.kill9()), Effect.promise(() => server.start()))
      yield* Effect.scoped(Effect.flatMap(openSql(server.admin), (sql) => runAll(sql, ["CREATE DATABASE shop"])))
      const url = server.url("shop")
      yield* Effect.scoped(postgresAt(url).open)
      const plan = { source: INCARNATION, until: ROWS.length }
      for (const until of [10, 25, 45, 60]) {
        const scope = yield* Scope.make()
        const { transfer } = yield* Scope.provide(postgresAt(url).open, scope)
        const session = yield* Scope.provide(transfer.restore(plan), scope)
        for (let at = session.position; at < until; at++) yield* session.writeEvents([ROWS[at]!])
        yield* crash
        yield* Effect.ignore(Scope.close(scope, Exit.void))
        const { mark, staged } = yield* look(url)
        assert.strictEqual(staged, mark)
        assert.isAtMost(staged, until)
      }
      yield* Effect.scoped(Effect.gen(function*() {
        const { transfer } = yield* postgresAt(url).open
        const session = yield* transfer.restore(plan)
        yield* session.writeEvents(ROWS.slice(session.position))
        yield* session.finish({ digest: digestOf(ROWS), rest: () => Effect.void })
        yield* crash
      }))
      const { admin, store } = yield* postgresAt(url).open
      assert.strictEqual((yield* Stream.runCollect(store.readAll())).length, ROWS.length)
      assert.deepStrictEqual(yield* admin.verifyLog, [])
    }),
  60_000
)
