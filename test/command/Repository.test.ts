import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type CommandError, Repository } from "../../src/command/index.ts"
import { Aggregate } from "../../src/decider/index.ts"
import { EventType } from "../../src/event/index.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"

const Deposited = EventType.make("MoneyDeposited", { amount: Schema.Number })
class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", {}) {}

const Account = Aggregate.make({
  events: [Deposited],
  initial: 0,
  commands: {
    deposit: (_balance, amount: number) => amount > 100 ? new TooMuch() : [Deposited.make({ amount })],
    check: () => []
  },
  on: { MoneyDeposited: (balance, { amount }) => balance + amount }
})

describe("Repository", () => {
  it.effect("a method carries out its command, and fails with what that method rejects with", () =>
    Effect.gen(function*() {
      const accounts = yield* Repository.make(Account, { category: "account" })
      const one = accounts.get("1")
      const { state } = yield* one.deposit(10)
      assert.strictEqual(state, 10)
      const checked: Effect.Effect<{ readonly state: number }, CommandError> = one.check()
      assert.strictEqual((yield* checked).state, 10)
      const rejected: TooMuch | CommandError = yield* Effect.flip(one.deposit(101))
      assert.instanceOf(rejected, TooMuch)
      assert.strictEqual((yield* one.load).state, 10)
    }).pipe(Effect.provide(MemoryEventStore.layer)))

  it.effect("options of the object go with each of its commands", () =>
    Effect.gen(function*() {
      const accounts = yield* Repository.make(Account, { category: "account" })
      const once = accounts.get("1", { commandId: "c-1" })
      yield* once.deposit(10)
      assert.isTrue((yield* once.deposit(10)).alreadyExecuted)
      assert.strictEqual((yield* accounts.get("1").load).state, 10)
    }).pipe(Effect.provide(MemoryEventStore.layer)))
})
