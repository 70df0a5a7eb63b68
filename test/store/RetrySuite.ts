/**
 * Appends with ids that were used before.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { ProposedEvent } from "../../src/event/Event.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import {
  append,
  assertFailure,
  proposed,
  proposedMany,
  readStream,
  someName,
  someStream,
  type StoreTests,
  writingNothing
} from "./fixtures.ts"

export const retryTests = (it: StoreTests): void => {
  it.effect("A3 an append retried with the same ids returns the original result, whatever the claim", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      const events = proposedMany(3, (index) => ({ tags: [`n:${index}`], version: index + 1 }))
      const original = yield* append(streamId, "noStream", events)
      yield* append(streamId, "any", proposedMany(2))

      for (const expected of ["noStream", "any", "streamExists", 0, 2, 4, 99] as const) {
        assert.deepStrictEqual(yield* writingNothing(append(streamId, expected, events)), {
          ...original,
          alreadyAppended: true
        })
      }
      assert.strictEqual((yield* readStream(streamId)).length, 5)
    }))

  it.effect("A3 a retry is answered after its condition has ceased to hold, and after its stream has ended", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      const tag = someName("tag")
      const events = [proposed("A", { tags: [tag] })]
      const condition = { query: [{ tags: [tag] }], after: 0 }
      const original = yield* append(streamId, "noStream", events, condition)

      assert.deepStrictEqual(yield* append(streamId, "noStream", events, condition), {
        ...original,
        alreadyAppended: true
      })
      yield* store.tombstone(streamId)
      assert.deepStrictEqual(yield* append(streamId, "noStream", events, condition), {
        ...original,
        alreadyAppended: true
      })
    }))

  it.effect("A3 every notation of an id is the same id", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      const id = crypto.randomUUID()
      yield* append(streamId, "noStream", [proposed("A", { id: id.toUpperCase() })])
      assert.strictEqual((yield* readStream(streamId))[0]!.id, id as never)

      const bare = id.replaceAll("-", "")
      for (const notation of [id, `{${id}}`, `{${id.toUpperCase()}}`, `urn:uuid:${id}`, `URN:UUID:${id}`, bare]) {
        const result = yield* append(streamId, "noStream", [proposed("A", { id: notation })])
        assert.isTrue(result.alreadyAppended, notation)
      }
    }))

  it.effect("A3 a retry may carry other metadata, and its tags in another order", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      const event = proposed("A", { metadata: { attempt: 1 }, tags: ["b", "a", "c"] })
      yield* append(streamId, "noStream", [event])

      const again = { ...event, metadata: { attempt: 2 }, tags: ["c", "a", "a", "b"] }
      assert.isTrue((yield* append(streamId, "noStream", [again])).alreadyAppended)
      assert.deepStrictEqual((yield* readStream(streamId))[0]!.metadata, { attempt: 1 })
    }))

  it.effect("A3 some of the events of an append, side by side, are found where they stand", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      const events = proposedMany(5)
      const original = yield* append(streamId, "noStream", events)

      assert.deepStrictEqual(yield* append(streamId, "noStream", events.slice(1, 4)), {
        streamId: original.streamId,
        firstRevision: 1,
        revision: 3,
        firstPosition: original.firstPosition + 1,
        position: original.firstPosition + 3,
        alreadyAppended: true
      } as never)
    }))

  it.effect("A3 events of two appends that stand side by side are found as one", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      const [first, second] = [proposedMany(2), proposedMany(2)]
      const { firstPosition } = yield* append(streamId, "noStream", first)
      yield* append(someStream(), "noStream", proposedMany(1))
      const { position } = yield* append(streamId, 1, second)

      assert.deepStrictEqual(yield* append(streamId, "noStream", [...first, ...second]), {
        streamId,
        firstRevision: 0,
        revision: 3,
        firstPosition,
        position,
        alreadyAppended: true
      } as never)
    }))

  /** What was recorded is three events; each row says what a later append makes of them, and whose id is at fault. */
  const conflicts: ReadonlyArray<
    readonly [string, (recorded: ReadonlyArray<ProposedEvent>) => ReadonlyArray<ProposedEvent>, number]
  > = [
    ["another type", ([a]) => [{ ...a!, type: "Other" }], 0],
    ["another version", ([a]) => [{ ...a!, version: 2 }], 0],
    ["other data", ([a]) => [{ ...a!, data: { index: 1 } }], 0],
    ["its keys in another order", ([, b]) => [{ ...b!, data: { more: true, index: 1 } }], 1],
    ["another tag", ([a]) => [{ ...a!, tags: ["x"] }], 0],
    ["one tag more", ([, b]) => [{ ...b!, tags: ["t", "u"] }], 1],
    ["no tags", ([, b]) => [{ ...b!, tags: [] }], 1],
    ["its events in another order", ([a, b]) => [b!, a!], 1],
    ["a gap in its events", ([a, , c]) => [a!, c!], 0],
    ["an id that is new after one that is not", ([a]) => [a!, proposed("A")], 0],
    ["an id that is new before one that is not", ([, , c]) => [proposed("A"), c!], 2],
    ["all of its ids and a new one", ([a, b, c]) => [a!, b!, c!, proposed("A")], 0],
    ["one of its events changed in the middle", ([a, b, c]) => [a!, { ...b!, type: "Other" }, c!], 0]
  ]
  for (const [what, change, at] of conflicts) {
    it.effect(`A6 an append with ids of an earlier one but ${what} is refused`, () =>
      Effect.gen(function*() {
        const streamId = someStream()
        const recorded = [
          proposed("A", { data: { index: 0 } }),
          proposed("B", { data: { index: 1, more: true }, tags: ["t"] }),
          proposed("C", { data: { index: 2 } })
        ]
        const { firstPosition } = yield* append(streamId, "noStream", recorded)

        yield* assertFailure(writingNothing(append(streamId, "any", change(recorded))), {
          _tag: "IdempotencyConflict",
          streamId,
          id: recorded[at]!.id,
          position: firstPosition + at
        })
        assert.strictEqual((yield* readStream(streamId)).length, 3)
      }))
  }

  it.effect("A6 an id of one stream is refused in another, new or not", () =>
    Effect.gen(function*() {
      const [streamId, other, existing] = [someStream(), someStream(), someStream()]
      const event = proposed("A")
      const { position } = yield* append(streamId, "noStream", [event])
      yield* append(existing, "noStream", proposedMany(1))

      for (const wrong of [other, existing]) {
        yield* assertFailure(writingNothing(append(wrong, "any", [event])), {
          _tag: "IdempotencyConflict",
          streamId: wrong,
          id: event.id,
          position
        })
      }
      assert.deepStrictEqual(yield* readStream(other), [])
    }))

  it.effect("A3 an appendAll retried returns the original places, whatever the claims on other streams", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [a, b, other] = [someStream(), someStream(), someStream()]
      const options = {
        writes: [
          { streamId: a, expected: "noStream", events: proposedMany(2) },
          { streamId: b, expected: "noStream", events: proposedMany(3) }
        ],
        streamConditions: [{ streamId: other, expected: "noStream" }]
      } as const
      const original = yield* store.appendAll(options)
      assert.isFalse(original.alreadyAppended)
      yield* append(other, "noStream", proposedMany(1))
      yield* append(a, 1, proposedMany(1))

      const again = yield* writingNothing(store.appendAll(options))
      assert.deepStrictEqual(again, {
        writes: [
          { ...original.writes[0], alreadyAppended: true },
          { ...original.writes[1]!, alreadyAppended: true }
        ],
        position: original.position,
        alreadyAppended: true
      })
    }))

  it.effect("A6 an appendAll of which only one write is recorded is refused", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [a, b] = [someStream(), someStream()]
      const events = proposedMany(2)
      const { firstPosition } = yield* append(b, "noStream", events)

      yield* assertFailure(
        writingNothing(store.appendAll({
          writes: [
            { streamId: a, expected: "noStream", events: proposedMany(1) },
            { streamId: b, expected: "any", events }
          ]
        })),
        { _tag: "IdempotencyConflict", streamId: b, id: events[0]!.id, position: firstPosition }
      )
      assert.deepStrictEqual(yield* readStream(a), [])
    }))

  it.effect("A6 an appendAll whose events were recorded in each other's streams is refused", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [a, b] = [someStream(), someStream()]
      const [ofA, ofB] = [proposedMany(1), proposedMany(1)]
      const { writes } = yield* store.appendAll({
        writes: [{ streamId: a, expected: "noStream", events: ofA }, { streamId: b, expected: "noStream", events: ofB }]
      })
      yield* assertFailure(
        writingNothing(store.appendAll({
          writes: [{ streamId: a, expected: "any", events: ofB }, { streamId: b, expected: "any", events: ofA }]
        })),
        { _tag: "IdempotencyConflict", streamId: a, id: ofB[0]!.id, position: writes[1]!.position }
      )
    }))
}
