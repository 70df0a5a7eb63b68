import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { AppendPipeline } from "../../src/migration/index.ts"

const item = (streamId: string, sizeBytes = 10) => ({ streamId, encoded: { sizeBytes } })

describe("a pipeline", () => {
  it.effect("starts in order, as many as fit, and goes on when one is done", () =>
    Effect.gen(function*() {
      const pipeline = yield* AppendPipeline.make<never>(3)
      const started: Array<number> = []
      const gates = yield* Effect.all(Array.from({ length: 4 }, () => Deferred.make<void>()))
      const work = (n: number) =>
        Effect.suspend(() => {
          started.push(n)
          return Deferred.await(gates[n]!)
        })
      yield* pipeline.submit(2, work(0))
      yield* pipeline.submit(1, work(1))
      const waiting = yield* Effect.forkChild(Effect.andThen(pipeline.submit(2, work(2)), pipeline.submit(9, work(3))))
      yield* Effect.yieldNow
      expect(started).toStrictEqual([0, 1])
      yield* Deferred.succeed(gates[1]!, undefined)
      yield* Effect.yieldNow
      expect(started).toStrictEqual([0, 1])
      yield* Deferred.succeed(gates[0]!, undefined)
      yield* Deferred.succeed(gates[2]!, undefined)
      // one that weighs more than there is takes all there is
      yield* Deferred.succeed(gates[3]!, undefined)
      yield* Fiber.join(waiting)
      yield* pipeline.settle
      expect(started).toStrictEqual([0, 1, 2, 3])
    }))

  it.effect("starts nothing after a failure, and fails with it", () =>
    Effect.gen(function*() {
      const pipeline = yield* AppendPipeline.make<string>(1)
      let started = 0
      yield* pipeline.submit(1, Effect.fail("first"))
      expect(yield* Effect.flip(pipeline.submit(1, Effect.sync(() => void started++)))).toBe("first")
      expect(yield* Effect.flip(pipeline.settle)).toBe("first")
      expect(started).toBe(0)
    }))
})

describe("runs", () => {
  it("are consecutive events of one stream, within the bounds of an append", () => {
    const streams = (items: ReadonlyArray<ReturnType<typeof item>>, max = 1_000) =>
      AppendPipeline.toRuns(items, max).map(({ items, streamId }) => `${streamId} x${items.length}`)
    expect(streams([])).toStrictEqual([])
    expect(streams([item("a"), item("a"), item("b"), item("a")])).toStrictEqual(["a x2", "b x1", "a x1"])
    expect(streams(Array.from({ length: 5 }, () => item("a")), 2)).toStrictEqual(["a x2", "a x2", "a x1"])
    expect(streams(Array.from({ length: 2_500 }, () => item("a")), 10_000)).toStrictEqual([
      "a x1000",
      "a x1000",
      "a x500"
    ])
    expect(streams(Array.from({ length: 9 }, () => item("a", 1024 * 1024)))).toStrictEqual(["a x4", "a x4", "a x1"])
  })

  it("weigh their events, or their bytes when those are many", () => {
    const weigh = (...items: ReadonlyArray<ReturnType<typeof item>>) =>
      AppendPipeline.toRuns(items, 10).map(AppendPipeline.weightOf)
    expect(weigh(item("a"), item("a"), item("a"))).toStrictEqual([3])
    expect(weigh(item("a", 64 * 1024))).toStrictEqual([4])
  })
})
