import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as DateTime from "effect/DateTime"
import type { EventFilter, EventQueryItem } from "../../event/EventQuery.ts"
import type { LogQuery, StreamListQuery, StreamQuery } from "../../store/Storage.ts"
import { eventColumns, STREAM_COLUMNS } from "./rows.ts"
import { type Bind, makeBinder, place, type Statement, texts } from "./statements.ts"

/**
 * A page of a stream. The stream's row bounds the time, so that months in
 * which it has no events are left out; the row comes once even when no event
 * does, and none comes for a stream that does not exist.
 */
export const streamPage = (schema: string, query: StreamQuery): Statement => {
  const isForwards = query.direction === "forwards"
  return {
    text: `SELECT s.is_tombstoned, ${eventColumns("e")} FROM ${schema}.streams s LEFT JOIN LATERAL (` +
      `SELECT * FROM ${schema}.events x WHERE x.stream = s.name ` +
      `AND x.recorded_at BETWEEN s.first_recorded_at AND s.last_recorded_at AND x.revision >= s.truncate_before ` +
      `AND x.revision ${isForwards ? ">=" : "<="} $2 ` +
      `ORDER BY x.revision ${isForwards ? "" : "DESC "}LIMIT $3) e ON NOT s.is_tombstoned WHERE s.name = $1`,
    parameters: [
      PgTypes.text(query.streamId),
      PgTypes.int4(query.from ?? (isForwards ? 0 : REVISION_LAST)),
      PgTypes.int4(query.limit)
    ]
  }
}

/** The time of the event at a position: no later event is older. */
export const timeAt = (schema: string, position: number): Statement => ({
  text: `SELECT recorded_at FROM ${schema}.events WHERE position = $1`,
  parameters: [place(position)]
})

/**
 * A page of the log. Without a filter these are plain key ranges. With one, the
 * rows carry the head of the same moment, so that the reader knows how far it
 * has looked; there is one row at least.
 */
export const logPage = (schema: string, query: LogQuery, window: LogWindow): Statement => {
  const { bind, parameters } = makeBinder()
  const isForwards = query.direction === "forwards"
  const { filter } = query
  const range = (column: string): ReadonlyArray<string> => [
    ...(window.after === undefined ? [] : [`${column} ${isForwards ? ">" : "<"} ${bind(place(window.after))}`]),
    ...(window.until === undefined ? [] : [`${column} ${isForwards ? "<=" : ">="} ${bind(place(window.until))}`])
  ]
  const conditions = [
    ...range("x.position"),
    ...(query.timeBound === undefined
      ? []
      : [`x.recorded_at ${isForwards ? ">=" : "<"} ${bind(timeBound(query.timeBound, isForwards))}`]),
    ...(filter === undefined ? [] : filterConditions(schema, filter, bind))
  ]
  const items = filter === undefined ? undefined : taggedItems(filter)
  const tagged = items === undefined
    ? ""
    : ` JOIN (${items.map((item) => taggedPositions(schema, item, range, bind)).join(" UNION ")}) c` +
      " ON c.position = x.position"
  const page = `SELECT ${eventColumns("x")} FROM ${schema}.events x${tagged}` +
    `${conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`}` +
    ` ORDER BY x.position ${isForwards ? "" : "DESC "}LIMIT ${bind(PgTypes.int4(query.limit))}`
  return filter === undefined
    ? { text: page, parameters }
    : { text: `SELECT h.position::float8, e.* FROM ${schema}.head h LEFT JOIN (${page}) e ON true`, parameters }
}

/**
 * Whether the index of the tags leads to every event of a filter, so that a
 * page need not look at the log window by window.
 */
export const isTagged = (filter: EventFilter): boolean => taggedItems(filter) !== undefined

/** The positions that one statement looks at: from `after` (exclusive) to `until` (inclusive). */
export interface LogWindow {
  readonly after: number | undefined
  readonly until: number | undefined
}

/** A page of the list of streams. */
export const streamList = (schema: string, query: StreamListQuery): Statement => {
  const { bind, parameters } = makeBinder()
  const key = SORT_KEYS[query.sort]
  const order = query.descending ? "DESC" : "ASC"
  const beyond = query.descending ? "<" : ">"
  const after = query.after
  const conditions = [
    query.prefix === undefined
      ? []
      : [`starts_with(s.name, ${bind(PgTypes.text(query.prefix))})`, `s.name >= ${bind(PgTypes.text(query.prefix))}`],
    query.category === undefined
      ? []
      : [`(${categoryCondition("s.name", query.category, bind)})`],
    after === undefined ? [] : key === undefined
      ? [`s.name ${beyond} ${bind(PgTypes.text(after.name))}`]
      : [`(${key}, s.name) ${beyond} (${bind(PgTypes.int8(BigInt(after.key)))}, ${bind(PgTypes.text(after.name))})`]
  ].flat()
  return {
    text: `SELECT ${STREAM_COLUMNS} FROM ${schema}.streams s` +
      `${conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`}` +
      ` ORDER BY ${key === undefined ? "" : `${key} ${order}, `}s.name ${order} LIMIT ${
        bind(PgTypes.int4(query.limit))
      }`,
    parameters
  }
}

