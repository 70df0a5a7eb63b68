/**
 * The contract of `CheckpointStore` for states that grow old and reactors that
 * begin somewhere: one text for all storages.
 */
import { assert, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { head } from "../store/fixtures.ts"
import { acquire, commit, find, grow } from "./checkpoints.ts"
import { someProjectionName } from "./fixtures.ts"

/** Registers the contract for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(
    `CheckpointStore for kinds (${storage})`,
    (it) => {
      it.effect("the times of states are kept as they were told, listed from the oldest, and removed with their states", () =>
        Effect.gen(function*() {
          const name = someProjectionName()
          const store = yield* CheckpointStore
          yield* grow(3)
          const lease = yield* acquire(name)
          const states = new Map(["a", "b", "c", "d"].map((key) => [key, "1"]))
          const times = new Map([["a", 1_700_000_000_123], ["b", 1_600_000_000_000], ["c", 1_800_000_000_999]])
          yield* commit(lease, 0, 1, { states, stateTimes: times })
          assert.deepStrictEqual(
            yield* store.stateTimes(lease, ["a", "c", "nothing"]),
            new Map([...times].filter(([key]) => key !== "b"))
          )
          const oldest = [{ key: "b", time: 1_600_000_000_000 }, { key: "a", time: 1_700_000_000_123 }]
          assert.deepStrictEqual(yield* store.oldestStates(lease, 2), oldest)
          yield* commit(lease, 1, 2, {
            states: new Map<string, string | undefined>([["b", undefined], ["a", "2"]]),
            stateTimes: new Map([["a", 1_900_000_000_000]])
          })
          assert.deepStrictEqual((yield* store.oldestStates(lease, 10)).map(({ key }) => key), ["c", "a"])
          const found = yield* store.loadStates(lease, ["a", "b", "d"])
          assert.deepStrictEqual([...found].sort(), [["a", "2"], ["d", "1"]])
          yield* commit(lease, 2, 0, { reset: { definition: "something" } })
          assert.deepStrictEqual(yield* store.oldestStates(lease, 10), [])
        }))

      it.effect("where a reactor began is kept, also by a reset, and the digest counts what stands after it", () =>
        Effect.gen(function*() {
          const name = someProjectionName()
          const store = yield* CheckpointStore
          yield* grow(6)
          const lease = yield* acquire(name)
          assert.strictEqual((yield* find(name)).start, 0)
          yield* commit(lease, 0, 4, { start: 4 as Position, setUp: true })
          yield* commit(lease, 4, 5)
          assert.strictEqual((yield* find(name)).start, 4)
          yield* commit(lease, 5, 4, { reset: { definition: "something" }, setUp: true })
          assert.deepInclude(yield* find(name), { start: 4 as Position, isSetUp: true })
          const until = yield* head
          const all = yield* store.digestLog({ filter: undefined, until })
          const after = (until - 2) as Position
          const some = yield* store.digestLog({ filter: undefined, after, until })
          const rest = yield* store.digestLog({ filter: undefined, until: after })
          assert.deepStrictEqual([some.count, rest.count], [2, all.count - 2])
          assert.strictEqual((yield* store.digestLog({ filter: undefined, after: until, until })).count, 0)
        }))
    }
  )
}
