/**
 * Shapes as values that can be compared: in the schema lock and in fingerprints.
 */
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import type * as EventType from "../../event/EventType.ts"
import { sha256 } from "../../event/Sha256.ts"

/** Writes JSON with the keys of every object in order of their code units, so that equal values are equal texts. */
export const canonicalJson = (value: Schema.Json): string => JSON.stringify(sortKeys(value))

/** Puts the keys of every object in order. */
export const sortKeys = (value: Schema.Json): Schema.Json => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(sortKeys)
  const sorted = Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)
  return Object.fromEntries(sorted.map(([key, inner]) => [key, sortKeys(inner)]))
}

/** JSON Schema of the stored side of a shape, without what is there for readers only. */
export const jsonSchemaOf = (schema: Schema.Codec<unknown, unknown>): Schema.JsonObject => {
  const { definitions, schema: root } = Schema.toJsonSchemaDocument(schema)
  const plain = sortKeys(JSON.parse(JSON.stringify({ ...root, $defs: definitions })))
  return withoutProse(plain) as Schema.JsonObject
}

/**
 * What JSON Schema does not say of a shape, each by where it stands: checks of
 * the stored side, and what the stored values are read as. Of a check of the
 * writer's own it is what that expects; the code inside is not seen.
 */
export const unsaidOf = (schema: Schema.Codec<unknown, unknown>): ReadonlyArray<string> => {
  const stored = describeNodes(schema.ast)
  const known = new Set(stored.map(toLine))
  const read = describeNodes(SchemaAST.toType(schema.ast)).filter((described) => !known.has(toLine(described)))
  return [
    ...stored.filter(({ isSaid }) => !isSaid).map(toLine),
    ...read.map(({ path, what }) => toLine({ path, what: `read as ${what}` }))
  ].toSorted()
}

/** Where the stored side of a shape holds what JSON has not, or `undefined`. */
export const notJsonIn = (schema: Schema.Codec<unknown, unknown>): string | undefined => {
  let found: string | undefined
  walkAll(schema.ast, (node, path) => {
    const kind = foreignKind(node)
    if (kind !== undefined) found ??= `${path} is stored as ${kind}`
  })
  return found
}

/** Digest of everything that decides how stored events are read: names, versions, schemas and steps. */
export const fingerprintOf = (types: ReadonlyArray<EventType.Any>): string => {
  const described = types.toSorted((a, b) => a.name < b.name ? -1 : 1).map((type) => ({
    name: type.name,
    version: type.version,
    shapes: [...type.history, type].map(({ schema }) => schema === undefined ? null : describe(schema)),
    steps: type.steps.map(({ from, step, to }) => [from, to, step.description])
  }))
  return sha256(canonicalJson(described))
}

// internal

type Node = Readonly<Record<string, unknown>>

/** Both sides of a schema, with their checks; of a check without a name, what it expects. */
const describe = (schema: Schema.Codec<unknown, unknown>): Schema.Json => [
  plain(SchemaRepresentation.toRepresentation(schema.ast)),
  plain(SchemaRepresentation.toRepresentation(SchemaAST.toType(schema.ast)))
]

const plain = (value: unknown): Schema.Json => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value
    case "number":
      return Number.isFinite(value) ? value : String(value)
    case "object":
      if (value === null) return null
      if (Array.isArray(value)) return value.map(plain)
      return Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null
        ? Object.fromEntries(
          Object.entries(value).map(([key, inner]) => [key, plain(key === "annotations" ? expectedIn(inner) : inner)])
        )
        : String(value)
    default:
      return String(value)
  }
}

const expectedIn = (annotations: unknown): string | null => {
  const expected = (annotations as { readonly expected?: unknown } | undefined)?.expected
  return typeof expected === "string" ? expected : null
}

const PROSE = new Set(["title", "description", "examples", "default", "$comment"])

/** Keywords whose keys are names of the writer's, not keywords. */
const NAMING = new Set(["properties", "patternProperties", "$defs"])

const withoutProse = (value: Schema.Json, areNames = false): Schema.Json => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map((inner) => withoutProse(inner))
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => areNames || !PROSE.has(key))
      .map(([key, inner]) => [
        key,
        !areNames && (key === "const" || key === "enum") ? inner : withoutProse(inner, !areNames && NAMING.has(key))
      ])
  )
}

interface Described {
  readonly path: string
  /** `isBetween {"maximum":9,"minimum":1}` */
  readonly what: string
  /** Whether JSON Schema says it too. */
  readonly isSaid: boolean
}

const toLine = ({ path, what }: Pick<Described, "path" | "what">): string => `${path}: ${what}`

