/**
 * What queries of tables promise: one text for all storages that have tables.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, type Layer, Schema, Stream } from "effect"
import { Projection, ProjectionQuery, ReadToken } from "../../src/projection/index.ts"
import { setUpStatements, tearDownStatements } from "../../src/projection/internal/setUp.ts"
import type { TableProjection } from "../../src/projection/Projection.ts"
import type { CheckpointStore, SqlStatement } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { ReadModelStore } from "../../src/store/ReadModelStore.ts"
import { append, indexes, someStream, unique } from "../store/fixtures.ts"
import { someProjectionName } from "./fixtures.ts"
import { commitAt } from "./keptStates.ts"
import { Sold } from "./sales.ts"

const { count, list, one, stream } = ProjectionQuery

/** A table of a name of its own. */
const someTable = (
  body: string,
  rest: { readonly name?: string; readonly table?: string; readonly version?: number } = {}
) => {
  const table = rest.table ?? `t_${unique().slice(0, 20)}`
  const projection = Projection.table({
    name: rest.name ?? someProjectionName(),
    version: rest.version,
    events: [Sold],
    tables: { [table]: body },
    on: { Sold: () => [] }
  })
  return { projection, table, physical: `public.${table}_v${rest.version ?? 1}` }
}

/** Makes the table, with its view, and runs statements on it. */
const make = (projection: TableProjection, statements: ReadonlyArray<SqlStatement>) =>
  commitAt(projection, { statements: [...setUpStatements(projection.target, true), ...statements], setUp: true })

const statement = (text: string, ...parameters: SqlStatement["parameters"]): SqlStatement => ({ text, parameters })

const Sale = Schema.Struct({ country: Schema.String, cents: Schema.BigInt, note: Schema.NullOr(Schema.String) })

const SALES = "country text COLLATE \"C\" PRIMARY KEY, cents bigint NOT NULL, note text COLLATE \"C\""

/** Sales of 0, 1, 2, 0, 1, 2, … cents; every fourth without a note. */
const someSales = (rows: number) => {
  const { physical, projection, table } = someTable(SALES)
  const insert = indexes(rows).map((index) =>
    statement(
      `INSERT INTO ${physical} VALUES ($1, $2, $3)`,
      `c${String(index).padStart(3, "0")}`,
      BigInt(index % 3),
      index % 4 === 0 ? null : `note ${index % 5}`
    )
  )
  return { projection, table, physical, insert, query: ProjectionQuery.table(projection, table, Sale) }
}

type AnyQuery = ProjectionQuery.Query<{ readonly country: string }, never, never, unknown>

const walk = (
  query: AnyQuery,
  options: object,
  limit: number,
  between: Effect.Effect<unknown, unknown, PgClient.PgClient>
) =>
  Effect.gen(function*() {
    const keys: Array<string> = []
    let cursor: string | undefined
    do {
      const page: ProjectionQuery.Page<{ readonly country: string }> = yield* list(
        query,
        { ...options, limit, cursor } as never
      )
      keys.push(...page.items.map(({ country }) => country))
      cursor = page.next
      yield* between
    } while (cursor !== undefined)
    return keys
  })

