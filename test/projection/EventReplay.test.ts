import { assert, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { PgCheckpointStore, PgEventStore } from "../../src/postgres/index.ts"
import { EventReplay } from "../../src/projection/index.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import { append, indexes, proposedMany, someCategory } from "../store/fixtures.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import * as ReplaySuite from "./ReplaySuite.ts"

const memory = Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer)

ReplaySuite.suite("memory", memory)
ReplaySuite.suite("pglite", Layer.provideMerge(PgCheckpointStore.layer, layerPglite({})))

for (const server of servers) {
  const layer = PgCheckpointStore.layer.pipe(
    Layer.provideMerge(PgEventStore.layer),
    Layer.provideMerge(layerDatabase(server, { maxConnections: 8 }))
  )
  ReplaySuite.suite(server.label, layer)
}

/** Replays in the background, and gives how many events have come so far. */
const startReplay = (options: EventReplay.ReplayOptions) =>
  Effect.gen(function*() {
    let seen = 0
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(EventReplay.stream(options), () => Effect.sync(() => seen++))
    )
    const after = (time: number) => Effect.as(TestClock.adjust(time), undefined)
    return { fiber, after, seen: () => seen }
  })

it.layer(memory)("EventReplay in time", (it) => {
  it.effect("events come in the time in which they were recorded, times the factor", () =>
    Effect.gen(function*() {
      for (const factor of [1, 60]) {
        const category = someCategory()
        for (const index of indexes(5)) {
          yield* append(`${category}-1`, "any", proposedMany(2))
          if (index < 4) yield* TestClock.adjust(60_000)
        }
        const replay = yield* startReplay({ filter: { categories: [category] }, speed: { factor } })
        yield* replay.after(0)
        for (const index of indexes(5)) {
          assert.strictEqual(replay.seen(), 2 * (index + 1))
          yield* replay.after(60_000 / factor - 1)
          assert.strictEqual(replay.seen(), 2 * (index + 1))
          yield* replay.after(1)
        }
        yield* Fiber.join(replay.fiber)
      }
    }))

  it.effect("events that are due within a millisecond come one after the other, not all at once", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* Effect.forEach(
        indexes(20),
        () => Effect.andThen(append(`${category}-1`, "any", proposedMany(1)), TestClock.adjust(11))
      )
      // a clock that counts whole milliseconds, as that of the machine does: 11 / 1.7 is 6.47
      const clock = yield* Clock.Clock
      const whole: Clock.Clock = {
        ...clock,
        currentTimeMillisUnsafe: () => Math.floor(clock.currentTimeMillisUnsafe()),
        currentTimeMillis: Effect.map(clock.currentTimeMillis, Math.floor),
        sleep: (duration) => clock.sleep(Duration.millis(Math.floor(Duration.toMillis(duration))))
      }
      const options = { filter: { categories: [category] }, speed: { factor: 1.7 } }
      const replay = yield* Effect.provideService(startReplay(options), Clock.Clock, whole)
      for (const index of indexes(20)) {
        yield* replay.after(index === 0 ? 0 : 7)
        assert.isAtMost(replay.seen(), index + 2)
      }
      yield* replay.after(1_000)
      assert.strictEqual(replay.seen(), 20)
      yield* Fiber.join(replay.fiber)
    }))

  it.effect("events come no faster than the rate that is wanted", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* append(`${category}-1`, "noStream", proposedMany(100))
      const replay = yield* startReplay({ filter: { categories: [category] }, speed: { eventsPerSecond: 20 } })
      for (const second of indexes(5)) {
        yield* replay.after(second === 0 ? 0 : 1_000)
        assert.strictEqual(replay.seen(), 20 * (second + 1))
      }
      yield* Fiber.join(replay.fiber)
    }))

  it.effect("without a speed they come at once", () =>
    Effect.gen(function*() {
      const category = someCategory()
      yield* append(`${category}-1`, "noStream", proposedMany(100))
      yield* TestClock.adjust(3_600_000)
      yield* append(`${category}-1`, "any", proposedMany(100))
      const events = yield* Stream.runCollect(EventReplay.stream({ filter: { categories: [category] } }))
      assert.strictEqual(events.length, 200)
    }))
})
