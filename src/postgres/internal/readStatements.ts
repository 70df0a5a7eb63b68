import * as PgTypes from "@effect/sql-pg/PgTypes"
import type { TableName } from "../../store/KeptChanges.ts"
import {
  type ChangesQuery,
  type CountQuery,
  ORDERED_CODE_POINTS,
  type ReadField,
  type ReadOrder,
  type ReadPlace,
  type ReadQuery,
  type ReadSource,
  type RowsQuery
} from "../../store/ReadModelStore.ts"
import { readVersion } from "./buildStatements.ts"
import { quoteName } from "./identifiers.ts"
import { compileFilter, usesJson, valueAt } from "./readFilter.ts"
import { type Bind, makeBinder, place, type Statement } from "./statements.ts"

/** How far a projection has come: position, incarnation. */
export const readPoint = (schema: string, source: ReadSource): Statement => {
  const { bind, parameters } = makeBinder()
  return { text: pointOf(schema, bindSource(bind, source), source), parameters }
}

/** A page of states: position, incarnation, and of each state its number, key, JSON and place. */
export const readStates = (schema: string, query: ReadQuery): Statement => {
  const { bind, parameters } = makeBinder()
  const names = bindSource(bind, query.source)
  const byKey = query.order.every(({ field }) => field._tag === "Key")
  const from = statesOf(schema, names, query, byKey ? makeOrder(bind, query.order, query.after, "s") : undefined)
  const order = makeOrder(bind, query.order, byKey ? undefined : query.after, "t")
  const page = `SELECT ${aliased(["t.key", "t.state::text", ...order.places])} FROM (${from}) t
    WHERE ${filterOf(bind, query)}${order.after}${order.by} LIMIT ${bind(PgTypes.int4(query.limit))}`
  return { text: withPoint(schema, names, query.source, page), parameters }
}

/** Counts states: position, incarnation, count. */
export const countStates = (schema: string, query: CountQuery): Statement => {
  const { bind, parameters } = makeBinder()
  const names = bindSource(bind, query.source)
  const from = statesOf(schema, names, { ...query, order: [] }, undefined)
  const count = `SELECT count(*)::float8 FROM (${from}) t WHERE ${filterOf(bind, query)}`
  return { text: withPoint(schema, names, query.source, count), parameters }
}

/** A page of rows: position, incarnation, and of each row its number, columns and place. */
export const readRows = (schema: string, query: RowsQuery): Statement => {
  const { bind, parameters } = makeBinder()
  const names = bindSource(bind, query.source)
  const order = makeOrder(bind, query.order, query.after, "t")
  const columns = query.columns.map(({ asJson = false, asText, name }) =>
    asJson
      ? `to_jsonb(t.${quoteName(name)})::text`
      : asText
      ? `to_jsonb(t.${quoteName(name)}) #>> '{}'`
      : `t.${quoteName(name)}`
  )
  const page = `SELECT ${aliased([...columns, ...order.places])} FROM ${relation(query.table)} t
    WHERE ${filterOf(bind, query)}${order.after}${order.by} LIMIT ${bind(PgTypes.int4(query.limit))}`
  return { text: withPoint(schema, names, query.source, page), parameters }
}

/** Counts rows: position, incarnation, count. */
export const countRows = (schema: string, query: CountQuery & { readonly table: TableName }): Statement => {
  const { bind, parameters } = makeBinder()
  const names = bindSource(bind, query.source)
  const count = `SELECT count(*)::float8 FROM ${relation(query.table)} t WHERE ${filterOf(bind, query)}`
  return { text: withPoint(schema, names, query.source, count), parameters }
}

/**
 * Columns of a table or view, and for each whether it is never null, and its place in the
 * key, from 1. What a view over one table shows is that table's.
 */