/** Registers the tests for one storage. */
export const suite = <E>(
  storage: string,
  layer: Layer.Layer<CheckpointStore | EventStore | ReadModelStore | PgClient.PgClient, E>
): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(
    `ProjectionQuery of tables (${storage})`,
    (it) => {
      it.effect("a filter is compared by the database, and `ne` and `not` hold for null", () =>
        Effect.gen(function*() {
          const { insert, projection, query } = someSales(12)
          yield* make(projection, insert)
          const cases: ReadonlyArray<readonly [object, number]> = [
            [{ field: "country", eq: "c003" }, 1],
            [{ field: "country", ne: "c003" }, 11],
            [{ field: "country", gte: "c010" }, 2],
            [{ field: "country", prefix: "c00" }, 10],
            [{ field: "country", like: "%1_" }, 2],
            [{ field: "country", in: ["c000", "c001", "'; --"] }, 2],
            [{ field: "country", in: [] }, 0],
            [{ field: "cents", gt: 0n, lt: 2n }, 4],
            [{ field: "cents", gt: 0.5 }, 8],
            [{ field: "cents", eq: 2 }, 4],
            [{ field: "note", isNull: true }, 3],
            [{ field: "note", isNull: false }, 9],
            [{ field: "note", eq: "note 1" }, 3],
            [{ field: "note", ne: "note 1" }, 9],
            [{ not: { field: "note", prefix: "note" } }, 3],
            [{ or: [{ field: "note", isNull: true }, { field: "cents", eq: 0n }] }, 6],
            [{ and: [{ field: "note", isNull: true }, { field: "cents", eq: 0n }] }, 1]
          ]
          for (const [where, expected] of cases) {
            const said = JSON.stringify(where, (_, value) => typeof value === "bigint" ? `${value}n` : value)
            assert.strictEqual(yield* count(query, { where } as never), expected, said)
            assert.strictEqual((yield* list(query, { where } as never)).items.length, expected, said)
          }
        }))

      it.effect("pages neither skip nor repeat, with null and equal values, in every direction, while others write", () =>
        Effect.gen(function*() {
          const { insert, physical, projection, query } = someSales(25)
          yield* make(projection, insert)
          const sql = yield* PgClient.PgClient
          const sorts = [
            { sort: [], by: "country" },
            { sort: [{ field: "country", descending: true }], by: "country DESC" },
            { sort: [{ field: "cents" }], by: "cents, country" },
            { sort: [{ field: "cents", descending: true }], by: "cents DESC, country DESC" },
            { sort: [{ field: "note" }], by: "note, country" },
            { sort: [{ field: "note", descending: true }], by: "note DESC, country DESC" },
            { sort: [{ field: "note", descending: true }, { field: "cents" }], by: "note DESC, cents, country" },
            { sort: [{ field: "cents" }, { field: "note", descending: true }], by: "cents, note DESC, country DESC" },
            { sort: [{ field: "cents", descending: true }, { field: "country" }], by: "cents DESC, country" }
          ]
          for (const { by, sort } of sorts) {
            const rows = yield* sql.unsafe<{ readonly country: string }>(
              `SELECT country FROM ${physical} ORDER BY ${by}`
            )
            const expected = rows.map(({ country }) => country)
            for (const limit of [1, 4, 24, 25, 100]) {
              let round = 0
              const between = Effect.suspend(() =>
                sql.unsafe(`INSERT INTO ${physical} VALUES ('x ${limit} ${round++}', ${round % 4}, NULL)`)
              )
              const seen = yield* walk(query as never, { sort }, limit, between)
              assert.deepStrictEqual(seen.filter((key) => key.startsWith("c")), expected, `${by} by ${limit}`)
              yield* sql.unsafe(`DELETE FROM ${physical} WHERE country LIKE 'x%'`)
            }
          }
        }))

      it.effect("whole numbers, decimals, times and JSON come as what the schema of the row wants", () =>
        Effect.gen(function*() {
          const body = `id bigint PRIMARY KEY, whole bigint, amount numeric, at timestamptz, day date, is_open boolean,
          data jsonb, ratio double precision, ref uuid, bytes bytea`
          const { physical, projection, table } = someTable(body)
          yield* make(projection, [
            statement(`INSERT INTO ${physical} VALUES
            (9007199254740993, 42, 12.50, '2026-01-02 03:04:05.123456+02', '2026-01-02', true, '{"a":[1]}', 0.1,
              '01890000-0000-7000-8000-000000000001', '\\x00ff')`),
            statement(`INSERT INTO ${physical} (id) VALUES (1)`)
          ])
          const exact = ProjectionQuery.table(
            projection,
            table,
            Schema.Struct({
              id: Schema.BigInt,
              amount: Schema.NullOr(Schema.String),
              at: Schema.NullOr(Schema.String),
              day: Schema.NullOr(Schema.String),
              is_open: Schema.NullOr(Schema.Boolean),
              data: Schema.Unknown,
              ref: Schema.NullOr(Schema.String)
            })
          )
          const [none, row] = (yield* list(exact)).items
          assert.deepStrictEqual(row, {
            id: 9007199254740993n,
            amount: "12.50",
            at: "2026-01-02T01:04:05.123456+00:00",
            day: "2026-01-02",
            is_open: true,
            data: { a: [1] },
            ref: "01890000-0000-7000-8000-000000000001"
          })
          assert.deepStrictEqual(none, {
            id: 1n,
            amount: null,
            at: null,
            day: null,
            is_open: null,
            data: null,
            ref: null
          })
          const handy = ProjectionQuery.table(
            projection,
            table,
            Schema.Struct({
              whole: Schema.NullOr(Schema.Int),
              amount: Schema.NullOr(Schema.Number),
              at: Schema.NullOr(Schema.DateTimeUtcFromDate),
              ratio: Schema.NullOr(Schema.Number),
              bytes: Schema.NullOr(Schema.Uint8Array)
            })
          )
          const found = yield* one(handy, { where: { field: "whole", eq: 42 } })
          assert.strictEqual(found._tag, "Some")
          if (found._tag !== "Some") return
          const { at, bytes, ...rest } = found.value
          assert.deepStrictEqual(rest, { whole: 42, amount: 12.5, ratio: 0.1 })
          assert.strictEqual(at?.epochMilliseconds, Date.UTC(2026, 0, 2, 1, 4, 5, 123))
          assert.deepStrictEqual([...bytes!], [0, 255])
          const wrong = ProjectionQuery.table(projection, table, Schema.Struct({ id: Schema.Int }))
          const error = yield* Effect.flip(list(wrong))
          assert.deepInclude(error, { _tag: "RowUnreadable", table })
          assert.match(error.message, /id: Expected/)
          // a time is compared with its microseconds, in a cursor as well
          for (const field of ["at", "day", "ratio", "amount", "whole", "ref"] as const) {
            const query = ProjectionQuery.table(
              projection,
              table,
              Schema.Struct({
                id: Schema.BigInt,
                [field]: Schema.Unknown
              })
            )
            const first = yield* list(query, { sort: [{ field }], limit: 1 } as never)
            assert.deepStrictEqual(first.items.map(({ id }) => id), [9007199254740993n])
            const second = yield* list(query, { sort: [{ field }], limit: 1, cursor: first.next } as never)
            assert.deepStrictEqual(second.items.map(({ id }) => id), [1n])
            assert.isUndefined(second.next)
          }
        }))

      it.effect("names come from the schema of the row only, and are quoted", () =>
        Effect.gen(function*() {
          const hostile = "a\"; DROP TABLE x; --"
          const { physical, projection, table } = someTable(
            `id int PRIMARY KEY, "${hostile.replaceAll("\"", "\"\"")}" text, "number" int`
          )
          yield* make(projection, [statement(`INSERT INTO ${physical} VALUES (1, 'x', 7)`)])
          const query = ProjectionQuery.table(
            projection,
            table,
            Schema.Struct({
              id: Schema.Int,
              [hostile]: Schema.String,
              number: Schema.Int
            })
          )
          const where = { field: hostile, eq: "x" } as never
          assert.deepStrictEqual((yield* list(query, { where, sort: [{ field: hostile }] } as never)).items, [
            { id: 1, [hostile]: "x", number: 7 } as never
          ])
          for (const field of ["country", "id\"", "*", "1", "constructor", "", "physical.id"]) {
            const error = yield* Effect.flip(list(query, { where: { field, eq: 1 } } as never))
            assert.deepInclude(error, { _tag: "QueryInvalid", path: "where.field" })
            const order = yield* Effect.flip(list(query, { sort: [{ field }] } as never))
            assert.deepInclude(order, { _tag: "QueryInvalid", path: "sort[0].field" })
          }
          for (const name of ["pg_class", `${table}"`, "", "constructor"]) {
            const error = yield* Effect.flip(
              list(ProjectionQuery.table(projection, name, Schema.Struct({ id: Schema.Int })))
            )
            assert.deepInclude(error, { _tag: "QueryInvalid", path: "query" })
          }
          for (
            const row of [
              Schema.Struct({}),
              Schema.Struct({ ["x".repeat(64)]: Schema.Int }),
              Schema.Struct({ "\0": Schema.Int })
            ]
          ) {
            const error = yield* Effect.flip(list(ProjectionQuery.table(projection, table, row as never)))
            assert.deepInclude(error, { _tag: "QueryInvalid", path: "query" })
          }
        }))

      it.effect("values are parameters, whatever they hold, and one that does not fit its column is refused", () =>
        Effect.gen(function*() {
          const { insert, projection, query } = someSales(3)
          yield* make(projection, insert)
          const large = "x".repeat(1_000_000)
          for (const eq of ["'; DROP TABLE x; --", "$1", large, "\\", "%"]) {
            assert.strictEqual(yield* count(query, { where: { field: "country", eq } }), 0)
          }
          for (
            const where of [{ field: "cents", eq: "x" }, { field: "cents", prefix: "1" }, {
              field: "cents",
              eq: 10n ** 30n
            }]
          ) {
            const error = yield* Effect.flip(count(query, { where } as never))
            assert.deepInclude(error, { _tag: "QueryInvalid", path: "where" })
          }
          const { next } = yield* list(query, { sort: [{ field: "cents" }], limit: 1 })
          const parts = JSON.parse(Buffer.from(next!, "base64url").toString()) as Array<string>
          const cursor = Buffer.from(JSON.stringify([parts[0], "1 OR 1=1", parts[2]])).toString("base64url")
          assert.strictEqual(
            (yield* Effect.flip(list(query, { sort: [{ field: "cents" }], cursor })))._tag,
            "CursorInvalid"
          )
        }))

      it.effect("a table that is not there, lacks a column or has no key is told apart", () =>
        Effect.gen(function*() {
          const { projection, query, table } = someSales(0)
          assert.match((yield* Effect.flip(list(query))).message, /it is not there/)
          assert.strictEqual((yield* Effect.flip(count(query)))._tag, "TableUnreadable")
          yield* make(projection, [])
          const wider = ProjectionQuery.table(
            projection,
            table,
            Schema.Struct({ country: Schema.String, more: Schema.Int })
          )
          assert.match((yield* Effect.flip(list(wider))).message, /no column "more"/)
          assert.strictEqual((yield* Effect.flip(one(wider, {})))._tag, "TableUnreadable")
          const bare = someTable("n int")
          yield* make(bare.projection, [])
          const error = yield* Effect.flip(
            list(ProjectionQuery.table(bare.projection, bare.table, Schema.Struct({ n: Schema.NullOr(Schema.Int) })))
          )
          assert.match(error.message, /primary key/)
          const unique = someTable("a int, b int NOT NULL, UNIQUE (a), UNIQUE (b)")
          yield* make(unique.projection, [
            statement(`INSERT INTO ${unique.physical} VALUES (NULL, 2), (1, 1), (NULL, 3)`)
          ])
          const byB = ProjectionQuery.table(unique.projection, unique.table, Schema.Struct({ b: Schema.Int }))
          assert.deepStrictEqual(yield* Stream.runCollect(stream(byB, { limit: 1 })), [{ b: 1 }, { b: 2 }, { b: 3 }])
        }))

      it.effect("rows and the position are of one snapshot, and a token waits for it", () =>
        Effect.gen(function*() {
          const { insert, physical, projection, query } = someSales(1)
          yield* make(projection, insert)
          const { position } = yield* append(someStream(), "noStream", [{
            type: "Sold",
            data: { country: "DE", units: 1 }
          }])
          const token = yield* ReadToken.after({ position })
          assert.strictEqual((yield* Effect.flip(list(query, { after: token, timeout: 20 })))._tag, "StaleRead")
          yield* commitAt(projection, { statements: [statement(`UPDATE ${physical} SET cents = 99`)] })
          const page = yield* list(query, { after: token })
          assert.strictEqual(page.items[0]?.cents, 99n)
          assert.isAtLeast(page.position, position)
        }))

      it.effect("readers see the version that is live, and its position", () =>
        Effect.gen(function*() {
          const old = someSales(2)
          yield* make(old.projection, old.insert)
          const next = someTable(SALES, { name: old.projection.name, table: old.table, version: 2 })
          yield* append(someStream(), "noStream", [{ type: "Sold", data: { country: "DE", units: 1 } }])
          yield* commitAt(next.projection, { statements: setUpStatements(next.projection.target, false), setUp: true })
          const query = ProjectionQuery.table(next.projection, next.table, Sale)
          const before = yield* list(query)
          assert.strictEqual(before.items.length, 2)
          const ahead = yield* ReadModelStore.use((store) => store.readPoint({ name: old.projection.name, version: 2 }))
          assert.isAbove(ahead.position, before.position)
          yield* commitAt(old.projection, { statements: tearDownStatements(old.projection.target) })
          assert.strictEqual((yield* Effect.flip(list(query)))._tag, "TableUnreadable")
        }))
    }
  )
}
