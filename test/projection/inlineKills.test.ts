/**
 * Connections of inline appends die at every statement: each append is answered
 * with its place, and the projections are the fold of the log up to its head.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import { PgTransaction } from "../../src/postgres/index.ts"
import { InlineProjections } from "../../src/projection/index.ts"
import type { InlineProjection } from "../../src/projection/InlineProjections.ts"
import { layerPostgres } from "../../src/runtime/index.ts"
import type { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { openSql } from "../postgres/fixtures.ts"
import { indexes } from "../store/fixtures.ts"
import { type Fault, makeFaultProxy } from "../support/faultProxy.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { allStates, balances, checkpointOf, eventsOf, foldBalances } from "./fixtures.ts"
import { assertSales, salesByCountry, Sold } from "./sales.ts"

const CATEGORY = "mixed"

/** A state and a table of the same category. */
const makeProjections = () => {
  const sales = salesByCountry({ category: CATEGORY, name: "sales", table: "sales" })
  return {
    state: balances(CATEGORY),
    sales,
    all: [balances(CATEGORY), sales.projection] as ReadonlyArray<InlineProjection>
  }
}

/** A process of its own that appends inline, by way of `url`. */
const openProcess = (url: string, applicationName: string, projections: ReadonlyArray<InlineProjection>) =>
  Effect.map(
    Layer.build(Layer.fresh(Layer.provideMerge(
      InlineProjections.layer(projections),
      layerPostgres({ url, applicationName })
    ))),
    (context) => Context.get(context, EventStore)
  )

/** Reads beside them, without the layer. */
const openReader = (url: string) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(Layer.fresh(layerPostgres({ url, applicationName: "reader" })))
    const sql = yield* openSql(url)
    return {
      sql,
      inside: <A, E>(effect: Effect.Effect<A, E, EventStore | CheckpointStore | PgClient.PgClient>) =>
        effect.pipe(Effect.provideContext(context), Effect.provideService(PgClient.PgClient, sql))
    }
  })

const mixed = (n: number) => ({
  streamId: `${CATEGORY}-${n % 3}`,
  expected: "any" as const,
  events: [
    { id: SecureRandom.uuidV7Unsafe(), ...Sold.make({ country: n % 2 === 0 ? "DE" : "FR", units: n }) },
    { id: SecureRandom.uuidV7Unsafe(), type: "MoneyDeposited", version: 2, data: { amount: n } }
  ]
})

/** What both must be, up to the head. */
const assertBoth = ({ sales, state }: ReturnType<typeof makeProjections>) =>
  Effect.gen(function*() {
    const { position } = yield* EventStore.use((store) => store.head)
    for (const projection of [state, sales.projection]) {
      assert.strictEqual((yield* checkpointOf(projection)).position, position)
    }
    const events = (yield* eventsOf(CATEGORY)).filter(({ type }) => type === "MoneyDeposited")
    assert.deepStrictEqual(yield* allStates(state), foldBalances(events))
    yield* assertSales(CATEGORY, sales.projection, sales.physical)
  })

const STATEMENTS: ReadonlyArray<readonly [name: string, text: string | RegExp]> = [
  ["BEGIN", /^BEGIN ISOLATION/],
  ["append", ".append_"],
  ["lock of the checkpoints", "FOR UPDATE"],
  ["read of the states", "state::text"],
  ["statement of a handler", "INSERT INTO \"public\""],
  ["write of the states", "projection_states (projection"],
  ["move of the checkpoints", "WITH moved"],
  ["COMMIT", /^COMMIT/]
]

const FAULTS: ReadonlyArray<Fault> = [{ _tag: "LoseAnswer" }, { _tag: "LoseRequest" }]

/** Of COMMIT the answer can be lost: the events tell that it was done. */
const TRANSACTION_FAULTS: ReadonlyArray<readonly [text: string | RegExp, fault: Fault]> = [
  ["WITH moved", { _tag: "LoseAnswer" }],
  ["WITH moved", { _tag: "LoseRequest" }],
  [/^COMMIT/, { _tag: "LoseAnswer" }],
  [/^COMMIT/, { _tag: "LoseRequest" }]
]

