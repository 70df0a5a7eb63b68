import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { append, head, proposed, proposedMany, readAll, someStream } from "../store/fixtures.ts"

it.layer(MemoryEventStore.layer)("MemoryEventStore", (it) => {
  it.effect("says that an acknowledged append outlives nothing", () =>
    EventStore.use((store) => Effect.sync(() => assert.strictEqual(store.durability, "memory"))))

  it.effect("takes its time from the clock of the program, and never lets it run against position", () =>
    Effect.gen(function*() {
      const before = yield* head
      for (const millis of [1_000_000, 999_000, 2_000_000]) {
        yield* TestClock.setTime(millis)
        yield* append(someStream(), "any", proposedMany(1))
      }
      const events = yield* readAll({ after: before })
      assert.deepStrictEqual(events.map((event) => event.recordedAt.epochMilliseconds), [
        1_000_000,
        1_000_000,
        2_000_000
      ])
    }))

  it.effect("subscribe waits without a timer: time stands still, and new events come", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const after = yield* head
      const follower = yield* store.subscribe({ after }).pipe(Stream.take(2), Stream.runCollect, Effect.forkChild)
      yield* append(someStream(), "any", [proposed("A")])
      yield* append(someStream(), "any", [proposed("B")])
      assert.deepStrictEqual((yield* Fiber.join(follower)).map((event) => event.type), ["A", "B"])
    }))

  it.effect("counts the bytes of JSON in its statistics", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const before = yield* store.statistics
      yield* append(someStream(), "any", [{ type: "A", data: "é", metadata: { a: 1 } }])
      assert.strictEqual((yield* store.statistics).bytes - before.bytes, 4 + 7)
    }))
})

it.effect("each build of the layer is a history of its own", () =>
  Effect.gen(function*() {
    const build = Effect.scoped(
      Effect.gen(function*() {
        const store = yield* EventStore
        yield* append("a", "noStream", proposedMany(1))
        return yield* store.head
      }).pipe(Effect.provide(Layer.fresh(MemoryEventStore.layer)))
    )
    const [first, second] = [yield* build, yield* build]
    assert.deepStrictEqual([first.position, second.position] as ReadonlyArray<number>, [1, 1])
    assert.notStrictEqual(first.incarnation, second.incarnation)
  }))
