/**
 * The copy of this library that a user's projections were made with.
 *
 * **Details**
 *
 * The bundled command has a copy of Effect of its own. Handlers, schemas and
 * layers of a user's module only work with theirs, so the runner that runs them
 * comes, with its storage, from where the module finds it.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import type * as BuiltIn from "../../projection/BuiltIn.ts"
import type * as EventReplay from "../../projection/EventReplay.ts"
import type * as ProjectionControl from "../../projection/ProjectionControl.ts"
import type * as ProjectionDiff from "../../projection/ProjectionDiff.ts"
import type * as ProjectionRebuild from "../../projection/ProjectionRebuild.ts"
import type * as ProjectionRehearsal from "../../projection/ProjectionRehearsal.ts"
import type * as ProjectionRunner from "../../projection/ProjectionRunner.ts"
import type { Follower } from "../../projection/Reactor.ts"
import type * as EventStoreLayer from "../../runtime/EventStoreLayer.ts"
import type * as CheckpointStore from "../../store/CheckpointStore.ts"
import type * as EventArchive from "../../store/EventArchive.ts"
import type * as EventStore from "../../store/EventStore.ts"
import type * as EventStoreError from "../../store/EventStoreError.ts"
import type { CliFailure } from "../CliFailure.ts"
import { areMadeWith, loadFrom, locate, type SchemaCopy, wrongCopy } from "./userModule.ts"

/**
 * The modules of one copy of the library, and of its copy of Effect.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionLibrary extends LibraryModules, EffectModules {
  /** Whether it is the command's own copy. */
  readonly isOwn: boolean
}

/**
 * The modules of a copy of this library.
 *
 * @category models
 * @since 0.1.0
 */
export interface LibraryModules {
  readonly BuiltIn: typeof BuiltIn
  readonly EventReplay: typeof EventReplay
  readonly ProjectionControl: typeof ProjectionControl
  readonly ProjectionDiff: typeof ProjectionDiff
  readonly ProjectionRebuild: typeof ProjectionRebuild
  readonly ProjectionRehearsal: typeof ProjectionRehearsal
  readonly ProjectionRunner: typeof ProjectionRunner
  readonly CheckpointStore: typeof CheckpointStore
  readonly EventArchive: typeof EventArchive
  readonly EventStore: typeof EventStore
  readonly EventStoreError: typeof EventStoreError
  readonly EventStoreLayer: typeof EventStoreLayer
}

/**
 * The modules of a copy of Effect.
 *
 * @category models
 * @since 0.1.0
 */
export interface EffectModules {
  readonly Cause: typeof Cause
  readonly Effect: typeof Effect
  readonly Layer: typeof Layer
  readonly ManagedRuntime: typeof ManagedRuntime
  readonly References: typeof References
}

/**
 * The command's own copy.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ownLibrary: Effect.Effect<ProjectionLibrary> = Effect.promise(async () => ({
  isOwn: true,
  BuiltIn: await import("../../projection/BuiltIn.ts"),
  EventReplay: await import("../../projection/EventReplay.ts"),
  ProjectionControl: await import("../../projection/ProjectionControl.ts"),
  ProjectionDiff: await import("../../projection/ProjectionDiff.ts"),
  ProjectionRebuild: await import("../../projection/ProjectionRebuild.ts"),
  ProjectionRehearsal: await import("../../projection/ProjectionRehearsal.ts"),
  ProjectionRunner: await import("../../projection/ProjectionRunner.ts"),
  CheckpointStore: await import("../../store/CheckpointStore.ts"),
  EventArchive: await import("../../store/EventArchive.ts"),
  EventStore: await import("../../store/EventStore.ts"),
  EventStoreError: await import("../../store/EventStoreError.ts"),
  EventStoreLayer: await import("../../runtime/EventStoreLayer.ts"),
  Cause,
  Effect,
  Layer,
  ManagedRuntime,
  References
}))

/**
 * Finds the copy for the projections and reactors that a module at `path`
 * exports.
 *
 * @category constructors
 * @since 0.1.0
 */
export const findProjectionLibrary = (
  followers: ReadonlyArray<Follower<unknown>>,
  path: string
): Effect.Effect<ProjectionLibrary, CliFailure> =>
  Effect.gen(function*() {
    if (followers.length === 0) return yield* ownLibrary
    const schemas = followers.flatMap(schemasOf)
    if (schemas.length > 0 && areMadeWith(Schema, schemas)) return yield* ownLibrary
    const loaded = yield* Effect.tryPromise({
      try: () => loadTheirs(path, schemas),
      catch: (cause) => wrongCopy("projections")(path, cause)
    })
    return loaded ?? (yield* ownLibrary)
  })

/**
 * Finds the copy for a module that makes effects; the command's own when the
 * module finds none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const findEffectLibrary = (path: string): Effect.Effect<ProjectionLibrary> =>
  Effect.tryPromise(() => loadTheirs(path, [])).pipe(
    Effect.orElseSucceed(() => undefined),
    Effect.flatMap((loaded) => loaded === undefined ? ownLibrary : Effect.succeed(loaded))
  )

// internal

const LIBRARY_MODULES: Readonly<Record<keyof LibraryModules, string>> = {
  BuiltIn: "projection/BuiltIn",
  EventReplay: "projection/EventReplay",
  ProjectionControl: "projection/ProjectionControl",
  ProjectionDiff: "projection/ProjectionDiff",
  ProjectionRebuild: "projection/ProjectionRebuild",
  ProjectionRehearsal: "projection/ProjectionRehearsal",
  ProjectionRunner: "projection/ProjectionRunner",
  CheckpointStore: "store/CheckpointStore",
  EventArchive: "store/EventArchive",
  EventStore: "store/EventStore",
  EventStoreError: "store/EventStoreError",
  EventStoreLayer: "runtime/EventStoreLayer"
}

const EFFECT_MODULES: Readonly<Record<keyof EffectModules, string>> = {
  Cause: "Cause",
  Effect: "Effect",
  Layer: "Layer",
  ManagedRuntime: "ManagedRuntime",
  References: "References"
}

const schemasOf = ({ events, target }: Follower<unknown>): ReadonlyArray<object> => [
  ...(events === "all" ? [] : events.map(({ schema }) => schema.ast)),
  ...(target._tag === "State" ? [target.json.ast] : [])
]

/** `undefined` when what the module finds is the command's own copy of Effect. */
const loadTheirs = async (path: string, schemas: ReadonlyArray<object>): Promise<ProjectionLibrary | undefined> => {
  const ours = locate(path, "effect-event-store/projection/ProjectionRunner")
  if (!areMadeWith(await loadFrom<SchemaCopy>(ours, "effect/Schema"), schemas)) {
    throw new Error(`${ours} finds another copy of effect than the module`)
  }
  const theirs = await loadAll<EffectModules>(ours, "effect", EFFECT_MODULES)
  if (theirs.Effect.succeed === Effect.succeed) return undefined
  return { isOwn: false, ...theirs, ...await loadAll<LibraryModules>(path, "effect-event-store", LIBRARY_MODULES) }
}

/** The modules are what their names say. */
const loadAll = async <Modules>(
  path: string,
  library: string,
  specifiers: Readonly<Record<keyof Modules & string, string>>
): Promise<Modules> => {
  const loaded = Object.entries<string>(specifiers).map(async ([name, specifier]) =>
    [name, await loadFrom<unknown>(path, `${library}/${specifier}`)] as const
  )
  return Object.fromEntries(await Promise.all(loaded)) as Modules
}
