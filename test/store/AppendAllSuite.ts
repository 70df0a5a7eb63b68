/**
 * Appends to several streams at once.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { EventStore } from "../../src/store/EventStore.ts"
import {
  append,
  assertFailure,
  assertInvalid,
  head,
  indexes,
  positionsOf,
  proposed,
  proposedMany,
  readAll,
  readStream,
  someName,
  someStream,
  type StoreTests,
  writingNothing
} from "./fixtures.ts"

export const appendAllTests = (it: StoreTests): void => {
  it.effect("A5 appendAll writes to all streams, side by side in the order of its writes", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [a, b, c] = [someStream(), someStream(), someStream()]
      yield* append(b, "noStream", proposedMany(2))
      const before = yield* head
      const writes = [
        { streamId: c, expected: "any", events: proposedMany(2) },
        { streamId: a, expected: "noStream", events: proposedMany(1) },
        { streamId: b, expected: 1, events: proposedMany(3) }
      ] as const
      const result = yield* store.appendAll({ writes })

      assert.deepStrictEqual(
        result.writes.map((write) => ({ ...write })),
        [
          { streamId: c, firstRevision: 0, revision: 1, firstPosition: before + 1, position: before + 2 },
          { streamId: a, firstRevision: 0, revision: 0, firstPosition: before + 3, position: before + 3 },
          { streamId: b, firstRevision: 2, revision: 4, firstPosition: before + 4, position: before + 6 }
        ].map((write) => ({ ...write, alreadyAppended: false })) as never
      )
      assert.strictEqual(result.position, before + 6)
      const events = yield* readAll({ after: before })
      assert.deepStrictEqual(
        events.map((event) => event.id),
        writes.flatMap((write) => write.events.map((e) => e.id!)) as never
      )
      assert.strictEqual(new Set(events.map((event) => event.recordedAt.epochMilliseconds)).size, 1)
    }))

  it.effect("A5 one claim that does not hold keeps appendAll from writing to any stream", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [a, b, c] = [someStream(), someStream(), someStream()]
      yield* append(b, "noStream", proposedMany(1))

      yield* assertFailure(
        writingNothing(store.appendAll({
          writes: [
            { streamId: a, expected: "noStream", events: proposedMany(1) },
            { streamId: b, expected: "noStream", events: proposedMany(1) },
            { streamId: c, expected: 5, events: proposedMany(1) }
          ]
        })),
        { _tag: "RevisionConflict", streamId: b, expected: "noStream", actual: 0 }
      )
      assert.deepStrictEqual(yield* readStream(a), [])
      assert.deepStrictEqual(yield* readStream(c), [])
    }))

  it.effect("A4 claims on streams that are not written to are judged too, after those of the writes", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [a, existing, absent] = [someStream(), someStream(), someStream()]
      yield* append(existing, "noStream", proposedMany(3))
      const write = { streamId: a, expected: "any", events: proposedMany(1) } as const

      for (
        const [streamId, expected, actual] of [
          [existing, "noStream", 2],
          [existing, 1, 2],
          [absent, "streamExists", undefined],
          [absent, 0, undefined]
        ] as const
      ) {
        const streamConditions = [{ streamId: someStream(), expected: "noStream" }, { streamId, expected }] as const
        yield* assertFailure(writingNothing(store.appendAll({ writes: [write], streamConditions })), {
          _tag: "RevisionConflict",
          streamId,
          expected,
          actual
        })
      }
      yield* assertFailure(
        store.appendAll({
          writes: [{ ...write, expected: 9 }],
          streamConditions: [{ streamId: existing, expected: 1 }]
        }),
        { _tag: "RevisionConflict", streamId: a, expected: 9, actual: undefined }
      )
      yield* store.appendAll({
        writes: [write],
        streamConditions: [{ streamId: existing, expected: 2 }, { streamId: absent, expected: "noStream" }]
      })
      assert.strictEqual((yield* readStream(a)).length, 1)
      assert.deepStrictEqual(yield* readStream(absent), [])
    }))

  it.effect("a tombstoned stream refuses appendAll as a write, and counts by its last revision as a claim", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [a, ended] = [someStream(), someStream()]
      yield* append(ended, "noStream", proposedMany(2))
      yield* store.tombstone(ended)
      const write = { streamId: a, expected: "any", events: proposedMany(1) } as const

      yield* assertFailure(
        writingNothing(
          store.appendAll({ writes: [write, { streamId: ended, expected: "any", events: proposedMany(1) }] })
        ),
        { _tag: "StreamTombstoned", streamId: ended }
      )
      yield* assertFailure(
        writingNothing(
          store.appendAll({ writes: [write], streamConditions: [{ streamId: ended, expected: "noStream" }] })
        ),
        { _tag: "RevisionConflict", streamId: ended, expected: "noStream", actual: 1 }
      )
      yield* store.appendAll({ writes: [write], streamConditions: [{ streamId: ended, expected: 1 }] })
      assert.strictEqual((yield* readStream(a)).length, 1)
    }))

  it.effect("a condition on the log keeps appendAll from writing to any stream", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const tag = someName("tag")
      const [a, b] = [someStream(), someStream()]
      const { position } = yield* append(someStream(), "any", [proposed("A", { tags: [tag] })])
      const writes = [
        { streamId: a, expected: "noStream", events: [proposed("A", { tags: [tag] })] },
        { streamId: b, expected: "noStream", events: proposedMany(1) }
      ] as const

      yield* assertFailure(
        writingNothing(store.appendAll({ writes, condition: { query: [{ tags: [tag] }], after: position - 1 } })),
        { _tag: "AppendConditionFailed", after: position - 1, position }
      )
      const result = yield* store.appendAll({ writes, condition: { query: [{ tags: [tag] }], after: position } })
      assert.deepStrictEqual(positionsOf(yield* readAll({ after: position })), result.writes.map((w) => w.position))
    }))

  it.effect("appendAll refuses a stream that stands in it twice", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [a, b] = [someStream(), someStream()]
      const write = (streamId: string) => ({ streamId, expected: "any", events: proposedMany(1) } as const)

      yield* assertInvalid(store.appendAll({ writes: [write(a), write(a)] }), "DuplicateStream", "writes[1].streamId")
      yield* assertInvalid(
        store.appendAll({ writes: [write(a)], streamConditions: [{ streamId: a, expected: "any" }] }),
        "DuplicateStream",
        "streamConditions[0].streamId"
      )
      yield* assertInvalid(
        store.appendAll({
          writes: [write(a)],
          streamConditions: [{ streamId: b, expected: "any" }, { streamId: b, expected: "noStream" }]
        }),
        "DuplicateStream",
        "streamConditions[1].streamId"
      )
      yield* assertInvalid(store.appendAll({ writes: [] }), "EmptyBatch", "writes")
    }))

  it.effect("appendAll takes 1,000 streams, written to or claimed, and not one more", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const writes = indexes(500).map(
        () => ({ streamId: someStream(), expected: "any", events: proposedMany(1) } as const)
      )
      const streamConditions = indexes(501).map(() => ({ streamId: someStream(), expected: "noStream" } as const))
      yield* assertInvalid(writingNothing(store.appendAll({ writes, streamConditions })), "BatchTooLarge", "writes")
      const result = yield* store.appendAll({ writes, streamConditions: streamConditions.slice(1) })
      assert.strictEqual(result.writes.length, 500)
    }))

  it.effect("A5 appendAll writes to 1,000 streams at once", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const before = yield* head
      const streamIds = Array.from({ length: 1_000 }, () => someStream("wide"))
      const { position, writes } = yield* store.appendAll({
        writes: streamIds.map((streamId) => ({ streamId, expected: "noStream", events: proposedMany(2) }))
      })
      assert.strictEqual(position, before + 2_000)
      assert.deepStrictEqual(writes.map((write) => write.streamId as string), streamIds)
      assert.deepStrictEqual(
        (yield* readAll({ after: before })).map((event) => event.streamId as string),
        streamIds.flatMap((streamId) => [streamId, streamId])
      )
    }))
}
