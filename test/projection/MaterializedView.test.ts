import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Schedule } from "effect"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { PgCheckpointStore, PgEventStore, PgReadModelStore } from "../../src/postgres/index.ts"
import { MaterializedView, Projection } from "../../src/projection/index.ts"
import { setUpStatements } from "../../src/projection/internal/setUp.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import type { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import type { ReadModelStore } from "../../src/store/ReadModelStore.ts"
import { append, head, proposedMany, someStream, unique } from "../store/fixtures.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { someProjectionName } from "./fixtures.ts"
import { commitAt } from "./keptStates.ts"
import { Sold } from "./sales.ts"

const { create, drop, index, keepFresh, refresh } = MaterializedView

type Services = CheckpointStore | EventStore | ReadModelStore | PgClient.PgClient

/** A table with two rows, and a view of it. */
const someRevenue = (
  rest: Partial<{ where: string; key: ReadonlyArray<string>; indexes: ReadonlyArray<MaterializedView.ViewIndex> }> = {}
) => {
  const table = `t_${unique().slice(0, 20)}`
  const name = `v_${unique().slice(0, 20)}`
  const projection = Projection.table({
    name: someProjectionName(),
    events: [Sold],
    tables: { [table]: "country text PRIMARY KEY, cents bigint NOT NULL" },
    on: { Sold: () => [] }
  })
  const physical = `public.${table}_v1`
  const view = MaterializedView.make({
    name,
    of: [projection],
    query: {
      text: `SELECT country, cents FROM ${MaterializedView.live(projection, table).text} WHERE ${rest.where ?? "true"}`,
      parameters: []
    },
    key: rest.key ?? ["country"],
    indexes: rest.indexes ?? [{ columns: ["cents"] }]
  })
  const set = Effect.andThen(
    append(someStream(), "noStream", proposedMany(2)),
    commitAt(projection, {
      statements: [
        ...setUpStatements(projection.target, true),
        { text: `INSERT INTO ${physical} VALUES ('DE', 1), ('FR', 2)`, parameters: [] }
      ],
      setUp: true
    })
  )
  const write = (text: string) =>
    Effect.andThen(
      append(someStream(), "noStream", proposedMany(3)),
      commitAt(projection, { statements: [{ text: text.replaceAll("TABLE", physical), parameters: [] }] })
    )
  return { projection, view, physical, set, write }
}

const countOf = ({ name }: MaterializedView.MaterializedView) =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const [row] = yield* sql.unsafe<{ readonly n: number }>(`SELECT count(*)::int AS n FROM public.${name}`)
    return row?.n
  })

const described = (view: MaterializedView.MaterializedView) =>
  Effect.map(MaterializedView.describe(view), Option.getOrThrow)

