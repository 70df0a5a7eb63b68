/**
 * What queries of states promise: one text for all storages, and the same
 * answers from all of them.
 */
import { assert, it } from "@effect/vitest"
import { type Context, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { START } from "../../src/event/Revision.ts"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { Projection, ProjectionQuery, ReadToken } from "../../src/projection/index.ts"
import type { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { ReadModelStore } from "../../src/store/ReadModelStore.ts"
import { makeRandom } from "../checker/random.ts"
import { append, indexes, proposedMany, someStream } from "../store/fixtures.ts"
import { someProjectionName, types } from "./fixtures.ts"
import { keep } from "./keptStates.ts"
import { ALL, CASES, KINDS, someDocument, someKey, someSort, someWhere } from "./someQueries.ts"

const { KEY, count, list, map, one, stream } = ProjectionQuery

type Services = CheckpointStore | EventStore | ReadModelStore

/** States of any JSON. */
const someStates = (name = someProjectionName()) =>
  Projection.state({
    name,
    events: types,
    state: Schema.Json,
    initial: null,
    key: (event) => event.streamId,
    on: { AccountOpened: (state) => state, MoneyDeposited: (state) => state }
  })

const keysOf = <Item extends { readonly key: string }>(page: { readonly items: ReadonlyArray<Item> }) =>
  page.items.map(({ key }) => key).sort()

/** What may be asked, typed by nobody: queries of the tests are made of parts. */
type AnyQuery = ProjectionQuery.Query<{ readonly key: string; readonly state: Schema.Json }, never, never, unknown>

/** The same states in a memory of its own. */
const inMemory = Layer.build(Layer.fresh(Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer)))

const inside = (context: Context.Context<Services>) => <A, E>(effect: Effect.Effect<A, E, Services>) =>
  Effect.provideContext(effect, context)

/** All keys in the order of a query, page by page. */
const walk = (query: AnyQuery, options: object, limit: number) =>
  Effect.gen(function*() {
    const keys: Array<string> = []
    let cursor: string | undefined
    do {
      const page: ProjectionQuery.Page<{ readonly key: string }> = yield* list(
        query,
        { ...options, limit, cursor } as never
      )
      keys.push(...page.items.map(({ key }) => key))
      cursor = page.next
    } while (cursor !== undefined)
    return keys
  })

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<Services, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`ProjectionQuery (${storage})`, (it) => {
    it.effect("a comparison holds for values of its own JSON type, and `ne` and `not` are exact opposites", () =>
      Effect.gen(function*() {
        const projection = someStates()
        yield* keep(projection, KINDS)
        const query = ProjectionQuery.state(projection)
        for (const [condition, keys] of CASES) {
          const where = { field: ["v"], ...condition }
          const page = yield* list(query, { where })
          assert.deepStrictEqual(keysOf(page), [...keys].sort(), JSON.stringify(condition))
          assert.strictEqual(yield* count(query, { where }), keys.length)
          const opposite = yield* list(query, { where: { not: where } })
          assert.deepStrictEqual(keysOf(opposite), ALL.filter((key) => !keys.includes(key)).sort())
          const both = yield* list(query, { where: { and: [where, { or: [where, { field: KEY, eq: "ten" }] }] } })
          assert.deepStrictEqual(keysOf(both), [...keys].sort())
        }
        assert.strictEqual(yield* count(query), ALL.length)
        assert.strictEqual(yield* count(query, { where: { and: [] } }), ALL.length)
        assert.strictEqual(yield* count(query, { where: { or: [] } }), 0)
      }))

    it.effect("paths lead into objects and arrays as PostgreSQL's do", () =>
      Effect.gen(function*() {
        const projection = someStates()
        yield* keep(projection, {
          a: { lines: [{ sku: "x" }, { sku: "y" }], "0": "zero", "": "empty", "a.b": 1, "01": "month" },
          b: ["first", "second"],
          c: 7,
          d: { lines: "no array", constructor: 1 }
        })
        const query = ProjectionQuery.state(projection)
        const cases: ReadonlyArray<readonly [ReadonlyArray<string | number>, string | number, ReadonlyArray<string>]> =
          [
            [["lines", 1, "sku"], "y", ["a"]],
            [["lines", "1", "sku"], "y", ["a"]],
            [["lines", "-1", "sku"], "y", ["a"]],
            [["lines", " +1", "sku"], "y", ["a"]],
            [["lines", "99999999999", "sku"], "y", []],
            [["lines", "one", "sku"], "y", []],
            [[0], "zero", ["a"]],
            [["01"], "month", ["a"]],
            [["01"], "second", ["b"]],
            [[""], "empty", ["a"]],
            [["a.b"], 1, ["a"]],
            [["a", "b"], 1, []],
            [[], 7, ["c"]],
            [["constructor"], 1, ["d"]],
            [["__proto__"], 1, []]
          ]
        for (const [field, eq, keys] of cases) {
          assert.deepStrictEqual(keysOf(yield* list(query, { where: { field, eq } })), keys, JSON.stringify(field))
        }
      }))

    it.effect("an order is by type, then by value, then by key; null and missing come last, and first when descending", () =>
      Effect.gen(function*() {
        const projection = someStates()
        yield* keep(projection, KINDS)
        const query = ProjectionQuery.state(projection)
        const expected = [
          "false",
          "true",
          "minus",
          "zero",
          "tenth",
          "nine",
          "ten",
          "large",
          "empty",
          "text quote",
          "text 10",
          "text percent",
          "text 9",
          "text Z",
          "text a",
          "text nul",
          "text é",
          "text U+FF5E",
          "text lone",
          "text U+1F600",
          "array",
          "object",
          "absent",
          "null"
        ]
        for (const limit of [1, 2, 7, 100]) {
          const upwards = { sort: [{ field: ["v"] }] }
          assert.deepStrictEqual(yield* walk(query as never, upwards, limit), expected)
          const downwards = { sort: [{ field: ["v"], descending: true }] }
          assert.deepStrictEqual(yield* walk(query as never, downwards, limit), expected.toReversed())
        }
      }))

    it.effect("any filter and any order answer what memory answers, in pages of any size", () =>
      Effect.gen(function*() {
        const random = makeRandom(20_261_121)
        const projection = someStates()
        const states = Object.fromEntries(indexes(60).map((index) => [someKey(random, index), someDocument(random)]))
        yield* keep(projection, states)
        const memory = inside(yield* inMemory)
        yield* memory(keep(projection, states))
        const query = ProjectionQuery.state(projection) as never as AnyQuery
        for (const round of indexes(60)) {
          const options = { where: someWhere(random, 3), sort: someSort(random) }
          const limit = 1 + (round % 13)
          const expected = yield* memory(walk(query, options, 1_000))
          const said = JSON.stringify(options)
          assert.deepStrictEqual(yield* walk(query, options, limit), expected, said)
          assert.deepStrictEqual(yield* memory(walk(query, options, limit)), expected, said)
          assert.strictEqual(yield* count(query, options as never), expected.length, said)
        }
      }))

    it.effect("states that stay are in exactly one page each, whatever is added and removed in between", () =>
      Effect.gen(function*() {
        const projection = someStates()
        const staying = indexes(40).map((index) => `stays ${index}`)
        yield* keep(projection, Object.fromEntries(staying.map((key, index) => [key, { n: index % 5 }])))
        const query = ProjectionQuery.state(projection)
        for (
          const sort of [[], [{ field: ["n"], descending: true }, { field: KEY }], [{ field: KEY, descending: true }]]
        ) {
          const seen: Array<string> = []
          let cursor: string | undefined
          let round = 0
          do {
            const page: ProjectionQuery.Page<{ readonly key: string }> = yield* list(
              query,
              { sort, limit: 3, cursor } as never
            )
            seen.push(...page.items.map(({ key }) => key))
            cursor = page.next
            round++
            yield* keep(projection, {
              [`a comes ${round}`]: { n: 4 },
              [`z comes ${round}`]: { n: 0 },
              [`a comes ${round - 1}`]: undefined
            })
          } while (cursor !== undefined)
          const stayed = seen.filter((key) => key.startsWith("stays"))
          assert.deepStrictEqual([...stayed].sort(), [...staying].sort())
        }
      }))

    it.effect("a cursor that was changed, forged or made for another query is refused before anything is read", () =>
      Effect.gen(function*() {
        const projection = someStates()
        yield* keep(projection, KINDS)
        const query = ProjectionQuery.state(projection)
        const sort = [{ field: ["v"] }] as const
        const { next } = yield* list(query, { sort, limit: 3 })
        assert.isDefined(next)
        const refused = (options: object) =>
          Effect.map(
            Effect.flip(list(query, { sort, ...options })),
            ({ _tag }) => assert.strictEqual(_tag, "CursorInvalid")
          )
        for (const index of indexes(next!.length)) {
          const other = next![index] === "A" ? "B" : "A"
          const changed = next!.slice(0, index) + other + next!.slice(index + 1)
          // the last character may have bits that mean nothing
          if (Buffer.from(changed, "base64url").equals(Buffer.from(next!, "base64url"))) continue
          yield* refused({ cursor: changed })
        }
        const forged = (parts: unknown) => Buffer.from(JSON.stringify(parts)).toString("base64url")
        for (const parts of [null, [], ["x"], [["x"]], ["x", "2", "1'; --", "", "key"], { length: 4 }, "x"]) {
          yield* refused({ cursor: forged(parts) })
        }
        for (const cursor of ["", "%", "x".repeat(2_000_000), "\0"]) yield* refused({ cursor })
        yield* refused({ cursor: next, sort: [{ field: ["v"], descending: true }] })
        yield* refused({ cursor: next, sort: [] })
        yield* refused({ cursor: next, where: { field: KEY, eq: "ten" } })
        const other = ProjectionQuery.state(someStates())
        assert.strictEqual((yield* Effect.flip(list(other, { sort, cursor: next })))._tag, "CursorInvalid")
        assert.strictEqual((yield* list(query, { sort, cursor: next, limit: 5 })).items.length, 5)
      }))

    it.effect("input that makes no sense is refused with its path, before anything is read", () =>
      Effect.gen(function*() {
        const query = ProjectionQuery.state(someStates()) as never as AnyQuery
        const deep = (depth: number): unknown => depth === 0 ? { field: "v", eq: 1 } : { not: deep(depth - 1) }
        const cases: ReadonlyArray<readonly [options: unknown, path: string]> = [
          [{ where: null }, "where"],
          [{ where: {} }, "where"],
          [{ where: { field: "v" } }, "where"],
          [{ where: { field: "v", equals: 1 } }, "where.equals"],
          [{ where: { field: "v", eq: undefined } }, "where.eq"],
          [{ where: { field: "v", eq: null } }, "where.eq"],
          [{ where: { field: "v", eq: Number.NaN } }, "where.eq"],
          [{ where: { field: "v", eq: 1n } }, "where.eq"],
          [{ where: { field: "v", eq: "\0" } }, "where.eq"],
          [{ where: { field: "v", eq: "\ud83d" } }, "where.eq"],
          [{ where: { field: "v", lt: true } }, "where.lt"],
          [{ where: { field: "v", in: 1 } }, "where.in"],
          [{ where: { field: "v", in: [1, {}] } }, "where.in[1]"],
          [{ where: { field: "v", like: 1 } }, "where.like"],
          [{ where: { field: "v", like: "a\\" } }, "where.like"],
          [{ where: { field: "v", isNull: 1 } }, "where.isNull"],
          [{ where: { field: ["\0"], eq: 1 } }, "where.field"],
          [{ where: { field: [{}], eq: 1 } }, "where.field"],
          [{ where: { field: [-1], eq: 1 } }, "where.field"],
          [{ where: { and: [{ field: "v", eq: 1 }, { or: [{ field: "v", gte: {} }] }] } }, "where.and[1].or[0].gte"],
          [{ where: { and: [], or: [] } }, "where"],
          [{ where: deep(17) }, "where.not.not.not.not.not.not.not.not.not.not.not.not.not.not.not.not"],
          [{ where: { or: indexes(300).map(() => ({ field: "v", eq: 1 })) } }, "where.or[199]"],
          [{ where: { field: "v", in: indexes(3_000) } }, "where.in[2000]"],
          [{ where: { field: "v", eq: "x".repeat(1_048_577) } }, "where.eq"],
          [{ limit: 0 }, "limit"],
          [{ limit: 1.5 }, "limit"],
          [{ limit: 1_001 }, "limit"],
          [{ sort: {} }, "sort"],
          [{ sort: [{ field: "v", ascending: true }] }, "sort[0].ascending"],
          [{ sort: [{ field: "v", descending: "yes" }] }, "sort[0].descending"],
          [{ sort: indexes(9).map(() => ({ field: "v" })) }, "sort"]
        ]
        const store = yield* ReadModelStore
        const untouched: ReadModelStore["Service"] = {
          ...store,
          readStates: () => Effect.die("was read"),
          countStates: () => Effect.die("was read")
        }
        for (const [options, path] of cases) {
          const error = yield* Effect.flip(list(query, options as never)).pipe(
            Effect.provideService(ReadModelStore, untouched)
          )
          assert.deepInclude(
            error,
            { _tag: "QueryInvalid", path },
            JSON.stringify(options, (_, value) => typeof value === "bigint" ? `${value}n` : value)?.slice(0, 200)
          )
        }
      }))

    it.effect("values and states of a megabyte are read and compared whole", () =>
      Effect.gen(function*() {
        const projection = someStates()
        const large = "x".repeat(1_000_000)
        yield* keep(projection, { a: { v: `${large}a` }, b: { v: `${large}b` }, c: { v: "short" } })
        const query = ProjectionQuery.state(projection)
        const found = yield* one(query, { where: { field: ["v"], eq: `${large}b` } })
        assert.deepStrictEqual(found, yield* one(query, { where: { field: KEY, eq: "b" } }))
        // beyond what an order looks at, the key decides
        assert.deepStrictEqual(yield* walk(query as never, { sort: [{ field: ["v"] }] }, 1), ["c", "a", "b"])
      }))

    it.effect("one state is found or none, and several are an error; results can be transformed", () =>
      Effect.gen(function*() {
        const projection = Projection.state({
          name: someProjectionName(),
          events: types,
          state: Schema.Struct({ owner: Schema.String, at: Schema.DateTimeUtcFromString }),
          initial: { owner: "", at: undefined as never },
          on: { AccountOpened: (state) => state, MoneyDeposited: (state) => state }
        })
        yield* keep(projection, {
          a: { owner: "Ann", at: "2026-01-02T00:00:00.000Z" },
          b: { owner: "Ann", at: "2026-01-03T00:00:00.000Z" },
          bad: { owner: 1 }
        })
        const query = map(
          ProjectionQuery.state(projection),
          ({ state }) => `${state.owner} ${state.at.epochMilliseconds}`
        )
        const found = yield* one(query, { where: { field: "at", gte: "2026-01-03" } })
        assert.deepStrictEqual(found._tag === "Some" ? found.value : undefined, `Ann ${Date.UTC(2026, 0, 3)}`)
        assert.strictEqual((yield* one(query, { where: { field: "owner", eq: "Bob" } }))._tag, "None")
        assert.strictEqual((yield* Effect.flip(one(query, { where: { field: "owner", eq: "Ann" } })))._tag, "ManyFound")
        const unreadable = yield* Effect.flip(one(query, { where: { field: KEY, eq: "bad" } }))
        assert.deepInclude(unreadable, { _tag: "StateUnreadable", key: "bad" })
        const all = yield* Stream.runCollect(stream(query, { where: { field: KEY, ne: "bad" }, limit: 1 }))
        assert.strictEqual(all.length, 2)
      }))

    it.effect("a read after a token waits until the projection has seen it, and then sees it", () =>
      Effect.gen(function*() {
        const projection = someStates()
        yield* keep(projection, { a: { n: 1 } })
        const query = ProjectionQuery.state(projection)
        const { position } = yield* append(someStream(), "noStream", [
          { type: "AccountOpened", data: { owner: "x" } }
        ])
        const token = yield* ReadToken.after({ position })
        const stale = yield* Effect.flip(list(query, { after: token, timeout: 30 }))
        assert.deepInclude(stale, { _tag: "StaleRead", wanted: position })
        const fiber = yield* Effect.forkChild(list(query, { after: token, timeout: "20 seconds" }))
        yield* keep(projection, { a: { n: 2 } })
        const page = yield* Fiber.join(fiber)
        assert.isAtLeast(page.position, position)
        assert.deepStrictEqual(page.items, [{ key: "a", state: { n: 2 } }])
        assert.strictEqual(yield* count(query, { after: token }), 1)
        assert.strictEqual((yield* one(query, { where: { field: KEY, eq: "a" }, after: token }))._tag, "Some")
        assert.strictEqual((yield* Stream.runCollect(stream(query, { after: token }))).length, 1)
      }))

    it.effect("what is read is of the token's place, even when the projection begins anew in between", () =>
      Effect.gen(function*() {
        const projection = someStates()
        const { position } = yield* append(someStream(), "noStream", [{ type: "AccountOpened", data: { owner: "x" } }])
        yield* keep(projection, { a: 1 })
        const store = yield* ReadModelStore
        let reads = 0
        const resetting: ReadModelStore["Service"] = {
          ...store,
          readStates: (query) =>
            Effect.map(
              store.readStates(query),
              (page) => ++reads < 3 ? { ...page, items: [], point: { ...page.point, position: START } } : page
            )
        }
        const after = yield* ReadToken.after({ position })
        const page = yield* list(ProjectionQuery.state(projection), { after }).pipe(
          Effect.provideService(ReadModelStore, resetting)
        )
        assert.strictEqual(reads, 3)
        assert.strictEqual(page.items.length, 1)
      }))

    it.effect("events that do not matter to a projection are not waited for", () =>
      Effect.gen(function*() {
        const projection = someStates()
        yield* keep(projection, { a: 1 })
        const { position } = yield* append(someStream(), "noStream", proposedMany(3))
        const token = yield* ReadToken.after({ position })
        assert.strictEqual(
          (yield* list(ProjectionQuery.state(projection), { after: token, timeout: 0 })).items.length,
          1
        )
      }))

    it.effect("a token of another history, of a place that is not there, or of nobody is refused", () =>
      Effect.gen(function*() {
        const query = ProjectionQuery.state(someStates())
        const { incarnation, position } = yield* EventStore.use((store) => store.head)
        const refused = (after: string) =>
          Effect.map(
            Effect.flip(list(query, { after })),
            (error) => error._tag === "ReadTokenInvalid" ? error.reason : error
          )
        const ahead = ReadToken.encode({ incarnation, position: (position + 1_000_000) as never })
        assert.strictEqual(yield* refused(ahead), "AheadOfLog")
        const other = ReadToken.encode({ incarnation: crypto.randomUUID(), position })
        assert.strictEqual(yield* refused(other), "OtherHistory")
        for (const token of ["", "r1", ahead.slice(0, -1), `${ahead}0`, "x".repeat(100_000), "r1-'; --"]) {
          assert.strictEqual(yield* refused(token), "Malformed")
        }
      }))

    it.effect("a projection that never ran has no states, and none is waited for in vain", () =>
      Effect.gen(function*() {
        const query = ProjectionQuery.state(someStates())
        assert.deepStrictEqual(yield* list(query), { items: [], next: undefined, position: 0 as never })
        assert.strictEqual(yield* count(query), 0)
        const { position } = yield* append(someStream(), "noStream", [{ type: "AccountOpened", data: { owner: "x" } }])
        const token = yield* ReadToken.after({ position })
        assert.strictEqual((yield* Effect.flip(list(query, { after: token, timeout: 20 })))._tag, "StaleRead")
      }))
  })
}
