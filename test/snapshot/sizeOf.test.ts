import { assert, describe, it } from "@effect/vitest"
import { sizeOf } from "../../src/snapshot/internal/sizeOf.ts"
import { indexes } from "../store/fixtures.ts"

describe("sizeOf", () => {
  it("grows with everything that is in a value", () => {
    const sizes = [
      sizeOf(undefined),
      sizeOf(1n),
      sizeOf("abc"),
      sizeOf({ a: "abc" }),
      sizeOf({ a: ["abc", "def"] }),
      sizeOf({ a: ["abc", "def"], m: new Map([["k", [1, 2, 3]]]), s: new Set(["x".repeat(20)]) }),
      sizeOf({ bytes: new Uint8Array(10_000) }),
      sizeOf("x".repeat(20_000))
    ]
    assert.deepStrictEqual(sizes, sizes.toSorted((a, b) => a - b))
    assert.strictEqual(new Set(sizes).size, sizes.length)
  })

  it("is near what the engine takes for many small objects", () => {
    const bytes = sizeOf(indexes(1_000).map((index) => ({ id: `item-${index}`, amount: index, on: true })))
    assert.isAbove(bytes, 50_000)
    assert.isBelow(bytes, 200_000)
  })

  it("counts shared parts once, and ends on a cycle, however deep", () => {
    const part = { text: "x".repeat(1_000) }
    assert.isBelow(sizeOf([part, part, part]), 2_000)
    const cycle: Array<unknown> = []
    cycle.push(cycle)
    assert.isBelow(sizeOf(cycle), 100)
    let deep: unknown = 1
    for (let depth = 0; depth < 100_000; depth++) deep = [deep]
    assert.isAbove(sizeOf(deep), 100_000)
  })

  it("runs no code of the value", () => {
    const value = {
      get boom(): never {
        throw new Error("boom")
      },
      text: "x".repeat(100)
    }
    assert.isAbove(sizeOf(value), 100)
  })
})
