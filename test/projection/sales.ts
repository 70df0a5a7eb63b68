/**
 * Sales, and what the table of units by country must hold of them.
 */
import { PgClient } from "@effect/sql-pg"
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as EventType from "../../src/event/EventType.ts"
import { Projection } from "../../src/projection/index.ts"
import type { TableProjection } from "../../src/projection/Projection.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { indexes, unique } from "../store/fixtures.ts"
import { assertComplete, eventsOf, seenUntil, someProjectionName } from "./fixtures.ts"

export const Sold = EventType.make("Sold", { country: Schema.String, units: Schema.Int })

/** What a test may want to be different. */
export interface SalesOptions {
  readonly category: string
  readonly version?: number
  readonly name?: string
  readonly table?: string
  readonly body?: string
  readonly action?: "halt" | "park"
  /** More statements, after that of a sale. */
  readonly more?: (units: number) => ReadonlyArray<string>
}

/** Units by country, in a table of its own. */
export const salesByCountry = (options: SalesOptions) => {
  const table = options.table ?? `t_${unique().slice(0, 20)}`
  const projection = Projection.table({
    name: options.name ?? someProjectionName(),
    version: options.version,
    events: [Sold],
    where: { categories: [options.category] },
    onError: { action: options.action },
    tables: { [table]: options.body ?? "country text PRIMARY KEY, units bigint NOT NULL, events bigint NOT NULL" },
    on: {
      Sold: ({ data: { country, units } }, tables) => [
        Projection
          .sql`INSERT INTO ${tables[table]!} AS t (country, units, events) VALUES (${country}, ${units}::bigint, 1)
          ON CONFLICT (country) DO UPDATE SET units = t.units + excluded.units, events = t.events + 1`,
        ...(options.more?.(units) ?? []).map((text) => ({ text, parameters: [] }))
      ]
    }
  })
  return { projection, table, physical: `public.${Projection.tableName(table, options.version ?? 1)}` }
}

const COUNTRIES = ["DE", "FR", "constructor", "x'y\"z"]

/** Sales of 1, 2, 3, … units, over a few streams and countries. */
export const appendSales = (category: string, count: number) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    for (const index of indexes(count)) {
      yield* store.append({
        streamId: `${category}-${index % 3}`,
        expected: "any",
        events: [
          { type: "Sold", data: { country: COUNTRIES[index % COUNTRIES.length]!, units: index + 1 } },
          { type: "Ignored", data: {} }
        ]
      })
    }
  })

/** Asserts that the table is the fold of the log as far as it was seen, and that the digest says so too. */
export const assertSales = (category: string, projection: TableProjection, table: string) =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const expected = new Map<string, { units: number; events: number }>()
    for (const { data, type } of yield* eventsOf(category, yield* seenUntil(projection))) {
      if (type !== "Sold") continue
      const { country, units } = data as typeof Sold.schema.Type
      const before = expected.get(country) ?? { units: 0, events: 0 }
      expected.set(country, { units: before.units + units, events: before.events + 1 })
    }
    const rows = yield* sql.unsafe(
      `SELECT country, units::float8 AS units, events::float8 AS events FROM ${table} ORDER BY country COLLATE "C"`
    )
    assert.deepStrictEqual(
      rows.map((row) => ({ ...row })),
      [...expected].map(([country, row]) => ({ country, ...row })).sort((a, b) => (a.country < b.country ? -1 : 1))
    )
    yield* assertComplete(projection)
  })
