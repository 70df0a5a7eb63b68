/**
 * What projections with states promise that apply on a condition, come after
 * others, forget what is old, or write now and then: one text for all storages.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option, Schema } from "effect"
import type { RecordedEvent } from "../../src/event/Event.ts"
import { Projection, ProjectionControl, ProjectionRunner, ProjectionState } from "../../src/projection/index.ts"
import type { StateProjection } from "../../src/projection/Projection.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { append, head, indexes, proposed, someCategory } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  account,
  allStates,
  appendAccounts,
  appendDeposits,
  assertComplete,
  assertFold,
  Balance,
  balances,
  checkpointOf,
  eventsOf,
  foldBalances,
  losing,
  NO_BALANCE,
  SMALL,
  someProjectionName,
  sticking,
  types
} from "./fixtures.ts"

const { run, runOnce } = ProjectionRunner

/** Numbers of events by stream. */
const counts = (
  category: string,
  rest: Partial<
    Pick<Projection.StateOptions<"all", number>, "after" | "name" | "retention" | "saveEvery" | "version" | "when">
  > = {}
): StateProjection<number> =>
  Projection.state({
    name: someProjectionName(),
    events: "all",
    where: { categories: [category] },
    state: Schema.Int,
    initial: 0,
    key: (event) => event.streamId,
    on: (count) => count + 1,
    ...rest
  })

/** Balances that are written now and then. */
const saved = (
  category: string,
  rest: Partial<{
    saveEvery: number
    saveWithin: number
    onDeposit: (data: { readonly amount: number }) => void
    makeBalance: (balance: Balance) => Balance
    action: "halt" | "park"
  }> = {}
): StateProjection<Balance> =>
  Projection.state({
    name: someProjectionName(),
    events: types,
    where: { categories: [category] },
    onError: { action: rest.action },
    state: Balance,
    initial: NO_BALANCE,
    key: (event) => event.streamId,
    saveEvery: rest.saveEvery ?? 10,
    saveWithin: rest.saveWithin ?? 60_000,
    on: {
      AccountOpened: (state, { data }) => ({ ...state, owner: data.owner }),
      MoneyDeposited: (state, { data }) => {
        rest.onDeposit?.(data)
        const after = { ...state, amount: state.amount + data.amount, deposits: state.deposits + 1 }
        return rest.makeBalance?.(after) ?? after
      }
    }
  })

/** The same store, and the positions of its commits. */
const watching = (store: CheckpointStore["Service"]) => {
  const commits: Array<number> = []
  const watched: CheckpointStore["Service"] = {
    ...store,
    commit: (lease, work) =>
      Effect.tap(store.commit(lease, work), () => Effect.sync(() => void commits.push(work.to.position)))
  }
  return { watched, commits }
}

const tick = (category: string, index: number) =>
  Effect.suspend(() => append(account(category, index), "any", [proposed("Ticked")]))

/** Appends to a stream again and again, until its last event was recorded so long after a time. */
const tickUntil = (category: string, index: number, millis: number) =>
  waitFor(
    Effect.andThen(
      tick(category, index),
      Effect.map(eventsOf(category), (events) => events.at(-1)!.recordedAt.epochMilliseconds)
    ),
    (now) => now > millis
  )

