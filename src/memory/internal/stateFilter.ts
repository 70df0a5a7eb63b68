/**
 * Filters and orders states as PostgreSQL does.
 */
import {
  ORDERED_CODE_POINTS,
  type ReadField,
  type ReadFilter,
  type ReadOrder,
  type ReadPlace,
  type ReadValue
} from "../../store/ReadModelStore.ts"
import { compareNames } from "./streams.ts"

/** A state, parsed. */
export interface ParsedState {
  readonly key: string
  readonly json: unknown
}

/** Whether a state passes. */
export const passes = (filter: ReadFilter, state: ParsedState): boolean => {
  switch (filter._tag) {
    case "Compare": {
      const order = compareScalars(valueOf(filter.field, state), filter.value)
      return order !== undefined && HOLDS[filter.operator](order)
    }
    case "Text": {
      const value = valueOf(filter.field, state)
      if (typeof value !== "string") return false
      return filter.operator === "prefix" ? value.startsWith(filter.value) : isLike(value, filter.value)
    }
    case "In": {
      const value = valueOf(filter.field, state)
      return filter.values.some((wanted) => compareScalars(value, wanted) === 0)
    }
    case "IsNull":
      return (valueOf(filter.field, state) ?? null) === null
    case "And":
      return filter.filters.every((part) => passes(part, state))
    case "Or":
      return filter.filters.some((part) => passes(part, state))
    case "Not":
      return !passes(filter.filter, state)
  }
}

/** The place of a state in an order. */
export const placeOf = (order: ReadonlyArray<ReadOrder>, state: ParsedState): ReadonlyArray<string> =>
  order.flatMap(({ field }) => field._tag === "Key" ? [state.key] : jsonPlace(valueOf(field, state)))

/** Compares two places. */
export const comparePlaces = (order: ReadonlyArray<ReadOrder>, a: ReadPlace, b: ReadPlace): number => {
  let part = 0
  for (const { descending, field } of order) {
    const sign = descending ? -1 : 1
    if (field._tag === "Key") {
      const compared = compareNames(a[part] ?? "", b[part] ?? "")
      if (compared !== 0) return sign * compared
      part++
      continue
    }
    const compared = Number(a[part]) - Number(b[part]) || Number(a[part + 1]) - Number(b[part + 1]) ||
      compareNames(a[part + 2] ?? "", b[part + 2] ?? "")
    if (compared !== 0) return sign * compared
    part += 3
  }
  return 0
}

// internal

const HOLDS: Record<"eq" | "lt" | "lte" | "gt" | "gte", (order: number) => boolean> = {
  eq: (order) => order === 0,
  lt: (order) => order < 0,
  lte: (order) => order <= 0,
  gt: (order) => order > 0,
  gte: (order) => order >= 0
}

const ANY = Symbol("any")
const ONE = Symbol("one")

const parsePattern = (pattern: string): ReadonlyArray<string | typeof ANY | typeof ONE> => {
  const parts: Array<string | typeof ANY | typeof ONE> = []
  let isEscaped = false
  for (const point of pattern) {
    if (isEscaped) {
      parts.push(point)
      isEscaped = false
    } else if (point === "\\") isEscaped = true
    else if (point === "%") parts.push(ANY)
    else if (point === "_") parts.push(ONE)
    else parts.push(point)
  }
  return parts
}

/** What the database sees of a value: its texts have no U+0000 and no lone surrogate. */
const valueOf = (field: ReadField, { json, key }: ParsedState): unknown => {
  if (field._tag === "Key") return key
  const value = field._tag === "Path" ? follow(json, field.path) : undefined
  return typeof value === "string" ? asText(value) : value
}

const asText = (text: string): string => text.toWellFormed().replaceAll("\0", "\u{fffd}")

const follow = (json: unknown, path: ReadonlyArray<string>): unknown => {
  let value = json
  for (const step of path) {
    if (Array.isArray(value)) value = elementAt(value, step)
    else if (typeof value === "object" && value !== null && Object.hasOwn(value, step)) {
      value = (value as Readonly<Record<string, unknown>>)[step]
    } else return undefined
  }
  return value
}

/** As `#>` reads a step: a whole number, from the end when it is negative. */
const elementAt = (values: ReadonlyArray<unknown>, step: string): unknown => {
  if (!/^[ \t\n\v\f\r]*[+-]?\d+$/.test(step)) return undefined
  const index = Number(step)
  return values.at(index)
}

/** `undefined` when their types differ. */
const compareScalars = (value: unknown, wanted: ReadValue): number | undefined => {
  if (typeof value === "string" && typeof wanted === "string") return compareNames(value, wanted)
  if (typeof value === "number" && typeof wanted === "number") return value - wanted
  if (typeof value === "boolean" && typeof wanted === "boolean") return Number(value) - Number(wanted)
  return undefined
}

const jsonPlace = (value: unknown): readonly [rank: string, number: string, text: string] => {
  if (value === undefined || value === null) return ["5", "0", ""]
  switch (typeof value) {
    case "boolean":
      return ["1", value ? "1" : "0", ""]
    case "number":
      return ["2", String(value), ""]
    case "string":
      return ["3", "0", firstCodePoints(value)]
    default:
      return ["4", "0", ""]
  }
}

const firstCodePoints = (text: string): string =>
  // a code point has two units at most
  text.length <= ORDERED_CODE_POINTS
    ? text
    : Array.from(text.slice(0, 2 * ORDERED_CODE_POINTS)).slice(0, ORDERED_CODE_POINTS).join("")

/** `LIKE`, in time proportional to both lengths: after a mismatch only the last `%` takes one more. */
const isLike = (text: string, pattern: string): boolean => {
  const parts = parsePattern(pattern)
  const points = Array.from(text)
  let at = 0
  let part = 0
  let lastAny = -1
  let mark = 0
  while (at < points.length) {
    const wanted = parts[part]
    if (wanted === ANY) {
      lastAny = part++
      mark = at
    } else if (wanted !== undefined && (wanted === ONE || wanted === points[at])) {
      at++
      part++
    } else if (lastAny >= 0) {
      part = lastAny + 1
      at = ++mark
    } else return false
  }
  while (parts[part] === ANY) part++
  return part === parts.length
}
