import { assert, describe, it } from "@effect/vitest"
import { InvalidInput } from "../../src/event/InvalidInput.ts"
import { appendTo } from "../../src/memory/internal/append.ts"
import { makeLog } from "../../src/memory/internal/log.ts"
import { postingsOf, postingsOfFilter } from "../../src/memory/internal/postings.ts"
import { encodeAppend } from "../../src/store/AppendRequest.ts"

const log = makeLog("test")
const request = encodeAppend({
  streamId: "a",
  expected: "noStream",
  events: Array.from({ length: 100 }, (_, index) => ({
    type: index < 90 ? "Often" : "Seldom",
    data: index,
    tags: [index % 2 === 0 ? "even" : "odd", ...(index === 7 ? ["seven"] : [])]
  }))
})
if (!(request instanceof InvalidInput)) appendTo(log, request, 0)

const sizes = (postings: ReadonlyArray<ReadonlyArray<number>> | undefined) => postings?.map((list) => list.length)

describe("postingsOf", () => {
  it("chooses the shortest lists that hold every match", () => {
    assert.deepStrictEqual(sizes(postingsOf(log, { tags: ["even", "seven"], types: ["Often"] }, 0)), [1])
    assert.deepStrictEqual(sizes(postingsOf(log, { tags: ["even"], types: ["Seldom"] }, 0)), [10])
    assert.deepStrictEqual(sizes(postingsOf(log, { types: ["Seldom", "Often", "None"] }, 0)), [10, 90])
    assert.deepStrictEqual(sizes(postingsOf(log, { tags: ["even", "none"], types: ["Often"] }, 0)), [])
  })

  it("counts only what stands after the position", () => {
    assert.deepStrictEqual(sizes(postingsOf(log, { tags: ["even"], types: ["Often"] }, 88)), [90])
  })
})

describe("postingsOfFilter", () => {
  it("chooses the shortest of all parts, and none when the log is as short", () => {
    const often = { types: ["Often"], tags: ["odd"] }
    assert.deepStrictEqual(sizes(postingsOfFilter(log, often, 0)), [50])
    assert.deepStrictEqual(sizes(postingsOfFilter(log, { ...often, query: [{ tags: ["seven"] }] }, 0)), [1])
    assert.deepStrictEqual(sizes(postingsOfFilter(log, { ...often, streamIds: ["none"] }, 0)), [])
    assert.isUndefined(postingsOfFilter(log, { streamIds: ["a"] }, 0))
    assert.isUndefined(postingsOfFilter(log, { categories: ["a"], types: ["Often", "Seldom"] }, 0))
    assert.isUndefined(postingsOfFilter(log, {}, 0))
  })
})
