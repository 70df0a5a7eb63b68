import * as Result from "effect/Result"
import { utf8SizeBytes } from "../../event/Name.ts"
import type { ReadField, ReadFilter, ReadOrder, ReadValue } from "../../store/ReadModelStore.ts"

/** What is wrong with a query, and where. */
export interface QueryFault {
  readonly path: string
  readonly detail: string
}

/** What a field may be called, and compared with. */
export interface Fields {
  /** The field that a name stands for. */
  readonly resolve: (field: unknown) => ReadField | undefined
  readonly expected: string
  /** Whether values are those of JSON; else those of columns. */
  readonly isJson: boolean
}

/** The condition of a filter that nobody has checked. */
export const planFilter = (fields: Fields, where: unknown): Result.Result<ReadFilter, QueryFault> => {
  const budget: Budget = { conditions: CONDITIONS_MAX, values: VALUES_MAX, bytes: BYTES_MAX }
  const planned = attempt(() => filterAt({ fields, budget }, where, "where", DEPTH_MAX))
  return planned
}

/** The order of a sort that nobody has checked. */
export const planOrder = (fields: Fields, sort: unknown): Result.Result<ReadonlyArray<ReadOrder>, QueryFault> =>
  attempt(() => {
    if (!Array.isArray(sort)) return refuse("sort", "expected an array")
    if (sort.length > SORT_MAX) return refuse("sort", `expected ${SORT_MAX} fields at most`)
    return sort.map((item: unknown, index): ReadOrder => {
      const path = `sort[${index}]`
      if (!isRecord(item)) return refuse(path, "expected { field, descending? }")
      const unknown = Object.keys(item).find((name) => name !== "field" && name !== "descending")
      if (unknown !== undefined) return refuse(`${path}.${show(unknown)}`, "expected { field, descending? }")
      const descending = item["descending"] ?? false
      if (typeof descending !== "boolean") return refuse(`${path}.descending`, "expected true or false")
      return { field: fieldAt(fields, item["field"], `${path}.field`), descending, isRequired: false }
    })
  })

/** How many results a page has. */
export const planLimit = (limit: unknown): Result.Result<number, QueryFault> =>
  Number.isInteger(limit) && (limit as number) >= 1 && (limit as number) <= LIMIT_MAX
    ? Result.succeed(limit as number)
    : Result.fail({ path: "limit", detail: `expected a whole number from 1 to ${LIMIT_MAX}` })

/** Results of a page unless it is said otherwise. */
export const LIMIT_DEFAULT = 100

/** Most results of a page: of the largest states it is a gigabyte. */
export const LIMIT_MAX = 1_000

// internal

/** Conditions of a filter, with those that join others. */
const CONDITIONS_MAX = 200

/** How deep conditions are nested. */
const DEPTH_MAX = 16

/** Values that a filter compares with; PostgreSQL has 65,535 parameters. */
const VALUES_MAX = 2_000

/** Size of these values together, as text. */
const BYTES_MAX = 1024 * 1024

/** Fields of an order. */
const SORT_MAX = 8

const PATH_STEPS_MAX = 32

const OPERATORS = ["eq", "ne", "lt", "lte", "gt", "gte", "in", "isNull", "like", "prefix"] as const

interface Budget {
  conditions: number
  values: number
  bytes: number
}

interface Context {
  readonly fields: Fields
  readonly budget: Budget
}

class Refusal {
  readonly fault: QueryFault
  constructor(fault: QueryFault) {
    this.fault = fault
  }
}

const refuse = (path: string, detail: string): never => {
  throw new Refusal({ path, detail })
}

/** A fault deep inside ends the whole. */
const attempt = <A>(plan: () => A): Result.Result<A, QueryFault> =>
  Result.try({
    try: plan,
    catch: (thrown): QueryFault => {
      if (thrown instanceof Refusal) return thrown.fault
      throw thrown
    }
  })

const isRecord = (value: unknown): value is Readonly<Record<PropertyKey, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const show = (name: string): string => JSON.stringify(name.slice(0, 64)).slice(1, -1)

const filterAt = (context: Context, where: unknown, path: string, depth: number): ReadFilter => {
  const { budget } = context
  if (!isRecord(where)) return refuse(path, "expected a condition")
  if (depth === 0) return refuse(path, `expected conditions nested ${DEPTH_MAX} deep at most`)
  if (--budget.conditions < 0) return refuse(path, `expected ${CONDITIONS_MAX} conditions at most`)
  const names = Reflect.ownKeys(where)
  if (Object.hasOwn(where, "field")) return conditionAt(context, where, path)
  const [name] = names
  if (names.length !== 1 || (name !== "and" && name !== "or" && name !== "not")) {
    return refuse(path, "expected a `field`, or one of `and`, `or` and `not` alone")
  }
  const inner = where[name]
  if (name === "not") return { _tag: "Not", filter: filterAt(context, inner, `${path}.not`, depth - 1) }
  if (!Array.isArray(inner)) return refuse(`${path}.${name}`, "expected an array of conditions")
  const filters = inner.map((part, index) => filterAt(context, part, `${path}.${name}[${index}]`, depth - 1))
  return { _tag: name === "and" ? "And" : "Or", filters }
}

