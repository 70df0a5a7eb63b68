/**
 * The counts as metrics of the process.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Metric, Scope } from "effect"
import { TestClock } from "effect/testing"
import { makeTally } from "../../src/snapshot/internal/tally.ts"
import { waitFor } from "../support/waitFor.ts"
import { appendAmounts, loadAndReport, makeSnapshots, streamId, withStore } from "./fixtures.ts"

/** What the process says of a kind. */
const published = (kind: string, counter: string) =>
  Effect.map(Metric.snapshot, (metrics) =>
    metrics
      .filter(({ attributes, id }) => attributes?.["kind"] === kind && id === `event_store_snapshot_${counter}`)
      .map(({ state }) => (state as Metric.CounterState<number>).count))

const withRegistry = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Metric.MetricRegistry, new Map())

describe("tally", () => {
  it.effect("what was counted is a metric a second later, again and again", () =>
    withRegistry(Effect.scoped(Effect.gen(function*() {
      const tally = yield* makeTally("order")
      for (const sum of [3, 6]) {
        for (let count = 0; count < 3; count++) tally.note("cacheHits")
        assert.strictEqual(tally.counts.cacheHits, sum)
        yield* TestClock.adjust("1 second")
        yield* waitFor(published("order", "cache_hits"), ([count]) => count === sum)
      }
      assert.deepStrictEqual(yield* published("order", "cache_misses"), [])
    }))))

  it.effect("what was counted is a metric when it is asked for, and when the scope has ended", () =>
    withRegistry(Effect.gen(function*() {
      const scope = yield* Scope.make()
      const tally = yield* Scope.provide(makeTally("order"), scope)
      tally.note("broken")
      assert.deepStrictEqual(yield* published("order", "broken"), [])
      yield* tally.publish
      assert.deepStrictEqual(yield* published("order", "broken"), [1])
      tally.note("broken")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* published("order", "broken"), [2])
    })))

  it.effect("the statistics of snapshots and their metrics are the same, what the end of the scope saves included", () =>
    withStore(() =>
      withRegistry(Effect.gen(function*() {
        yield* appendAmounts([1])
        const kind = "counted"
        yield* Effect.scoped(Effect.gen(function*() {
          const snapshots = yield* makeSnapshots({ kind })
          yield* loadAndReport(snapshots)
          snapshots.peek(streamId)
          const { cacheHits, storeMisses } = yield* snapshots.statistics
          assert.deepStrictEqual([cacheHits, storeMisses], [1, 1])
          assert.deepStrictEqual(yield* published(kind, "cache_hits"), [1])
          assert.deepStrictEqual(yield* published(kind, "store_misses"), [1])
        }))
        assert.deepStrictEqual(yield* published(kind, "saved"), [1])
      }))
    ))
})
