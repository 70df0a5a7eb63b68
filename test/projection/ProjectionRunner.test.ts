import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Result, Schedule, Schema, Scope } from "effect"
import * as EventType from "../../src/event/EventType.ts"
import { layer as layerEvents, MemoryCheckpointStore } from "../../src/memory/index.ts"
import { Projection, ProjectionControl, ProjectionRunner, ProjectionState } from "../../src/projection/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { Refused, StorageError } from "../../src/store/EventStoreError.ts"
import { append, head, indexes, proposed, proposedMany, someCategory } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  account,
  appendAccounts,
  appendDeposits,
  assertFold,
  Balance,
  balances,
  checkpointOf,
  eventsOf,
  NO_BALANCE,
  someProjectionName,
  types
} from "./fixtures.ts"

const noRetry = Schedule.recurs(0)

const layer = Layer.provideMerge(MemoryCheckpointStore.layer, layerEvents)

it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })("ProjectionRunner", (it) => {
  it.effect("projections that read the same types decode each event once, and read the log once", () =>
    Effect.gen(function*() {
      const category = someCategory()
      const decoded: Array<string> = []
      const Counted = EventType.make("Counted", { n: Schema.Number }, {
        version: 2,
        upcast: {
          1: (data: { readonly n: number }) => {
            decoded.push(String(data.n))
            return data
          }
        }
      })
      yield* Effect.forEach(
        indexes(20),
        (part) =>
          append(
            `${category}-${part}`,
            "noStream",
            indexes(200).map((index) => proposed("Counted", { data: { n: part * 200 + index } }))
          )
      )
      const projections = indexes(4).map(() =>
        Projection.state({
          name: someProjectionName(),
          events: [Counted],
          where: { categories: [category] },
          state: Schema.Number,
          initial: 0,
          on: { Counted: (sum, { data }) => sum + data.n }
        })
      )
      const store = yield* EventStore
      let reads = 0
      const counting = {
        ...store,
        readPage: (options: Parameters<typeof store.readPage>[0]) => {
          reads++
          // as a storage that is not in memory, it takes a while
          return Effect.delay(store.readPage(options), 1)
        }
      }
      const results = yield* Effect.provideService(ProjectionRunner.runAllOnce(projections), EventStore, counting)
      assert.isTrue(results.every(Result.isSuccess))
      for (const projection of projections) {
        assert.deepStrictEqual(yield* ProjectionState.get(projection), Option.some(7_998_000))
      }
      // alone they would be 16,000: what is read before all of them are there is read again
      assert.isAtMost(decoded.length, 8_000)
      assert.isAtMost(reads, 20)
    }))

  it.effect("two of one name in one run are refused, and the same one twice is run once", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* appendAccounts(category, 2, 4)
      const one = balances(category)
      const other = balances(category)
      const [first, second, third] = yield* ProjectionRunner.runAllOnce([one, other, one])
      if (Result.isSuccess(second!)) return assert.fail("the other one was run")
      assert.strictEqual(second!.failure._tag, "ProjectionInvalid")
      assert.deepStrictEqual(first, third)
      assert.isTrue(Result.isSuccess(first!))
      yield* assertFold(category, one)
    }))

  it.effect("a run goes on when a storage takes writes again that was read-only", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* appendAccounts(category, 2, 4)
      const projection = balances(category)
      const store = yield* CheckpointStore
      const left = new Map([["attend", 2], ["acquire", 2], ["commit", 2]])
      const reason = new Refused({ code: "25006", detail: "cannot execute UPDATE in a read-only transaction" })
      const refusing = <A, E>(name: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E | StorageError> =>
        Effect.gen(function*() {
          const refusals = left.get(name) ?? 0
          left.set(name, refusals - 1)
          return refusals > 0 ? yield* new StorageError({ operation: name, reason }) : yield* effect
        })
      const readOnly: CheckpointStore["Service"] = {
        ...store,
        attend: (attendance) => refusing("attend", store.attend(attendance)),
        acquire: (claim) => refusing("acquire", store.acquire(claim)),
        commit: (lease, work) => refusing("commit", store.commit(lease, work))
      }
      yield* Effect.forkScoped(Effect.provideService(ProjectionRunner.run(projection), CheckpointStore, readOnly))
      yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
      assert.isTrue([...left.values()].every((refusals) => refusals < 0))
      yield* assertFold(category, projection)
    }))

  it.effect("a type without a handler is refused, and changes no state", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* appendAccounts(category, 1, 1)
      const complete = balances(category)
      const on = { AccountOpened: (state: typeof NO_BALANCE) => state } as unknown as {
        readonly AccountOpened: (state: typeof NO_BALANCE) => typeof NO_BALANCE
        readonly MoneyDeposited: (state: typeof NO_BALANCE) => typeof NO_BALANCE
      }
      const projection = Projection.state({
        name: complete.name,
        events: types,
        state: Balance,
        initial: NO_BALANCE,
        on
      })
      const error = yield* Effect.flip(ProjectionRunner.runOnce(projection))
      assert.match(error.message, /on: MoneyDeposited has no handler/)
    }))

  it.effect("a projection that nothing matters to moves its checkpoint all the same, now and then", () =>
    Effect.gen(function*() {
      const category = someCategory()
      const projection = balances(category)
      const store = yield* CheckpointStore
      let commits = 0
      const counting: typeof store = {
        ...store,
        commit: (lease, work) => {
          commits++
          return store.commit(lease, work)
        }
      }
      const fiber = yield* Effect.forkChild(
        Effect.provideService(ProjectionRunner.run(projection), CheckpointStore, counting)
      )
      yield* waitFor(store.find(projection), Option.isSome)
      const before = commits
      yield* Effect.forEach(
        indexes(50),
        () => Effect.andThen(append(`other-${category}`, "any", proposedMany(1)), Effect.yieldNow)
      )
      const end = yield* head
      yield* waitFor(checkpointOf(projection), ({ position }) => position === end)
      assert.isAtMost(commits - before, 2)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("progress says how far a run is, how far it has to go, and that it has come there", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* appendAccounts(category, 3, 200)
      const projection = balances(category)
      const told: Array<ProjectionRunner.ProjectionProgress> = []
      yield* ProjectionRunner.runOnce(projection, {
        batchEvents: 10,
        onProgress: (progress) => Effect.sync(() => void told.push(progress))
      })
      const end = yield* head
      const last = told.at(-1)!
      assert.deepInclude(last, { name: projection.name, version: 1, slice: 0, position: end, head: end, etaMillis: 0 })
      assert.strictEqual(last.events, 203)
      assert.isAtLeast(told.length, 2)
      assert.isTrue(told.every(({ eventsPerSecond }) => eventsPerSecond >= 0))
      assert.deepStrictEqual(
        told.map(({ position }) => position),
        told.map(({ position }) => position).sort((a, b) => a - b)
      )
    }))

  it.effect("a layer runs them for as long as it is in use, and gives their leases back", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* appendAccounts(category, 3, 10)
      const projections = indexes(2).map(() => balances(category, { name: someProjectionName() }))
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(ProjectionRunner.layer(projections), scope)
      for (const projection of projections) {
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
      }
      yield* Scope.close(scope, Exit.void)
      for (const projection of projections) {
        assert.isUndefined(Option.getOrThrow(yield* ProjectionControl.describe(projection)).owner)
        yield* assertFold(category, projection)
      }
    }))

  it.effect("one that was halted beside others goes on when it is resumed, in the same process", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* appendAccounts(category, 6, 12)
      let isBroken = true
      const onDeposit = ({ data }: { readonly data: { readonly amount: number } }) => {
        if (isBroken && data.amount === 5) throw new TypeError()
      }
      const bad = balances(category, { name: someProjectionName(), onDeposit })
      const divided = {
        ...balances(category, { name: someProjectionName(), onDeposit }),
        slices: { count: 3 },
        definition: "divided"
      }
      const good = balances(category, { name: someProjectionName() })
      const all = [bad, divided, good]
      yield* Effect.forkScoped(ProjectionRunner.runAll(all, { retry: noRetry, lease: 300 }))
      const statusOf = (projection: typeof bad) =>
        Effect.map(
          ProjectionControl.describe(projection),
          Option.match({
            onNone: () => undefined,
            onSome: ({ owner, slices, status }) => [status, ...slices.flatMap((slice) => slice.owner ?? owner ?? [])]
          })
        )
      for (const projection of [bad, divided]) {
        // none of its slices is run
        yield* waitFor(statusOf(projection), (found) => found?.length === 1 && found[0] === "halted")
      }
      isBroken = false
      for (const projection of [bad, divided]) yield* ProjectionControl.resume(projection)
      const end = yield* head
      for (const projection of all) yield* ProjectionControl.awaitPosition(projection, end, "20 seconds")
      for (const projection of all) yield* assertFold(category, projection)
    }))

  it.effect("runAll ends when all that it runs have ended, and says of each why", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* appendAccounts(category, 1, 3)
      const bad = indexes(2).map(() =>
        balances(category, {
          name: someProjectionName(),
          onDeposit: () => {
            throw new TypeError()
          }
        })
      )
      const refused = { ...balances(category, { name: someProjectionName() }), events: [] }
      yield* ProjectionRunner.runAll([...bad, refused], { retry: noRetry })
      for (const projection of bad) {
        const { status } = Option.getOrThrow(yield* ProjectionControl.describe(projection))
        assert.strictEqual(status, "halted")
      }
      yield* ProjectionRunner.runAll([])
      assert.deepStrictEqual(yield* ProjectionRunner.runAllOnce([]), [])
    }))

  it.effect("a projection that is reset beside others is filled again, and the others go on", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* appendAccounts(category, 3, 300)
      const projections = indexes(3).map(() => balances(category, { name: someProjectionName() }))
      const fiber = yield* Effect.forkChild(ProjectionRunner.runAll(projections, { batchEvents: 10, lease: 300 }))
      const awaitAll = Effect.gen(function*() {
        const end = yield* head
        for (const projection of projections) yield* ProjectionControl.awaitPosition(projection, end, "20 seconds")
      })
      yield* awaitAll
      yield* ProjectionControl.reset(projections[1]!)
      yield* appendDeposits(category, 3, 50)
      yield* awaitAll
      for (const projection of projections) yield* assertFold(category, projection)
      yield* Fiber.interrupt(fiber)
    }))

  it.effect("1,000 restarts among unknown types neither stall a checkpoint nor skip an event", () =>
    Effect.gen(function*() {
      const category = someCategory()
      const projection = balances(category)
      yield* append(account(category, 0), "noStream", [proposed("AccountOpened", { data: { owner: "x" } })])
      for (const index of indexes(1_000)) {
        yield* append(account(category, 0), "any", [
          ...proposedMany(1 + index % 4),
          ...(index % 3 === 0 ? [proposed("MoneyDeposited", { version: 2, data: { amount: index } })] : [])
        ])
        const { position } = yield* ProjectionRunner.runOnce(projection, { batchEvents: 1 + index % 3 })
        assert.strictEqual(position, yield* head)
      }
      yield* assertFold(category, projection)
      assert.strictEqual((yield* checkpointOf(projection)).count, 335)
      assert.strictEqual((yield* eventsOf(category)).length, 1 + 2_500 + 334)
    }))
})
