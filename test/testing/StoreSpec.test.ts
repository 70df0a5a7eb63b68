import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { CommandHandler } from "../../src/command/index.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { StoreSpec } from "../../src/testing/index.ts"
import { account, deposit, open } from "../command/account.ts"

const store = Effect.provide(Layer.fresh(MemoryEventStore.layer))

const accounts = CommandHandler.make(account, { category: "account" })

const opened = { "account-1": [{ type: "AccountOpened", data: { owner: "Ann" } }] }

describe("StoreSpec", () => {
  it.effect("a scenario that holds says nothing: what a command appends and answers", () =>
    Effect.gen(function*() {
      const handler = yield* accounts
      const outcome = yield* StoreSpec.given(opened).when(handler.execute("1", deposit(10)))
      outcome.thenAppended({ "account-1": [{ type: "MoneyDeposited", version: 2, data: { amount: 10 } }] })
      assert.lengthOf(outcome.appended, 1)
      const rejected = yield* StoreSpec.given({}).when(handler.execute("1", open))
      rejected.thenFailed("AlreadyOpen").thenNothing()
    }).pipe(store))

  it.effect("a query is asked after the events were recorded, at the time of the test clock", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(42)
      const times = EventStore.use((store) =>
        Effect.map(
          Stream.runCollect(store.readAll()),
          (events) => events.map(({ recordedAt }) => DateTime.toEpochMillis(recordedAt))
        )
      )
      const outcome = yield* StoreSpec.given(opened).when(times)
      outcome.thenResult([42]).thenNothing()
    }).pipe(store))

  it.effect("what does not hold throws, and says where it differs", () =>
    Effect.gen(function*() {
      const handler = yield* accounts
      const outcome = yield* StoreSpec.given(opened).when(handler.execute("1", deposit(10)))
      assert.throws(
        () => outcome.thenAppended({ "account-1": [{ type: "MoneyDeposited", version: 2, data: { amount: 11 } }] }),
        /~ \["account-1"\]\[0\]\.data\.amount: 11 -> 10/
      )
      assert.throws(() => outcome.thenAppended({}), /\+ \["account-1"\]\[0\]/)
      assert.throws(() => outcome.thenNothing(), /MoneyDeposited/)
      assert.throws(() => outcome.thenResult(1), /not as expected/)
      assert.throws(() => outcome.thenFailed("NotOpen"), /It does not fail/)
      const rejected = yield* StoreSpec.given({}).when(handler.execute("1", open))
      assert.throws(() => rejected.thenResult(1), /It fails/)
      assert.throws(() => rejected.thenFailed("NotOpen"), /It fails otherwise/)
      const died = yield* StoreSpec.given({}).when(Effect.die(new Error("boom")))
      assert.throws(() => died.thenResult(1), /boom/)
    }).pipe(store))

  it.effect("tags, ids and metadata are compared where they are expected", () =>
    Effect.gen(function*() {
      const append = EventStore.use((store) =>
        store.append({
          streamId: "a-1",
          expected: "any",
          events: [{ type: "A", data: {}, tags: ["x:1"], metadata: { by: "me" } }]
        })
      )
      const outcome = yield* StoreSpec.given({}).when(append)
      outcome.thenAppended({ "a-1": [{ type: "A", data: {}, tags: ["x:1"], metadata: { by: "me" } }] })
      assert.throws(() => outcome.thenAppended({ "a-1": [{ type: "A", data: {}, tags: ["x:2"] }] }), /tags/)
    }).pipe(store))

  it.effect("an error that is no instance of what is expected is told apart from its equal", () =>
    Effect.gen(function*() {
      class Full extends Schema.TaggedError<Full>()("Full", { size: Schema.Number }) {}
      const outcome = yield* StoreSpec.given({}).when(Effect.fail(new Full({ size: 1 })))
      outcome.thenFailed(new Full({ size: 1 })).thenFailed(Full).thenFailed(({ size }) => size === 1)
      assert.throws(() => outcome.thenFailed(new Full({ size: 2 })), /It fails otherwise/)
    }).pipe(store))
})
