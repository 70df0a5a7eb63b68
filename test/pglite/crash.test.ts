/**
 * What was committed is there after a kill, a crash of PGlite, or the end of
 * the process.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger, Queue } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { Pglite } from "../../src/pglite/index.ts"
import { waitFor } from "../support/waitFor.ts"
import { someDirectory, startProgram, withPglite } from "./fixtures.ts"

const quietly = Effect.provide(Logger.layer([]))

/** Nests deeper than the stack of WebAssembly: PGlite overflows it, and is broken. */
const breakPglite = (sql: SqlClient.SqlClient) => sql`SELECT ${"[".repeat(200_000) + "]".repeat(200_000)}::json`

const isLost = (exit: Exit.Exit<unknown, SqlError.SqlError>): boolean =>
  Exit.isFailure(exit) &&
  exit.cause.reasons.some((reason) => Cause.isFailReason(reason) && reason.error.reason._tag === "ConnectionError")

const namesBelow = (directory: string): ReadonlyArray<string> =>
  existsSync(directory) ? readdirSync(directory, { recursive: true, encoding: "utf8" }) : []

describe("an embedded PostgreSQL that is killed", () => {
  for (const durability of ["powerLoss", "processCrash"]) {
    it.live(`has every acknowledged row afterwards, and no half of a transaction (${durability})`, () =>
      Effect.gen(function*() {
        const directory = yield* someDirectory
        let acknowledged = 0
        for (let round = 1; round <= 3; round++) {
          const writer = yield* startProgram("write", directory, durability)
          yield* waitFor(Effect.sync(() => writer.lines.length), (count) => count >= round * 20)
          yield* writer.end
          acknowledged = Number(writer.lines.at(-1))
          const [row] = yield* Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            return yield* sql<{ last: number; count: number; torn: number }>`
              SELECT max(number) AS last, count(*)::int AS count,
                (SELECT count(*)::int FROM written w WHERE NOT EXISTS (SELECT FROM written p WHERE p.number = w.pair)) AS torn
              FROM written`
          }).pipe(withPglite({ directory }))
          assert.isAtLeast(row?.last ?? 0, acknowledged)
          assert.deepStrictEqual(row, { last: row?.last, count: row?.last, torn: 0 })
        }
      }).pipe(Effect.scoped))
  }

  it.live("while its directory was being made, starts anew", () =>
    Effect.gen(function*() {
      for (const depth of ["", "cluster.unfinished", "base"]) {
        const directory = join(yield* someDirectory, "store")
        const maker = yield* startProgram("hold", directory)
        yield* waitFor(
          Effect.sync(() => namesBelow(directory)),
          (names) => names.some((name) => name.includes(depth))
        )
        yield* maker.end
        const rows = yield* SqlClient.SqlClient.use((sql) => sql`SELECT 1 AS one`).pipe(withPglite({ directory }))
        assert.deepStrictEqual(rows, [{ one: 1 }])
        assert.deepStrictEqual(readdirSync(directory), ["cluster"])
      }
    }).pipe(Effect.scoped))
})

describe("an embedded PostgreSQL that breaks", () => {
  it.live("fails what is under way as a lost connection, and has everything committed when it is open again", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const { makeClient } = yield* Pglite
        yield* sql`CREATE TABLE kept (name text)`
        yield* sql`INSERT INTO kept VALUES ('before')`
        const other = yield* makeClient({ maxConnections: 1 })
        yield* other`SELECT 1`
        const exits: Array<Exit.Exit<unknown, SqlError.SqlError>> = []
        yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
          yield* sql`INSERT INTO kept VALUES ('lost')`
          const waiting = yield* Effect.forkScoped(
            Effect.exit(other`INSERT INTO kept VALUES ('waiting')`),
            { startImmediately: true }
          )
          // When this is answered, the other statement is in the queue.
          yield* sql`SELECT 1`
          exits.push(yield* Effect.exit(breakPglite(sql)), yield* Fiber.join(waiting))
        })))
        assert.deepStrictEqual(exits.map(isLost), [true, true])
        yield* sql`INSERT INTO kept VALUES ('after')`
        assert.deepStrictEqual(yield* other`SELECT name FROM kept ORDER BY ctid`, [{ name: "before" }, {
          name: "after"
        }])
      }).pipe(Effect.scoped, withPglite({ directory }), quietly)
      const rows = yield* SqlClient.SqlClient.use((sql) => sql`SELECT name FROM kept`).pipe(withPglite({ directory }))
      assert.lengthOf(rows, 2)
    }).pipe(Effect.scoped))

  it.live("rolls back the transaction in which it broke", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE kept (name text)`
        const exit = yield* Effect.exit(
          sql.withTransaction(Effect.andThen(sql`INSERT INTO kept VALUES ('lost')`, breakPglite(sql)))
        )
        assert.isTrue(Exit.isFailure(exit))
        assert.deepStrictEqual(yield* sql`SELECT name FROM kept`, [])
      }).pipe(withPglite({ directory }), quietly)
    }).pipe(Effect.scoped))

  it.live("listeners are told, and can listen again", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      yield* Effect.gen(function*() {
        const pg = yield* PgClient.PgClient
        const queue = yield* pg.listen("news")
        yield* Effect.ignore(breakPglite(pg))
        const { reason } = yield* Effect.flip(Queue.take(queue))
        assert.strictEqual(reason._tag, "ConnectionError")
        const again = yield* pg.listen("news")
        yield* pg.notify("news", "back")
        assert.strictEqual((yield* Queue.take(again)).payload, "back")
      }).pipe(Effect.scoped, withPglite({ directory }), quietly)
    }).pipe(Effect.scoped))

  it.live("in memory stays failed, and says so", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* Effect.ignore(breakPglite(sql))
      const { reason } = yield* Effect.flip(sql`SELECT 1`)
      assert.strictEqual(reason._tag, "ConnectionError")
      assert.match(String(reason.cause), /in memory is lost/)
    }).pipe(withPglite({}), quietly))

  it.live("leaves no file open", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      const openFiles = () => readdirSync("/dev/fd").length
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`SELECT count(*) FROM pg_class`
        const before = openFiles()
        for (let round = 0; round < 3; round++) {
          yield* Effect.ignore(breakPglite(sql))
          yield* sql`SELECT count(*) FROM pg_class`
        }
        assert.isAtMost(openFiles(), before + 2)
      }).pipe(withPglite({ directory }), quietly)
    }).pipe(Effect.scoped))

  it.live("does not break by recursion that PostgreSQL can see", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`
        CREATE FUNCTION descend(depth int) RETURNS int LANGUAGE plpgsql AS
        $$ BEGIN RETURN CASE WHEN depth = 0 THEN 0 ELSE descend(depth - 1) END; END $$`
      const { reason } = yield* Effect.flip(sql`SELECT descend(100000)`)
      assert.match(String(reason.cause), /stack depth limit exceeded/)
      assert.deepStrictEqual(yield* sql`SELECT descend(20) AS bottom`, [{ bottom: 0 }])
    }).pipe(withPglite({})))
})
