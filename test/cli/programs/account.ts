/** A user's module: event types, in a variable and in an array, and what is none. */
import { Schema } from "effect"
import { EventType } from "../../../src/event/index.ts"
import { Step } from "../../../src/version/index.ts"

export const currency = "EUR"

const Opened = EventType.make("AccountOpened", { owner: Schema.NonEmptyString })

const Deposited = EventType.history("MoneyDeposited", { cents: Schema.Int })
  .version(2, { amount: Schema.Finite }, (start) =>
    start.pipe(
      Step.rename("cents", "amount"),
      Step.convert("amount", (cents) => cents / 100, (amount) => Math.round(amount * 100))
    ))
  .version(3, { amount: Schema.Finite, currency: Schema.String }, (start) => start.pipe(Step.add("currency", "EUR")))
  .deprecate(1, { reason: "cents are no money", since: "2026-03-01" })
  .make()

export const account = { events: [Opened, Deposited] }
