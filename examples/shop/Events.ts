/**
 * The events of a web shop: its orders, and its stock.
 */
import { Schema } from "effect"
import { EventType } from "../../src/event/index.ts"
import { Step } from "../../src/version/index.ts"

export const OrderPlaced = EventType.make("OrderPlaced", {
  country: Schema.String,
  currency: Schema.String,
  customerId: Schema.optionalKey(Schema.String)
})

const pieces = Schema.Int.check(Schema.isGreaterThan(0))

/** In pounds; the bound keeps the price in pence a whole number that is exact. */
const unitPrice = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))

/** A line of an order. Prices were pounds with a fraction once; sums of pence are exact. */
export const ItemAdded = EventType.history("ItemAdded", {
  sku: Schema.String,
  description: Schema.optionalKey(Schema.String),
  quantity: pieces,
  unitPrice
})
  .version(2, {
    sku: Schema.String,
    description: Schema.optionalKey(Schema.String),
    quantity: pieces,
    unitPricePence: Schema.Int
  }, (start) =>
    start.pipe(
      Step.rename("unitPrice", "unitPricePence"),
      // one-way: a few prices have a tenth of a penny
      Step.convert("unitPricePence", (pounds) => Math.round(pounds * 100))
    ))
  .make()

export const OrderCheckedOut = EventType.make("OrderCheckedOut", {})
export const OrderCancelled = EventType.make("OrderCancelled", {})

/** What is on the shelf, counted by hand: whatever was thought before does not matter any more. */
export const StockCounted = EventType.make("StockCounted", {
  sku: Schema.String,
  pieces: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
})

/** Every type that a stream of the category `order` holds. */
export const orderTypes = [OrderPlaced, ItemAdded, OrderCheckedOut, OrderCancelled] as const

/** What an order is in, for those who decide over many orders. */
export const orderTag = (id: string): string => `order:${id}`

/** What an article is in. */
export const skuTag = (sku: string): string => `sku:${sku}`
