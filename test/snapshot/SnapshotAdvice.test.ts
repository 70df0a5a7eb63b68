import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import * as SnapshotAdvice from "../../src/snapshot/SnapshotAdvice.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { append, indexes, proposedMany } from "../store/fixtures.ts"

/** Loads that take 1 ms and 0.02 ms an event. */
const loads = [1, 10, 500, 10_000].map((events) => ({ events, millis: 1 + events * 0.02 }))

describe("SnapshotAdvice", () => {
  it("says never where even the longest stream is replayed within the budget", () => {
    const advice = SnapshotAdvice.advise({ lengths: [...indexes(99).map(() => 12), 240], loads })
    assert.strictEqual(advice.code, "SnapshotStrategy.never")
    assert.deepStrictEqual(advice.strategy, { _tag: "Never" })
    assert.deepStrictEqual(advice.reasons, [
      "100 streams: half of them have at most 12 events, 99 % at most 12, the longest has 240.",
      "An event adds 0.02 ms to a load, so the longest stream takes 4.8 ms to replay.",
      "That is within the 5 ms allowed: snapshots would only cost."
    ])
  })

  it("says how many events apart snapshots keep loads within the budget, and how many streams that is about", () => {
    const lengths = [...indexes(98).map((index) => index + 1), 2_000, 10_000]
    const advice = SnapshotAdvice.advise({ lengths, loads })
    assert.deepStrictEqual(advice, {
      strategy: { _tag: "EveryEvents", events: 200 },
      code: "SnapshotStrategy.everyEvents(200)",
      reasons: [
        "100 streams: half of them have at most 50 events, 99 % at most 2000, the longest has 10000.",
        "An event adds 0.02 ms to a load, so the longest stream takes 200 ms to replay.",
        "A snapshot every 200 events keeps what is left to replay within 4 ms.",
        "2 streams of 100 are that long; the others never get one."
      ]
    })
    assert.strictEqual(
      SnapshotAdvice.advise({ lengths, loads }, { budgetMillis: 40 }).code,
      "SnapshotStrategy.everyEvents(2000)"
    )
    assert.strictEqual(
      SnapshotAdvice.advise({ lengths, loads }, { budgetMillis: 0 }).code,
      "SnapshotStrategy.everyEvents(10)"
    )
  })

  it("names adaptive where most streams get snapshots", () => {
    const advice = SnapshotAdvice.advise({ lengths: [5_000, 6_000, 3], loads })
    assert.match(advice.reasons.at(-1)!, /adaptive\(\)/)
  })

  it("has an answer for a store without streams, and for one of which no load was measured", () => {
    assert.strictEqual(SnapshotAdvice.advise({ lengths: [], loads: [] }).code, "SnapshotStrategy.never")
    const advice = SnapshotAdvice.advise({ lengths: [1_000_000], loads: [] })
    assert.match(advice.reasons[1]!, /^No load was measured; an event is taken to add 0.02 ms/)
    assert.match(advice.reasons.at(-2)!, /^1 stream of 1 is that long/)
  })

  it.live("measure counts what can be read, and loads streams from the longest to the shortest", () =>
    Effect.gen(function*() {
      const log = yield* EventStore
      for (const length of indexes(30)) yield* append(`a-${length}`, "noStream", proposedMany(length + 1))
      yield* append("b-1", "noStream", proposedMany(77))
      yield* log.truncateBefore("a-29", 25)
      yield* log.tombstone("a-28")
      const all = yield* SnapshotAdvice.measure({ category: "a" })
      assert.deepStrictEqual(all.lengths, [5, ...indexes(28).map((index) => 28 - index)])
      assert.isAtLeast(all.loads.length, 8)
      assert.isAtMost(all.loads.length, 12)
      assert.include(all.loads.map(({ events }) => events), 1)
      assert.include(all.loads.map(({ events }) => events), 5)
      assert.isTrue(all.loads.every(({ millis }) => millis > 0))
      const few = yield* SnapshotAdvice.measure({ streams: 2, samples: 1 })
      assert.deepStrictEqual([few.lengths.length, few.loads.map(({ events }) => events)], [2, [77]])
      assert.deepStrictEqual(yield* SnapshotAdvice.measure({ category: "none" }), { lengths: [], loads: [] })
    }).pipe(Effect.provide(MemoryEventStore.layer)))
})
