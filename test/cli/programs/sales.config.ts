/** A user's configuration: projections of each kind, one that parks, a divided one, and a reactor with its service. */
import { Context, Effect, Layer, Schema } from "effect"
import { EventType } from "../../../src/event/index.ts"
import { Projection, Reactor } from "../../../src/projection/index.ts"
import { defineConfig } from "../../../src/runtime/StoreConfig.ts"

const Sold = EventType.make("Sold", { country: Schema.String, cents: Schema.Int })

/** Cents by country, in a table. */
export const revenue = Projection.table({
  name: "revenue",
  events: [Sold],
  tables: {
    revenue: "country text PRIMARY KEY, cents bigint NOT NULL, at timestamptz NOT NULL, detail jsonb, odd money",
    sales: "position bigint"
  },
  on: {
    Sold: ({ data, position, recordedAt }, { revenue, sales }) => [
      Projection.sql`INSERT INTO ${revenue} AS r VALUES
        (${data.country}, ${data.cents}::bigint, ${new Date(recordedAt.epochMilliseconds)}, ${
        Projection.json({ first: position })
      }, '1.50')
        ON CONFLICT (country) DO UPDATE SET cents = r.cents + excluded.cents`,
      Projection.sql`INSERT INTO ${sales} VALUES (${position}::bigint)`
    ]
  }
})

/** One state for all: what was sold. A negative price cannot be applied. */
const total = Projection.state({
  name: "total",
  events: [Sold],
  onError: { action: "park" },
  state: Schema.Struct({ cents: Schema.Int, sales: Schema.Int }),
  initial: { cents: 0, sales: 0 },
  on: {
    Sold: (state, { data }) => {
      if (data.cents < 0 && !Object.hasOwn(globalThis, "negativePricesAllowed")) throw new RangeError("below zero")
      return { cents: state.cents + data.cents, sales: state.sales + 1 }
    }
  }
})

/** By country, in slices. */
const countries = Projection.state({
  name: "countries",
  version: 2,
  events: [Sold],
  slices: { count: 3, by: (event) => (event.data as { readonly country: string }).country },
  state: Schema.Int,
  initial: 0,
  key: ({ data }) => data.country,
  on: { Sold: (cents, { data }) => cents + data.cents }
})

/** Where the reactor's effects go. */
class Printer extends Context.Service<Printer, { readonly print: (text: string) => Effect.Effect<void> }>()(
  "test/Printer"
) {}

const receipts = Reactor.make({
  name: "receipts",
  events: [Sold],
  from: "start",
  react: ({ data }) => Printer.use((printer) => printer.print(data.country))
})

const printed: Array<string> = []

export default defineConfig({
  projections: [revenue, total, countries],
  reactors: [receipts],
  services: Layer.succeed(Printer, { print: (text) => Effect.sync(() => void printed.push(text)) }),
  events: [Sold]
})
