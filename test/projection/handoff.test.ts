import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { RecordedEvent } from "../../src/event/Event.ts"
import type { Position } from "../../src/event/Revision.ts"
import { makeHandoff, type Part } from "../../src/projection/internal/handoff.ts"
import { digestOfPiece, joinPieces } from "../../src/projection/internal/pieces.ts"
import { addEvents, EMPTY_DIGEST } from "../../src/store/EventDigest.ts"
import { indexes } from "../store/fixtures.ts"

/** Events of some positions: nothing else of them matters here. */
const eventsAt = (from: number, count: number) =>
  indexes(count).map((index) => ({
    position: from + index,
    id: `0000000${index % 10}-0000-7000-8000-00000000000${from % 10}`
  })) as unknown as ReadonlyArray<RecordedEvent>

const part = (from: number, count: number, rest: Partial<Part> = {}): Part => ({
  events: eventsAt(from, count),
  position: (from + count - 1) as Position,
  isEnd: false,
  bytes: count,
  ...rest
})

const positions = ({ events }: Part) => events.map(({ position }) => position as number)

describe("handoff", () => {
  it.effect("takes together what has come meanwhile, as much as a batch holds", () =>
    Effect.gen(function*() {
      const { put, take } = makeHandoff(10, 1_000)
      yield* put(part(1, 4))
      yield* put(part(5, 4, { isEnd: true }))
      const taken = yield* take
      assert.deepStrictEqual(positions(taken), [1, 2, 3, 4, 5, 6, 7, 8])
      assert.deepStrictEqual([taken.position, taken.isEnd, taken.bytes], [8, true, 8])
      yield* put(part(9, 4))
      yield* put(part(13, 4))
      yield* put(part(17, 4))
      assert.strictEqual((yield* take).position, 16)
      const rest = yield* Effect.forkChild(take)
      yield* TestClock.adjust("99 millis")
      assert.isUndefined(rest.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(rest)).position, 20)
    }))

  it.effect("far from the end a batch is filled, and at the end nothing waits", () =>
    Effect.gen(function*() {
      const { put, take } = makeHandoff(10, 1_000)
      const taken = yield* Effect.forkChild(take, { startImmediately: true })
      yield* put(part(1, 3))
      yield* Effect.yieldNow
      assert.isUndefined(taken.pollUnsafe())
      yield* put(part(4, 7))
      assert.strictEqual((yield* Fiber.join(taken)).position, 10)
      const last = yield* Effect.forkChild(take, { startImmediately: true })
      yield* put(part(11, 1, { isEnd: true }))
      assert.strictEqual((yield* Fiber.join(last)).position, 11)
    }))

  it.effect("whoever reads waits while a batch waits, in events or in bytes", () =>
    Effect.gen(function*() {
      for (const [maxEvents, maxBytes] of [[4, 1_000], [1_000, 4]] as const) {
        const { put, take } = makeHandoff(maxEvents, maxBytes)
        yield* put(part(1, 4))
        const waiting = yield* Effect.forkChild(put(part(5, 4)), { startImmediately: true })
        yield* Effect.yieldNow
        assert.isUndefined(waiting.pollUnsafe())
        assert.strictEqual((yield* take).position, 4)
        yield* Fiber.join(waiting)
        assert.strictEqual((yield* take).position, 8)
      }
    }))

  it.effect("a part that is larger than a batch comes in several", () =>
    Effect.gen(function*() {
      const { put, take } = makeHandoff(3, 1_000)
      yield* put(part(1, 7, { position: 9 as Position, isEnd: true }))
      const taken = [yield* take, yield* take, yield* take]
      assert.deepStrictEqual(taken.map(positions), [[1, 2, 3], [4, 5, 6], [7]])
      assert.deepStrictEqual(taken.map(({ position }) => position as number), [3, 6, 9])
      assert.deepStrictEqual(taken.map(({ isEnd }) => isEnd), [false, false, true])
    }))

  it.effect("parts without events say how far was looked", () =>
    Effect.gen(function*() {
      const { put, take } = makeHandoff(3, 1_000)
      yield* put(part(1, 0, { position: 100 as Position }))
      yield* put(part(1, 0, { position: 200 as Position, isEnd: true }))
      const taken = yield* take
      assert.deepStrictEqual([taken.events.length, taken.position, taken.isEnd], [0, 200, true])
    }))
})

describe("pieces", () => {
  it("the digest of joined pieces is that of their events", () => {
    const pieces = [eventsAt(1, 5), eventsAt(6, 1), eventsAt(7, 20)]
    const joined = joinPieces(pieces)
    assert.strictEqual(joined.length, 26)
    assert.deepStrictEqual(digestOfPiece(joined), addEvents(EMPTY_DIGEST, pieces.flat()))
    assert.deepStrictEqual(digestOfPiece([]), EMPTY_DIGEST)
  })
})
