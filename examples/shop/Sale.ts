/**
 * A sale: many customers want an article at the same time, and there is only
 * half of what they want.
 */
import { Effect, Stream } from "effect"
import { CommandHandler } from "../../src/command/index.ts"
import { EventStore } from "../../src/store/index.ts"
import { VersionRegistry } from "../../src/version/index.ts"
import * as Events from "./Events.ts"
import { Order, OrderId } from "./Order.ts"
import * as Stock from "./Stock.ts"

/** Somebody who wants to buy. */
export interface Buyer {
  readonly country: string
  readonly currency: string
  readonly quantity: number
  readonly unitPricePence: number
}

/** How a sale went. */
export interface Sold {
  readonly sku: string
  readonly buyers: number
  /** Pieces that were there. */
  readonly stock: number
  /** Pieces that the buyers wanted together. */
  readonly wanted: number
  /** Pieces that are in orders that were checked out. */
  readonly sold: number
  /** Buyers who went away with nothing. */
  readonly refused: number
  /** Pieces that were sold and never there, as the log tells it. */
  readonly oversold: number
}

/** Customers who buy at the same time. */
const BUYERS_AT_A_TIME = 16

/** Counts half of what the buyers want into the stock, and lets them all buy. */
export const sell = Effect.fnUntraced(function*(sku: string, buyers: ReadonlyArray<Buyer>) {
  const wanted = buyers.reduce((sum, { quantity }) => sum + quantity, 0)
  const stock = Math.floor(wanted / 2)
  yield* count(sku, stock)
  const orders = yield* CommandHandler.make(Order, { category: "order" })
  const items = yield* Stock.addItem

  const buy = Effect.fnUntraced(function*({ country, currency, quantity, unitPricePence }: Buyer) {
    const id = yield* OrderId.generate
    yield* orders.execute(id, Order.commands.place({ id, country, currency }))
    return yield* items.execute({ id, sku, quantity, unitPricePence }).pipe(
      Effect.andThen(orders.execute(id, Order.commands.checkOut(id))),
      Effect.map(({ state }) => state.pieces),
      Effect.catchTag("OutOfStock", () => Effect.as(orders.execute(id, Order.commands.cancel(id)), 0))
    )
  })

  const bought = yield* Effect.forEach(buyers, buy, { concurrency: BUYERS_AT_A_TIME })
  return {
    sku,
    buyers: buyers.length,
    stock,
    wanted,
    sold: bought.reduce((sum, pieces) => sum + pieces, 0),
    refused: bought.filter((pieces) => pieces === 0).length,
    oversold: yield* oversold(sku)
  } satisfies Sold
})

/** Records what is on the shelf. */
const count = Effect.fnUntraced(function*(sku: string, pieces: number) {
  const store = yield* EventStore
  const registry = yield* VersionRegistry.make([Events.StockCounted])
  const events = yield* registry.encodeAll([Events.StockCounted.make({ sku, pieces }, { tags: [Events.skuTag(sku)] })])
  yield* store.append({ streamId: `stock-${sku}`, expected: "any", events })
})

/** Adds up the log again, without the rule: how far below nothing the stock ever was. */
export const oversold = Effect.fnUntraced(function*(sku: string) {
  const store = yield* EventStore
  const registry = yield* VersionRegistry.make([Events.StockCounted, Events.ItemAdded])
  let left = 0
  let lowest = 0
  yield* store.readAll({ filter: { query: [{ types: ["StockCounted", "ItemAdded"], tags: [Events.skuTag(sku)] }] } })
    .pipe(
      Stream.runForEachArray((page) =>
        Effect.map(registry.decodeAll(page), (events) => {
          for (const event of events) {
            left = event.type === "StockCounted" ? event.data.pieces : left - event.data.quantity
            lowest = Math.min(lowest, left)
          }
        })
      )
    )
  return Math.max(0, -lowest)
})
