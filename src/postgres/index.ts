/**
 * The log in PostgreSQL.
 *
 * @since 0.1.0
 */
export * as PgEventStore from "./PgEventStore.ts"
export * as PgMigrations from "./PgMigrations.ts"
export * as PgStoreAdmin from "./PgStoreAdmin.ts"
export * as PgTransaction from "./PgTransaction.ts"
