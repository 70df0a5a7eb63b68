/**
 * Reads checkpoints and models of one moment, past everything that made them, and
 * compares them with a fold of the log.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { sliceOf } from "../../../src/store/Slice.ts"
import { LEDGERED } from "./ledger.ts"
import { foldLog, INLINE_TABLE, isInline, type LogRow, rowLine, type Sales, SLICES, stateLine, TABLE } from "./world.ts"

/**
 * A projection, or a slice of one, as its row shows it.
 */
export interface RecordSeen {
  /** Name of the projection, and the slice of one that has several: `sliced/2`. */
  readonly name: string
  readonly position: number
  readonly events: number
  /** Where a reactor began. */
  readonly start: number
  readonly owner: string | null
  readonly epoch: number
  readonly status: string
  readonly parked: number
}

/**
 * Everything that was seen.
 */
export interface Look {
  readonly head: number
  readonly records: ReadonlyArray<RecordSeen>
  /** `undefined` when there is no table. */
  readonly rows: ReadonlyArray<string> | undefined
  /** How a model differs from the fold of the log up to its checkpoint. */
  readonly faultOf: (name: string, mayLackTable: boolean) => string | undefined
}

/**
 * Reads the records alone; none when the server does not answer.
 */
export const lookAtRecords = (sql: PgClient.PgClient): Effect.Effect<ReadonlyArray<RecordSeen>> =>
  Effect.map(
    Effect.option(sql.unsafe<{ readonly records: string }>(`SELECT ${RECORDS}::text AS records`).unprepared),
    (found) => found._tag === "None" ? [] : toRecords(JSON.parse(found.value[0]?.records ?? "[]"))
  )

/**
 * Looks once; `undefined` when nothing could be seen, as between two tables.
 * `log` is what was read before, and is added to.
 */
export const look = (sql: PgClient.PgClient, log: Array<LogRow>): Effect.Effect<Look | undefined> =>
  Effect.gen(function*() {
    const [there] = yield* sql.unsafe<{ readonly is: boolean }>(
      `SELECT to_regclass('public.${TABLE}') IS NOT NULL AS is`
    ).unprepared
    // one statement is one moment
    const [row] = yield* sql.unsafe<{ readonly seen: string }>(query(there?.is === true)).unprepared
    const seen: Seen = JSON.parse(row?.seen ?? "null")
    const events = yield* sql.unsafe<{ readonly log: string }>(LOG, [log.at(-1)?.position ?? 0]).unprepared
    const rows: ReadonlyArray<LogRow> = JSON.parse(events[0]?.log ?? "[]")
    // two may look at a time
    for (const one of rows) if (one.position > (log.at(-1)?.position ?? 0)) log.push(one)
    return toLook(seen, log)
  }).pipe(Effect.option, Effect.map((found) => found._tag === "Some" ? found.value : undefined))

// internal

interface Seen {
  readonly head: number
  readonly records: ReadonlyArray<RecordSeen & { readonly slice: number }>
  readonly states: ReadonlyArray<{ readonly name: string; readonly key: string; readonly state: Sales }>
  readonly parked: ReadonlyArray<{ readonly name: string; readonly position: number }>
  readonly rows: ReadonlyArray<Parameters<typeof rowLine>[0]> | null
  readonly inline: ReadonlyArray<Parameters<typeof rowLine>[0]>
}

const toLook = (seen: Seen, log: ReadonlyArray<LogRow>): Look => {
  const rows = seen.rows?.map(rowLine).sort()
  const records = toRecords(seen.records)
  const modelOf = (name: string): ReadonlyArray<string> | undefined =>
    name === "by-country"
      ? rows
      : name === "inline-countries"
      ? seen.inline.map(rowLine).sort()
      : seen.states.filter((state) => nameOf(state.name, sliceOf(state.key, SLICES)) === name)
        .map(({ key, state }) => stateLine(key, state)).sort()
  return {
    head: seen.head,
    records,
    rows,
    faultOf: (name, mayLackTable) => {
      const record = records.find((one) => one.name === name)
      const model = modelOf(name)
      if (record === undefined) return undefined
      const [base = name, slice] = name.split("/")
      // what appends write has seen all that is there, at every moment
      const until = isInline(name) ? seen.head : record.position
      const sales = log.filter(({ position, stream, type }) =>
        type === "Sold" && position > record.start && position <= until &&
        (slice === undefined || sliceOf(stream, SLICES) === Number(slice))
      )
      if (sales.length !== record.events) return `it has counted ${record.events} events of ${sales.length}`
      if (LEDGERED.includes(name)) return undefined
      if (model === undefined) return record.position === 0 || mayLackTable ? undefined : "its table is missing"
      const parked = new Set(seen.parked.filter((one) => one.name === base).map(({ position }) => position))
      return difference(model, foldLog(base, sales.filter(({ position }) => !parked.has(position))))
    }
  }
}

const toRecords = (rows: Seen["records"]): ReadonlyArray<RecordSeen> =>
  rows.map((record) => ({ ...record, name: nameOf(record.name, record.slice) }))

const nameOf = (name: string, slice: number): string => name === "sliced" ? `${name}/${slice}` : name

const difference = (found: ReadonlyArray<string>, expected: ReadonlyArray<string>): string | undefined => {
  const surplus = found.filter((line) => !expected.includes(line))
  const missing = expected.filter((line) => !found.includes(line))
  if (surplus.length === 0 && missing.length === 0 && found.length === expected.length) return undefined
  return `found ${JSON.stringify(surplus.slice(0, 3))} where ${JSON.stringify(missing.slice(0, 3))} should be`
}

const list = (columns: ReadonlyArray<string>, from: string): string =>
  `(SELECT coalesce(json_agg(json_build_object(${
    columns.map((column) => `'${column.split(" ").at(-1)}', ${column.split(" ")[0]}`).join(", ")
  })), '[]') FROM ${from})`

const RECORDS = list(
  [
    "p.name name",
    "p.slice slice",
    "p.position position",
    "p.events events",
    "p.start start",
    "p.owner owner",
    "p.epoch epoch",
    "p.status status",
    "k.parked parked"
  ],
  `event_store.projections p, LATERAL (SELECT count(*) AS parked FROM event_store.projection_parked k
        WHERE k.projection = p.name AND k.version = p.version AND k.slice = p.slice) k`
)

const SALES = ["t.country country", "t.units units", "t.events events", "t.chain chain"]

const query = (hasTable: boolean): string =>
  `SELECT json_build_object(
    'head', (SELECT position FROM event_store.head),
    'records', ${RECORDS},
    'states', ${list(["s.projection name", "s.key key", "s.state state"], "event_store.projection_states s")},
    'parked', ${list(["k.projection name", "k.position position"], "event_store.projection_parked k")},
    'rows', ${
    hasTable
      ? list(SALES, `public.${TABLE} t`)
      : "NULL"
  },
    'inline', ${list(SALES, `public.${INLINE_TABLE} t`)}
  )::text AS seen`

const LOG = `SELECT json_agg(json_build_object('position', e.position, 'stream', e.stream, 'revision', e.revision,
    'type', e.type, 'data', e.data) ORDER BY e.position)::text AS log
  FROM event_store.events e WHERE e.position > $1`
