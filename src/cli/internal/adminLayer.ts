/**
 * The operator's side of a store by its URL, whatever schema the store has.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PgliteClient from "../../pglite/PgliteClient.ts"
import type { DataDirectoryLocked, PgliteError } from "../../pglite/PgliteError.ts"
import * as PgMigrations from "../../postgres/PgMigrations.ts"
import * as PgStoreAdmin from "../../postgres/PgStoreAdmin.ts"
import { layerMemory } from "../../runtime/EventStoreLayer.ts"
import { parseStoreUrl, type StoreUrlInvalid } from "../../runtime/StoreUrl.ts"
import { StorageError, Unavailable } from "../../store/EventStoreError.ts"
import type { StoreAdmin } from "../../store/StoreAdmin.ts"

export { schemaNameFault, script as schemaScript } from "../../postgres/PgMigrations.ts"

/**
 * Layer that provides the operator's side of the store that a URL names. Unlike
 * `layerUrl` it neither needs nor makes a schema.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAdmin = (
  url: string,
  { schema = "event_store" }: { readonly schema?: string | undefined } = {}
): Layer.Layer<StoreAdmin, StoreUrlInvalid | StorageError | DataDirectoryLocked | PgliteError> => {
  const target = parseStoreUrl(url)
  const named = Layer.succeed(PgMigrations.SchemaName, schema)
  switch (target._tag) {
    case "StoreUrlInvalid":
      return Layer.effectContext(Effect.fail(target))
    case "Memory":
      return layerMemory
    case "Pglite":
      return PgStoreAdmin.layer("pglite").pipe(
        Layer.provide(PgliteClient.layer({ directory: target.directory })),
        Layer.provide(named)
      )
    case "Postgres":
      return PgStoreAdmin.layer("postgres").pipe(
        Layer.provide(PgClient.layer({
          url: target.url,
          applicationName: "event-store",
          maxConnections: 1,
          connectTimeout: "10 seconds"
        })),
        Layer.provide(named),
        Layer.catch(({ message }) => {
          const reason = new Unavailable({ detail: message })
          return Layer.effectContext(Effect.fail(new StorageError({ operation: "connect", reason })))
        })
      )
  }
}
