/**
 * The shapes of all versions as a file to commit, so that an edit of a version
 * that may be stored already is seen before it is released.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as EventType from "../event/EventType.ts"
import { canonicalJson, jsonSchemaOf, sortKeys, unsaidOf } from "./internal/shapes.ts"

/**
 * Schema for one version of a type as it is locked.
 *
 * @category schemas
 * @since 0.1.0
 */
export const LockedShape = Schema.Struct({
  version: Schema.Int,
  /** JSON Schema of the stored data; `null` where the type does not describe this version. */
  schema: Schema.NullOr(Schema.JsonObject),
  /** What JSON Schema cannot say, each by where it stands: checks, and what values are read as. */
  checks: Schema.Array(Schema.String)
})

/**
 * Type of {@link LockedShape}.
 *
 * @category models
 * @since 0.1.0
 */
export type LockedShape = typeof LockedShape.Type

/**
 * Schema for all versions of all types: what the file holds.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Lock = Schema.Struct({
  format: Schema.Literal(1),
  /** Ascending by name; the shapes ascending by version. */
  types: Schema.Array(Schema.Struct({ name: Schema.String, shapes: Schema.Array(LockedShape) }))
})

/**
 * Type of {@link Lock}.
 *
 * @category models
 * @since 0.1.0
 */
export type Lock = typeof Lock.Type

/**
 * Represents a file that is not a lock.
 *
 * @category errors
 * @since 0.1.0
 */
export class LockInvalid extends Schema.TaggedError<LockInvalid>("effect-event-store/version/SchemaLock/LockInvalid")(
  "LockInvalid",
  { reason: Schema.String }
) {
  override get message(): string {
    return `This is not a schema lock: ${this.reason}`
  }
}

/**
 * What differs between a lock and the types of now.
 *
 * **Details**
 *
 * `EditedInPlace` and `Removed` break readers of what is stored; `New` has to
 * be locked. A version that had no schema and now has one is new.
 *
 * @category models
 * @since 0.1.0
 */
export type Difference = EditedInPlace | Removed | New

/**
 * A version whose shape is another one than it was locked with.
 *
 * @category models
 * @since 0.1.0
 */
export interface EditedInPlace {
  readonly _tag: "EditedInPlace"
  readonly type: string
  readonly version: number
  readonly changes: ReadonlyArray<Change>
}

/**
 * A version that is locked and that no type describes any more.
 *
 * @category models
 * @since 0.1.0
 */
export interface Removed {
  readonly _tag: "Removed"
  readonly type: string
  readonly version: number
}

/**
 * A version that is not locked yet.
 *
 * @category models
 * @since 0.1.0
 */
export interface New {
  readonly _tag: "New"
  readonly type: string
  readonly version: number
}

/**
 * One value that differs between two shapes; `undefined` where there is none.
 *
 * @category models
 * @since 0.1.0
 */
export interface Change {
  /** JSON Pointer into the locked shape: `/schema/properties/amount/type`; `/checks` for each line of these. */
  readonly pointer: string
  readonly before: Schema.Json | undefined
  readonly after: Schema.Json | undefined
}

/**
 * Describes every version of every type. Equal types give equal locks.
 *
 * **Gotchas**
 *
 * The code inside a check of the writer's own and inside a transformation is
 * not in the lock, only that it is there and what the value is read as. Where a
 * class has taken the place of its fields nothing differs.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lock = (types: ReadonlyArray<EventType.Any>): Lock => ({
  format: 1,
  types: types
    .map((type) => ({ name: type.name, shapes: [...type.history, type].map(lockShape) }))
    .toSorted((a, b) => compare(a.name, b.name))
})

/**
 * Compares what is locked with the types of now: nothing differs when the
 * answer is empty.
 *
 * @category comparing
 * @since 0.1.0
 */
export const check = (locked: Lock, types: ReadonlyArray<EventType.Any>): ReadonlyArray<Difference> => {
  const before = flatten(locked)
  const after = flatten(lock(types))
  const differences: Array<Difference> = []
  for (const [key, { shape, type }] of before) {
    const now = after.get(key)
    const { version } = shape
    if (now === undefined) {
      differences.push({ _tag: "Removed", type, version })
    } else if (shape.schema === null && now.shape.schema !== null) {
      differences.push({ _tag: "New", type, version })
    } else {
      const changes = [...changesBetween(shape.schema, now.shape.schema, "/schema"), ...checksBetween(shape, now.shape)]
      if (changes.length > 0) differences.push({ _tag: "EditedInPlace", type, version, changes })
    }
  }
  for (const [key, { shape, type }] of after) {
    if (!before.has(key)) differences.push({ _tag: "New", type, version: shape.version })
  }
  return differences.toSorted((a, b) => compare(a.type, b.type) || a.version - b.version)
}

