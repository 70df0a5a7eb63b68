/**
 * A command with an id has its effect once, and its first answer every time.
 */
import { assert } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { CommandHandler } from "../../src/command/index.ts"
import { Decider } from "../../src/decider/index.ts"
import { append, indexes, readStream, someCategory, writingNothing } from "../store/fixtures.ts"
import { account, type AccountCommand, check, deposit, Deposited, open, withdraw } from "./account.ts"
import { assertError, cachedAccounts, type CommandTests, someAccounts } from "./fixtures.ts"

export const idempotencyTests = (it: CommandTests): void => {
  it.effect("a command that is repeated answers what it answered first, whatever has happened since", () =>
    Effect.gen(function*() {
      for (const accounts of [yield* someAccounts, yield* cachedAccounts(2)]) {
        const id = (name: string) => ({ commandId: `${name}-${accounts.category}` })
        const first = yield* accounts.execute("1", open, id("open"))
        const second = yield* accounts.execute("1", { _tag: "Deposit", amount: 3, times: 2 }, id("deposit"))
        const third = yield* accounts.execute("1", withdraw(5), id("withdraw"))
        yield* accounts.execute("1", deposit(100))

        // now it would be rejected, decided the same, and decided with another state
        for (
          const [command, name, answer] of [
            [open, "open", first],
            [{ _tag: "Deposit", amount: 3, times: 2 }, "deposit", second],
            [withdraw(5), "withdraw", third]
          ] as const
        ) {
          const again = yield* writingNothing(accounts.execute("1", command as AccountCommand, id(name)))
          assert.deepStrictEqual(again, { ...answer, alreadyExecuted: true })
        }
        assert.strictEqual((yield* accounts.load("1")).state.balance, 101)
      }
    }))

  it.effect("of a command that is sent 16 times at once, one has the effect and all have its answer", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      yield* accounts.execute("1", open)
      yield* accounts.execute("1", deposit(5))
      const commandId = `w-${accounts.category}`
      const answers = yield* Effect.forEach(indexes(16), () => accounts.execute("1", withdraw(4), { commandId }), {
        concurrency: "unbounded"
      })
      assert.lengthOf(answers.filter(({ alreadyExecuted }) => !alreadyExecuted), 1)
      for (const { events, state } of answers) {
        assert.deepStrictEqual([state.balance, events], [1, answers[0]!.events])
      }
      assert.lengthOf(yield* readStream(`${accounts.category}-1`), 3)
    }))

  it.effect("an id that is used for another command, or another stream, is refused with its place", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      const commandId = `c-${accounts.category}`
      yield* accounts.execute("1", open)
      const { position } = yield* accounts.execute("1", deposit(2), { commandId })
      yield* accounts.execute("2", open)
      const expected = {
        _tag: "CommandIdReused",
        commandId,
        streamId: `${accounts.category}-1`,
        revision: 1,
        position
      }
      for (
        const [id, command] of [
          ["1", deposit(3)],
          ["1", open],
          ["1", check],
          // the same events come of it
          ["1", { _tag: "Deposit", amount: 2, times: 1 }],
          ["2", deposit(2)]
        ] as const
      ) {
        const error = yield* writingNothing(Effect.flip(accounts.execute(id, command, { commandId })))
        assertError(error, expected)
      }
    }))

  it.effect("the order of a command's keys does not matter", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      const commandId = `c-${accounts.category}`
      yield* accounts.execute("1", { owner: "Ann", _tag: "Open" }, { commandId })
      assert.isTrue((yield* accounts.execute("1", { _tag: "Open", owner: "Ann" }, { commandId })).alreadyExecuted)
    }))

  it.effect("a command that was rejected leaves no trace: repeated, it is decided anew", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      const commandId = `c-${accounts.category}`
      yield* Effect.flip(accounts.execute("1", deposit(2), { commandId }))
      yield* accounts.execute("1", open)
      assert.isFalse((yield* accounts.execute("1", deposit(2), { commandId })).alreadyExecuted)
    }))

  it.effect("a command with an id that is not data, or whose metadata takes its names, is refused", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      const circle: { _tag: "Open"; owner: string; self?: unknown } = { _tag: "Open", owner: "Ann" }
      circle.self = circle
      const opaque = [() => "Ann", Redacted.make("Ann"), /Ann/, new ArrayBuffer(3), Promise.resolve("Ann")]
      for (const command of [circle, ...opaque.map((owner) => ({ _tag: "Open", owner }))]) {
        const error = yield* writingNothing(Effect.flip(accounts.execute("1", command as never, { commandId: "c" })))
        assert.strictEqual(error._tag === "InvalidInput" && error.path, "command")
      }
      const error = yield* Effect.flip(accounts.execute("1", open, { commandId: "c", metadata: { commandId: "d" } }))
      assert.strictEqual(error._tag === "InvalidInput" && error.path, "metadata.commandId")
    }))

  it.effect("events with ids of the decision's own are recorded once, and folded once", () =>
    Effect.gen(function*() {
      const ids = indexes(2).map(() => crypto.randomUUID())
      const own = Decider.make({
        events: [Deposited],
        initial: 0,
        decide: (_command: "again") => ids.map((id) => Deposited.make({ amount: 2 }, { id: id.toUpperCase() })),
        evolve: (state, { data }) => state + data.amount
      })
      const handler = yield* CommandHandler.make(own, { category: someCategory() })
      const first = yield* handler.execute("1", "again")
      const second = yield* writingNothing(handler.execute("1", "again"))
      assert.deepStrictEqual(first.events.map(({ id }) => id as string), ids)
      assert.deepStrictEqual(second, { ...first, alreadyExecuted: true })
    }))

  it.effect("an event that somebody else recorded with a command's id is not taken for the command's", () =>
    Effect.gen(function*() {
      const accounts = yield* someAccounts
      const commandId = `c-${accounts.category}`
      const { events: [event] } = yield* accounts.execute("1", open, { commandId })
      const copy = yield* CommandHandler.make(account, { category: someCategory() })
      const error = yield* Effect.flip(
        append(`${copy.category}-1`, "noStream", [{ id: event!.id, type: "AccountOpened", data: { owner: "Bob" } }])
      )
      assert.strictEqual(error._tag, "IdempotencyConflict")
      assert.strictEqual((yield* Effect.flip(copy.execute("1", open, { commandId })))._tag, "CommandIdReused")
    }))
}