// internal

const REVISION_LAST = 2_147_483_647

const SORT_KEYS = {
  name: undefined,
  created: "s.first_position",
  updated: "s.last_position",
  events: "(s.revision + 1)::bigint"
} as const

/** Times are read in whole milliseconds and kept in microseconds: a bound from above takes in all of its own. */
const timeBound = (time: DateTime.Utc, isForwards: boolean) =>
  PgTypes.timestamptz(DateTime.toDateUtc(isForwards ? time : DateTime.add(time, { milliseconds: 1 })))

/** Names of a category begin with it and a dash, or are it; "." follows "-" in the order of bytes. */
const categoryCondition = (column: string, category: string, bind: Bind): string =>
  `${column} = ${bind(PgTypes.text(category))} OR (${column} >= ${bind(PgTypes.text(`${category}-`))} AND ${column} < ${
    bind(PgTypes.text(`${category}.`))
  })`

const filterConditions = (schema: string, filter: EventFilter, bind: Bind): ReadonlyArray<string> => [
  ...(filter.categories === undefined
    ? []
    : [`(${filter.categories.map((category) => categoryCondition("x.stream", category, bind)).join(" OR ")})`]),
  ...(filter.streamIds === undefined ? [] : [`x.stream = ANY (${bind(texts(filter.streamIds))})`]),
  ...(filter.types === undefined ? [] : [`x.type = ANY (${bind(texts(filter.types))})`]),
  // the items of a query without further tags are the ones that lead, and hold already
  ...(filter.query === undefined || (filter.tags === undefined && isTagged(filter))
    ? []
    : [`(${filter.query.map((item) => itemCondition(schema, item, bind)).join(" OR ")})`]),
  ...(filter.recordedFrom === undefined
    ? []
    : [`x.recorded_at >= ${bind(PgTypes.timestamptz(DateTime.toDateUtc(filter.recordedFrom)))}`]),
  ...(filter.recordedBefore === undefined
    ? []
    : [`x.recorded_at < ${bind(PgTypes.timestamptz(DateTime.toDateUtc(filter.recordedBefore)))}`])
]

const itemCondition = (schema: string, { tags = [], types = [] }: EventQueryItem, bind: Bind): string =>
  [
    ...(types.length === 0 ? [] : [`x.type = ANY (${bind(texts(types))})`]),
    ...tags.map((tag) =>
      `EXISTS (SELECT FROM ${schema}.event_tags t WHERE t.tag = ${bind(PgTypes.text(tag))} AND t.position = x.position)`
    )
  ].join(" AND ")

/** The alternatives that the index of the tags leads to; none when one has no tag. */
const taggedItems = (filter: EventFilter): ReadonlyArray<EventQueryItem> | undefined => {
  if (filter.tags !== undefined) return [{ tags: filter.tags }]
  return filter.query !== undefined && filter.query.every(({ tags = [] }) => tags.length > 0) ? filter.query : undefined
}

/** Positions of the events of one alternative, from the index of the tags alone. */
const taggedPositions = (
  schema: string,
  { tags = [], types = [] }: EventQueryItem,
  range: (column: string) => ReadonlyArray<string>,
  bind: Bind
): string => {
  const tables = tags.map((_, index) =>
    index === 0 ? `${schema}.event_tags t0` : `JOIN ${schema}.event_tags t${index} ON t${index}.position = t0.position`
  )
  const conditions = [
    ...tags.map((tag, index) => `t${index}.tag = ${bind(PgTypes.text(tag))}`),
    ...range("t0.position"),
    ...(types.length === 0 ? [] : [`t0.type = ANY (${bind(texts(types))})`])
  ]
  return `SELECT t0.position FROM ${tables.join(" ")} WHERE ${conditions.join(" AND ")}`
}
