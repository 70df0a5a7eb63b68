/**
 * Revenue by country and day: a table that is filled in one transaction with its
 * checkpoint.
 */
import { DateTime, Schema } from "effect"
import { Projection, ProjectionQuery } from "../../src/projection/index.ts"
import { occurredAt } from "../EventTime.ts"
import * as Events from "./Events.ts"

const types = [Events.OrderPlaced, Events.CreditNoteIssued, Events.ItemAdded, Events.ItemReturned] as const

const tables = {
  revenue: `country text, day date, orders integer NOT NULL, lines integer NOT NULL, sold numeric(18, 3) NOT NULL,
    credit_notes integer NOT NULL, returned_lines integer NOT NULL, returned numeric(18, 3) NOT NULL,
    PRIMARY KEY (country, day)`,
  revenue_documents: "stream text PRIMARY KEY, country text NOT NULL, day date NOT NULL"
}

type EventOf<Type extends string> = Extract<Projection.EventIn<typeof types>, { readonly type: Type }>

type Tables = Projection.TableNames<typeof tables>

/** An order or a credit note: its lines follow in the same stream. */
const document =
  (orders: 0 | 1) => (event: EventOf<"OrderPlaced" | "CreditNoteIssued">, { revenue, revenue_documents }: Tables) => {
    const { country } = event.data
    const day = DateTime.formatIsoDateUtc(occurredAt(event))
    return [
      Projection.sql`INSERT INTO ${revenue_documents} VALUES (${event.streamId}, ${country}, ${day})`,
      Projection.sql`INSERT INTO ${revenue} AS r
        VALUES (${country}, ${day}, ${orders}::integer, 0, 0, ${1 - orders}::integer, 0, 0)
        ON CONFLICT (country, day) DO UPDATE
        SET orders = r.orders + excluded.orders, credit_notes = r.credit_notes + excluded.credit_notes`
    ]
  }

/**
 * Country and day are those of the document. A line without one finds neither, is
 * refused by the primary key, and so stops the projection: it is not left out.
 */
const sold = ({ data, streamId }: EventOf<"ItemAdded">, { revenue, revenue_documents }: Tables) =>
  Projection.sql`INSERT INTO ${revenue} AS r
    SELECT d.country, d.day, 0, 1, ${Events.toPounds(Events.amountMills(data))}::numeric, 0, 0, 0
    FROM (SELECT ${streamId}::text AS stream) l LEFT JOIN ${revenue_documents} d USING (stream)
    ON CONFLICT (country, day) DO UPDATE SET lines = r.lines + 1, sold = r.sold + excluded.sold`

const returned = ({ data, streamId }: EventOf<"ItemReturned">, { revenue, revenue_documents }: Tables) =>
  Projection.sql`INSERT INTO ${revenue} AS r
    SELECT d.country, d.day, 0, 0, 0, 0, 1, ${Events.toPounds(Events.amountMills(data))}::numeric
    FROM (SELECT ${streamId}::text AS stream) l LEFT JOIN ${revenue_documents} d USING (stream)
    ON CONFLICT (country, day) DO UPDATE
    SET returned_lines = r.returned_lines + 1, returned = r.returned + excluded.returned`

export const revenue = Projection.table({
  name: "retail-revenue",
  events: types,
  where: { categories: ["order", "credit"] },
  tables,
  on: { OrderPlaced: document(1), CreditNoteIssued: document(0), ItemAdded: sold, ItemReturned: returned }
})

/** Money is text of a decimal number of pounds: a JavaScript number would round sums of it. */
export const RevenueOfDay = Schema.Struct({
  country: Schema.String,
  day: Schema.String,
  orders: Schema.Int,
  lines: Schema.Int,
  sold: Schema.String,
  credit_notes: Schema.Int,
  returned_lines: Schema.Int,
  returned: Schema.String
})

export type RevenueOfDay = typeof RevenueOfDay.Type

/** The table as its readers see it. */
export const revenueByDay = ProjectionQuery.table(revenue, "revenue", RevenueOfDay)
