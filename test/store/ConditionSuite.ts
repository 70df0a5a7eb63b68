/**
 * Conditions on the log: decisions over what tags and types select.
 */
import { assert } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { ProposedEvent, RecordedEvent } from "../../src/event/Event.ts"
import { type EventQuery, matchesQuery } from "../../src/event/EventQuery.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { makeRandom } from "../checker/random.ts"
import {
  append,
  assertFailure,
  head,
  indexes,
  oneOf,
  proposed,
  readAll,
  someName,
  someOf,
  someStream,
  type StoreTests,
  writingNothing
} from "./fixtures.ts"

export const conditionTests = (it: StoreTests): void => {
  /** Queries over the tags x, y and the types A, B (made unique by a suffix), and whether the event matches. */
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<{ types?: string; tags?: string }>, boolean]> = [
    ["its tag", [{ tags: "x" }], true],
    ["another tag", [{ tags: "z" }], false],
    ["all of its tags", [{ tags: "xy" }], true],
    ["one of its tags and another", [{ tags: "xz" }], false],
    ["its type", [{ types: "A" }], true],
    ["another type", [{ types: "B" }], false],
    ["any of several types", [{ types: "BA" }], true],
    ["its type and its tag", [{ types: "A", tags: "x" }], true],
    ["its type and another tag", [{ types: "A", tags: "z" }], false],
    ["another type and its tag", [{ types: "B", tags: "x" }], false],
    ["several items of which the last matches", [{ tags: "z" }, { types: "B" }, { types: "A", tags: "y" }], true],
    ["several items of which none matches", [{ tags: "z" }, { types: "B", tags: "x" }, { tags: "xz" }], false],
    ["the letters of its tag in another case", [{ tags: "X" }], false]
  ]
  for (const [what, items, matches] of cases) {
    it.effect(`a condition on ${what} ${matches ? "fails" : "holds"}`, () =>
      Effect.gen(function*() {
        const suffix = someName()
        const names = (letters: string | undefined) => letters?.split("").map((letter) => letter + suffix)
        const query = items.map((item) => ({ types: names(item.types), tags: names(item.tags) }))
        const { position } = yield* append(someStream(), "any", [proposed(`A${suffix}`, { tags: names("yx")! })])
        const streamId = someStream()

        const decision = append(streamId, "any", [proposed()], { query, after: position - 1 })
        if (matches) {
          yield* assertFailure(writingNothing(decision), {
            _tag: "AppendConditionFailed",
            after: position - 1,
            position
          })
        } else assert.strictEqual((yield* decision).position, position + 1)
        yield* append(streamId, "any", [proposed()], { query, after: position })
      }))
  }

  it.effect("events of the append itself do not count against its condition", () =>
    Effect.gen(function*() {
      const tag = someName("tag")
      const condition = { query: [{ tags: [tag] }], after: 0 }
      const { revision } = yield* append(someStream(), "any", [
        proposed("A", { tags: [tag] }),
        proposed("B", { tags: [tag] })
      ], condition)
      assert.strictEqual(revision, 1)
    }))

  it.effect("a decision made on what was read up to a position fails once anything it reads came after", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [course, student] = [someName("course"), someName("student")]
      const enrol = (after: number, tags: ReadonlyArray<string>) =>
        append(someStream(), "any", [proposed("Enrolled", { tags })], {
          query: [{ types: ["Enrolled"], tags: [course] }, { types: ["Enrolled"], tags: [student] }],
          after
        })
      const seen = yield* head
      yield* append(someStream(), "any", [proposed("Enrolled", { tags: [someName("course")] })])
      yield* append(someStream(), "any", [proposed("Renamed", { tags: [course] })])

      const first = yield* enrol(seen, [course, student])
      yield* assertFailure(enrol(seen, [course]), {
        _tag: "AppendConditionFailed",
        after: seen,
        position: first.position
      })
      const page = yield* store.readPage({ after: seen, filter: { query: [{ types: ["Enrolled"], tags: [course] }] } })
      assert.deepStrictEqual(page.events.map((event) => event.position), [first.position])
      assert.strictEqual((yield* enrol(page.position, [course])).position, page.position + 1)
    }))

  it.effect("events of truncated and of tombstoned streams count", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [tag, truncated, ended] = [someName("tag"), someStream(), someStream()]
      const first = yield* append(truncated, "any", [proposed("A", { tags: [tag] })])
      yield* store.truncateBefore(truncated, 1)
      const condition = (after: number) => ({ query: [{ tags: [tag] }], after })
      yield* assertFailure(append(someStream(), "any", [proposed()], condition(0)), {
        _tag: "AppendConditionFailed",
        after: 0,
        position: first.position
      })
      const second = yield* append(ended, "any", [proposed("A", { tags: [tag] })])
      yield* store.tombstone(ended)
      yield* assertFailure(append(someStream(), "any", [proposed()], condition(first.position)), {
        _tag: "AppendConditionFailed",
        after: first.position,
        position: second.position
      })
    }))

  it.effect("names with any character are compared as they are", () =>
    Effect.gen(function*() {
      const suffix = someName()
      const tags = ["a,b", "{a}", "a\"b", "a'b", "a\\b", "NULL", "*", "%", "é", "e\u0301", "🦊", " "].map((tag) =>
        tag + suffix
      )
      const before = yield* head
      for (const tag of tags) yield* append(someStream(), "any", [proposed("A", { tags: [tag] })])
      for (const [index, tag] of tags.entries()) {
        const events = yield* readAll({ after: before, filter: { tags: [tag] } })
        assert.deepStrictEqual(events.map((event) => event.tags), [[tag]])
        yield* assertFailure(append(someStream(), "any", [proposed()], { query: [{ tags: [tag] }], after: before }), {
          _tag: "AppendConditionFailed",
          after: before,
          position: before + 1 + index
        })
      }
    }))

  it.effect("a condition may have 64 items of 64 types and 64 tags, and an event 64 of the longest tags", () =>
    Effect.gen(function*() {
      const suffix = someName()
      const tags = indexes(64).map((index) => `${index}${suffix}`.padEnd(512, "x"))
      const { position } = yield* append(someStream(), "any", [proposed("Wide", { tags })])
      assert.deepStrictEqual((yield* readAll({ after: position - 1 }))[0]!.tags, tags.toSorted())
      const types = indexes(63).map((index) => `${index}${suffix}`)
      const query = indexes(64).map((index) => ({ types: [...types, index === 63 ? "Wide" : "None"], tags }))

      yield* assertFailure(append(someStream(), "any", [proposed()], { query, after: position - 1 }), {
        _tag: "AppendConditionFailed",
        after: position - 1,
        position
      })
      yield* append(someStream(), "any", [proposed()], { query: query.slice(0, 63), after: position - 1 })
    }))

  it.effect("a condition after a position that the log has not reached is refused, alone and among others", () =>
    Effect.gen(function*() {
      const after = (yield* head) + 1_000_000
      const conditional = () =>
        append(someStream(), "any", [proposed()], { query: [{ tags: [someName()] }], after }).pipe(Effect.flip)

      assert.strictEqual((yield* writingNothing(conditional()))._tag, "PositionAheadOfLog")
      const failures = yield* writingNothing(
        Effect.all(Array.from({ length: 20 }, conditional), { concurrency: "unbounded" })
      )
      assert.deepStrictEqual(new Set(failures.map(({ _tag }) => _tag)), new Set(["PositionAheadOfLog"]))
    }))

  it.effect("conditions answer as the definition of a query does, for random queries over a random history", () =>
    Effect.gen(function*() {
      const suffix = someName()
      const random = makeRandom(20_261_121)
      const types = ["A", "B", "C", "D"].map((type) => type + suffix)
      const tags = ["p", "q", "r", "s", "t"].map((tag) => tag + suffix)
      const someEvent = (): ProposedEvent => proposed(oneOf(random, types), { tags: someOf(random, tags, 0.3) })
      const someQuery = (): EventQuery =>
        Array.from({ length: 1 + random.int(3) }, () => {
          const item = { types: someOf(random, types, 0.3), tags: someOf(random, tags, 0.3) }
          return item.types.length + item.tags.length === 0 ? { types: [oneOf(random, types)] } : item
        })
      const before = yield* head
      yield* append(someStream(), "any", Array.from({ length: 40 }, someEvent))
      const log: Array<RecordedEvent> = [...yield* readAll({ after: before })]

      for (let round = 0; round < 150; round++) {
        const query = someQuery()
        const after = before + log.length - random.int(1 + random.int(log.length))
        const matching = log.filter((event) => event.position > after && matchesQuery(query, event))
        const outcome = yield* Effect.result(append(someStream(), "any", [someEvent()], { query, after }))
        if (Result.isSuccess(outcome)) {
          assert.deepStrictEqual(matching, [], JSON.stringify(query))
          log.push(...yield* readAll({ after: outcome.success.position - 1 }))
        } else {
          const failure = outcome.failure
          assert.strictEqual(failure._tag, "AppendConditionFailed")
          const position = failure._tag === "AppendConditionFailed" ? failure.position : 0
          assert.include(matching.map((event) => event.position as number), position)
        }
      }
    }))
}
