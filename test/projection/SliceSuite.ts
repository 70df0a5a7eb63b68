/**
 * What projections promise that are divided, and runners that share them: one
 * text for all storages.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option, Result, Schema } from "effect"
import { Projection, ProjectionControl, ProjectionRunner } from "../../src/projection/index.ts"
import type { Slices, StateProjection } from "../../src/projection/Projection.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { sliceOf } from "../../src/store/Slice.ts"
import { append, head, indexes, proposed, someCategory } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  account,
  allStates,
  appendAccounts,
  appendDeposits,
  assertFold,
  type Balance,
  balances,
  eventsOf,
  foldBalances,
  SMALL,
  someProjectionName,
  types
} from "./fixtures.ts"

const { run, runAll, runAllOnce, runOnce } = ProjectionRunner

/** Balances by account, divided. */
const divided = (
  category: string,
  slices: Slices,
  rest: Parameters<typeof balances>[1] = {}
): StateProjection<Balance> => {
  const whole = balances(category, { name: someProjectionName(), ...rest })
  return { ...whole, slices, definition: `${whole.definition} in ${slices.count}` }
}

/** How many slices each runner has. */
const sharesOf = (projection: StateProjection<unknown>) =>
  Effect.map(CheckpointStore.use((store) => store.findSlices(projection)), (slices) => {
    const shares = new Map<string, number>()
    for (const { owner = "" } of slices) shares.set(owner, (shares.get(owner) ?? 0) + 1)
    return shares
  })

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Slices (${storage})`, (it) => {
    it.effect("a divided projection makes what an undivided one makes, each slice with a checkpoint of its own", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 12, 60)
        for (const batchEvents of [1, 7, 1_000]) {
          const projection = divided(category, { count: 5 })
          const checkpoint = yield* runOnce(projection, { batchEvents })
          assert.strictEqual(checkpoint.count, 72)
          assert.strictEqual(checkpoint.position, yield* head)
          const whole = yield* runOnce(balances(category, { name: someProjectionName() }))
          assert.strictEqual(checkpoint.digest, whole.digest)
          yield* assertFold(category, projection)
          const { slices } = Option.getOrThrow(yield* ProjectionControl.describe(projection))
          const events = yield* eventsOf(category)
          for (const [slice, { checkpoint: { count } }] of slices.entries()) {
            const own = events.filter(({ streamId, type }) => type !== "Ignored" && sliceOf(streamId, 5) === slice)
            assert.strictEqual(count, own.length)
          }
        }
      }))

    it.effect("a function says what stays in one slice, and verify divides as it does", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 6, 30)
        const projection = Projection.state({
          name: someProjectionName(),
          events: types,
          where: { categories: [category] },
          slices: { count: 3, by: ({ type }) => type },
          state: Schema.Int,
          initial: 0,
          key: ({ type }) => type,
          on: { AccountOpened: (n) => n + 1, MoneyDeposited: (n) => n + 1 }
        })
        yield* runOnce(projection, SMALL)
        assert.deepStrictEqual(yield* allStates(projection), [["AccountOpened", 6], ["MoneyDeposited", 30]])
        const { isComplete, log } = Option.getOrThrow(yield* ProjectionControl.verify(projection))
        assert.isTrue(isComplete)
        assert.strictEqual(log.count, 36)
      }))

    it.effect("verify finds a fault in one of many slices", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 8, 8)
        const projection = divided(category, { count: 4 })
        yield* runOnce(projection)
        const store = yield* CheckpointStore
        const { definition, name, version } = projection
        const claim = {
          name,
          version,
          definition,
          slices: 4,
          leaseMillis: 1_000,
          owner: "x",
          statuses: ["running"]
        } as const
        for (const slice of [1, 2]) {
          const answer = yield* store.acquire({ ...claim, slice })
          if (answer._tag === "Held") return assert.fail("held")
          const { position, ...seen } = answer.record.checkpoint
          // two faults that make up for each other in the sum
          const to = { ...seen, position, count: seen.count + (slice === 1 ? 1 : -1) }
          yield* store.commit(answer.lease, { from: position, to })
        }
        const { checkpoint, isComplete, log } = Option.getOrThrow(yield* ProjectionControl.verify(projection))
        assert.isFalse(isComplete)
        assert.strictEqual(checkpoint.count, log.count)
      }))

    it.effect("slices that stand at different places are verified each up to its own, and the log up to the first unseen event", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 8, 8)
        for (const by of ["stream", ({ streamId }: { readonly streamId: string }) => streamId] as const) {
          let isBroken = false
          const projection = divided(category, { count: 4, by }, {
            onDeposit: ({ streamId }) => {
              if (isBroken && streamId === account(category, 3)) throw new TypeError()
            }
          })
          yield* runOnce(projection)
          isBroken = true
          yield* appendDeposits(category, 8, 8)
          // a slice that halts stops the others, which may not have begun yet: each run is another chance for them
          const haltedRun = Effect.andThen(
            runAll([projection], SMALL),
            Effect.map(ProjectionControl.describe(projection), Option.getOrThrow)
          )
          const placesOf = ({ slices }: ProjectionControl.ProjectionReport) =>
            new Set(slices.map(({ checkpoint }) => checkpoint.position)).size
          const report = yield* Effect.repeat(haltedRun, { until: (found) => placesOf(found) > 1, times: 50 })
          assert.strictEqual(report.status, "halted")
          assert.isAbove(placesOf(report), 1)
          assert.isTrue(Option.getOrThrow(yield* ProjectionControl.verify(projection)).isComplete)
          const unseen = (yield* eventsOf(category)).filter(({ streamId }) => streamId === account(category, 3)).at(-2)!
          assert.isAtLeast(report.lagEvents, (yield* head) - unseen.position)
          isBroken = false
          yield* runOnce(projection)
          yield* assertFold(category, projection)
        }
      }))

    it.effect("what cannot be divided is refused, and a state that two slices would write halts", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 6, 6)
        const options = { events: types, where: { categories: [category] }, state: Schema.Int, initial: 0 } as const
        const on = { AccountOpened: (n: number) => n + 1, MoneyDeposited: (n: number) => n + 1 }
        const one = Projection.state({ ...options, name: someProjectionName(), slices: { count: 2 }, on })
        assert.strictEqual((yield* Effect.flip(runOnce(one)))._tag, "ProjectionInvalid")
        for (const count of [0, 1.5, 1_025]) {
          const odd = Projection.state({
            ...options,
            name: someProjectionName(),
            slices: { count },
            key: () => "a",
            on
          })
          assert.strictEqual((yield* Effect.flip(runOnce(odd)))._tag, "ProjectionInvalid")
        }
        const shared = Projection.state({
          ...options,
          name: someProjectionName(),
          slices: { count: 8 },
          key: () => "one for all streams",
          on
        })
        const error = yield* Effect.flip(runOnce(shared, SMALL))
        if (error._tag !== "ProjectionHalted") return assert.fail(error._tag)
        assert.strictEqual(error.failure.reason, "StateInvalid")
      }))

    it.effect("another number of slices needs another version, or a reset, which removes those beyond", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 6, 12)
        const before = divided(category, { count: 4 })
        yield* runOnce(before)
        for (const count of [2, 7, 1]) {
          const after = { ...before, slices: { count }, definition: `in ${count}` }
          assert.strictEqual((yield* Effect.flip(runOnce(after)))._tag, "ProjectionChanged")
          yield* ProjectionControl.reset(after)
          assert.strictEqual((yield* CheckpointStore.use((store) => store.findSlices(after))).length, count)
          assert.deepStrictEqual(yield* allStates(after), [])
          yield* runOnce(after)
          yield* assertFold(category, after)
        }
      }))

    it.effect("runners share the slices, and take over those of one that stops", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 12, 20)
        const projection = divided(category, { count: 6 })
        const first = yield* Effect.forkChild(run(projection, { ...SMALL, owner: "first" }))
        yield* waitFor(sharesOf(projection), (shares) => shares.get("first") === 6)
        const second = yield* Effect.forkChild(run(projection, { ...SMALL, owner: "second" }))
        yield* waitFor(sharesOf(projection), (shares) => shares.get("first") === 3 && shares.get("second") === 3)
        const third = yield* Effect.forkChild(run(projection, { ...SMALL, owner: "third" }))
        yield* waitFor(sharesOf(projection), (shares) => [...shares.values()].every((share) => share === 2))
        yield* appendDeposits(category, 12, 20)
        yield* assertFold(category, projection)
        yield* Fiber.interrupt(first)
        yield* Fiber.interrupt(second)
        yield* appendDeposits(category, 12, 20)
        yield* waitFor(sharesOf(projection), (shares) => shares.get("third") === 6)
        yield* assertFold(category, projection)
        yield* Fiber.interrupt(third)
        assert.deepStrictEqual([...(yield* sharesOf(projection)).keys()], [""])
      }))

    it.effect("runners of several projections share them, too", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 10)
        const projections = indexes(4).map(() => balances(category, { name: someProjectionName() }))
        const owners = Effect.map(
          Effect.forEach(projections, (projection) => sharesOf(projection)),
          (shares) => shares.flatMap((share) => [...share.keys()]).sort()
        )
        const first = yield* Effect.forkChild(runAll(projections, { owner: "first" }))
        yield* waitFor(owners, (names) => names.every((name) => name === "first"))
        const second = yield* Effect.forkChild(runAll(projections, { owner: "second" }))
        yield* waitFor(owners, (names) => names.join() === "first,first,second,second")
        yield* Fiber.interrupt(second)
        yield* waitFor(owners, (names) => names.every((name) => name === "first"))
        yield* appendDeposits(category, 3, 10)
        const end = yield* head
        for (const projection of projections) {
          yield* ProjectionControl.awaitPosition(projection, end, "20 seconds")
          yield* assertFold(category, projection)
        }
        yield* Fiber.interrupt(first)
      }))

    it.effect("pause, resume and reset are for all slices, while runners are running", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 8, 20)
        const projection = divided(category, { count: 4 })
        const options = { ...SMALL, lease: 300 }
        const runners = yield* Effect.forEach(
          indexes(2),
          (index) => Effect.forkChild(run(projection, { ...options, owner: `runner ${index}` }))
        )
        yield* assertFold(category, projection)
        yield* ProjectionControl.reset(projection)
        yield* assertFold(category, projection)
        yield* ProjectionControl.pause(projection)
        yield* waitFor(sharesOf(projection), (shares) => shares.get("") === 4)
        assert.strictEqual(Option.getOrThrow(yield* ProjectionControl.describe(projection)).status, "paused")
        yield* appendDeposits(category, 8, 8)
        yield* ProjectionControl.resume(projection)
        yield* assertFold(category, projection)
        yield* Effect.forEach(runners, (runner) => Fiber.interrupt(runner))
      }))

    it.effect("a slice that parks does not hold up the others, and its events are replayed", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 8, 32)
        let isBroken = true
        const projection = divided(category, { count: 4 }, {
          action: "park",
          onDeposit: ({ streamId }) => {
            if (isBroken && [account(category, 1), account(category, 2)].includes(streamId)) throw new TypeError()
          }
        })
        yield* runOnce(projection, SMALL)
        const { parked, slices } = Option.getOrThrow(yield* ProjectionControl.describe(projection))
        assert.strictEqual(parked, 8)
        const listed = yield* ProjectionControl.listParked(projection)
        assert.deepStrictEqual(
          listed.map(({ position }) => position),
          listed.map(({ position }) => position).sort((a, b) => a - b)
        )
        assert.strictEqual(listed.length, 8)
        const own = sliceOf(account(category, 1), 4)
        assert.isAtLeast(slices[own]!.parked, 4)
        isBroken = false
        assert.deepStrictEqual(yield* ProjectionControl.replayParked(projection), { applied: 8, remaining: 0 })
        yield* assertFold(category, projection)
      }))

    it.effect("a wait for a position asks each slice for its own events only", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = divided(category, { count: 64 })
        yield* appendAccounts(category, 2, 2)
        const runner = yield* Effect.forkChild(run(projection))
        const { position } = yield* append(account(category, 0), "any", [
          proposed("MoneyDeposited", { version: 2, data: { amount: 1 } })
        ])
        yield* ProjectionControl.awaitPosition(projection, position, "20 seconds")
        assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
        yield* Fiber.interrupt(runner)
      }))

    it.effect("runAllOnce says of each what came of it, and a poisoned one does not hold up the others", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 30)
        const good = indexes(3).map(() => balances(category, { name: someProjectionName() }))
        const poisoned = balances(category, {
          name: someProjectionName(),
          onDeposit: ({ data }) => {
            if (data.amount === 7) throw new TypeError()
          }
        })
        const refused = Projection.state({ ...good[0]!, events: [], state: Schema.Int, initial: 0, on: {} })
        const [first, second, third, ...rest] = yield* runAllOnce([refused, poisoned, ...good], SMALL)
        assert.isTrue(Result.isFailure(first!))
        assert.isTrue(Result.isFailure(second!))
        for (const result of [third!, ...rest]) {
          if (Result.isFailure(result)) return assert.fail(result.failure._tag)
          assert.strictEqual(result.success.count, 33)
        }
        for (const projection of good) yield* assertFold(category, projection)
        yield* assertFold(category, poisoned)
      }))
  })
}