/** Says of every node what it is, and of every check what it expects. */
const describeNodes = (ast: SchemaAST.AST): ReadonlyArray<Described> => {
  const found: Array<Described> = []
  walkAll(ast, (node, path) => {
    const what = node["_tag"] === "Filter" ? checkIn(node) : kindOf(node)
    if (what !== undefined) found.push({ path, what, isSaid: node["_tag"] !== "Filter" || isSaid(node) })
  })
  return found
}

interface Named {
  readonly id: string
  readonly payload: Readonly<Record<string, unknown>> | null
}

const checkIn = (node: Node): string => {
  const named = node["representation"] as Named | undefined
  if (named === undefined) return expectedIn(node["annotations"]) ?? "a check"
  const name = named.id.replace(LIBRARY, "")
  return named.payload === null ? name : `${name} ${canonicalJson(plain(named.payload))}`
}

/** Whether JSON Schema shows every edit of a check: it has no patterns but those with the flag `u`, and rounds lengths. */
const isSaid = (node: Node): boolean => {
  const named = node["representation"] as Named | undefined
  const name = named?.id.replace(LIBRARY, "") ?? ""
  return SAID.has(name) || (name === "isMinLength" && named?.payload?.["minLength"] === 1)
}

const LIBRARY = /^effect\/schema\//

const SAID = new Set([
  "isInt",
  "isFinite",
  "isGreaterThan",
  "isGreaterThanOrEqualTo",
  "isLessThan",
  "isLessThanOrEqualTo",
  "isBetween",
  "isMultipleOf",
  "isMaxLength"
])

/** What kind of value a node is; `undefined` for what is known from its parts, and for classes, which are their fields. */
const kindOf = (node: Node): string | undefined => {
  switch (node["_tag"]) {
    case "FilterGroup":
    case "Reference":
    case "Suspend":
    case "Union":
      return undefined
    case "Declaration":
      return (node["representation"] as Named | undefined)?.id.replace(LIBRARY, "")
    case "Literal":
      return String(node["literal"])
    default:
      return String(node["_tag"]).toLowerCase()
  }
}

type Visit = (node: Node, path: string) => void

/** Visits each tagged node of a schema, with the path of the data that it describes; one that is used twice, once. */
const walkAll = (ast: SchemaAST.AST, visit: Visit): void => {
  const { references, representation } = SchemaRepresentation.toRepresentation(ast)
  walk(representation, "data", visit, new Map(Object.entries(references)))
}

/** `unseen` holds what was referred to, until it is visited. */
const walk = (value: unknown, path: string, visit: Visit, unseen: Map<string, unknown>): void => {
  if (typeof value !== "object" || value === null) return
  if (Array.isArray(value)) {
    for (const inner of value) walk(inner, path, visit, unseen)
    return
  }
  const node = value as Node
  if (typeof node["_tag"] === "string") visit(node, path)
  if (node["_tag"] === "Reference") {
    const name = String(node["$ref"])
    const target = unseen.get(name)
    unseen.delete(name)
    walk(target, path, visit, unseen)
    return
  }
  for (const [key, inner] of Object.entries(node)) {
    if (key === "annotations" || key === "representation") continue
    if (key === "propertySignatures") {
      for (const property of inner as ReadonlyArray<PropertySignature>) {
        walk(allowAbsent(property), `${path}.${String(property.name)}`, visit, unseen)
      }
    } else {
      walk(inner, key === "rest" ? `${path}[]` : key === "indexSignatures" ? `${path}{}` : path, visit, unseen)
    }
  }
}

interface PropertySignature {
  readonly name: PropertyKey
  readonly type: Node
  readonly isOptional: boolean
}

/** A key that may be absent may be described as `undefined` too: only the append can tell which one it gets. */
const allowAbsent = ({ isOptional, type }: PropertySignature): unknown =>
  isOptional && type["_tag"] === "Union"
    ? { ...type, types: (type["types"] as ReadonlyArray<Node>).filter((member) => member["_tag"] !== "Undefined") }
    : type

const foreignKind = (node: Node): string | undefined => {
  switch (node["_tag"]) {
    case "BigInt":
    case "Symbol":
    case "UniqueSymbol":
    case "Undefined":
    case "Void":
    case "Never":
      return String(node["_tag"]).toLowerCase()
    case "Literal":
      return typeof node["literal"] === "bigint" ? "bigint" : undefined
    case "Declaration": {
      const id = (node["representation"] as { readonly id?: unknown } | undefined)?.id
      return typeof id === "string" && JSON_DECLARATIONS.has(id) ? undefined : typeof id === "string" ? id : "a class"
    }
    default:
      return undefined
  }
}

const JSON_DECLARATIONS = new Set(["effect/schema/Json", "effect/schema/MutableJson"])
