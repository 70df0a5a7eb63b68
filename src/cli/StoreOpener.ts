/**
 * Opens the store that a command works on.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import type { StoreAdmin } from "../store/StoreAdmin.ts"
import type { OpenError, Purpose, StoreServices } from "./internal/openStore.ts"
import type { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"

export type { OpenError, Purpose, StoreServices }

/**
 * Opens the store that settings name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opener {
  readonly store: (
    settings: Settings,
    purpose: Purpose
  ) => Effect.Effect<Layer.Layer<StoreServices, OpenError>, OpenError, FileSystem.FileSystem | Out>
  /** Opens the operator's side, whatever schema the store has. */
  readonly admin: (settings: Settings, purpose: Purpose) => Effect.Effect<Layer.Layer<StoreAdmin, OpenError>, OpenError>
}

/**
 * Reference to how stores are opened; tests put their own in.
 *
 * @category services
 * @since 0.1.0
 */
export const StoreOpener: Context.Reference<Opener> = Context.Reference("effect-event-store/cli/StoreOpener", {
  defaultValue: (): Opener => ({
    store: (settings, purpose) => Effect.flatMap(loadOpener, ({ openStore }) => openStore(settings, purpose)),
    admin: (settings, purpose) => Effect.flatMap(loadOpener, ({ openAdmin }) => openAdmin(settings, purpose))
  })
})

/**
 * Runs an effect on the store that the settings name.
 *
 * @category operations
 * @since 0.1.0
 */
export const withStore = (settings: Settings, purpose: Purpose) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | OpenError, Exclude<R, StoreServices> | FileSystem.FileSystem | Out> =>
  Effect.gen(function*() {
    const opener = yield* StoreOpener
    return yield* Effect.provide(self, yield* opener.store(settings, purpose))
  })

/**
 * {@link withStore} as the last argument of `Effect.fnUntraced`, for a command
 * with an input and settings.
 *
 * @category operations
 * @since 0.1.0
 */
export const onStore =
  (purpose: Purpose) => <A, E, R>(self: Effect.Effect<A, E, R>, _input: unknown, settings: Settings) =>
    withStore(settings, purpose)(self)

/**
 * The same for the operator's side.
 *
 * @category operations
 * @since 0.1.0
 */
export const onAdmin = (purpose: Purpose) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>,
  _input: unknown,
  settings: Settings
): Effect.Effect<A, E | OpenError, Exclude<R, StoreAdmin>> =>
  Effect.gen(function*() {
    const opener = yield* StoreOpener
    return yield* Effect.provide(self, yield* opener.admin(settings, purpose))
  })

// internal

const loadOpener = Effect.promise(() => import("./internal/openStore.ts"))
