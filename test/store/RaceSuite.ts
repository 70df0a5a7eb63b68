/**
 * Many at once: writers against writers, readers beside writers, interruptions.
 */
import { assert } from "@effect/vitest"
import { Effect, Fiber, Result, Stream } from "effect"
import type { RecordedEvent } from "../../src/event/Event.ts"
import type { AppendResult } from "../../src/store/EventStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { makeRandom } from "../checker/random.ts"
import {
  append,
  head,
  idsOf,
  indexes,
  positionsOf,
  proposed,
  proposedMany,
  readAll,
  readStream,
  revisionsOf,
  someName,
  someStream,
  type StoreTests
} from "./fixtures.ts"

/** Runs one effect for each of so many writers, all at once. */
const together = <A, E, R>(count: number, run: (writer: number) => Effect.Effect<A, E, R>) =>
  Effect.forEach(indexes(count), run, { concurrency: "unbounded" })

const sorted = (numbers: ReadonlyArray<number>): ReadonlyArray<number> => numbers.toSorted((a, b) => a - b)

export const raceTests = (it: StoreTests): void => {
  it.effect("A4 of 50 writers with the same claim, exactly one wins each revision", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      const winners: Array<AppendResult> = []
      for (const round of indexes(4)) {
        const expected = round === 0 ? "noStream" : round - 1
        const outcomes = yield* together(50, () => Effect.result(append(streamId, expected, proposedMany(1))))
        const won = outcomes.filter(Result.isSuccess)
        assert.strictEqual(won.length, 1)
        winners.push(won[0]!.success)
        for (const lost of outcomes.filter(Result.isFailure)) {
          assert.deepStrictEqual(
            { ...lost.failure } as unknown,
            { _tag: "RevisionConflict", streamId, expected, actual: round }
          )
        }
      }
      assert.deepStrictEqual(winners.map((result) => result.revision as number), [0, 1, 2, 3])
      assert.deepStrictEqual(positionsOf(yield* readStream(streamId)), winners.map((result) => result.position))
    }))

  it.effect("A4 writers who read, decide and try again lose no decision of anybody", () =>
    Effect.gen(function*() {
      const streamId = someStream("counter")
      const increment = Effect.gen(function*() {
        const [last] = yield* readStream(streamId, { direction: "backwards", limit: 1 })
        const count = last === undefined ? 0 : (last.data as { readonly count: number }).count
        yield* append(streamId, last?.revision ?? "noStream", [proposed("Counted", { data: { count: count + 1 } })])
      }).pipe(Effect.eventually)
      yield* together(12, () => increment)

      const events = yield* readStream(streamId)
      assert.deepStrictEqual(
        events.map((event) => event.data as unknown),
        indexes(12).map((index) => ({ count: index + 1 }))
      )
    }))

  it.effect("S1 G4 of 50 writers without a claim all succeed, without gaps in stream and log", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      const before = yield* head
      const results = yield* together(50, (writer) => append(streamId, "any", proposedMany(1 + writer % 3)))
      const count = results.reduce((sum, result) => sum + result.revision - result.firstRevision + 1, 0)

      const events = yield* readStream(streamId)
      assert.deepStrictEqual(revisionsOf(events), indexes(count))
      assert.deepStrictEqual(positionsOf(events), indexes(count).map((index) => before + 1 + index))
      for (const { firstPosition, firstRevision, position, revision } of results) {
        assert.strictEqual(position - firstPosition, revision - firstRevision)
        assert.strictEqual(events[firstRevision]!.position, firstPosition)
      }
    }))

  it.effect("of 50 decisions on one condition, exactly one wins", () =>
    Effect.gen(function*() {
      const tag = someName("seat")
      for (let round = 0; round < 3; round++) {
        const after = yield* head
        const outcomes = yield* together(50, () =>
          Effect.result(append(someStream(), "noStream", [proposed("Taken", { tags: [tag] })], {
            query: [{ types: ["Taken"], tags: [tag] }],
            after
          })))
        const won = outcomes.filter(Result.isSuccess)
        assert.strictEqual(won.length, 1)
        for (const lost of outcomes.filter(Result.isFailure)) {
          assert.deepStrictEqual({ ...lost.failure } as unknown, {
            _tag: "AppendConditionFailed",
            after,
            position: won[0]!.success.position
          })
        }
      }
      assert.strictEqual((yield* readAll({ filter: { tags: [tag] } })).length, 3)
    }))

  it.effect("A3 of 30 concurrent retries of one append one records, and all answer the same places", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      const events = proposedMany(4)
      const results = yield* together(30, () => append(streamId, "noStream", events))
      assert.strictEqual(results.filter((result) => !result.alreadyAppended).length, 1)
      const [first] = results
      for (const result of results) {
        assert.deepStrictEqual({ ...result, alreadyAppended: true }, { ...first!, alreadyAppended: true })
      }
      assert.deepStrictEqual(idsOf(yield* readStream(streamId)), idsOf(events))
    }))

  it.effect("A6 of concurrent appends that use one id for different things, exactly one wins", () =>
    Effect.gen(function*() {
      const event = proposed("A")
      const outcomes = yield* together(
        20,
        (writer) => Effect.result(append(someStream(), "any", [{ ...event, data: { writer } }]))
      )
      assert.strictEqual(outcomes.filter(Result.isSuccess).length, 1)
      for (const lost of outcomes.filter(Result.isFailure)) assert.strictEqual(lost.failure._tag, "IdempotencyConflict")
    }))

  it.effect("A5 appendAlls over crossing streams happen whole or not at all, and none waits for ever", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streams = indexes(6).map(() => someStream())
      const random = makeRandom(3)
      const before = yield* head
      const attempts = indexes(40).map((attempt) => ({
        attempt,
        streamIds: streams.filter(() => random.chance(0.5)).toSorted(() => random.chance(0.5) ? 1 : -1)
      })).filter(({ streamIds }) => streamIds.length > 0)
      const outcomes = yield* Effect.forEach(attempts, ({ attempt, streamIds }) =>
        Effect.result(store.appendAll({
          writes: streamIds.map((streamId) => ({
            streamId,
            expected: attempt % 2 === 0 ? "any" : "noStream",
            events: [proposed("Crossed", { data: { attempt } })]
          }))
        })), { concurrency: "unbounded" })

      const log = yield* readAll({ after: before })
      for (const [index, { attempt, streamIds }] of attempts.entries()) {
        const recorded = log.filter((event) => (event.data as { readonly attempt: number }).attempt === attempt)
        const outcome = outcomes[index]!
        if (Result.isFailure(outcome)) assert.deepStrictEqual(recorded, [])
        else {
          assert.deepStrictEqual(recorded.map((event) => event.streamId as string), streamIds)
          assert.deepStrictEqual(positionsOf(recorded), outcome.success.writes.map((write) => write.position))
          assert.strictEqual(recorded.at(-1)!.position - recorded[0]!.position, streamIds.length - 1)
        }
      }
      for (const streamId of streams) {
        const events = yield* readStream(streamId)
        assert.deepStrictEqual(revisionsOf(events), indexes(events.length))
      }
    }))

  it.effect("G3 an append that began after another was answered stands after it", () =>
    Effect.gen(function*() {
      let answered = 0
      yield* together(10, () =>
        Effect.forEach(indexes(5), () =>
          Effect.suspend(() => {
            const known = answered
            return Effect.map(append(someStream(), "any", proposedMany(1)), ({ position }) => {
              assert.isAbove(position, known)
              answered = Math.max(answered, position)
            })
          })))
    }))

  it.effect("G1 G2 G6 followers beside 200 concurrent appends see everything in order, once, wherever they start", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const before = yield* head
      const tag = someName("tag")
      const streams = indexes(10).map(() => someStream())
      const total = 200 * 2
      const follow = (after: number, count: number, filter?: { readonly tags: ReadonlyArray<string> }) =>
        store.subscribe({ after, filter }).pipe(Stream.take(count), Stream.runCollect)
      const all = yield* Effect.forkChild(follow(before, total), { startImmediately: true })
      const tagged = yield* Effect.forkChild(follow(before, 100, { tags: [tag] }), { startImmediately: true })
      const late: Array<readonly [number, Fiber.Fiber<ReadonlyArray<RecordedEvent>, unknown>]> = []
      yield* together(200, (writer) =>
        Effect.gen(function*() {
          yield* append(streams[writer % 10]!, "any", [
            proposed("A", { data: { writer }, tags: writer % 2 === 0 ? [tag] : [] }),
            proposed("B", { data: { writer } })
          ])
          if (writer % 40 !== 0) return
          const start = yield* head
          late.push([start, yield* Effect.forkDetach(follow(start, before + total - start))])
        }))

      const seen = yield* Fiber.join(all)
      assert.deepStrictEqual(positionsOf(seen), indexes(total).map((index) => before + 1 + index))
      assert.deepStrictEqual(yield* readAll({ after: before }), seen)
      assert.deepStrictEqual(yield* Fiber.join(tagged), seen.filter((event) => event.tags.includes(tag)))
      for (const [start, fiber] of late) {
        assert.deepStrictEqual(yield* Fiber.join(fiber), seen.filter((event) => event.position > start))
      }
    }))

  it.effect("G1 pages that are read beside concurrent appends are never added to afterwards", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const before = yield* head
      const writers = yield* Effect.forkChild(
        together(
          40,
          (writer) => Effect.forEach(indexes(3), () => append(someStream(), "any", proposedMany(1 + writer % 4)))
        )
      )
      const seen: Array<RecordedEvent> = []
      let after: number = before
      while (writers.pollUnsafe() === undefined) {
        const page = yield* store.readPage({ after, limit: 17 })
        seen.push(...page.events)
        after = page.position
        yield* Effect.yieldNow
      }
      yield* Fiber.join(writers)
      seen.push(...yield* readAll({ after }))
      assert.deepStrictEqual(seen, [...yield* readAll({ after: before })])
      assert.deepStrictEqual(positionsOf(seen), indexes(seen.length).map((index) => before + 1 + index))
    }))

  it.effect("an interrupted append is recorded whole or not at all, a retry tells, and the store goes on", () =>
    Effect.gen(function*() {
      const before = yield* head
      const attempts = indexes(40).map(() => ({ streamId: someStream(), events: proposedMany(3) }))
      for (const [index, { events, streamId }] of attempts.entries()) {
        const fiber = yield* Effect.forkChild(append(streamId, "noStream", events), {
          startImmediately: index % 2 === 0
        })
        yield* Effect.forEach(indexes(index % 7), () => Effect.yieldNow)
        yield* Fiber.interrupt(fiber)
      }
      for (const { events, streamId } of attempts) {
        const recorded = yield* readStream(streamId)
        assert.include([0, 3], recorded.length)
        const { alreadyAppended } = yield* append(streamId, "noStream", events)
        if (recorded.length > 0) assert.isTrue(alreadyAppended)
        assert.deepStrictEqual(idsOf(yield* readStream(streamId)), idsOf(events))
      }
      assert.deepStrictEqual(
        sorted(positionsOf(yield* readAll({ after: before }))),
        indexes(120).map((index) => before + 1 + index)
      )
    }))

  it.effect("many appends at once, some of them bad, leave the good ones as they are", () =>
    Effect.gen(function*() {
      const streams = indexes(60).map(() => someStream())
      const outcomes = yield* together(60, (writer) =>
        Effect.result(
          writer % 3 === 0
            ? append(streams[writer]!, 5, proposedMany(2))
            : writer % 3 === 1
            ? append(streams[writer]!, "any", [proposed("A", { data: NaN })])
            : append(streams[writer]!, "noStream", proposedMany(2))
        ))
      assert.deepStrictEqual(
        outcomes.map((outcome) => Result.isFailure(outcome) ? outcome.failure._tag : "ok"),
        indexes(60).map((writer) => ["RevisionConflict", "InvalidInput", "ok"][writer % 3]!) as never
      )
      for (const [writer, streamId] of streams.entries()) {
        assert.strictEqual((yield* readStream(streamId)).length, writer % 3 === 2 ? 2 : 0)
      }
    }))
}
