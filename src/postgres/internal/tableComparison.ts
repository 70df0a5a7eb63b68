import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { BuildKey } from "../../store/CheckpointStore.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import type {
  ComparedTables,
  RowDifference,
  TableComparison,
  TableDifference,
  TablePair
} from "../../store/TableComparison.ts"
import { quoteName } from "./identifiers.ts"
import { toRecord } from "./projectionRows.ts"
import type { Ask, Sessions } from "./projectionSession.ts"
import * as statements from "./projectionStatements.ts"
import { answeredWithin, toStorageError } from "./sqlErrors.ts"
import type { Statement } from "./statements.ts"

/** Compares tables in one snapshot of the database, within an hour. */
export const compareTables = (
  sessions: Sessions,
  schema: string,
  { after, before, samples, tables }: TableComparison
): Effect.Effect<ComparedTables, StorageError> => {
  const records = (run: Ask, key: BuildKey) =>
    Effect.map(run(statements.records(schema, key)), (rows) => rows.map((row) => toRecord(row).checkpoint))
  const compare = Effect.fnUntraced(function*(run: Ask, pair: TablePair) {
    const shape = shapeOf(yield* run(columns(pair.before)), yield* run(columns(pair.after)))
    const [row] = yield* run(count(pair, shape))
    const [onlyBefore, onlyAfter, changed, same] = row as unknown as readonly [number, number, number, number]
    const rows = samples > 0 ? yield* run(sample(pair, shape, samples)) : []
    const { key, onlyIn } = shape
    return {
      key,
      columnsOnlyBefore: onlyIn.before,
      columnsOnlyAfter: onlyIn.after,
      onlyBefore,
      onlyAfter,
      changed,
      same,
      samples: rows.map((row) => toDifference(row, shape))
    } satisfies TableDifference
  })
  const comparison = Effect.fnUntraced(function*(run: Ask) {
    return {
      before: yield* records(run, before),
      after: yield* records(run, after),
      tables: yield* Effect.forEach(tables, (pair) => compare(run, pair))
    }
  })
  return sessions.interact(comparison, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").pipe(
    Effect.mapError((error) => toStorageError("compareTables", error)),
    answeredWithin("compareTables", COMPARISON)
  )
}

// internal

/** How long whole tables may take, and a server that has gone silent. */
const COMPARISON = Duration.hours(1)

type TableName = TablePair["before"]

/** What two tables have in common. */
interface Shape {
  /** Columns of both primary keys, which are the same; none when they are not. */
  readonly key: ReadonlyArray<string>
  /** Columns of both, without the key. */
  readonly others: ReadonlyArray<string>
  readonly onlyIn: { readonly before: ReadonlyArray<string>; readonly after: ReadonlyArray<string> }
}

const at = ([schema, name]: TableName): string => `${quoteName(schema)}.${quoteName(name)}`

