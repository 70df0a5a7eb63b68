import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { layer } from "../../src/memory/index.ts"
import { makePager } from "../../src/projection/internal/pager.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { indexes } from "../store/fixtures.ts"

/** Sizes of the pages of a log of `count` events with `bytes` of data each. */
const pageSizes = (count: number, bytes: number, options: { readonly maxEvents: number; readonly maxBytes: number }) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    for (const part of indexes(Math.ceil(count / 100))) {
      yield* store.append({
        streamId: `s-${part}`,
        expected: "noStream",
        events: indexes(100).map(() => ({ type: "A", data: "x".repeat(bytes) }))
      })
    }
    const pager = makePager(store, { filter: { types: ["A"] }, until: undefined, ...options })
    const sizes: Array<number> = []
    let after = 0
    while (true) {
      const page = yield* pager.read(after)
      sizes.push(page.events.length)
      after = page.position
      if (page.isEnd) return sizes
    }
  }).pipe(Effect.provide(layer))

it.effect("pages of small events grow to the most events allowed", () =>
  Effect.gen(function*() {
    const sizes = yield* pageSizes(1_500, 10, { maxEvents: 400, maxBytes: 2 ** 30 })
    assert.deepStrictEqual(sizes.slice(0, 5), [32, 128, 400, 400, 400])
  }))

it.effect("pages of large events hold about as many bytes as allowed, and one event at least", () =>
  Effect.gen(function*() {
    const sizes = yield* pageSizes(200, 10_000, { maxEvents: 400, maxBytes: 103_000 })
    assert.deepStrictEqual(sizes.slice(0, 4), [32, 10, 10, 10])
    const single = yield* pageSizes(100, 10_000, { maxEvents: 400, maxBytes: 1_000 })
    assert.deepStrictEqual(single.slice(0, 4), [32, 1, 1, 1])
  }))
