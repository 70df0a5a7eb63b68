import { assert, describe, it } from "@effect/vitest"
import { DateTime } from "effect"
import { Difference } from "../../src/decider/index.ts"

describe("Difference", () => {
  it("equal values have none", () => {
    const values = [
      0,
      Number.NaN,
      "a",
      null,
      undefined,
      { a: [1, { b: new Map([["k", new Set([1])]]) }], at: DateTime.makeUnsafe(1) }
    ]
    for (const value of values) assert.deepStrictEqual(Difference.between(value, structuredCloneish(value)), [])
  })

  it("each place that differs is named once, with what it was and what it is", () => {
    assert.deepStrictEqual(
      Difference.between(
        { name: "Ann", lines: [{ qty: 1 }, { qty: 2 }], gone: true, tags: new Map([["a b", 1]]) },
        { name: "Bob", lines: [{ qty: 1 }, { qty: 3 }, { qty: 4 }], fresh: null, tags: new Map([["a b", 2]]) }
      ),
      [
        { kind: "changed", path: "name", before: "Ann", after: "Bob" },
        { kind: "changed", path: "lines[1].qty", before: 2, after: 3 },
        { kind: "added", path: "lines[2]", after: { qty: 4 } },
        { kind: "removed", path: "gone", before: true },
        { kind: "changed", path: "tags[\"a b\"]", before: 1, after: 2 },
        { kind: "added", path: "fresh", after: null }
      ]
    )
  })

  it("values of two kinds, and values that are not looked into, differ as wholes", () => {
    assert.deepStrictEqual(Difference.between({ a: [] }, { a: {} }), [
      { kind: "changed", path: "a", before: [], after: {} }
    ])
    assert.deepStrictEqual(Difference.between(1, undefined), [
      { kind: "changed", path: "", before: 1, after: undefined }
    ])
    assert.deepStrictEqual(
      Difference.between(new Set([1]), new Set([2])).map(({ path }) => path),
      [""]
    )
  })

  it("a missing key is not the same as one without a value", () => {
    assert.deepStrictEqual(Difference.between({}, { a: undefined }), [{ kind: "added", path: "a", after: undefined }])
  })

  it("a value that holds itself is compared, too", () => {
    const circle = () => {
      const value: Record<string, unknown> = { n: 1 }
      value["self"] = value
      return value
    }
    assert.isAtMost(Difference.between(circle(), circle()).length, 1)
  })

  it("lines say what was added, removed and changed", () => {
    assert.strictEqual(
      Difference.format(Difference.between({ a: 1, b: "x" }, { a: 2, "c d": [1] })),
      "~ a: 1 -> 2\n- b: \"x\"\n+ [\"c d\"]: [1]"
    )
    assert.strictEqual(Difference.format(Difference.between(1, 2)), "~ (the value): 1 -> 2")
  })
})

/** A copy that shares nothing but what cannot be copied. */
const structuredCloneish = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || DateTime.isDateTime(value)) return value
  if (Array.isArray(value)) return value.map(structuredCloneish)
  if (value instanceof Map) return new Map([...value].map(([key, member]) => [key, structuredCloneish(member)]))
  if (value instanceof Set) return new Set(value)
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, structuredCloneish(member)]))
}
