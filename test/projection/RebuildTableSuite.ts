/**
 * What rebuilding promises of the tables that projections fill: one text for all
 * storages that have tables.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option, Schedule } from "effect"
import { Projection, ProjectionControl, ProjectionRebuild, ProjectionRunner } from "../../src/projection/index.ts"
import type { TableProjection } from "../../src/projection/Projection.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { runAll, scalar } from "../postgres/fixtures.ts"
import { head, someCategory } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import { checkpointOf, losing, SMALL } from "./fixtures.ts"
import { appendSales, assertSales, salesByCountry, type SalesOptions } from "./sales.ts"

const { run, runOnce } = ProjectionRunner

const MORE_COLUMNS =
  "country text PRIMARY KEY, twice bigint GENERATED ALWAYS AS (units * 2) STORED, units bigint NOT NULL, events bigint NOT NULL"

const someSales = (category: string, rest: Omit<SalesOptions, "category"> = {}) => salesByCountry({ category, ...rest })

/** The table as it stands in the database, for one build. */
const physicalOf = (table: string, version: number, build: number) =>
  `public.${Projection.tableName(table, version, build)}`

const exists = (table: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) => scalar(sql, `SELECT to_regclass('${table}') IS NOT NULL`))

const boundTo = (projection: TableProjection, build: number) => Projection.withBuild(projection, build)

