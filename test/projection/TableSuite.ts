/**
 * What projections promise of the tables that they fill: one text for all
 * storages that have tables.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option, Schema } from "effect"
import * as EventType from "../../src/event/EventType.ts"
import { Projection, ProjectionControl, ProjectionRunner } from "../../src/projection/index.ts"
import type { TableProjection } from "../../src/projection/Projection.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { scalar } from "../postgres/fixtures.ts"
import { append, head, indexes, someCategory, unique } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import { assertComplete, checkpointOf, losing, SMALL, someProjectionName } from "./fixtures.ts"
import { appendSales, assertSales, salesByCountry, type SalesOptions, Sold } from "./sales.ts"

const { run, runOnce } = ProjectionRunner

const someSales = (category: string, rest: Omit<SalesOptions, "category"> = {}) => salesByCountry({ category, ...rest })

/** Registers what a server can do, and an engine inside the process cannot: end a statement. */
export const serverSuite = <E>(
  storage: string,
  layer: Layer.Layer<CheckpointStore | EventStore | PgClient.PgClient, E>
): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Projection on a server (${storage})`, (it) => {
    it.effect("a statement that never ends is ended, and halts at its event", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 6)
        const { physical, projection } = someSales(category, {
          more: (units) => units === 4 ? ["SELECT pg_sleep(60)"] : []
        })
        const error = yield* Effect.flip(runOnce(projection, { ...SMALL, statementTimeout: 100 }))
        assert.match(error.message, /statement timeout/)
        assert.strictEqual((yield* checkpointOf(projection)).count, 3)
        yield* assertSales(category, projection, physical)
      }))
  })
}

/** Registers the tests for one storage. */
export const suite = <E>(
  storage: string,
  layer: Layer.Layer<CheckpointStore | EventStore | PgClient.PgClient, E>
): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Projection of tables (${storage})`, (it) => {
    it.effect("a statement that would end the transaction, or outlive it, is not sent, and halts at its event", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 6)
        for (
          const text of [
            "COMMIT",
            "  rollback",
            "-- done\nEND",
            "/* a * b */ /**/ COMMIT AND CHAIN",
            "SET search_path = public",
            "COPY pg_class TO STDOUT"
          ]
        ) {
          const { physical, projection } = someSales(category, { more: (units) => units === 4 ? [text] : [] })
          const error = yield* Effect.flip(runOnce(projection, SMALL))
          assert.strictEqual(error._tag, "ProjectionHalted")
          assert.strictEqual((yield* checkpointOf(projection)).count, 3)
          yield* assertSales(category, projection, physical)
        }
        const harmless = someSales(category, { more: () => ["SET LOCAL work_mem = '8MB'", "SELECT 'COMMIT'"] })
        yield* runOnce(harmless.projection, SMALL)
        yield* assertSales(category, harmless.projection, harmless.physical)
        const setUp = Projection.table({
          name: someProjectionName(),
          events: [Sold],
          tables: { [`t_${unique().slice(0, 20)}`]: "a text" },
          setUp: () => [{ text: "COMMIT", parameters: [] }],
          on: { Sold: () => [] }
        })
        assert.strictEqual((yield* Effect.flip(runOnce(setUp)))._tag, "ProjectionInvalid")
      }))

    it.effect("a runner that says again that it is there writes nothing while it is believed", () =>
      Effect.gen(function*() {
        const checkpoints = yield* CheckpointStore
        const sql = yield* PgClient.PgClient
        const owner = `owner ${unique()}`
        const attend = (...names: ReadonlyArray<string>) =>
          checkpoints.attend({ owner, leaseMillis: 60_000, projections: names.map((name) => ({ name, version: 1 })) })
        const written = sql`SELECT xmin::text FROM event_store.projection_runners WHERE owner = ${owner}`.values
        yield* attend("one")
        const first = yield* written
        assert.strictEqual(first.length, 1)
        yield* attend("one")
        assert.deepStrictEqual(yield* written, first)
        yield* attend("one", "two")
        assert.notDeepEqual(yield* written, first)
        yield* checkpoints.leave(owner)
        assert.deepStrictEqual(yield* written, [])
      }))

    it.effect("a server that takes no writes for a while is waited for, and no event is parked because of it", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 6)
        let refusals = 0
        const { physical, projection } = someSales(category, {
          action: "park",
          more: (units) =>
            units === 4 && ++refusals < 5
              ? ["DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full'; END $$"]
              : []
        })
        yield* runOnce(projection, SMALL)
        assert.strictEqual(refusals, 5)
        const { failure, parked } = Option.getOrThrow(yield* ProjectionControl.describe(projection))
        assert.deepStrictEqual([failure, parked], [undefined, 0])
        yield* assertSales(category, projection, physical)
      }))

    it.effect("a table is filled, with rows and checkpoint in one transaction, whatever the size of the batches", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 60)
        for (const batchEvents of [1, 7, 1_000]) {
          const { physical, projection } = someSales(category)
          yield* runOnce(projection, { batchEvents })
          assert.strictEqual((yield* checkpointOf(projection)).count, 60)
          yield* assertSales(category, projection, physical)
          yield* runOnce(projection, { batchEvents })
          yield* assertSales(category, projection, physical)
        }
      }))

    it.effect("whoever reads while it runs sees rows and checkpoint of the same moment", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 200)
        const sql = yield* PgClient.PgClient
        const { physical, projection } = someSales(category)
        yield* ProjectionControl.reset(projection)
        const fiber = yield* Effect.forkChild(runOnce(projection, { batchEvents: 3 }))
        let looks = 0
        yield* waitFor(
          Effect.gen(function*() {
            const difference = yield* scalar(
              sql,
              `SELECT (p.events - (SELECT coalesce(sum(events), 0) FROM ${physical}))::int
                FROM event_store.projections p WHERE p.name = '${projection.name}'`
            )
            assert.strictEqual(difference, 0)
            looks++
            return fiber.pollUnsafe()
          }),
          (exit) => exit !== undefined
        )
        assert.isAbove(looks, 0)
        yield* Fiber.join(fiber)
        yield* assertSales(category, projection, physical)
      }))

    it.effect("a connection that is lost before or after any commit costs no event and doubles none", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 20)
        const store = yield* CheckpointStore
        for (const commit of indexes(5)) {
          for (const when of ["before", "after"] as const) {
            const { physical, projection } = someSales(category)
            yield* runOnce(projection, SMALL).pipe(
              Effect.provideService(CheckpointStore, losing(store, commit, when))
            )
            yield* assertSales(category, projection, physical)
          }
        }
      }))

    it.effect("a statement that fails halts at its event; the rest of the batch before it is applied", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 20)
        const body = "country text PRIMARY KEY, units bigint NOT NULL CHECK (units < 14), events bigint NOT NULL"
        for (const batchEvents of [1, 5, 1_000]) {
          const { physical, projection } = someSales(category, { body })
          const error = yield* Effect.flip(runOnce(projection, { ...SMALL, batchEvents }))
          assert.strictEqual(error._tag, "ProjectionHalted")
          if (error._tag !== "ProjectionHalted") return
          assert.strictEqual(error.failure.reason, "StatementFailed")
          assert.match(error.failure.detail, /check constraint .*23514/)
          const { count } = yield* checkpointOf(projection)
          assert.isAbove(count, 0)
          assert.isBelow(count, 20)
          yield* assertSales(category, projection, physical)
        }
      }))

    it.effect("what the database refuses at COMMIT is traced to its event", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 20)
        const table = `t_${unique().slice(0, 20)}`
        const projection = Projection.table({
          name: someProjectionName(),
          events: [Sold],
          where: { categories: [category] },
          onError: { action: "park" },
          tables: { [table]: "units bigint, CONSTRAINT c UNIQUE (units) DEFERRABLE INITIALLY DEFERRED" },
          on: {
            Sold: ({ data: { units } }, tables) =>
              Projection.sql`INSERT INTO ${tables[table]!} VALUES (${units === 13 ? 12 : units}::bigint)`
          }
        })
        yield* runOnce(projection, { ...SMALL, batchEvents: 1_000 })
        const parked = yield* ProjectionControl.listParked(projection)
        assert.match(parked[0]!.reason, /duplicate key .*CommitRefused/)
        const sql = yield* PgClient.PgClient
        assert.strictEqual(yield* scalar(sql, `SELECT count(*)::int FROM ${table}_v1`), 20 - parked.length)
        yield* assertComplete(projection)
      }))

    it.effect("a poison event is parked with the checkpoint that passes it, and replayed when the cause is gone", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 20)
        const sql = yield* PgClient.PgClient
        const { physical, projection } = someSales(category, {
          action: "park",
          more: (units) => units === 7 ? [`SELECT 1 / (SELECT count(*) FROM public.cause_${category})`] : []
        })
        yield* sql.unsafe(`CREATE TABLE public.cause_${category} ()`)
        yield* runOnce(projection, SMALL)
        const parked = yield* ProjectionControl.listParked(projection)
        assert.isAbove(parked.length, 1)
        assert.match(parked[0]!.reason, /division by zero/)
        assert.strictEqual(
          yield* scalar(sql, `SELECT sum(events)::int FROM ${physical}`),
          20 - parked.length
        )
        yield* assertComplete(projection)
        yield* sql.unsafe(`INSERT INTO public.cause_${category} DEFAULT VALUES`)
        assert.deepStrictEqual(yield* ProjectionControl.replayParked(projection), {
          applied: parked.length,
          remaining: 0
        })
        yield* assertSales(category, projection, physical)
      }))

    it.effect("a table that is dropped halts the projection, and a reset builds it again", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 10)
        const sql = yield* PgClient.PgClient
        const { physical, projection, table } = someSales(category)
        yield* runOnce(projection)
        yield* sql.unsafe(`DROP TABLE ${physical} CASCADE`)
        yield* appendSales(category, 10)
        const error = yield* Effect.flip(runOnce(projection, SMALL))
        assert.match(error.message, /does not exist/)
        yield* ProjectionControl.reset(projection)
        yield* runOnce(projection)
        yield* assertSales(category, projection, physical)
        yield* assertSales(category, projection, `public.${table}`)
      }))

    it.effect("a new version builds beside the old one, whose view readers see until it is promoted", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 12)
        const old = someSales(category)
        const { name } = old.projection
        yield* runOnce(old.projection)
        const sql = yield* PgClient.PgClient
        const body =
          "country text PRIMARY KEY, units bigint NOT NULL, events bigint NOT NULL, twice bigint GENERATED ALWAYS AS (units * 2) STORED"
        const next = someSales(category, { name, table: old.table, version: 2, body })
        const view = `public.${old.table}`
        const columns = Effect.map(
          sql.unsafe(`SELECT * FROM ${view} LIMIT 1`),
          ([row]) => Object.keys(row ?? {}).length
        )
        yield* runOnce(next.projection)
        assert.strictEqual(yield* columns, 3)
        yield* ProjectionControl.promote(next.projection)
        assert.strictEqual(yield* columns, 4)
        yield* assertSales(category, next.projection, view)
        yield* assertSales(category, old.projection, old.physical)
        yield* sql.unsafe(`CREATE VIEW public.depends_${category} AS SELECT * FROM ${view}`)
        assert.strictEqual((yield* Effect.flip(ProjectionControl.promote(old.projection)))._tag, "ProjectionInvalid")
        yield* assertSales(category, next.projection, view)
      }))

    it.effect("a definition that the database refuses leaves nothing behind", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 2)
        const sql = yield* PgClient.PgClient
        const { physical, projection } = someSales(category)
        const { target } = projection
        const broken: TableProjection = {
          ...projection,
          target: { ...target, setUp: [{ text: "CREATE INDEX ON nowhere (x)", parameters: [] }] }
        }
        const error = yield* Effect.flip(runOnce(broken))
        assert.strictEqual(error._tag, "ProjectionInvalid")
        assert.isNull(yield* scalar(sql, `SELECT to_regclass('${physical}')::text`))
        yield* runOnce(projection)
        yield* assertSales(category, projection, physical)
        const misnamed: TableProjection = { ...projection, target: { ...target, tables: [{ name: "a\"b", body: "" }] } }
        assert.strictEqual((yield* Effect.flip(runOnce(misnamed)))._tag, "ProjectionInvalid")
      }))

    it.effect("values of every kind become parameters, and JSON stays JSON", () =>
      Effect.gen(function*() {
        const Noted = EventType.make("Noted", { text: Schema.String, n: Schema.Number })
        const category = someCategory()
        const texts = ["", "'; DROP TABLE x; --", "$1", "\u{1f600} é", "a\nb"]
        yield* append(
          `${category}-1`,
          "noStream",
          texts.map((text, n) => ({ type: "Noted", data: { text, n: n + 0.5 } }))
        )
        const sql = yield* PgClient.PgClient
        const table = `t_${unique().slice(0, 20)}`
        const projection = Projection.table({
          name: someProjectionName(),
          events: [Noted],
          where: { categories: [category] },
          tables: {
            [table]:
              "position bigint PRIMARY KEY, t text, n numeric, b boolean, at timestamptz, j jsonb, x bytea, z int"
          },
          on: {
            Noted: ({ data, position, recordedAt }, tables) =>
              Projection.sql`INSERT INTO ${tables[table]!} VALUES (${position}, ${data.text}, ${
                String(data.n)
              }, ${true}, ${new Date(recordedAt.epochMilliseconds)}, ${
                Projection.json({ text: data.text })
              }, ${new Uint8Array([0, 255])}, ${null})`
          }
        })
        yield* runOnce(projection)
        const rows = yield* sql.unsafe(`SELECT t, n::float8 AS n, b, j, x, z FROM public.${table} ORDER BY position`)
        assert.deepStrictEqual(
          (rows as ReadonlyArray<{ readonly x: Uint8Array }>).map(({ x, ...row }) => ({ ...row, x: Array.from(x) })),
          texts.map((t, n) => ({ t, n: n + 0.5, b: true, j: { text: t }, z: null, x: [0, 255] }))
        )
      }))

    it.effect("a restored store, or a log that ends before the checkpoint, halts until a reset", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendSales(category, 10)
        const sql = yield* PgClient.PgClient
        const { physical, projection } = someSales(category)
        const fiber = yield* Effect.forkChild(Effect.flip(run(projection)))
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        yield* sql`UPDATE event_store.head SET incarnation = gen_random_uuid()`
        yield* appendSales(category, 1)
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "HistoryChanged")
        for (const attempt of [runOnce(projection), ProjectionControl.verify(projection)]) {
          const error = yield* Effect.flip(
            attempt as Effect.Effect<unknown, { readonly _tag: string }, CheckpointStore | EventStore>
          )
          assert.strictEqual(error._tag, "HistoryChanged")
        }
        const report = Effect.map(ProjectionControl.describe(projection), Option.getOrThrow)
        const halted = yield* report
        assert.deepInclude(halted, { status: "halted", owner: undefined })
        assert.strictEqual(halted.failure?.position, halted.checkpoint.position)
        assert.strictEqual(halted.checkpoint.count, 10)
        yield* ProjectionControl.reset(projection)
        yield* runOnce(projection)
        yield* assertSales(category, projection, physical)
        assert.deepInclude(yield* report, { status: "running", failure: undefined })
        yield* sql`UPDATE event_store.projections SET position = position + 1000000 WHERE name = ${projection.name}`
        const ahead = yield* Effect.flip(runOnce(projection))
        assert.strictEqual(ahead._tag, "HistoryChanged")
        assert.match(ahead.message, /the log ends at position/)
        const { checkpoint, failure, status } = yield* report
        assert.strictEqual(status, "halted")
        assert.deepInclude(failure, { count: 1, message: ahead.message, position: checkpoint.position })
        assert.isAbove(checkpoint.position, 1_000_000)
        yield* ProjectionControl.pause(projection)
        assert.strictEqual((yield* Effect.flip(ProjectionControl.replayParked(projection)))._tag, "HistoryChanged")
        assert.deepInclude(yield* report, { status: "paused" })
        assert.strictEqual((yield* report).failure?.count, 2)
        yield* ProjectionControl.resume(projection)
        yield* ProjectionControl.reset(projection)
        yield* runOnce(projection)
        yield* assertSales(category, projection, physical)
        assert.strictEqual(Option.getOrThrow(yield* ProjectionControl.describe(projection)).lagEvents, 0)
      }))
  })
}
