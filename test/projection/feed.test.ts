import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, type Scope } from "effect"
import type { EventFilter } from "../../src/event/EventQuery.ts"
import type { Position } from "../../src/event/Revision.ts"
import { layer } from "../../src/memory/index.ts"
import { type Feed, makeFeed, type Seat } from "../../src/projection/internal/feed.ts"
import { makeLimit } from "../../src/projection/internal/pager.ts"
import { EventStore, type ReadPageOptions } from "../../src/store/EventStore.ts"
import { indexes } from "../store/fixtures.ts"

const TYPES = ["A", "B", "C", "D"]

/** A log of `count` events, of one type after the other, with `bytes` of data each. */
const grow = (count: number, bytes = 10) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    for (const part of indexes(Math.ceil(count / 100))) {
      yield* store.append({
        streamId: `s-${part}`,
        expected: "any",
        events: indexes(100).map((index) => ({ type: TYPES[index % 4]!, data: "x".repeat(bytes) }))
      })
    }
  })

/** A feed, and the reads that it asks the store for. */
const open = (maxBytes = 2 ** 30) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const reads: Array<ReadPageOptions> = []
    const counting: EventStore["Service"] = {
      ...store,
      readPage: (options) => {
        reads.push(options)
        return store.readPage(options)
      }
    }
    return { feed: yield* makeFeed(counting, maxBytes), reads }
  })

/** Reads up to the end, and returns the positions; as long as it may go on. */
const readAll = (seat: Seat, until?: number, from = 0) =>
  Effect.gen(function*() {
    const positions: Array<number> = []
    let after = from as Position
    while (true) {
      const part = yield* seat.read(after, until as Position | undefined)
      positions.push(...part.events.map(({ position }) => position))
      after = part.position
      if (part.isEnd) return positions
      yield* Effect.yieldNow
    }
  })

const join = (feed: Feed, filter: EventFilter = {}) => feed.join(filter)

const all = (count: number) => indexes(count).map((index) => index + 1)

const run = <A, E>(effect: Effect.Effect<A, E, EventStore | Scope.Scope>) =>
  Effect.scoped(effect).pipe(Effect.provide(layer))

describe("feed", () => {
  it.effect("followers at the same place read every page once, and each gets all that passes its filter", () =>
    run(Effect.gen(function*() {
      yield* grow(4_000)
      const { feed, reads } = yield* open()
      const filters = [{ types: ["A"] }, { types: ["B", "C"] }, { types: ["A"] }, { types: ["D"], tags: ["none"] }]
      const seats = filters.map((filter) => join(feed, filter))
      const found = yield* Effect.forEach(seats, (seat) => readAll(seat), { concurrency: "unbounded" })
      assert.deepStrictEqual(found[0], all(4_000).filter((position) => position % 4 === 1))
      assert.deepStrictEqual(found[1], all(4_000).filter((position) => position % 4 === 2 || position % 4 === 3))
      assert.deepStrictEqual(found[2], found[0])
      assert.deepStrictEqual(found[3], [])
      const alone = yield* open()
      yield* readAll(join(alone.feed))
      // the first page of each may be read before the others are there
      assert.isAtMost(reads.length, alone.reads.length + 4)
    })))

  it.effect("a follower that is far behind reads alone, with its own filter, until it meets the others", () =>
    run(
      Effect.gen(function*() {
        yield* grow(40_000)
        const { feed, reads } = yield* open()
        const ahead = join(feed, { types: ["A"] })
        yield* readAll(ahead, 40_000, 30_000)
        const before = reads.length
        const late = join(feed, { types: ["B"] })
        const positions = yield* readAll(late)
        assert.deepStrictEqual(positions, all(40_000).filter((position) => position % 4 === 2))
        assert.isTrue(reads.slice(before).every(({ filter }) => filter?.types?.join() === "B"))
        // both at the end: one read serves both
        yield* grow(200)
        const count = reads.length
        const parts = yield* Effect.forEach(
          [ahead, late],
          (seat) => seat.read(40_000 as Position, undefined),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(parts.map(({ events }) => events.length), [50, 50])
        assert.isAtMost(reads.length - count, 2)
        assert.deepStrictEqual([...reads.at(-1)?.filter?.types ?? []].sort(), ["A", "B"])
      }).pipe(Effect.provide(layer))
    ))

  it.effect("a slow follower holds up nobody, and misses nothing", () =>
    run(Effect.gen(function*() {
      yield* grow(60_000)
      const { feed } = yield* open()
      const [fast, slow] = [join(feed), join(feed)]
      const first = yield* slow.read(0 as Position, undefined)
      const gate = yield* Latch.make(false)
      const rest = yield* Effect.forkChild(
        Effect.andThen(gate.await, Effect.suspend(() => readAll(slow, undefined, first.position)))
      )
      assert.deepStrictEqual(yield* readAll(fast), all(60_000))
      yield* gate.open
      const positions = [...first.events.map(({ position }) => position as number), ...yield* Fiber.join(rest)]
      assert.deepStrictEqual(positions, all(60_000))
    })))

  it.effect("what ends at a position is cut there, whatever the others read", () =>
    run(Effect.gen(function*() {
      yield* grow(1_000)
      const { feed } = yield* open()
      const [short, long] = [join(feed), join(feed)]
      const found = yield* Effect.all([readAll(short, 333), readAll(long)], { concurrency: "unbounded" })
      assert.deepStrictEqual(found, [all(333), all(1_000)])
    })))

  it.effect("a reader that is interrupted does not take the page from those who wait for it", () =>
    run(Effect.gen(function*() {
      yield* grow(200)
      const store = yield* EventStore
      const gate = yield* Latch.make(false)
      const held = {
        ...store,
        readPage: (options: ReadPageOptions) => Effect.andThen(gate.await, store.readPage(options))
      }
      const feed = yield* makeFeed(held, 2 ** 30)
      const seats = [join(feed), join(feed)] as const
      // both are known to be at the start
      const warm = seats.map((seat) =>
        Effect.forkChild(seat.read(0 as Position, undefined), { startImmediately: true })
      )
      const [first, second] = yield* Effect.all(warm)
      yield* Fiber.interrupt(first!)
      yield* gate.open
      assert.isAbove((yield* Fiber.join(second!)).events.length, 0)
    })))

  it.effect("a position that the log has not reached is an error of every one who is there", () =>
    run(Effect.gen(function*() {
      yield* grow(100)
      const { feed } = yield* open()
      const seats = [join(feed), join(feed)]
      const errors = yield* Effect.forEach(
        seats,
        (seat) => Effect.flip(seat.read(1_000_000 as Position, undefined)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(errors.map(({ _tag }) => _tag), ["PositionAheadOfLog", "PositionAheadOfLog"])
    })))
})

describe("limit", () => {
  const sizes = (maxBytes: number, average: number) => {
    const limit = makeLimit(maxBytes)
    return indexes(5).map(() => {
      const size = limit.current()
      limit.learn(size, average)
      return size
    })
  }

  it("pages of small events grow to the most events allowed", () => {
    assert.deepStrictEqual(sizes(2 ** 30, 300), [32, 128, 512, 1_000, 1_000])
  })

  it("pages of large events hold about as many bytes as allowed, and one event at least", () => {
    assert.deepStrictEqual(sizes(103_000, 10_256), [32, 10, 10, 10, 10])
    assert.deepStrictEqual(sizes(1_000, 10_256), [32, 1, 1, 1, 1])
  })

  it("a page without events says nothing about their size", () => {
    const limit = makeLimit(1_000)
    limit.learn(0, 0)
    assert.strictEqual(limit.current(), 32)
  })
})
