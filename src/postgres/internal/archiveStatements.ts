import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Result from "effect/Result"
import type { ArchiveStep, PlacedPayload } from "../../store/LogArchive.ts"
import { ENTRY_COLUMNS } from "./archived.ts"
import { attachMonth, boundsOf, indexMonth } from "./restoreStatements.ts"
import { place, type Statement, texts } from "./statements.ts"

/** `2026-01` as it stands in names of tables. */
const nameOf = (month: string): string => month.replace("-", "_")

/** Whether nobody else archives: the lock is the session's, until `unlock`. */
export const tryLock = (schema: string): Statement =>
  plain(`SELECT pg_try_advisory_lock(${LOCK}, '${schema}.head'::regclass::oid::integer)`)

export const unlock = (schema: string): Statement =>
  plain(`SELECT pg_advisory_unlock(${LOCK}, '${schema}.head'::regclass::oid::integer)`)

/**
 * The months that are over, `2026-01`, that have events, and whether they have a
 * table of their own. No event is recorded before the last one, or in the past.
 */
export const finishedMonths = (schema: string): Statement =>
  plain(
    `SELECT to_char(m.month, 'YYYY-MM'), bool_or(m.is_own) FROM (
      SELECT to_date(right(c.relname, 7), 'YYYY_MM')::timestamp AS month, true AS is_own
      FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = '${schema}.events'::regclass AND c.relname ~ '^events_[0-9]{4}_[0-9]{2}$'
      UNION ALL
      SELECT DISTINCT date_trunc('month', e.recorded_at AT TIME ZONE 'UTC'), false FROM ${schema}.events_default e
    ) m, ${schema}.head h
    WHERE m.month < date_trunc('month', greatest(h.recorded_at, clock_timestamp()) AT TIME ZONE 'UTC')
    GROUP BY m.month ORDER BY m.month`
  )

/**
 * First and last position of a month, NULL when it is empty, and what its table takes. Asks the whole, which goes to
 * the month alone: rights to read need not be granted on each month.
 */
export const describeMonth = (schema: string, month: string, isOwn: boolean): Statement => {
  const { from, to } = boundsOf(nameOf(month))
  const ofMonth = `${schema}.events e WHERE e.recorded_at >= '${from}' AND e.recorded_at < '${to}'`
  return plain(
    `SELECT (SELECT e.position FROM ${ofMonth} ORDER BY e.position LIMIT 1)::float8,
      (SELECT e.position FROM ${ofMonth} ORDER BY e.position DESC LIMIT 1)::float8,
      ${isOwn ? `pg_total_relation_size('${monthTable(schema, month)}')::float8` : "0::float8"}`
  )
}

/** The tables that another session has left. */
export const leftovers = (schema: string): Statement =>
  plain(
    `SELECT c.relname FROM pg_catalog.pg_class c
      WHERE c.relnamespace = '${schema}'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^${STAGED}[0-9]{4}_[0-9]{2}$'`
  )

export const dropTable = (schema: string, name: string): Statement => plain(`DROP TABLE IF EXISTS ${schema}.${name}`)

/** Gives a month that the default partition caught a table of its own. */
export const makeMonth = (schema: string, month: string): Statement =>
  plain(`SELECT ${schema}.create_events_partition('${month}-01')`)

/** Makes the table that is to take the place of a month. It tells what it may hold, so that nobody has to look. */
export const stageMonth = (schema: string, month: string): Statement => {
  const { from, to } = boundsOf(nameOf(month))
  return plain(
    `CREATE TABLE ${stagedTable(schema, month)} (LIKE ${schema}.events INCLUDING CONSTRAINTS INCLUDING INDEXES,
      CONSTRAINT ${CHECK} CHECK (recorded_at >= '${from}' AND recorded_at < '${to}'))`
  )
}

/** Copies everything but what is archived. */
export const copySkeletons = (schema: string, month: string): Statement =>
  plain(
    `INSERT INTO ${stagedTable(schema, month)} (${COLUMNS})
      SELECT position, stream, revision, id, type, version, NULL, NULL, tags, recorded_at
      FROM ${monthTable(schema, month)} ORDER BY position`
  )

