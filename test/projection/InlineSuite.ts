/**
 * Projections in the transaction of the append, as tests: one text for all
 * storages.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Schema, type Scope, Stream } from "effect"
import { InlineProjections, Projection, ProjectionControl, ProjectionRunner } from "../../src/projection/index.ts"
import type { InlineProjection } from "../../src/projection/InlineProjections.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import type { StorageError } from "../../src/store/EventStoreError.ts"
import { FENCE, type InlineAppender } from "../../src/store/InlineAppender.ts"
import { indexes, unique } from "../store/fixtures.ts"
import {
  account,
  allStates,
  appendAccounts,
  appendDeposits,
  assertFold,
  balances,
  checkpointOf,
  eventsOf,
  foldBalances,
  Opened
} from "./fixtures.ts"

export type Services = EventStore | CheckpointStore | InlineAppender

/** A category that nobody else uses. */
const someCategory = (): string => `inline${unique().replaceAll("-", "").slice(0, 16)}`

/** Runs an effect with a store that takes these projections along. */
export const inline = <A, E, R>(
  projections: ReadonlyArray<InlineProjection>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, unknown, Exclude<R, EventStore | Scope.Scope> | Services> =>
  Effect.scoped(
    Effect.flatMap(
      Layer.build(Layer.fresh(InlineProjections.layer(projections))),
      (context) => Effect.provideContext(effect, context)
    )
  ) as Effect.Effect<A, unknown, Exclude<R, EventStore | Scope.Scope> | Services>

/** The reason of the `StorageError` that an effect fails with. */
export const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<StorageError["reason"], never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    const failure = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
    const error = (failure?._tag === "Fail" ? failure.error : undefined) as StorageError | undefined
    assert.strictEqual(error?._tag, "StorageError", Exit.isFailure(exit) ? String(exit.cause) : "it succeeded")
    return error!.reason
  })

const headOf = EventStore.use((store) => Effect.map(store.head, ({ position }) => position))

