/**
 * PostgreSQL inside the process: a `PgClient` over PGlite, with what PGlite
 * lacks of a database that keeps its promises.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import type * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Instance from "./internal/instance.ts"
import * as Maintenance from "./internal/maintenance.ts"
import type { DataDirectoryLocked, PgliteError } from "./PgliteError.ts"

/**
 * What outlives which accident.
 *
 * **Details**
 *
 * - `memory`: nothing outlives the process.
 * - `processCrash`: a committed transaction outlives the process, however it
 *   ends; a power cut may lose or destroy everything.
 * - `powerLoss`: a committed transaction outlives a power cut too, because
 *   each commit waits until the disk has it.
 *
 * @category models
 * @since 0.1.0
 */
export type Durability = "memory" | "processCrash" | "powerLoss"

/**
 * Service for one embedded PostgreSQL.
 *
 * @category services
 * @since 0.1.0
 */
export class Pglite extends Context.Service<Pglite, {
  /**
   * Real path of the data directory; `undefined` in memory.
   */
  readonly directory: string | undefined
  /**
   * What outlives which accident.
   */
  readonly durability: Durability
  /**
   * Writes everything committed to its place, so that a crash has nothing to
   * recover. Done in the background too; a reason to call it is a copy of the
   * directory.
   */
  readonly checkpoint: Effect.Effect<void, SqlError>
  /**
   * Makes one more client, with connections and codecs of its own, over the
   * same session.
   *
   * **Gotchas**
   *
   * All connections share one session: a transaction of one client makes the
   * statements of every other wait.
   */
  readonly makeClient: (
    config?: ClientConfig
  ) => Effect.Effect<PgClient.PgClient, SqlError, Scope.Scope>
}>()("effect-event-store/pglite/PgliteClient/Pglite") {}

/**
 * Options of a client: those of `PgClient` that are not about reaching a
 * server.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientConfig = Omit<
  PgClient.PgPoolConfig,
  | "connectTimeout"
  | "database"
  | "host"
  | "keepAlive"
  | "password"
  | "path"
  | "port"
  | "ssl"
  | "startupOptions"
  | "startupParameters"
  | "stream"
  | "url"
  | "username"
>

/**
 * Options of an embedded PostgreSQL.
 *
 * @category models
 * @since 0.1.0
 */
export interface PgliteOptions {
  /**
   * Where the data is kept: a directory of its own, made if it is absent.
   * Without it everything is in memory, and `durability` is `memory`.
   */
  readonly directory?: string | undefined
  /**
   * Whether commits outlive a power cut (`powerLoss`, the default) or the
   * process only (`processCrash`, several times faster).
   */
  readonly durability?: "powerLoss" | "processCrash" | undefined
  /**
   * Bytes of log after which a checkpoint is written. Bounds the time of a
   * start after a crash, and, at about twice this, the log's size on disk.
   * Defaults to 64 MiB.
   */
  readonly checkpointAfterBytes?: number | undefined
  /**
   * Rows, and a fifth of a table's rows on top, after whose writing the table
   * is vacuumed and analyzed. Defaults to 1,000.
   */
  readonly vacuumAfterRows?: number | undefined
  /**
   * How often maintenance looks for what is due. Defaults to 5 seconds.
   */
  readonly maintenanceInterval?: Duration.Input | undefined
  /**
   * How long a transaction may wait for its own fiber while others wait for
   * it, before it is rolled back and its connection closed. Two fibers that
   * wait for each other would otherwise wait for ever. Defaults to 1 minute.
   */
  readonly idleInTransactionTimeout?: Duration.Input | undefined
  /**
   * Connections of the client that the layer provides; a transaction, a stream
   * or a listener holds one. Defaults to 8.
   */
  readonly maxConnections?: number | undefined
  /**
   * Codecs of the client that the layer provides.
   */
  readonly types?: PgTypes.Registry | undefined
  /**
   * Server settings for all connections, over the defaults: `{ work_mem: "8MB" }`.
   */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /**
   * The cluster a new directory starts from (`.tgz`): a file, or `false` to
   * make one, which takes seconds. Defaults to the package's own.
   */
  readonly clusterImage?: string | false | undefined
}