export const describeTable = (table: TableName): Statement => ({
  text: `WITH asked AS (SELECT to_regclass($1) AS id), below AS (
      SELECT c.oid FROM asked, pg_class c WHERE c.oid = asked.id AND c.relkind IN ('r', 'p')
      UNION
      SELECT c.oid FROM asked, pg_rewrite w, pg_depend d, pg_class c
      WHERE w.ev_class = asked.id AND d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
        AND d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid AND c.oid <> asked.id AND c.relkind <> 'i'
    ), own AS (
      SELECT c.oid FROM below, pg_class c WHERE c.oid = below.oid AND c.relkind IN ('r', 'p') AND
        (SELECT count(*) FROM below) = 1
    ), key AS (
      SELECT i.indkey::smallint[] AS places FROM own, pg_index i
      WHERE i.indrelid = own.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
        AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnatts = i.indnkeyatts AND NOT EXISTS (
          SELECT 1 FROM unnest(i.indkey::smallint[]) k (place), pg_attribute b
          WHERE b.attrelid = i.indrelid AND b.attnum = k.place AND NOT b.attnotnull)
      ORDER BY i.indisprimary DESC, i.indnatts, i.indexrelid LIMIT 1
    )
    SELECT a.attname::text, coalesce(b.attnotnull, false),
      coalesce((SELECT k.place FROM key, unnest(key.places) WITH ORDINALITY k (attnum, place)
        WHERE k.attnum = b.attnum), 0)::float8
    FROM asked JOIN pg_attribute a ON a.attrelid = asked.id AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attribute b ON b.attrelid = (SELECT oid FROM own) AND b.attname = a.attname AND NOT b.attisdropped
    ORDER BY a.attnum`,
  parameters: [PgTypes.text(relation(table))]
})

/**
 * A page of changes: feed, newest and forgotten commit, position, incarnation, and of each
 * change its commit, id, position, table, key, and whether it removes. No row when there is no feed.
 */
export const readChanges = (schema: string, { after, limit, source }: ChangesQuery): Statement => {
  const { bind, parameters } = makeBinder()
  const names = bindSource(bind, source)
  const change = bind(place(after?.change ?? 0))
  const begins = after === undefined || after.id === ""
    ? `c.change > ${change}`
    : `(c.change, c.id) > (${change}, decode(${bind(PgTypes.text(after.id))}, 'hex'))`
  return {
    text: `SELECT f.id::text, f.change::float8, f.forgotten::float8, p.*, r.*
      FROM ${schema}.projection_feeds f CROSS JOIN (${pointOf(schema, names, source)}) p
      LEFT JOIN LATERAL (
        SELECT c.change::float8, encode(c.id, 'hex') AS id, c.position::float8, c.source, c.key, c.is_removal
        FROM ${schema}.projection_changes c
        WHERE c.projection = f.projection AND c.version = f.version AND ${begins}
        ORDER BY c.change, c.id LIMIT ${bind(PgTypes.int4(limit))}) r ON true
      WHERE f.projection = ${names.name} AND f.version = ${readVersion(schema, names, source)}
      ORDER BY r.change, r.id`,
    parameters
  }
}

// internal

/** Places of the parameters that name a projection. */
interface SourceNames {
  readonly name: string
  readonly version: string
}

const bindSource = (bind: Bind, { name, version }: ReadSource): SourceNames => ({
  name: bind(PgTypes.text(name)),
  version: version === undefined ? "" : bind(PgTypes.int2(version))
})

const relation = ({ name, schema }: TableName): string => `${quoteName(schema)}.${quoteName(name)}`

const pointOf = (schema: string, names: SourceNames, source: ReadSource): string =>
  `SELECT coalesce(min(p.position), 0)::float8 AS position, min(p.incarnation::text) AS incarnation
    FROM ${schema}.projections p WHERE p.name = ${names.name} AND p.version = ${readVersion(schema, names, source)}`

/** Both in one statement, and so of one snapshot. */
const withPoint = (schema: string, names: SourceNames, source: ReadSource, page: string): string =>
  `SELECT c.*, r.* FROM (${pointOf(schema, names, source)}) c
    LEFT JOIN (SELECT row_number() OVER () AS number, s.* FROM (${page}) s) r ON true ORDER BY r.number`

/** Columns with names that nobody else uses. */
const aliased = (columns: ReadonlyArray<string>): string =>
  columns.map((column, index) => `${column} AS c${index}`).join(", ")

const filterOf = (bind: Bind, { filter }: CountQuery): string =>
  filter === undefined ? "true" : compileFilter(filter, bind)

/**
 * The states of a projection, with their JSON as `json` where it is needed: made once a row, and for no
 * more rows than are read.
 */
const statesOf = (
  schema: string,
  names: SourceNames,
  { filter, order, source }: Pick<ReadQuery, "filter" | "order" | "source">,
  byKey: Order | undefined
): string => {
  const needsJson = (filter !== undefined && usesJson(filter)) || order.some(({ field }) => field._tag === "Path")
  return `SELECT s.key, s.state${needsJson ? `, ${AS_JSONB} AS json` : ""} FROM ${schema}.projection_states s
    WHERE s.projection = ${names.name} AND s.version = ${readVersion(schema, names, source)}${byKey?.after ?? ""}${
    byKey?.by ?? ""
  }${needsJson ? " OFFSET 0" : ""}`
}

