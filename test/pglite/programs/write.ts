/**
 * Writes rows to the directory of its argument until it is killed, and prints
 * the number of each when it is committed.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { writeSync } from "node:fs"
import { layer } from "../../../src/pglite/index.ts"

const program = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS written (number int PRIMARY KEY, pair int NOT NULL, filler text)`
  const [last] = yield* sql<{ number: number | null }>`SELECT max(number) AS number FROM written`
  for (let number = (last?.number ?? 0) + 1;; number += 2) {
    // Two rows a transaction: one without the other would be a torn one.
    yield* sql.withTransaction(Effect.gen(function*() {
      yield* sql`INSERT INTO written VALUES (${number}, ${number + 1}, repeat(md5(${String(number)}), 50))`
      yield* sql`INSERT INTO written VALUES (${number + 1}, ${number}, '')`
    }))
    yield* Effect.sync(() => writeSync(1, `${number + 1}\n`))
  }
}).pipe(Effect.provide(layer({
  directory: process.argv[2],
  durability: process.argv[3] === "processCrash" ? "processCrash" : "powerLoss",
  checkpointAfterBytes: 16 * 1024 * 1024
})))

await Effect.runPromise(program)