/**
 * Layer that opens an embedded PostgreSQL, and closes it with its scope.
 *
 * **Details**
 *
 * The client is the `PgClient` of `@effect/sql-pg`, over connections that
 * share PGlite's one session; so SQL, types and errors are a server's. One
 * process opens a directory at a time: a second fails with
 * `DataDirectoryLocked`. If PGlite crashes, the statements under way fail with
 * a `ConnectionError`, their outcome unknown, and the directory is opened
 * again; an instance in memory stays failed.
 *
 * The scope's closing waits up to 5 seconds for statements and transactions,
 * writes a checkpoint and releases the directory.
 *
 * **Gotchas**
 *
 * Statements run on the thread of the event loop, one at a time: a slow query
 * stops everything else in the process. `statement_timeout` and interruption
 * do not end a statement that runs. `SET`, temporary tables and session-level
 * advisory locks are shared by all connections: use `SET LOCAL` and locks of
 * the transaction. A directory on a volume that several containers or
 * machines share is not protected by the lock.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: PgliteOptions = {}
): Layer.Layer<PgClient.PgClient | SqlClient.SqlClient | Pglite, DataDirectoryLocked | PgliteError> =>
  Layer.effectContext(Effect.gen(function*() {
    const durability = options.directory === undefined ? "memory" : options.durability ?? "powerLoss"
    const checkpointAfterBytes = options.checkpointAfterBytes ?? CHECKPOINT_AFTER_BYTES
    const instance = yield* Instance.make({
      directory: options.directory,
      durability,
      clusterImage: options.clusterImage,
      settings: { ...settingsFor(durability, checkpointAfterBytes), ...options.settings },
      idleInTransaction: Duration.fromInputUnsafe(options.idleInTransactionTimeout ?? "1 minute")
    })
    const reactivity = yield* Reactivity.Reactivity
    const makeClient: Pglite["Service"]["makeClient"] = (config) =>
      PgClient.make({
        maxConnections: MAX_CONNECTIONS,
        ...config,
        ...CONNECTION_CONFIG,
        stream: instance.mux.connect
      }).pipe(Effect.provideService(Reactivity.Reactivity, reactivity))
    const client = yield* Effect.orDie(makeClient({
      maxConnections: options.maxConnections ?? MAX_CONNECTIONS,
      types: options.types
    }))
    const maintenanceClient = yield* Effect.orDie(makeClient({ maxConnections: 1 }))
    yield* Maintenance.run(maintenanceClient, instance.work, {
      checkpointAfterBytes,
      vacuumAfterRows: options.vacuumAfterRows ?? VACUUM_AFTER_ROWS,
      interval: options.maintenanceInterval ?? "5 seconds"
    })
    const pglite = Pglite.of({
      directory: instance.directory,
      durability,
      checkpoint: Maintenance.checkpoint(maintenanceClient),
      makeClient
    })
    return Context.make(PgClient.PgClient, client).pipe(
      Context.add(SqlClient.SqlClient, client),
      Context.add(Pglite, pglite)
    )
  })).pipe(Layer.provide(Reactivity.layer))

// internal

const CHECKPOINT_AFTER_BYTES = 64 * 1024 * 1024

const VACUUM_AFTER_ROWS = 1000

const MAX_CONNECTIONS = 8

/** The longest start after a crash is a recovery of `checkpointAfterBytes`: seconds (measured). */
const CONNECTION_CONFIG = { username: "postgres", database: "postgres", connectTimeout: "1 minute" } as const

/** Size of a segment of the log: initdb's default. */
const LOG_SEGMENT_SIZE_BYTES = 16 * 1024 * 1024

const settingsFor = (durability: Durability, checkpointAfterBytes: number): Readonly<Record<string, string>> => ({
  // Bounds the memory of the process, and how long a checkpoint holds up everything else.
  shared_buffers: "32MB",
  // The smallest there is: most recursion fails with 54001 before it overflows WebAssembly's stack and breaks PGlite.
  // A jsonb value nests 1,265 deep with it (measured).
  max_stack_depth: "100kB",
  min_wal_size: megabytes(2 * LOG_SEGMENT_SIZE_BYTES),
  max_wal_size: megabytes(Math.max(2 * LOG_SEGMENT_SIZE_BYTES, checkpointAfterBytes)),
  ...(durability === "memory" ? { full_page_writes: "off", synchronous_commit: "off" } : {})
})

const megabytes = (bytes: number): string => `${Math.ceil(bytes / (1024 * 1024))}MB`