/**
 * Whether a difference breaks readers of what is stored already.
 *
 * @category comparing
 * @since 0.1.0
 */
export const isBreaking = (difference: Difference): boolean => difference._tag !== "New"

/**
 * Says a difference in words, and what to do about it.
 *
 * @category comparing
 * @since 0.1.0
 */
export const describe = (difference: Difference): string => {
  const { type, version } = difference
  switch (difference._tag) {
    case "New":
      return `${type}, version ${version}, is new: lock it`
    case "Removed":
      return `${type}, version ${version}, is locked and gone: keep it in the history as long as it is stored`
    case "EditedInPlace": {
      const changes = difference.changes.map(({ after, before, pointer }) =>
        `  ${pointer}: ${JSON.stringify(before) ?? "nothing"} became ${JSON.stringify(after) ?? "nothing"}`
      )
      return [`${type}, version ${version}, was edited in place: make a new version instead`, ...changes].join("\n")
    }
  }
}

/**
 * Writes a lock as the text of its file: JSON with sorted keys, one value a
 * line, so that two branches merge.
 *
 * @category converting
 * @since 0.1.0
 */
export const toText = (self: Lock): string => `${JSON.stringify(sortKeys(self), undefined, 2)}\n`

/**
 * Reads the text of a lock's file.
 *
 * @category converting
 * @since 0.1.0
 */
export const fromText = (text: string): Result.Result<Lock, LockInvalid> =>
  Result.flatMap(
    Result.mapError(decodeText(text), (error) => new LockInvalid({ reason: error.message })),
    (lock) => {
      const twice = lockedTwice(lock)
      return twice === undefined ? Result.succeed(lock) : Result.fail(new LockInvalid({ reason: twice }))
    }
  )

// internal

const decodeText = Schema.decodeUnknownResult(Schema.fromJsonString(Lock))

/** As a merge of two branches may leave it: then nobody knows which of the two shapes was stored. */
const lockedTwice = ({ types }: Lock): string | undefined => {
  const seen = new Set<string>()
  for (const { name, shapes } of types) {
    for (const { version } of shapes) {
      const key = `${version} ${name}`
      if (seen.has(key)) return `${JSON.stringify(name)}, version ${version}, is in it twice`
      seen.add(key)
    }
  }
  return undefined
}

const lockShape = (
  { schema, version }: { readonly version: number; readonly schema: Schema.Codec<unknown, unknown> | undefined }
): LockedShape => ({
  version,
  schema: schema === undefined ? null : jsonSchemaOf(schema),
  checks: schema === undefined ? [] : unsaidOf(schema)
})

interface Located {
  readonly type: string
  readonly shape: LockedShape
}

const flatten = ({ types }: Lock): ReadonlyMap<string, Located> =>
  new Map(
    types.flatMap(({ name, shapes }) =>
      shapes.map((shape): [string, Located] => [`${shape.version} ${name}`, { type: name, shape }])
    )
  )

const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

const changesBetween = (before: Schema.Json, after: Schema.Json, pointer: string): ReadonlyArray<Change> => {
  if (canonicalJson(before) === canonicalJson(after)) return []
  if (!isObject(before) || !isObject(after)) return [{ pointer, before, after }]
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted(compare)
  return keys.flatMap((key) => {
    const at = `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`
    const [was, is] = [before[key], after[key]]
    return was === undefined || is === undefined
      ? was === is ? [] : [{ pointer: at, before: was, after: is }]
      : changesBetween(was, is, at)
  })
}

const checksBetween = (before: LockedShape, after: LockedShape): ReadonlyArray<Change> => [
  ...without(before.checks, after.checks).map((line) => ({ pointer: "/checks", before: line, after: undefined })),
  ...without(after.checks, before.checks).map((line) => ({ pointer: "/checks", before: undefined, after: line }))
]

/** Leaves out each line once for each time that the others have it. */
const without = (lines: ReadonlyArray<string>, others: ReadonlyArray<string>): ReadonlyArray<string> => {
  const left = [...others]
  return lines.filter((line) => {
    const index = left.indexOf(line)
    if (index >= 0) left.splice(index, 1)
    return index < 0
  })
}

const isObject = (value: Schema.Json): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)
