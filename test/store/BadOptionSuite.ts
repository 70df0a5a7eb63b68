/**
 * Options that cannot be: sizes, claims, versions, positions, times.
 */
import { assert } from "@effect/vitest"
import { Cause, DateTime, Effect, Exit, Stream } from "effect"
import { EventStore } from "../../src/store/EventStore.ts"
import { appendOne, fateOf } from "./fate.ts"
import {
  append,
  assertInvalid,
  indexes,
  proposed,
  proposedMany,
  readAll,
  someStream,
  type StoreTests,
  writingNothing
} from "./fixtures.ts"

export const badOptionTests = (it: StoreTests): void => {
  it.effect("row 33: an append of more than 16 MiB is refused, one of 16 MiB is not", () =>
    Effect.gen(function*() {
      const data = "x".repeat(1024 * 1024 - 2)
      const events = indexes(16).map(() => proposed("Large", { data }))
      yield* assertInvalid(
        writingNothing(append(someStream(), "any", [...events, proposed("A", { data: 0 })])),
        "BatchTooLarge",
        "events[16]"
      )
      assert.strictEqual((yield* append(someStream(), "any", events)).revision, 15)
    }))

  it.effect("row 34: an append without events is refused", () =>
    Effect.gen(function*() {
      yield* assertInvalid(append(someStream(), "any", []), "EmptyBatch", "events")
      yield* assertInvalid(append(someStream(), "any", undefined as never), "EmptyBatch", "events")
      yield* assertInvalid(append(someStream(), "any", [null as never]), "NotJson", "events[0]")
    }))

  it.effect("row 35: an append of 10,001 events is refused", () =>
    assertInvalid(writingNothing(append(someStream(), "any", proposedMany(10_001))), "BatchTooLarge", "events"))

  it.effect("row 45: correlation and causation are strings; undefined ones are left out; other names are the writer's", () =>
    Effect.gen(function*() {
      for (const name of ["correlationId", "causationId"]) {
        for (const value of [1, null, {}, ["a"]]) {
          yield* assertInvalid(
            writingNothing(appendOne({ metadata: { [name]: value as never } })),
            "InvalidIdentifier",
            `events[0].metadata.${name}`
          )
        }
      }
      const metadata = { correlationId: undefined, causationId: "c", $type: "mine", streamId: 1, position: "x" }
      const { read } = yield* fateOf(someStream(), proposed("A", { metadata }))
      assert.deepStrictEqual(read!.metadata as unknown, { causationId: "c", $type: "mine", streamId: 1, position: "x" })
      for (const wrong of [[], "a", 1, null, () => 1]) {
        yield* assertInvalid(appendOne({ metadata: wrong as never }), "NotJson", "events[0].metadata")
      }
    }))

  it.effect("row 47: claims that cannot be are refused", () =>
    Effect.gen(function*() {
      for (
        const expected of [
          -1,
          -2,
          NaN,
          1.5,
          2 ** 31,
          2 ** 53,
          2 ** 63,
          Infinity,
          "1",
          "Any",
          "",
          null,
          undefined,
          1n,
          {}
        ]
      ) {
        yield* assertInvalid(
          writingNothing(append(someStream(), expected as never, proposedMany(1))),
          "InvalidRevision",
          "expected"
        )
      }
    }))

  it.effect("row 47: versions that cannot be are refused", () =>
    Effect.gen(function*() {
      for (const version of [0, -1, 1.5, NaN, 32_768, "1" as never, null as never]) {
        yield* assertInvalid(writingNothing(appendOne({ version })), "InvalidVersion", "events[0].version")
      }
      assert.strictEqual((yield* fateOf(someStream(), proposed("A", { version: 32_767 }))).read!.version, 32_767)
    }))

  it.effect("row 48: positions of a condition that cannot be are refused", () =>
    Effect.gen(function*() {
      for (const after of [-1, 1.5, NaN, 2 ** 53, "1e3" as never, 1n as never, undefined as never]) {
        const condition = { query: [{ types: ["A"] }], after }
        yield* assertInvalid(
          writingNothing(append(someStream(), "any", proposedMany(1), condition)),
          "InvalidPosition",
          "condition.after"
        )
      }
      for (const query of [[], [{}], [{ types: [], tags: [] }], undefined as never, "A" as never]) {
        const failed = yield* Effect.flip(append(someStream(), "any", proposedMany(1), { query, after: 0 }))
        assert.strictEqual(failed._tag === "InvalidInput" && failed.reason, "InvalidQuery")
      }
    }))

  it.effect("row 51: times that are none, or out of the years 1 to 9999, are refused", () =>
    Effect.gen(function*() {
      const times = [
        NaN,
        Infinity,
        0,
        "2026",
        new Date(0),
        null,
        DateTime.makeUnsafe(-62_135_596_800_001),
        DateTime.makeUnsafe(253_402_300_800_000)
      ]
      for (const recordedFrom of times) {
        yield* assertInvalid(
          readAll({ filter: { recordedFrom: recordedFrom as never } }),
          "InvalidTime",
          "filter.recordedFrom"
        )
      }
      const bounds = {
        recordedFrom: DateTime.makeUnsafe(-62_135_596_800_000),
        recordedBefore: DateTime.makeUnsafe(253_402_300_799_999)
      }
      yield* appendOne({})
      assert.isAbove((yield* readAll({ filter: bounds })).length, 0)
    }))

  it.effect("options of the wrong kind are refused, and are never a defect", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const write = { streamId: someStream(), expected: "any", events: proposedMany(1) } as const
      const broken: Array<readonly [call: number, argument: string, answer: string]> = []
      for (const wrong of [null, 5, "a", {}, [null]] as ReadonlyArray<unknown> as ReadonlyArray<never>) {
        const calls: ReadonlyArray<() => Effect.Effect<unknown, unknown>> = [
          () => store.append({ ...write, events: wrong }),
          () => store.append({ ...write, events: [{ type: "A", data: 1, tags: wrong }] }),
          () => store.append({ ...write, condition: wrong }),
          () => store.append({ ...write, condition: { query: wrong, after: 0 } }),
          () => store.append({ ...write, condition: { query: [{ types: wrong }], after: 0 } }),
          () => store.appendAll({ writes: wrong }),
          () => store.appendAll({ writes: [write], streamConditions: wrong }),
          () => Stream.runDrain(store.readAll({ filter: { query: wrong } })),
          () => Stream.runDrain(store.readAll({ filter: { types: wrong } }))
        ]
        for (const [index, call] of calls.entries()) {
          const exit = yield* Effect.exit(Effect.suspend(call))
          if (Exit.isSuccess(exit) || Cause.hasDies(exit.cause)) broken.push([index, JSON.stringify(wrong), exit._tag])
        }
      }
      assert.deepStrictEqual(broken, [])
    }))
}
