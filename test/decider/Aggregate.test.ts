import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Aggregate, Decider } from "../../src/decider/index.ts"
import { EventType } from "../../src/event/index.ts"

const Opened = EventType.make("AccountOpened", { owner: Schema.String })
const Deposited = EventType.make("MoneyDeposited", { amount: Schema.Number })
class NotOpen extends Schema.TaggedError<NotOpen>()("NotOpen", {}) {}

const Account = Aggregate.make({
  events: [Opened, Deposited],
  initial: { owner: undefined as string | undefined, balance: 0 },
  commands: {
    open: (_state, { owner }: { readonly owner: string }) => [Opened.make({ owner })],
    deposit: (state, amount: number) =>
      state.owner === undefined ? new NotOpen() : [Deposited.make({ amount }), Deposited.make({ amount: 0 })],
    check: () => []
  },
  on: {
    AccountOpened: (state, { owner }) => ({ ...state, owner }),
    MoneyDeposited: (state, { amount }, event) => ({
      ...state,
      balance: state.balance + amount + (event.data.amount - amount)
    })
  }
})

describe("Aggregate", () => {
  it("a method decides on the command of its name", () => {
    assert.deepStrictEqual(
      Account.decide(Account.commands.open({ owner: "Ann" }), Account.initial),
      [{ type: "AccountOpened", data: { owner: "Ann" } }]
    )
    assert.instanceOf(Account.decide(Account.commands.deposit(3), Account.initial), NotOpen)
  })

  it("a handler evolves on the event of its name", () => {
    assert.deepStrictEqual(
      Decider.fold(Account, [
        Opened.make({ owner: "Ann" }),
        Deposited.make({ amount: 3 }),
        Deposited.make({ amount: 4 })
      ]),
      { owner: "Ann", balance: 7 }
    )
  })

  it("commands are plain values, made with what the method takes", () => {
    assert.deepStrictEqual(Account.commands.deposit(3), { _tag: "deposit", input: 3 })
    assert.deepStrictEqual(Account.commands.check(), { _tag: "check", input: undefined })
    // @ts-expect-error a deposit takes a number
    Account.commands.deposit("3")
    // @ts-expect-error an opening takes an owner
    Account.commands.open()
  })

  it("a state of several shapes is inferred from the initial one", () => {
    type Door = { readonly _tag: "Open"; readonly by: string } | { readonly _tag: "Shut" }
    const gate = Aggregate.make({
      events: [Opened, Deposited],
      initial: { _tag: "Shut" } as Door,
      commands: {
        open: (state, owner: string) => state._tag === "Open" ? [] : [Opened.make({ owner })]
      },
      on: {
        AccountOpened: (_state, { owner }) => ({ _tag: "Open", by: owner }),
        MoneyDeposited: (state) => state._tag === "Open" ? { _tag: "Shut" } : state
      }
    })
    const events = gate.decide(gate.commands.open("Ann"), gate.initial) as ReadonlyArray<
      EventType.EventOf<typeof Opened>
    >
    assert.deepStrictEqual(Decider.fold(gate, events), { _tag: "Open", by: "Ann" })
  })

  it("it is a decider of exactly its commands, events and rejections", () => {
    const decider: Decider.Decider<
      | { readonly _tag: "open"; readonly input: { readonly owner: string } }
      | { readonly _tag: "deposit"; readonly input: number }
      | { readonly _tag: "check"; readonly input: undefined },
      { readonly owner: string | undefined; readonly balance: number },
      EventType.EventOf<typeof Opened | typeof Deposited>,
      NotOpen
    > = Account
    assert.strictEqual(decider.events.length, 2)
  })

  it("an event without a handler does not compile", () => {
    Aggregate.make({
      events: [Opened, Deposited],
      initial: 0,
      commands: {},
      // @ts-expect-error MoneyDeposited has no handler
      on: { AccountOpened: (state) => state }
    })
  })

  it("a command or an event that has no handler throws, whatever the prototype has by its name", () => {
    assert.throws(
      () => Account.decide({ _tag: "toString", input: 1 } as never, Account.initial),
      /no handler is named "toString"/
    )
    assert.throws(() => Account.evolve(Account.initial, { type: "valueOf", data: 1 } as never), /no handler/)
  })
})
