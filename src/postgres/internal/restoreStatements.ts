import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import type {
  CheckpointRow,
  EventRow,
  ParkedRow,
  RestorePlan,
  SnapshotRow,
  StateRow,
  StreamRow
} from "../../store/LogTransfer.ts"
import { storedNumber } from "./buildStatements.ts"
import { place, type Statement, texts } from "./statements.ts"
import { isFilled, type Mark } from "./transferStatements.ts"

/** Position, mark, and whether there is anything in the store; nobody changes them before the transaction ends. */
export const lockHead = (schema: string): Statement => ({
  text: `SELECT h.position::float8, h.restoring::text, EXISTS (SELECT FROM ${schema}.events) OR ${isFilled(schema)}
    FROM ${schema}.head h WHERE h.id = 1 FOR UPDATE`,
  parameters: []
})

/** Marks the store. An append that would not look at the mark itself looks at the horizon first. */
export const setMark = (schema: string, mark: Mark): Statement => ({
  text: `UPDATE ${schema}.head SET restoring = $1::text::jsonb, id_horizon = 'infinity' WHERE id = 1 RETURNING 1`,
  parameters: [PgTypes.text(JSON.stringify(mark))]
})

/** Moves the mark on; no row when it is another's by now. */
export const moveMark = (schema: string, before: Mark, mark: Mark): Statement => ({
  text: `UPDATE ${schema}.head SET restoring = $1::text::jsonb WHERE id = 1 AND ${IS_OURS} RETURNING 1`,
  parameters: [PgTypes.text(JSON.stringify(mark)), PgTypes.text(before.token), place(before.position)]
})

/** Takes the mark away; no row when it is another's by now. */
export const clearMark = (schema: string, mark: Mark): Statement => ({
  text: `UPDATE ${schema}.head SET restoring = NULL WHERE id = 1 AND ${IS_OURS} RETURNING 1`,
  parameters: [PgTypes.text(""), PgTypes.text(mark.token), place(mark.position)]
})

/** Makes the store what it was before a restore began. */
export const unmark = (schema: string): Statement => ({
  text: `UPDATE ${schema}.head SET restoring = NULL, id_horizon = '-infinity' WHERE id = 1`,
  parameters: []
})

/** The months that a restore has filled, as `2026_11`. */
export const stagedMonths = (schema: string): Statement => ({
  text: `SELECT substr(c.relname, ${STAGED.length + 1}) FROM pg_catalog.pg_class c
    WHERE c.relnamespace = '${schema}'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^${STAGED}[0-9]{4}_[0-9]{2}$'
    ORDER BY 1`,
  parameters: []
})

/** Nobody reads what is staged: it is no partition yet, and has no index. */
export const stageMonth = (schema: string, month: string): Statement =>
  plain(`CREATE TABLE IF NOT EXISTS ${schema}.${STAGED}${month} (LIKE ${schema}.events INCLUDING CONSTRAINTS)`)

export const dropStaged = (schema: string, month: string): Statement =>
  plain(`DROP TABLE IF EXISTS ${schema}.${STAGED}${month}`)

/** The month of a time in microseconds, in UTC. */
const monthOf = (micros: number): string =>
  DateTime.formatIso(DateTime.makeUnsafe(Math.floor(micros / 1_000))).slice(0, 7).replace("-", "_")

/** Finds the months of times as `monthOf` does; quicker, for many of one month. */
export const makeMonthFinder = (): (micros: number) => string => {
  let [month, from, to] = ["", Infinity, -Infinity]
  return (micros) => {
    if (micros >= from && micros < to) return month
    const { month: number, year } = DateTime.toPartsUtc(DateTime.makeUnsafe(Math.floor(micros / 1_000)))
    month = monthOf(micros)
    from = Date.UTC(year, number - 1) * 1_000
    to = Date.UTC(year, number) * 1_000
    return month
  }
}

/** Writes events of one month, which follow each other. */
export const insertEvents = (schema: string, month: string, rows: ReadonlyArray<EventRow>): Statement => {
  const hasTags = rows.some(({ tags }) => tags.length > 0)
  return {
    text: `INSERT INTO ${schema}.${STAGED}${month}
        (position, stream, revision, id, type, version, data, metadata, tags, recorded_at)
      SELECT $1 + u.o - 1, u.stream, u.revision, u.id, u.type, u.version, u.data::json, nullif(u.metadata, '')::json,
        string_to_array(u.tags, E'\\x1f'), ${timeOf("u.at")}
      FROM unnest($2::text[], $3::int4[], $4::uuid[], $5::text[], $6::int2[], $7::text[], $8::text[], $9::text[], $10::float8[])
        WITH ORDINALITY u (stream, revision, id, type, version, data, metadata, tags, at, o) ORDER BY u.o`,
    parameters: [
      place(rows[0]?.position ?? 0),
      texts(rows.map(({ streamId }) => streamId)),
      array(rows.map(({ revision }) => revision), PgTypes.OID.int4),
      array(rows.map(({ id }) => id), PgTypes.OID.uuid),
      texts(rows.map(({ type }) => type)),
      array(rows.map(({ version }) => version), PgTypes.OID.int2),
      texts(rows.map(({ data }) => data)),
      texts(rows.map(({ metadata }) => metadata)),
      array(hasTags ? rows.map(({ tags }) => tags.length === 0 ? null : tags.join(SEPARATOR)) : null, PgTypes.OID.text),
      array(rows.map(({ recordedAt }) => recordedAt), PgTypes.OID.float8)
    ]
  }
}

