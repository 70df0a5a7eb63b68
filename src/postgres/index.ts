/**
 * The log in PostgreSQL, and what stands beside it.
 *
 * @since 0.1.0
 */
export * as PgCheckpointStore from "./PgCheckpointStore.ts"
export * as PgEventStore from "./PgEventStore.ts"
export * as PgLogArchive from "./PgLogArchive.ts"
export * as PgLogTransfer from "./PgLogTransfer.ts"
export * as PgMigrations from "./PgMigrations.ts"
export * as PgReadModelStore from "./PgReadModelStore.ts"
export * as PgSnapshotStore from "./PgSnapshotStore.ts"
export * as PgStoreAdmin from "./PgStoreAdmin.ts"
export * as PgTransaction from "./PgTransaction.ts"
