import { assert, describe, it } from "@effect/vitest"
import { DateTime } from "effect"
import { checkFilter, type EventFilter, type Filterable, matchesFilter } from "../../src/event/EventQuery.ts"
import { filterKey, unionOf } from "../../src/projection/internal/union.ts"
import { indexes } from "../store/fixtures.ts"

const at = (minute: number) => DateTime.makeUnsafe(minute * 60_000)

const FILTERS: ReadonlyArray<EventFilter> = [
  {},
  { types: ["A"] },
  { types: ["A", "B"], categories: ["x"] },
  { streamIds: ["x-1"] },
  { tags: ["t:1"] },
  { tags: ["t:1", "t:2"], types: ["B"] },
  { query: [{ types: ["A"], tags: ["t:2"] }, { tags: ["t:3"] }] },
  { query: [{ types: ["C"] }], tags: ["t:1"], categories: ["y"] },
  { recordedFrom: at(2) },
  { recordedBefore: at(3), types: ["C"] },
  { recordedFrom: at(1), recordedBefore: at(4) }
]

const EVENTS: ReadonlyArray<Filterable> = ["A", "B", "C"].flatMap((type) =>
  ["x-1", "x-2", "y-1"].flatMap((streamId) =>
    [[], ["t:1"], ["t:2"], ["t:1", "t:2"], ["t:3"]].flatMap((tags) =>
      indexes(5).map((minute) => ({ type, streamId, tags, recordedAt: at(minute) }))
    )
  )
)

describe("union", () => {
  it("every event that passes one of the filters passes their union, which is a sound filter", () => {
    for (const one of FILTERS) {
      for (const two of FILTERS) {
        for (const three of [one, ...FILTERS.slice(4, 8)]) {
          const union = unionOf([one, two, three])
          assert.isUndefined(checkFilter(union, "filter"))
          for (const event of EVENTS) {
            if ([one, two, three].some((filter) => matchesFilter(filter, event))) {
              assert.isTrue(matchesFilter(union, event), JSON.stringify({ one, two, three, union, event }))
            }
          }
        }
      }
    }
  })

  it("it is as narrow as lists of names can say, and the filter itself when all are the same", () => {
    const union = unionOf([{ types: ["A"], categories: ["x"] }, { types: ["B"], categories: ["y"] }])
    assert.deepStrictEqual([union.types, union.categories, union.query], [["A", "B"], ["x", "y"], undefined])
    assert.deepStrictEqual(unionOf([{ tags: ["t:1"] }, { tags: ["t:2"], types: ["A"] }]).query, [
      { types: [], tags: ["t:1"] },
      { types: ["A"], tags: ["t:2"] }
    ])
    const [filter] = [{ types: ["A", "B"], tags: ["t:1"] }]
    assert.strictEqual(unionOf([filter!, { types: ["B", "A"], tags: ["t:1"] }]), filter)
    assert.deepStrictEqual(unionOf([]), {})
  })

  it("more names than a filter may have are no filter at all", () => {
    const filters = indexes(3).map((part) => ({ types: indexes(400).map((index) => `T${part}-${index}`) }))
    assert.isUndefined(unionOf(filters).types)
  })

  it("the key of a filter does not depend on the order of its names, and tells others apart", () => {
    assert.strictEqual(filterKey({ types: ["A", "B"] }), filterKey({ types: ["B", "A"] }))
    assert.strictEqual(new Set(FILTERS.map(filterKey)).size, FILTERS.length)
  })
})
