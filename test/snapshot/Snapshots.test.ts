/**
 * Snapshots as commands use them: right, or not there.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { StreamId } from "../../src/event/StreamId.ts"
import * as SnapshotCache from "../../src/snapshot/SnapshotCache.ts"
import type * as Snapshots from "../../src/snapshot/Snapshots.ts"
import * as SnapshotStrategy from "../../src/snapshot/SnapshotStrategy.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { indexes } from "../store/fixtures.ts"
import {
  appendAmounts,
  binary,
  foldAll,
  idle,
  initial,
  loadAndReport,
  makeSnapshots,
  revision,
  storedRevisions,
  storedSnapshots,
  streamId,
  Tally,
  withStore
} from "./fixtures.ts"

describe("Snapshots", () => {
  it.effect("a state is loaded from its snapshot by the next process, and only the tail is folded", () =>
    withStore(() =>
      Effect.gen(function*() {
        yield* appendAmounts([1, 2, 3])
        const first = yield* makeSnapshots()
        assert.deepStrictEqual(yield* first.load(streamId), Option.none())
        yield* loadAndReport(first)
        yield* idle(first)
        assert.deepStrictEqual(yield* storedRevisions, [2])

        yield* appendAmounts([4, 5])
        const next = yield* makeSnapshots()
        assert.isFalse(Option.getOrThrow(yield* (yield* makeSnapshots()).load(streamId)).isCached)
        const { state, ...loaded } = yield* loadAndReport(next)
        assert.deepStrictEqual(loaded, { snapshotRevision: revision(2), eventsReplayed: 2 })
        assert.deepStrictEqual(state, yield* foldAll())
        const { storeHits, storeMisses } = yield* next.statistics
        assert.deepStrictEqual([storeHits, storeMisses], [1, 0])
      })
    ))

  it.effect("the second load comes from the cache, and is the very state that was reported", () =>
    withStore((faults) =>
      Effect.gen(function*() {
        yield* appendAmounts([1, 2, 3])
        const snapshots = yield* makeSnapshots({ strategy: SnapshotStrategy.never })
        const { state } = yield* loadAndReport(snapshots)
        faults.load = "die"
        const found = Option.getOrThrow(yield* snapshots.load(streamId))
        assert.strictEqual(found.state, state)
        assert.deepStrictEqual([found.revision, found.firstRevision, found.isCached], [revision(2), revision(0), true])
        const { cacheHits, cacheMisses } = yield* snapshots.statistics
        assert.deepStrictEqual([cacheHits, cacheMisses], [1, 1])
      })
    ))

  it.effect("a peek returns at once what the cache holds and counts as a load, and is nothing when it finds nothing", () =>
    withStore((faults) =>
      Effect.gen(function*() {
        yield* appendAmounts([1, 2, 3])
        const snapshots = yield* makeSnapshots({ cache: { timeToLive: "1 minute" } })
        assert.strictEqual(snapshots.peek(streamId), undefined)
        const { state } = yield* loadAndReport(snapshots)
        faults.load = "die"
        assert.deepStrictEqual(snapshots.peek(streamId), Option.getOrThrow(yield* snapshots.load(streamId)))
        assert.strictEqual(snapshots.peek(streamId)?.state, state)
        const { cache, cacheHits, cacheMisses } = yield* snapshots.statistics
        assert.deepStrictEqual([cacheHits, cacheMisses, cache?.hits, cache?.misses], [3, 1, 3, 1])
        yield* TestClock.adjust("61 seconds")
        assert.strictEqual(snapshots.peek(streamId), undefined)
        const uncached = yield* makeSnapshots({ cache: false })
        yield* loadAndReport(uncached)
        assert.strictEqual(uncached.peek(streamId), undefined)
      })
    ))

  it.effect("a strategy counts from the snapshot in the store for every stream in the cache, however many there are", () =>
    withStore(() =>
      Effect.gen(function*() {
        const snapshots = yield* makeSnapshots({ strategy: SnapshotStrategy.everyEvents(3) })
        const report = (of: string, at: number) =>
          snapshots.report({
            streamId: StreamId.make(of),
            state: initial,
            revision: revision(at),
            snapshotRevision: at === 0 ? -1 : revision(at - 1),
            firstRevision: revision(0),
            eventsReplayed: 0,
            loadMillis: 0,
            appended: 1
          })
        yield* appendAmounts([1, 2, 3])
        yield* report(streamId, 0)
        yield* report(streamId, 1)
        for (const index of indexes(10_500)) yield* report(`other-${index}`, 0)
        yield* report(streamId, 2)
        yield* idle(snapshots)
        assert.deepStrictEqual(yield* storedRevisions, [2])
      })
    ))

  it.effect("a strategy counts from the snapshot in the store, however warm the cache is", () =>
    withStore(() =>
      Effect.gen(function*() {
        const snapshots = yield* makeSnapshots({ strategy: SnapshotStrategy.everyEvents(10) })
        for (let step = 0; step < 35; step++) {
          yield* appendAmounts([1])
          yield* loadAndReport(snapshots)
          yield* idle(snapshots)
        }
        assert.strictEqual((yield* snapshots.statistics).saved, 3)
        assert.deepStrictEqual(yield* storedRevisions, [29])
        assert.match(yield* snapshots.explain(streamId), /^every 10 events; wait: 5 of 10 events since the last one$/)
      })
    ))

  for (const change of ["version", "fingerprint", "schema", "serialization"] as const) {
    it.effect(`another ${change} makes every older snapshot a miss, and both live side by side`, () =>
      withStore(() =>
        Effect.gen(function*() {
          const changed: Partial<Snapshots.SnapshotsOptions<Tally>> = {
            version: { version: 2 },
            fingerprint: { fingerprint: "types-2" },
            schema: { schema: Schema.Struct({ ...Tally.fields, count: Schema.Number }) },
            serialization: { serialization: binary("tally/1") }
          }[change]
          yield* appendAmounts([1, 2, 3])
          const older = yield* makeSnapshots({ cache: false })
          yield* loadAndReport(older)
          yield* idle(older)
          const newer = yield* makeSnapshots({ ...changed, cache: false })
          assert.deepStrictEqual(yield* newer.load(streamId), Option.none())
          yield* appendAmounts([4])
          yield* loadAndReport(newer)
          yield* idle(newer)
          assert.deepStrictEqual((yield* storedRevisions).toSorted(), [2, 3])
          // the older program takes another one, and neither sees the other's
          yield* appendAmounts([5])
          assert.strictEqual((yield* loadAndReport(older)).snapshotRevision, revision(2))
          yield* idle(older)
          assert.deepStrictEqual((yield* storedRevisions).toSorted(), [3, 4])
          assert.strictEqual((yield* loadAndReport(newer)).snapshotRevision, revision(3))
        })
      ))
  }

  it.effect("a truncated stream is folded from what is left of it", () =>
    withStore(() =>
      Effect.gen(function*() {
        const log = yield* EventStore
        yield* appendAmounts([1, 2, 3, 4])
        const snapshots = yield* makeSnapshots()
        yield* loadAndReport(snapshots)
        yield* idle(snapshots)
        yield* log.truncateBefore(streamId, 2)
        yield* snapshots.invalidate(streamId)
        assert.deepStrictEqual(yield* storedRevisions, [])
        const expected = yield* foldAll()
        assert.strictEqual(expected.count, 2)
        assert.deepStrictEqual((yield* loadAndReport(snapshots)).state, expected)
        yield* idle(snapshots)
        const next = yield* makeSnapshots()
        assert.deepStrictEqual(yield* loadAndReport(next), {
          state: expected,
          snapshotRevision: revision(3),
          eventsReplayed: 0
        })
        // a process that was not told finds nothing in the store either
        yield* log.truncateBefore(streamId, 3)
        assert.deepStrictEqual((yield* loadAndReport(yield* makeSnapshots())).state, yield* foldAll())
      })
    ))

  it.effect("a first revision that is not reported is taken for 0, so that nothing of a truncated stream is served", () =>
    withStore(() =>
      Effect.gen(function*() {
        const log = yield* EventStore
        yield* appendAmounts([1, 2, 3, 4])
        yield* log.truncateBefore(streamId, 2)
        const snapshots = yield* makeSnapshots({ cache: false })
        const state = yield* foldAll()
        yield* snapshots.report({
          streamId,
          state,
          revision: revision(3),
          snapshotRevision: -1,
          eventsReplayed: 2,
          loadMillis: 1,
          appended: 0
        })
        yield* idle(snapshots)
        assert.deepStrictEqual(yield* storedRevisions, [3])
        assert.deepStrictEqual(yield* snapshots.load(streamId), Option.none())
      })
    ))

  it.effect("an older state that is reported late replaces neither the cache nor the snapshot", () =>
    withStore(() =>
      Effect.gen(function*() {
        yield* appendAmounts([1, 2, 3, 4])
        const snapshots = yield* makeSnapshots()
        const { state } = yield* loadAndReport(snapshots)
        yield* idle(snapshots)
        yield* snapshots.report({
          streamId,
          state: initial,
          revision: revision(1),
          snapshotRevision: -1,
          eventsReplayed: 2,
          loadMillis: 1,
          appended: 0
        })
        yield* idle(snapshots)
        assert.strictEqual(Option.getOrThrow(yield* snapshots.load(streamId)).state, state)
        assert.deepStrictEqual(yield* storedRevisions, [3])
      })
    ))

  it.effect("options that cannot work are refused, and every fault is named", () =>
    withStore(() =>
      Effect.gen(function*() {
        const invalid = yield* Effect.flip(makeSnapshots({
          kind: "",
          version: 1.5,
          strategy: SnapshotStrategy.or(SnapshotStrategy.everyEvents(0), SnapshotStrategy.and()),
          compression: { algorithm: "gzip", level: 10, above: -1 },
          retention: { keepLast: 0, cleanupEvery: 0 },
          saves: 0
        }))
        assert.strictEqual(invalid._tag, "SnapshotsInvalid")
        assert.deepStrictEqual(invalid.problems.map((problem) => problem.replace(/: .*/, "")), [
          "kind",
          "strategy",
          "strategy",
          "retention.keepLast",
          "retention.cleanupEvery",
          "saves",
          "compression.level",
          "compression.above",
          "version"
        ])
      })
    ))

  it.effect("several kinds share one cache, and neither gets the other's states", () =>
    withStore(() =>
      Effect.gen(function*() {
        const cache = yield* SnapshotCache.make()
        const one = yield* makeSnapshots({ cache, strategy: SnapshotStrategy.never })
        const two = yield* makeSnapshots({ cache, strategy: SnapshotStrategy.never, kind: "other" })
        yield* appendAmounts([1])
        yield* loadAndReport(one)
        assert.deepStrictEqual(yield* two.load(streamId), Option.none())
        yield* loadAndReport(two)
        assert.strictEqual(cache.statistics().entries, 2)
        yield* one.invalidate(streamId)
        assert.isTrue(Option.isNone(yield* one.load(streamId)))
        assert.isTrue(Option.isSome(yield* two.load(streamId)))
      })
    ))

  it.effect("`adaptive` decides by the costs at the time of each report", () =>
    withStore(() =>
      Effect.gen(function*() {
        const snapshots = yield* makeSnapshots({ strategy: SnapshotStrategy.adaptive() })
        const explanations: Array<string> = []
        for (const loadMillis of [4, 40]) {
          yield* appendAmounts([1, 2])
          yield* loadAndReport(snapshots, { loadMillis, appended: 1 })
          explanations.push(yield* snapshots.explain(streamId))
        }
        assert.match(explanations[0]!, /wait: an event costs 2 ms to replay, a snapshot 3 ms to take/)
        assert.notMatch(explanations[1]!, /an event costs 2 ms/)
      })
    ))

  it.effect("`every` counts from the time of the last snapshot, of another process too", () =>
    withStore(() =>
      Effect.gen(function*() {
        const options = { strategy: SnapshotStrategy.every("1 hour") }
        const first = yield* makeSnapshots(options)
        const step = (snapshots: Snapshots.Snapshots<Tally>) =>
          Effect.gen(function*() {
            yield* appendAmounts([1])
            yield* loadAndReport(snapshots)
            yield* idle(snapshots)
            return yield* storedRevisions
          })
        assert.deepStrictEqual([yield* step(first), yield* step(first)], [[0], [0]])
        yield* TestClock.adjust("59 minutes")
        const second = yield* makeSnapshots(options)
        assert.deepStrictEqual(yield* step(second), [0])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual([yield* step(second), yield* step(second)], [[3], [3]])
        const [snapshot] = yield* storedSnapshots
        assert.strictEqual(snapshot?.takenAt.epochMilliseconds, (yield* DateTime.now).epochMilliseconds)
      })
    ))
})
