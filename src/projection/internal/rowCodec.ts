import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import { firstFault } from "../../event/SchemaFault.ts"
import type { RowColumn } from "../../store/ReadModelStore.ts"

/** How the rows of a table are read. */
export interface RowCodec<out Row> {
  readonly columns: ReadonlyArray<RowColumn>
  /** What is wrong with the schema; nothing can be read then. */
  readonly fault: string | undefined
  readonly decode: (values: ReadonlyArray<unknown>) => Result.Result<Row, string>
}

/** Makes a codec of the schema of a row: the names of its encoded side are those of the columns. */
export const makeRowCodec = <Row, Encoded>(schema: Schema.Codec<Row, Encoded>): RowCodec<Row> => {
  const encoded = Schema.toEncoded(schema).ast
  const signatures = encoded._tag === "Objects" ? encoded.propertySignatures : []
  const columns = signatures.map(({ name, type }) => {
    const kinds = kindsOf(type)
    return { name: String(name), kinds, asText: kinds.has("string") && [...kinds].every((kind) => TEXTUAL.has(kind)) }
  })
  const decoder = Schema.decodeUnknownResult(schema)
  return {
    columns: columns.map(({ asText, name }) => ({ name, asText })),
    fault: columns.length === 0
      ? "the row schema has no fields"
      : signatures.map(({ name }) => columnFault(name)).find((fault) => fault !== undefined),
    decode: (values) => {
      const row: Record<string, unknown> = Object.create(null) as Record<string, unknown>
      for (const [index, { kinds, name }] of columns.entries()) {
        const value = convert(values[index], kinds)
        if (value !== undefined) row[name] = value
      }
      return Result.mapError(decoder({ ...row }), (error) => {
        const { path, reason } = firstFault(error)
        return `${path.map(String).join(".") || "row"}: ${reason}`
      })
    }
  }
}

// internal

type Kind = "string" | "number" | "bigint" | "boolean" | "null" | "undefined" | "other"

/** A column that is wanted as text and nothing else is asked for as text. */
const TEXTUAL: ReadonlySet<Kind> = new Set(["string", "null", "undefined"])

/** PostgreSQL cuts names at 63 bytes in silence. */
const NAME_BYTES_MAX = 63

const columnFault = (name: PropertyKey): string | undefined =>
  typeof name === "string" && name !== "" && new TextEncoder().encode(name).length <= NAME_BYTES_MAX &&
    name.isWellFormed() && !name.includes("\0")
    ? undefined
    : `a column has a name of 1 to ${NAME_BYTES_MAX} bytes`

/** What the encoded side of a field may be. */
const kindsOf = (ast: SchemaAST.AST): ReadonlySet<Kind> => {
  switch (ast._tag) {
    case "String":
    case "TemplateLiteral":
      return new Set(["string"])
    case "Number":
      return new Set(["number"])
    case "BigInt":
      return new Set(["bigint"])
    case "Boolean":
      return new Set(["boolean"])
    case "Null":
      return new Set(["null"])
    case "Undefined":
      return new Set(["undefined"])
    case "Literal":
      return new Set([typeof ast.literal as Kind])
    case "Union":
      return new Set(ast.types.flatMap((type) => [...kindsOf(type)]))
    default:
      return new Set(["other"])
  }
}

/** What the driver gives as another type than the schema wants, where nothing is lost by it. */
const convert = (value: unknown, kinds: ReadonlySet<Kind>): unknown => {
  if (value === null) return kinds.has("null") || !kinds.has("undefined") ? null : undefined
  const kind = typeof value
  if (kinds.has(kind as Kind)) return value
  switch (kind) {
    case "bigint":
      if (kinds.has("number") && Number.isSafeInteger(Number(value))) return Number(value)
      return kinds.has("string") ? String(value) : value
    case "number":
      return kinds.has("bigint") && Number.isSafeInteger(value) ? BigInt(value as number) : value
    case "string":
      return fromNumeric(value as string, kinds)
    default:
      return value
  }
}

/** `numeric` comes as text. A fraction becomes the nearest number, a whole number only the same one. */
const fromNumeric = (text: string, kinds: ReadonlySet<Kind>): unknown => {
  if (kinds.has("bigint") && /^-?\d{1,1000}$/.test(text)) return BigInt(text)
  if (!kinds.has("number") || !/^-?\d+(\.\d+)?$/.test(text)) return text
  const number = Number(text)
  return Number.isSafeInteger(number) || (text.includes(".") && Number.isFinite(number)) ? number : text
}
