/**
 * A web shop: the orders of a year, imported and folded, and then a sale of what
 * its customers like most.
 */
import { Effect, Schema, Stream } from "effect"
import { importEvents, type ImportSummary } from "../../src/cli/Import.ts"
import { count, duration } from "../../src/cli/Text.ts"
import { EventStore } from "../../src/store/index.ts"
import { VersionRegistry } from "../../src/version/index.ts"
import * as Events from "./Events.ts"
import { Order, type State } from "./Order.ts"
import { type Buyer, sell, type Sold } from "./Sale.ts"

/** Most customers of the sale: those who bought the article last. */
const BUYERS_MAX = 40

/** Represents a file without orders. */
export class NoOrders extends Schema.TaggedError<NoOrders>("examples/shop/NoOrders")("NoOrders", {
  lines: Schema.Int
}) {
  override get message(): string {
    return `none of its ${count(this.lines)} lines is an item of an order`
  }
}

/** What the orders of the log add up to. */
export interface Totals {
  readonly orders: number
  readonly lines: number
  readonly pieces: number
  readonly totalPence: number
}

export interface Outcome {
  readonly imported: ImportSummary
  readonly totals: Totals
  readonly sale: Sold
  readonly elapsedMs: number
}

/** Imports a file of events, folds every order that the store then holds, and has a sale. */
export const run = Effect.fnUntraced(function*<E, R>(file: Stream.Stream<Uint8Array, E, R>) {
  const startedAt = performance.now()
  const imported = yield* importEvents(file)
  const { bestseller, totals } = yield* fold
  if (bestseller === undefined) return yield* new NoOrders({ lines: imported.read })
  const sale = yield* sell(bestseller.sku, bestseller.buyers)
  return { imported, totals, sale, elapsedMs: performance.now() - startedAt } satisfies Outcome
})

/** Tells the outcome to people. */
export const describe = (name: string, { elapsedMs, imported, sale, totals }: Outcome): string =>
  [
    `Imported   ${count(imported.appended)} events from ${name}` +
    (imported.skipped > 0 ? ` (${count(imported.skipped)} were there already)` : "") +
    `, ${duration(elapsedMs)} in all`,
    `Orders     ${count(totals.orders)} with ${count(totals.lines)} lines, ${count(totals.pieces)} pieces ` +
    `for GBP ${count(Math.round(totals.totalPence / 100))}`,
    `Sale       ${count(sale.buyers)} customers wanted ${count(sale.wanted)} pieces of ${sale.sku} ` +
    `at the same time, and there were ${count(sale.stock)}`,
    `Sold       ${count(sale.sold)} pieces; ${count(sale.refused)} customers came too late`,
    `Oversold   ${count(sale.oversold)}`
  ].join("\n")

/** Folds all orders, and remembers who bought what. */
const fold = Effect.gen(function*() {
  const store = yield* EventStore
  const registry = yield* VersionRegistry.make(Events.orderTypes)
  const orders = new Map<string, State>()
  const sales = new Map<string, Array<Sale>>()
  yield* store.readAll({ filter: { categories: ["order"] } }).pipe(
    Stream.runForEachArray((page) =>
      Effect.map(registry.decodeAll(page), (events) => {
        for (const event of events) {
          orders.set(event.streamId, Order.evolve(orders.get(event.streamId) ?? Order.initial, event))
          if (event.type !== "ItemAdded") continue
          const { quantity, sku, unitPricePence } = event.data
          const sold = sales.get(sku) ?? []
          sold.push({ streamId: event.streamId, quantity, unitPricePence })
          sales.set(sku, sold)
        }
      })
    )
  )
  const all = [...orders.values()]
  const sum = (of: (order: State) => number) => all.reduce((total, order) => total + of(order), 0)
  return {
    totals: {
      orders: all.length,
      lines: sum(({ lines }) => lines),
      pieces: sum(({ pieces }) => pieces),
      totalPence: sum(({ totalPence }) => totalPence)
    } satisfies Totals,
    bestseller: bestsellerOf(sales, orders)
  }
})

/** Something that was bought. */
interface Sale {
  readonly streamId: string
  readonly quantity: number
  readonly unitPricePence: number
}

const bestsellerOf = (sales: ReadonlyMap<string, ReadonlyArray<Sale>>, orders: ReadonlyMap<string, State>) => {
  const [best] = [...sales].sort(([, a], [, b]) => b.length - a.length)
  if (best === undefined) return undefined
  const [sku, sold] = best
  return {
    sku,
    buyers: sold.slice(-BUYERS_MAX).map(({ quantity, streamId, unitPricePence }): Buyer => {
      const { country, currency } = orders.get(streamId) ?? Order.initial
      return { country, currency, quantity, unitPricePence }
    })
  }
}