/** \`jsonb\` has no U+0000 and no lone surrogates; JSON writes them, and little else, as escapes. */
const AS_JSONB = String.raw`CASE WHEN strpos(s.state::text, '\u') = 0 THEN s.state::jsonb
    ELSE regexp_replace(s.state::text, '(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})', '\1\\ufffd', 'g')::jsonb END`

/** An order in SQL. */
interface Order {
  /** With `ORDER BY` before it; empty when there is none. */
  readonly by: string
  /** Condition for what comes after a place, with `AND` before it; empty when there is none. */
  readonly after: string
  /** The place of a row, a column a part. */
  readonly places: ReadonlyArray<string>
}

/** One expression of an order. */
interface Part {
  readonly sql: string
  readonly cast: string
  readonly descending: boolean
  readonly isRequired: boolean
}

const makeOrder = (
  bind: Bind,
  order: ReadonlyArray<ReadOrder>,
  after: ReadPlace | undefined,
  row: string
): Order => {
  const parts = order.flatMap((item) => partsOf(bind, item, row))
  return {
    by: parts.length === 0
      ? ""
      : ` ORDER BY ${parts.map(({ descending, sql }) => descending ? `${sql} DESC` : sql).join(", ")}`,
    after: after === undefined ? "" : ` AND ${afterPlace(bind, parts, after)}`,
    places: parts.map(({ sql }) => `(${sql})::text`)
  }
}

const partsOf = (
  bind: Bind,
  { descending, field, isRequired }: ReadOrder,
  row: string
): ReadonlyArray<Part> => {
  switch (field._tag) {
    case "Key":
      return [{ sql: `${row}.key`, cast: "::text", descending, isRequired: true }]
    case "Column":
      return [{ sql: `${row}.${quoteName(field.name)}`, cast: "", descending, isRequired }]
    case "Path":
      return jsonParts(bind, field, descending)
  }
}

const jsonParts = (bind: Bind, field: ReadField, descending: boolean): ReadonlyArray<Part> => {
  const { text, type, value } = valueAt(field, bind)
  const part = (sql: string, cast: string): Part => ({ sql, cast, descending, isRequired: true })
  return [
    part(
      `CASE coalesce(${type}, 'null') WHEN 'boolean' THEN 1 WHEN 'number' THEN 2 WHEN 'string' THEN 3
      WHEN 'null' THEN 5 ELSE 4 END`,
      "::int"
    ),
    part(
      `CASE ${type} WHEN 'number' THEN (${text})::numeric
      WHEN 'boolean' THEN CASE WHEN ${value} = 'true'::jsonb THEN 1 ELSE 0 END ELSE 0 END`,
      "::numeric"
    ),
    part(
      `(CASE ${type} WHEN 'string' THEN left(${text}, ${ORDERED_CODE_POINTS}) ELSE '' END) COLLATE "C"`,
      "::text"
    )
  ]
}

/** Null is greater than everything, as in PostgreSQL's own order. */
const afterPlace = (bind: Bind, parts: ReadonlyArray<Part>, after: ReadPlace): string => {
  const places = parts.map((part, index) => {
    const value = after[index] ?? null
    // a parameter without a type takes that of what it is compared with
    return { ...part, place: value === null ? undefined : `${bind(value)}${part.cast}` }
  })
  const [first] = places
  if (first === undefined) return "false"
  const { descending } = first
  if (places.every((part) => part.isRequired && part.place !== undefined && part.descending === descending)) {
    const row = (values: ReadonlyArray<string | undefined>) =>
      values.length === 1 ? values[0] : `(${values.join(", ")})`
    return `${row(places.map(({ sql }) => sql))} ${descending ? "<" : ">"} ${row(places.map(({ place }) => place))}`
  }
  const steps = places.map((part, index) => `(${[...places.slice(0, index).map(isAt), isAfter(part)].join(" AND ")})`)
  // an index finds where to begin by the first of them
  const bound = first.place === undefined || !(first.isRequired || descending)
    ? ""
    : `${first.sql} ${descending ? "<=" : ">="} ${first.place} AND `
  return `${bound}(${steps.join(" OR ")})`
}

interface Placed extends Part {
  readonly place: string | undefined
}

const isAt = ({ place, sql }: Placed): string => place === undefined ? `${sql} IS NULL` : `${sql} = ${place}`

const isAfter = ({ descending, isRequired, place, sql }: Placed): string => {
  if (place === undefined) return descending ? `${sql} IS NOT NULL` : "false"
  if (descending) return `${sql} < ${place}`
  return isRequired ? `${sql} > ${place}` : `(${sql} > ${place} OR ${sql} IS NULL)`
}
