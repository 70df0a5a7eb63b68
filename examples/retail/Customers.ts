/**
 * What each customer was billed and credited: a state by customer.
 */
import { Schema } from "effect"
import type { RecordedEvent } from "../../src/event/index.ts"
import { Projection } from "../../src/projection/index.ts"
import * as Events from "./Events.ts"

const types = [Events.OrderPlaced, Events.CreditNoteIssued, Events.ItemAdded, Events.ItemReturned] as const

/** An account of a customer, in mills: whole numbers, so sums are exact. */
export const Account = Schema.Struct({
  orders: Schema.Int,
  billedMills: Schema.Int,
  creditNotes: Schema.Int,
  creditedMills: Schema.Int
})

export type Account = typeof Account.Type

/** Lines name their customer in the metadata only. Who bought as a guest has no account. */
const customerOf = ({ metadata }: Pick<RecordedEvent, "metadata">): ReadonlyArray<string> => {
  const customerId = metadata["customerId"]
  return typeof customerId === "string" ? [customerId] : []
}

export const customers = Projection.state({
  name: "retail-customers",
  events: types,
  where: { categories: ["order", "credit"] },
  state: Account,
  initial: { orders: 0, billedMills: 0, creditNotes: 0, creditedMills: 0 },
  key: customerOf,
  on: {
    OrderPlaced: (account) => ({ ...account, orders: account.orders + 1 }),
    CreditNoteIssued: (account) => ({ ...account, creditNotes: account.creditNotes + 1 }),
    ItemAdded: (account, { data }) => ({ ...account, billedMills: account.billedMills + Events.amountMills(data) }),
    ItemReturned: (account, { data }) => ({
      ...account,
      creditedMills: account.creditedMills + Events.amountMills(data)
    })
  }
})

/** What the customer owes, before payments: those are not in the log. */
export const balanceMills = ({ billedMills, creditedMills }: Account): number => billedMills - creditedMills