for (const server of servers) {
  describe(`inline appends that lose their connection (${server.label})`, () => {
    it.live(
      "at any statement: the append is answered, its effects are there once, and those of no other",
      () =>
        Effect.gen(function*() {
          const url = yield* makeDatabase(server.admin)
          const proxy = yield* makeFaultProxy(url)
          const projections = makeProjections()
          const store = yield* openProcess(proxy.url, "victim", projections.all)
          const { inside } = yield* openReader(url)
          let n = 0
          yield* store.append(mixed(n++))
          for (const [name, text] of STATEMENTS) {
            for (const fault of FAULTS) {
              const { position: before } = yield* store.head
              const armed = yield* proxy.arm(text, fault)
              const result = yield* store.append(mixed(n++))
              yield* armed.happened
              assert.strictEqual(result.firstPosition, before + 1, `${fault._tag} at ${name}`)
              yield* inside(assertBoth(projections))
            }
          }
          assert.strictEqual((yield* store.head).position, 2 * n)
        }),
      60_000
    )

    it.live(
      "in a transaction of the caller's: its work, its events and their effects are there together, once",
      () =>
        Effect.gen(function*() {
          const url = yield* makeDatabase(server.admin)
          const proxy = yield* makeFaultProxy(url)
          const projections = makeProjections()
          const base = yield* Layer.build(Layer.fresh(layerPostgres({ url: proxy.url, applicationName: "victim" })))
          const inlined = yield* Effect.provideContext(
            Layer.build(Layer.fresh(InlineProjections.layer(projections.all))),
            base
          )
          const { inside, sql } = yield* openReader(url)
          yield* sql`CREATE TABLE public.notes (n int PRIMARY KEY)`
          const transact = (n: number) =>
            PgTransaction.transact(Effect.gen(function*() {
              const own = yield* PgClient.PgClient
              yield* own`INSERT INTO public.notes VALUES (${n})`
              const { events, expected, streamId } = mixed(n)
              return { append: { writes: [{ streamId, expected, events }] }, value: n }
            })).pipe(Effect.provideContext(Context.merge(base, inlined)))
          let done = 0
          for (const [n, [text, fault]] of TRANSACTION_FAULTS.entries()) {
            const armed = yield* proxy.arm(text, fault)
            const exit = yield* Effect.exit(transact(n))
            yield* armed.happened
            if (Exit.isSuccess(exit)) done++
            const notes = yield* sql`SELECT n FROM public.notes`
            const { position } = yield* inside(EventStore.use((store) => store.head))
            assert.deepStrictEqual([notes.length, position], [done, 2 * done], `${fault._tag} at ${text}`)
            yield* inside(assertBoth(projections))
          }
          assert.isAbove(done, 0)
        }),
      60_000
    )

    it.live(
      "killed again and again, two processes and a plain writer: always the fold up to the head",
      () =>
        Effect.gen(function*() {
          const url = yield* makeDatabase(server.admin)
          const projections = makeProjections()
          const { inside, sql } = yield* openReader(url)
          const plain = yield* inside(EventStore.use(Effect.succeed))
          const one = yield* openProcess(url, "victim one", projections.all)
          const two = yield* openProcess(url, "victim two", projections.all)
          const write = (store: EventStore["Service"], from: number) =>
            Effect.forEach(indexes(60), (n) => store.append(mixed(from + n)), { concurrency: 8, discard: true })
          const writers = yield* Effect.forkChild(
            Effect.all([write(one, 0), write(two, 100), write(plain, 200)], { concurrency: "unbounded" })
          )
          const grown = EventStore.use((store) => Effect.map(store.head, ({ position }) => position))
          let kills = 0
          while (writers.pollUnsafe() === undefined) {
            const before = yield* inside(grown)
            const rows = yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name LIKE 'victim%inline%' AND state <> 'idle'`
            kills += rows.length
            yield* waitFor(inside(grown), (now) => now > before + 10 || writers.pollUnsafe() !== undefined)
          }
          yield* Fiber.join(writers)
          assert.isAbove(kills, 4)
          yield* one.append(mixed(1_000))
          yield* inside(assertBoth(projections))
          assert.strictEqual((yield* one.head).position, 2 * 181)
        }),
      60_000
    )
  })
}
