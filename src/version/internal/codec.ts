/**
 * Schemas as plain functions: compiled on first use, without an Effect or a
 * diagnosis until something is wrong.
 */
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaAST from "effect/SchemaAST"
import { firstFault } from "../../event/SchemaFault.ts"

/** Why a value does not fit, and where. */
export interface Misfit {
  /** `data.lines[0].qty` */
  readonly path: string
  readonly reason: string
}

/** A schema's functions; `decode` and `encode` throw what {@link misfitOf} explains. */
export interface Codec {
  readonly decode: (stored: unknown) => unknown
  readonly encode: (data: unknown) => unknown
}

/**
 * Compiles both directions of a schema, once for all registries. Where code
 * cannot be made at run time, it is interpreted.
 */
export const codecOf = (schema: Schema.Codec<unknown, unknown>): Codec => remembered(codecs, schema, makeCodec)

/** Checks the stored side of a shape. */
export interface StoredCheck {
  readonly fits: (stored: unknown) => boolean
  /** Says what is wrong with a value that does not fit. */
  readonly explain: (stored: unknown) => Misfit
}

/** Compiles the check of a shape's stored side, once for all registries. */
export const storedCheckOf = (schema: Schema.Codec<unknown, unknown>): StoredCheck =>
  remembered(storedChecks, schema, makeStoredCheck)

/** Explains what a codec threw, without the value. */
export const misfitOf = (thrown: unknown): Misfit => {
  if (!Schema.isSchemaError(thrown)) return { path: "data", reason: `the schema ${threwWhat(thrown)}` }
  const { path, reason } = firstFault(thrown)
  return { path: formatPath(path), reason }
}

/** Says what was thrown by its class only: a message may hold data. */
export const threwWhat = (thrown: unknown): string =>
  thrown instanceof Error ? `threw ${thrown.name}` : `threw a ${typeof thrown}`

// internal

const codecs = new WeakMap<object, Codec>()
const storedChecks = new WeakMap<object, StoredCheck>()

const remembered = <A>(
  known: WeakMap<object, A>,
  schema: Schema.Codec<unknown, unknown>,
  make: (schema: Schema.Codec<unknown, unknown>) => A
): A => {
  const before = known.get(schema)
  if (before !== undefined) return before
  const made = make(schema)
  known.set(schema, made)
  return made
}

const makeCodec = (schema: Schema.Codec<unknown, unknown>): Codec => {
  SchemaJITCompiler.enable(schema.ast)
  SchemaJITCompiler.enable(SchemaAST.flip(schema.ast))
  return { decode: Schema.decodeUnknownSync(schema), encode: Schema.encodeUnknownSync(schema) }
}

const makeStoredCheck = (schema: Schema.Codec<unknown, unknown>): StoredCheck => {
  const stored = Schema.toEncoded(schema)
  SchemaJITCompiler.enable(stored.ast)
  const fits = Schema.is(stored)
  const decode = Schema.decodeUnknownSync(stored)
  return {
    fits,
    explain: (value) => {
      try {
        decode(value)
        return { path: "data", reason: "does not fit" }
      } catch (cause) {
        return misfitOf(cause)
      }
    }
  }
}

/** Longest path that is printed, in UTF-16 code units; keys are as long as their writer likes. */
const PATH_LENGTH_MAX = 200

const formatPath = (path: ReadonlyArray<PropertyKey>): string => {
  let text = "data"
  for (const step of path) {
    text += typeof step === "number"
      ? `[${step}]`
      : /^[A-Za-z_$][\w$]*$/.test(String(step))
      ? `.${String(step)}`
      : `[${JSON.stringify(String(step))}]`
    if (text.length > PATH_LENGTH_MAX) return `${text.slice(0, PATH_LENGTH_MAX)}…`
  }
  return text
}
