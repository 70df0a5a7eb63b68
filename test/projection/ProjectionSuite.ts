/**
 * What projections promise, with states that the runner keeps: one text for all
 * storages.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, type Layer, Option, Schema } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import { Projection, ProjectionControl, ProjectionRunner, ProjectionState } from "../../src/projection/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { append, head, indexes, proposed, proposedMany, someCategory } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  account,
  allStates,
  appendAccounts,
  appendDeposits,
  assertComplete,
  assertFold,
  balances,
  checkpointOf,
  eventsOf,
  foldBalances,
  losing,
  SMALL,
  someProjectionName,
  sticking,
  types
} from "./fixtures.ts"

const { run, runOnce } = ProjectionRunner

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Projection (${storage})`, (it) => {
    it.effect("runOnce folds every matching event, in its newest version, up to the head of the log", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 20)
        const projection = balances(category)
        const checkpoint = yield* runOnce(projection)
        assert.strictEqual(checkpoint.position, yield* head)
        assert.strictEqual(checkpoint.count, 23)
        assert.strictEqual(checkpoint.incarnation, (yield* EventStore.use((store) => store.head)).incarnation)
        assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
        assert.deepStrictEqual(
          Option.map(yield* ProjectionState.get(projection, account(category, 0)), ({ owner }) => owner),
          Option.some("owner 0")
        )
        assert.deepStrictEqual(yield* ProjectionState.get(projection, "nobody"), Option.none())
        yield* assertComplete(projection)
        assert.strictEqual(Option.getOrThrow(yield* ProjectionControl.describe(projection)).lagMillis, 0)
      }))

    it.effect("a run goes on where the last one ended, whatever the size of its batches", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 9)
        const projections = [1, 2, 7, 1_000].map((batchEvents) =>
          [balances(category, { name: someProjectionName() }), batchEvents] as const
        )
        for (const [projection, batchEvents] of projections) yield* runOnce(projection, { batchEvents })
        yield* appendDeposits(category, 3, 30)
        for (const [projection, batchEvents] of projections) {
          yield* runOnce(projection, { batchEvents })
          yield* runOnce(projection, { batchEvents })
          yield* assertFold(category, projection)
          assert.strictEqual((yield* checkpointOf(projection)).count, 42)
        }
      }))

    it.effect("one state for all, states by other keys, several states an event, and none", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 10)
        const options = { events: types, where: { categories: [category] }, state: Schema.Int, initial: 0 } as const
        const count = (state: number) => state + 1
        const on = { AccountOpened: count, MoneyDeposited: count }
        const total = Projection.state({ ...options, name: someProjectionName(), on })
        yield* runOnce(total)
        assert.deepStrictEqual(yield* ProjectionState.get(total), Option.some(12))
        const byKey = Projection.state({
          ...options,
          name: someProjectionName(),
          key: (event) =>
            event.type === "AccountOpened" ? [] : ["constructor", event.data.amount > 5 ? "much" : "__proto__"],
          on
        })
        yield* runOnce(byKey, SMALL)
        assert.deepStrictEqual(yield* allStates(byKey), [["__proto__", 5], ["constructor", 10], ["much", 5]])
        const odd = Projection.state({
          ...options,
          name: someProjectionName(),
          key: (event) => event.streamId,
          on: { AccountOpened: () => 0, MoneyDeposited: (state) => state >= 3 ? undefined : state + 1 }
        })
        yield* runOnce(odd, SMALL)
        assert.deepStrictEqual(yield* allStates(odd), [[account(category, 0), 1], [account(category, 1), 1]])
        assert.strictEqual((yield* checkpointOf(byKey)).count, 12)
      }))

    it.effect("states are written down as their schema says, and come back as they were", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 4)
        const State = Schema.Struct({
          sum: Schema.BigInt,
          seen: Schema.Array(Schema.DateTimeUtc),
          none: Schema.NullOr(Schema.String)
        })
        const projection = Projection.state({
          name: someProjectionName(),
          events: types,
          where: { categories: [category] },
          state: Schema.NullOr(State),
          initial: { sum: 10n ** 30n, seen: [], none: null },
          on: {
            AccountOpened: () => null,
            MoneyDeposited: (state, event) => ({
              sum: (state?.sum ?? 0n) + BigInt(event.data.amount),
              seen: [...(state?.seen ?? []), event.recordedAt],
              none: null
            })
          }
        })
        yield* runOnce(projection, { batchEvents: 1 })
        const events = (yield* eventsOf(category)).filter(({ type }) => type === "MoneyDeposited")
        assert.deepStrictEqual(
          yield* ProjectionState.get(projection),
          Option.some({ sum: 10n, seen: events.map(({ recordedAt }) => recordedAt), none: null })
        )
      }))

    it.effect("only what passes the filter is seen, and the checkpoint passes the rest", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const tag = `${category}:1`
        yield* appendAccounts(category, 2, 4)
        yield* append(account(category, 0), "any", [
          proposed("MoneyDeposited", { data: { amount: 1 }, version: 2, tags: [tag] })
        ])
        const projections = [
          [{ categories: [category] }, 7],
          [{ streamIds: [account(category, 1)] }, 3],
          [{ tags: [tag] }, 1],
          [{ query: [{ tags: [tag] }, { types: ["AccountOpened"], tags: ["none"] }] }, 1],
          [{ categories: [category], tags: ["none"] }, 0]
        ] as const
        for (const [where, count] of projections) {
          const projection = Projection.state({
            name: someProjectionName(),
            events: types,
            where,
            state: Schema.Int,
            initial: 0,
            on: { AccountOpened: (n) => n + 1, MoneyDeposited: (n) => n + 1 }
          })
          const checkpoint = yield* runOnce(projection, SMALL)
          assert.strictEqual(checkpoint.count, count)
          assert.strictEqual(checkpoint.position, yield* head)
          yield* assertComplete(projection)
        }
      }))

    it.effect("run follows the log: what was appended is soon in the state", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        yield* appendAccounts(category, 3, 5)
        const fiber = yield* Effect.forkChild(run(projection))
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        for (const index of indexes(5)) {
          const { position } = yield* append(account(category, index % 3), "any", [
            proposed("MoneyDeposited", { version: 2, data: { amount: 1 } })
          ])
          yield* ProjectionControl.awaitPosition(projection, position, "20 seconds")
          yield* assertFold(category, projection)
        }
        yield* Fiber.interrupt(fiber)
        const { position: unseen } = yield* append(account(category, 0), "any", [
          proposed("MoneyDeposited", { version: 2, data: { amount: 1 } })
        ])
        const stale = yield* Effect.flip(ProjectionControl.awaitPosition(projection, unseen, 0))
        assert.strictEqual(stale._tag, "StaleRead")
        assert.isUndefined(Option.getOrThrow(yield* ProjectionControl.describe(projection)).owner)
      }))

    it.effect("a connection that is lost before or after any commit costs no event and doubles none", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 17)
        const store = yield* CheckpointStore
        for (const commit of indexes(5)) {
          for (const when of ["before", "after"] as const) {
            const projection = balances(category, { name: someProjectionName() })
            yield* runOnce(projection, SMALL).pipe(
              Effect.provideService(CheckpointStore, losing(store, commit, when))
            )
            yield* assertFold(category, projection)
            assert.strictEqual((yield* checkpointOf(projection)).count, 20)
          }
        }
      }))

    it.effect("a runner that is interrupted anywhere leaves the fold of what its checkpoint says", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 40)
        const store = yield* CheckpointStore
        const projection = balances(category)
        for (const stopAt of indexes(4)) {
          for (const when of ["before", "after"] as const) {
            const { isStuck, stuck } = sticking(store, stopAt, when)
            const fiber = yield* Effect.forkChild(
              Effect.provideService(run(projection, { batchEvents: 2 }), CheckpointStore, stuck)
            )
            yield* waitFor(Effect.sync(isStuck), (is) => is)
            yield* Fiber.interrupt(fiber)
            yield* assertFold(category, projection)
          }
        }
        assert.isBelow((yield* checkpointOf(projection)).count, 43)
        yield* runOnce(projection)
        yield* assertFold(category, projection)
      }))

    it.effect("one runner has a projection; another stands by, and takes over when it stops", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        yield* appendAccounts(category, 3, 5)
        const first = yield* Effect.forkChild(run(projection, { owner: "first" }))
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        const second = yield* Effect.forkChild(run(projection, { owner: "second" }))
        const held = yield* Effect.flip(runOnce(projection, { lease: 50 }))
        assert.deepInclude({ ...held }, { _tag: "LeaseHeld", owner: "first", status: "running" })
        yield* Fiber.interrupt(first)
        yield* appendDeposits(category, 3, 5)
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        assert.strictEqual(Option.getOrThrow(yield* ProjectionControl.describe(projection)).owner, "second")
        yield* Fiber.interrupt(second)
        yield* assertFold(category, projection)
      }))

    it.effect("a runner whose lease was taken over commits nothing more, and stands by", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        yield* appendAccounts(category, 3, 5)
        const store = yield* CheckpointStore
        const fiber = yield* Effect.forkChild(run(projection, { owner: "slow" }))
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        // as if the lease had run out: its own owner may always take it anew, and that is who it pretends to be
        const { definition, name, version } = projection
        const answer = yield* store.acquire({
          name,
          version,
          definition,
          owner: "slow",
          leaseMillis: 60_000,
          statuses: ["running"]
        })
        assert.strictEqual(answer._tag, "Acquired")
        yield* appendDeposits(category, 3, 5)
        yield* waitFor(CheckpointStore.use(({ find }) => find(projection)), (found) =>
          Option.getOrThrow(found).epoch > answer.record.epoch)
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        yield* Fiber.interrupt(fiber)
        yield* assertFold(category, projection)
      }))

    it.effect("a paused projection stands still wherever it runs, and goes on when it is resumed", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        yield* appendAccounts(category, 3, 5)
        const fiber = yield* Effect.forkChild(run(projection, { lease: 150 }))
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        assert.isTrue(yield* ProjectionControl.pause(projection))
        yield* waitFor(ProjectionControl.describe(projection), (found) => Option.getOrThrow(found).owner === undefined)
        const before = yield* checkpointOf(projection)
        yield* appendDeposits(category, 3, 5)
        const held = yield* Effect.flip(runOnce(projection))
        assert.deepInclude({ ...held }, { _tag: "LeaseHeld", status: "paused", owner: undefined })
        assert.deepStrictEqual(yield* checkpointOf(projection), before)
        assert.isTrue(yield* ProjectionControl.resume(projection))
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        yield* Fiber.interrupt(fiber)
        yield* assertFold(category, projection)
      }))

    it.effect("another definition needs another version, which is built beside the old one", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 6)
        const name = someProjectionName()
        yield* runOnce(balances(category, { name }))
        const changed = (version: number) =>
          Projection.state({
            name,
            version,
            events: [types[1]],
            where: { categories: [category] },
            state: Schema.Int,
            initial: 0,
            on: { MoneyDeposited: (n) => n + 1 }
          })
        const error = yield* Effect.flip(runOnce(changed(1)))
        assert.strictEqual(error._tag, "ProjectionChanged")
        yield* runOnce(changed(2))
        assert.deepStrictEqual(yield* ProjectionState.get(changed(2)), Option.some(6))
        yield* assertFold(category, balances(category, { name }))
        // a reset takes the definition on, too
        yield* ProjectionControl.reset(changed(1))
        yield* runOnce(changed(1))
        assert.deepStrictEqual(yield* allStates(changed(1)), [["", 6]])
      }))

    it.effect("a reset builds the same again, while a runner is running", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        yield* appendAccounts(category, 3, 20)
        yield* runOnce(projection)
        const before = yield* allStates(projection)
        const fiber = yield* Effect.forkChild(run(projection, { lease: 300 }))
        yield* waitFor(ProjectionControl.describe(projection), (found) => Option.getOrThrow(found).owner !== undefined)
        yield* ProjectionControl.reset(projection)
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* allStates(projection), before)
        yield* assertFold(category, projection)
      }))

    it.effect("verify finds a skipped event, one seen twice, and one taken for another", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 10)
        const store = yield* CheckpointStore
        const projection = balances(category)
        const real = yield* runOnce(projection)
        const { definition, name, version } = projection
        for (const fault of [{ count: real.count - 1 }, { count: real.count + 1 }, { digest: "0123456789abcdef" }]) {
          const answer = yield* store.acquire({
            name,
            version,
            definition,
            owner: "x",
            leaseMillis: 1_000,
            statuses: ["running"]
          })
          if (answer._tag === "Held") return assert.fail("held")
          const { position } = answer.record.checkpoint
          yield* store.commit(answer.lease, {
            from: position,
            to: { position, count: real.count, digest: real.digest, ...fault }
          })
          assert.isFalse(Option.getOrThrow(yield* ProjectionControl.verify(projection)).isComplete)
        }
        assert.deepStrictEqual(
          yield* ProjectionControl.verify(balances(category, { name: "never ran" })),
          Option.none()
        )
      }))

    it.effect("many restarts among unknown types skip nothing", () =>
      Effect.gen(function*() {
        const category = someCategory()
        const projection = balances(category)
        yield* append(account(category, 0), "noStream", [proposed("AccountOpened", { data: { owner: "x" } })])
        for (const index of indexes(25)) {
          yield* append(account(category, 0), "any", [
            ...proposedMany(index % 4),
            proposed("MoneyDeposited", { version: 2, data: { amount: index } })
          ])
          const exit = yield* Effect.exit(runOnce(projection, { batchEvents: 1 + index % 3 }))
          assert.isTrue(Exit.isSuccess(exit))
          assert.strictEqual((yield* checkpointOf(projection)).position, (yield* head) as Position)
        }
        yield* assertFold(category, projection)
        assert.strictEqual((yield* checkpointOf(projection)).count, 26)
      }))
  })
}