/** What the counts must be when those are forgotten that nothing has changed for longer. */
const foldCounts = (events: ReadonlyArray<RecordedEvent>, maxAgeMillis: number) => {
  const states = new Map<string, { readonly count: number; readonly time: number }>()
  for (const { recordedAt, streamId } of events) {
    const time = recordedAt.epochMilliseconds
    for (const [key, state] of states) if (time - state.time > maxAgeMillis) states.delete(key)
    states.set(streamId, { count: (states.get(streamId)?.count ?? 0) + 1, time })
  }
  return [...states].map(([key, { count }]) => [key, count] as const).sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Kinds of projections (${storage})`, (it) => {
    it.effect("events of every type come to one handler, as they were recorded", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 6)
        const seen: Array<RecordedEvent> = []
        const projection = Projection.state({
          name: someProjectionName(),
          events: "all",
          where: { categories: [category] },
          state: Schema.Record(Schema.String, Schema.Int),
          initial: {},
          on: (state, event) => {
            seen.push(event)
            return { ...state, [event.type]: (state[event.type] ?? 0) + 1 }
          }
        })
        yield* runOnce(projection, SMALL)
        assert.deepStrictEqual(
          yield* ProjectionState.get(projection),
          Option.some({ AccountOpened: 2, MoneyDeposited: 6, Ignored: 6 })
        )
        assert.deepStrictEqual(seen, [...(yield* eventsOf(category))])
        yield* assertComplete(projection)
      }))

    it.effect("what does not meet the condition is seen and counted, and not applied", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 9)
        const projection = counts(category, { when: ({ revision }) => revision % 2 === 0 })
        for (const batchEvents of [1, 1_000]) {
          const again = { ...projection, name: someProjectionName() }
          const checkpoint = yield* runOnce(again, { batchEvents })
          const events = yield* eventsOf(category)
          assert.strictEqual(checkpoint.count, events.length)
          assert.deepStrictEqual(
            yield* allStates(again),
            foldCounts(events.filter(({ revision }) => revision % 2 === 0), Infinity)
          )
          yield* assertComplete(again)
        }
      }))

    it.effect("a condition that throws halts at its event", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 3)
        const projection = counts(category, {
          when: ({ revision }) => {
            if (revision === 2) throw new TypeError("secret")
            return true
          }
        })
        const error = yield* Effect.flip(runOnce(projection, SMALL))
        assert.strictEqual(error._tag === "ProjectionHalted" ? error.failure.reason : error._tag, "HandlerThrew")
        assert.deepStrictEqual(yield* allStates(projection), [[account(category, 0), 2]])
      }))

    it.effect("a projection that comes after another one applies nothing that the other has not seen", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 5)
        const first = balances(category)
        const other = counts(category)
        const second = counts(category, { after: [first, other] })
        const behind = yield* Effect.flip(runOnce(second, { ...SMALL, lease: 50 }))
        assert.strictEqual(behind._tag, "DependencyBehind")
        assert.strictEqual((yield* checkpointOf(second)).count, 0)
        yield* runOnce(first)
        yield* runOnce(other)
        yield* runOnce(second, SMALL)
        const before = yield* checkpointOf(second)
        assert.strictEqual(before.position, yield* head)

        // all but one go on: what comes now has to wait for it
        yield* appendDeposits(category, 2, 20)
        yield* runOnce(other)
        const fiber = yield* Effect.forkChild(run(second, SMALL))
        yield* waitFor(ProjectionControl.describe(second), (found) => Option.getOrThrow(found).owner !== undefined)
        assert.strictEqual((yield* checkpointOf(second)).count, before.count)
        const { waitsFor } = Option.getOrThrow(yield* ProjectionControl.describe(second))
        assert.deepStrictEqual(waitsFor.map(({ name }) => name), [first.name])
        assert.deepStrictEqual(Option.getOrThrow(yield* ProjectionControl.describe(first)).waitsFor, [])
        const slow = yield* Effect.forkChild(runOnce(first, { batchEvents: 1 }))
        yield* waitFor(
          Effect.gen(function*() {
            const ahead = yield* checkpointOf(second)
            const reached = yield* checkpointOf(first)
            const matching = (yield* eventsOf(category)).filter((event) =>
              event.type !== "Ignored" && event.position > reached.position && event.position <= ahead.position
            )
            assert.deepStrictEqual(matching, [])
            return ahead.position
          }),
          (position) => position >= (before.position as number) + 40
        )
        yield* Fiber.join(slow)
        yield* Fiber.interrupt(fiber)
        yield* assertComplete(second)
      }))

    it.effect("what does not matter to the other is not waited for", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const first = counts(someCategory())
        yield* runOnce(first)
        const second = counts(category, { after: [first] })
        yield* appendAccounts(category, 2, 5)
        const checkpoint = yield* runOnce(second, SMALL)
        assert.strictEqual(checkpoint.count, 12)
      }))

    it.effect("what comes after itself in the end is refused", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const name = someProjectionName()
        const first = counts(category, { name })
        const second = counts(category, { after: [first] })
        const again = counts(category, { name, after: [second] })
        const error = yield* Effect.flip(runOnce(again))
        assert.strictEqual(error._tag === "ProjectionInvalid" ? error.problems.length : error._tag, 1)
        assert.match(error.message, /comes after/)
        // another version of it may come after it
        yield* runOnce(first)
        yield* runOnce(second)
        yield* runOnce(counts(category, { name, version: 2, after: [second] }))
      }))

    it.effect("old states are forgotten by the time of the log, in a rebuild as in the run before, whatever the batches", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const maxAge = 60
        const live = counts(category, { retention: { maxAge } })
        yield* tick(category, 0)
        yield* tick(category, 1)
        yield* runOnce(live)
        for (const round of indexes(3)) {
          const now = (yield* eventsOf(category)).at(-1)!.recordedAt.epochMilliseconds
          yield* tickUntil(category, 2 + round, now + 40)
          yield* tick(category, 1)
          if (round === 1) yield* runOnce(live, SMALL)
        }
        yield* tickUntil(category, 9, (yield* eventsOf(category)).at(-1)!.recordedAt.epochMilliseconds + maxAge)
        yield* tick(category, 0)
        yield* runOnce(live)
        // one that is written already, and grows old and changes within the next batch
        yield* tickUntil(category, 9, (yield* eventsOf(category)).at(-1)!.recordedAt.epochMilliseconds + maxAge)
        yield* tick(category, 0)
        yield* runOnce(live)
        const events = yield* eventsOf(category)
        const expected = foldCounts(events, maxAge)
        assert.isBelow(expected.length, new Set(events.map(({ streamId }) => streamId)).size)
        assert.deepStrictEqual(yield* allStates(live), expected)
        for (const batchEvents of [1, 3, 1_000]) {
          const rebuilt = counts(category, { retention: { maxAge } })
          yield* runOnce(rebuilt, { batchEvents })
          assert.deepStrictEqual(yield* allStates(rebuilt), expected)
          yield* assertComplete(rebuilt)
        }
        const kept = counts(category, { retention: { maxAge }, saveEvery: 5 })
        yield* runOnce(kept, { batchEvents: 2 })
        assert.deepStrictEqual(yield* allStates(kept), expected)
      }))

    it.effect("more old states than one commit removes are gone all the same", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const maxAge = 500
        const projection = counts(category, { retention: { maxAge } })
        const store = yield* EventStore
        for (const part of indexes(3)) {
          yield* store.appendAll({
            writes: indexes(700).map((index) => ({
              streamId: account(category, 700 * part + index),
              expected: "noStream",
              events: [proposed("Ticked")]
            }))
          })
        }
        yield* runOnce(projection)
        const { recordedAt } = (yield* eventsOf(category)).at(-1)!
        yield* tickUntil(category, 7, recordedAt.epochMilliseconds + maxAge)
        yield* runOnce(projection)
        assert.deepStrictEqual(yield* allStates(projection), foldCounts(yield* eventsOf(category), maxAge))
      }))

    it.effect("states are written every so many events, and what was not written is applied again", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 40)
        const store = yield* CheckpointStore
        const projection = saved(category)
        const { commits, watched } = watching(store)
        yield* runOnce(projection, { batchEvents: 4 }).pipe(Effect.provideService(CheckpointStore, watched))
        assert.isAtLeast(commits.length, 4)
        assert.isAtMost(commits.length, 6)
        yield* assertFold(category, projection)
        assert.strictEqual((yield* checkpointOf(projection)).position, yield* head)
        for (const commit of [1, 2, 3]) {
          for (const when of ["before", "after"] as const) {
            const again = saved(category)
            yield* runOnce(again, { batchEvents: 4 }).pipe(
              Effect.provideService(CheckpointStore, losing(store, commit, when))
            )
            yield* assertFold(category, again)
            assert.strictEqual((yield* checkpointOf(again)).count, 43)
          }
        }
      }))

    it.effect("a runner that is interrupted between two writes leaves the fold of what its checkpoint says", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 40)
        const store = yield* CheckpointStore
        const projection = saved(category)
        for (const stopAt of indexes(3)) {
          const { isStuck, stuck } = sticking(store, stopAt, "before")
          const fiber = yield* Effect.forkChild(
            Effect.provideService(run(projection, { batchEvents: 2 }), CheckpointStore, stuck)
          )
          yield* waitFor(Effect.sync(isStuck), (is) => is)
          yield* Fiber.interrupt(fiber)
          yield* assertFold(category, projection)
        }
        assert.isBelow((yield* checkpointOf(projection)).count, 43)
        yield* runOnce(projection)
        yield* assertFold(category, projection)
      }))

    it.effect("a follower writes what it kept when its time has come", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 3)
        const projection = saved(category, { saveEvery: 1_000, saveWithin: 50 })
        const fiber = yield* Effect.forkChild(run(projection))
        yield* waitFor(ProjectionControl.describe(projection), (found) =>
          Option.match(found, { onNone: () => false, onSome: ({ checkpoint }) => checkpoint.count === 5 }))
        yield* Fiber.interrupt(fiber)
        yield* assertFold(category, projection)
      }))

    it.effect("a poison event among kept states halts at that event, and those before it are written", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 30)
        const throwing = saved(category, {
          onDeposit: ({ amount }) => {
            if (amount === 23) throw new TypeError("secret")
          }
        })
        const invalid = saved(category, {
          makeBalance: (balance) => balance.deposits === 7 ? { ...balance, deposits: 0.5 } : balance
        })
        for (const projection of [throwing, invalid]) {
          const error = yield* Effect.flip(runOnce(projection, { ...SMALL, batchEvents: 4 }))
          assert.strictEqual(error._tag, "ProjectionHalted")
          if (error._tag !== "ProjectionHalted") return
          const { count, position } = yield* checkpointOf(projection)
          const next = (yield* eventsOf(category)).find((event) =>
            event.type !== "Ignored" && event.position > position
          )
          assert.strictEqual(error.failure.position, next!.position)
          assert.isAbove(count, 10)
          yield* assertFold(category, projection)
        }
        const parking = saved(category, {
          action: "park",
          onDeposit: ({ amount }) => {
            if (amount === 23) throw new TypeError("secret")
          }
        })
        yield* runOnce(parking, { ...SMALL, batchEvents: 4 })
        const parked = new Set((yield* ProjectionControl.listParked(parking)).map(({ position }) => position))
        assert.isAbove(parked.size, 1)
        assert.deepStrictEqual(
          yield* allStates(parking),
          foldBalances((yield* eventsOf(category)).filter(({ position }) => !parked.has(position)))
        )
        yield* assertComplete(parking)
      }))

    it.effect("options that make no sense are refused", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projections = [
          counts(category, { saveEvery: 0 }),
          counts(category, { saveEvery: 100_001 }),
          counts(category, { retention: { maxAge: 0 } }),
          { ...counts(category, { retention: { maxAge: 1_000 } }), slices: { count: 2 } }
        ]
        for (const projection of projections) {
          assert.strictEqual((yield* Effect.flip(runOnce(projection)))._tag, "ProjectionInvalid")
        }
      }))
  })
}
