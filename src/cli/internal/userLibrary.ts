/**
 * The part of this library that a user's event types were made with.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as EventType from "../../event/EventType.ts"
import type * as SnapshotCodec from "../../snapshot/SnapshotCodec.ts"
import type * as SchemaLock from "../../version/SchemaLock.ts"
import type * as VersionRegistry from "../../version/VersionRegistry.ts"
import type { CliFailure } from "../CliFailure.ts"
import { areMadeWith, loadFrom, locate, type SchemaCopy, wrongCopy } from "./userModule.ts"

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
  areMadeWith(Schema, nodesOf(types))
    ? Effect.promise(loadOwn)
    : Effect.tryPromise({
      try: () => loadTheirs(path, nodesOf(types)),
      catch: (cause) => wrongCopy("event types")(path, cause)
    })

// internal

const nodesOf = (types: ReadonlyArray<EventType.Any>): ReadonlyArray<object> =>
  types.flatMap(({ history, schema }) => [
    schema.ast,
    ...history.flatMap((shape) => shape.schema === undefined ? [] : [shape.schema.ast])
  ])

const loadOwn = async (): Promise<UserLibrary> => {
  const [VersionRegistry, SchemaLock, SnapshotCodec] = await Promise.all([
    import("../../version/VersionRegistry.ts"),
    import("../../version/SchemaLock.ts"),
    import("../../snapshot/SnapshotCodec.ts")
  ])
  return { VersionRegistry, SchemaLock, SnapshotCodec, runPromise: Effect.runPromise }
}

const loadTheirs = async (path: string, nodes: ReadonlyArray<object>): Promise<UserLibrary> => {
  const ours = locate(path, "effect-event-store/version/VersionRegistry")
  const [VersionRegistry, SchemaLock, SnapshotCodec, { runPromise }, theirs] = await Promise.all([
    loadFrom<UserLibrary["VersionRegistry"]>(path, "effect-event-store/version/VersionRegistry"),
    loadFrom<UserLibrary["SchemaLock"]>(path, "effect-event-store/version/SchemaLock"),
    loadFrom<UserLibrary["SnapshotCodec"]>(path, "effect-event-store/snapshot/SnapshotCodec"),
    loadFrom<Pick<UserLibrary, "runPromise">>(ours, "effect/Effect"),
    loadFrom<SchemaCopy>(ours, "effect/Schema")
  ])
  if (!areMadeWith(theirs, nodes)) throw new Error(`${ours} finds another copy of effect than the module`)
  return { VersionRegistry, SchemaLock, SnapshotCodec, runPromise }
}
