/**
 * What a server's background processes would do is done.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Pglite } from "../../src/pglite/index.ts"
import * as Instance from "../../src/pglite/internal/instance.ts"
import { waitFor } from "../support/waitFor.ts"
import { someDirectory, withPglite } from "./fixtures.ts"

const MEBIBYTE = 1024 * 1024

/** Writes about `count` MiB of log, in statements of a quarter of a MiB. */
const writeLog = (count: number) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS filler (content text)`
    yield* sql`ALTER TABLE filler ALTER content SET STORAGE EXTERNAL`
    const content = "x".repeat(MEBIBYTE / 4)
    yield* Effect.forEach(Array.from({ length: count * 4 }), () => sql`INSERT INTO filler VALUES (${content})`, {
      concurrency: 4,
      discard: true
    })
  })

const unrecovered = SqlClient.SqlClient.use((sql) =>
  Effect.map(
    sql<{ size: number }>`
      SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), redo_lsn)::float8 AS size FROM pg_control_checkpoint()`,
    ([row]) => row?.size ?? Number.NaN
  )
)

describe("maintenance of an embedded PostgreSQL", () => {
  it.live("keeps the log from growing, whatever is written", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      const segments = Effect.sync(() =>
        readdirSync(join(directory, "cluster/pg_wal")).filter((name) => /^[0-9A-F]{24}$/.test(name)).length
      )
      yield* Effect.gen(function*() {
        yield* writeLog(96)
        assert.isAtMost(yield* unrecovered, 32 * MEBIBYTE)
        // Of 16 MiB each: without checkpoints the 96 MiB would be six and more.
        assert.isAtMost(yield* segments, 4)
      }).pipe(withPglite({ directory, durability: "processCrash", checkpointAfterBytes: 16 * MEBIBYTE }))
    }).pipe(Effect.scoped))

  it.effect("writes a checkpoint when an interval passes without a write", () =>
    Effect.gen(function*() {
      yield* writeLog(3)
      assert.isAbove(yield* unrecovered, 2 * MEBIBYTE)
      yield* waitFor(Effect.andThen(TestClock.adjust("5 seconds"), unrecovered), (size) => size < MEBIBYTE)
    }).pipe(withPglite({})))

  it.effect("vacuums and analyzes the tables that were written", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE written AS SELECT g AS number FROM generate_series(1, 2000) g`
      yield* sql`CREATE TABLE hardly_written AS SELECT 1 AS number`
      yield* sql`DELETE FROM written WHERE number <= 1000`
      const maintained = sql<{ name: string }>`
        SELECT relname AS name FROM pg_stat_user_tables WHERE last_vacuum IS NOT NULL AND last_analyze IS NOT NULL`
      const tables = yield* waitFor(
        Effect.andThen(TestClock.adjust("5 seconds"), maintained),
        (rows) => rows.length > 0
      )
      assert.deepStrictEqual(tables, [{ name: "written" }])
    }).pipe(withPglite({})))

  it.live("a checkpoint on request leaves nothing to recover", () =>
    Effect.gen(function*() {
      yield* writeLog(2)
      yield* (yield* Pglite).checkpoint
      assert.isBelow(yield* unrecovered, 1024)
    }).pipe(withPglite({})))

  it.live("a commit waits for the disk when it is to outlive a power cut, and only then", () =>
    Effect.gen(function*() {
      const commits = 200
      const fsyncsOf = (durability: "powerLoss" | "processCrash") =>
        Effect.gen(function*() {
          const instance = yield* Instance.make({
            directory: yield* someDirectory,
            durability,
            clusterImage: undefined,
            settings: {},
            idleInTransaction: Duration.minutes(1)
          })
          const sql = yield* PgClient.make({ stream: instance.mux.connect, username: "postgres" })
          yield* sql`CREATE TABLE written (number int)`
          const before = instance.fsyncs()
          for (let number = 0; number < commits; number++) yield* sql`INSERT INTO written VALUES (${number})`
          return instance.fsyncs() - before
        }).pipe(Effect.scoped, Effect.provide(Reactivity.layer))
      assert.isAtLeast(yield* fsyncsOf("powerLoss"), commits)
      assert.strictEqual(yield* fsyncsOf("processCrash"), 0)
    }))

  it.live("closing in order leaves nothing to recover", () =>
    Effect.gen(function*() {
      const directory = yield* someDirectory
      yield* writeLog(2).pipe(withPglite({ directory }))
      // The state of the cluster, as `pg_controldata` tells it: 1 is "shut down", 6 would be "in production".
      assert.strictEqual(readFileSync(join(directory, "cluster/global/pg_control")).readInt32LE(16), 1)
    }).pipe(Effect.scoped))
})
