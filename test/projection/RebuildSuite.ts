/**
 * What rebuilding promises, with states that the runner keeps: one text for all
 * storages.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option } from "effect"
import { Projection, ProjectionControl, ProjectionRebuild, ProjectionRunner } from "../../src/projection/index.ts"
import { BuildBehind, CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { head, indexes, someCategory } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import { buildsOf, liveOf, stateNow, total } from "./builds.ts"
import {
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
  types
} from "./fixtures.ts"

const { run, runOnce } = ProjectionRunner
const { withBuild } = Projection

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`ProjectionRebuild (${storage})`, (it) => {
    it.effect("a rebuild takes the place of what is live: same states, and its runner goes on with the new build", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 20)
        const projection = balances(category)
        yield* runOnce(projection, SMALL)
        const before = yield* allStates(projection)
        const report = yield* ProjectionRebuild.blueGreen(projection, SMALL)
        const { name } = projection
        assert.deepStrictEqual(report.build, { name, version: 1, build: 2 })
        assert.deepStrictEqual(report.replaced, [{ name, version: 1, build: 1 }])
        assert.strictEqual(report.checkpoint.count, 23)
        assert.deepStrictEqual(yield* allStates(projection), before)
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 kept", "v1 b2 live"])
        yield* appendDeposits(category, 3, 9)
        yield* runOnce(projection, SMALL)
        yield* assertFold(category, projection)
        assert.deepStrictEqual(yield* allStates(withBuild(projection, 1)), before)
        assert.deepStrictEqual(yield* allStates(withBuild(projection, 2)), yield* allStates(projection))
        assert.strictEqual(yield* liveOf(projection), 1)
      }))

    it.effect("whoever reads during rebuilds sees all that he saw before, while events come and the runner goes on", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 60)
        const projection = total(category)
        yield* runOnce(projection)
        const runner = yield* Effect.forkChild(run(projection, { batchEvents: 3 }))
        const writer = yield* Effect.forkChild(appendDeposits(category, 3, 200))
        const rebuilds = yield* Effect.forkChild(Effect.gen(function*() {
          yield* ProjectionRebuild.blueGreen(projection, { batchEvents: 5 })
          yield* ProjectionRebuild.blueGreen(projection, { batchEvents: 5 })
        }))
        let seen = 63
        yield* waitFor(
          Effect.gen(function*() {
            const now = yield* stateNow(projection)
            assert.isAtLeast(now ?? 0, seen)
            seen = now ?? 0
            return rebuilds.pollUnsafe()
          }),
          (exit) => exit !== undefined
        )
        yield* Fiber.join(rebuilds)
        yield* Fiber.join(writer)
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        assert.isUndefined(runner.pollUnsafe())
        yield* Fiber.interrupt(runner)
        assert.strictEqual(yield* stateNow(projection), 263)
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 kept", "v1 b2 kept", "v1 b3 live"])
      }))

    it.effect("the runner of a replaced build can commit nothing more to it", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 4)
        const projection = total(category)
        yield* runOnce(projection)
        const store = yield* CheckpointStore
        const { definition, name } = projection
        const claim = {
          name,
          version: 1,
          definition,
          owner: "stalled",
          leaseMillis: 60_000,
          statuses: ["running"]
        } as const
        const answer = yield* store.acquire(claim)
        if (answer._tag !== "Acquired") return assert.fail("held")
        yield* appendDeposits(category, 1, 1)
        yield* ProjectionRebuild.blueGreen(projection)
        const { checkpoint } = answer.record
        const late = yield* Effect.flip(
          store.commit(answer.lease, {
            from: checkpoint.position,
            to: { ...checkpoint, count: checkpoint.count + 1 },
            states: new Map([["", "99"]])
          })
        )
        assert.strictEqual(late._tag, "LeaseLost")
        assert.strictEqual(yield* stateNow(projection), 6)
        assert.strictEqual(yield* stateNow(withBuild(projection, 1)), 5)
      }))

    it.effect("a build is live only when it has seen what was live before, however far that one was", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 4)
        const projection = total(category)
        yield* runOnce(projection)
        const built = yield* ProjectionRebuild.build(projection, { until: 3 })
        assert.strictEqual(built.checkpoint.position, 3)
        assert.strictEqual(yield* stateNow(projection), 5)
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 live", "v1 b2 building"])
        const store = yield* CheckpointStore
        const { definition, name } = projection
        const claim = { name, version: 1, build: 2, definition, owner: "x", leaseMillis: 60_000 }
        const answer = yield* store.acquire({ ...claim, statuses: ["running"] })
        if (answer._tag !== "Acquired") return assert.fail("held")
        const early = yield* Effect.flip(
          store.makeLive(answer.lease, {
            at: answer.record.checkpoint,
            statements: [],
            keepMillis: 1,
            notBehind: true
          })
        )
        assert.strictEqual(early._tag, "BuildBehind")
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 live", "v1 b2 building"])
        yield* store.release(answer.lease)
        yield* ProjectionRebuild.swap(projection)
        assert.strictEqual(yield* stateNow(projection), 5)
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 kept", "v1 b2 live"])
      }))

    it.effect("a runner that is always ahead is kept from committing for the swap, and goes on with the new build", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 10)
        const projection = total(category)
        yield* runOnce(projection)
        const store = yield* CheckpointStore
        const runner = yield* Effect.forkChild(run(projection))
        const owner = Effect.map(store.find(withBuild(projection, 1)), (found) => Option.getOrThrow(found).owner)
        const first = yield* waitFor(owner, (name) => name !== undefined)
        let swaps = 0
        const ahead: CheckpointStore["Service"] = {
          ...store,
          makeLive: (lease, change) =>
            Effect.gen(function*() {
              if (swaps++ < 3) {
                const { build, name, version } = lease
                return yield* new BuildBehind({ name, version, build })
              }
              assert.notStrictEqual(yield* Effect.orDie(owner), first)
              yield* store.makeLive(lease, change)
            })
        }
        yield* Effect.provideService(ProjectionRebuild.blueGreen(projection), CheckpointStore, ahead)
        assert.strictEqual(swaps, 4)
        yield* appendDeposits(category, 2, 5)
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        assert.isUndefined(runner.pollUnsafe())
        yield* Fiber.interrupt(runner)
        assert.strictEqual(yield* stateNow(projection), 17)
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 kept", "v1 b2 live"])
      }))

    it.effect("a divided projection is rebuilt with all its slices, while its runners go on", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 7, 40)
        const projection = { ...balances(category), slices: { count: 3 } }
        yield* runOnce(projection)
        const runner = yield* Effect.forkChild(run(projection, { batchEvents: 3 }))
        const writer = yield* Effect.forkChild(appendDeposits(category, 7, 60))
        yield* ProjectionRebuild.blueGreen(projection, SMALL)
        yield* Fiber.join(writer)
        yield* ProjectionControl.awaitPosition(projection, yield* head, "20 seconds")
        yield* Fiber.interrupt(runner)
        assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
        yield* assertComplete(projection)
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 kept", "v1 b2 live"])
        yield* ProjectionRebuild.rollback(projection, { keepOld: 0 })
        assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
        const { name } = projection
        assert.strictEqual((yield* ProjectionRebuild.dropRetired({ name })).length, 1)
        assert.strictEqual((yield* CheckpointStore.use((store) => store.findSlices(projection))).length, 3)
      }))

    it.effect("a divided projection that catches up again and again while events come skips none of them", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 7, 5)
        const projection = { ...balances(category), slices: { count: 3 } }
        const writer = yield* Effect.forkChild(appendDeposits(category, 7, 60))
        while (writer.pollUnsafe() === undefined) yield* runOnce(projection, SMALL)
        yield* runOnce(projection, SMALL)
        assert.deepStrictEqual(yield* allStates(projection), foldBalances(yield* eventsOf(category)))
        yield* assertComplete(projection)
      }))

    it.effect("a new version is built beside the old one, whose runner and readers are not disturbed", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 10)
        const old = balances(category)
        yield* runOnce(old)
        const next = { ...balances(category, { version: 2 }), name: old.name }
        yield* ProjectionRebuild.build(next, SMALL)
        assert.strictEqual(yield* liveOf(old), 1)
        yield* ProjectionRebuild.swap(next)
        assert.strictEqual(yield* liveOf(old), 2)
        yield* appendDeposits(category, 2, 4)
        yield* runOnce(old)
        yield* runOnce(next)
        yield* assertFold(category, old)
        yield* assertFold(category, next)
        assert.deepStrictEqual(yield* buildsOf(old), ["v1 b1 current", "v2 b1 live"])
        yield* ProjectionControl.promote(old)
        assert.strictEqual(yield* liveOf(old), 1)
        assert.deepStrictEqual(yield* buildsOf(old), ["v1 b1 live", "v2 b1 current"])
      }))

    it.effect("cancel removes the build that is under way elsewhere, and what is live is untouched", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 30)
        const projection = balances(category)
        yield* runOnce(projection)
        const before = yield* allStates(projection)
        const fiber = yield* Effect.forkChild(
          Effect.flip(ProjectionRebuild.blueGreen(projection, { ...SMALL, batchEvents: 1, throttle: 20 }))
        )
        yield* waitFor(allStates(withBuild(projection, 2)), (states) => states.length > 0)
        assert.strictEqual(yield* ProjectionRebuild.cancel(projection), 1)
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error._tag, "BuildMissing")
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 live"])
        assert.deepStrictEqual(yield* allStates(withBuild(projection, 2)), [])
        assert.deepStrictEqual(yield* allStates(projection), before)
        assert.strictEqual(yield* ProjectionRebuild.cancel(projection), 0)
        yield* ProjectionRebuild.blueGreen(projection, SMALL)
        yield* assertFold(category, projection)
      }))

    it.effect("an interrupted rebuild leaves nothing, or what it has when that is wanted, and the next one goes on there", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 30)
        const projection = balances(category)
        yield* runOnce(projection)
        for (const keepOnInterrupt of [false, true]) {
          const slow = { ...SMALL, batchEvents: 1, throttle: 20, keepOnInterrupt }
          const fiber = yield* Effect.forkChild(ProjectionRebuild.blueGreen(projection, slow))
          yield* waitFor(allStates(withBuild(projection, 2)), (states) => states.length > 0)
          yield* Fiber.interrupt(fiber)
          const left = keepOnInterrupt ? ["v1 b1 live", "v1 b2 building"] : ["v1 b1 live"]
          assert.deepStrictEqual(yield* buildsOf(projection), left)
        }
        const positions: Array<number> = []
        const start = (yield* checkpointOf(withBuild(projection, 2))).position
        yield* ProjectionRebuild.blueGreen(projection, {
          ...SMALL,
          onProgress: ({ position }) => Effect.sync(() => positions.push(position))
        })
        assert.isAbove(positions[0] ?? 0, start)
        yield* assertFold(category, projection)
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 kept", "v1 b2 live"])
      }))

    it.effect("a build that was left by another definition, or is not wanted, is begun anew", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 5)
        const projection = balances(category)
        yield* runOnce(projection)
        yield* ProjectionRebuild.build(projection, { until: 3 })
        const other = { ...projection, definition: `${projection.definition} and more` }
        const { build } = yield* ProjectionRebuild.build(other)
        assert.strictEqual(build.build, 2)
        assert.strictEqual((yield* checkpointOf(withBuild(projection, 2))).count, 7)
        assert.strictEqual((yield* Effect.flip(ProjectionRebuild.swap(projection)))._tag, "ProjectionChanged")
        yield* ProjectionRebuild.blueGreen(projection, { fresh: true })
        yield* assertFold(category, projection)
      }))

    it.effect("a connection that is lost before or after any commit costs nothing, the swap included", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 18)
        const store = yield* CheckpointStore
        for (const commit of indexes(5)) {
          for (const when of ["before", "after"] as const) {
            const projection = balances(category, { name: someProjectionName() })
            yield* runOnce(projection)
            yield* ProjectionRebuild.blueGreen(projection, SMALL).pipe(
              Effect.provideService(CheckpointStore, losing(store, commit, when))
            )
            yield* assertFold(category, projection)
            assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 kept", "v1 b2 live"])
          }
        }
      }))

    it.effect("a build that did not see exactly the events of the log does not become live", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 5)
        const projection = balances(category)
        yield* runOnce(projection)
        const store = yield* CheckpointStore
        const longer: CheckpointStore["Service"] = {
          ...store,
          digestLog: (options) => Effect.map(store.digestLog(options), (log) => ({ ...log, count: log.count + 1 }))
        }
        const error = yield* ProjectionRebuild.blueGreen(projection).pipe(
          Effect.provideService(CheckpointStore, longer),
          Effect.flip
        )
        assert.strictEqual(error._tag, "BuildIncomplete")
        assert.match(error.message, /saw 7 events, but the log has 8/)
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 live", "v1 b2 building"])
      }))

    it.effect("several are rebuilt at once, no more at a time than wanted", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 20)
        const projections = indexes(5).map(() => balances(category, { name: someProjectionName() }))
        for (const projection of projections) yield* runOnce(projection)
        const store = yield* CheckpointStore
        const building = new Set<string>()
        let most = 0
        const watching: CheckpointStore["Service"] = {
          ...store,
          commit: (lease, commit) => {
            building.add(lease.name)
            most = Math.max(most, building.size)
            return Effect.andThen(Effect.yieldNow, store.commit(lease, commit))
          },
          makeLive: (lease, change) =>
            Effect.tap(store.makeLive(lease, change), () => Effect.sync(() => building.delete(lease.name)))
        }
        const reports = yield* ProjectionRebuild.blueGreenAll(projections, { ...SMALL, concurrency: 3 }).pipe(
          Effect.provideService(CheckpointStore, watching)
        )
        assert.deepStrictEqual(reports.map(({ build }) => build.build), [2, 2, 2, 2, 2])
        assert.isAtMost(most, 3)
        assert.isAbove(most, 1)
        for (const projection of projections) yield* assertFold(category, projection)
      }))

    it.effect("options that make no sense, and a storage of the user's own, are refused before anything is done", () =>
      Effect.gen(function*() {
        const projection = balances(someCategory())
        for (const options of [{ throttle: 0 }, { throttle: Number.NaN }, { until: -1 }, { until: 1.5 }]) {
          const error = yield* Effect.flip(ProjectionRebuild.build(projection, options))
          assert.strictEqual(error._tag, "ProjectionInvalid")
        }
        const custom = Projection.custom({
          name: someProjectionName(),
          events: types,
          apply: () => Effect.void
        })
        assert.strictEqual((yield* Effect.flip(ProjectionRebuild.blueGreen(custom)))._tag, "ProjectionInvalid")
        assert.deepStrictEqual(yield* buildsOf(projection), [])
        const named = { ...projection, name: "" }
        assert.strictEqual((yield* Effect.flip(ProjectionRebuild.blueGreen(named)))._tag, "InvalidInput")
        for (const version of [0, 1_000, 1.5]) {
          const wrong = { ...projection, version }
          assert.strictEqual((yield* Effect.flip(ProjectionRebuild.blueGreen(wrong)))._tag, "InvalidInput")
        }
      }))
  })
}
