/**
 * Saves behind the back of commands: never in the way.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { StreamId } from "../../src/event/StreamId.ts"
import * as Snapshots from "../../src/snapshot/Snapshots.ts"
import * as SnapshotStrategy from "../../src/snapshot/SnapshotStrategy.ts"
import { indexes } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  appendAmounts,
  binary,
  foldAll,
  idle,
  loadAndReport,
  logged,
  makeSnapshots,
  revision,
  storedRevisions,
  storedSnapshots,
  streamId,
  type Tally,
  withStore
} from "./fixtures.ts"

describe("saves", () => {
  it.effect("a save that fails fails nobody, and the store is left alone for a second, then two, then four", () =>
    withStore((faults) =>
      Effect.gen(function*() {
        const snapshots = yield* makeSnapshots()
        const another = Effect.gen(function*() {
          yield* appendAmounts([1])
          yield* loadAndReport(snapshots)
          yield* idle(snapshots)
          return faults.saves
        })
        faults.save = "failBefore"
        assert.deepStrictEqual([yield* another, yield* another], [1, 1])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual([yield* another, yield* another], [2, 2])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* another, 2)
        yield* TestClock.adjust("1 second")
        faults.save = "none"
        assert.strictEqual(yield* another, 3)
        assert.deepStrictEqual(yield* storedRevisions, [5])
        faults.save = "failBefore"
        assert.strictEqual(yield* another, 4)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* another, 5)
        assert.strictEqual((yield* snapshots.statistics).dropped, 3)
      })
    ))

  it.effect("report returns at once while saves hang, and the newest state of a stream is what waits", () =>
    withStore((faults) =>
      Effect.gen(function*() {
        faults.save = "hang"
        const scope = yield* Scope.make()
        const snapshots = yield* makeSnapshots({ saves: 1, cache: false }).pipe(Scope.provide(scope))
        yield* appendAmounts([1], "tally-0")
        yield* loadAndReport(snapshots, { of: StreamId.make("tally-0") })
        yield* waitFor(Effect.sync(() => faults.saves), (saves) => saves === 1)
        for (const amount of indexes(5)) {
          yield* appendAmounts([amount])
          yield* loadAndReport(snapshots)
        }
        assert.isFalse((yield* snapshots.statistics).isIdle)
        assert.strictEqual(faults.saves, 1)
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(yield* storedRevisions, [])
      })
    ))

  it.effect("older snapshots are removed with each save, and not looked for where the store has just said that it has none", () =>
    withStore((faults) =>
      Effect.gen(function*() {
        const another = (snapshots: Snapshots.Snapshots<Tally>) =>
          Effect.gen(function*() {
            yield* appendAmounts([1])
            yield* loadAndReport(snapshots)
            yield* idle(snapshots)
            return [faults.prunes, ...yield* storedRevisions]
          })
        const snapshots = yield* makeSnapshots()
        assert.deepStrictEqual(yield* another(snapshots), [0, 0])
        assert.deepStrictEqual(yield* another(snapshots), [1, 1])
        // it does not say what it has: there may be older ones
        faults.load = "fail"
        const next = yield* makeSnapshots()
        assert.deepStrictEqual(yield* another(next), [2, 2])
      })
    ))

  it.effect("a save that failed may have kept its snapshot: the next one removes it", () =>
    withStore((faults) =>
      Effect.gen(function*() {
        const snapshots = yield* makeSnapshots()
        faults.save = "failAfter"
        yield* appendAmounts([1])
        yield* loadAndReport(snapshots)
        yield* idle(snapshots)
        assert.deepStrictEqual(yield* storedRevisions, [0])
        faults.save = "none"
        yield* TestClock.adjust("1 second")
        yield* appendAmounts([2])
        yield* loadAndReport(snapshots)
        yield* idle(snapshots)
        assert.deepStrictEqual(yield* storedRevisions, [1])
      })
    ))

  it.effect("the end of the scope saves what waits", () =>
    withStore(() =>
      Effect.gen(function*() {
        const streams = indexes(20).map((index) => StreamId.make(`tally-${index}`))
        yield* Effect.scoped(Effect.gen(function*() {
          const snapshots = yield* makeSnapshots()
          for (const of of streams) {
            yield* appendAmounts([1, 2], of)
            yield* loadAndReport(snapshots, { of })
          }
        }))
        assert.strictEqual((yield* storedRevisions).length, 20)
      })
    ))

  it.effect("a state that its schema does not say all of is never stored, and is named once", () =>
    withStore(() =>
      Effect.gen(function*() {
        yield* appendAmounts(indexes(40))
        const cyclic: Record<string, unknown> = {}
        cyclic["self"] = cyclic
        const states = [{ a: 1, stripped: 2 }, { a: new Date(0) }, { a: 1n }, { a: cyclic }, { b: 1 }, NaN, undefined]
        let narrow: Snapshots.Snapshots<unknown> | undefined
        const report = (state: unknown, at: number) =>
          Effect.gen(function*() {
            narrow ??= yield* Snapshots.make<unknown>({
              kind: "narrow",
              schema: Schema.Struct({ a: Schema.Unknown }),
              version: 1,
              fingerprint: "types-1",
              strategy: SnapshotStrategy.everyEvents(2)
            })
            yield* narrow.report({
              streamId,
              state,
              revision: revision(at),
              snapshotRevision: -1,
              eventsReplayed: 1,
              loadMillis: 1,
              appended: 1
            })
            return yield* waitFor(narrow.statistics, (statistics) => statistics.isIdle)
          })
        const messages = yield* logged(Effect.forEach(states, (state, index) => report(state, 3 * index + 2)))
        assert.deepStrictEqual(messages, [
          "The state of stream tally-1 at revision 2 cannot be kept as a snapshot: it comes back from its bytes as " +
          "something else: the schema does not say all that is in it"
        ])
        assert.deepStrictEqual(yield* storedRevisions, [])
        const { notSerializable } = yield* report({ a: [1, "a", null, { b: true }] }, 39)
        assert.strictEqual(notSerializable, states.length)
        assert.deepStrictEqual(yield* storedRevisions, [39])
      })
    ))

  it.effect("a codec that throws is a snapshot that is not taken, or a miss", () =>
    withStore(() =>
      Effect.gen(function*() {
        yield* appendAmounts([1, 2])
        const codec = binary("tally/1")
        const fail = { encode: false, decode: false }
        const snapshots = yield* makeSnapshots({
          cache: false,
          serialization: {
            ...codec,
            encode: (state) => fail.encode ? boom() : codec.encode(state),
            decode: (bytes) => fail.decode ? boom() : codec.decode(bytes)
          }
        })
        fail.encode = true
        yield* loadAndReport(snapshots)
        yield* idle(snapshots)
        assert.deepStrictEqual(yield* storedRevisions, [])
        fail.encode = false
        yield* appendAmounts([3])
        yield* loadAndReport(snapshots)
        yield* idle(snapshots)
        const [snapshot] = yield* storedSnapshots
        assert.deepStrictEqual([snapshot?.revision as number, snapshot?.serialization], [2, "binary"])
        assert.deepStrictEqual(Option.getOrThrow(yield* snapshots.load(streamId)).state, yield* foldAll())
        fail.decode = true
        assert.deepStrictEqual(yield* snapshots.load(streamId), Option.none())
      })
    ))
})

const boom = (): never => {
  throw new Error("boom")
}
