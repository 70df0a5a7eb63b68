/**
 * One command: loaded, decided, appended, answered; and every way in which it can break.
 */
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { CommandHandler, Correlation } from "../../src/command/index.ts"
import { Decider } from "../../src/decider/index.ts"
import { EventType } from "../../src/event/index.ts"
import { SnapshotStrategy } from "../../src/snapshot/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { append, indexes, readStream, someCategory, writingNothing } from "../store/fixtures.ts"
import { account, AlreadyOpen, check, CreditExceeded, deposit, note, NotOpen, open, withdraw } from "./account.ts"
import { assertError, cachedAccounts, type CommandTests, counting, someAccounts } from "./fixtures.ts"

export const executeTests = (it: CommandTests): void => {
  it.effect("a command appends what was decided, and answers the state after it", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      const first = yield* accounts.execute("1", open)
      const second = yield* accounts.execute("1", { _tag: "Deposit", amount: 10, times: 2 })
      const stored = yield* readStream(`${accounts.category}-1`)

      assert.deepStrictEqual(first.state, { isOpen: true, balance: 0, deposits: 0 })
      assert.deepStrictEqual([first.revision, second.revision] as ReadonlyArray<unknown>, [0, 2])
      assert.deepStrictEqual(second.state, { isOpen: true, balance: 20, deposits: 2 })
      assert.isFalse(second.alreadyExecuted)
      assert.strictEqual(second.position, stored[2]!.position)
      assert.deepStrictEqual(
        [...first.events, ...second.events] as ReadonlyArray<unknown>,
        stored.map(({ recordedAt: _, ...event }) => ({ ...event, storedVersion: event.version }))
      )
    }))

  it.effect("a decision may be an array, a Result, an Effect, or nothing", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      yield* accounts.execute("1", open)
      yield* accounts.execute("1", deposit(10))
      const withdrawn = yield* accounts.execute("1", withdraw(4))
      assert.strictEqual(withdrawn.state.balance, 6)

      const nothing = yield* writingNothing(accounts.execute("1", check))
      assert.deepStrictEqual(nothing as unknown, {
        streamId: `${accounts.category}-1`,
        state: withdrawn.state,
        events: [],
        revision: 2,
        position: undefined,
        alreadyExecuted: false
      })
      assert.isUndefined((yield* accounts.execute("nobody", check)).revision)
    }))

  it.effect("a rejection is answered as it is, and nothing is written", () =>
    Effect.gen(function*() {
      for (const accounts of [yield* someAccounts, yield* cachedAccounts()]) {
        assert.instanceOf(yield* writingNothing(Effect.flip(accounts.execute("1", deposit(1)))), NotOpen)
        yield* accounts.execute("1", open)
        assert.instanceOf(yield* writingNothing(Effect.flip(accounts.execute("1", open))), AlreadyOpen)
        const exceeded = yield* writingNothing(Effect.flip(accounts.execute("1", withdraw(1))))
        assertError(exceeded, { _tag: "CreditExceeded", balance: 0 })
        assert.instanceOf(exceeded, CreditExceeded)
      }
    }))

  it.effect("rules that throw or die fail the command with their place, and nothing is written", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      const streamId = `${accounts.category}-1`
      const inDecide = yield* writingNothing(Effect.flip(accounts.execute("1", note("throw in decide"))))
      assertError(inDecide, {
        _tag: "DecisionFailed",
        rule: "decide",
        type: "Note",
        version: undefined,
        streamId,
        revision: undefined
      })
      yield* accounts.execute("1", open)
      const died = yield* writingNothing(Effect.flip(accounts.execute("1", note("die in decide"))))
      assert.strictEqual(died.message, `decide of Note at revision 0 of stream ${streamId} failed: it threw Error`)
      const inEvolve = yield* writingNothing(Effect.flip(accounts.execute("1", note("throw in evolve"))))
      assert.strictEqual(
        inEvolve.message,
        `evolve of NoteAdded, version 1, at revision 1 of stream ${streamId} failed: it threw Error`
      )
    }))

  it.effect("an event on which evolve throws, or that cannot be lifted, fails the load with its place", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      yield* append(`${accounts.category}-1`, "noStream", [
        { type: "MoneyDeposited", data: { cents: 150 } },
        { type: "NoteAdded", data: { text: "throw in evolve" } }
      ])
      assertError(yield* Effect.flip(accounts.execute("1", open)), {
        _tag: "DecisionFailed",
        rule: "evolve",
        type: "NoteAdded",
        version: 1,
        streamId: `${accounts.category}-1`,
        revision: 1
      })
      yield* append(`${accounts.category}-2`, "noStream", [{ type: "MoneyDeposited", data: { cents: -1 } }])
      const lifted = yield* Effect.flip(accounts.execute("2", open))
      assert.strictEqual(lifted._tag, "UpcastFailed")
      assert.include(lifted.message, `MoneyDeposited, version 1 at revision 0 of stream ${accounts.category}-2`)
      yield* append(`${accounts.category}-3`, "noStream", [{ type: "Unheard", data: {} }])
      assert.strictEqual((yield* Effect.flip(accounts.load("3")))._tag, "EventUnknown")
    }))

  it.effect("events of older versions are lifted before they are folded", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      yield* append(`${accounts.category}-1`, "noStream", [
        { type: "AccountOpened", data: { owner: "Ann" } },
        { type: "MoneyDeposited", data: { cents: 150 } },
        { type: "MoneyDeposited", version: 2, data: { amount: 2 } }
      ])
      assert.strictEqual((yield* accounts.execute("1", deposit(1))).state.balance, 4.5)
    }))

  it.effect("data that breaks its schema is refused before anything is written", () =>
    Effect.gen(function*() {
      const Named = EventType.make("Named", { name: Schema.NonEmptyString })
      const namer = Decider.make({
        events: [Named],
        initial: "",
        decide: (name: string) => [{ type: "Named" as const, data: { name } }],
        evolve: (_state, { data }) => data.name
      })
      const names = yield* CommandHandler.make(namer, { category: someCategory() })
      const error = yield* writingNothing(Effect.flip(names.execute("1", "")))
      assertError(error, {
        _tag: "EventDataInvalid",
        type: "Named",
        version: 1,
        path: "data.name",
        reason: (error as unknown as { readonly reason: string }).reason
      })
    }))

  it.effect("a decision that is no decision fails as one that threw", () =>
    Effect.gen(function*() {
      const throwing = {
        get type(): never {
          throw new Error("no")
        }
      }
      const noEvents = [[null], [undefined], [42], ["x"], [{ data: {} }], new Array(1), [throwing]]
      const noTags = [{ type: "NoteAdded", data: { text: "" }, tags: 5 }]
      const answers = [undefined, null, 42, "events", { type: "AccountOpened" }, Effect.succeed(undefined)]
      for (const answer of [...answers, ...noEvents, noTags, Effect.succeed([null])]) {
        const broken: typeof account = { ...account, decide: () => answer as never }
        const accounts = yield* CommandHandler.make(broken, { category: someCategory() })
        const error = yield* writingNothing(Effect.flip(accounts.execute("1", open)))
        assert.strictEqual(error._tag, "DecisionFailed", String(answer))
      }
    }))

  it.effect("ids that are no names are refused: of the stream and of the command", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      for (const id of ["", "a\u0000", "x".repeat(600), 42, undefined]) {
        assertInvalidAt(yield* Effect.flip(accounts.execute(id as string, open)), "id")
      }
      for (const commandId of ["", "a\u0000", "x".repeat(600), 42]) {
        assertInvalidAt(
          yield* Effect.flip(accounts.execute("1", open, { commandId: commandId as string })),
          "commandId"
        )
      }
      assertInvalidAt(yield* Effect.flip(accounts.execute("1", open, { expected: -1 })), "expected")
    }))

  it.effect("what the caller knows of the stream is checked, and a conflict with it is not tried again", () =>
    Effect.gen(function*() {
      for (const accounts of [yield* someAccounts, yield* cachedAccounts()]) {
        const streamId = `${accounts.category}-1`
        assertError(yield* Effect.flip(accounts.execute("1", open, { expected: "streamExists" })), {
          _tag: "RevisionConflict",
          streamId,
          expected: "streamExists",
          actual: undefined
        })
        yield* accounts.execute("1", open, { expected: "noStream" })
        assertError(yield* Effect.flip(accounts.execute("1", deposit(1), { expected: 3 })), {
          _tag: "RevisionConflict",
          streamId,
          expected: 3,
          actual: 0
        })
        assert.strictEqual((yield* accounts.execute("1", deposit(1), { expected: 0 })).revision as number, 1)
      }
    }))

  it.effect("a command that begins a stream reads nothing, and is not answered before the log was asked", () =>
    counting((counts) =>
      Effect.gen(function*() {
        for (const accounts of [yield* someAccounts, yield* cachedAccounts()]) {
          const streamId = `${accounts.category}-1`
          const options = { expected: "noStream", commandId: `begin-${streamId}` } as const
          const taken = { _tag: "RevisionConflict", streamId, expected: "noStream", actual: 0 }
          const begin = { ...counts }
          const first = yield* accounts.execute("1", open, options)
          assert.deepStrictEqual([first.revision as number, first.state.isOpen, counts], [
            0,
            true,
            { reads: begin.reads, appends: begin.appends + 1 }
          ])
          assert.deepStrictEqual(yield* accounts.execute("1", open, options), { ...first, alreadyExecuted: true })
          assertError(yield* Effect.flip(accounts.execute("1", open, { expected: "noStream" })), taken)
          assertError(yield* Effect.flip(accounts.execute("1", deposit(1), { expected: "noStream" })), taken)
          assertError(yield* Effect.flip(accounts.execute("1", check, { expected: "noStream" })), taken)
          assertError(yield* Effect.flip(accounts.execute("2", deposit(1), { expected: "noStream" })), {
            _tag: "NotOpen"
          })
          assert.deepStrictEqual((yield* accounts.execute("2", check, { expected: "noStream" })).events, [])
          assert.lengthOf(yield* readStream(streamId), 1)
        }
      })
    ))

  it.effect("a stream that was truncated to its end is decided on as what is left, and goes on where it was", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      for (const accounts of [yield* someAccounts, yield* cachedAccounts()]) {
        const streamId = `${accounts.category}-1`
        yield* accounts.execute("1", open)
        yield* accounts.execute("1", deposit(5))
        yield* store.truncateBefore(streamId, 2)
        const other = yield* CommandHandler.make(account, { category: accounts.category })
        assertError(yield* Effect.flip(other.execute("1", open, { expected: "noStream" })), {
          _tag: "RevisionConflict",
          streamId,
          expected: "noStream",
          actual: 1
        })
        const { revision, state } = yield* other.execute("1", open, { expected: 1 })
        assert.deepStrictEqual([revision as number, state], [2, { isOpen: true, balance: 0, deposits: 0 }])
        yield* store.truncateBefore(streamId, 3)
        assert.strictEqual((yield* other.execute("1", open)).revision as number, 3)
        // the cache still has what was truncated
        assert.deepStrictEqual((yield* accounts.load("1")).state, { isOpen: true, balance: 0, deposits: 0 })
      }
    }))

  it.effect("tags and metadata of the decision and of the command stand on the event", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      const { events: [event] } = yield* accounts.execute("1", note("x"), { metadata: { by: "command", user: "Ann" } })
      assert.deepStrictEqual(event?.metadata as unknown, { by: "decision", user: "Ann" })
      assert.deepStrictEqual(event?.tags, ["a", "note"])
    }))

  it.effect("correlation flows from the command to its events, and from an event to the commands that it causes", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      const { events: [first] } = yield* accounts.execute("1", open, { commandId: `c-${accounts.category}` })
      assert.include(first!.metadata, {
        commandId: `c-${accounts.category}`,
        correlationId: `c-${accounts.category}`,
        causationId: `c-${accounts.category}`
      })
      const { events: [second] } = yield* accounts.execute("2", open).pipe(Correlation.causedBy(first!))
      assert.deepStrictEqual(second!.metadata as unknown, {
        correlationId: `c-${accounts.category}`,
        causationId: first!.id
      })
      const { events: [third] } = yield* accounts.execute("3", open).pipe(
        Correlation.correlated("talk"),
        Correlation.causedBy(second!)
      )
      assert.deepStrictEqual(third!.metadata as unknown, { correlationId: "talk", causationId: second!.id })
      const { events: [fourth] } = yield* accounts.execute("4", open)
      assert.deepStrictEqual(fourth!.metadata as unknown, {})
    }))

  it.effect("with a state in the cache a command reads nothing, and with a snapshot only the tail", () =>
    counting((counts) =>
      Effect.gen(function*() {
        const accounts = yield* cachedAccounts(10)
        yield* accounts.execute("1", open)
        yield* Effect.forEach(indexes(20), () => accounts.execute("1", deposit(1)))
        assert.deepStrictEqual(counts, { reads: 1, appends: 21 })
        const { state } = yield* accounts.execute("1", deposit(1))
        assert.strictEqual(state.balance, 21)
      })
    ))

  it.effect("a state in the cache that others have moved on from is noticed, and never rejected on", () =>
    Effect.gen(function*() {
      const category = someCategory()
      const here = yield* cachedAccounts(1_000, category)
      const there = yield* cachedAccounts(1_000, category)
      yield* here.execute("1", open)
      yield* there.execute("1", deposit(10))
      assert.strictEqual((yield* here.execute("1", withdraw(10))).state.balance, 0)
      yield* here.execute("1", deposit(5))
      assert.strictEqual((yield* there.load("1")).state.balance, 5)
      assert.strictEqual((yield* there.execute("1", deposit(5))).state.balance, 10)
      assert.strictEqual((yield* here.execute("1", check)).state.balance, 10)
    }))

  it.effect("a handler that cannot be made says why", () =>
    Effect.gen(function*() {
      const dash = yield* Effect.flip(CommandHandler.make(account, { category: "a-b" }))
      assert.strictEqual(dash._tag, "HandlerInvalid")
      assert.include(dash.message, "a category has no dash")
      const { state: _, ...rest } = account
      const stateless = yield* Effect.flip(
        CommandHandler.make({ ...rest, state: undefined }, {
          category: "a",
          snapshots: SnapshotStrategy.never
        })
      )
      assert.include(stateless.message, "snapshots need the decider's state")
      const twice = yield* Effect.flip(
        CommandHandler.make({ ...account, events: [...account.events, ...account.events] }, { category: "a" })
      )
      assert.strictEqual(twice._tag, "RegistryInvalid")
    }))
}

const assertInvalidAt = (error: object, path: string) => {
  const fields = { ...error } as Readonly<Record<string, unknown>>
  assert.deepStrictEqual([fields["_tag"], fields["path"]], ["InvalidInput", path])
}
