/**
 * Where projections run: the store, opened by the copy of the library that they
 * were made with.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { ManagedRuntime } from "effect/ManagedRuntime"
import type * as Scope from "effect/Scope"
import { CheckpointStore } from "../../store/CheckpointStore.ts"
import { EventArchive } from "../../store/EventArchive.ts"
import { EventStore } from "../../store/EventStore.ts"
import { CliFailure } from "../CliFailure.ts"
import type { Out } from "../Out.ts"
import type { Settings } from "../Settings.ts"
import { type OpenError, StoreOpener } from "../StoreOpener.ts"
import { layerArchive } from "./archivePlace.ts"
import type { ProjectionCode } from "./projectionCode.ts"
import type { ProjectionLibrary } from "./projectionLibrary.ts"

/**
 * An open store, and what works on it.
 *
 * **Details**
 *
 * Whatever `library`, `checkpoints` and `store` return is an effect of their own
 * copy of Effect: only `run` may run it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionHost {
  readonly library: ProjectionLibrary
  readonly checkpoints: CheckpointStore["Service"]
  readonly store: EventStore["Service"]
  /** Runs an effect of that copy. An interruption waits until it has given back what it holds. */
  readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E>
}

/**
 * Opens the store for projections, and the services that they need.
 *
 * @category constructors
 * @since 0.1.0
 */
export const openHost = (
  settings: Settings,
  code: Pick<ProjectionCode, "library" | "services">
): Effect.Effect<ProjectionHost, OpenError, Scope.Scope | FileSystem.FileSystem | Out> =>
  code.library.isOwn ? openOwn(settings, code) : openTheirs(settings, code)

// internal

const openOwn = Effect.fnUntraced(function*(
  settings: Settings,
  { library, services }: Pick<ProjectionCode, "library" | "services">
) {
  const opener = yield* StoreOpener
  const context = yield* Layer.build(yield* opener.store(settings, "read"))
  const all = services === undefined
    ? context
    : yield* Effect.mapError(Layer.build(Layer.provideMerge(services, Layer.succeedContext(context))), notServed)
  const host: ProjectionHost = {
    library,
    checkpoints: Context.get(context, CheckpointStore),
    store: Context.get(context, EventStore),
    // what a projection needs besides the store is what the services provide
    run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideContext(effect, all as Context.Context<unknown>)
  }
  return host
})

const openTheirs = Effect.fnUntraced(function*(
  settings: Settings,
  { library, services }: Pick<ProjectionCode, "library" | "services">
) {
  const { storeUrl } = yield* Effect.promise(() => import("./openStore.ts"))
  const url = yield* storeUrl(settings, "read")
  const { CheckpointStore, Effect: Theirs, EventStore, EventStoreLayer, Layer: TheirLayers, ManagedRuntime: Runtimes } =
    library
  const archive = Context.get(yield* Layer.build(layerArchive(settings)), EventArchive)
  const opened = TheirLayers.provide(
    EventStoreLayer.layerUrl(url, { schema: settings.schema, migrate: false }),
    TheirLayers.succeed(library.EventArchive.EventArchive, archiveFor(library, archive))
  )
  const layer = services === undefined ? opened : TheirLayers.provideMerge(services, opened)
  const runtime = yield* Effect.acquireRelease(
    // what a projection needs besides the store is what the services provide
    Effect.sync(() => Runtimes.make(layer) as ManagedRuntime<unknown, unknown>),
    (self) => Effect.promise(() => self.dispose())
  )
  const run = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E> =>
    Effect.callback((resume) => {
      const controller = new AbortController()
      // the runtime has all that the store and the services provide
      const ran = runtime.runPromiseExit(quietly(library, effect), { signal: controller.signal })
      const done = ran.then((exit) =>
        // by their tags: they are of another copy
        resume(
          exit._tag === "Success" ? Effect.succeed(exit.value) : Effect.fail(library.Cause.squash(exit.cause) as E)
        )
      )
      return Effect.promise(() => {
        controller.abort()
        return done
      })
    })
  const pair = yield* Effect.mapError(
    run(Theirs.all([CheckpointStore.CheckpointStore, EventStore.EventStore])),
    (error): OpenError => error as OpenError
  )
  const host: ProjectionHost = { library, checkpoints: pair[0], store: pair[1], run }
  return host
})

/** Reads archived events with the command's copy, and tells the outcome with theirs. */
const archiveFor = (
  { Effect: Theirs, EventStoreError: { Archived, Unavailable } }: ProjectionLibrary,
  archive: EventArchive["Service"]
): EventArchive["Service"] => ({
  read: (from, events) =>
    Theirs.flatMap(
      Theirs.promise(() => Effect.runPromise(Effect.result(archive.read(from, events)))),
      (result): ReturnType<typeof archive.read> => {
        if (result._tag === "Success") return Theirs.succeed(result.success)
        const reason = result.failure
        if (reason._tag === "Unavailable") return Theirs.fail(new Unavailable({ detail: reason.detail }))
        const { backupId, detail, position, until } = reason
        return Theirs.fail(new Archived({ backupId, detail, position, until }))
      }
    )
})

/** What they log goes to standard error, as what the command logs does. */
const quietly = <A, E, R>({ Effect: Theirs, References }: ProjectionLibrary, self: Effect.Effect<A, E, R>) =>
  Theirs.provideService(
    Theirs.provideService(self, References.LogToStderr, true),
    References.MinimumLogLevel,
    "Warn"
  )

const notServed = (cause: unknown): CliFailure =>
  new CliFailure({
    code: "ES-1909",
    exitCode: 1,
    message: "the services of the configuration cannot be had",
    why: cause instanceof Error ? cause.message : String(cause),
    fix: "they are its layer `services`: see what it needs",
    cause
  })
