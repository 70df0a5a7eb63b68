/**
 * What projections of tables promise that apply on a condition, come after
 * others, or remove what is old: one text for all storages that have tables.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import type { RecordedEvent } from "../../src/event/Event.ts"
import { Projection, ProjectionRunner } from "../../src/projection/index.ts"
import type { TableProjection } from "../../src/projection/Projection.ts"
import type { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { scalar } from "../postgres/fixtures.ts"
import { append, proposed, someCategory, unique } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import { assertComplete, checkpointOf, eventsOf, SMALL, someProjectionName } from "./fixtures.ts"

const { runOnce } = ProjectionRunner

/** A table with a row an event. */
const rowsOf = (
  category: string,
  rest: Partial<{
    when: (event: RecordedEvent) => boolean
    retention: Projection.TableRetention<Readonly<Record<string, string>>>
    table: string
  }> = {}
): { readonly projection: TableProjection; readonly table: string } => {
  const table = rest.table ?? `t_${unique().slice(0, 20)}`
  return {
    table,
    projection: Projection.table({
      name: someProjectionName(),
      events: "all",
      where: { categories: [category] },
      tables: { [table]: "position bigint PRIMARY KEY, at timestamptz NOT NULL" } as Readonly<Record<string, string>>,
      when: rest.when,
      retention: rest.retention,
      on: ({ position, recordedAt }, tables) =>
        Projection.sql`INSERT INTO ${tables[table]!} VALUES (${position}, ${new Date(recordedAt.epochMilliseconds)})`
    })
  }
}

const positionsIn = (table: string) =>
  PgClient.PgClient.use((sql) =>
    Effect.map(
      sql.unsafe<{ readonly position: number }>(
        `SELECT position::float8 AS position FROM public.${table} ORDER BY position`
      ),
      (rows) => rows.map(({ position }) => position)
    )
  )

const tick = (category: string) => Effect.suspend(() => append(`${category}-1`, "any", [proposed("Ticked")]))

/** Appends until an event was recorded in the second after that of the last one. */
const tickToNextSecond = (category: string) =>
  Effect.gen(function*() {
    const { recordedAt } = (yield* eventsOf(category)).at(-1)!
    const second = Math.floor(recordedAt.epochMilliseconds / 1_000)
    yield* waitFor(
      Effect.andThen(tick(category), Effect.map(eventsOf(category), (events) => events.at(-1)!.recordedAt)),
      (at) => Math.floor(at.epochMilliseconds / 1_000) > second
    )
  })

const retention: Projection.TableRetention<Readonly<Record<string, string>>> = {
  every: "1 second",
  statements: (now, tables) =>
    Object.values(tables).map((table) =>
      Projection.sql`DELETE FROM ${table} WHERE at < ${now}::timestamptz - interval '700 milliseconds'`
    )
}

/** What must be left when that was run at the beginning of every second with events. */
const foldRows = (events: ReadonlyArray<RecordedEvent>): ReadonlyArray<number> => {
  let rows: Array<{ readonly position: number; readonly at: number }> = []
  let before: number | undefined
  for (const { position, recordedAt: { epochMilliseconds: at } } of events) {
    const second = Math.floor(at / 1_000)
    if (before !== undefined && second > before) rows = rows.filter((row) => row.at >= second * 1_000 - 700)
    before = second
    rows.push({ position, at })
  }
  return rows.map(({ position }) => position)
}

/** Registers the tests for one storage. */
export const suite = <E>(
  storage: string,
  layer: Layer.Layer<CheckpointStore | EventStore | PgClient.PgClient, E>
): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Kinds of tables (${storage})`, (it) => {
    it.effect("events of every type come to one handler, and only those lead to rows that meet the condition", () =>
      Effect.gen(function*() {
        const category = someCategory()
        for (let index = 0; index < 9; index++) yield* tick(category)
        for (const batchEvents of [1, 4, 1_000]) {
          const { projection, table } = rowsOf(category, { when: ({ revision }) => revision % 3 > 0 })
          yield* runOnce(projection, { batchEvents })
          const events = yield* eventsOf(category)
          assert.strictEqual((yield* checkpointOf(projection)).count, events.length)
          assert.deepStrictEqual(
            yield* positionsIn(table),
            events.filter(({ revision }) => revision % 3 > 0).map(({ position }) => position as number)
          )
          yield* assertComplete(projection)
        }
      }))

    it.effect("old rows are removed by the time of the log, in a rebuild as in the runs before, whatever the batches", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const live = rowsOf(category, { retention })
        yield* tick(category)
        yield* runOnce(live.projection)
        yield* tickToNextSecond(category)
        yield* runOnce(live.projection, { batchEvents: 40 })
        yield* tickToNextSecond(category)
        yield* tick(category)
        yield* runOnce(live.projection)
        const events = yield* eventsOf(category)
        const expected = foldRows(events)
        assert.isBelow(expected.length, events.length)
        assert.deepStrictEqual(yield* positionsIn(live.table), expected)
        for (const batchEvents of [1, 7, 1_000]) {
          const rebuilt = rowsOf(category, { retention })
          yield* runOnce(rebuilt.projection, { batchEvents })
          assert.deepStrictEqual(yield* positionsIn(rebuilt.table), expected)
          yield* assertComplete(rebuilt.projection)
        }
      }))

    it.effect("a removal that the database refuses halts at the event that begins the period", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* tick(category)
        yield* tickToNextSecond(category)
        const { projection, table } = rowsOf(category, {
          retention: { every: "1 second", statements: () => ({ text: "DELETE FROM public.nowhere", parameters: [] }) }
        })
        const error = yield* Effect.flip(runOnce(projection, SMALL))
        assert.strictEqual(error._tag, "ProjectionHalted")
        if (error._tag !== "ProjectionHalted") return
        assert.strictEqual(error.failure.reason, "StatementFailed")
        const events = yield* eventsOf(category)
        const [first] = events
        const before = events.filter(({ recordedAt }) =>
          Math.floor(recordedAt.epochMilliseconds / 1_000) === Math.floor(first!.recordedAt.epochMilliseconds / 1_000)
        )
        assert.deepStrictEqual(yield* positionsIn(table), before.map(({ position }) => position as number))
      }))

    it.effect("statements may join the tables of what the projection comes after", () =>
      Effect.gen(function*() {
        const category = someCategory()
        for (let index = 0; index < 12; index++) yield* tick(category)
        const first = rowsOf(category)
        const table = `t_${unique().slice(0, 20)}`
        const joining = Projection.table({
          name: someProjectionName(),
          events: "all",
          where: { categories: [category] },
          after: [first.projection],
          tables: { [table]: "position bigint PRIMARY KEY, found boolean NOT NULL" } as Readonly<
            Record<string, string>
          >,
          on: ({ position }, tables) =>
            Projection.sql`INSERT INTO ${tables[table]!} SELECT ${position}::bigint, EXISTS (
              SELECT 1 FROM ${new Projection.SqlName(
              `public.${first.table}`
            )} f WHERE f.position = ${position}::bigint)`
        })
        yield* Effect.all(
          [runOnce(joining, { batchEvents: 5, lease: "10 seconds" }), runOnce(first.projection, { batchEvents: 1 })],
          { concurrency: "unbounded" }
        )
        const sql = yield* PgClient.PgClient
        assert.strictEqual(yield* scalar(sql, `SELECT count(*)::int FROM public.${table} WHERE found`), 12)
      }))
  })
}
