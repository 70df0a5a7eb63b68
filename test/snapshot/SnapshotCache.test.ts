import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { HeapShare } from "../../src/snapshot/internal/heap.ts"
import * as SnapshotCache from "../../src/snapshot/SnapshotCache.ts"
import { indexes } from "../store/fixtures.ts"
import { revision } from "./fixtures.ts"

const state = (value: unknown, bytes: number, at = 0): SnapshotCache.CachedState => ({
  state: value,
  bytes,
  revision: revision(at),
  firstRevision: revision(0)
})

describe("SnapshotCache", () => {
  it.effect("what was used least lately goes first when the bytes run out", () =>
    Effect.gen(function*() {
      const cache = yield* SnapshotCache.make({ maxBytes: 1_000 })
      for (const name of ["a", "b", "c"]) cache.put(name, state(name, 300))
      cache.get("a")
      cache.put("d", state("d", 300))
      assert.strictEqual(cache.get("b"), undefined)
      assert.deepStrictEqual(["a", "c", "d"].map((name) => cache.get(name)?.state), ["a", "c", "d"])
      assert.deepStrictEqual(cache.statistics(), { hits: 4, misses: 1, entries: 3, bytes: 903, reliefs: 0 })
    }))

  it.effect("never holds more than its bytes, and takes no state that is larger than all of them", () =>
    Effect.gen(function*() {
      const cache = yield* SnapshotCache.make({ maxBytes: 10_000 })
      for (const index of indexes(2_000)) {
        cache.put(`s-${index % 70}`, state(index, (index * 37) % 1_500, index))
        assert.isAtMost(cache.statistics().bytes, 10_000)
      }
      cache.put("huge", state("huge", 10_001))
      assert.strictEqual(cache.get("huge"), undefined)
      assert.isAbove(cache.statistics().entries, 5)
    }))

  it.effect("a state is forgotten its time to live after it was last put, the first moment of the clock included", () =>
    Effect.gen(function*() {
      const cache = yield* SnapshotCache.make({ timeToLive: "10 minutes" })
      cache.put("a", state("a", 10))
      yield* TestClock.adjust("6 minutes")
      cache.put("b", state("b", 10))
      assert.strictEqual(cache.get("a")?.state, "a")
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(cache.get("a"), undefined)
      assert.strictEqual(cache.get("b")?.state, "b")
      cache.put("b", state("b2", 10, 1))
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual(cache.get("b")?.state, "b2")
    }))

  it.effect("a peek finds what is there and not yet forgotten, and leaves no trace", () =>
    Effect.gen(function*() {
      const cache = yield* SnapshotCache.make({ maxBytes: 700, timeToLive: "10 minutes" })
      for (const name of ["a", "b"]) cache.put(name, state(name, 300))
      assert.strictEqual(cache.peek("a")?.state, "a")
      assert.strictEqual(cache.peek("c"), undefined)
      cache.put("c", state("c", 300))
      assert.deepStrictEqual(["a", "b", "c"].map((name) => cache.peek(name)?.state), [undefined, "b", "c"])
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(cache.peek("b")?.state, "b")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(cache.peek("b"), undefined)
      assert.deepStrictEqual(cache.statistics(), { hits: 0, misses: 0, entries: 2, bytes: 602, reliefs: 0 })
    }))

  it.effect("a state that grows in its place takes the room that it needs", () =>
    Effect.gen(function*() {
      const cache = yield* SnapshotCache.make({ maxBytes: 1_000 })
      for (const name of ["a", "b"]) cache.put(name, state(name, 300))
      cache.put("b", state("b", 300, 1))
      assert.deepStrictEqual([cache.peek("b")?.revision as number, cache.statistics().bytes], [1, 602])
      cache.put("b", state("b", 800, 2))
      assert.deepStrictEqual([cache.peek("a"), cache.peek("b")?.revision as number], [undefined, 2])
      assert.strictEqual(cache.statistics().bytes, 801)
    }))

  it.effect("an older state never replaces a newer one", () =>
    Effect.gen(function*() {
      const cache = yield* SnapshotCache.make()
      cache.put("a", state("newer", 10, 5))
      cache.put("a", state("older", 10, 4))
      assert.strictEqual(cache.get("a")?.state, "newer")
      cache.put("a", state("again", 10, 5))
      assert.strictEqual(cache.get("a")?.state, "again")
      cache.remove("a")
      assert.strictEqual(cache.get("a"), undefined)
    }))

  it.effect("half of it goes when the heap is nearly full, and again a second later if that was not enough", () =>
    Effect.gen(function*() {
      const heap = { share: 0.5 }
      const cache = yield* Effect.provideService(
        SnapshotCache.make({ heapShareMax: 0.8 }),
        HeapShare,
        () => heap.share
      )
      for (const index of indexes(100)) cache.put(`s-${index + 100}`, state(index, 100))
      heap.share = 0.81
      yield* TestClock.adjust("1 second")
      cache.put("s-200", state(200, 100))
      assert.strictEqual(cache.statistics().entries, 51)
      assert.strictEqual(cache.get("s-100"), undefined)
      assert.strictEqual(cache.get("s-199")?.state, 99)
      cache.put("s-201", state(201, 100))
      assert.strictEqual(cache.statistics().entries, 52)
      yield* TestClock.adjust("1 second")
      cache.put("s-202", state(202, 100))
      assert.strictEqual(cache.statistics().entries, 27)
      assert.strictEqual(cache.statistics().reliefs, 2)
      heap.share = 0.5
      yield* TestClock.adjust("1 second")
      cache.put("s-203", state(203, 100))
      assert.strictEqual(cache.statistics().entries, 28)
    }))

  it("the share of the heap is a share", () => {
    const share = HeapShare.defaultValue()()
    assert.isAbove(share, 0)
    assert.isBelow(share, 1)
  })
})
