/**
 * The file `event-store.config.ts`: what the command `event-store` finds there,
 * so that nobody repeats it. Loads nothing but itself.
 *
 * @since 0.1.0
 */
import type * as Layer from "effect/Layer"
import type * as EventType from "../event/EventType.ts"
import type { Projection } from "../projection/Projection.ts"
import type { Reactor } from "../projection/Reactor.ts"
import type { CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"

/**
 * What a configuration file exports by default. Everything may be left out, but
 * what its projections and reactors need.
 *
 * **Details**
 *
 * A flag of the command goes before the environment, the environment before this
 * file, and this file before what is built in.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoreConfig<R = never> {
  /** The store: `memory:`, `pglite:DIRECTORY` (relative to the file) or `postgres://…`. */
  readonly url?: string | undefined
  /** Name of the database schema. */
  readonly schema?: string | undefined
  /** Where archived months are read. */
  readonly archive?: ArchiveConfig | undefined
  /** Projections that `event-store projection …` knows by their names. */
  readonly projections?: ReadonlyArray<Projection<R>> | undefined
  /** Reactors that it knows, too. */
  readonly reactors?: ReadonlyArray<Reactor<R>> | undefined
  /** What projections with a storage of their own, and reactors, need besides the store. */
  readonly services?: Layer.Layer<R, unknown, CheckpointStore | EventStore> | undefined
  /** Event types for the commands that take `--events`. */
  readonly events?: ReadonlyArray<EventType.Any> | undefined
}

/**
 * The place in which archived months of a store are read.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArchiveConfig {
  /** A directory (relative to the file), or `s3://BUCKET/PREFIX`. */
  readonly dest: string
  /** Files with keys (relative to the file), where the backups are encrypted. */
  readonly keyFiles?: ReadonlyArray<string> | undefined
  /** Files with public keys (relative to the file): only what they signed is accepted. */
  readonly trust?: ReadonlyArray<string> | undefined
}

/**
 * Returns a configuration as it is, checked by the compiler: what projections
 * and reactors need is what `services` provide.
 *
 * **Example**
 *
 * ```ts
 * // event-store.config.ts
 * export default defineConfig({
 *   url: "pglite:.event-store",
 *   projections: [revenue, balances]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const defineConfig = <R = never>(
  config: StoreConfig<R> & ([R] extends [never] ? unknown : Required<Pick<StoreConfig<R>, "services">>)
): StoreConfig<R> => config