export const suite = <E>(storage: string, layer: Layer.Layer<Services, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`inline projections (${storage})`, (it) => {
    it.effect("after every append the states are the fold of the log, up to its head", () => {
      const category = someCategory()
      const projection = balances(category)
      return inline(
        [projection],
        Effect.gen(function*() {
          yield* appendAccounts(category, 3, 5)
          const store = yield* EventStore
          for (const index of indexes(6)) {
            const { position } = yield* store.append({
              streamId: account(category, index % 3),
              expected: "streamExists",
              events: [{ type: "MoneyDeposited", version: 2, data: { amount: index } }]
            })
            assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
            assert.strictEqual((yield* checkpointOf(projection)).position, position)
          }
          yield* assertFold(category, projection)
        })
      )
    })

    it.effect("what was in the log before the layer is applied before its first append", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        yield* appendAccounts(category, 2, 7)
        yield* inline([projection], Effect.void)
        yield* assertFold(category, projection)
        assert.lengthOf(yield* allStates(projection), 2)
      }))

    it.effect("an append makes up for what others appended that do not know the projection", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        const plain = yield* EventStore
        yield* inline(
          [projection],
          Effect.gen(function*() {
            yield* appendAccounts(category, 2, 3)
            yield* Effect.provideService(appendDeposits(category, 2, 9), EventStore, plain)
            yield* appendDeposits(category, 2, 1)
            assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
            yield* assertFold(category, projection)
          })
        )
      }))

    it.effect("a retry of events that another has recorded is acknowledged only when the projection saw them", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        const plain = yield* EventStore
        const events = [{ id: crypto.randomUUID(), type: "AccountOpened", data: { owner: "Ann" } }]
        const options = { streamId: account(category, 0), expected: "noStream" as const, events }
        yield* inline(
          [projection],
          Effect.gen(function*() {
            yield* plain.append(options)
            const { alreadyAppended } = yield* EventStore.use((store) => store.append(options))
            assert.isTrue(alreadyAppended)
            assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
            yield* EventStore.use((store) => store.append(options))
            yield* assertFold(category, projection)
          })
        )
      }))

    it.effect("an append that is refused leaves no effect, and its neighbours keep theirs", () => {
      const category = someCategory()
      const projection = balances(category)
      return inline(
        [projection],
        Effect.gen(function*() {
          const store = yield* EventStore
          yield* appendAccounts(category, 2, 2)
          const exits = yield* Effect.forEach(indexes(12), (index) =>
            Effect.exit(store.append({
              streamId: account(category, index % 2),
              expected: index % 3 === 0 ? 999 : "any",
              events: [{ type: "MoneyDeposited", version: 2, data: { amount: 1 } }]
            })), { concurrency: "unbounded" })
          assert.deepStrictEqual(exits.map(Exit.isSuccess), indexes(12).map((index) => index % 3 !== 0))
          assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
          yield* assertFold(category, projection)
        })
      )
    })

    it.effect("an event that cannot be applied fails its append alone, and nothing of it is written", () => {
      const category = someCategory()
      const projection = balances(category, {
        onDeposit: ({ data }) => {
          if (data.amount === 13) throw new TypeError("thirteen")
        }
      })
      const deposit = (index: number, amount: unknown) =>
        EventStore.use((store) =>
          store.append({
            streamId: account(category, index),
            expected: "any",
            events: [{ type: "MoneyDeposited", version: 2, data: { amount: amount as number } }]
          })
        )
      return inline(
        [projection],
        Effect.gen(function*() {
          yield* appendAccounts(category, 3, 0)
          const before = yield* headOf
          const poisoned = yield* reasonOf(deposit(1, 13))
          assert.strictEqual(poisoned._tag, "InlineFailed")
          if (poisoned._tag !== "InlineFailed") return
          assert.deepStrictEqual(
            [poisoned.name, poisoned.type, poisoned.streamId as string, poisoned.revision as number, poisoned.why],
            [projection.name, "MoneyDeposited", account(category, 1), 1, "HandlerThrew"]
          )
          assert.notInclude(poisoned.detail, "thirteen")
          const undecodable = yield* reasonOf(deposit(1, "much"))
          assert.strictEqual(undecodable._tag === "InlineFailed" ? undecodable.why : "", "Undecodable")
          assert.strictEqual(yield* headOf, before)

          const exits = yield* Effect.forEach(
            [1, 13, 2, 13, 3],
            (amount, index) => Effect.exit(deposit(index % 3, amount)),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true, false, true])
          assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
          yield* assertFold(category, projection)
        })
      )
    })

    it.effect("appendAll to several streams is seen as a whole, with several projections", () => {
      const category = someCategory()
      const first = balances(category)
      const count = Projection.state({
        name: `count ${category}`,
        events: [Opened],
        where: { categories: [category] },
        state: Schema.Int,
        initial: 0,
        on: { AccountOpened: (n) => n + 1 }
      })
      return inline(
        [first, count],
        Effect.gen(function*() {
          yield* appendAccounts(category, 4, 3)
          assert.deepStrictEqual(yield* allStates(count), [["", 4]])
          assert.deepStrictEqual(yield* allStates(first), foldBalances(yield* eventsOf(category)))
          const found = Option.getOrThrow(yield* ProjectionControl.verify(count))
          assert.isTrue(found.isComplete)
          assert.strictEqual(found.checkpoint.count, 4)
        })
      )
    })

    it.effect("beyond what an append makes up for it fails with InlineBehind, until a runner has caught up", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        const plain = yield* EventStore
        const opened = () =>
          EventStore.use((store) =>
            store.append({
              streamId: account(category, 9_999),
              expected: "any",
              events: [{ type: "AccountOpened", data: { owner: "late" } }]
            })
          )
        yield* inline(
          [projection],
          Effect.gen(function*() {
            yield* plain.append({
              streamId: account(category, 0),
              expected: "any",
              events: indexes(1_001).map((n) => ({ type: "MoneyDeposited", version: 2, data: { amount: n } }))
            })
            const before = yield* headOf
            const reason = yield* reasonOf(opened())
            assert.strictEqual(reason._tag, "InlineBehind")
            assert.isTrue(reason.isRetryable)
            assert.match(reason.detail, /runOnce/)
            assert.strictEqual(yield* headOf, before)
            yield* ProjectionRunner.runOnce(projection)
            yield* opened()
            yield* assertFold(category, projection)
            assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
          })
        )
      }))

    it.effect("reset and run again, it is what the appends had made of it", () => {
      const category = someCategory()
      const projection = balances(category)
      return inline(
        [projection],
        Effect.gen(function*() {
          yield* appendAccounts(category, 3, 12)
          const before = yield* allStates(projection)
          yield* ProjectionControl.reset(projection)
          assert.deepStrictEqual(yield* allStates(projection), [])
          yield* ProjectionRunner.runOnce(projection)
          assert.deepStrictEqual(yield* allStates(projection), before)
          yield* ProjectionControl.reset(projection)
          yield* appendDeposits(category, 3, 1)
          assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
          yield* assertFold(category, projection)
        })
      )
    })

    it.effect("an append waits for who resets a projection, and beyond a while fails with InlineBehind", () => {
      const category = someCategory()
      const projection = balances(category)
      const lease = (leaseMillis: number) =>
        CheckpointStore.use((store) =>
          store.acquire({
            name: projection.name,
            version: 1,
            definition: projection.definition,
            owner: `${FENCE}test`,
            leaseMillis,
            statuses: ["running"],
            evenWhenHeld: true
          })
        )
      return inline(
        [projection],
        Effect.gen(function*() {
          yield* appendAccounts(category, 2, 0)
          yield* lease(200)
          yield* appendDeposits(category, 2, 2)
          const answer = yield* lease(60_000)
          const reason = yield* reasonOf(appendDeposits(category, 2, 1))
          assert.strictEqual(reason._tag, "InlineBehind")
          if (answer._tag === "Acquired") yield* CheckpointStore.use((store) => store.release(answer.lease))
          yield* appendDeposits(category, 2, 1)
          yield* assertFold(category, projection)
          assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
        })
      )
    }, 30_000)

    it.effect("a runner beside the appends takes nothing away from them", () => {
      const category = someCategory()
      const projection = balances(category)
      return inline(
        [projection],
        Effect.gen(function*() {
          yield* appendAccounts(category, 3, 0)
          yield* Effect.raceFirst(
            ProjectionRunner.run(projection),
            Effect.forEach(indexes(40), () =>
              Effect.gen(function*() {
                const { position } = yield* EventStore.use((store) =>
                  store.append({
                    streamId: account(category, 1),
                    expected: "any",
                    events: [{ type: "MoneyDeposited", version: 2, data: { amount: 1 } }]
                  })
                )
                const [, state] = (yield* allStates(projection))[1]!
                const events = yield* eventsOf(category, position)
                assert.strictEqual(state.deposits, events.filter(({ type }) => type === "MoneyDeposited").length)
              }))
          )
          yield* assertFold(category, projection)
        })
      )
    })

    it.effect("followers of the log are woken by such appends too", () => {
      const category = someCategory()
      return inline(
        [balances(category)],
        Effect.gen(function*() {
          const store = yield* EventStore
          const seen = yield* Effect.forkChild(
            Stream.runCollect(Stream.take(store.subscribe({ filter: { categories: [category] } }), 3)),
            { startImmediately: true }
          )
          yield* appendAccounts(category, 3, 0)
          assert.lengthOf(yield* Fiber.join(seen), 3)
        })
      )
    })

    it.effect("what an append cannot take along is refused by the layer", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        const invalid = (projections: ReadonlyArray<InlineProjection>) =>
          Effect.map(
            Effect.flip(inline(projections, Effect.void)),
            (error) => (error as { readonly _tag: string })._tag
          )
        const sliced = { ...projection, slices: { count: 2 } }
        const late = { ...projection, after: [projection] }
        for (const one of [balances(category, { action: "park" }), sliced, late]) {
          assert.strictEqual(yield* invalid([one]), "ProjectionInvalid")
        }
        assert.strictEqual(yield* invalid([projection, projection]), "ProjectionInvalid")
      }))
  })
}