/** Copies events with payloads that were brought back; a row for each. */
export const copyWith = (schema: string, month: string, payloads: ReadonlyArray<PlacedPayload>): Statement => ({
  text: `INSERT INTO ${stagedTable(schema, month)} (${COLUMNS})
    SELECT e.position, e.stream, e.revision, e.id, e.type, e.version, p.data::json, nullif(p.metadata, '')::json, e.tags,
      e.recorded_at
    FROM unnest($1::int8[], $2::uuid[], $3::text[], $4::text[]) p (position, id, data, metadata)
      JOIN ${monthTable(schema, month)} e ON e.position = p.position AND e.id = p.id AND e.data IS NULL
    ORDER BY e.position RETURNING 1`,
  parameters: [
    array(payloads.map(({ position }) => BigInt(position)), PgTypes.OID.int8),
    array(payloads.map(({ id }) => id), PgTypes.OID.uuid),
    texts(payloads.map(({ data }) => data)),
    texts(payloads.map(({ metadata }) => metadata))
  ]
})

/** Copies the events of a month that were not archived. */
export const copyWhole = (schema: string, month: string): Statement =>
  plain(
    `INSERT INTO ${stagedTable(schema, month)} (${COLUMNS})
      SELECT ${COLUMNS} FROM ${monthTable(schema, month)} WHERE data IS NOT NULL ORDER BY position`
  )

export const indexStaged = (schema: string, month: string): ReadonlyArray<Statement> =>
  indexMonth(schema, nameOf(month), STAGED)

/**
 * Writes to the server's log, so that the commit flushes all before it. VACUUM passes over rows of which the commit may
 * not be flushed, or one of those beside it; the embedded engine has nobody who flushes them after a while.
 */
export const FLUSH = plain("SELECT pg_logical_emit_message(true, 'event_store', '')::text")

/** Not in a transaction. */
export const vacuumStaged = (schema: string, month: string): Statement =>
  plain(`VACUUM (ANALYZE) ${stagedTable(schema, month)}`)

/** Whether everybody, however long ago their transaction began, sees all that is staged. */
export const isSeenByAll = (schema: string, month: string): Statement =>
  plain(
    `SELECT c.relallvisible >= c.relpages FROM pg_catalog.pg_class c
      WHERE c.oid = '${stagedTable(schema, month)}'::regclass`
  )

/** Whether the default partition has events: who attaches a month looks at all of them, while everybody waits. */
export const hasDefault = (schema: string): Statement => plain(`SELECT EXISTS (SELECT FROM ${schema}.events_default)`)

/** Says that the default partition has nothing of the month. */
export const ruleOut = (schema: string, month: string): Statement => {
  const { from, to } = boundsOf(nameOf(month))
  return plain(
    `ALTER TABLE ${schema}.events_default
      ADD CONSTRAINT ${CHECK} CHECK (recorded_at < '${from}' OR recorded_at >= '${to}') NOT VALID`
  )
}

/** Proves it; to read and to append waits for nothing. Nobody has to look again then. */
export const proveRuledOut = (schema: string): Statement =>
  plain(`ALTER TABLE ${schema}.events_default VALIDATE CONSTRAINT ${CHECK}`)

