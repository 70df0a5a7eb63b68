import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { EventFilter } from "../../src/event/EventQuery.ts"
import { InvalidInput } from "../../src/event/InvalidInput.ts"
import { appendTo } from "../../src/memory/internal/append.ts"
import { headOf, type Log, makeLog } from "../../src/memory/internal/log.ts"
import { readLog } from "../../src/memory/internal/read.ts"
import { encodeAppend } from "../../src/store/AppendRequest.ts"
import type { AppendOptions } from "../../src/store/EventStore.ts"

const append = (log: Log, now: number, options: AppendOptions) => {
  const request = encodeAppend(options)
  if (request instanceof InvalidInput) throw request
  return appendTo(log, request, now)
}

const everything = (log: Log, filter?: EventFilter, after = 0, limit = 1_000) =>
  readLog(log, { direction: "forwards", after, until: undefined, filter, limit, timeBound: undefined })

const event = { type: "Happened", data: 1 }

describe("appendTo", () => {
  it("records at the given time", () => {
    const log = makeLog("test")
    append(log, 1_000, { streamId: "a", expected: "noStream", events: [event, event] })
    assert.deepStrictEqual(everything(log).events.map((read) => read.recordedAt.epochMilliseconds), [1_000, 1_000])
  })

  it("never records before the last event, even when the clock goes back", () => {
    const log = makeLog("test")
    for (const now of [5_000, 3_000, 4_999, 5_000, 6_000, -1]) {
      append(log, now, { streamId: "a", expected: "any", events: [event] })
    }
    assert.deepStrictEqual(
      everything(log).events.map((read) => read.recordedAt.epochMilliseconds),
      [5_000, 5_000, 5_000, 5_000, 6_000, 6_000]
    )
  })

  it("changes nothing when it refuses", () => {
    const log = makeLog("test")
    append(log, 0, { streamId: "a", expected: "noStream", events: [{ ...event, tags: ["t"] }] })
    const before = structuredClone(log)
    const id = log.events[0]!.id
    const refusals = [
      append(log, 1, { streamId: "a", expected: 5, events: [event] }),
      append(log, 1, { streamId: "b", expected: 0, events: [event] }),
      append(log, 1, { streamId: "b", expected: "any", events: [event, { ...event, id }] }),
      append(log, 1, {
        streamId: "b",
        expected: "any",
        events: [{ type: "New", data: 1, tags: ["new"] }],
        condition: { query: [{ tags: ["t"] }], after: 0 }
      })
    ]
    assert.deepStrictEqual(refusals.map(Result.isFailure), [true, true, true, true])
    assert.deepStrictEqual(log, before)
  })
})

describe("readLog", () => {
  it("looks at a bounded part of the log for one page, and gets on from there", () => {
    const log = makeLog("test")
    const size = 120_000
    for (let first = 1; first <= size; first += 10_000) {
      const events = Array.from({ length: 10_000 }, (_, index) => {
        const position = first + index
        return { ...event, tags: position % size <= 1 ? ["even", "odd"] : [position % 2 === 0 ? "even" : "odd"] }
      })
      append(log, 0, { streamId: "a", expected: "any", events })
    }
    for (const direction of ["forwards", "backwards"] as const) {
      const found: Array<number> = []
      let after = direction === "forwards" ? 0 : undefined
      for (let pages = 1; pages <= 2; pages++) {
        const filter = { tags: ["even", "odd"] }
        const page = readLog(log, { direction, after, until: undefined, filter, limit: 10, timeBound: undefined })
        found.push(...page.events.map((read) => read.position))
        after = page.position
        assert.strictEqual(page.isEnd, pages === 2)
      }
      assert.deepStrictEqual(found, direction === "forwards" ? [1, size] : [size, 1])
      assert.strictEqual(after, direction === "forwards" ? size : 0)
    }
  })

  it("holds 200,000 events, finds any of them by its index, and refuses what they forbid", () => {
    const log = makeLog("test")
    const count = 200_000
    for (let first = 0; first < count; first += 500) {
      const result = append(log, first, {
        streamId: `order-${(first / 500) % 100}`,
        expected: "any",
        events: Array.from({ length: 500 }, (_, index) => ({
          type: `Type${(first + index) % 20}`,
          data: { number: first + index, text: "some text of a usual length" },
          tags: [`customer:${(first + index) % 10_000}`, `shard:${(first + index) % 10}`]
        }))
      })
      assert.isTrue(Result.isSuccess(result))
    }
    assert.strictEqual(headOf(log), count)

    const matching = everything(log, { tags: ["shard:7", "customer:1237"], types: ["Type17"] }).events
    assert.deepStrictEqual(
      matching.map((read) => (read.data as { readonly number: number }).number),
      Array.from({ length: 20 }, (_, index) => index * 10_000 + 1_237)
    )
    assert.deepStrictEqual(everything(log, { streamIds: ["order-99"] }, count - 1_000).events.length, 500)
    assert.strictEqual(everything(log, { categories: ["order"] }, count - 7).events.length, 7)
    assert.deepStrictEqual(everything(log, { tags: ["customer:10000"] }), {
      events: [],
      position: headOf(log),
      isEnd: true
    })

    const decide = (after: number) =>
      append(log, count, {
        streamId: "decision",
        expected: "any",
        events: [event],
        condition: { query: [{ tags: ["customer:42", "shard:2"] }, { types: ["None"] }], after }
      })
    assert.isTrue(Result.isFailure(decide(count - 10_000)))
    assert.isTrue(Result.isSuccess(decide(count - 10_000 + 43)))
  })
})
