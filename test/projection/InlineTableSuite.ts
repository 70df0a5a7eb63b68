/**
 * Tables in the transaction of the append: what needs PostgreSQL or PGlite.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Data, Effect, Exit, Fiber, type Layer, Option, Schema } from "effect"
import { PgTransaction } from "../../src/postgres/index.ts"
import { Projection, ProjectionControl, ProjectionRebuild, ProjectionState } from "../../src/projection/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { indexes, unique } from "../store/fixtures.ts"
import { checkpointOf } from "./fixtures.ts"
import { inline, reasonOf, type Services } from "./InlineSuite.ts"
import { appendSales, assertSales, salesByCountry, Sold } from "./sales.ts"

class Refused extends Data.TaggedError("Refused")<{}> {}

interface Units {
  readonly units: number
}

const someCategory = (): string => `sale${unique().replaceAll("-", "").slice(0, 16)}`

const headOf = EventStore.use((store) => Effect.map(store.head, ({ position }) => position))

const sell = (category: string, units: number) =>
  EventStore.use((store) =>
    store.append({
      streamId: `${category}-1`,
      expected: "any",
      events: [Sold.make({ country: "DE", units })]
    })
  )

export const suite = <E>(
  storage: string,
  layer: Layer.Layer<Services | PgClient.PgClient | PgTransaction.PgTransaction, E>
): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`inline tables (${storage})`, (it) => {
    it.effect("after every append the table is the fold of the log, up to its head", () => {
      const category = someCategory()
      const { physical, projection } = salesByCountry({ category })
      return inline(
        [projection],
        Effect.gen(function*() {
          for (const more of indexes(4)) {
            yield* appendSales(category, more + 1)
            assert.strictEqual((yield* checkpointOf(projection)).position, yield* headOf)
            yield* assertSales(category, projection, physical)
          }
        })
      )
    })

    it.effect("of 40 appends at once each one's row is there when it is acknowledged", () => {
      const category = someCategory()
      const table = `rows_${unique().slice(0, 12)}`
      const projection = Projection.table({
        name: table,
        events: [Sold],
        where: { categories: [category] },
        tables: { [table]: "position bigint PRIMARY KEY, units int NOT NULL" },
        on: {
          Sold: ({ data, position }, tables) =>
            Projection.sql`INSERT INTO ${tables[table]!} VALUES (${position}::bigint, ${data.units})`
        }
      })
      return inline(
        [projection],
        Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          yield* Effect.forEach(indexes(40), (units) =>
            Effect.gen(function*() {
              const { position } = yield* sell(category, units)
              const rows = yield* sql<Units>`SELECT units FROM ${sql(`${table}_v1`)} WHERE position = ${position}`
              assert.deepStrictEqual(rows.map((row) => row.units), [units])
            }), { concurrency: "unbounded" })
        })
      )
    })

    it.effect("a statement that the database refuses fails its append alone, and nothing of it is written", () => {
      const category = someCategory()
      const { physical, projection } = salesByCountry({
        category,
        body: "country text PRIMARY KEY, units bigint NOT NULL, events bigint NOT NULL, CHECK (units < 1000)"
      })
      return inline(
        [projection],
        Effect.gen(function*() {
          yield* sell(category, 10)
          const before = yield* headOf
          const reason = yield* reasonOf(sell(category, 1_000))
          assert.strictEqual(reason._tag === "InlineFailed" ? reason.why : reason._tag, "StatementFailed")
          assert.strictEqual(yield* headOf, before)
          const exits = yield* Effect.forEach([1, 2_000, 2, 3_000, 3], (units) => Effect.exit(sell(category, units)), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true, false, true])
          yield* assertSales(category, projection, physical)
        })
      )
    })

    it.effect("what the database refuses only at COMMIT fails the append, and nothing of it is written", () => {
      const category = someCategory()
      const table = `late_${unique().slice(0, 12)}`
      const { physical, projection } = salesByCountry({
        category,
        table,
        body: "country text PRIMARY KEY, units bigint UNIQUE DEFERRABLE INITIALLY DEFERRED, events bigint NOT NULL",
        more: (units) => units < 100 ? [] : [`INSERT INTO public.${table}_v1 VALUES ('XX', ${units}, 0)`]
      })
      return inline(
        [projection],
        Effect.gen(function*() {
          const before = yield* headOf
          const reason = yield* reasonOf(sell(category, 500))
          assert.strictEqual(reason._tag === "InlineFailed" ? reason.why : reason._tag, "CommitRefused")
          assert.strictEqual(yield* headOf, before)
          yield* sell(category, 5)
          yield* assertSales(category, projection, physical)
        })
      )
    })

    it.effect("a table that was dropped fails the appends that need it, and no others", () => {
      const category = someCategory()
      const { physical, projection } = salesByCountry({ category })
      return inline(
        [projection],
        Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          const store = yield* EventStore
          yield* sell(category, 1)
          yield* sql.unsafe(`DROP TABLE ${physical} CASCADE`)
          const reason = yield* reasonOf(sell(category, 1))
          assert.strictEqual(reason._tag, "InlineFailed")
          yield* store.append({ streamId: `${category}-1`, expected: "any", events: [{ type: "Other", data: {} }] })
        })
      )
    })

    it.effect("an append in a transaction of the caller's takes them along, or undoes all of it", () => {
      const category = someCategory()
      const { physical, projection } = salesByCountry({
        category,
        body: "country text PRIMARY KEY, units bigint NOT NULL, events bigint NOT NULL, CHECK (units < 1000)"
      })
      const notes = `notes_${unique().slice(0, 12)}`
      const transact = (units: number, more: Effect.Effect<void, Refused> = Effect.void) =>
        PgTransaction.transact(Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          yield* sql.unsafe(`INSERT INTO public.${notes} VALUES (${units})`)
          yield* more
          const events = [Sold.make({ country: "FR", units })]
          return { append: { writes: [{ streamId: `${category}-2`, expected: "any" as const, events }] }, value: units }
        }))
      return inline(
        [projection],
        Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          const noted = Effect.map(
            sql<Units>`SELECT units FROM ${sql(notes)} ORDER BY 1`,
            (rows) => rows.map((row) => row.units)
          )
          yield* sql.unsafe(`CREATE TABLE public.${notes} (units int)`)
          yield* transact(7)
          yield* assertSales(category, projection, physical)
          assert.strictEqual((yield* checkpointOf(projection)).position, yield* headOf)
          const before = yield* headOf
          assert.strictEqual((yield* reasonOf(transact(1_000)))._tag, "InlineFailed")
          yield* Effect.flip(transact(1, Effect.fail(new Refused())))
          assert.strictEqual(yield* headOf, before)
          assert.deepStrictEqual(yield* noted, [7])
          yield* transact(8)
          yield* sell(category, 9)
          yield* assertSales(category, projection, physical)
          assert.deepStrictEqual(yield* noted, [7, 8])
        })
      )
    })

    it.effect("built anew and swapped while it is appended to, every append finds its row in what is live", () => {
      const category = someCategory()
      const table = `swap_${unique().slice(0, 12)}`
      const projection = Projection.table({
        name: table,
        events: [Sold],
        where: { categories: [category] },
        tables: { [table]: "position bigint PRIMARY KEY, units int NOT NULL" },
        on: {
          Sold: ({ data, position }, tables) =>
            Projection.sql`INSERT INTO ${tables[table]!} VALUES (${position}::bigint, ${data.units})`
        }
      })
      return inline(
        [projection],
        Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          const rebuilds = yield* Effect.forkChild(
            Effect.forEach(indexes(3), () => ProjectionRebuild.blueGreen(projection))
          )
          for (let units = 0; rebuilds.pollUnsafe() === undefined || units < 20; units++) {
            const { position } = yield* sell(category, units)
            const rows = yield* sql<Units>`SELECT units FROM ${sql(table)} WHERE position = ${position}`
            assert.deepStrictEqual(rows.map((row) => row.units), [units])
          }
          const numbers = (yield* Fiber.join(rebuilds)).map(({ build }) => build.build)
          assert.strictEqual(new Set(numbers).size, 3)
          const found = Option.getOrThrow(yield* ProjectionControl.verify(projection))
          assert.isTrue(found.isComplete)
          assert.strictEqual(found.checkpoint.position, yield* headOf)
        })
      )
    })

    it.effect("a key of the state comes from the place that the append gives", () => {
      const category = someCategory()
      const byRevision = Projection.state({
        name: `by revision ${category}`,
        events: [Sold],
        where: { categories: [category] },
        state: Schema.Struct({ units: Schema.Int, at: Schema.Int }),
        initial: { units: 0, at: 0 },
        key: ({ revision }) => `r${revision}`,
        on: { Sold: (_, { data, position }) => ({ units: data.units, at: position }) }
      })
      return inline(
        [byRevision],
        Effect.gen(function*() {
          const first = yield* sell(category, 1)
          const second = yield* sell(category, 2)
          const states = yield* ProjectionState.list(byRevision)
          assert.deepStrictEqual(states, [
            { key: "r0", state: { units: 1, at: first.position } },
            { key: "r1", state: { units: 2, at: second.position } }
          ])
        })
      )
    })
  })
}