/** All operators of a condition must hold. */
const conditionAt = (
  context: Context,
  where: Readonly<Record<PropertyKey, unknown>>,
  path: string
): ReadFilter => {
  const field = fieldAt(context.fields, where["field"], `${path}.field`)
  const names = Reflect.ownKeys(where).filter((name) => name !== "field")
  const unknown = names.find((name) => !OPERATORS.some((operator) => operator === name))
  if (unknown !== undefined) return refuse(`${path}.${show(String(unknown))}`, `expected ${OPERATORS.join(", ")}`)
  if (names.length === 0) return refuse(path, `expected ${OPERATORS.join(", ")}`)
  const filters = OPERATORS.flatMap((operator) =>
    Object.hasOwn(where, operator) ? [operatorAt(context, field, operator, where[operator], `${path}.${operator}`)] : []
  )
  const [first] = filters
  return filters.length === 1 && first !== undefined ? first : { _tag: "And", filters }
}

const operatorAt = (
  context: Context,
  field: ReadField,
  operator: typeof OPERATORS[number],
  operand: unknown,
  path: string
): ReadFilter => {
  switch (operator) {
    case "eq":
      return { _tag: "Compare", operator, field, value: valueAt(context, operand, path) }
    case "ne":
      return not({ _tag: "Compare", operator: "eq", field, value: valueAt(context, operand, path) })
    case "in": {
      if (!Array.isArray(operand)) return refuse(path, "expected an array of values")
      return { _tag: "In", field, values: operand.map((value, index) => valueAt(context, value, `${path}[${index}]`)) }
    }
    case "isNull": {
      if (typeof operand !== "boolean") return refuse(path, "expected true or false")
      const isNull: ReadFilter = { _tag: "IsNull", field }
      return operand ? isNull : not(isNull)
    }
    case "like":
    case "prefix": {
      const value = valueAt(context, operand, path)
      if (typeof value !== "string") return refuse(path, "expected a string")
      // an escape without a character is an error of the database
      if (operator === "like" && /(?:^|[^\\])(?:\\\\)*\\$/.test(value)) return refuse(path, "ends with an escape")
      return { _tag: "Text", operator, field, value }
    }
    default: {
      const value = valueAt(context, operand, path)
      if (typeof value === "boolean") return refuse(path, "true and false have no order")
      return { _tag: "Compare", operator, field, value }
    }
  }
}

const not = (filter: ReadFilter): ReadFilter => ({ _tag: "Not", filter })

const fieldAt = (fields: Fields, field: unknown, path: string): ReadField =>
  fields.resolve(field) ?? refuse(path, `expected ${fields.expected}`)

const valueAt = ({ budget, fields }: Context, value: unknown, path: string): ReadValue => {
  if (--budget.values < 0) return refuse(path, `expected ${VALUES_MAX} values at most in a filter`)
  const fault = valueFault(value, fields.isJson)
  if (fault !== undefined) return refuse(path, fault)
  const known = value as ReadValue
  budget.bytes -= typeof known === "string"
    ? utf8SizeBytes(known)
    : known instanceof Uint8Array
    ? known.length
    : String(known).length
  return budget.bytes < 0 ? refuse(path, `expected ${BYTES_MAX} bytes of values at most in a filter`) : known
}

const valueFault = (value: unknown, isJson: boolean): string | undefined => {
  switch (typeof value) {
    case "string":
      return value.includes("\0") || !value.isWellFormed() ? "has U+0000 or a lone surrogate" : undefined
    case "number":
      return Number.isFinite(value) ? undefined : "expected a finite number"
    case "boolean":
      return undefined
    case "bigint":
      return isJson ? "JSON has no bigint" : undefined
    default:
      if (isJson) return "expected a string, a number or a boolean: use isNull for null"
      if (value instanceof Uint8Array) return undefined
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? "expected a valid date" : undefined
      return "expected a value that a column can have: use isNull for null"
  }
}

/** The steps of a path in JSON, as text; `undefined` when they are none. */
export const toPath = (field: unknown): ReadonlyArray<string> | undefined => {
  const steps: ReadonlyArray<unknown> = Array.isArray(field) ? field : [field]
  if (steps.length > PATH_STEPS_MAX) return undefined
  const path: Array<string> = []
  for (const step of steps) {
    if (Number.isSafeInteger(step) && (step as number) >= 0) path.push(String(step))
    else if (typeof step === "string" && !step.includes("\0") && step.isWellFormed() && step.length <= 512) {
      path.push(step)
    } else return undefined
  }
  return path
}