/** The indexes of a month: they are made once, when it is full. */
export const indexMonth = (schema: string, month: string, staged = STAGED): ReadonlyArray<Statement> =>
  Object.entries(INDEXES).map(([name, columns]) =>
    plain(
      `CREATE UNIQUE INDEX IF NOT EXISTS ${staged}${month}_${name} ON ${schema}.${staged}${month} (${columns})`
    )
  )

/**
 * Makes a month part of the log. The one that stands there goes: an empty one that was made ahead, say. It is the
 * owner's of the log, whoever does this: others cannot move it again, or change the columns of the log.
 */
export const attachMonth = (schema: string, month: string, staged = STAGED): ReadonlyArray<Statement> => {
  const name = `events_${month}`
  const { from, to } = boundsOf(month)
  return [
    `DROP TABLE IF EXISTS ${schema}.${name}`,
    `ALTER TABLE ${schema}.${staged}${month} RENAME TO ${name}`,
    ...Object.keys(INDEXES).map((index) =>
      `ALTER INDEX ${schema}.${staged}${month}_${index} RENAME TO ${name}_${index}`
    ),
    `ALTER TABLE ${schema}.events ATTACH PARTITION ${schema}.${name} FOR VALUES FROM ('${from}') TO ('${to}')`,
    `CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON ${schema}.${name} FOR EACH STATEMENT
      EXECUTE FUNCTION ${schema}.refuse_change()`,
    `DO $$ BEGIN
      EXECUTE format('ALTER TABLE ${schema}.${name} OWNER TO %I',
        (SELECT pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c WHERE c.oid = '${schema}.events'::regclass));
    END $$`
  ].map(plain)
}

/** When a month begins, and the one after it. */
export const boundsOf = (month: string): { readonly from: string; readonly to: string } => {
  const [year = 0, number = 0] = month.split("_").map(Number)
  const from = DateTime.makeUnsafe({ year, month: number, day: 1 })
  return { from: DateTime.formatIso(from), to: DateTime.formatIso(DateTime.add(from, { months: 1 })) }
}

/** How many ids stand in the log more than once; each month has looked for itself. */
export const repeatedIds = (schema: string): Statement =>
  plain(`SELECT (count(*) - count(DISTINCT e.id))::float8 FROM ${schema}.events e`)

/** Makes the rows of the streams; says how many lack an event or have one twice, and names one. */
export const fillStreams = (schema: string): Statement =>
  plain(
    `WITH found AS MATERIALIZED (
      SELECT e.stream, max(e.revision) AS revision, count(*) AS events, sum(e.revision::numeric) AS revisions,
        min(e.position) AS first_position, max(e.position) AS last_position, min(e.recorded_at) AS first_at,
        max(e.recorded_at) AS last_at
      FROM ${schema}.events e GROUP BY e.stream
    ), made AS (
      INSERT INTO ${schema}.streams (name, revision, first_position, last_position, first_recorded_at, last_recorded_at)
      SELECT f.stream, f.revision, f.first_position, f.last_position, f.first_at, f.last_at FROM found f
    )
    SELECT count(*)::float8, min(f.stream) FROM found f
    WHERE f.events <> f.revision::bigint + 1 OR f.revisions <> f.events * (f.events - 1) / 2`
  )

export const fillTags = (schema: string): Statement =>
  plain(`INSERT INTO ${schema}.event_tags (tag, position, type)
    SELECT t.tag, e.position, e.type FROM ${schema}.events e, unnest(e.tags) AS t (tag) WHERE e.tags IS NOT NULL ORDER BY 1, 2`)

/** Makes the log what was restored. */
export const setHead = (schema: string, plan: RestorePlan, mark: Mark, incarnation: string): Statement => ({
  text: `UPDATE ${schema}.head SET position = $1, recorded_at = ${timeOf("$2::float8")}, incarnation = $3, parent = $4,
      parent_position = $1, id_horizon = ${
    mark.idHorizon === null ? "'-infinity'" : timeOf(`${mark.idHorizon * 1_000}`)
  }, restoring = NULL WHERE id = 1`,
  parameters: [place(plan.until), PgTypes.float8(mark.recordedAt), PgTypes.uuid(incarnation), PgTypes.uuid(plan.source)]
})

