/** Folds the events of one order into what it adds up to. */
import type { RecordedEvent } from "../../src/event/index.ts"

/** An order as its events tell it. */
export interface Order {
  readonly country: string
  readonly lines: number
  readonly items: number
  /** In hundredths of the currency, so that sums are exact. */
  readonly totalCents: number
  readonly currency: string
}

export const empty: Order = { country: "", lines: 0, items: 0, totalCents: 0, currency: "" }

/** Takes one event further; events of other kinds change nothing. */
export const evolve = (order: Order, event: RecordedEvent): Order => {
  const data = event.data as Readonly<Record<string, unknown>>
  switch (event.type) {
    case "OrderPlaced":
      return { ...order, country: String(data["country"]), currency: String(data["currency"]) }
    case "ItemAdded": {
      const quantity = Number(data["quantity"])
      return {
        ...order,
        lines: order.lines + 1,
        items: order.items + quantity,
        totalCents: order.totalCents + Math.round(quantity * Number(data["unitPrice"]) * 100)
      }
    }
    default:
      return order
  }
}
