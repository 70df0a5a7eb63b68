/**
 * How the stock of each item moved: a state by item.
 */
import { Schema } from "effect"
import { Projection } from "../../src/projection/index.ts"
import * as Events from "./Events.ts"

const types = [Events.ItemAdded, Events.ItemReturned, Events.StockAdjusted] as const

/** Pieces, and how many events they come of. */
export const Movement = Schema.Struct({
  sold: Schema.Int,
  returned: Schema.Int,
  /** Found less lost, when somebody counted. */
  adjusted: Schema.Int,
  lines: Schema.Int,
  returnedLines: Schema.Int,
  adjustments: Schema.Int
})

export type Movement = typeof Movement.Type

/** The prefix of the streams that adjustments are in; what follows it is the item. */
const CATEGORY = "stock-"

export const stock = Projection.state({
  name: "retail-stock",
  events: types,
  where: { categories: ["order", "credit", "stock"] },
  state: Movement,
  initial: { sold: 0, returned: 0, adjusted: 0, lines: 0, returnedLines: 0, adjustments: 0 },
  key: (event) => event.type === "StockAdjusted" ? event.streamId.slice(CATEGORY.length) : event.data.sku,
  on: {
    ItemAdded: (item, { data }) => ({ ...item, sold: item.sold + data.quantity, lines: item.lines + 1 }),
    ItemReturned: (item, { data }) => ({
      ...item,
      returned: item.returned + data.quantity,
      returnedLines: item.returnedLines + 1
    }),
    StockAdjusted: (item, { data }) => ({
      ...item,
      adjusted: item.adjusted + data.quantity,
      adjustments: item.adjustments + 1
    })
  }
})

/** What was added to the shelf since the log began, less what was taken: deliveries are not in the log. */
export const change = ({ adjusted, returned, sold }: Movement): number => adjusted + returned - sold
