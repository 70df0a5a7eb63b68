/**
 * The operator's side of a store by its URL, whatever schema the store has.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MemoryStoreAdmin from "../memory/MemoryStoreAdmin.ts"
import * as PgliteClient from "../pglite/PgliteClient.ts"
import type { DataDirectoryLocked, PgliteError } from "../pglite/PgliteError.ts"
import * as PgMigrations from "../postgres/PgMigrations.ts"
import * as PgStoreAdmin from "../postgres/PgStoreAdmin.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import type { StoreAdmin } from "../store/StoreAdmin.ts"
import { layerServer } from "./internal/serverClient.ts"
import { parseStoreUrl, type StoreUrlInvalid } from "./StoreUrl.ts"

export {
  /**
   * Says what is wrong with a schema name, or `undefined` when nothing is.
   *
   * @category validation
   * @since 0.1.0
   */
  schemaNameFault,
  /**
   * Returns the SQL that makes an empty database a store.
   *
   * @category getters
   * @since 0.1.0
   */
  script as schemaScript
} from "../postgres/PgMigrations.ts"

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
      return MemoryStoreAdmin.layer
    case "Pglite":
      return PgStoreAdmin.layer("pglite").pipe(
        Layer.provide(PgliteClient.layer({ directory: target.directory })),
        Layer.provide(named)
      )
    case "Postgres":
      return PgStoreAdmin.layer("postgres").pipe(
        Layer.provide(layerServer({ url: target.url, applicationName: undefined, maxConnections: 1 })),
        Layer.provide(named)
      )
  }
}