/** Registers what a server can do, and an engine with one session cannot: others that hold locks, and roles. */
export const serverSuite = <E>(
  storage: string,
  layer: Layer.Layer<CheckpointStore | EventStore | PgClient.PgClient, E>
): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Rebuild on a server (${storage})`, (it) => {
    it.effect("a swap lets those finish who read the view, and keeps nobody waiting behind it for long", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 12)
        const sql = yield* PgClient.PgClient
        const { projection, table } = someSales(category)
        yield* runOnce(projection)
        yield* Effect.scoped(Effect.gen(function*() {
          const reader = yield* sql.reserve
          const read = (text: string) => reader.executeUnprepared(text, [], undefined)
          yield* read("BEGIN")
          yield* read(`SELECT * FROM public.${table}`)
          const fiber = yield* Effect.forkChild(ProjectionRebuild.blueGreen(projection))
          yield* waitFor(
            scalar(sql, "SELECT count(*)::int FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"),
            (count) => count === 1
          )
          yield* assertSales(category, projection, `public.${table}`)
          assert.isUndefined(fiber.pollUnsafe())
          yield* read("COMMIT")
          assert.strictEqual((yield* Fiber.join(fiber)).build.build, 2)
        }))
        yield* assertSales(category, projection, `public.${table}`)
      }))

    it.effect("a view that gets other columns keeps the rights that were given on it", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 12)
        const sql = yield* PgClient.PgClient
        const role = `r_${category}`
        const old = someSales(category)
        yield* runOnce(old.projection)
        const { table } = old
        yield* Effect.acquireRelease(
          runAll(sql, [`CREATE ROLE ${role}`, `GRANT SELECT ON public.${table} TO ${role}, PUBLIC`]),
          () => Effect.orDie(runAll(sql, [`DROP OWNED BY ${role} CASCADE`, `DROP ROLE ${role}`]))
        )
        const next = someSales(category, { name: old.projection.name, table, version: 2, body: MORE_COLUMNS })
        yield* ProjectionRebuild.blueGreen(next.projection)
        for (const who of [`'${role}'`, "'public'"]) {
          assert.isTrue(yield* scalar(sql, `SELECT has_table_privilege(${who}, 'public.${table}', 'SELECT')`))
          assert.isFalse(yield* scalar(sql, `SELECT has_table_privilege(${who}, 'public.${table}', 'INSERT')`))
        }
        yield* assertSales(category, next.projection, `public.${table}`)
      }))
  })
}

/** Registers the tests for one storage. */
export const suite = <E>(
  storage: string,
  layer: Layer.Layer<CheckpointStore | EventStore | PgClient.PgClient, E>
): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Rebuild of tables (${storage})`, (it) => {
    it.effect("whoever reads the view during rebuilds meets no error and no half-built table, while events come", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 60)
        const sql = yield* PgClient.PgClient
        const { projection, table } = someSales(category)
        yield* runOnce(projection)
        const runner = yield* Effect.forkChild(run(projection, { batchEvents: 3 }))
        const writer = yield* Effect.forkChild(appendSales(category, 100))
        const rebuilds = yield* Effect.forkChild(Effect.gen(function*() {
          yield* ProjectionRebuild.blueGreen(projection, { batchEvents: 5 })
          yield* ProjectionRebuild.blueGreen(projection, { batchEvents: 5 })
        }))
        let seen = 60
        let reads = 0
        yield* waitFor(
          Effect.gen(function*() {
            const events = Number(yield* scalar(sql, `SELECT coalesce(sum(events), 0)::int FROM public.${table}`))
            assert.isAtLeast(events, seen)
            seen = events
            reads++
            return rebuilds.pollUnsafe()
          }),
          (exit) => exit !== undefined
        )
        assert.isAbove(reads, 1)
        yield* Fiber.join(rebuilds)
        yield* Fiber.join(writer)
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        assert.isUndefined(runner.pollUnsafe())
        yield* Fiber.interrupt(runner)
        yield* assertSales(category, projection, `public.${table}`)
        yield* assertSales(category, boundTo(projection, 3), physicalOf(table, 1, 3))
        assert.strictEqual((yield* checkpointOf(projection)).count, 160)
      }))

    it.effect("nobody's view shows a build before it is complete, also when nothing is live yet", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 10)
        const { projection, table } = someSales(category)
        yield* ProjectionRebuild.build(projection, { until: 3 })
        assert.isTrue(yield* exists(physicalOf(table, 1, 1)))
        assert.isFalse(yield* exists(`public.${table}`))
        yield* ProjectionRebuild.swap(projection)
        yield* assertSales(category, projection, `public.${table}`)
      }))

    it.effect("what depends on a view outlives a swap with the same columns, and forbids one with others", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 10)
        const sql = yield* PgClient.PgClient
        const old = someSales(category)
        const { table } = old
        yield* runOnce(old.projection)
        const dependent = `public.depends_${category}`
        yield* sql.unsafe(`CREATE VIEW ${dependent} AS SELECT * FROM public.${table}`)
        yield* ProjectionRebuild.blueGreen(old.projection)
        yield* appendSales(category, 5)
        yield* runOnce(old.projection)
        yield* assertSales(category, old.projection, dependent)
        const next = someSales(category, { name: old.projection.name, table, version: 2, body: MORE_COLUMNS })
        const error = yield* Effect.flip(ProjectionRebuild.blueGreen(next.projection))
        assert.match(error.message, /cannot drop view .* because other objects depend on it/)
        yield* assertSales(category, old.projection, `public.${table}`)
        yield* sql.unsafe(`DROP VIEW ${dependent}`)
        yield* ProjectionRebuild.swap(next.projection)
        yield* assertSales(category, next.projection, `public.${table}`)
      }))

    it.effect("a build that is removed takes its tables with it: cancelled, interrupted, or when its time is over", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 20)
        const { projection, table } = someSales(category)
        const { name } = projection
        yield* runOnce(projection)
        const slow = { batchEvents: 1, throttle: 20 }
        const second = physicalOf(table, 1, 2)
        const cancelled = yield* Effect.forkChild(Effect.flip(ProjectionRebuild.blueGreen(projection, slow)))
        yield* waitFor(exists(second), (is) => is === true)
        yield* ProjectionRebuild.cancel(projection)
        assert.strictEqual((yield* Fiber.join(cancelled))._tag, "BuildMissing")
        assert.isFalse(yield* exists(second))
        const interrupted = yield* Effect.forkChild(ProjectionRebuild.blueGreen(projection, slow))
        yield* waitFor(exists(second), (is) => is === true)
        yield* Fiber.interrupt(interrupted)
        assert.isFalse(yield* exists(second))
        yield* ProjectionRebuild.blueGreen(projection, { keepOld: 0 })
        yield* ProjectionRebuild.dropRetired({ name })
        assert.isFalse(yield* exists(physicalOf(table, 1, 1)))
        yield* appendSales(category, 5)
        yield* runOnce(projection)
        yield* assertSales(category, projection, `public.${table}`)
        yield* ProjectionRebuild.blueGreen(projection)
        yield* assertSales(category, projection, physicalOf(table, 1, 1))
      }))

    it.effect("a table that something depends on is not dropped, and the others are", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 5)
        const sql = yield* PgClient.PgClient
        const { physical, projection } = someSales(category)
        const { name } = projection
        yield* runOnce(projection)
        yield* ProjectionRebuild.blueGreen(projection, { keepOld: 0 })
        yield* sql.unsafe(`CREATE VIEW public.depends_${category} AS SELECT * FROM ${physical}`)
        const [refused] = yield* ProjectionRebuild.dropRetired({ name })
        assert.strictEqual(refused?.outcome, "refused")
        assert.match(refused?.detail ?? "", /depend/)
        assert.isTrue(yield* exists(physical))
        yield* sql.unsafe(`DROP VIEW public.depends_${category}`)
        assert.deepStrictEqual(
          (yield* ProjectionRebuild.dropRetired({ name })).map(({ outcome }) => outcome),
          ["removed"]
        )
        assert.isFalse(yield* exists(physical))
      }))

    it.effect("a connection that is lost before or after any commit of a rebuild costs nothing", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 20)
        const store = yield* CheckpointStore
        for (const commit of [1, 2, 3, 4]) {
          for (const when of ["before", "after"] as const) {
            const { projection, table } = someSales(category)
            yield* runOnce(projection)
            yield* ProjectionRebuild.blueGreen(projection, SMALL).pipe(
              Effect.provideService(CheckpointStore, losing(store, commit, when))
            )
            yield* assertSales(category, projection, `public.${table}`)
            yield* assertSales(category, projection, physicalOf(table, 1, 2))
          }
        }
      }))

    it.effect("a poison event stops a rebuild and not what is live; it goes on when the cause is gone", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 20)
        const sql = yield* PgClient.PgClient
        const cause = `public.cause_${category}`
        const { projection, table } = someSales(category, {
          more: (units) => units === 7 ? [`SELECT 1 / (SELECT count(*) FROM ${cause})`] : []
        })
        yield* runAll(sql, [`CREATE TABLE ${cause} ()`, `INSERT INTO ${cause} DEFAULT VALUES`])
        yield* runOnce(projection)
        yield* sql.unsafe(`TRUNCATE ${cause}`)
        const options = { retry: Schedule.recurs(1) }
        const error = yield* Effect.flip(ProjectionRebuild.blueGreen(projection, options))
        assert.strictEqual(error._tag, "ProjectionHalted")
        assert.strictEqual(Option.getOrThrow(yield* ProjectionControl.describe(projection)).status, "running")
        yield* assertSales(category, projection, `public.${table}`)
        yield* sql.unsafe(`INSERT INTO ${cause} DEFAULT VALUES`)
        yield* ProjectionRebuild.blueGreen(projection, options)
        yield* assertSales(category, projection, physicalOf(table, 1, 2))
      }))

    it.effect("a restored store, whose projection is of another history, is served again by a rebuild", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 10)
        const sql = yield* PgClient.PgClient
        const { projection, table } = someSales(category)
        yield* runOnce(projection)
        yield* sql`UPDATE event_store.projections SET position = position + 1000000 WHERE name = ${projection.name}`
        assert.strictEqual((yield* Effect.flip(runOnce(projection)))._tag, "HistoryChanged")
        yield* ProjectionRebuild.blueGreen(projection)
        yield* appendSales(category, 5)
        yield* runOnce(projection)
        yield* assertSales(category, projection, `public.${table}`)
      }))
  })
}
