/**
 * Reads of the log.
 */
import { assert } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import type { ProposedEvent, RecordedEvent } from "../../src/event/Event.ts"
import { type EventFilter, matchesFilter } from "../../src/event/EventQuery.ts"
import { EventStore, type ReadPageOptions } from "../../src/store/EventStore.ts"
import { makeRandom } from "../checker/random.ts"
import {
  append,
  assertFailure,
  assertInvalid,
  head,
  indexes,
  oneOf,
  positionsOf,
  proposed,
  proposedMany,
  readAll,
  someCategory,
  someName,
  someOf,
  someStream,
  type StoreTests,
  unique
} from "./fixtures.ts"

const readPage = (options: ReadPageOptions) => EventStore.use((store) => store.readPage(options))

/** Follows `readPage` to the end: the events, and how far each page has looked. */
const readPages = (options: ReadPageOptions) =>
  Effect.gen(function*() {
    const events: Array<RecordedEvent> = []
    const looked: Array<number> = []
    let after = options.after
    while (true) {
      const page = yield* readPage({ ...options, after })
      events.push(...page.events)
      looked.push(page.position)
      if (page.isEnd) return { events, looked }
      assert.isAbove(page.position, after, "a page that is not the last gets on")
      after = page.position
    }
  })

/** Appends to a stream of its own until the store's clock has moved on; answers the new time. */
const nextMillisecond = Effect.gen(function*() {
  const streamId = someStream("tick")
  let first: number | undefined
  while (true) {
    const { position } = yield* append(streamId, "any", [proposed("Ticked")])
    const [event] = yield* readAll({ after: position - 1, limit: 1 })
    const now = event!.recordedAt.epochMilliseconds
    first ??= now
    if (now > first) return event!.recordedAt
  }
})

