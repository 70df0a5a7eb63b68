/**
 * What the processes of a trial project, and what that must be: folded here from
 * the rows of the log, with nothing of the store's.
 */
import { Schema } from "effect"
import { createHash } from "node:crypto"
import type { ProposedEvent, RecordedEvent } from "../../../src/event/Event.ts"
import * as EventType from "../../../src/event/EventType.ts"
import { Projection } from "../../../src/projection/index.ts"
import type { InlineProjection } from "../../../src/projection/InlineProjections.ts"
import type { SqlName, StateProjection, TableProjection } from "../../../src/projection/Projection.ts"
import type { Random } from "../../checker/random.ts"
import { makeLedgered } from "./ledger.ts"

/**
 * How the projections of a process are made.
 */
export interface WorldSettings {
  /** What becomes of events that fail. */
  readonly action: "halt" | "park"
  /** What the handlers do with a sale of `POISON` units: nothing special, fail, or ask for a statement without an end. */
  readonly poison: "take" | "fail" | "hang"
  /** Newest version of `Sold` that is known: 2, or 1 in an old program. */
  readonly knows: 1 | 2
  /** How long each row of the table takes, in milliseconds. */
  readonly slowMillis: number
}

/**
 * Everything is taken.
 */
export const SOUND: WorldSettings = { action: "halt", poison: "take", knows: 2, slowMillis: 0 }

/**
 * The units of a sale that handlers may not like.
 */
export const POISON = 13

/**
 * A state: how many sales, their units, and a number in which their order counts.
 */
export const Sales = Schema.Struct({ events: Schema.Int, units: Schema.Int, chain: Schema.Int })

export type Sales = typeof Sales.Type

/**
 * Name of the view of the table.
 */
export const TABLE = "trial_sales"

/**
 * Name of the view of the table that appends write.
 */
export const INLINE_TABLE = "trial_inline"

/**
 * Slices of the one projection that has some.
 */
export const SLICES = 3

/**
 * The projections: a state a stream, the same divided among runners, one state
 * for all, a table by country, and what writes in the ledger.
 */
export const makeWorld = (settings: WorldSettings) => {
  const Sold = settings.knows === 1 ? OldSold : NewSold
  const { action } = settings
  const fold = (of: (event: SoldEvent) => number) => (state: Sales, event: SoldEvent): Sales => {
    if (isPoison(event) && settings.poison === "fail") throw new RangeError("poison")
    return addSale(state, unitsOf(event.data), of(event))
  }
  const perStream = (name: string, count: number): StateProjection<Sales> =>
    Projection.state({
      name,
      events: [Sold],
      onError: { action },
      slices: { count },
      state: Sales,
      initial: NO_SALES,
      key: (event) => event.streamId,
      on: { Sold: fold(({ revision }) => revision) }
    })
  const byStream = perStream("by-stream", 1)
  const sliced = perStream("sliced", SLICES)
  const total: StateProjection<Sales> = Projection.state({
    name: "total",
    events: [Sold],
    onError: { action, key: () => "all" },
    state: Sales,
    initial: NO_SALES,
    on: { Sold: fold(({ position }) => position) }
  })
  const byCountry: TableProjection = Projection.table({
    name: "by-country",
    events: [Sold],
    onError: { action, key: (event) => countryOf(event) },
    tables: { [TABLE]: COLUMNS },
    on: {
      Sold: (event, tables) => [upsertSale(tables[TABLE], event), ...afterwards(settings, event)]
    }
  })
  const { deliveries, reactions } = makeLedgered(
    [Sold],
    action,
    (event) => settings.poison === "fail" && unitsOf(event.data as LogRow["data"]) === POISON
  )
  const projections = [byStream, sliced, total, byCountry, deliveries] as const
  return { total, byCountry, projections, all: [...projections, reactions] as const }
}

/**
 * The projections that every writer takes along with its appends: the same state
 * for all, and the same table. They take every sale.
 */
export const makeInline = ({ knows }: Pick<WorldSettings, "knows">): ReadonlyArray<InlineProjection> => {
  const Sold = knows === 1 ? OldSold : NewSold
  return [
    Projection.state({
      name: "inline-total",
      events: [Sold],
      state: Sales,
      initial: NO_SALES,
      on: { Sold: (state, event) => addSale(state, unitsOf(event.data), event.position) }
    }),
    Projection.table({
      name: "inline-countries",
      events: [Sold],
      tables: { [INLINE_TABLE]: COLUMNS },
      on: { Sold: (event, tables) => upsertSale(tables[INLINE_TABLE], event) }
    })
  ]
}

/**
 * Whether a projection is one of {@link makeInline}.
 */
export const isInline = (name: string): boolean => name.startsWith("inline-")

/**
 * Proposes the events of one append: sales, and types that no projection knows.
 */
