import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { category, checkStreamId, StreamId } from "../../src/event/StreamId.ts"

describe("StreamId", () => {
  it("is any name that does not start with a dollar", () => {
    const is = Schema.is(StreamId)
    for (const name of ["order-42", "order", "-", "a$b", "a-$b", "🦊-1", "x".repeat(512)]) assert.isTrue(is(name), name)
    for (const name of ["", "$", "$all", "$order-1", "a\nb", "\ud800", "x".repeat(513), 5, null]) {
      assert.isFalse(is(name), String(name))
    }
  })

  it("refuses with the same words as the check", () => {
    assert.strictEqual(
      checkStreamId("$all", "streamId")!.detail,
      "must not start with \"$\": such names are kept for the store"
    )
    assert.throws(() => StreamId.make("$all"))
    assert.isUndefined(checkStreamId("order-42", "streamId"))
  })
})

describe("category", () => {
  it("is what stands before the first dash, or the whole name", () => {
    assert.deepStrictEqual(
      ["order-42", "order", "order-eu-42", "-42", "order-", "-", "a_b-c", "🦊-1"].map(category),
      ["order", "order", "order", "", "order", "", "a_b", "🦊"]
    )
  })
})
