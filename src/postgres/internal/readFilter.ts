import * as PgTypes from "@effect/sql-pg/PgTypes"
import type { ReadField, ReadFilter, ReadValue } from "../../store/ReadModelStore.ts"
import { quoteName } from "./identifiers.ts"
import { type Bind, texts } from "./statements.ts"

/** A filter as a condition on a row `t`. */
export const compileFilter = (filter: ReadFilter, bind: Bind): string => {
  switch (filter._tag) {
    case "Compare":
      return compare(filter.field, OPERATORS[filter.operator], filter.value, bind)
    case "Text":
      return compareText(filter, bind)
    case "In":
      return isIn(filter.field, filter.values, bind)
    case "IsNull":
      return isNull(filter.field, bind)
    case "And":
      return filter.filters.length === 0
        ? "true"
        : `(${filter.filters.map((part) => compileFilter(part, bind)).join(" AND ")})`
    case "Or":
      return anyOf(filter.filters.map((part) => compileFilter(part, bind)))
    case "Not":
      // what is null does not hold, so its opposite does
      return `(${compileFilter(filter.filter, bind)}) IS NOT TRUE`
  }
}

/** Whether a filter looks into the JSON of states. */
export const usesJson = (filter: ReadFilter): boolean => {
  switch (filter._tag) {
    case "And":
    case "Or":
      return filter.filters.some(usesJson)
    case "Not":
      return usesJson(filter.filter)
    default:
      return filter.field._tag === "Path"
  }
}

/** A place in the JSON of a state: its value, as text, and its type. */
export const valueAt = (
  field: ReadField,
  bind: Bind
): { readonly value: string; readonly text: string; readonly type: string } => {
  const path = bind(texts(field._tag === "Path" ? field.path : []))
  const value = `(t.json #> ${path})`
  return { value, text: `t.json #>> ${path}`, type: `jsonb_typeof${value}` }
}

// internal

const OPERATORS = { eq: "=", lt: "<", lte: "<=", gt: ">", gte: ">=" } as const

const anyOf = (conditions: ReadonlyArray<string>): string =>
  conditions.length === 0 ? "false" : `(${conditions.join(" OR ")})`

const isIn = (field: ReadField, values: ReadonlyArray<ReadValue>, bind: Bind): string =>
  field._tag === "Column" && values.length > 0
    ? `t.${quoteName(field.name)} IN (${values.map((value) => columnValue(value, bind)).join(", ")})`
    : anyOf(values.map((value) => compare(field, "=", value, bind)))

const compare = (field: ReadField, operator: string, value: ReadValue, bind: Bind): string => {
  switch (field._tag) {
    case "Key":
      return typeof value === "string" ? `t.key ${operator} ${bind(PgTypes.text(value))}` : "false"
    case "Column":
      return `t.${quoteName(field.name)} ${operator} ${columnValue(value, bind)}`
    case "Path":
      return compareJson(field, operator, value, bind)
  }
}

const compareJson = (field: ReadField, operator: string, wanted: ReadValue, bind: Bind): string => {
  const { text, type, value } = valueAt(field, bind)
  const when = (name: string, condition: string) => `CASE ${type} WHEN '${name}' THEN ${condition} END`
  switch (typeof wanted) {
    case "string": {
      const parameter = bind(PgTypes.text(wanted))
      return when("string", `(${text}) COLLATE "C" ${operator} ${parameter}`)
    }
    case "number":
      // text, so that the server reads the number as it stands in the JSON
      return when("number", `(${text})::numeric ${operator} ${bind(PgTypes.text(String(wanted)))}::numeric`)
    case "boolean":
      return when("boolean", `${value} ${operator} ${bind(PgTypes.text(String(wanted)))}::jsonb`)
    default:
      return "false"
  }
}

const compareText = (filter: Extract<ReadFilter, { readonly _tag: "Text" }>, bind: Bind): string => {
  const { field, operator, value } = filter
  const condition = (text: string): string => {
    const parameter = bind(PgTypes.text(value))
    return operator === "prefix" ? `starts_with(${text}, ${parameter})` : `${text} LIKE ${parameter}`
  }
  switch (field._tag) {
    case "Key":
      return condition("t.key")
    case "Column":
      return condition(`t.${quoteName(field.name)}`)
    case "Path": {
      const { text, type } = valueAt(field, bind)
      return `CASE ${type} WHEN 'string' THEN ${condition(`(${text}) COLLATE "C"`)} END`
    }
  }
}

const isNull = (field: ReadField, bind: Bind): string => {
  switch (field._tag) {
    case "Key":
      return "false"
    case "Column":
      return `t.${quoteName(field.name)} IS NULL`
    case "Path":
      return `coalesce(${valueAt(field, bind).type}, 'null') = 'null'`
  }
}

/** A parameter without a type takes that of the column; a fraction fits columns of whole numbers too. */
const columnValue = (value: ReadValue, bind: Bind): string => {
  if (typeof value === "number" && !Number.isInteger(value)) return `${bind(String(value))}::numeric`
  if (value instanceof Uint8Array) return bind(value)
  return bind(value instanceof Date ? value.toISOString() : String(value))
}
