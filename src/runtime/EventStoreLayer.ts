/**
 * Ready-made stores: one layer, and the only line that changes from a test to
 * an embedded store to a server.
 *
 * @since 0.1.0
 */
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { SqlClient } from "effect/sql/SqlClient"
import * as MemoryCheckpointStore from "../memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../memory/MemoryEventStore.ts"
import * as MemoryLogArchive from "../memory/MemoryLogArchive.ts"
import * as MemoryLogTransfer from "../memory/MemoryLogTransfer.ts"
import * as MemorySnapshotStore from "../memory/MemorySnapshotStore.ts"
import * as MemoryStoreAdmin from "../memory/MemoryStoreAdmin.ts"
import * as PgliteClient from "../pglite/PgliteClient.ts"
import type { DataDirectoryLocked, PgliteError } from "../pglite/PgliteError.ts"
import * as PgCheckpointStore from "../postgres/PgCheckpointStore.ts"
import * as PgEventStore from "../postgres/PgEventStore.ts"
import * as PgLogArchive from "../postgres/PgLogArchive.ts"
import * as PgLogTransfer from "../postgres/PgLogTransfer.ts"
import * as PgMigrations from "../postgres/PgMigrations.ts"
import * as PgReadModelStore from "../postgres/PgReadModelStore.ts"
import * as PgSnapshotStore from "../postgres/PgSnapshotStore.ts"
import * as PgStoreAdmin from "../postgres/PgStoreAdmin.ts"
import * as PgTransaction from "../postgres/PgTransaction.ts"
import type { CheckpointStore } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import type { InlineAppender } from "../store/InlineAppender.ts"
import type { LogArchive } from "../store/LogArchive.ts"
import type { LogTransfer } from "../store/LogTransfer.ts"
import type { ReadModelStore } from "../store/ReadModelStore.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import type { StoreAdmin } from "../store/StoreAdmin.ts"
import { layerServer } from "./internal/serverClient.ts"
import { parseStoreUrl, type StoreUrlInvalid } from "./StoreUrl.ts"

/**
 * What every store provides.
 *
 * **Details**
 *
 * A store whose old months are archived takes an `EventArchive` (of
 * `BackupArchive.layer`) when one is provided to its layer.
 *
 * @category models
 * @since 0.1.0
 */
export type StoreServices =
  | CheckpointStore
  | EventStore
  | InlineAppender
  | LogArchive
  | LogTransfer
  | ReadModelStore
  | SnapshotStore
  | StoreAdmin

/**
 * Layer that provides a store in memory: for tests, and gone with the process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<
  StoreServices
> = Layer.mergeAll(
  Layer.merge(MemoryLogTransfer.layer, MemoryLogArchive.layer).pipe(
    Layer.provideMerge(Layer.merge(MemorySnapshotStore.layer, MemoryCheckpointStore.layer)),
    Layer.provideMerge(MemoryEventStore.layer)
  ),
  MemoryStoreAdmin.layer
)

/**
 * Options that the stores with a schema share.
 *
 * @category models
 * @since 0.1.0
 */
export interface SchemaOptions {
  /** Name of the PostgreSQL schema; `event_store` when absent. */
  readonly schema?: string | undefined
  /**
   * Whether to bring the schema up to date first, and to make the partitions of
   * coming months while the store is open; needs the owner's rights. True when
   * absent. Without it a schema that is not this version's fails the layer.
   */
  readonly migrate?: boolean | undefined
}

/**
 * Options of an embedded store.
 *
 * @category models
 * @since 0.1.0
 */
export interface PgliteStoreOptions extends SchemaOptions, PgliteClient.PgliteOptions {}

/**
 * Layer that provides an embedded store: PostgreSQL in the process, without a
 * server.
 *
 * **Details**
 *
 * With a `directory` an acknowledged append outlives a power failure, unless
 * `durability` says otherwise; without one everything is gone with the process.
 * One process at a time opens a directory: a second one fails with
 * `DataDirectoryLocked`, which names the first. Statements run on the thread of
 * the event loop, one at a time.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPglite = (options: PgliteStoreOptions = {}): Layer.Layer<
  | StoreServices
  | PgTransaction.PgTransaction
  | PgClient.PgClient
  | SqlClient
  | PgliteClient.Pglite,
  StorageError | DataDirectoryLocked | PgliteError
> => {
  const settings = Effect.map(PgliteClient.Pglite, ({ durability }) => ({
    ...PG_DEFAULTS,
    // one process: its own commits wake its followers
    notifications: false,
    durability
  }))
  return stores("pglite", options, settings).pipe(Layer.provideMerge(PgliteClient.layer(options)))
}

/**
 * Options of a store on a PostgreSQL server.
 *
 * @category models
 * @since 0.1.0
 */
