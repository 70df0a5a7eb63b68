/**
 * What a handler does beside the contract of commands: spans, and a log that goes back in time.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Tracer } from "effect"
import { CommandHandler } from "../../src/command/index.ts"
import { StreamId } from "../../src/event/index.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import * as MemorySnapshotStore from "../../src/memory/MemorySnapshotStore.ts"
import { SnapshotStrategy } from "../../src/snapshot/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { RevisionConflict } from "../../src/store/EventStoreError.ts"
import { append, readStream } from "../store/fixtures.ts"
import { account, deposit, open, withdraw } from "./account.ts"
import { assertError } from "./fixtures.ts"

const stores = Layer.provideMerge(MemorySnapshotStore.layer, MemoryEventStore.layer)

describe("CommandHandler", () => {
  it.effect("a state in the cache that the log contradicts is forgotten, and the stream read anew", () =>
    Effect.gen(function*() {
      let restored = false
      const before = yield* EventStore
      const after = yield* Effect.provide(EventStore, Layer.fresh(MemoryEventStore.layer))
      const switching = EventStore.of({
        ...before,
        append: (options) => (restored ? after : before).append(options),
        readStream: (streamId, options) => (restored ? after : before).readStream(streamId, options)
      })
      const accounts = yield* CommandHandler.make(account, {
        category: "account",
        snapshots: SnapshotStrategy.everyEvents(100)
      }).pipe(Effect.provideService(EventStore, switching))
      yield* accounts.execute("1", open)
      yield* accounts.execute("1", deposit(10))
      yield* accounts.execute("1", deposit(10))

      restored = true
      yield* Effect.provideService(
        append("account-1", "noStream", [{ type: "AccountOpened", data: { owner: "Ann" } }]),
        EventStore,
        after
      )
      assert.strictEqual((yield* accounts.execute("1", deposit(5))).state.balance, 5)
      assert.strictEqual((yield* Effect.flip(accounts.execute("1", withdraw(20))))._tag, "CreditExceeded")
      assert.lengthOf(yield* Effect.provideService(readStream("account-1"), EventStore, after), 2)
    }).pipe(Effect.provide(stores)))

  it.effect("what the caller knows of the stream is checked again after a conflict on another stream", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const other = new RevisionConflict({ streamId: StreamId.make("key-1"), expected: "noStream", actual: undefined })
      let appends = 0
      const disturbed = EventStore.of({
        ...store,
        append: (options) =>
          appends++ > 0 ? store.append(options) : Effect.andThen(
            store.append({ ...options, expected: "any", events: [{ type: "NoteAdded", data: { text: "me first" } }] }),
            Effect.fail(other)
          )
      })
      yield* append("account-1", "noStream", [{ type: "AccountOpened", data: { owner: "Ann" } }])
      const accounts = yield* CommandHandler.make(account, { category: "account", rebase: () => true }).pipe(
        Effect.provideService(EventStore, disturbed)
      )
      const { revision } = yield* accounts.load("1")
      const error = yield* Effect.flip(accounts.execute("1", deposit(1), { expected: revision }))
      assertError(error, { _tag: "RevisionConflict", streamId: "account-1", expected: 0, actual: 1 })
      assert.lengthOf(yield* readStream("account-1"), 2)
    }).pipe(Effect.provide(stores)))

  it.effect("a command is a span only when it is asked to be", () =>
    Effect.gen(function*() {
      const names: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          names.push(options.name)
          return new Tracer.NativeSpan(options)
        }
      })
      const silent = yield* CommandHandler.make(account, { category: "silent" })
      const loud = yield* CommandHandler.make(account, { category: "loud", spans: true })
      yield* Effect.withTracer(silent.execute("1", open), tracer)
      yield* Effect.withTracer(loud.execute("1", open), tracer)
      assert.deepStrictEqual(names, ["CommandHandler.execute"])
    }).pipe(Effect.provide(stores)))

  it.effect("only snapshots ask for the snapshot store, and only reservations can find a key taken", () =>
    Effect.gen(function*() {
      const plain: Effect.Effect<CommandHandler.CommandHandler<never, never, never, unknown>, unknown, EventStore> =
        CommandHandler.make(account, { category: "a" }) as never
      const typed = CommandHandler.make(account, { category: "a" })
      const onlyStore: Effect.Effect<Effect.Success<typeof typed>, Effect.Error<typeof typed>, EventStore> = typed
      const accounts = yield* onlyStore
      const error = yield* Effect.flip(accounts.execute("x", deposit(1)))
      // @ts-expect-error no key is ever taken
      const taken = error._tag === "KeyTaken"
      assert.isFalse(taken)
      assert.isDefined(plain)
    }).pipe(Effect.provide(stores)))
})
