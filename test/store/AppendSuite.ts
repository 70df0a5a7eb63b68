/**
 * Appends: what they answer, and what they leave in the log.
 */
import { assert } from "@effect/vitest"
import { DateTime, Effect, Option } from "effect"
import type { ExpectedRevision } from "../../src/event/Revision.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import {
  append,
  assertFailure,
  head,
  idsOf,
  positionsOf,
  proposed,
  proposedMany,
  proposedOf,
  readAll,
  readStream,
  revisionsOf,
  someName,
  someStream,
  type StoreTests,
  writingNothing
} from "./fixtures.ts"

export const appendTests = (it: StoreTests): void => {
  it.effect("S1 append gives a new stream the revisions 0, 1, 2, …", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      yield* append(streamId, "noStream", proposedMany(2))
      yield* append(streamId, 1, proposedMany(1))
      yield* append(streamId, "any", proposedMany(3))

      assert.deepStrictEqual(revisionsOf(yield* readStream(streamId)), [0, 1, 2, 3, 4, 5])
    }))

  it.effect("A1 every read returns what an append acknowledged, as it was proposed", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      const event = proposed("Opened", {
        version: 7,
        data: { name: "Ada", cents: 12.5, tags: ["x", null, true], nested: { "": {} } },
        metadata: { correlationId: "c-1", causationId: "c-0", user: { id: 4 } },
        tags: ["b:2", "a:1", "b:2"]
      })
      const result = yield* append(streamId, "noStream", [event])

      const [read] = yield* readStream(streamId)
      assert.isDefined(read)
      assert.deepStrictEqual(proposedOf(read!), { ...event, tags: ["a:1", "b:2"] } as never)
      assert.strictEqual(read!.streamId, result.streamId)
      assert.strictEqual(read!.position, result.position)
      assert.isTrue(DateTime.isUtc(read!.recordedAt))
      assert.deepStrictEqual(yield* readAll({ after: result.position - 1 }), [read!])
      assert.deepStrictEqual(yield* store.findEvent(read!.id), Option.some(read!))
    }))

  it.effect("an event without id, version, metadata and tags gets a UUID, 1, {} and []", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      yield* append(streamId, "noStream", [{ type: "A", data: null }, {
        type: "A",
        data: null,
        metadata: {},
        tags: []
      }])

      const events = yield* readStream(streamId)
      assert.notStrictEqual(events[0]!.id, events[1]!.id)
      for (const event of events) {
        assert.match(event.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        assert.deepStrictEqual({ ...proposedOf(event), id: undefined }, {
          id: undefined,
          type: "A",
          version: 1,
          data: null,
          metadata: {},
          tags: []
        })
      }
    }))

  it.effect("A5 A8 the events of one append stand side by side, and the result says where", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      yield* append(streamId, "noStream", proposedMany(2))
      const before = yield* head
      const result = yield* append(streamId, 1, proposedMany(7))

      assert.deepStrictEqual({ ...result }, {
        streamId,
        firstRevision: 2,
        revision: 8,
        firstPosition: before + 1,
        position: before + 7,
        alreadyAppended: false
      } as never)
      const events = yield* readStream(streamId, { from: 2 })
      assert.deepStrictEqual(revisionsOf(events), [2, 3, 4, 5, 6, 7, 8])
      assert.deepStrictEqual(positionsOf(events), events.map((_, index) => before + 1 + index))
      assert.strictEqual(new Set(events.map((event) => event.recordedAt.epochMilliseconds)).size, 1)
    }))

  it.effect("A5 appends of 1, 8, 9, 100 and 10,000 events are recorded whole and in order", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      let length = 0
      for (const size of [1, 8, 9, 100, 10_000]) {
        const events = proposedMany(size)
        const result = yield* append(streamId, length === 0 ? "noStream" : length - 1, events)
        assert.strictEqual(result.position - result.firstPosition, size - 1)
        assert.deepStrictEqual(idsOf(yield* readStream(streamId, { from: length })), idsOf(events))
        length += size
      }
      const all = yield* readStream(streamId)
      assert.deepStrictEqual(revisionsOf(all), all.map((_, index) => index))
    }))

  /** A claim, the length of the stream, and the last revision that a conflict names. */
  const claims: ReadonlyArray<readonly [ExpectedRevision, number, "holds" | "fails"]> = [
    ["any", 0, "holds"],
    ["any", 3, "holds"],
    ["noStream", 0, "holds"],
    ["noStream", 1, "fails"],
    ["noStream", 3, "fails"],
    ["streamExists", 0, "fails"],
    ["streamExists", 1, "holds"],
    ["streamExists", 3, "holds"],
    [0, 0, "fails"],
    [5, 0, "fails"],
    [0, 1, "holds"],
    [1, 1, "fails"],
    [2, 3, "holds"],
    [1, 3, "fails"],
    [0, 3, "fails"],
    [3, 3, "fails"],
    [2_147_483_647, 3, "fails"]
  ]
  for (const [expected, length, answer] of claims) {
    it.effect(`A4 A2 the claim ${expected} ${answer} on a stream of ${length} events`, () =>
      Effect.gen(function*() {
        const streamId = someStream()
        if (length > 0) yield* append(streamId, "noStream", proposedMany(length))
        if (answer === "holds") {
          assert.strictEqual((yield* append(streamId, expected, proposedMany(1))).revision, length)
        } else {
          yield* assertFailure(writingNothing(append(streamId, expected, proposedMany(1))), {
            _tag: "RevisionConflict",
            streamId,
            expected,
            actual: length === 0 ? undefined : length - 1
          })
        }
        assert.strictEqual((yield* readStream(streamId)).length, answer === "holds" ? length + 1 : length)
      }))
  }

  it.effect("A2 the ids of a refused append are free: the same events can be appended with a true claim", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      const events = proposedMany(3)
      yield* Effect.flip(append(streamId, 4, events))
      for (const { id } of events) assert.deepStrictEqual(yield* store.findEvent(id!), Option.none())

      assert.isFalse((yield* append(streamId, "noStream", events)).alreadyAppended)
    }))

  it.effect("G4 positions have no gap after refused appends", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      const before = yield* head
      for (let round = 0; round < 10; round++) {
        yield* append(streamId, round === 0 ? "noStream" : round - 1, proposedMany(1))
        yield* Effect.flip(append(streamId, "noStream", proposedMany(2)))
        yield* Effect.flip(append(streamId, "any", [proposed("A", { data: undefined })]))
      }
      assert.deepStrictEqual(
        positionsOf(yield* readAll({ after: before })),
        Array.from({ length: 10 }, (_, index) => before + 1 + index)
      )
    }))

  it.effect("recordedAt never runs against position", () =>
    Effect.gen(function*() {
      const before = yield* head
      for (let round = 0; round < 50; round++) yield* append(someStream(), "any", proposedMany(1))
      const times = (yield* readAll({ after: before })).map((event) => event.recordedAt.epochMilliseconds)
      assert.deepStrictEqual(times, times.toSorted((a, b) => a - b))
    }))

  it.effect("A2 a failed append is judged by ids, then tombstones, then claims, then the condition", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      const tag = someName("tag")
      const first = proposed("A", { tags: [tag] })
      const { position } = yield* append(streamId, "noStream", [first])
      const condition = { query: [{ tags: [tag] }], after: 0 }

      yield* assertFailure(append(streamId, 0, proposedMany(1), condition), {
        _tag: "AppendConditionFailed",
        after: 0,
        position
      })
      yield* assertFailure(append(streamId, 7, proposedMany(1), condition), {
        _tag: "RevisionConflict",
        streamId,
        expected: 7,
        actual: 0
      })
      yield* store.tombstone(streamId)
      yield* assertFailure(append(streamId, 7, proposedMany(1), condition), { _tag: "StreamTombstoned", streamId })
      yield* assertFailure(append(streamId, 7, [{ ...first, type: "B" }], condition), {
        _tag: "IdempotencyConflict",
        streamId,
        id: first.id,
        position
      })
      assert.isTrue((yield* append(streamId, 7, [first], condition)).alreadyAppended)
    }))
}
