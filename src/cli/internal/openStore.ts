/**
 * Opens the storages; loaded by the first command that needs one.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { existsSync } from "node:fs"
import * as PgliteClient from "../../pglite/PgliteClient.ts"
import * as PgMigrations from "../../postgres/PgMigrations.ts"
import * as PgStoreAdmin from "../../postgres/PgStoreAdmin.ts"
import { layerMemory, layerPglite, layerPostgres } from "../../runtime/EventStoreLayer.ts"
import { parseStoreUrl, type StoreUrl } from "../../runtime/StoreUrl.ts"
import type { EventStore } from "../../store/EventStore.ts"
import { StorageError, Unavailable } from "../../store/EventStoreError.ts"
import type { StoreAdmin } from "../../store/StoreAdmin.ts"
import { fromError, notFound, usage } from "../CliFailure.ts"
import type { Settings } from "../Settings.ts"
import type { OpenError, Purpose } from "../StoreOpener.ts"

/**
 * Opens the log. Only `write` makes a store and its schema; on a server it does
 * so when there is none of this version, so that a role without the owner's
 * rights writes to one that is current.
 *
 * @category constructors
 * @since 0.1.0
 */
export const openStore = (
  settings: Settings,
  purpose: Purpose
): Effect.Effect<Layer.Layer<EventStore, OpenError>, OpenError> =>
  Effect.map(resolve(settings, purpose), (target) => {
    const { schema } = settings
    switch (target._tag) {
      case "Memory":
        return layerMemory
      case "Pglite":
        return layerPglite({ directory: target.directory, schema, migrate: purpose === "write" }).pipe(inWords)
      case "Postgres": {
        const { url } = target
        const current = layerPostgres({ url, schema, migrate: false })
        return purpose === "read" ? current : current.pipe(
          Layer.catch((error) =>
            error.reason._tag === "SchemaMismatch"
              ? layerPostgres({ url, schema, migrate: true })
              : Layer.effectContext(Effect.fail(error))
          )
        )
      }
    }
  })

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
  Effect.map(resolve(settings, purpose), (target) => {
    const schema = Layer.succeed(PgMigrations.SchemaName, settings.schema)
    switch (target._tag) {
      case "Memory":
        return layerMemory
      case "Pglite":
        return PgStoreAdmin.layer("pglite").pipe(
          Layer.provide(PgliteClient.layer({ directory: target.directory })),
          Layer.provide(schema),
          inWords
        )
      case "Postgres":
        return PgStoreAdmin.layer("postgres").pipe(
          Layer.provide(PgClient.layer({
            url: target.url,
            applicationName: "event-store",
            maxConnections: 1,
            connectTimeout: "10 seconds"
          })),
          Layer.provide(schema),
          Layer.catch(({ message }) => {
            const reason = new Unavailable({ detail: message })
            return Layer.effectContext(Effect.fail(new StorageError({ operation: "connect", reason })))
          })
        )
    }
  })

// internal

const inWords = <A, E, R>(self: Layer.Layer<A, E, R>): Layer.Layer<A, OpenError, R> =>
  Layer.catch(self, (error) => Layer.effectContext(Effect.fail(fromError(error))))

/** Reads the URL; a directory that is not there is no empty log, unless it is to be made. */
const resolve = (
  { schema, url }: Settings,
  purpose: Purpose
): Effect.Effect<Exclude<StoreUrl, { readonly _tag: "StoreUrlInvalid" }>, OpenError> => {
  const fault = PgMigrations.schemaNameFault(schema)
  if (fault !== undefined) return Effect.fail(usage("--schema names no schema", fault, "choose another name"))
  const target = parseStoreUrl(Redacted.value(url))
  if (target._tag === "StoreUrlInvalid") return Effect.fail(fromError(target))
  return target._tag === "Pglite" && target.directory !== undefined && purpose === "read" &&
      !existsSync(target.directory)
    ? Effect.fail(notFound(
      "ES-1303",
      "there is no store",
      `the directory ${target.directory} does not exist`,
      "check --url (EVENT_STORE_URL), or make a store by importing or appending an event"
    ))
    : Effect.succeed(target)
}
