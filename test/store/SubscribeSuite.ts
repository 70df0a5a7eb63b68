/**
 * Following the log.
 */
import { assert } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { EventStore, type SubscribeOptions } from "../../src/store/EventStore.ts"
import {
  append,
  assertFailure,
  assertInvalid,
  head,
  idsOf,
  indexes,
  positionsOf,
  proposed,
  proposedMany,
  readAll,
  someName,
  someStream,
  type StoreTests
} from "./fixtures.ts"

/** Follows until as many events came. */
const follow = (count: number, options?: SubscribeOptions) =>
  EventStore.use((store) => store.subscribe(options).pipe(Stream.take(count), Stream.runCollect))

export const subscribeTests = (it: StoreTests): void => {
  it.effect("P1 subscribe delivers what is there, then what comes, each event once and in order", () =>
    Effect.gen(function*() {
      const before = yield* head
      yield* append(someStream(), "any", proposedMany(5))
      const follower = yield* Effect.forkChild(follow(12, { after: before }), { startImmediately: true })
      for (const size of [1, 2, 4]) yield* append(someStream(), "any", proposedMany(size))

      assert.deepStrictEqual(positionsOf(yield* Fiber.join(follower)), indexes(12).map((index) => before + 1 + index))
    }))

  it.effect("P1 subscribe from the start delivers the whole log", () =>
    Effect.gen(function*() {
      yield* append(someStream(), "any", proposedMany(3))
      const all = yield* readAll()
      assert.deepStrictEqual(yield* follow(all.length), all)
      assert.deepStrictEqual(yield* follow(all.length, { after: 0 }), all)
    }))

  it.effect("P1 subscribe waits at the end of the log, for as long as it takes, and delivers each append", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const before = yield* head
      const seen: Array<number> = []
      const follower = yield* store.subscribe({ after: before }).pipe(
        Stream.take(20),
        Stream.runForEach((event) => Effect.sync(() => seen.push(event.position))),
        Effect.forkChild({ startImmediately: true })
      )
      for (const index of indexes(20)) {
        assert.isAtMost(seen.length, index)
        yield* append(someStream(), "any", proposedMany(1))
        yield* Effect.repeat(Effect.yieldNow, { until: () => seen.length > index })
      }
      yield* Fiber.join(follower)
      assert.deepStrictEqual(seen, indexes(20).map((index) => before + 1 + index))
    }))

  it.effect("P1 subscribe delivers what came while its consumer was busy, though nothing comes any more", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const before = yield* head
      const release = yield* Deferred.make<void>()
      const seen: Array<number> = []
      const follower = yield* store.subscribe({ after: before }).pipe(
        Stream.take(15),
        Stream.runForEach((event) =>
          Effect.suspend(() => {
            seen.push(event.position)
            return Deferred.await(release)
          })
        ),
        Effect.forkChild({ startImmediately: true })
      )
      for (const count of indexes(15)) {
        yield* append(someStream(), "any", proposedMany(1))
        yield* Effect.forEach(indexes(count), () => Effect.yieldNow)
      }
      yield* Effect.repeat(Effect.yieldNow, { until: () => seen.length > 0 })
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(follower)
      assert.deepStrictEqual(seen, indexes(15).map((index) => before + 1 + index))
    }))

  it.effect("P1 subscribe from the head delivers new events only, without a gap", () =>
    Effect.gen(function*() {
      yield* append(someStream(), "any", proposedMany(3))
      const before = yield* head
      const follower = yield* Effect.forkChild(follow(5, { after: "head" }), { startImmediately: true })
      while (follower.pollUnsafe() === undefined) yield* append(someStream(), "any", proposedMany(1))

      const positions = positionsOf(yield* Fiber.join(follower))
      assert.isAbove(positions[0]!, before)
      assert.deepStrictEqual(positions, indexes(5).map((index) => positions[0]! + index))
    }))

  it.effect("P1 subscribe with a filter delivers what matches and passes over what does not", () =>
    Effect.gen(function*() {
      const before = yield* head
      const [tag, type] = [someName("tag"), someName("type")]
      const filters = [{ tags: [tag] }, { types: [type] }, { query: [{ tags: [tag], types: [type] }] }] as const
      const followers = yield* Effect.forEach(
        filters,
        (filter) => Effect.forkChild(follow(30, { after: before, filter }), { startImmediately: true })
      )
      const matching: Array<string | undefined> = []
      for (const index of indexes(30)) {
        yield* append(someStream(), "any", proposedMany(index % 4))
          .pipe(Effect.catchTag("InvalidInput", () => Effect.void))
        const event = proposed(type, { tags: [tag] })
        matching.push(event.id)
        yield* append(someStream(), "any", [proposed(), event, proposed()])
      }
      for (const follower of followers) assert.deepStrictEqual(idsOf(yield* Fiber.join(follower)), matching)
    }))

  it.effect("P1 subscribe catches up over many pages and then follows", () =>
    Effect.gen(function*() {
      const before = yield* head
      yield* append(someStream(), "any", proposedMany(2_300))
      const follower = yield* Effect.forkChild(follow(2_310, { after: before }), { startImmediately: true })
      for (let round = 0; round < 10; round++) yield* append(someStream(), "any", proposedMany(1))
      assert.deepStrictEqual(
        positionsOf(yield* Fiber.join(follower)),
        indexes(2_310).map((index) => before + 1 + index)
      )
    }))

  it.effect("P1 subscribe resumed after each event it delivered neither skips nor repeats", () =>
    Effect.gen(function*() {
      const before = yield* head
      yield* append(someStream(), "any", proposedMany(30))
      const seen: Array<number> = []
      while (seen.length < 30) {
        const events = yield* follow(Math.min(7, 30 - seen.length), { after: seen.at(-1) ?? before })
        seen.push(...positionsOf(events))
      }
      assert.deepStrictEqual(seen, indexes(30).map((index) => before + 1 + index))
    }))

  it.effect("subscribe ends when its consumer does, and leaves the store as it was", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const before = yield* head
      const followers = yield* Effect.forEach(indexes(20), () =>
        Effect.forkChild(Stream.runDrain(store.subscribe({ after: before })), { startImmediately: true }))
      yield* append(someStream(), "any", proposedMany(1))
      yield* Effect.forEach(followers, Fiber.interrupt)
      yield* append(someStream(), "any", proposedMany(1))
      assert.strictEqual(yield* head, before + 2)
      assert.deepStrictEqual(positionsOf(yield* follow(2, { after: before })), [before + 1, before + 2])
    }))

  it.effect("subscribe refuses a position that cannot be, or that the log has not reached", () =>
    Effect.gen(function*() {
      const end = yield* head
      yield* assertInvalid(follow(1, { after: -1 }), "InvalidPosition", "after")
      yield* assertInvalid(follow(1, { after: 0.5 }), "InvalidPosition", "after")
      yield* assertInvalid(follow(1, { filter: { tags: [] } }), "InvalidQuery", "filter.tags")
      yield* assertFailure(follow(1, { after: end + 5 }), { _tag: "PositionAheadOfLog", position: end + 5, head: end })
    }))
}
