/**
 * Opens a store whose server may just be starting.
 */
import { type Context, Effect, Layer, Schedule, type Scope } from "effect"
import { layerUrl } from "../../src/runtime/index.ts"
import type { EventStore, StoreAdmin } from "../../src/store/index.ts"

/**
 * Opens the store that a URL names for as long as the scope is open; tries
 * again while it fails for a reason that passes, and dies of all others.
 */
export const openStore = (
  url: string
): Effect.Effect<Context.Context<EventStore | StoreAdmin>, never, Scope.Scope> =>
  Layer.build(Layer.fresh(layerUrl(url))).pipe(
    Effect.retry({
      while: (error) => error._tag === "StorageError" && error.isRetryable,
      schedule: Schedule.spaced("50 millis"),
      times: ATTEMPTS
    }),
    Effect.orDie
  )

// internal

/** Half a minute at least: longer than any recovery here. */
const ATTEMPTS = 600
