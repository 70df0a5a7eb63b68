import * as PgTypes from "@effect/sql-pg/PgTypes"
import type { StoredEventRow } from "../../store/LogArchive.ts"
import type {
  BuildLeftOut,
  CheckpointRow,
  EventPage,
  HistoryParent,
  ParkedRow,
  SnapshotRow,
  StateRow,
  StreamRow,
  TransferState
} from "../../store/LogTransfer.ts"
import { splitNumber } from "./buildStatements.ts"
import { place, type Rows, type Statement } from "./statements.ts"

/** A time as a number: microseconds since 1970. */
const micros = (column: string): string => `(extract(epoch FROM ${column}) * 1000000)::float8`

/** How the store stands; `toState` reads the row. */
export const describeStore = (schema: string): Statement => ({
  text: `SELECT h.position::float8, h.incarnation, h.parent, h.parent_position::float8, h.restoring::text, ${
    isFilled(schema)
  } FROM ${schema}.head h WHERE h.id = 1`,
  parameters: []
})

/** Whether anything but events is there, as an expression. */
export const isFilled = (schema: string): string =>
  `(EXISTS (SELECT FROM ${schema}.snapshots) OR EXISTS (SELECT FROM ${schema}.projections)
    OR EXISTS (SELECT FROM ${schema}.projection_builds b WHERE b.status <> 'removed'))`

/** The mark of a restore, as it stands in the head. */
export interface Mark {
  readonly source: string
  readonly until: number
  readonly position: number
  /** Of the last event, in microseconds since 1970. */
  readonly recordedAt: number
  readonly startedAt: number
  /** Latest time in milliseconds that an id claims ahead of its event; `null` when none does. */
  readonly idHorizon: number | null
  /** Of who writes: another restore takes the work over with another one. */
  readonly token: string
}

/** The history that a store goes on from, of the two columns of its head. */
export const toParent = (incarnation: string | null, position: number | null): HistoryParent | undefined =>
  incarnation === null || position === null ? undefined : { incarnation, position }

/** Asks for those two columns. */
export const findParent = (schema: string): Statement => ({
  text: `SELECT h.parent, h.parent_position::float8 FROM ${schema}.head h WHERE h.id = 1`,
  parameters: []
})

export const toState = (row: ReadonlyArray<unknown>): TransferState => {
  const [position, incarnation, parent, parentPosition, mark, isFilled] = row as unknown as readonly [
    number,
    string,
    string | null,
    number | null,
    string | null,
    boolean
  ]
  const restoring = toMark(mark)
  return {
    position,
    incarnation,
    parent: toParent(parent, parentPosition),
    isEmpty: position === 0 && !isFilled,
    restoring: restoring === undefined ? undefined : {
      source: restoring.source,
      until: restoring.until,
      position: restoring.position,
      startedAt: restoring.startedAt
    }
  }
}

export const toMark = (text: unknown): Mark | undefined =>
  typeof text === "string" ? JSON.parse(text) as Mark : undefined

/** A page of events; it ends with the event at which the stored size goes beyond the limit. What is archived has none. */
export const eventPage = (
  schema: string,
  { after, limit = PAGE_EVENTS, recordedAt, until }: EventPage
): Statement => ({
  text:
    `SELECT e.position::float8, e.stream, e.revision, e.id, e.type, e.version, e.data::text, e.metadata::text, e.tags,
      ${micros("e.recorded_at")}
    FROM (SELECT x.*, coalesce(sum(pg_column_size(x.data)) OVER w - coalesce(pg_column_size(x.data), 0), 0) AS size
      FROM ${schema}.events x WHERE x.position > $1 AND x.position <= $2 AND x.recorded_at >= $3
      WINDOW w AS (ORDER BY x.position ROWS UNBOUNDED PRECEDING) ORDER BY x.position LIMIT $4) e
    WHERE e.size < ${PAGE_SIZE_BYTES} ORDER BY e.position`,
  parameters: [
    place(after),
    place(until),
    PgTypes.timestamptz(Math.floor((recordedAt ?? 0) / 1_000)),
    PgTypes.int4(limit)
  ]
})

