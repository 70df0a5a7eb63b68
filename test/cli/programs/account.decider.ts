/** A user's module: deciders with and without a state that can be written down. */
import { Schema } from "effect"
import { Decider } from "../../../src/decider/index.ts"
import { EventType } from "../../../src/event/index.ts"

const Opened = EventType.make("AccountOpened", { owner: Schema.NonEmptyString })

const Deposited = EventType.make("MoneyDeposited", { amount: Schema.Finite }, {
  version: 2,
  upcast: { 1: (data: { readonly cents: number }) => ({ amount: data.cents / 100 }) }
})

const events = [Opened, Deposited]

const initial = { owner: "", balance: 0 }

const evolve = (
  state: typeof initial,
  event: EventType.EventOf<typeof Opened | typeof Deposited>
): typeof initial => {
  if (event.type === "AccountOpened") return { ...state, owner: event.data.owner }
  if (event.data.amount < 0) throw new RangeError("less than nothing")
  return { ...state, balance: state.balance + event.data.amount }
}

const State = Schema.Struct({ owner: Schema.String, balance: Schema.Finite })

const decide = (amount: number) => [Deposited.make({ amount })]

export const Account = Decider.make({ events, initial, decide, evolve, state: { schema: State, version: 1 } })

/** The same with another meaning, by mistake under the same version. */
export const Doubled = Decider.make({
  events,
  initial,
  decide,
  evolve: (state: typeof initial, event: EventType.EventOf<typeof Opened | typeof Deposited>) =>
    event.type === "AccountOpened"
      ? evolve(state, event)
      : { ...state, balance: state.balance + 2 * event.data.amount },
  state: { schema: State, version: 1 }
})

export const Plain = Decider.make({ events, initial, decide, evolve })
