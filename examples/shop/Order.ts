/**
 * An order as an aggregate: what it adds up to, and what may happen to it.
 */
import { Schema } from "effect"
import { Aggregate, Identity } from "../../src/decider/index.ts"
import * as Events from "./Events.ts"

/** Ids of new orders; those of old ones are numbers of invoices. */
export const OrderId = Identity.uuidV7("OrderId")
export type OrderId = typeof OrderId.Type

/** An order as its events tell it. */
export interface State {
  readonly status: "None" | "Open" | "CheckedOut" | "Cancelled"
  readonly country: string
  readonly currency: string
  readonly lines: number
  readonly pieces: number
  readonly totalPence: number
}

/** Represents a command that the state of the order does not allow. Nothing happens then. */
export class OrderRefused extends Schema.TaggedError<OrderRefused>("examples/shop/OrderRefused")("OrderRefused", {
  reason: Schema.Literals(["placed already", "not open", "empty"])
}) {
  override get message(): string {
    return `the order is ${this.reason}`
  }
}

export interface Place {
  readonly id: OrderId
  readonly country: string
  readonly currency: string
  readonly customerId?: string
}

const initial: State = { status: "None", country: "", currency: "", lines: 0, pieces: 0, totalPence: 0 }

export const Order = Aggregate.make({
  events: Events.orderTypes,
  initial,
  commands: {
    place: (state, { id, ...data }: Place) =>
      state.status === "None"
        ? [Events.OrderPlaced.make(data, { tags: [Events.orderTag(id)] })]
        : new OrderRefused({ reason: "placed already" }),
    checkOut: (state, id: OrderId) => {
      if (state.status !== "Open") return new OrderRefused({ reason: "not open" })
      return state.lines === 0
        ? new OrderRefused({ reason: "empty" })
        : [Events.OrderCheckedOut.make({}, { tags: [Events.orderTag(id)] })]
    },
    cancel: (state, id: OrderId) =>
      state.status === "Open"
        ? [Events.OrderCancelled.make({}, { tags: [Events.orderTag(id)] })]
        : new OrderRefused({ reason: "not open" })
  },
  on: {
    OrderPlaced: (state, { country, currency }): State => ({ ...state, status: "Open", country, currency }),
    ItemAdded: (state, { quantity, unitPricePence }): State => ({
      ...state,
      lines: state.lines + 1,
      pieces: state.pieces + quantity,
      totalPence: state.totalPence + quantity * unitPricePence
    }),
    OrderCheckedOut: (state): State => ({ ...state, status: "CheckedOut" }),
    OrderCancelled: (state): State => ({ ...state, status: "Cancelled" })
  }
})