const suite = <E>(storage: string, layer: Layer.Layer<Services, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`MaterializedView (${storage})`, (it) => {
    it.effect("a view is made once, shows what was there, and is refreshed with its position", () =>
      Effect.gen(function*() {
        const { set, view, write } = someRevenue()
        yield* set
        assert.isTrue(Option.isNone(yield* MaterializedView.describe(view)))
        assert.strictEqual((yield* Effect.flip(refresh(view)))._tag, "ViewMissing")
        assert.strictEqual((yield* Effect.flip(index(view)))._tag, "ViewMissing")
        assert.strictEqual(yield* create(view), "created")
        assert.strictEqual(yield* create(view), "unchanged")
        const before = yield* described(view)
        assert.strictEqual(before.position, yield* head)
        assert.strictEqual(before.staleBy, 0)
        assert.isTrue(before.isCurrent)
        assert.strictEqual(before.indexes.length, 2)
        assert.isAbove(before.bytes, 0)
        assert.strictEqual(yield* refresh(view, { onlyWhenStale: true }), "fresh")
        yield* write("INSERT INTO TABLE VALUES ('IT', 3)")
        assert.strictEqual(yield* countOf(view), 2)
        assert.strictEqual((yield* described(view)).staleBy, 3)
        assert.strictEqual(yield* refresh(view), "refreshed")
        assert.strictEqual(yield* countOf(view), 3)
        const after = yield* described(view)
        assert.strictEqual(after.staleBy, 0)
        assert.isAtLeast(after.refreshedAt.epochMilliseconds, before.refreshedAt.epochMilliseconds)
        yield* write("DELETE FROM TABLE")
        assert.strictEqual(yield* refresh(view, { concurrently: false }), "refreshed")
        assert.strictEqual(yield* countOf(view), 0)
        assert.isTrue(yield* drop(view))
        assert.isFalse(yield* drop(view))
      }))

    it.effect("another query is built beside the old view and takes its place, with the rights on it", () =>
      Effect.gen(function*() {
        const { set, view } = someRevenue()
        yield* set
        yield* create(view)
        const sql = yield* PgClient.PgClient
        yield* sql.unsafe(`GRANT SELECT ON public.${view.name} TO PUBLIC`)
        const other = { ...view, query: { ...view.query, text: `${view.query.text} AND cents > 1` } }
        assert.isFalse((yield* described(other)).isCurrent)
        assert.strictEqual(yield* create(other), "rebuilt")
        assert.strictEqual(yield* countOf(view), 1)
        const { indexes } = yield* described(other)
        assert.strictEqual(indexes.length, 2)
        const [row] = yield* sql.unsafe<{ readonly acl: string }>(
          `SELECT relacl::text AS acl FROM pg_class WHERE oid = 'public.${view.name}'::regclass`
        )
        assert.match(row?.acl ?? "", /=r\//)
        assert.strictEqual(yield* create(other), "unchanged")
        const broken = { ...view, query: { ...view.query, text: "SELECT nothing FROM nowhere" } }
        assert.deepInclude(yield* Effect.flip(create(broken)), { _tag: "ViewInvalid" })
        yield* sql.unsafe(`CREATE VIEW public.${view.name}_d AS SELECT * FROM public.${view.name}`)
        assert.match((yield* Effect.flip(create(view))).message, /depend/)
        assert.match((yield* Effect.flip(drop(view))).message, /depend/)
        assert.strictEqual(yield* countOf(view), 1)
      }))

    it.effect("other indexes are made and removed without building the view, and those of others stay", () =>
      Effect.gen(function*() {
        const { set, view } = someRevenue()
        yield* set
        yield* create(view)
        const sql = yield* PgClient.PgClient
        yield* sql.unsafe(`CREATE INDEX own_${view.name} ON public.${view.name} (cents)`)
        const { refreshedAt } = yield* described(view)
        const other = { ...view, indexes: [{ columns: ["cents", "country"], unique: true }] }
        assert.isTrue(yield* index(other))
        assert.isFalse(yield* index(other))
        assert.strictEqual(yield* create(other), "unchanged")
        const after = yield* described(other)
        assert.strictEqual(after.indexes.length, 3)
        assert.isTrue(after.indexes.some((name) => name.includes(`own_${view.name}`)))
        assert.deepStrictEqual(after.refreshedAt, refreshedAt)
        assert.strictEqual(yield* create(view), "indexed")
      }))

    it.effect("whatever cannot be is refused before anything is made", () =>
      Effect.gen(function*() {
        const { set, view } = someRevenue({ key: [] })
        yield* set
        const cases: ReadonlyArray<MaterializedView.MaterializedView> = [
          { ...view, name: "a\"b" },
          { ...view, name: "x".repeat(49) },
          { ...view, schema: "public\"; --" },
          { ...view, of: [] },
          { ...view, query: { text: "SELECT $1", parameters: [1] } },
          { ...view, query: { text: "SELECT 1 \0", parameters: [] } },
          { ...view, key: [""] },
          { ...view, indexes: [{ columns: [] }] },
          { ...view, indexes: [{ columns: ["\0"] }] }
        ]
        for (const wrong of cases) {
          assert.strictEqual((yield* Effect.flip(create(wrong)))._tag, "ViewInvalid")
        }
        const hostile = { ...view, indexes: [{ columns: ["cents\"); DROP TABLE x; --", "$b$"] }] }
        assert.match((yield* Effect.flip(create(hostile))).message, /does not exist/)
        yield* create(view)
        assert.strictEqual((yield* Effect.flip(refresh(view, { concurrently: true })))._tag, "ViewInvalid")
        assert.strictEqual(yield* refresh(view), "refreshed")
      }))

    it.effect("several that make and refresh a view at once do it once, and a schedule keeps it fresh", () =>
      Effect.gen(function*() {
        const { set, view, write } = someRevenue()
        yield* set
        const made = yield* Effect.all(Array.from({ length: 4 }, () => create(view)), { concurrency: "unbounded" })
        assert.deepStrictEqual(made.sort(), ["created", "unchanged", "unchanged", "unchanged"])
        const keeper = yield* Effect.forkChild(keepFresh(view, Schedule.spaced("10 millis")))
        yield* write("INSERT INTO TABLE VALUES ('IT', 3)")
        yield* waitFor(countOf(view), (count) => count === 3)
        yield* write("INSERT INTO TABLE VALUES ('ES', 4)")
        yield* waitFor(countOf(view), (count) => count === 4)
        yield* Fiber.interrupt(keeper)
      }))
  })
}

/** What needs two sessions. */
const serverSuite = <E>(storage: string, layer: Layer.Layer<Services, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(
    `MaterializedView on a server (${storage})`,
    (it) => {
      it.effect("one refreshes at a time, over all processes", () =>
        Effect.gen(function*() {
          const { set, view } = someRevenue()
          yield* set
          yield* create(view)
          const sql = yield* PgClient.PgClient
          const busy = yield* sql.withTransaction(Effect.andThen(
            sql.unsafe(`SELECT pg_advisory_xact_lock(1163088963, hashtext('"event_store".view public.${view.name}'))`),
            refresh(view)
          ))
          assert.strictEqual(busy, "busy")
          assert.strictEqual(yield* refresh(view), "refreshed")
        }))

      it.effect("whoever reads while a view is built anew sees the old one or the new one", () =>
        Effect.gen(function*() {
          const { set, view } = someRevenue()
          yield* set
          yield* create(view)
          for (const where of ["cents > 1", "cents > 0", "cents > 1", "cents > 0"]) {
            const text = view.query.text.replace("WHERE true", `WHERE ${where} AND pg_sleep(0.01) IS NOT NULL`)
            const fiber = yield* Effect.forkChild(create({ ...view, query: { text, parameters: [] } }))
            yield* waitFor(
              Effect.map(countOf(view), (count) => {
                assert.include([1, 2], count)
                return fiber.pollUnsafe()
              }),
              (exit) => exit !== undefined
            )
            assert.strictEqual(yield* Fiber.join(fiber), "rebuilt")
          }
        }))
    }
  )
}

suite("pglite", layerPglite())

for (const server of servers) {
  const layer = Layer.mergeAll(PgCheckpointStore.layer, PgReadModelStore.layer).pipe(
    Layer.provideMerge(PgEventStore.layer),
    Layer.provideMerge(layerDatabase(server, { maxConnections: 8 }))
  )
  suite(server.label, layer)
  serverSuite(server.label, layer)
}

describe("MaterializedView", () => {
  it.effect("a storage without tables says so", () =>
    Effect.gen(function*() {
      const { view } = someRevenue()
      assert.match((yield* Effect.flip(create(view))).message, /no tables/)
    }).pipe(Effect.provide(Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer))))
})
