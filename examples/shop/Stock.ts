/**
 * The rule that no single stream can keep: an article is not sold more often
 * than it is there, whoever buys it in whatever order.
 *
 * **Details**
 *
 * What matters to a buyer are the events with the tag of the article, all
 * streams together, and those of the own order. They are read by a query, and
 * the append takes the same query as its condition: when another buyer was
 * faster, it is decided again on what is left.
 */
import { Schema } from "effect"
import { BoundaryDecision } from "../../src/command/index.ts"
import * as Events from "./Events.ts"
import { type OrderId, OrderRefused } from "./Order.ts"

/** Represents a wish for more than there is. Nothing happens then. */
export class OutOfStock extends Schema.TaggedError<OutOfStock>("examples/shop/OutOfStock")("OutOfStock", {
  sku: Schema.String,
  wanted: Schema.Int,
  left: Schema.Int
}) {
  override get message(): string {
    return `${this.wanted} of ${this.sku} are wanted and ${this.left} left`
  }
}

/** Puts an article into an order. */
export interface AddItem {
  readonly id: OrderId
  readonly sku: string
  readonly quantity: number
  readonly unitPricePence: number
}

const initial = { isOpen: false, left: 0 }

/** Makes the decision over stock and orders. */
export const addItem = BoundaryDecision.make({
  events: [...Events.orderTypes, Events.StockCounted],
  query: ({ id, sku }: AddItem) => [
    { types: ["StockCounted", "ItemAdded"], tags: [Events.skuTag(sku)] },
    { types: ["OrderPlaced", "OrderCheckedOut", "OrderCancelled"], tags: [Events.orderTag(id)] }
  ],
  initial,
  evolve: (state, event): typeof initial => {
    switch (event.type) {
      case "StockCounted":
        return { ...state, left: event.data.pieces }
      case "ItemAdded":
        return { ...state, left: state.left - event.data.quantity }
      case "OrderPlaced":
        return { ...state, isOpen: true }
      default:
        return { ...state, isOpen: false }
    }
  },
  decide: ({ id, quantity, sku, unitPricePence }, { isOpen, left }) => {
    if (!isOpen) return new OrderRefused({ reason: "not open" })
    if (quantity > left) return new OutOfStock({ sku, wanted: quantity, left })
    return [
      Events.ItemAdded.make({ sku, quantity, unitPricePence }, { tags: [Events.skuTag(sku), Events.orderTag(id)] })
    ]
  },
  streamId: (_event, { id }) => `order-${id}`
})
