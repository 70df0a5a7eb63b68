/**
 * The part of this library that a user's event types were made with.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
import type * as EventType from "../../event/EventType.ts"
import type * as SnapshotCodec from "../../snapshot/SnapshotCodec.ts"
import type * as SchemaLock from "../../version/SchemaLock.ts"
import type * as VersionRegistry from "../../version/VersionRegistry.ts"
import { CliFailure } from "../CliFailure.ts"

/**
 * Functions that work on a user's schemas.
 *
 * @category models
 * @since 0.1.0
 */
export interface UserLibrary {
  readonly VersionRegistry: Pick<typeof VersionRegistry, "makeResult">
  readonly SchemaLock: Pick<typeof SchemaLock, "check" | "describe" | "fromText" | "isBreaking" | "lock" | "toText">
  readonly SnapshotCodec: Pick<typeof SnapshotCodec, "make">
  /** Runs effects of the user's copy of Effect. */
  readonly runPromise: typeof Effect.runPromise
}

/**
 * Finds the library for event types that a module at `path` exports.
 *
 * **Details**
 *
 * A schema only works with the copy of Effect that made it: another one would
 * decode it wrongly without a word. The bundled command has a copy of its own,
 * so it takes the library, and with it Effect, from where the module finds them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const findUserLibrary = (
  types: ReadonlyArray<EventType.Any>,
  path: string
): Effect.Effect<UserLibrary, CliFailure> =>
  areMadeWith(Schema, types)
    ? Effect.promise(loadOwn)
    : Effect.tryPromise({ try: () => loadFrom(path, types), catch: (cause) => wrongCopy(path, cause) })

// internal

/** The class that every node of a schema extends, which Effect does not export. */
const nodeClassOf = ({ String }: Pick<typeof Schema, "String">): object =>
  Object.getPrototypeOf(Object.getPrototypeOf(String.ast))

const areMadeWith = (copy: Pick<typeof Schema, "String">, types: ReadonlyArray<EventType.Any>): boolean => {
  const isOf = Object.prototype.isPrototypeOf.bind(nodeClassOf(copy))
  return types.every(({ history, schema }) =>
    isOf(schema.ast) && history.every((shape) => shape.schema === undefined || isOf(shape.schema.ast))
  )
}

const loadOwn = async (): Promise<UserLibrary> => {
  const [VersionRegistry, SchemaLock, SnapshotCodec] = await Promise.all([
    import("../../version/VersionRegistry.ts"),
    import("../../version/SchemaLock.ts"),
    import("../../snapshot/SnapshotCodec.ts")
  ])
  return { VersionRegistry, SchemaLock, SnapshotCodec, runPromise: Effect.runPromise }
}

const loadFrom = async (path: string, types: ReadonlyArray<EventType.Any>): Promise<UserLibrary> => {
  const ours = createRequire(path).resolve("effect-event-store/version/VersionRegistry")
  const load = async <A>(from: string, specifier: string): Promise<A> =>
    await import(/* @vite-ignore */ pathToFileURL(createRequire(from).resolve(specifier)).href)
  const [VersionRegistry, SchemaLock, SnapshotCodec, { runPromise }, theirs] = await Promise.all([
    load<UserLibrary["VersionRegistry"]>(path, "effect-event-store/version/VersionRegistry"),
    load<UserLibrary["SchemaLock"]>(path, "effect-event-store/version/SchemaLock"),
    load<UserLibrary["SnapshotCodec"]>(path, "effect-event-store/snapshot/SnapshotCodec"),
    load<Pick<UserLibrary, "runPromise">>(ours, "effect/Effect"),
    load<Pick<typeof Schema, "String">>(ours, "effect/Schema")
  ])
  if (!areMadeWith(theirs, types)) throw new Error(`${ours} finds another copy of effect than the module`)
  return { VersionRegistry, SchemaLock, SnapshotCodec, runPromise }
}

const wrongCopy = (path: string, cause: unknown): CliFailure =>
  new CliFailure({
    code: "ES-1704",
    exitCode: 65,
    message: "the event types were made with another copy of effect",
    why: `${path}: ${cause instanceof Error ? cause.message.split("\n")[0] : String(cause)}`,
    fix: "install effect-event-store and one effect beside the module, and import both by their names",
    cause
  })