/** Reads the columns of an event; `data` is absent when it is archived. */
export const toStoredRow = (row: ReadonlyArray<unknown>): StoredEventRow => ({
  position: row[0] as number,
  streamId: row[1] as string,
  revision: row[2] as number,
  id: row[3] as string,
  type: row[4] as string,
  version: row[5] as number,
  data: row[6] as string | null ?? undefined,
  metadata: row[7] as string | null ?? "",
  tags: row[8] as ReadonlyArray<string> | null ?? NO_TAGS,
  recordedAt: row[9] as number
})

/** The streams of which something is kept beside their events. */
export const streamPage = (schema: string, after: StreamRow | undefined): Statement => ({
  text: `SELECT s.name, s.revision, s.truncate_before, s.is_tombstoned, s.metadata::text FROM ${schema}.streams s
    WHERE s.name > $1 AND (s.truncate_before > 0 OR s.is_tombstoned OR s.metadata::text <> '{}')
    ORDER BY s.name LIMIT ${PAGE_ROWS}`,
  parameters: [PgTypes.text(after?.streamId ?? "")]
})

export const toStreamRow = (row: ReadonlyArray<unknown>): StreamRow => ({
  streamId: row[0] as string,
  revision: row[1] as number,
  truncateBefore: row[2] as number,
  isTombstoned: row[3] as boolean,
  metadata: row[4] as string
})

/** Snapshots of what the log holds. */
export const snapshotPage = (schema: string, after: SnapshotRow | undefined): Statement => ({
  text:
    `SELECT p.stream, p.kind, p.fingerprint, p.revision, p.first_revision, p.serialization, p.compression, p.plain_bytes,
      p.bytes, p.digest, ${micros("p.taken_at")}, p.load_millis
    FROM (SELECT x.*, sum(octet_length(x.bytes)) OVER w - octet_length(x.bytes) AS size
      FROM ${schema}.snapshots x JOIN ${schema}.streams s ON s.name = x.stream AND x.revision <= s.revision
      WHERE (x.stream, x.kind, x.fingerprint, x.revision) > ($1, $2, $3, $4)
      WINDOW w AS (ORDER BY x.stream, x.kind, x.fingerprint, x.revision ROWS UNBOUNDED PRECEDING)
      ORDER BY x.stream, x.kind, x.fingerprint, x.revision LIMIT ${PAGE_ROWS}) p
    WHERE p.size < ${PAGE_SIZE_BYTES} ORDER BY p.stream, p.kind, p.fingerprint, p.revision`,
  parameters: [
    PgTypes.text(after?.streamId ?? ""),
    PgTypes.text(after?.kind ?? ""),
    PgTypes.text(after?.fingerprint ?? ""),
    PgTypes.int4(after?.revision ?? -1)
  ]
})

export const toSnapshotRow = (row: ReadonlyArray<unknown>): SnapshotRow => ({
  streamId: row[0] as string,
  kind: row[1] as string,
  fingerprint: row[2] as string,
  revision: row[3] as number,
  firstRevision: row[4] as number,
  serialization: row[5] as string,
  compression: row[6] as string,
  plainBytes: row[7] as number,
  bytes: row[8] as Uint8Array,
  digest: row[9] as Uint8Array,
  takenAt: row[10] as number,
  loadMillis: row[11] as number
})

/** All slices of all builds, those of one build side by side; there are few. */
export const checkpoints = (schema: string): Statement => ({
  text: `SELECT b.name, b.version::int4, cardinality(b.tables) > 0, b.status, b.is_live, ${micros("b.created_at")}, ${
    micros("b.retired_at")
  }, ${micros("b.keep_until")}, p.slice, p.definition, p.status, p.is_set_up, p.start::float8, p.position::float8,
      p.incarnation, p.events::float8, p.digest, p.epoch::float8, p.failures::float8, ${micros("p.first_failed_at")}, ${
    micros("p.last_failed_at")
  }, p.failed_position::float8, p.failure, ${micros("p.updated_at")}
    FROM ${schema}.projection_builds b JOIN ${schema}.projections p ON p.name = b.name AND p.version = b.version
    WHERE b.status <> 'removed' ORDER BY b.name, b.version % 1000, b.version, p.slice`,
  parameters: []
})

/** The rows of builds that can be transferred, and the builds that cannot. */
export const toCheckpointRows = (
  rows: Rows
): { readonly rows: ReadonlyArray<CheckpointRow>; readonly leftOut: ReadonlyArray<BuildLeftOut> } => {
  const leftOut = new Map<string, BuildLeftOut>()
  const kept: Array<CheckpointRow> = []
  for (const row of rows) {
    const checkpoint = toCheckpointRow(row)
    const { build, projection, version } = checkpoint
    if (row[2] === true) {
      leftOut.set(`${version} ${build} ${projection}`, { projection, version, build, reason: "tables" })
    } else kept.push(checkpoint)
  }
  return { rows: kept, leftOut: [...leftOut.values()] }
}