export const readLogTests = (it: StoreTests): void => {
  it.effect("G2 G4 readAll reads everything after its position, in order, without gaps", () =>
    Effect.gen(function*() {
      const before = yield* head
      for (const index of indexes(10)) yield* append(someStream(), "any", proposedMany(1 + index % 3))
      const end = yield* head
      const events = yield* readAll({ after: before })
      assert.deepStrictEqual(positionsOf(events), indexes(end - before).map((index) => before + 1 + index))
      assert.deepStrictEqual(yield* readAll({ after: end }), [])
      assert.deepStrictEqual((yield* readAll()).slice(before), events)
    }))

  it.effect("readAll reads downwards from before its position, or from the head", () =>
    Effect.gen(function*() {
      const before = yield* head
      yield* append(someStream(), "any", proposedMany(10))
      const upwards = yield* readAll({ after: before })
      const downwards = (after?: number, limit?: number) => readAll({ direction: "backwards", after, limit })

      assert.deepStrictEqual(yield* downwards(undefined, 10), upwards.toReversed())
      assert.deepStrictEqual(yield* downwards(before + 11, 10), upwards.toReversed())
      assert.deepStrictEqual(positionsOf(yield* downwards(before + 5, 4)), [4, 3, 2, 1].map((place) => before + place))
      assert.deepStrictEqual(positionsOf(yield* downwards(2)), [1])
      assert.deepStrictEqual(yield* downwards(1), [])
      assert.deepStrictEqual(yield* downwards(0), [])
      assert.deepStrictEqual(positionsOf(yield* downwards(before + 1_000_000, 2)), [before + 10, before + 9])
    }))

  it.effect("readAll ends at `until` (inclusive) and after `limit` events", () =>
    Effect.gen(function*() {
      const before = yield* head
      yield* append(someStream(), "any", proposedMany(10))
      const places = (options: { readonly after?: number; readonly until?: number; readonly limit?: number }) =>
        Effect.map(
          readAll({ ...options, after: before + (options.after ?? 0), until: options.until && before + options.until }),
          (events) => positionsOf(events).map((position) => position - before)
        )
      assert.deepStrictEqual(yield* places({ until: 3 }), [1, 2, 3])
      assert.deepStrictEqual(yield* places({ after: 2, until: 3 }), [3])
      assert.deepStrictEqual(yield* places({ after: 3, until: 3 }), [])
      assert.deepStrictEqual(yield* places({ after: 5, until: 3 }), [])
      assert.deepStrictEqual(yield* readPage({ after: before + 5, until: before + 3 }), {
        events: [],
        position: before + 5,
        isEnd: true
      } as never)
      assert.deepStrictEqual(yield* places({ after: 8, until: 99 }), [9, 10])
      assert.deepStrictEqual(yield* places({ limit: 2 }), [1, 2])
      assert.deepStrictEqual(yield* places({ until: 3, limit: 2 }), [1, 2])
      assert.deepStrictEqual(yield* places({ until: 3, limit: 5 }), [1, 2, 3])
    }))

  it.effect("a log of many pages is read whole, both ways, by readAll and by readPage", () =>
    Effect.gen(function*() {
      const before = yield* head
      yield* append(someStream(), "any", proposedMany(2_500))
      const expected = indexes(2_500).map((index) => before + 1 + index)
      const events = yield* readAll({ after: before })
      assert.deepStrictEqual(positionsOf(events), expected)
      assert.deepStrictEqual(yield* readAll({ direction: "backwards", limit: 2_500 }), events.toReversed())
      for (const limit of [1_000, 1_001, 2_000, 2_499]) {
        assert.deepStrictEqual(positionsOf(yield* readAll({ after: before, limit })), expected.slice(0, limit))
      }
      for (const limit of [undefined, 1, 700, 1_250, 2_500, 10_000]) {
        const pages = yield* readPages({ after: limit === 1 ? before + 2_450 : before, limit })
        assert.deepStrictEqual(positionsOf(pages.events), limit === 1 ? expected.slice(2_450) : expected)
        assert.strictEqual(pages.looked.at(-1), before + 2_500)
      }
    }))

  it.effect("each part of a filter narrows a read, both ways", () =>
    Effect.gen(function*() {
      const before = yield* head
      const [type, tag, cat] = [someName("T"), someName("t"), someCategory()]
      const [one, two] = [`${cat}-1`, `${cat}-2`]
      const bare = cat
      const write = (streamId: string, event: Partial<ProposedEvent>) =>
        Effect.map(append(streamId, "any", [proposed("Happened", event)]), (result) => result.position - before)
      const a = yield* write(one, { type })
      const b = yield* write(two, { tags: [tag] })
      const c = yield* write(bare, { type, tags: [tag, `${tag}2`] })
      const d = yield* write(`${cat}x-1`, { type: `${type}2`, tags: [`${tag}2`] })
      const e = yield* write(`x-${cat}-1`, { type, tags: [tag] })

      const filters: ReadonlyArray<readonly [EventFilter, ReadonlyArray<number>]> = [
        [{ streamIds: [one] }, [a]],
        [{ streamIds: [two, one] }, [a, b]],
        [{ streamIds: [someStream()] }, []],
        [{ categories: [cat] }, [a, b, c]],
        [{ categories: [`${cat}x`, cat] }, [a, b, c, d]],
        [{ types: [type] }, [a, c, e]],
        [{ types: [`${type}2`, type] }, [a, c, d, e]],
        [{ tags: [tag] }, [b, c, e]],
        [{ tags: [tag, `${tag}2`] }, [c]],
        [{ query: [{ types: [type] }, { tags: [`${tag}2`] }] }, [a, c, d, e]],
        [{ query: [{ types: [type], tags: [tag] }] }, [c, e]],
        [{ query: [{ types: [type], tags: [tag] }], categories: [cat] }, [c]],
        [{ types: [type], tags: [tag] }, [c, e]],
        [{ categories: [cat], types: [type] }, [a, c]],
        [{ streamIds: [one, bare], tags: [tag] }, [c]],
        [{ streamIds: [one], categories: [`${cat}x`] }, []],
        [{ types: [type], query: [{ types: [`${type}2`] }] }, []]
      ]
      for (const [filter, expected] of filters) {
        const upwards = yield* readAll({ after: before, filter })
        assert.deepStrictEqual(
          positionsOf(upwards).map((position) => position - before),
          expected,
          JSON.stringify(filter)
        )
        assert.deepStrictEqual(yield* readAll({ direction: "backwards", filter }), upwards.toReversed())
        assert.deepStrictEqual((yield* readPages({ after: before, filter, limit: 1 })).events, upwards)
      }
    }))

  it.effect("a filter on time takes from its start (inclusive) to its end (exclusive)", () =>
    Effect.gen(function*() {
      const type = someName("T")
      const mark = Effect.gen(function*() {
        const time = yield* nextMillisecond
        const { position } = yield* append(someStream(), "any", [proposed(type)])
        const [event] = yield* readAll({ after: position - 1, limit: 1 })
        yield* nextMillisecond
        return { time, event: event! }
      })
      const marks = [yield* mark, yield* mark, yield* mark]
      const read = (filter: EventFilter, direction: "forwards" | "backwards" = "forwards") =>
        Effect.map(readAll({ filter: { types: [type], ...filter }, direction }), (events) => events.map((e) => e.id))
      const ids = marks.map(({ event }) => event.id)
      const [, second, third] = marks.map(({ event }) => event.recordedAt)

      assert.deepStrictEqual(yield* read({ recordedFrom: second! }), ids.slice(1))
      assert.deepStrictEqual(yield* read({ recordedBefore: second! }), ids.slice(0, 1))
      assert.deepStrictEqual(yield* read({ recordedFrom: second!, recordedBefore: third! }), ids.slice(1, 2))
      assert.deepStrictEqual(yield* read({ recordedFrom: second!, recordedBefore: second! }), [])
      assert.deepStrictEqual(yield* read({ recordedFrom: DateTime.add(third!, { days: 1 }) }), [])
      assert.deepStrictEqual(yield* read({ recordedBefore: DateTime.makeUnsafe(0) }), [])
      assert.deepStrictEqual(
        yield* read({
          recordedFrom: DateTime.makeUnsafe(0),
          recordedBefore: DateTime.makeUnsafe("9999-12-31T23:59:59Z")
        }),
        ids
      )
      assert.deepStrictEqual(yield* read({ recordedFrom: second! }, "backwards"), ids.slice(1).toReversed())
      assert.deepStrictEqual(yield* read({ recordedBefore: third! }, "backwards"), ids.slice(0, 2).toReversed())
      const page = yield* readPage({ after: 0, filter: { recordedBefore: marks[0]!.time, types: [type] } })
      assert.deepStrictEqual(page.events, [])
    }))

  it.effect("G2 a sparse filter finds every match over many pages, and pages say how far they looked", () =>
    Effect.gen(function*() {
      const before = yield* head
      const [tag, type] = [someName("rare"), someName("Often")]
      yield* append(
        someStream(),
        "any",
        proposedMany(3_500, (index) => ({ type, tags: index % 500 === 42 ? [tag] : [] }))
      )
      const expected = indexes(7).map((index) => before + 1 + index * 500 + 42)
      const filters: ReadonlyArray<EventFilter> = [
        { tags: [tag] },
        { types: [type], tags: [tag] },
        { query: [{ tags: [tag], types: [type] }] }
      ]
      for (const filter of filters) {
        assert.deepStrictEqual(positionsOf(yield* readAll({ after: before, filter })), expected)
        assert.deepStrictEqual(positionsOf(yield* readAll({ direction: "backwards", filter })), expected.toReversed())
        assert.deepStrictEqual(positionsOf(yield* readAll({ after: before, filter, limit: 3 })), expected.slice(0, 3))
        const pages = yield* readPages({ after: before, filter, limit: 2 })
        assert.deepStrictEqual(positionsOf(pages.events), expected)
        assert.strictEqual(pages.looked.at(-1), before + 3_500)
        assert.deepStrictEqual(pages.looked, pages.looked.toSorted((a, b) => a - b))
        const bounded = yield* readPages({ after: before, until: before + 600, filter })
        assert.deepStrictEqual(positionsOf(bounded.events), expected.slice(0, 2))
        assert.strictEqual(bounded.looked.at(-1), before + 600)
      }
      const none = yield* readPages({ after: before, filter: { tags: [someName("none")] } })
      assert.deepStrictEqual([none.events, none.looked.at(-1)], [[], before + 3_500])
    }))

  it.effect("random filters read what the definition of a filter says, whatever direction, bounds and limit", () =>
    Effect.gen(function*() {
      const random = makeRandom(4_711)
      const suffix = unique()
      const before = yield* head
      const types = ["A", "B", "C", "D"].map((type) => type + suffix)
      const tags = ["p", "q", "r", "s"].map((tag) => tag + suffix)
      const categories = ["x", "y", "z"].map((category) => category + suffix)
      const streamIds = categories.flatMap((category) => [`${category}-1`, `${category}-2`, category])
      for (let round = 0; round < 15; round++) {
        yield* append(
          oneOf(random, streamIds),
          "any",
          proposedMany(1 + random.int(20), () => ({ type: oneOf(random, types), tags: someOf(random, tags, 0.3) }))
        )
      }
      const log = yield* readAll({ after: before })
      const maybe = <A>(list: ReadonlyArray<A>) => {
        const some = random.chance(0.3) ? someOf(random, list) : []
        return some.length === 0 ? undefined : some
      }
      for (let round = 0; round < 100; round++) {
        const items = indexes(random.int(4)).map(() => ({ types: maybe(types), tags: maybe(tags) }))
          .filter((item) => item.types !== undefined || item.tags !== undefined)
        const times = [oneOf(random, log).recordedAt, oneOf(random, log).recordedAt] as const
        const filter: EventFilter = {
          types: maybe(types),
          tags: maybe(tags),
          categories: maybe(categories),
          streamIds: maybe(streamIds),
          query: items.length === 0 ? undefined : items,
          recordedFrom: random.chance(0.2) ? times[0] : undefined,
          recordedBefore: random.chance(0.2) ? times[1] : undefined
        }
        const limit = oneOf(random, [undefined, 1 + random.int(50)])
        const [from, until] = [before + random.int(log.length), before + 1 + random.int(log.length)]
        const matching = log.filter((event) => matchesFilter(filter, event))

        assert.deepStrictEqual(
          yield* readAll({ after: from, until, filter, limit }),
          matching.filter((event) => event.position > from && event.position <= until).slice(0, limit)
        )
        const below = matching.filter((event) => event.position < until).toReversed().slice(0, limit)
        assert.deepStrictEqual(
          (yield* readAll({ direction: "backwards", after: until, filter, limit: limit ?? 1_000 }))
            .filter((event) => event.position > before),
          below
        )
        const pages = yield* readPages({ after: before, filter, limit: 7 })
        assert.deepStrictEqual(pages.events, matching)
      }
    }))

  it.effect("a position that the log has not reached fails, instead of waiting for another history", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      yield* append(someStream(), "any", proposedMany(1))
      const end = yield* head
      const failure = { _tag: "PositionAheadOfLog", position: end + 1, head: end }
      yield* assertFailure(readAll({ after: end + 1 }), failure)
      yield* assertFailure(readPage({ after: end + 1 }), failure)
      yield* assertFailure(readPage({ after: end + 1, filter: { types: ["A"] } }), failure)
      yield* assertFailure(readPage({ after: Number.MAX_SAFE_INTEGER }), {
        ...failure,
        position: Number.MAX_SAFE_INTEGER
      })
      assert.deepStrictEqual(yield* store.readPage({ after: end }), { events: [], position: end, isEnd: true })
    }))

  it.effect("a filter may name 1,000 of everything", () =>
    Effect.gen(function*() {
      const before = yield* head
      const [type, tag] = [someName("T"), someName("t")]
      const streamId = someStream()
      const more = (name: string) => [...indexes(999).map((index) => `${name}${index}`), name]
      yield* append(streamId, "any", [proposed(), proposed(type, { tags: [tag] })])
      const filter = { types: more(type), streamIds: more(streamId), categories: more("thing") }
      for (const direction of ["forwards", "backwards"] as const) {
        const after = direction === "forwards" ? before : undefined
        assert.deepStrictEqual(positionsOf(yield* readAll({ after, filter, direction })), [before + 2])
      }
    }))

  it.effect("readAll and readPage refuse bounds and limits that cannot be", () =>
    Effect.gen(function*() {
      for (const position of [-1, 1.5, NaN, Infinity, 2 ** 53, "1" as never, 1n as never]) {
        yield* assertInvalid(readAll({ after: position }), "InvalidPosition", "after")
        yield* assertInvalid(readAll({ until: position }), "InvalidPosition", "until")
        yield* assertInvalid(readPage({ after: position }), "InvalidPosition", "after")
      }
      for (const limit of [0, -1, 1.5, NaN, "1" as never]) {
        yield* assertInvalid(readAll({ limit }), "InvalidLimit", "limit")
        yield* assertInvalid(readPage({ after: 0, limit }), "InvalidLimit", "limit")
      }
      yield* assertInvalid(readPage({ after: 0, limit: 10_001 }), "InvalidLimit", "limit")
      yield* assertInvalid(readAll({ direction: "backwards", until: 3 }), "InvalidPosition", "until")
    }))

  it.effect("readAll and readPage refuse filters that can match nothing or name what cannot be", () =>
    Effect.gen(function*() {
      const filters: ReadonlyArray<readonly [EventFilter, string, string]> = [
        [{ types: [] }, "InvalidQuery", "filter.types"],
        [{ tags: [] }, "InvalidQuery", "filter.tags"],
        [{ streamIds: [] }, "InvalidQuery", "filter.streamIds"],
        [{ categories: [] }, "InvalidQuery", "filter.categories"],
        [{ query: [] }, "InvalidQuery", "filter.query"],
        [{ query: [{}] }, "InvalidQuery", "filter.query[0]"],
        [{ query: [{ types: ["A"] }, { types: [], tags: [] }] }, "InvalidQuery", "filter.query[1]"],
        [{ types: ["A", ""] }, "InvalidIdentifier", "filter.types[1]"],
        [{ tags: ["a\u0000"] }, "InvalidIdentifier", "filter.tags[0]"],
        [{ streamIds: ["$x"] }, "InvalidIdentifier", "filter.streamIds[0]"],
        [{ categories: ["a-b"] }, "InvalidIdentifier", "filter.categories[0]"],
        [{ query: [{ tags: ["\ud800"] }] }, "InvalidIdentifier", "filter.query[0].tags[0]"],
        [{ types: "A" as never }, "InvalidQuery", "filter.types"],
        [{ recordedFrom: "2026-01-01" as never }, "InvalidTime", "filter.recordedFrom"],
        [{ recordedBefore: DateTime.makeUnsafe(8e15) }, "InvalidTime", "filter.recordedBefore"]
      ]
      for (const [filter, reason, path] of filters) {
        yield* assertInvalid(readAll({ filter }), reason, path)
        yield* assertInvalid(readPage({ after: 0, filter }), reason, path)
      }
    }))
}