export interface PostgresStoreOptions extends SchemaOptions {
  /**
   * `postgres://user:password@host:port/database`, with the parameters of libpq that the client knows:
   * `?connect_timeout=SECONDS` is 10 when absent.
   */
  readonly url: string | Redacted.Redacted
  /**
   * Most connections of each of the two pools, for the caller's statements and
   * for reads; 10 when absent. Snapshots open up to 4 more, projections up to 10,
   * and queries of read models up to 4, when they are used.
   */
  readonly maxConnections?: number | undefined
  /** Name that `pg_stat_activity` shows; that of the URL (`application_name`), or `event-store`, when absent. */
  readonly applicationName?: string | undefined
  /** Whether commits wake the followers of other processes (LISTEN and NOTIFY); true when absent. */
  readonly notifications?: boolean | undefined
  /** How long an append waits for the append lock before `AppendBusy`; 10 seconds when absent. */
  readonly lockTimeout?: Duration.Input | undefined
  /** How long a lost append is asked about before `AppendOutcomeUnknown`; 30 seconds when absent. */
  readonly resolveTimeout?: Duration.Input | undefined
  /** How long a page waits for a connection and the server's answer before `Unavailable`; 30 seconds when absent. */
  readonly readTimeout?: Duration.Input | undefined
}

/**
 * Layer that provides a store on a PostgreSQL server, 15 or newer.
 *
 * **Details**
 *
 * Fails with `StorageError`: `Unavailable` when the server cannot be reached,
 * `Refused` when it refuses, `SchemaMismatch` when the schema is not this
 * version's and `migrate` is false. The client that it provides too is for the
 * caller's own statements and transactions.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPostgres = (options: PostgresStoreOptions): Layer.Layer<
  | StoreServices
  | PgTransaction.PgTransaction
  | PgClient.PgClient
  | SqlClient,
  StorageError
> => {
  const client = layerServer({
    url: typeof options.url === "string" ? Redacted.make(options.url) : options.url,
    applicationName: options.applicationName,
    maxConnections: options.maxConnections ?? 10
  })
  const settings = Effect.succeed({
    notifications: options.notifications ?? PG_DEFAULTS.notifications,
    lockTimeout: Duration.fromInputUnsafe(options.lockTimeout ?? PG_DEFAULTS.lockTimeout),
    resolveTimeout: Duration.fromInputUnsafe(options.resolveTimeout ?? PG_DEFAULTS.resolveTimeout),
    readTimeout: Duration.fromInputUnsafe(options.readTimeout ?? PG_DEFAULTS.readTimeout)
  })
  return stores("postgres", options, settings).pipe(Layer.provideMerge(client))
}

/**
 * Layer that provides the store a URL names: `memory:`, `pglite:DIRECTORY`
 * (`pglite:` alone is in memory) or `postgres://…`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerUrl = (url: string, options: SchemaOptions = {}): Layer.Layer<
  StoreServices,
  StoreUrlInvalid | StorageError | DataDirectoryLocked | PgliteError
> => {
  const parsed = parseStoreUrl(url)
  switch (parsed._tag) {
    case "Memory":
      return layerMemory
    case "Pglite":
      return layerPglite({ ...options, directory: parsed.directory })
    case "Postgres":
      return layerPostgres({ ...options, url: parsed.url })
    case "StoreUrlInvalid":
      return Layer.effectContext(Effect.fail(parsed))
  }
}

/**
 * Layer that provides the store that `EVENT_STORE_URL` names
 * (`pglite:.event-store` when it is absent), in the schema `EVENT_STORE_SCHEMA`
 * (`event_store` when it is absent).
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<
  StoreServices,
  Config.ConfigError | StoreUrlInvalid | StorageError | DataDirectoryLocked | PgliteError
> = Layer.unwrap(Effect.gen(function*() {
  const url = yield* Config.Redacted("EVENT_STORE_URL").pipe(Config.withDefault(Redacted.make("pglite:.event-store")))
  const schema = yield* Config.String("EVENT_STORE_SCHEMA").pipe(Config.withDefault("event_store"))
  return layerUrl(Redacted.value(url), { schema })
}))

// internal

const PG_DEFAULTS = PgEventStore.Settings.defaultValue()

/**
 * The parts are layers that every store shares, and layers are built once by
 * reference; so a store builds its own, and is itself what is built once.
 */
const stores = <R>(
  storage: "pglite" | "postgres",
  { migrate = true, schema = "event_store" }: SchemaOptions,
  settings: Effect.Effect<PgEventStore.PgEventStoreSettings, never, R>
): Layer.Layer<
  | StoreServices
  | PgTransaction.PgTransaction,
  StorageError,
  R | PgClient.PgClient
> => {
  const parts = Layer.mergeAll(
    migrate ? Layer.provideMerge(PgMigrations.layerPartitions, PgEventStore.layer) : PgEventStore.layerStorage,
    PgCheckpointStore.layer,
    PgLogArchive.layer,
    PgLogTransfer.layer,
    PgReadModelStore.layer,
    PgSnapshotStore.layer,
    PgStoreAdmin.layer(storage),
    PgTransaction.layer
  ).pipe(
    Layer.provide(Layer.effect(PgEventStore.Settings, settings)),
    Layer.provide(Layer.succeed(PgMigrations.SchemaName, schema))
  )
  return Layer.effectContext(Layer.build(Layer.fresh(parts)))
}