/** States of a build. */
export const statePage = (schema: string, build: BuildNumber, after: StateRow | undefined): Statement => ({
  text: `SELECT p.key, p.state::text, ${micros("p.changed_at")}
    FROM (SELECT x.key, x.state, x.changed_at, sum(pg_column_size(x.state)) OVER w - pg_column_size(x.state) AS size
      FROM ${schema}.projection_states x WHERE x.projection = $1 AND x.version = $2 AND x.key ${
    after === undefined ? ">=" : ">"
  } $3
      WINDOW w AS (ORDER BY x.key ROWS UNBOUNDED PRECEDING) ORDER BY x.key LIMIT ${PAGE_ROWS}) p
    WHERE p.size < ${PAGE_SIZE_BYTES} ORDER BY p.key`,
  parameters: [PgTypes.text(build.projection), PgTypes.int2(build.stored), PgTypes.text(after?.key ?? "")]
})

export const toStateRow = ({ projection, stored }: BuildNumber) => (row: ReadonlyArray<unknown>): StateRow => ({
  projection,
  ...splitNumber(stored),
  key: row[0] as string,
  state: row[1] as string,
  changedAt: row[2] as number | null ?? undefined
})

/** Parked events of a build. */
export const parkedPage = (schema: string, build: BuildNumber, after: ParkedRow | undefined): Statement => ({
  text: `SELECT x.slice, x.position::float8, x.key, x.id, x.type, x.stream, x.revision, x.attempts, x.reason, ${
    micros("x.parked_at")
  } FROM ${schema}.projection_parked x
    WHERE x.projection = $1 AND x.version = $2 AND (x.slice, x.position) > ($3, $4)
    ORDER BY x.slice, x.position LIMIT ${PAGE_ROWS}`,
  parameters: [
    PgTypes.text(build.projection),
    PgTypes.int2(build.stored),
    PgTypes.int2(after?.slice ?? -1),
    place(after?.position ?? 0)
  ]
})

export const toParkedRow = ({ projection, stored }: BuildNumber) => (row: ReadonlyArray<unknown>): ParkedRow => ({
  projection,
  ...splitNumber(stored),
  slice: row[0] as number,
  position: row[1] as number,
  key: row[2] as string,
  id: row[3] as string,
  type: row[4] as string,
  streamId: row[5] as string,
  revision: row[6] as number,
  attempts: row[7] as number,
  reason: row[8] as string,
  parkedAt: row[9] as number
})

/** A build by the number under which it is stored. */
export interface BuildNumber {
  readonly projection: string
  readonly stored: number
}

// internal

/** Most events of a page, and most other rows. */
const PAGE_EVENTS = 4_000
const PAGE_ROWS = 2_000

/** Stored bytes at which a page ends: what is sent may be more, as large values are compressed. */
export const PAGE_SIZE_BYTES = 4 * 1024 * 1024

const NO_TAGS: ReadonlyArray<string> = Object.freeze([])

const toCheckpointRow = (row: ReadonlyArray<unknown>): CheckpointRow => ({
  projection: row[0] as string,
  ...splitNumber(row[1] as number),
  slice: row[8] as number,
  buildStatus: row[3] as CheckpointRow["buildStatus"],
  isLive: row[4] as boolean,
  builtAt: row[5] as number,
  retiredAt: row[6] as number | null ?? undefined,
  keepUntil: row[7] as number | null ?? undefined,
  definition: row[9] as string,
  status: row[10] as CheckpointRow["status"],
  isSetUp: row[11] as boolean,
  start: row[12] as number,
  position: row[13] as number,
  incarnation: row[14] as string,
  events: row[15] as number,
  digest: row[16] as string,
  epoch: row[17] as number,
  failures: row[18] as number,
  firstFailedAt: row[19] as number | null ?? undefined,
  lastFailedAt: row[20] as number | null ?? undefined,
  failedPosition: row[21] as number | null ?? undefined,
  failure: row[22] as string | null ?? undefined,
  updatedAt: row[23] as number
})
