/**
 * The operator's side of a store in memory.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Refused, StorageError } from "../store/EventStoreError.ts"
import { StoreAdmin } from "../store/StoreAdmin.ts"

/**
 * Layer that provides the operator's side: there is no schema, and nothing to
 * look after.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<StoreAdmin> = Layer.succeed(StoreAdmin, {
  storage: "memory",
  schemaStatus: Effect.succeed({ schema: "", migrations: [], outdatedFunctions: [], isCurrent: true }),
  schemaApply: () => Effect.succeed([]),
  schemaScript: "",
  schemaVerify: Effect.succeed([]),
  createIndex: () =>
    Effect.fail(
      new StorageError({
        operation: "createIndex",
        reason: new Refused({ detail: "a store in memory has all its indexes" })
      })
    ),
  checkHealth: Effect.succeed([
    {
      name: "durability",
      level: "warn" as const,
      detail: "memory",
      hint: "use pglite: or postgres: to keep what is recorded"
    }
  ]),
  verifyLog: Effect.succeed([])
})