/** The columns of a table in their order, and whether each is of the primary key. */
const columns = (table: TableName): Statement => ({
  text: `SELECT a.attname::text, coalesce(a.attnum = ANY (i.indkey), false)
    FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
    WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
  parameters: [PgTypes.text(at(table))]
})

const shapeOf = (
  before: ReadonlyArray<ReadonlyArray<unknown>>,
  after: ReadonlyArray<ReadonlyArray<unknown>>
): Shape => {
  const names = (rows: ReadonlyArray<ReadonlyArray<unknown>>) => rows.map(([name]) => String(name))
  const keys = (rows: ReadonlyArray<ReadonlyArray<unknown>>) => names(rows.filter(([, isKey]) => isKey === true))
  const [first, second] = [names(before), names(after)]
  const key = keys(before)
  const isSameKey = key.length === keys(after).length && key.every((name) => keys(after).includes(name))
  const both = first.filter((name) => second.includes(name))
  return {
    key: isSameKey ? key : [],
    others: isSameKey ? both.filter((name) => !key.includes(name)) : both,
    onlyIn: {
      before: first.filter((name) => !second.includes(name)),
      after: second.filter((name) => !first.includes(name))
    }
  }
}

/** Values are compared as text: any type has one, not every type can be compared. */
const textOf = (row: "b" | "a", column: string): string => `${row}.${quoteName(column)}::text`

const differs = (column: string): string => `${textOf("b", column)} IS DISTINCT FROM ${textOf("a", column)}`

/** Rows of both tables side by side, by key; and what tells of which kind they are. */
const joined = ({ after, before }: TablePair, { key, others }: Shape) => {
  const [first = ""] = key
  return {
    from: `${at(before)} b FULL JOIN ${at(after)} a ON ${
      key.map((column) => `${textOf("b", column)} = ${textOf("a", column)}`).join(" AND ")
    }`,
    onlyBefore: `${textOf("a", first)} IS NULL`,
    onlyAfter: `${textOf("b", first)} IS NULL`,
    isBoth: `${textOf("a", first)} IS NOT NULL AND ${textOf("b", first)} IS NOT NULL`,
    isChanged: others.length === 0 ? "false" : `(${others.map(differs).join(" OR ")})`
  }
}

/** Texts as a JSON array. */
const jsonOf = (values: ReadonlyArray<string>): string => `to_json(ARRAY[${values.join(", ")}]::text[])::text`

/** Whole rows of one table, which the other has not, or has less often. */
const except = (one: TableName, other: TableName, { others }: Shape): string => {
  const rows = (table: TableName, row: "b" | "a") =>
    `SELECT ${jsonOf(others.map((column) => textOf(row, column)))} AS r FROM ${at(table)} ${row}`
  return `${rows(one, "b")} EXCEPT ALL ${rows(other, "a")}`
}

const count = (pair: TablePair, shape: Shape): Statement => {
  if (shape.key.length === 0) {
    const onlyBefore = `(SELECT count(*) FROM (${except(pair.before, pair.after, shape)}) x)`
    const onlyAfter = `(SELECT count(*) FROM (${except(pair.after, pair.before, shape)}) y)`
    return {
      text: `SELECT n.b::float8, n.a::float8, 0::float8, (n.all_before - n.b)::float8 FROM (
        SELECT ${onlyBefore} AS b, ${onlyAfter} AS a, (SELECT count(*) FROM ${at(pair.before)}) AS all_before) n`,
      parameters: []
    }
  }
  const { from, isBoth, isChanged, onlyAfter, onlyBefore } = joined(pair, shape)
  const filtered = (condition: string) => `(count(*) FILTER (WHERE ${condition}))::float8`
  return {
    text: `SELECT ${
      [onlyBefore, onlyAfter, `${isBoth} AND ${isChanged}`, `${isBoth} AND NOT ${isChanged}`].map(filtered).join(", ")
    } FROM ${from}`,
    parameters: []
  }
}

/** Key, row before, row after, and the columns that differ. */
const sample = (pair: TablePair, shape: Shape, limit: number): Statement => {
  const parameters = [PgTypes.int4(limit)]
  if (shape.key.length === 0) {
    return {
      text: `(SELECT '', r, NULL::text, '{}'::text[] FROM (${except(pair.before, pair.after, shape)}) x
          ORDER BY r COLLATE "C" LIMIT $1)
        UNION ALL (SELECT '', NULL::text, r, '{}'::text[] FROM (${except(pair.after, pair.before, shape)}) y
          ORDER BY r COLLATE "C" LIMIT $1) LIMIT $1`,
      parameters
    }
  }
  const { from, isBoth, isChanged, onlyAfter, onlyBefore } = joined(pair, shape)
  const keyOf = (column: string) => `coalesce(${textOf("b", column)}, ${textOf("a", column)})`
  const changed = shape.others.map((column) =>
    `CASE WHEN ${differs(column)} THEN '${column.replaceAll("'", "''")}' END`
  )
  return {
    text: `SELECT ${jsonOf(shape.key.map(keyOf))},
        CASE WHEN NOT (${onlyAfter}) THEN to_json(b)::text END, CASE WHEN NOT (${onlyBefore}) THEN to_json(a)::text END,
        CASE WHEN ${isBoth} THEN array_remove(ARRAY[${changed.join(", ")}]::text[], NULL) ELSE '{}'::text[] END
      FROM ${from} WHERE ${onlyBefore} OR ${onlyAfter} OR ${isChanged}
      ORDER BY ${shape.key.map((column) => `${keyOf(column)} COLLATE "C"`).join(", ")} LIMIT $1`,
    parameters
  }
}

/** Names the values that were read as an array. */
const toObject = (names: ReadonlyArray<string>, json: string): string => {
  const values: ReadonlyArray<unknown> = JSON.parse(json)
  return JSON.stringify(Object.fromEntries(names.map((name, index) => [name, values[index]])))
}

const toDifference = (row: ReadonlyArray<unknown>, { key: names, others }: Shape): RowDifference => {
  const [key, before, after, columns] = row as unknown as readonly [
    string,
    string | null,
    string | null,
    ReadonlyArray<string>
  ]
  const whole = (json: string | null) => json === null ? undefined : names.length === 0 ? toObject(others, json) : json
  return { key: names.length === 0 ? "" : toObject(names, key), before: whole(before), after: whole(after), columns }
}