/** Gives streams what was kept about them; a row for each that is there. */
export const updateStreams = (schema: string, rows: ReadonlyArray<StreamRow>): Statement => ({
  text: `UPDATE ${schema}.streams s SET truncate_before = least(u.truncate_before, s.revision + 1),
      is_tombstoned = u.is_tombstoned, metadata = u.metadata::json
    FROM unnest($1::text[], $2::int4[], $3::bool[], $4::text[]) u (name, truncate_before, is_tombstoned, metadata)
    WHERE s.name = u.name RETURNING 1`,
  parameters: [
    texts(rows.map(({ streamId }) => streamId)),
    array(rows.map(({ truncateBefore }) => truncateBefore), PgTypes.OID.int4),
    array(rows.map(({ isTombstoned }) => isTombstoned), PgTypes.OID.bool),
    texts(rows.map(({ metadata }) => metadata))
  ]
})

/** Writes snapshots; a row for each that the log bears out. */
export const insertSnapshots = (schema: string, rows: ReadonlyArray<SnapshotRow>): Statement => ({
  text:
    `INSERT INTO ${schema}.snapshots (stream, kind, fingerprint, revision, first_revision, serialization, compression,
      plain_bytes, bytes, digest, taken_at, load_millis)
    SELECT u.stream, u.kind, u.fingerprint, u.revision, u.first_revision, u.serialization, u.compression, u.plain_bytes,
      u.bytes, u.digest, ${timeOf("u.taken_at")}, u.load_millis
    FROM unnest($1::text[], $2::text[], $3::text[], $4::int4[], $5::int4[], $6::text[], $7::text[], $8::int4[], $9::bytea[],
        $10::bytea[], $11::float8[], $12::float8[])
      u (stream, kind, fingerprint, revision, first_revision, serialization, compression, plain_bytes, bytes, digest,
        taken_at, load_millis)
      JOIN ${schema}.streams s ON s.name = u.stream AND u.revision <= s.revision
    RETURNING 1`,
  parameters: [
    texts(rows.map(({ streamId }) => streamId)),
    texts(rows.map(({ kind }) => kind)),
    texts(rows.map(({ fingerprint }) => fingerprint)),
    array(rows.map(({ revision }) => revision), PgTypes.OID.int4),
    array(rows.map(({ firstRevision }) => firstRevision), PgTypes.OID.int4),
    texts(rows.map(({ serialization }) => serialization)),
    texts(rows.map(({ compression }) => compression)),
    array(rows.map(({ plainBytes }) => plainBytes), PgTypes.OID.int4),
    array(rows.map(({ bytes }) => bytes), PgTypes.OID.bytea),
    array(rows.map(({ digest }) => digest), PgTypes.OID.bytea),
    array(rows.map(({ takenAt }) => takenAt), PgTypes.OID.float8),
    array(rows.map(({ loadMillis }) => loadMillis), PgTypes.OID.float8)
  ]
})

/** Registers the build of a checkpoint, once. */
export const insertBuild = (schema: string, row: CheckpointRow): Statement => ({
  text: `INSERT INTO ${schema}.projection_builds (name, version, status, is_live, created_at, retired_at, keep_until)
    VALUES ($1, $2, $3, $4, ${timeOf("$5::float8")}, ${timeOf("$6::float8")}, ${timeOf("$7::float8")})
    ON CONFLICT (name, version) DO UPDATE SET status = excluded.status, is_live = excluded.is_live,
      created_at = excluded.created_at, retired_at = excluded.retired_at, keep_until = excluded.keep_until`,
  parameters: [
    PgTypes.text(row.projection),
    PgTypes.int2(storedNumber({ name: row.projection, ...row })),
    PgTypes.text(row.buildStatus),
    PgTypes.bool(row.isLive),
    PgTypes.float8(row.builtAt),
    PgTypes.float8(row.retiredAt ?? null),
    PgTypes.float8(row.keepUntil ?? null)
  ]
})

