/**
 * Reads of one stream.
 */
import { assert } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { EventStore, type ReadStreamOptions } from "../../src/store/EventStore.ts"
import { makeRandom } from "../checker/random.ts"
import {
  append,
  assertInvalid,
  indexes,
  oneOf,
  proposed,
  proposedMany,
  readAll,
  readStream,
  revisionsOf,
  someStream,
  type StoreTests
} from "./fixtures.ts"

export const readStreamTests = (it: StoreTests): void => {
  /** Options, and the revisions that they read of a stream of five. */
  const cases: ReadonlyArray<readonly [ReadStreamOptions, ReadonlyArray<number>]> = [
    [{}, [0, 1, 2, 3, 4]],
    [{ from: 0 }, [0, 1, 2, 3, 4]],
    [{ from: 3 }, [3, 4]],
    [{ from: 4 }, [4]],
    [{ from: 5 }, []],
    [{ from: 2_147_483_647 }, []],
    [{ limit: 2 }, [0, 1]],
    [{ from: 1, limit: 3 }, [1, 2, 3]],
    [{ limit: 5 }, [0, 1, 2, 3, 4]],
    [{ limit: 6 }, [0, 1, 2, 3, 4]],
    [{ direction: "backwards" }, [4, 3, 2, 1, 0]],
    [{ direction: "backwards", from: 2 }, [2, 1, 0]],
    [{ direction: "backwards", from: 0 }, [0]],
    [{ direction: "backwards", from: 99 }, [4, 3, 2, 1, 0]],
    [{ direction: "backwards", limit: 2 }, [4, 3]],
    [{ direction: "backwards", from: 3, limit: 2 }, [3, 2]],
    [{ direction: "backwards", from: 1, limit: 9 }, [1, 0]]
  ]
  it.effect("readStream starts at its revision (inclusive), goes its direction, and ends at its limit", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      for (const revision of indexes(5)) {
        yield* append(streamId, revision === 0 ? "noStream" : revision - 1, proposedMany(1))
        yield* append(someStream(), "any", proposedMany(1))
      }
      for (const [options, revisions] of cases) {
        const events = yield* readStream(streamId, options)
        assert.deepStrictEqual(revisionsOf(events), revisions, JSON.stringify(options))
        assert.isTrue(events.every((event) => event.streamId === streamId))
      }
    }))

  it.effect("a stream without events is empty, in both directions", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      assert.deepStrictEqual(yield* readStream(streamId), [])
      assert.deepStrictEqual(yield* readStream(streamId, { direction: "backwards" }), [])
      assert.deepStrictEqual(yield* readStream(streamId, { from: 7, limit: 1 }), [])
    }))

  it.effect("S5 a stream of many pages is read whole and in order of the log, both ways", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      yield* append(streamId, "noStream", proposedMany(1_000))
      assert.deepStrictEqual(revisionsOf(yield* readStream(streamId)), indexes(1_000))
      yield* append(someStream(), "noStream", proposedMany(10))
      yield* append(streamId, 999, proposedMany(1_500))

      const forwards = yield* readStream(streamId)
      assert.deepStrictEqual(revisionsOf(forwards), indexes(2_500))
      const positions = forwards.map((event) => event.position)
      assert.deepStrictEqual(positions, positions.toSorted((a, b) => a - b))
      assert.deepStrictEqual(yield* readStream(streamId, { direction: "backwards" }), forwards.toReversed())
      assert.deepStrictEqual(
        (yield* readAll({ after: positions[0]! - 1, filter: { streamIds: [streamId] } })).map((event) => event.id),
        forwards.map((event) => event.id)
      )
      for (const limit of [999, 1_000, 1_001, 2_000, 2_499, 2_500]) {
        assert.deepStrictEqual(revisionsOf(yield* readStream(streamId, { limit })), indexes(limit))
        assert.deepStrictEqual(
          revisionsOf(yield* readStream(streamId, { limit, direction: "backwards" })),
          indexes(limit).map((index) => 2_499 - index)
        )
      }
    }))

  it.effect("readStream stops reading when its consumer has enough", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const streamId = someStream()
      yield* append(streamId, "noStream", proposedMany(1_200))
      const first = yield* store.readStream(streamId).pipe(Stream.take(3), Stream.runCollect)
      assert.deepStrictEqual(revisionsOf(first), [0, 1, 2])
      assert.isTrue(Option.isSome(yield* store.readStream(streamId).pipe(Stream.runHead)))
      assert.strictEqual(yield* store.readStream(streamId).pipe(Stream.runCount), 1_200)
    }))

  it.effect("S2 nobody changes history by changing what was read or what was proposed", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      const data = { lines: [{ qty: 1 }] }
      const metadata = { user: { name: "Ada" } }
      const tags = ["a:1"]
      yield* append(streamId, "noStream", [proposed("A", { data, metadata, tags })])
      const before = yield* readStream(streamId)
      data.lines[0]!.qty = 99
      metadata.user.name = "Eve"
      tags.push("b:2")
      const read = before[0] as unknown as { data: typeof data; metadata: typeof metadata; tags: Array<string> }
      read.data.lines.push({ qty: 7 })
      read.metadata.user.name = "Mallory"
      if (!Object.isFrozen(read.tags)) read.tags.push("c:3")

      const [after] = yield* readStream(streamId)
      assert.deepStrictEqual(after!.data as unknown, { lines: [{ qty: 1 }] })
      assert.deepStrictEqual(after!.metadata as unknown, { user: { name: "Ada" } })
      assert.deepStrictEqual(after!.tags, ["a:1"])
    }))

  it.effect("S2 a prefix that was read once is read again as it was, whatever came after", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      yield* append(streamId, "noStream", proposedMany(5))
      const prefix = yield* readStream(streamId)
      yield* append(streamId, 4, proposedMany(5))
      assert.deepStrictEqual((yield* readStream(streamId)).slice(0, 5), prefix)
      assert.deepStrictEqual(yield* readStream(streamId, { limit: 5 }), prefix)
    }))

  it.effect("S3 an append is seen by every read that starts after its answer", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      for (const revision of indexes(20)) {
        const { position } = yield* append(streamId, "any", proposedMany(1))
        assert.strictEqual((yield* readStream(streamId)).length, revision + 1)
        assert.strictEqual((yield* readStream(streamId, { direction: "backwards", limit: 1 }))[0]!.position, position)
        assert.strictEqual((yield* readAll({ after: position - 1 })).length, 1)
      }
    }))

  it.effect("readStream with random options reads what its definition says", () =>
    Effect.gen(function*() {
      const streamId = someStream()
      yield* append(streamId, "noStream", proposedMany(30))
      const all = yield* readStream(streamId)
      const random = makeRandom(7)
      for (let round = 0; round < 60; round++) {
        const direction = oneOf(random, ["forwards", "backwards"] as const)
        const from = oneOf(random, [undefined, random.int(40)])
        const limit = oneOf(random, [undefined, 1 + random.int(40)])
        const expected = direction === "forwards"
          ? all.filter((event) => event.revision >= (from ?? 0))
          : all.filter((event) => event.revision <= (from ?? Infinity)).toReversed()
        assert.deepStrictEqual(yield* readStream(streamId, { direction, from, limit }), expected.slice(0, limit))
      }
    }))

  it.effect("readStream refuses a name, a revision or a limit that cannot be", () =>
    Effect.gen(function*() {
      yield* assertInvalid(readStream(""), "InvalidIdentifier", "streamId")
      yield* assertInvalid(readStream("$all"), "InvalidIdentifier", "streamId")
      for (const from of [-1, 1.5, NaN, 2 ** 31, "1" as never]) {
        yield* assertInvalid(readStream(someStream(), { from }), "InvalidRevision", "from")
      }
      for (const limit of [0, -1, 1.5, NaN, Infinity, "1" as never]) {
        yield* assertInvalid(readStream(someStream(), { limit }), "InvalidLimit", "limit")
      }
    }))
}
