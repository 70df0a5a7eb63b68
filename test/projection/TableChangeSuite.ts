/**
 * What the change feed promises of tables: one text for all storages that have
 * tables.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import {
  ChangeFeed,
  Projection,
  ProjectionControl,
  ProjectionRebuild,
  ProjectionRunner
} from "../../src/projection/index.ts"
import { setUpStatements } from "../../src/projection/internal/setUp.ts"
import type { TableProjection } from "../../src/projection/Projection.ts"
import type { CheckpointStore, SqlStatement } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import type { ReadModelStore } from "../../src/store/ReadModelStore.ts"
import { append, proposed, proposedMany, someCategory, someStream, unique } from "../store/fixtures.ts"
import { assertComplete, someProjectionName } from "./fixtures.ts"
import { commitAt } from "./keptStates.ts"
import { appendSales, Sold } from "./sales.ts"

const { changes, now } = ChangeFeed

const watched = (body: string, name = someProjectionName()) => {
  const table = `t_${unique().slice(0, 20)}`
  const projection = Projection.table({
    name,
    events: [Sold],
    changes: {},
    tables: { [table]: body },
    on: { Sold: () => [] }
  })
  return { projection, table, physical: `public.${table}_v1` }
}

const run = (projection: TableProjection, ...texts: ReadonlyArray<string>) =>
  commitAt(projection, { statements: texts.map((text): SqlStatement => ({ text, parameters: [] })) })

const make = (projection: TableProjection) =>
  commitAt(projection, { statements: setUpStatements(projection.target, true), setUp: true })

const grow = append(someStream(), "any", proposedMany(1))

const after = (projection: TableProjection, token: string) =>
  Effect.map(
    changes(projection, { after: token }),
    (page) => page.changes.map(({ key, kind }) => `${kind} ${JSON.stringify(key)}`).sort()
  )

/** Registers the tests for one storage. */
export const suite = <E>(
  storage: string,
  layer: Layer.Layer<CheckpointStore | EventStore | ReadModelStore | PgClient.PgClient, E>
): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`ChangeFeed of tables (${storage})`, (it) => {
    it.effect("rows that statements insert, change, move and delete are told by their primary key, once a commit", () =>
      Effect.gen(function*() {
        const { physical, projection, table } = watched("country text, day date, n bigint, PRIMARY KEY (country, day)")
        yield* grow
        yield* make(projection)
        const token = yield* now(projection)
        const upsert = `INSERT INTO ${physical} AS t VALUES ('D''E"', '2026-01-02', 1)
          ON CONFLICT (country, day) DO UPDATE SET n = t.n + 1`
        yield* run(projection, upsert, upsert, `INSERT INTO ${physical} VALUES ('FR', '2026-01-02', 9007199254740993)`)
        const first = yield* changes(projection, { after: token })
        assert.deepStrictEqual(
          first.changes.map(({ key, kind, table: of }) => [key["country"], key["day"], kind, of]).sort(),
          [
            ["D'E\"", "2026-01-02", "changed", table],
            ["FR", "2026-01-02", "changed", table]
          ]
        )
        assert.isTrue(first.changes.every(({ position }) => position === first.position))
        yield* run(projection, `UPDATE ${physical} SET country = 'IT' WHERE country = 'FR'`)
        assert.deepStrictEqual(yield* after(projection, first.next), [
          "changed {\"day\":\"2026-01-02\",\"country\":\"IT\"}",
          "removed {\"day\":\"2026-01-02\",\"country\":\"FR\"}"
        ])
        const second = yield* now(projection)
        yield* run(projection, `DELETE FROM ${physical}`, `INSERT INTO ${physical} VALUES ('IT', '2026-01-02', 0)`)
        assert.deepStrictEqual(yield* after(projection, second), [
          "changed {\"day\":\"2026-01-02\",\"country\":\"IT\"}",
          "removed {\"day\":\"2026-01-02\",\"country\":\"D'E\\\"\"}"
        ])
      }))

    it.effect("a statement of somebody else is in the feed as well", () =>
      Effect.gen(function*() {
        const { physical, projection } = watched("id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text")
        yield* grow
        yield* make(projection)
        yield* run(projection, `INSERT INTO ${physical} (t) VALUES ('a')`)
        const token = yield* now(projection)
        const sql = yield* PgClient.PgClient
        yield* sql.unsafe(`INSERT INTO ${physical} (t) VALUES (repeat('x', 1000000))`)
        yield* Effect.ignore(sql.withTransaction(Effect.andThen(
          sql.unsafe(`INSERT INTO ${physical} (t) VALUES ('undone')`),
          Effect.fail("undo")
        )))
        yield* run(projection, `UPDATE ${physical} SET t = 'b' WHERE t = 'a'`)
        const page = yield* changes(projection, { after: token })
        assert.deepStrictEqual(page.changes.map(({ key }) => key), [{ id: "2" }, { id: "1" }])
      }))

    it.effect("rows that are there when the table is made are changes, and TRUNCATE begins another feed", () =>
      Effect.gen(function*() {
        const { physical, projection } = watched("id int PRIMARY KEY")
        yield* grow
        yield* commitAt(projection, {
          statements: [
            ...setUpStatements(projection.target, true),
            { text: `INSERT INTO ${physical} VALUES (1), (2)`, parameters: [] }
          ],
          setUp: true
        })
        const page = yield* changes(projection)
        assert.deepStrictEqual(page.changes.map(({ key }) => key["id"]).sort(), ["1", "2"])
        yield* run(projection, `TRUNCATE ${physical}`, `INSERT INTO ${physical} VALUES (3)`)
        assert.strictEqual((yield* Effect.flip(changes(projection, { after: page.next })))._tag, "ChangesExpired")
        const token = yield* now(projection)
        yield* run(projection, `INSERT INTO ${physical} VALUES (4)`)
        assert.deepStrictEqual(yield* after(projection, token), ["changed {\"id\":\"4\"}"])
      }))

    it.effect("a runner fills the feed, and so it does after a reset and in a build that became live", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const table = `t_${unique().slice(0, 20)}`
        const projection = Projection.table({
          name: someProjectionName(),
          events: [Sold],
          where: { categories: [category] },
          changes: { retain: 10 },
          tables: { [table]: "country text PRIMARY KEY, units bigint NOT NULL" },
          on: {
            Sold: ({ data }, tables) =>
              Projection.sql`INSERT INTO ${tables[table]!} AS t VALUES (${data.country}, ${data.units}::bigint)
                ON CONFLICT (country) DO UPDATE SET units = t.units + excluded.units`
          }
        })
        const keys = (token: string) =>
          Effect.map(
            changes(projection, { after: token }),
            (page) => page.changes.map(({ key }) => key["country"]).sort()
          )
        const sell = Effect.suspend(() =>
          append(`${category}-x`, "any", [proposed("Sold", { data: { country: "NL", units: 1 } })])
        )
        yield* appendSales(category, 12)
        yield* ProjectionRunner.runOnce(projection, { batchEvents: 4 })
        let token = yield* now(projection)
        for (const again of [ProjectionControl.reset(projection), ProjectionRebuild.blueGreen(projection)]) {
          yield* sell
          yield* ProjectionRunner.runOnce(projection)
          assert.deepStrictEqual(yield* keys(token), ["NL"])
          yield* again
          assert.strictEqual((yield* Effect.flip(changes(projection, { after: token })))._tag, "ChangesExpired")
          token = yield* now(projection)
          assert.deepStrictEqual(yield* keys(token), [])
          yield* ProjectionRunner.runOnce(projection)
          token = yield* now(projection)
        }
        yield* sell
        yield* ProjectionRunner.runOnce(projection)
        assert.deepStrictEqual(yield* keys(token), ["NL"])
        yield* assertComplete(projection)
        const sql = yield* PgClient.PgClient
        const [row] = yield* sql.unsafe<{ readonly units: string }>(
          `SELECT units::text AS units FROM public.${table} WHERE country = 'NL'`
        )
        assert.strictEqual(row?.units, "3")
      }))

    it.effect("a table without a primary key is refused, and nothing of it is left", () =>
      Effect.gen(function*() {
        const { physical, projection } = watched("id int UNIQUE")
        yield* grow
        const error = yield* Effect.flip(make(projection))
        assert.deepInclude(error, { _tag: "StatementFailed", code: "ES004" })
        const sql = yield* PgClient.PgClient
        const [row] = yield* sql.unsafe<{ readonly t: string | null }>(`SELECT to_regclass('${physical}')::text AS t`)
        assert.isNull(row?.t)
      }))

    it.effect("names of every kind stand in the feed as they are", () =>
      Effect.gen(function*() {
        for (const part of ["'; DROP TABLE x; --", "\\", "%s $1 \"", "é \u{1f600}"]) {
          const { physical, projection } = watched("\"a'b\\\" text PRIMARY KEY", `${part} ${unique()}`)
          yield* grow
          yield* make(projection)
          const token = yield* now(projection)
          yield* commitAt(projection, {
            statements: [{ text: `INSERT INTO ${physical} VALUES ($1)`, parameters: [part] }]
          })
          const page = yield* changes(projection, { after: token })
          assert.deepStrictEqual(page.changes.map(({ key }) => key), [{ "a'b\\": part }])
        }
      }))
  })
}