/** Whether that stands there, of another session that was killed. */
export const isRuledOut = (schema: string): Statement =>
  plain(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint k
      WHERE k.conrelid = '${schema}.events_default'::regclass AND k.conname = '${CHECK}')`
  )

export const forgetRuledOut = (schema: string): Statement =>
  plain(`ALTER TABLE ${schema}.events_default DROP CONSTRAINT IF EXISTS ${CHECK}`)

/** From here on nobody can write to the month; to read it, and to append elsewhere, waits for nothing. */
export const keepStill = (schema: string, month: string): Statement =>
  plain(`LOCK TABLE ${monthTable(schema, month)} IN SHARE MODE`)

/**
 * Events of the month, staged ones, how many are not the same but for their
 * payloads, how many are staged with a payload, and by how much the month becomes
 * smaller.
 */
export const compareStaged = (schema: string, month: string): Statement => {
  const [before, after] = [monthTable(schema, month), stagedTable(schema, month)]
  const skeleton = (alias: string) => `(${SKELETON.map((column) => `${alias}.${column}`).join(", ")})`
  return plain(
    `SELECT count(o.position)::float8, count(s.position)::float8,
      (count(*) FILTER (WHERE ${skeleton("o")} IS DISTINCT FROM ${skeleton("s")}))::float8,
      (count(*) FILTER (WHERE s.data IS NOT NULL OR s.metadata IS NOT NULL))::float8,
      (count(*) FILTER (WHERE s.data IS NULL))::float8,
      (pg_total_relation_size('${before}') - pg_total_relation_size('${after}'))::float8
    FROM ${before} o FULL JOIN ${after} s ON s.position = o.position`
  )
}

/** Where the archive ends, of which history the store is, and whether it is being restored. */
export const describeStore = (schema: string): Statement =>
  plain(
    `SELECT (SELECT coalesce(max(a.until_position), 0) FROM ${schema}.archives a)::float8, h.incarnation,
      h.restoring IS NOT NULL FROM ${schema}.head h WHERE h.id = 1`
  )

/** The locks of the moment in which a month changes hands; the append lock was taken before. */
export const lockAll = (schema: string, month: string): Statement =>
  plain(
    `LOCK TABLE ONLY ${schema}.events, ONLY ${schema}.events_default, ONLY ${monthTable(schema, month)}
      IN ACCESS EXCLUSIVE MODE`
  )

/** Puts what is staged in the place of the month, which is gone then. */
export const swapMonth = (schema: string, month: string): ReadonlyArray<Statement> => [
  ...attachMonth(schema, nameOf(month), STAGED),
  plain(`ALTER TABLE ${monthTable(schema, month)} DROP CONSTRAINT ${CHECK}`),
  forgetRuledOut(schema)
]

/** Notes that a month is archived; `toEntry` reads the row. */
export const insertEntry = (schema: string, step: ArchiveStep, bytesFreed: number): Statement => ({
  text: `INSERT INTO ${schema}.archives AS a
      (after_position, until_position, month, backup, chain, events, digest, bytes_freed)
    VALUES ($1, $2, $3::text::date, $4, $5, $6, $7, $8) RETURNING ${ENTRY_COLUMNS}`,
  parameters: [
    place(step.after),
    place(step.until),
    PgTypes.text(`${step.month}-01`),
    PgTypes.text(step.backupId),
    PgTypes.text(step.chain),
    place(step.events.count),
    PgTypes.text(step.events.digest),
    place(bytesFreed)
  ]
})

/** Forgets that the newest month was archived; a row for each of its entries, and none when it is not the newest. */
export const deleteEntries = (schema: string, month: string): Statement => ({
  text: `DELETE FROM ${schema}.archives WHERE month = $1::text::date
    AND month = (SELECT max(a.month) FROM ${schema}.archives a) RETURNING 1`,
  parameters: [PgTypes.text(`${month}-01`)]
})

/** How long each lock of the moment is waited for: meanwhile others wait behind. */
export const LOCK_TIMEOUT = plain("SET LOCAL lock_timeout = '200ms'")

/** Everybody waits for who has the locks of the moment: the server ends one that stands still, a machine that is gone. */
export const STAND_STILL = plain("SET LOCAL idle_in_transaction_session_timeout = '5s'")

/** How long a lock that nobody waits behind is waited for. */
export const LOCK_TIMEOUT_LONG = plain("SET LOCAL lock_timeout = '1min'")

export const BEGIN = plain("BEGIN ISOLATION LEVEL READ COMMITTED")
export const COMMIT = plain("COMMIT")
export const ROLLBACK = plain("ROLLBACK")
export const SAVEPOINT = plain("SAVEPOINT moment")
export const ROLLBACK_TO_SAVEPOINT = plain("ROLLBACK TO SAVEPOINT moment")

// internal

/** Of those who archive; the append lock has the number before the last. */
const LOCK = 1_163_088_963

const STAGED = "archiving_"

const CHECK = "archiving_month"

const SKELETON = ["position", "stream", "revision", "id", "type", "version", "tags", "recorded_at"] as const

const COLUMNS = "position, stream, revision, id, type, version, data, metadata, tags, recorded_at"

const monthTable = (schema: string, month: string): string => `${schema}.events_${nameOf(month)}`

const stagedTable = (schema: string, month: string): string => `${schema}.${STAGED}${nameOf(month)}`

function plain(text: string): Statement {
  return { text, parameters: [] }
}

const array = (values: ReadonlyArray<unknown>, oid: number) => Result.getOrThrow(PgTypes.array(values as never, oid))
