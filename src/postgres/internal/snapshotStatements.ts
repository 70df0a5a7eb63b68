import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as DateTime from "effect/DateTime"
import type {
  SnapshotListQuery,
  SnapshotPruneQuery,
  SnapshotQuery,
  SnapshotSelection
} from "../../store/SnapshotStorage.ts"
import type { StoredSnapshot } from "../../store/SnapshotStore.ts"
import { type Bind, makeBinder, type Statement } from "./statements.ts"

/** Keeps a snapshot, in the place of one of the same revision. */
export const save = (schema: string, snapshot: StoredSnapshot): Statement => ({
  text: `INSERT INTO ${schema}.snapshots AS x (stream, kind, fingerprint, revision, first_revision, serialization,
      compression, plain_bytes, taken_at, load_millis, bytes, digest)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (stream, kind, fingerprint, revision) DO UPDATE SET first_revision = excluded.first_revision,
      serialization = excluded.serialization, compression = excluded.compression, plain_bytes = excluded.plain_bytes,
      taken_at = excluded.taken_at, load_millis = excluded.load_millis, bytes = excluded.bytes, digest = excluded.digest`,
  parameters: [
    PgTypes.text(snapshot.streamId),
    PgTypes.text(snapshot.kind),
    PgTypes.text(snapshot.fingerprint),
    PgTypes.int4(snapshot.revision),
    PgTypes.int4(snapshot.firstRevision),
    PgTypes.text(snapshot.serialization),
    PgTypes.text(snapshot.compression),
    PgTypes.int4(snapshot.plainBytes),
    timestamp(snapshot.takenAt),
    PgTypes.float8(snapshot.loadMillis),
    PgTypes.bytea(snapshot.bytes),
    PgTypes.bytea(snapshot.digest)
  ]
})

/** The newest snapshot that the log does not contradict, with its bytes and digest. */
export const load = (schema: string, { atMost, fingerprint, kind, streamId }: SnapshotQuery): Statement => ({
  text: `SELECT ${HEADER}, x.bytes, x.digest
    FROM ${schema}.snapshots x JOIN ${schema}.streams s ON s.name = x.stream
    WHERE x.stream = $1 AND x.kind = $2 AND x.fingerprint = $3${atMost === undefined ? "" : " AND x.revision <= $4"}
      AND ${AGREES}
    ORDER BY x.revision DESC LIMIT 1`,
  parameters: [
    PgTypes.text(streamId),
    PgTypes.text(kind),
    PgTypes.text(fingerprint),
    ...(atMost === undefined ? [] : [PgTypes.int4(atMost)])
  ]
})

/** A page of snapshots without their bytes, with the size of these. */
export const list = (schema: string, query: SnapshotListQuery): Statement => {
  const { after, limit } = query
  const { bind, parameters } = makeBinder()
  const conditions = [
    ...selected(query, bind),
    ...(after === undefined
      ? []
      : [
        `(x.stream, x.kind, x.fingerprint, x.revision) > (${bind(PgTypes.text(after.streamId))}, ${
          bind(PgTypes.text(after.kind))
        }, ${bind(PgTypes.text(after.fingerprint))}, ${bind(PgTypes.int4(after.revision))})`
      ])
  ]
  return {
    text: `SELECT ${HEADER}, octet_length(x.bytes) FROM ${schema}.snapshots x ${where(conditions)}
      ORDER BY x.stream, x.kind, x.fingerprint, x.revision LIMIT ${bind(PgTypes.int4(limit))}`,
    parameters
  }
}

/** Removes by rules, and counts. */
export const prune = (schema: string, query: SnapshotPruneQuery): Statement => {
  const { keepLast, takenBefore, unusable } = query
  const { bind, parameters } = makeBinder()
  const selection = selected(query, bind)
  const rules = [
    ...(keepLast === undefined
      ? []
      : [`x.revision < (SELECT n.revision FROM ${schema}.snapshots n
          WHERE n.stream = x.stream AND n.kind = x.kind AND n.fingerprint = x.fingerprint
          ORDER BY n.revision DESC OFFSET ${bind(PgTypes.int4(keepLast - 1))} LIMIT 1)`]),
    ...(takenBefore === undefined ? [] : [`x.taken_at < ${bind(timestamp(takenBefore))}`]),
    ...(unusable
      ? [`NOT EXISTS (SELECT FROM ${schema}.streams s WHERE s.name = x.stream AND ${AGREES})`]
      : [])
  ]
  return {
    text: removal(schema, [...selection, `(${rules.length === 0 ? "false" : rules.join(" OR ")})`]),
    parameters
  }
}

/** Removes, and counts. */
export const remove = (schema: string, selection: SnapshotSelection): Statement => {
  const { bind, parameters } = makeBinder()
  return { text: removal(schema, selected(selection, bind)), parameters }
}

/** Counts by kind and fingerprint. */
export const statistics = (schema: string): Statement => ({
  text: `SELECT kind, fingerprint, count(*)::float8, count(DISTINCT stream)::float8, sum(octet_length(bytes))::float8,
      sum(plain_bytes)::float8, min(taken_at), max(taken_at)
    FROM ${schema}.snapshots GROUP BY kind, fingerprint ORDER BY kind, fingerprint`,
  parameters: []
})

// internal

/** Columns of a snapshot without its bytes, in the order that `toHeader` reads. */
const HEADER = "x.stream, x.kind, x.fingerprint, x.revision, x.first_revision, x.serialization, x.compression, " +
  "x.plain_bytes, x.taken_at, x.load_millis"

/** Whether the log agrees with a snapshot `x`; `s` is its stream. */
const AGREES = "NOT s.is_tombstoned AND s.truncate_before <= x.first_revision AND x.revision <= s.revision"

const removal = (schema: string, conditions: ReadonlyArray<string>): string =>
  `WITH gone AS (DELETE FROM ${schema}.snapshots x ${where(conditions)} RETURNING 1)
    SELECT count(*)::float8 FROM gone`

const selected = (
  { fingerprint, kind, revision, streamId }: SnapshotSelection,
  bind: Bind
): ReadonlyArray<string> => [
  ...(streamId === undefined ? [] : [`x.stream = ${bind(PgTypes.text(streamId))}`]),
  ...(kind === undefined ? [] : [`x.kind = ${bind(PgTypes.text(kind))}`]),
  ...(fingerprint === undefined ? [] : [`x.fingerprint = ${bind(PgTypes.text(fingerprint))}`]),
  ...(revision === undefined ? [] : [`x.revision = ${bind(PgTypes.int4(revision))}`])
]

const where = (conditions: ReadonlyArray<string>): string =>
  conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`

const timestamp = (time: DateTime.Utc) => PgTypes.timestamptz(DateTime.toDateUtc(time))
