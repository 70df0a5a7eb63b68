/**
 * The events of a web shop's invoices and of its shelves.
 */
import { Schema } from "effect"
import { EventType } from "../../src/event/index.ts"
import { Step } from "../../src/version/index.ts"

/** What begins an order or a credit note: its lines do not say it again. */
const document = {
  country: Schema.String,
  currency: Schema.String,
  customerId: Schema.optionalKey(Schema.String)
}

export const OrderPlaced = EventType.make("OrderPlaced", document)
export const CreditNoteIssued = EventType.make("CreditNoteIssued", document)

/** The bounds of quantity and price keep the amount of a line exact: at most 10^15 mills. */
const quantity = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))

/** In pounds, with at most three places: a few prices have a tenth of a penny. */
const unitPrice = Schema.Finite.check(
  Schema.isBetween({ minimum: 0, maximum: 1_000_000 }),
  Schema.makeFilter((pounds) => toMills(pounds) / 1_000 === pounds || "expected at most three decimal places")
)

const toMills = (pounds: number): number => Math.round(pounds * 1_000)

const item = { sku: Schema.String, description: Schema.optionalKey(Schema.String), quantity }

/**
 * A line of an order or a credit note. Prices were pounds with a fraction once;
 * whole mills, thousandths of a pound, add up exactly.
 */
const line = <const Name extends string>(name: Name) =>
  EventType.history(name, { ...item, unitPrice })
    .version(2, { ...item, unitPriceMills: Schema.Int }, (start) =>
      start.pipe(
        Step.rename("unitPrice", "unitPriceMills"),
        Step.convert("unitPriceMills", toMills, (mills) => mills / 1_000)
      ))
    .make()

export const ItemAdded = line("ItemAdded")
export const ItemReturned = line("ItemReturned")

/** Pieces that were found, or are gone; the stream says of which item. */
export const StockAdjusted = EventType.make("StockAdjusted", {
  quantity: Schema.Int,
  reason: Schema.NullOr(Schema.String)
})

/** Every type that the projections read. */
export const types = [OrderPlaced, CreditNoteIssued, ItemAdded, ItemReturned, StockAdjusted] as const

/** What a line is worth, in mills. */
export const amountMills = (line: { readonly quantity: number; readonly unitPriceMills: number }): number =>
  line.quantity * line.unitPriceMills

/** Mills as a decimal number of pounds: `2550` is `2.550`. */
export const toPounds = (mills: number): string => {
  const digits = String(Math.abs(mills)).padStart(4, "0")
  return `${mills < 0 ? "-" : ""}${digits.slice(0, -3)}.${digits.slice(-3)}`
}

/** Mills of a decimal number of pounds with three places. */
export const fromPounds = (pounds: string): number => Number(pounds.replace(".", ""))
