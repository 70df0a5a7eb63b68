/**
 * A year of a web shop, followed by three projections: revenue by country and
 * day, stock by item, and the balance of each customer.
 */
import { Effect, Schema, Stream } from "effect"
import { importEvents, type ImportSummary } from "../../src/cli/Import.ts"
import { count, duration } from "../../src/cli/Text.ts"
import { type Projection, ProjectionQuery } from "../../src/projection/index.ts"
import { CheckpointStore } from "../../src/store/index.ts"
import { catchUp } from "../ReadModels.ts"
import { type Account, balanceMills, customers } from "./Customers.ts"
import { fromPounds, toPounds } from "./Events.ts"
import { revenue, revenueByDay, type RevenueOfDay } from "./Revenue.ts"
import { change, type Movement, stock } from "./Stock.ts"

/** Lines of each list that is printed. */
const LISTED = 5

/** Items of a page that is read. */
const PAGE_SIZE = 1_000

/** Represents a store in which no table can be filled. */
export class NoTables extends Schema.TaggedError<NoTables>("examples/retail/NoTables")("NoTables", {}) {
  override get message(): string {
    return "revenue is a table, and a store in memory has none"
  }
}

/** Represents a store without invoices. */
export class NoInvoices extends Schema.TaggedError<NoInvoices>("examples/retail/NoInvoices")("NoInvoices", {
  lines: Schema.Int
}) {
  override get message(): string {
    return `none of its ${count(this.lines)} lines belongs to a stream of the categories order and credit`
  }
}

/** What the read models add up to; money in mills. */
export interface Totals {
  readonly revenue: {
    readonly countries: number
    readonly days: number
    readonly orders: number
    readonly lines: number
    readonly creditNotes: number
    readonly returnedLines: number
    readonly soldMills: number
    readonly returnedMills: number
  }
  readonly stock: { readonly items: number } & Movement
  readonly customers: { readonly customers: number } & Account
}

export interface Outcome {
  readonly imported: ImportSummary
  readonly totals: Totals
  /** How many events each projection has seen, by name. */
  readonly seen: Readonly<Record<string, number>>
  readonly best: {
    readonly days: ReadonlyArray<RevenueOfDay>
    readonly items: ReadonlyArray<{ readonly sku: string; readonly movement: Movement }>
    readonly customers: ReadonlyArray<{ readonly customerId: string; readonly account: Account }>
  }
  readonly elapsedMs: number
}

/** The projections of this example. */
export const projections = [revenue, stock, customers]

/** Imports a file of events, brings the projections up to the end of the log, and reads them. */
export const run = Effect.fnUntraced(function*<E, R>(file: Stream.Stream<Uint8Array, E, R>) {
  const { hasTables } = yield* CheckpointStore
  if (!hasTables) return yield* new NoTables()
  const startedAt = performance.now()
  const imported = yield* importEvents(file)
  const seen = yield* catchUp(projections)
  const totals = yield* readTotals
  if (totals.revenue.days === 0) return yield* new NoInvoices({ lines: imported.read })
  return { imported, seen, totals, best: yield* readBest, elapsedMs: performance.now() - startedAt } satisfies Outcome
})

/** Tells the outcome to people. */
export const describe = (name: string, { best, elapsedMs, imported, seen, totals }: Outcome): string => {
  const { customers, revenue, stock } = totals
  return [
    `Imported   ${count(imported.appended)} events from ${name}` +
    (imported.skipped > 0 ? ` (${count(imported.skipped)} were there already)` : "") +
    `, ${duration(elapsedMs)} in all`,
    `Revenue    ${count(revenue.orders)} orders and ${count(revenue.creditNotes)} credit notes ` +
    `of ${count(revenue.countries)} countries: sold GBP ${toPounds(revenue.soldMills)}, ` +
    `returned GBP ${toPounds(revenue.returnedMills)}`,
    ...best.days.map(({ country, day, orders, sold }) =>
      `  ${day}  ${country.padEnd(24)} ${count(orders).padStart(5)} orders  ${sold.padStart(14)}`
    ),
    `Stock      ${count(stock.items)} items: ${count(stock.sold)} pieces sold, ${count(stock.returned)} returned, ` +
    `${count(stock.adjusted)} by ${count(stock.adjustments)} adjustments`,
    ...best.items.map(({ movement, sku }) =>
      `  ${sku.padEnd(12)} ${count(movement.sold).padStart(9)} sold  ${count(change(movement)).padStart(10)} in all`
    ),
    `Customers  ${count(customers.customers)} with ${count(customers.orders)} orders ` +
    `and ${count(customers.creditNotes)} credit notes: they owe GBP ${toPounds(balanceMills(customers))}`,
    ...best.customers.map(({ account, customerId }) =>
      `  ${customerId.padEnd(18)} ${count(account.orders).padStart(5)} orders  ` +
      `${toPounds(account.billedMills).padStart(14)} billed ${toPounds(balanceMills(account)).padStart(14)} owed`
    ),
    `Proved     ${
      Object.entries(seen).map(([name, events]) => `${name} saw ${count(events)} events`).join(", ")
    }: those of the log, each one once`
  ].join("\n")
}

const readTotals = Effect.gen(function*() {
  const countries = new Set<string>()
  const days = new Set<string>()
  const sums = { orders: 0, lines: 0, creditNotes: 0, returnedLines: 0, soldMills: 0, returnedMills: 0 }
  yield* ProjectionQuery.stream(revenueByDay, {
    sort: [{ field: "country" }, { field: "day" }],
    limit: PAGE_SIZE
  }).pipe(
    Stream.runForEach((row) =>
      Effect.sync(() => {
        days.add(row.day)
        countries.add(row.country)
        sums.orders += row.orders
        sums.lines += row.lines
        sums.creditNotes += row.credit_notes
        sums.returnedLines += row.returned_lines
        sums.soldMills += fromPounds(row.sold)
        sums.returnedMills += fromPounds(row.returned)
      })
    )
  )
  const items = yield* readAll(stock)
  const accounts = yield* readAll(customers)
  return {
    revenue: { countries: countries.size, days: days.size, ...sums },
    stock: { items: items.length, ...items.reduce((sum, { state }) => add(sum, state), stock.initial) },
    customers: {
      customers: accounts.length,
      ...accounts.reduce((sum, { state }) => add(sum, state), customers.initial)
    }
  } satisfies Totals
})

const readAll = <State>(projection: Projection.StateProjection<State>) =>
  Stream.runCollect(ProjectionQuery.stream(ProjectionQuery.state(projection), { limit: PAGE_SIZE }))

/** Adds two states field by field. */
const add = <Sums extends Readonly<Record<string, number>>>(one: Sums, other: Sums): Sums =>
  Object.fromEntries(Object.entries(one).map(([name, value]) => [name, value + (other[name] ?? 0)])) as Sums

const readBest = Effect.gen(function*() {
  const days = yield* ProjectionQuery.list(revenueByDay, {
    sort: [{ field: "sold", descending: true }],
    limit: LISTED
  })
  const items = yield* ProjectionQuery.list(ProjectionQuery.state(stock), {
    sort: [{ field: "sold", descending: true }],
    limit: LISTED
  })
  const accounts = yield* ProjectionQuery.list(ProjectionQuery.state(customers), {
    sort: [{ field: "billedMills", descending: true }],
    limit: LISTED
  })
  return {
    days: days.items,
    items: items.items.map(({ key, state }) => ({ sku: key, movement: state })),
    customers: accounts.items.map(({ key, state }) => ({ customerId: key, account: state }))
  } satisfies Outcome["best"]
})
