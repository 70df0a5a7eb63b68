/**
 * What a server's background processes do: checkpoints, VACUUM and ANALYZE.
 *
 * @since 0.1.0
 */
import type { PgClient } from "@effect/sql-pg/PgClient"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"

/** When maintenance is due. */
export interface MaintenanceOptions {
  readonly checkpointAfterBytes: number
  readonly vacuumAfterRows: number
  readonly interval: Duration.Input
}

/**
 * Maintains an instance in the background until the scope closes.
 *
 * **Details**
 *
 * A PGlite has no checkpointer and no autovacuum: its log grows without end,
 * and its planner never learns what tables hold. So a checkpoint is written
 * when the log has grown by `checkpointAfterBytes`, looked at after every 4
 * MiB of statements and at every `interval`; and when it has grown by
 * `IDLE_LOG_SIZE_BYTES` and an interval passed without a write. A table is
 * vacuumed and analyzed when `vacuumAfterRows` and a fifth of its rows were
 * written since the last time: at once while nobody writes, and otherwise when
 * it is twice overdue.
 *
 * Each of these waits its turn like a statement of any client, and one table
 * at a time, so appends go on in between. A failure is logged and the next
 * interval tries again.
 */
export const run = (
  sql: PgClient,
  work: Queue.Dequeue<void>,
  options: MaintenanceOptions
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const lastPosition = yield* Ref.make("")
    const atInterval = Effect.gen(function*() {
      const log = yield* readLog(sql)
      const quiet = log.position === (yield* Ref.getAndSet(lastPosition, log.position))
      const limit = quiet ? Math.min(IDLE_LOG_SIZE_BYTES, options.checkpointAfterBytes) : options.checkpointAfterBytes
      if (log.sizeBytes >= limit) yield* checkpoint(sql)
      yield* vacuumDueTables(sql, options.vacuumAfterRows * (quiet ? 1 : 2))
    })
    const afterWork = Effect.gen(function*() {
      const log = yield* readLog(sql)
      if (log.sizeBytes >= options.checkpointAfterBytes) yield* checkpoint(sql)
    })
    yield* Effect.forkScoped(
      Effect.repeat(Effect.delay(logged(atInterval), options.interval), Schedule.forever)
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Queue.take(work), logged(afterWork))))
  })

/** Writes everything committed to its place, so that a crash has nothing to recover. */
export const checkpoint = (sql: PgClient): Effect.Effect<void, SqlError> => Effect.asVoid(sql.unsafe("CHECKPOINT"))

// internal

/** Log that a quiet store writes a checkpoint for; less is recovered in no time. */
const IDLE_LOG_SIZE_BYTES = 1024 * 1024

/** Transactions after which PostgreSQL vacuums a table that nobody writes (`autovacuum_freeze_max_age`). */
const FREEZE_AGE_TRANSACTIONS = 200_000_000

const logged = (effect: Effect.Effect<void, SqlError>): Effect.Effect<void> =>
  Effect.catchCause(effect, (cause) => Effect.logWarning("Maintenance of the embedded PostgreSQL failed", cause))

/** The log's end, and how much of it a crash would have to recover. */
const readLog = (sql: PgClient): Effect.Effect<{ readonly position: string; readonly sizeBytes: number }, SqlError> =>
  Effect.map(
    sql<{ position: string; sizeBytes: number }>`
      SELECT pg_current_wal_insert_lsn()::text AS position,
        pg_wal_lsn_diff(pg_current_wal_insert_lsn(), redo_lsn)::float8 AS "sizeBytes"
      FROM pg_control_checkpoint()`,
    ([log]) => log ?? { position: "", sizeBytes: 0 }
  )

const vacuumDueTables = (sql: PgClient, rows: number): Effect.Effect<void, SqlError> =>
  Effect.gen(function*() {
    const tables = yield* sql<{ name: string }>`
      SELECT format('%I.%I', n.nspname, c.relname) AS name
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
      WHERE c.relkind IN ('r', 'm')
        AND (
          greatest(s.n_dead_tup, s.n_ins_since_vacuum, s.n_mod_since_analyze)
            >= ${rows}::float8 + 0.2 * greatest(c.reltuples, 0)
          OR age(c.relfrozenxid) > ${FREEZE_AGE_TRANSACTIONS}
        )`
    yield* Effect.forEach(tables, ({ name }) => sql.unsafe(`VACUUM (ANALYZE) ${name}`), { discard: true })
  })
