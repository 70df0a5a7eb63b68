/**
 * States and rows as tables.
 *
 * @since 0.1.0
 */
import type { StoredState } from "../../store/CheckpointStore.ts"
import { type Column, cutTo, renderPairs, renderTable } from "../table.ts"
import { count, printable } from "../Text.ts"
import type { TableStyle } from "./eventTable.ts"
import type { Row } from "./projectionRows.ts"

/**
 * States, one a line: their keys, and a column for each of their fields.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderStates = (states: ReadonlyArray<StoredState>, style: TableStyle): string => {
  const values = states.map(({ state }) => parse(state))
  const fields = fieldsOf(values)
  const others: ReadonlyArray<Column> = fields.length === 0
    ? [{ title: "STATE", cut: "end" }]
    : columnsOf(fields, values)
  return renderTable(
    [{ title: "KEY", cut: "middle" }, ...others],
    states.map(({ key, state }, index) => [
      key,
      ...(fields.length === 0 ? [state] : fields.map((field) => cellOf(fieldOf(values[index], field))))
    ]),
    style
  )
}

/**
 * Rows, one a line, under the names of their columns.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderRows = (columns: ReadonlyArray<string>, rows: ReadonlyArray<Row>, style: TableStyle): string => {
  const values = rows.map((row) => Object.fromEntries(Array.from(row, ([name, text]) => [name, parse(text)])))
  return renderTable(
    columnsOf(columns, values),
    values.map((value) => columns.map((name) => cellOf(fieldOf(value, name)))),
    style
  )
}

/**
 * One state, a field a line.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderState = ({ key, state }: StoredState, style: TableStyle): string => {
  const value = parse(state)
  return renderPairs([
    ...(key === "" ? [] : [["key", key] as const]),
    ...(isObject(value)
      ? Object.entries(value).map(([name, inner]) => [printable(name), textOf(inner)] as const)
      : [["state", state] as const])
  ], style)
}

// internal

const columnsOf = (fields: ReadonlyArray<string>, values: ReadonlyArray<unknown>): ReadonlyArray<Column> =>
  fields.map((field) => ({
    title: printable(field.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toUpperCase()),
    ...(values.every((value) => isNumber(fieldOf(value, field)))
      ? { align: "right" as const }
      : { cut: "end" as const })
  }))

/** Fields that have a column; a state with more is shown as it is. */
const FIELDS_MAX = 16

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isNumber = (value: unknown): boolean => value === undefined || value === null || typeof value === "number"

/** The fields of all values in the order in which they come; none when a value is no object, or has too many. */
const fieldsOf = (values: ReadonlyArray<unknown>): ReadonlyArray<string> => {
  if (!values.every(isObject)) return []
  const fields = [...new Set(values.flatMap((value) => Object.keys(value)))]
  return fields.length > FIELDS_MAX ? [] : fields
}

const fieldOf = (value: unknown, field: string): unknown =>
  isObject(value) && Object.hasOwn(value, field) ? value[field] : undefined

const textOf = (value: unknown): string =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : cellOf(value)

/** Arrays and objects are cut even where lines may be long. */
const cellOf = (value: unknown): string =>
  value === undefined || value === null
    ? ""
    : typeof value === "string"
    ? value
    : typeof value === "number"
    ? count(value)
    : typeof value === "boolean"
    ? String(value)
    : cutTo(JSON.stringify(value), NESTED_WIDTH, "end")

/** Cells that an array or object takes in a column. */
const NESTED_WIDTH = 60

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
