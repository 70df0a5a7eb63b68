/**
 * Streams as things of their own: described, listed, truncated, ended.
 */
import { assert } from "@effect/vitest"
import { Effect, Option } from "effect"
import { EventStore, type ListStreamsOptions, type StreamDescription } from "../../src/store/EventStore.ts"
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
  revisionsOf,
  someCategory,
  someName,
  someStream,
  type StoreTests,
  unique,
  writingNothing
} from "./fixtures.ts"

const describeStream = (streamId: string) => EventStore.use((store) => store.describeStream(streamId))

const namesOf = (streams: ReadonlyArray<StreamDescription>): ReadonlyArray<string> =>
  streams.map((stream) => stream.streamId)

/** Follows the cursors to the last page. */
const listAll = (options: ListStreamsOptions) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const streams: Array<StreamDescription> = []
    let cursor: string | undefined
    do {
      const page = yield* store.listStreams({ ...options, cursor })
      assert.isAtMost(page.streams.length, options.limit ?? 100)
      streams.push(...page.streams)
      cursor = page.next
    } while (cursor !== undefined)
    return streams
  })

export const streamTests = (it: StoreTests): void => {
  it.effect("describeStream says where a stream begins and ends", () =>
    Effect.gen(function*() {
      const streamId = someStream("order-eu")
      assert.deepStrictEqual(yield* describeStream(streamId), Option.none())
      const first = yield* append(streamId, "noStream", proposedMany(2))
      yield* append(someStream(), "any", proposedMany(1))
      const last = yield* append(streamId, 1, proposedMany(1))
      const events = yield* readStream(streamId)

      assert.deepStrictEqual(
        yield* describeStream(streamId),
        Option.some({
          streamId: first.streamId,
          category: "order",
          revision: last.revision,
          firstPosition: first.firstPosition,
          lastPosition: last.position,
          firstRecordedAt: events[0]!.recordedAt,
          lastRecordedAt: events[2]!.recordedAt,
          truncateBefore: 0,
          isTombstoned: false,
          metadata: {}
        })
      )
      const bare = someCategory()
      yield* append(bare, "noStream", proposedMany(1))
      assert.strictEqual(Option.getOrThrow(yield* describeStream(bare)).category, bare)
      yield* assertInvalid(describeStream("$x"), "InvalidIdentifier", "streamId")
    }))

  it.effect("findEvent finds an event by any notation of its id, wherever it stands", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      const event = proposed()
      yield* append(streamId, "noStream", [proposed(), event])
      yield* store.truncateBefore(streamId, 2)
      const [found] = yield* readAll({ filter: { streamIds: [streamId] }, direction: "backwards", limit: 1 })
      for (const id of [event.id!, event.id!.toUpperCase(), `{${event.id}}`]) {
        assert.deepStrictEqual(yield* store.findEvent(id), Option.some(found!))
      }
      yield* store.tombstone(streamId)
      assert.deepStrictEqual(yield* store.findEvent(event.id!), Option.some(found!))
      assert.deepStrictEqual(yield* store.findEvent(crypto.randomUUID()), Option.none())
      yield* assertInvalid(store.findEvent("42"), "InvalidIdentifier", "id")
    }))

  it.effect("S4 truncateBefore hides the beginning of a stream, and revisions go on from where they were", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      const { firstPosition } = yield* append(streamId, "noStream", proposedMany(5))
      const log = yield* readAll({ after: firstPosition - 1 })
      assert.strictEqual((yield* store.truncateBefore(streamId, 3)).truncateBefore, 3)

      assert.deepStrictEqual(revisionsOf(yield* readStream(streamId)), [3, 4])
      assert.deepStrictEqual(revisionsOf(yield* readStream(streamId, { from: 1 })), [3, 4])
      assert.deepStrictEqual(revisionsOf(yield* readStream(streamId, { from: 4 })), [4])
      assert.deepStrictEqual(revisionsOf(yield* readStream(streamId, { limit: 1 })), [3])
      assert.deepStrictEqual(revisionsOf(yield* readStream(streamId, { direction: "backwards" })), [4, 3])
      assert.deepStrictEqual(yield* readStream(streamId, { direction: "backwards", from: 2 }), [])
      assert.deepStrictEqual(yield* readAll({ after: firstPosition - 1 }), log)
      assert.strictEqual((yield* append(streamId, 4, proposedMany(1))).revision, 5)
      assert.deepStrictEqual(revisionsOf(yield* readStream(streamId)), [3, 4, 5])
    }))

  it.effect("truncateBefore only moves forward, and at most one past the last revision", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      yield* append(streamId, "noStream", proposedMany(4))
      yield* store.truncateBefore(streamId, 3)
      assert.strictEqual((yield* store.truncateBefore(streamId, 1)).truncateBefore, 3)
      yield* assertFailure(store.truncateBefore(streamId, 5), {
        _tag: "RevisionConflict",
        streamId,
        expected: 4,
        actual: 3
      })
      assert.strictEqual((yield* store.truncateBefore(streamId, 4)).truncateBefore, 4)
      assert.deepStrictEqual(yield* readStream(streamId), [])
      assert.deepStrictEqual(yield* readStream(streamId, { direction: "backwards" }), [])
      assert.strictEqual((yield* append(streamId, 3, proposedMany(1))).revision, 4)
      assert.deepStrictEqual(revisionsOf(yield* readStream(streamId)), [4])
    }))

  it.effect("S4 a stream truncated in the middle of many pages is read from there, both ways", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      yield* append(streamId, "noStream", proposedMany(2_500))
      yield* store.truncateBefore(streamId, 500)
      const expected = indexes(2_000).map((index) => 500 + index)
      assert.deepStrictEqual(revisionsOf(yield* readStream(streamId)), expected)
      assert.deepStrictEqual(
        revisionsOf(yield* readStream(streamId, { direction: "backwards" })),
        expected.toReversed()
      )
    }))

  it.effect("S4 a tombstone ends a stream for good: no append, no read by name, no revision used again", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      const failure = { _tag: "StreamTombstoned", streamId }
      const { firstPosition } = yield* append(streamId, "noStream", proposedMany(3))
      const log = yield* readAll({ after: firstPosition - 1 })
      const ended = yield* store.tombstone(streamId)

      assert.deepStrictEqual([ended.isTombstoned, ended.revision as number], [true, 2])
      for (const expected of ["any", "noStream", "streamExists", 0, 2] as const) {
        yield* assertFailure(writingNothing(append(streamId, expected, proposedMany(1))), failure)
      }
      yield* assertFailure(readStream(streamId), failure)
      yield* assertFailure(readStream(streamId, { direction: "backwards", limit: 1 }), failure)
      yield* assertFailure(store.setStreamMetadata(streamId, {}), failure)
      yield* assertFailure(store.truncateBefore(streamId, 1), failure)
      assert.deepStrictEqual(yield* describeStream(streamId), Option.some(ended))
      assert.deepStrictEqual(yield* readAll({ after: firstPosition - 1 }), log)
      assert.deepStrictEqual(yield* readAll({ filter: { streamIds: [streamId] } }), log)
    }))

  it.effect("tombstone checks its claim, and does nothing to a stream that is tombstoned", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [streamId, absent] = [someStream(), someStream()]
      yield* append(streamId, "noStream", proposedMany(2))
      for (const expected of ["noStream", 0, 2] as const) {
        yield* assertFailure(store.tombstone(streamId, { expected }), {
          _tag: "RevisionConflict",
          streamId,
          expected,
          actual: 1
        })
      }
      for (const expected of [undefined, "any", "noStream", "streamExists", 0] as const) {
        yield* assertFailure(store.tombstone(absent, { expected }), {
          _tag: "RevisionConflict",
          streamId: absent,
          expected: expected ?? "streamExists",
          actual: undefined
        })
      }
      assert.strictEqual((yield* readStream(streamId)).length, 2)
      const ended = yield* store.tombstone(streamId, { expected: 1 })
      for (const expected of [undefined, "any", "noStream", 0, 1] as const) {
        assert.deepStrictEqual(yield* store.tombstone(streamId, { expected }), ended)
      }
      yield* assertInvalid(store.tombstone(streamId, { expected: -1 }), "InvalidRevision", "expected")
      yield* assertInvalid(store.tombstone("$x"), "InvalidIdentifier", "streamId")
    }))

  it.effect("setStreamMetadata replaces the metadata of a stream that has events", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      const absent = { _tag: "RevisionConflict", streamId, expected: "streamExists", actual: undefined }
      yield* assertFailure(store.setStreamMetadata(streamId, { a: 1 }), absent)
      yield* assertFailure(store.truncateBefore(streamId, 0), absent)
      yield* append(streamId, "noStream", proposedMany(1))

      const first = { owner: "Ada", limits: { days: 30 }, "": null, ["__proto__x"]: [1, 2.5, "é🦊"] }
      assert.deepStrictEqual((yield* writingNothing(store.setStreamMetadata(streamId, first))).metadata, first)
      assert.deepStrictEqual(Option.getOrThrow(yield* describeStream(streamId)).metadata, first)
      yield* store.setStreamMetadata(streamId, { owner: "Bob" })
      yield* append(streamId, 0, proposedMany(1))
      assert.deepStrictEqual(Option.getOrThrow(yield* describeStream(streamId)).metadata, { owner: "Bob" })

      yield* assertInvalid(store.setStreamMetadata(streamId, [] as never), "NotJson", "metadata")
      yield* assertInvalid(store.setStreamMetadata(streamId, { at: new Date() }), "NotJson", "metadata.at")
      yield* assertInvalid(store.setStreamMetadata(streamId, { a: "\ud800" }), "IllFormedUnicode", "metadata.a")
      assert.deepStrictEqual(Option.getOrThrow(yield* describeStream(streamId)).metadata, { owner: "Bob" })
    }))

  it.effect("listStreams lists by name, creation, last event and length, up and down, page by page", () =>
    Effect.gen(function*() {
      const category = someCategory()
      const names = ["m", "a", "Z", "z", "é", "\uffee", "🦊", "10", "9", ""].map((name) => `${category}-${name}`)
      for (const streamId of names) yield* append(streamId, "noStream", proposedMany(1))
      yield* append(names[3]!, "any", proposedMany(3))
      yield* append(names[1]!, "any", proposedMany(3))
      yield* append(names[7]!, "any", proposedMany(1))
      yield* append(someStream(), "any", proposedMany(1))

      const byName = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      const orders = {
        name: byName,
        created: names,
        updated: [...names.filter((_, index) => ![1, 3, 7].includes(index)), names[3]!, names[1]!, names[7]!],
        events: [
          ...byName.filter((name) => ![names[1], names[3], names[7]].includes(name)),
          names[7]!,
          ...byName.filter((name) => name === names[1] || name === names[3])
        ]
      }
      for (const sort of ["name", "created", "updated", "events"] as const) {
        for (const limit of [1, 3, 9, 10, 11, undefined]) {
          const upwards = yield* listAll({ category, sort, limit })
          assert.deepStrictEqual(namesOf(upwards), orders[sort], `${sort} by ${limit}`)
          assert.deepStrictEqual(yield* listAll({ category, sort, limit, descending: true }), upwards.toReversed())
        }
      }
      assert.deepStrictEqual(namesOf(yield* listAll({ category })), byName)
      for (const stream of yield* listAll({ category })) {
        assert.deepStrictEqual(yield* describeStream(stream.streamId), Option.some(stream))
      }
    }))

  it.effect("listStreams puts a stream at its new place after every append", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const category = someCategory()
      const [one, two, three] = [`${category}-1`, `${category}-2`, `${category}-3`]
      const order = (sort: "updated" | "events") =>
        Effect.map(store.listStreams({ category, sort }), ({ streams }) => namesOf(streams))
      for (const streamId of [one, two, three]) yield* append(streamId, "noStream", proposedMany(1))
      assert.deepStrictEqual(yield* order("updated"), [one, two, three])
      assert.deepStrictEqual(yield* order("events"), [one, two, three])
      yield* append(one, 0, proposedMany(2))
      assert.deepStrictEqual(yield* order("updated"), [two, three, one])
      assert.deepStrictEqual(yield* order("events"), [two, three, one])
      yield* append(two, 0, proposedMany(1))
      assert.deepStrictEqual(yield* order("updated"), [three, one, two])
      assert.deepStrictEqual(yield* order("events"), [three, two, one])
    }))

  it.effect("listStreams narrows by prefix, in which no character has a meaning of its own, and by category", () =>
    Effect.gen(function*() {
      const category = someCategory()
      const rests = ["a%b", "a_b", "axb", "a\\b", "a*b", "A%b", "a%", "a", "é", "e\u0301"]
      for (const rest of rests) yield* append(`${category}-${rest}`, "noStream", proposedMany(1))
      yield* append(`${category}x-1`, "noStream", proposedMany(1))
      yield* append(category, "noStream", proposedMany(1))
      const list = (options: ListStreamsOptions) =>
        Effect.map(listAll(options), (streams) => namesOf(streams).map((name) => name.slice(category.length)))

      assert.deepStrictEqual(yield* list({ prefix: `${category}-a%` }), ["-a%", "-a%b"])
      assert.deepStrictEqual(yield* list({ prefix: `${category}-a_` }), ["-a_b"])
      assert.deepStrictEqual(yield* list({ prefix: `${category}-a\\` }), ["-a\\b"])
      assert.deepStrictEqual(yield* list({ prefix: `${category}-A` }), ["-A%b"])
      assert.deepStrictEqual(yield* list({ prefix: `${category}-é` }), ["-é"])
      assert.deepStrictEqual(yield* list({ prefix: `${category}-e` }), ["-e\u0301"])
      assert.deepStrictEqual(yield* list({ prefix: `${category}-a`, limit: 2 }), [
        "-a",
        "-a%",
        "-a%b",
        "-a*b",
        "-a\\b",
        "-a_b",
        "-axb"
      ])
      assert.deepStrictEqual((yield* list({ prefix: category })).length, rests.length + 2)
      assert.deepStrictEqual((yield* list({ category })).length, rests.length + 1)
      assert.deepStrictEqual(yield* list({ category, prefix: `${category}x` }), [])
      assert.deepStrictEqual(yield* list({ category: `${category}x` }), ["x-1"])
    }))

  it.effect("listStreams shows tombstoned and truncated streams as they are", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const category = someCategory()
      const [ended, truncated] = [`${category}-1`, `${category}-2`]
      yield* append(ended, "noStream", proposedMany(1))
      yield* append(truncated, "noStream", proposedMany(2))
      yield* store.tombstone(ended)
      yield* store.truncateBefore(truncated, 1)
      const { next, streams } = yield* store.listStreams({ category })
      assert.deepStrictEqual(
        streams.map((stream) => [stream.streamId as string, stream.isTombstoned, stream.truncateBefore]),
        [[ended, true, 0], [truncated, false, 1]]
      )
      assert.isUndefined(next)
    }))

  it.effect("listStreams refuses a cursor of its own making or of other options", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const category = someCategory()
      for (const rest of ["1", "2", "3"]) yield* append(`${category}-${rest}`, "noStream", proposedMany(1))
      const { next } = yield* store.listStreams({ category, limit: 1 })
      assert.isString(next)

      for (const cursor of ["", "x", "!!!", next!.slice(0, -3), "e30", "bnVsbA", `${next}A`]) {
        yield* assertInvalid(store.listStreams({ category, limit: 1, cursor }), "InvalidCursor", "cursor")
      }
      const others: ReadonlyArray<ListStreamsOptions> = [
        {},
        { category: someCategory() },
        { category, prefix: "a" },
        { category, sort: "created" },
        { category, descending: true }
      ]
      for (const options of others) {
        yield* assertInvalid(store.listStreams({ ...options, cursor: next }), "InvalidCursor", "cursor")
      }
      assert.strictEqual((yield* store.listStreams({ category, limit: 7, cursor: next })).streams.length, 2)
    }))

  it.effect("listStreams refuses a limit, a prefix, a category or an order that cannot be", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      for (const limit of [0, -1, 1.5, NaN, 10_001]) {
        yield* assertInvalid(store.listStreams({ limit }), "InvalidLimit", "limit")
      }
      yield* assertInvalid(store.listStreams({ prefix: "" }), "InvalidIdentifier", "prefix")
      yield* assertInvalid(store.listStreams({ prefix: "a\n" }), "InvalidIdentifier", "prefix")
      yield* assertInvalid(store.listStreams({ category: "a-b" }), "InvalidIdentifier", "category")
      yield* assertInvalid(store.listStreams({ sort: "size" as never }), "InvalidQuery", "sort")
    }))

  it.effect("head and statistics count what is in the store", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      yield* append(someStream(), "any", proposedMany(1))
      const [headBefore, before] = [yield* store.head, yield* store.statistics]
      const suffix = unique()
      const types = [`B${suffix}`, `A${suffix}`, `C${suffix}`] as const
      yield* append(someStream(), "any", [...indexes(2), ...indexes(3)].map((index) => proposed(types[index])))
      yield* append(someStream(), "any", [proposed(types[2]), proposed(types[2])])
      const [headAfter, after] = [yield* store.head, yield* store.statistics]

      assert.deepStrictEqual(
        headAfter,
        { position: headBefore.position + 7, incarnation: headBefore.incarnation } as never
      )
      assert.match(headAfter.incarnation, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      assert.deepStrictEqual(
        [after.events - before.events, after.streams - before.streams],
        [7, 2]
      )
      assert.deepStrictEqual([after.firstPosition as number, after.lastPosition as number], [1, headAfter.position])
      assert.strictEqual(after.events, headAfter.position)
      assert.isAtLeast(after.bytes, before.bytes)
      assert.isAbove(after.bytes, 0)
      assert.deepStrictEqual(Object.entries(after.types).filter(([type]) => type.endsWith(suffix)), [
        [types[2], 3],
        [types[1], 2],
        [types[0], 2]
      ])
      const counts = Object.values(after.types)
      assert.deepStrictEqual(counts, counts.toSorted((a, b) => b - a))
      assert.strictEqual(counts.reduce((sum, count) => sum + count, 0), after.events)
    }))

  it.effect("G6 changes of streams take no position in the log", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      const before = yield* head
      yield* append(streamId, "noStream", [proposed(someName())])
      yield* store.setStreamMetadata(streamId, { a: 1 })
      yield* store.truncateBefore(streamId, 1)
      yield* store.tombstone(streamId)
      yield* append(someStream(), "any", proposedMany(1))
      assert.deepStrictEqual(positionsOf(yield* readAll({ after: before })), [before + 1, before + 2])
    }))
}