export const proposeSales = (random: Random, version: 1 | 2): ReadonlyArray<ProposedEvent> =>
  Array.from({ length: 1 + random.int(6) }, (): ProposedEvent => {
    if (random.chance(0.3)) {
      return { type: random.pick(["Ignored", "Unheard", `Unheard${random.int(5)}`]) ?? "", data: {} }
    }
    return proposeSale(random, 14 + random.int(80), version)
  })

/**
 * Proposes one sale.
 */
export const proposeSale = (random: Random, units: number, version: 1 | 2 = 2): ProposedEvent => {
  const country = random.pick(COUNTRIES) ?? ""
  return { type: "Sold", version, data: version === 1 ? { country, pieces: units } : { country, units } }
}

/**
 * An event as the table of the log has it.
 */
export interface LogRow {
  readonly position: number
  readonly stream: string
  readonly revision: number
  readonly type: string
  readonly data: { readonly country: string; readonly units?: number; readonly pieces?: number }
}

/**
 * Folds sales into what the projection of that name must hold, a line a state or
 * row.
 */
export const foldLog = (name: string, sales: ReadonlyArray<LogRow>): ReadonlyArray<string> =>
  name === "by-country" || name === "inline-countries"
    ? foldCountries(sales)
    : foldSales(sales, name === "total" || name === "inline-total")

/**
 * A state as a line.
 */
export const stateLine = (key: string, { chain, events, units }: Sales): string =>
  `${key}: ${events} events, ${units} units, chain ${chain}`

/**
 * A row of the table as a line.
 */
export const rowLine = (
  row: { readonly country: string; readonly units: number; readonly events: number; readonly chain: string }
): string => `${row.country}: ${row.events} events, ${row.units} units, chain ${row.chain}`

// internal

const COUNTRIES = ["DE", "FR", "x'y\"z", "constructor"]

const COLUMNS =
  "country text COLLATE \"C\" PRIMARY KEY, units bigint NOT NULL, events bigint NOT NULL, chain text NOT NULL"

const OldSold = EventType.make("Sold", { country: Schema.String, pieces: Schema.Int })

const NewSold = EventType.make("Sold", { country: Schema.String, units: Schema.Int }, {
  version: 2,
  upcast: {
    1: ({ country, pieces }: { readonly country: string; readonly pieces: number }) => ({ country, units: pieces })
  }
})

interface SoldEvent {
  readonly position: number
  readonly revision: number
  readonly data: LogRow["data"]
}

const NO_SALES: Sales = { events: 0, units: 0, chain: 0 }

const unitsOf = ({ pieces, units }: LogRow["data"]): number => units ?? pieces ?? 0

const isPoison = ({ data }: SoldEvent): boolean => unitsOf(data) === POISON

const countryOf = ({ data }: RecordedEvent): string => `country ${(data as LogRow["data"]).country}`

const upsertSale = (table: SqlName | undefined, event: SoldEvent) => {
  if (table === undefined) throw new Error("no table")
  const position = String(event.position)
  return Projection.sql`INSERT INTO ${table} AS t (country, units, events, chain)
    VALUES (${event.data.country}, ${unitsOf(event.data)}::bigint, 1, md5(${position}))
    ON CONFLICT (country) DO UPDATE SET units = t.units + excluded.units, events = t.events + 1,
      chain = md5(t.chain || ${position})`
}

const afterwards = ({ poison, slowMillis }: WorldSettings, event: SoldEvent) => {
  const texts = [
    ...(slowMillis === 0 ? [] : [`SELECT pg_sleep(${slowMillis / 1_000})`]),
    ...(isPoison(event) && poison === "fail" ? ["SELECT 1 / 0"] : []),
    ...(isPoison(event) && poison === "hang" ? ["SELECT pg_sleep(600)"] : [])
  ]
  return texts.map((text) => ({ text, parameters: [] }))
}

const addSale = (state: Sales, units: number, place: number): Sales => ({
  events: state.events + 1,
  units: state.units + units,
  chain: (state.chain * 31 + units * 7 + place) % 1_000_003
})

const foldSales = (sales: ReadonlyArray<LogRow>, isOne: boolean): ReadonlyArray<string> => {
  const states = new Map<string, Sales>()
  for (const { data, position, revision, stream } of sales) {
    const [key, place] = isOne ? ["", position] as const : [stream, revision] as const
    states.set(key, addSale(states.get(key) ?? NO_SALES, unitsOf(data), place))
  }
  return [...states].map(([key, state]) => stateLine(key, state)).sort()
}

const foldCountries = (sales: ReadonlyArray<LogRow>): ReadonlyArray<string> => {
  const rows = new Map<string, { units: number; events: number; chain: string }>()
  for (const { data, position } of sales) {
    const row = rows.get(data.country) ?? { units: 0, events: 0, chain: "" }
    rows.set(data.country, {
      units: row.units + unitsOf(data),
      events: row.events + 1,
      chain: createHash("md5").update(`${row.chain}${position}`).digest("hex")
    })
  }
  return [...rows].map(([country, row]) => rowLine({ country, ...row })).sort()
}
