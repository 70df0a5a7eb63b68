/**
 * What is promised of builds that were live, and of those that are removed: one text
 * for all storages.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Layer } from "effect"
import { Projection, ProjectionRebuild, ProjectionRunner } from "../../src/projection/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { indexes, someCategory } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import { buildsOf, liveOf } from "./builds.ts"
import { allStates, appendAccounts, appendDeposits, assertFold, balances, someProjectionName } from "./fixtures.ts"

const { run, runOnce } = ProjectionRunner
const { withBuild } = Projection

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Builds (${storage})`, (it) => {
    it.effect("what was live is kept, can be put back, and is removed when its time is over", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 5)
        const projection = balances(category)
        const { name } = projection
        yield* runOnce(projection)
        yield* ProjectionRebuild.blueGreen(projection)
        assert.deepStrictEqual(yield* ProjectionRebuild.dropRetired({ name }), [])
        yield* appendDeposits(category, 2, 4)
        yield* ProjectionRebuild.rollback(projection, { keepOld: 0 })
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 live", "v1 b2 kept"])
        yield* assertFold(category, projection)
        assert.deepStrictEqual(yield* ProjectionRebuild.dropRetired({ name }), [
          { build: { name, version: 1, build: 2 }, outcome: "removed" }
        ])
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 live"])
        assert.deepStrictEqual(yield* allStates(withBuild(projection, 2)), [])
        assert.strictEqual((yield* Effect.flip(ProjectionRebuild.rollback(projection)))._tag, "BuildMissing")
        yield* assertFold(category, projection)
      }))

    it.effect("whoever runs a projection removes the builds of it whose time is over", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 5)
        const projection = balances(category)
        yield* runOnce(projection)
        yield* ProjectionRebuild.blueGreen(projection, { keepOld: 0 })
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b1 kept", "v1 b2 live"])
        const runner = yield* Effect.forkChild(run(projection))
        yield* waitFor(buildsOf(projection), (builds) => builds.length === 1)
        yield* Fiber.interrupt(runner)
        assert.deepStrictEqual(yield* buildsOf(projection), ["v1 b2 live"])
        yield* assertFold(category, projection)
      }))

    it.effect("what is live or current is not removed, and leases of a removed build are older than those of its successor", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 2)
        const projection = balances(category)
        const { definition, name } = projection
        yield* runOnce(projection)
        const store = yield* CheckpointStore
        const key = { name, version: 1, build: 1 }
        assert.strictEqual(yield* store.removeBuild(key), "live")
        yield* runOnce({ ...balances(category, { version: 2 }), name })
        assert.strictEqual(yield* store.removeBuild({ ...key, version: 2 }), "current")
        assert.strictEqual(yield* store.removeBuild({ ...key, build: 7 }), "missing")
        const claim = { ...key, build: 2, definition, owner: "x", leaseMillis: 60_000, statuses: ["running"] } as const
        yield* store.addBuild(key)
        const first = yield* store.acquire(claim)
        assert.strictEqual(yield* store.removeBuild({ ...key, build: 2 }, { onlyIdle: true }), "leased")
        assert.strictEqual(yield* store.removeBuild({ ...key, build: 2 }), "removed")
        assert.strictEqual((yield* Effect.flip(store.acquire(claim)))._tag, "BuildMissing")
        assert.strictEqual((yield* store.addBuild(key)).build, 2)
        const second = yield* store.acquire({ ...claim, owner: "y" })
        if (first._tag !== "Acquired" || second._tag !== "Acquired") return assert.fail("held")
        assert.isAbove(second.lease.epoch, first.lease.epoch)
        const { checkpoint } = first.record
        const late = yield* Effect.flip(store.commit(first.lease, { from: checkpoint.position, to: checkpoint }))
        assert.strictEqual(late._tag, "LeaseLost")
      }))

    it.effect("there are at most 32 builds of a version", () =>
      Effect.gen(function*() {
        const key = { name: someProjectionName(), version: 999 }
        const store = yield* CheckpointStore
        for (const index of indexes(32)) assert.strictEqual((yield* store.addBuild(key)).build, index + 1)
        assert.strictEqual((yield* Effect.flip(store.addBuild(key)))._tag, "BuildsExhausted")
        assert.isUndefined(yield* liveOf(key))
        assert.strictEqual(yield* ProjectionRebuild.cancel(key), 32)
      }))
  })
}
