/**
 * A bank account: what the tests of commands decide about.
 */
import { Effect, Result, Schema } from "effect"
import { Decider } from "../../src/decider/index.ts"
import { EventType } from "../../src/event/index.ts"

export const Opened = EventType.make("AccountOpened", { owner: Schema.String })
export const Deposited = EventType.make("MoneyDeposited", { amount: Schema.Number }, {
  version: 2,
  upcast: {
    1: (data: { readonly cents: number }) => {
      if (data.cents < 0) throw new Error("negative cents")
      return { amount: data.cents / 100 }
    }
  }
})
export const Withdrawn = EventType.make("MoneyWithdrawn", { amount: Schema.Number })
export const Noted = EventType.make("NoteAdded", { text: Schema.String })

export const events = [Opened, Deposited, Withdrawn, Noted] as const
export type AccountEvent = EventType.EventOf<(typeof events)[number]>

export class AlreadyOpen extends Schema.TaggedError<AlreadyOpen>()("AlreadyOpen", {}) {}
export class NotOpen extends Schema.TaggedError<NotOpen>()("NotOpen", {}) {}
export class CreditExceeded extends Schema.TaggedError<CreditExceeded>()("CreditExceeded", {
  balance: Schema.Number
}) {}

export type AccountCommand =
  | { readonly _tag: "Open"; readonly owner: string }
  | { readonly _tag: "Deposit"; readonly amount: number; readonly times?: number }
  | { readonly _tag: "Withdraw"; readonly amount: number }
  | { readonly _tag: "Note"; readonly text: string }
  | { readonly _tag: "Check" }

export const Account = Schema.Struct({ isOpen: Schema.Boolean, balance: Schema.Number, deposits: Schema.Number })
export type Account = typeof Account.Type

/** Every way in which a decision can be answered, and every way in which it can break. */
export const account = Decider.make({
  events,
  initial: { isOpen: false, balance: 0, deposits: 0 } as Account,
  decide: (command: AccountCommand, state) => {
    switch (command._tag) {
      case "Open":
        return state.isOpen ? new AlreadyOpen() : [Opened.make({ owner: command.owner })]
      case "Deposit":
        return state.isOpen
          ? Result.succeed(Array.from({ length: command.times ?? 1 }, () => Deposited.make({ amount: command.amount })))
          : Result.fail(new NotOpen())
      case "Withdraw":
        return state.balance < command.amount
          ? Effect.fail(new CreditExceeded({ balance: state.balance }))
          : Effect.succeed([Withdrawn.make({ amount: command.amount })])
      case "Note":
        if (command.text === "throw in decide") throw new Error("decide broke")
        if (command.text === "die in decide") return Effect.die(new Error("decide died"))
        return [Noted.make({ text: command.text }, { tags: ["note", "a", "note"], metadata: { by: "decision" } })]
      case "Check":
        return []
    }
  },
  evolve: (state, event) => {
    switch (event.type) {
      case "AccountOpened":
        return { ...state, isOpen: true }
      case "MoneyDeposited":
        return { ...state, balance: state.balance + event.data.amount, deposits: state.deposits + 1 }
      case "MoneyWithdrawn":
        return { ...state, balance: state.balance - event.data.amount }
      case "NoteAdded":
        if (event.data.text === "throw in evolve") throw new Error("evolve broke")
        return state
    }
  },
  state: { schema: Account, version: 1 }
})

export const open: AccountCommand = { _tag: "Open", owner: "Ann" }
export const deposit = (amount: number): AccountCommand => ({ _tag: "Deposit", amount })
export const withdraw = (amount: number): AccountCommand => ({ _tag: "Withdraw", amount })
export const note = (text: string): AccountCommand => ({ _tag: "Note", text })
export const check: AccountCommand = { _tag: "Check" }
