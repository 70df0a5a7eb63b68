import { assert, describe, it } from "@effect/vitest"
import { DateTime } from "effect"
import {
  checkCategory,
  checkCondition,
  checkFilter,
  checkQuery,
  type EventFilter,
  type EventQuery,
  matchesFilter,
  matchesQuery
} from "../../src/event/EventQuery.ts"
import { TAGS_MAX } from "../../src/event/Limits.ts"

const event = {
  streamId: "order-1",
  type: "Placed",
  tags: ["a", "b"],
  recordedAt: DateTime.makeUnsafe(1_000)
}

describe("matchesQuery", () => {
  const cases: ReadonlyArray<readonly [EventQuery, boolean]> = [
    [[{ types: ["Placed"] }], true],
    [[{ types: ["Paid", "Placed"] }], true],
    [[{ types: ["Paid"] }], false],
    [[{ tags: ["a"] }], true],
    [[{ tags: ["b", "a"] }], true],
    [[{ tags: ["a", "c"] }], false],
    [[{ types: ["Placed"], tags: ["a"] }], true],
    [[{ types: ["Paid"], tags: ["a"] }], false],
    [[{ types: ["Placed"], tags: ["c"] }], false],
    [[{ types: [], tags: ["a"] }], true],
    [[{ types: ["Placed"], tags: [] }], true],
    [[{ types: ["Paid"] }, { tags: ["c"] }], false],
    [[{ types: ["Paid"] }, { tags: ["b"] }], true]
  ]
  it("is any item, of which any type and all tags", () => {
    for (const [query, expected] of cases) {
      assert.strictEqual(matchesQuery(query, event), expected, JSON.stringify(query))
    }
  })
})

describe("matchesFilter", () => {
  const time = (millis: number) => DateTime.makeUnsafe(millis)
  const cases: ReadonlyArray<readonly [EventFilter, boolean]> = [
    [{}, true],
    [{ types: ["Placed"] }, true],
    [{ types: ["Paid"] }, false],
    [{ categories: ["order"] }, true],
    [{ categories: ["order-1"] }, false],
    [{ categories: ["ord"] }, false],
    [{ streamIds: ["order-1"] }, true],
    [{ streamIds: ["order"] }, false],
    [{ tags: ["a", "b"] }, true],
    [{ tags: ["a", "c"] }, false],
    [{ query: [{ tags: ["c"] }, { tags: ["a"] }] }, true],
    [{ query: [{ tags: ["c"] }] }, false],
    [{ recordedFrom: time(1_000) }, true],
    [{ recordedFrom: time(1_001) }, false],
    [{ recordedBefore: time(1_001) }, true],
    [{ recordedBefore: time(1_000) }, false],
    [
      { types: ["Placed"], categories: ["order"], tags: ["b"], recordedFrom: time(0), recordedBefore: time(2_000) },
      true
    ],
    [{ types: ["Placed"], categories: ["cart"] }, false]
  ]
  it("is every part that is given", () => {
    for (const [filter, expected] of cases) {
      assert.strictEqual(matchesFilter(filter, event), expected, JSON.stringify(filter))
    }
  })
})

describe("checkQuery", () => {
  const names = (count: number) => Array.from({ length: count }, (_, index) => `n${index}`)

  it("takes 1 to 64 items of up to 64 types and tags, and not one more", () => {
    assert.strictEqual(TAGS_MAX, 64)
    assert.isUndefined(checkQuery(Array.from({ length: 64 }, () => ({ types: names(64), tags: names(64) })), "q"))
    assert.deepInclude(checkQuery([], "q"), { reason: "InvalidQuery", path: "q" })
    assert.deepInclude(checkQuery(Array.from({ length: 65 }, () => ({ types: ["A"] })), "q"), { path: "q" })
    assert.deepInclude(checkQuery([{ types: names(65) }], "q"), { reason: "InvalidQuery", path: "q[0].types" })
    assert.deepInclude(checkQuery([{ tags: names(65) }], "q"), { reason: "InvalidQuery", path: "q[0].tags" })
  })

  it("refuses an item that would match everything", () => {
    for (const item of [{}, { types: [] }, { tags: [] }, { types: [], tags: [] }, { types: undefined }]) {
      assert.deepInclude(checkQuery([{ types: ["A"] }, item], "q"), { reason: "InvalidQuery", path: "q[1]" })
    }
  })

  it("refuses bad names at their place", () => {
    assert.deepInclude(checkQuery([{ types: ["A", ""] }], "q"), { reason: "InvalidIdentifier", path: "q[0].types[1]" })
    assert.deepInclude(checkQuery([{ tags: ["\u0000"] }], "q"), { reason: "InvalidIdentifier", path: "q[0].tags[0]" })
  })
})

describe("checkCondition", () => {
  it("checks its position and its query", () => {
    const query = [{ types: ["A"] }]
    assert.isUndefined(checkCondition({ query, after: 0 }, "condition"))
    assert.deepInclude(checkCondition({ query, after: -1 }, "c"), { reason: "InvalidPosition", path: "c.after" })
    assert.deepInclude(checkCondition({ query: [], after: 0 }, "c"), { reason: "InvalidQuery", path: "c.query" })
  })
})

describe("checkFilter", () => {
  const names = (count: number) => Array.from({ length: count }, (_, index) => `n${index}`)

  it("takes no part at all, and lists of 1 to 1,000 names", () => {
    assert.isUndefined(checkFilter({}, "filter"))
    for (const part of ["types", "tags", "streamIds", "categories"] as const) {
      assert.isUndefined(checkFilter({ [part]: names(1_000) }, "filter"))
      for (const list of [[], names(1_001), "n1", { 0: "n1", length: 1 }]) {
        const fault = checkFilter({ [part]: list } as never, "filter")
        assert.deepInclude(fault, { reason: "InvalidQuery", path: `filter.${part}` })
      }
    }
  })

  it("takes times of the years 1 to 9999, of any zone", () => {
    const at = (millis: number) => DateTime.makeUnsafe(millis)
    const [first, last] = [-62_135_596_800_000, 253_402_300_799_999]
    assert.isUndefined(checkFilter({ recordedFrom: at(first), recordedBefore: at(last) }, "filter"))
    for (const [part, millis] of [["recordedFrom", first - 1], ["recordedBefore", last + 1]] as const) {
      assert.deepInclude(checkFilter({ [part]: at(millis) }, "filter"), {
        reason: "InvalidTime",
        path: `filter.${part}`
      })
    }
  })
})

describe("checkCategory", () => {
  it("is a stream name without a dash", () => {
    assert.isUndefined(checkCategory("order", "category"))
    for (const name of ["a-b", "-", "", "$a", "a\n", 5]) {
      assert.strictEqual(checkCategory(name, "category")?.reason, "InvalidIdentifier", String(name))
    }
  })
})
