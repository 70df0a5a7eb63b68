/**
 * Opens the storages; loaded by the first command that needs one.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { existsSync } from "node:fs"
import { layerUrl } from "../../runtime/EventStoreLayer.ts"
import { layerAdmin, schemaNameFault } from "../../runtime/StoreAdminLayer.ts"
import { parseStoreUrl } from "../../runtime/StoreUrl.ts"
import type { CheckpointStore } from "../../store/CheckpointStore.ts"
import type { EventStore } from "../../store/EventStore.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import type { LogArchive } from "../../store/LogArchive.ts"
import type { LogTransfer } from "../../store/LogTransfer.ts"
import type { ReadModelStore } from "../../store/ReadModelStore.ts"
import type { SnapshotStore } from "../../store/SnapshotStore.ts"
import type { StoreAdmin } from "../../store/StoreAdmin.ts"
import { type CliFailure, fromError, notFound, usage } from "../CliFailure.ts"
import type { Out } from "../Out.ts"
import type { Settings } from "../Settings.ts"
import { layerArchive } from "./archivePlace.ts"

export { schemaNameFault, schemaScript } from "../../runtime/StoreAdminLayer.ts"

/**
 * What a command does to the store: `write` makes one that is not there and
 * gives it its schema, `read` needs one.
 *
 * @category models
 * @since 0.1.0
 */
export type Purpose = "read" | "write"

/**
 * What an open store provides.
 *
 * @category models
 * @since 0.1.0
 */
export type StoreServices = CheckpointStore | EventStore | LogArchive | LogTransfer | ReadModelStore | SnapshotStore

/**
 * Why a store does not open.
 *
 * @category errors
 * @since 0.1.0
 */
export type OpenError = CliFailure | StorageError

/**
 * Opens the log and its snapshots. Only `write` makes a store and its schema; on a server it does
 * so when there is none of this version, so that a role without the owner's
 * rights writes to one that is current.
 *
 * @category constructors
 * @since 0.1.0
 */
export const openStore = (
  settings: Settings,
  purpose: Purpose
): Effect.Effect<Layer.Layer<StoreServices, OpenError>, OpenError, FileSystem.FileSystem | Out> =>
  Effect.flatMap(
    storeUrl(settings, purpose),
    (url) =>
      Effect.contextWith((context: Context.Context<FileSystem.FileSystem | Out>) => {
        const archive = Layer.provide(layerArchive(settings), Layer.succeedContext(context))
        return Effect.succeed(Layer.provide(openUrl(url, settings, purpose), archive))
      })
  )

/**
 * Opens the operator's side, which works on a schema of any version and on none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const openAdmin = (
  settings: Settings,
  purpose: Purpose
): Effect.Effect<Layer.Layer<StoreAdmin, OpenError>, OpenError> =>
  Effect.map(storeUrl(settings, purpose), (url) => inWords(layerAdmin(url, { schema: settings.schema })))

/**
 * Checks the store's URL and schema, and returns the URL: a directory that is
 * not there is no empty log, unless it is to be made.
 *
 * @category constructors
 * @since 0.1.0
 */
export const storeUrl = (settings: Settings, purpose: Purpose): Effect.Effect<string, OpenError> => {
  const fault = schemaNameFault(settings.schema)
  if (fault !== undefined) return Effect.fail(usage("--schema names no schema", fault, "choose another name"))
  const url = Redacted.value(settings.url)
  const target = parseStoreUrl(url)
  if (target._tag === "StoreUrlInvalid") return Effect.fail(fromError(target))
  return target._tag === "Pglite" && target.directory !== undefined && purpose === "read" &&
      !existsSync(target.directory)
    ? Effect.fail(notFound(
      "ES-1303",
      "there is no store",
      `the directory ${target.directory} does not exist`,
      "check --url (EVENT_STORE_URL), or make a store by importing or appending an event"
    ))
    : Effect.succeed(url)
}

// internal

const openUrl = (url: string, { schema }: Settings, purpose: Purpose): Layer.Layer<StoreServices, OpenError> => {
  const current = layerUrl(url, { schema, migrate: false })
  if (purpose === "read") return inWords(current)
  const migrated = layerUrl(url, { schema, migrate: true })
  if (!url.startsWith("postgres")) return inWords(migrated)
  return current.pipe(
    Layer.catch((error) =>
      error._tag === "StorageError" && error.reason._tag === "SchemaMismatch"
        ? migrated
        : Layer.effectContext(Effect.fail(error))
    ),
    inWords
  )
}

const inWords = <A, E, R>(self: Layer.Layer<A, E, R>): Layer.Layer<A, OpenError, R> =>
  self.pipe(Layer.catch((error) => Layer.effectContext(Effect.fail(fromError(error)))))