/** Writes the checkpoint of a slice, whose next lease is newer than all before. */
export const insertCheckpoint = (schema: string, row: CheckpointRow): Statement => ({
  text:
    `INSERT INTO ${schema}.projections (name, version, slice, definition, status, is_set_up, start, position, incarnation,
      events, digest, epoch, failures, first_failed_at, last_failed_at, failed_position, failure, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, ${timeOf("$14::float8")}, ${
      timeOf("$15::float8")
    }, $16,
      $17, ${timeOf("$18::float8")}) RETURNING 1`,
  parameters: [
    PgTypes.text(row.projection),
    PgTypes.int2(storedNumber({ name: row.projection, ...row })),
    PgTypes.int2(row.slice),
    PgTypes.text(row.definition),
    PgTypes.text(row.status),
    PgTypes.bool(row.isSetUp),
    place(row.start),
    place(row.position),
    PgTypes.uuid(row.incarnation),
    place(row.events),
    PgTypes.text(row.digest),
    place(row.epoch + 1),
    place(row.failures),
    PgTypes.float8(row.firstFailedAt ?? null),
    PgTypes.float8(row.lastFailedAt ?? null),
    row.failedPosition === undefined ? PgTypes.int8(null) : place(row.failedPosition),
    PgTypes.text(row.failure ?? null),
    PgTypes.float8(row.updatedAt)
  ]
})

export const insertStates = (schema: string, rows: ReadonlyArray<StateRow>): Statement => ({
  text: `INSERT INTO ${schema}.projection_states (projection, version, key, state, changed_at)
    SELECT u.projection, u.version, u.key, u.state::json, ${timeOf("u.changed_at")}
    FROM unnest($1::text[], $2::int2[], $3::text[], $4::text[], $5::float8[]) u (projection, version, key, state, changed_at)
    RETURNING 1`,
  parameters: [
    texts(rows.map(({ projection }) => projection)),
    array(rows.map((row) => storedNumber({ name: row.projection, ...row })), PgTypes.OID.int2),
    texts(rows.map(({ key }) => key)),
    texts(rows.map(({ state }) => state)),
    array(rows.map(({ changedAt }) => changedAt ?? null), PgTypes.OID.float8)
  ]
})

export const insertParked = (schema: string, rows: ReadonlyArray<ParkedRow>): Statement => ({
  text: `INSERT INTO ${schema}.projection_parked (projection, version, slice, position, key, id, type, stream, revision,
      attempts, reason, parked_at)
    SELECT u.projection, u.version, u.slice, u.position::int8, u.key, u.id, u.type, u.stream, u.revision, u.attempts,
      u.reason, ${timeOf("u.parked_at")}
    FROM unnest($1::text[], $2::int2[], $3::int2[], $4::float8[], $5::text[], $6::uuid[], $7::text[], $8::text[], $9::int4[],
        $10::int4[], $11::text[], $12::float8[])
      u (projection, version, slice, position, key, id, type, stream, revision, attempts, reason, parked_at)
    RETURNING 1`,
  parameters: [
    texts(rows.map(({ projection }) => projection)),
    array(
      rows.map((row) => storedNumber({ name: row.projection, version: row.version, build: row.build })),
      PgTypes.OID.int2
    ),
    array(rows.map(({ slice }) => slice), PgTypes.OID.int2),
    array(rows.map(({ position }) => position), PgTypes.OID.float8),
    texts(rows.map(({ key }) => key)),
    array(rows.map(({ id }) => id), PgTypes.OID.uuid),
    texts(rows.map(({ type }) => type)),
    texts(rows.map(({ streamId }) => streamId)),
    array(rows.map(({ revision }) => revision), PgTypes.OID.int4),
    array(rows.map(({ attempts }) => attempts), PgTypes.OID.int4),
    texts(rows.map(({ reason }) => reason)),
    array(rows.map(({ parkedAt }) => parkedAt), PgTypes.OID.float8)
  ]
})

/** What the planner knows of the tables is of when they were empty. */
export const analyze = (schema: string): ReadonlyArray<Statement> =>
  ["events", "streams", "event_tags", "projection_states"].map((table) => plain(`ANALYZE ${schema}.${table}`))

/** Puts off nothing: what follows is what the restore is for. */
export const DURABLE: Statement = { text: "SET LOCAL synchronous_commit = on", parameters: [] }

// internal

const STAGED = "restoring_"

/** What each month has, by the end of its name. */
const INDEXES = { position: "position", stream_revision: "stream, revision", id: "id" } as const

/** Separates tags; a name has no control characters. */
const SEPARATOR = "\u001f"

/** The mark is the one of the token `$2`, at the position `$3`. */
const IS_OURS = "restoring ->> 'token' = $2 AND (restoring ->> 'position')::int8 = $3 AND $1 IS NOT NULL"

/** A time of microseconds since 1970, exactly. */
const timeOf = (expression: string): string => `timestamptz 'epoch' + ${expression} * interval '1 microsecond'`

const plain = (text: string): Statement => ({ text, parameters: [] })

const array = (values: ReadonlyArray<unknown> | null, oid: number) =>
  Result.getOrThrow(PgTypes.array(values as never, oid))
