/**
 * What an operator asks of a storage: its schema and its health.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { StorageError } from "./EventStoreError.ts"

/**
 * Service for the operator's side of a store.
 *
 * @category services
 * @since 0.1.0
 */
export class StoreAdmin extends Context.Service<StoreAdmin, {
  /** Which storage it is. */
  readonly storage: "memory" | "pglite" | "postgres"

  /** Says which migrations and functions are there and which are not. */
  readonly schemaStatus: Effect.Effect<SchemaStatus, StorageError>

  /**
   * Brings the schema up to date and makes the partitions of the months ahead;
   * returns what was done. Does nothing to a schema that is up to date; safe
   * when several processes start at once. `roles` also makes the roles of
   * `sql/privileges.sql`.
   */
  readonly schemaApply: (
    options?: { readonly roles?: boolean | undefined }
  ) => Effect.Effect<ReadonlyArray<string>, StorageError>

  /** The SQL that `schemaApply` runs on an empty database; empty for a storage without SQL. */
  readonly schemaScript: string

  /** Compares what is in the database with what should be; empty when nothing differs. */
  readonly schemaVerify: Effect.Effect<ReadonlyArray<string>, StorageError>

  /** Makes an index that not every store wants; see `sql/functions/create_optional_index.sql`. */
  readonly createIndex: (kind: "type" | "data") => Effect.Effect<void, StorageError>

  /** Examines the store, cheapest first. */
  readonly checkHealth: Effect.Effect<ReadonlyArray<HealthCheck>, StorageError>

  /** Reads the whole log and names every broken invariant; empty for a sound log. */
  readonly verifyLog: Effect.Effect<ReadonlyArray<string>, StorageError>
}>()("effect-event-store/store/StoreAdmin") {}

/**
 * Which parts of the schema are there.
 *
 * @category models
 * @since 0.1.0
 */
export interface SchemaStatus {
  /** Name of the schema; empty for a storage without SQL. */
  readonly schema: string
  /** Migrations in their order; `unknown` ones were made by a newer version of the package. */
  readonly migrations: ReadonlyArray<{
    readonly name: string
    readonly state: "applied" | "pending" | "unknown"
    readonly appliedAt: Date | undefined
  }>
  /** Functions that are missing or have another text than this version's. */
  readonly outdatedFunctions: ReadonlyArray<string>
  /** Whether there is nothing to apply and nothing unknown. */
  readonly isCurrent: boolean
}

/**
 * One line of an examination.
 *
 * @category models
 * @since 0.1.0
 */
export interface HealthCheck {
  readonly name: string
  readonly level: "ok" | "warn" | "fail"
  /** What was found. */
  readonly detail: string
  /** What to do about it, in one line; empty when it is ok. */
  readonly hint: string
}
