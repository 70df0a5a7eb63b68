import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Result from "effect/Result"
import type { EventFilter } from "../../event/EventQuery.ts"
import type {
  FailureReport,
  Lease,
  LeaseClaim,
  ParkedEvent,
  ParkedPage,
  ProjectionCommit,
  ProjectionKey,
  ProjectionStatus,
  StatesPage
} from "../../store/CheckpointStore.ts"
import { DIGEST_LANES, DIGEST_PRIME } from "../../store/EventDigest.ts"
import { logPage } from "./reads.ts"
import { place, type Statement, texts } from "./statements.ts"

/** Registers a projection that is not known yet, at the start of the log. */
export const register = (schema: string, { definition, name, version }: LeaseClaim): Statement => ({
  text: `INSERT INTO ${schema}.projections (name, version, definition, incarnation)
    SELECT $1, $2, $3, h.incarnation FROM ${schema}.head h WHERE h.id = 1 ON CONFLICT DO NOTHING`,
  parameters: [PgTypes.text(name), PgTypes.int2(version), PgTypes.text(definition)]
})

/** Locks a projection and describes it, with the head of the log and the time after the record's columns. */
export const lock = (schema: string, key: ProjectionKey): Statement => ({
  text: `SELECT ${recordColumns(schema)}, h.position::float8, h.incarnation, clock_timestamp()
    FROM ${schema}.projections p, ${schema}.head h WHERE h.id = 1 AND p.name = $1 AND p.version = $2 FOR UPDATE OF p`,
  parameters: keyParameters(key)
})

/** Gives a new lease; a projection that has seen nothing takes on the history of the log. */
export const grant = (schema: string, claim: LeaseClaim): Statement => ({
  text: `UPDATE ${schema}.projections p SET epoch = p.epoch + 1, owner = $3,
      leased_until = clock_timestamp() + $4 * interval '1 millisecond',
      incarnation = CASE p.position WHEN 0 THEN h.incarnation ELSE p.incarnation END,
      status = CASE p.status WHEN 'halted' THEN 'running' ELSE p.status END
    FROM ${schema}.head h WHERE h.id = 1 AND p.name = $1 AND p.version = $2 RETURNING ${recordColumns(schema)}`,
  parameters: [...keyParameters(claim), PgTypes.text(claim.owner), PgTypes.float8(claim.leaseMillis)]
})

/** Makes a lease last longer; no row when it is not the newest. */
export const renew = (schema: string, lease: Lease): Statement => ({
  text: `UPDATE ${schema}.projections p SET leased_until = clock_timestamp() + $4 * interval '1 millisecond'
    WHERE p.name = $1 AND p.version = $2 AND p.epoch = $3 RETURNING ${recordColumns(schema)}`,
  parameters: [...leaseParameters(lease), PgTypes.float8(lease.leaseMillis)]
})

/** Gives a lease back. */
export const release = (schema: string, lease: Lease): Statement => ({
  text: `UPDATE ${schema}.projections SET owner = NULL, leased_until = NULL
    WHERE name = $1 AND version = $2 AND epoch = $3`,
  parameters: leaseParameters(lease)
})

/** Notes a failure; no row when the lease is not the newest. */
export const reportFailure = (schema: string, lease: Lease, { halt, message, position }: FailureReport): Statement => ({
  text: `UPDATE ${schema}.projections SET failures = failures + 1, failure = $4, failed_position = $5,
      first_failed_at = coalesce(first_failed_at, clock_timestamp()), last_failed_at = clock_timestamp(),
      status = CASE WHEN $6 THEN 'halted' ELSE status END
    WHERE name = $1 AND version = $2 AND epoch = $3 RETURNING 1`,
  parameters: [
    ...leaseParameters(lease),
    PgTypes.text(message),
    PgTypes.int8(BigInt(position)),
    PgTypes.bool(halt)
  ]
})

/** Describes one projection, or all. */
export const records = (schema: string, key: ProjectionKey | undefined): Statement => ({
  text: `SELECT ${recordColumns(schema)} FROM ${schema}.projections p ${
    key === undefined ? "" : "WHERE p.name = $1 AND p.version = $2 "
  }ORDER BY p.name, p.version`,
  parameters: key === undefined ? [] : keyParameters(key)
})

/** Says whether a projection shall run. */
export const setStatus = (schema: string, key: ProjectionKey, status: ProjectionStatus): Statement => ({
  text: `UPDATE ${schema}.projections SET status = $3 WHERE name = $1 AND version = $2 RETURNING 1`,
  parameters: [...keyParameters(key), PgTypes.text(status)]
})

/** What a commit writes besides the checkpoint, in the order in which it is run: before and after the caller's statements. */
export const effects = (
  schema: string,
  lease: Lease,
  { park = [], reset, states = new Map(), unpark = [] }: ProjectionCommit
): { readonly before: ReadonlyArray<Statement>; readonly after: ReadonlyArray<Statement> } => {
  const key = keyParameters(lease)
  const kept = [...states].filter((entry): entry is [string, string] => entry[1] !== undefined)
  const gone = [...states].flatMap(([name, state]) => state === undefined ? [name] : [])
  const ofProjection = "WHERE projection = $1 AND version = $2"
  return {
    before: reset === undefined ? [] : [
      { text: `DELETE FROM ${schema}.projection_states ${ofProjection}`, parameters: key },
      { text: `DELETE FROM ${schema}.projection_parked ${ofProjection}`, parameters: key }
    ],
    after: [
      ...(kept.length === 0 ? [] : [{
        text: `INSERT INTO ${schema}.projection_states (projection, version, key, state)
          SELECT $1, $2, u.key, u.state::json FROM unnest($3::text[], $4::text[]) u (key, state)
          ON CONFLICT (projection, version, key) DO UPDATE SET state = excluded.state`,
        parameters: [...key, texts(kept.map(([name]) => name)), texts(kept.map(([, state]) => state))]
      }]),
      ...(gone.length === 0 ? [] : [{
        text: `DELETE FROM ${schema}.projection_states ${ofProjection} AND key = ANY ($3)`,
        parameters: [...key, texts(gone)]
      }]),
      ...park.map((event) => insertParked(schema, lease, event)),
      ...(unpark.length === 0 ? [] : [{
        text: `DELETE FROM ${schema}.projection_parked ${ofProjection} AND position = ANY ($3)`,
        parameters: [...key, Result.getOrThrow(PgTypes.array(unpark.map(BigInt), PgTypes.OID.int8))]
      }])
    ]
  }
}

/** Moves the checkpoint; no row when the lease is not the newest, the checkpoint is elsewhere, or the log is another. */
export const moveCheckpoint = (schema: string, lease: Lease, commit: ProjectionCommit): Statement => {
  const { from, reset, setUp = false, to } = commit
  return {
    text: `UPDATE ${schema}.projections p SET position = $5, events = $6, digest = $7,
        is_set_up = ${reset === undefined ? "p.is_set_up OR $8" : "$8"}, updated_at = clock_timestamp(),
        leased_until = clock_timestamp() + $9 * interval '1 millisecond'${
      reset === undefined ? "" : `, definition = $10, incarnation = h.incarnation, failures = 0, failure = NULL,
        failed_position = NULL, first_failed_at = NULL, last_failed_at = NULL`
    }
      FROM ${schema}.head h
      WHERE h.id = 1 AND p.name = $1 AND p.version = $2 AND p.epoch = $3 AND p.position = $4
        AND h.position >= $5${reset === undefined ? " AND h.incarnation = p.incarnation" : ""} RETURNING 1`,
    parameters: [
      ...leaseParameters(lease),
      place(from),
      place(to.position),
      PgTypes.int8(BigInt(to.count)),
      PgTypes.text(to.digest),
      PgTypes.bool(setUp),
      PgTypes.float8(lease.leaseMillis),
      ...(reset === undefined ? [] : [PgTypes.text(reset.definition)])
    ]
  }
}

/** The states of some keys. */
export const loadStates = (schema: string, key: ProjectionKey, keys: ReadonlyArray<string>): Statement => ({
  text: `SELECT key, state::text FROM ${schema}.projection_states
    WHERE projection = $1 AND version = $2 AND key = ANY ($3)`,
  parameters: [...keyParameters(key), texts(keys)]
})

/** A page of the states. */
export const listStates = (schema: string, key: ProjectionKey, { after, limit }: StatesPage): Statement => ({
  text: `SELECT key, state::text FROM ${schema}.projection_states
    WHERE projection = $1 AND version = $2${after === undefined ? "" : " AND key > $4"} ORDER BY key LIMIT $3`,
  parameters: [
    ...keyParameters(key),
    PgTypes.int4(limit ?? PAGE_SIZE),
    ...(after === undefined ? [] : [PgTypes.text(after)])
  ]
})

/** A page of the parked events. */
export const listParked = (
  schema: string,
  projection: ProjectionKey,
  { after, key, limit }: ParkedPage
): Statement => ({
  text: `SELECT position::float8, key, id, type, stream, revision, attempts, reason, parked_at
    FROM ${schema}.projection_parked WHERE projection = $1 AND version = $2 AND position > $4${
    key === undefined ? "" : " AND key = $5"
  } ORDER BY position LIMIT $3`,
  parameters: [
    ...keyParameters(projection),
    PgTypes.int4(limit ?? PAGE_SIZE),
    place(after ?? 0),
    ...(key === undefined ? [] : [PgTypes.text(key)])
  ]
})

/** Counts and digests what a reader of the log would see up to a position. */
export const digestLog = (schema: string, filter: EventFilter | undefined, until: number): Statement => {
  const query = {
    direction: "forwards",
    after: undefined,
    until,
    filter,
    limit: LIMIT_NONE,
    timeBound: undefined
  } as const
  const { parameters, text } = logPage(schema, query, { after: undefined, until })
  const columns = `${filter === undefined ? "" : "head, "}place, stream, revision, id`
  return {
    text: `SELECT count(*)::float8, ${sum("ha", 0)}, ${sum("hb", 1)}
      FROM (SELECT ${horner(0)} AS ha, ${horner(1)} AS hb
        FROM (SELECT e.place::bigint AS place, ${WORDS} FROM (${text}) e (${columns}) WHERE e.id IS NOT NULL OFFSET 0) w
        OFFSET 0) h`,
    parameters
  }
}

// internal

const PAGE_SIZE = 100

/** The most that `int4` takes. */
const LIMIT_NONE = 2_147_483_647

const keyParameters = ({ name, version }: ProjectionKey): ReadonlyArray<unknown> => [
  PgTypes.text(name),
  PgTypes.int2(version)
]

const leaseParameters = (lease: Lease): ReadonlyArray<unknown> => [
  ...keyParameters(lease),
  PgTypes.int8(BigInt(lease.epoch))
]

/** Columns of a projection `p`, in the order that `toRecord` reads. */
const recordColumns = (schema: string): string =>
  `p.name, p.version, p.definition, p.status, p.is_set_up, p.position::float8, p.incarnation, p.events::float8, p.digest,
  p.epoch::float8, p.owner, p.leased_until, p.failures::float8, p.first_failed_at, p.last_failed_at,
  p.failed_position::float8, p.failure, p.updated_at, (SELECT count(*) FROM ${schema}.projection_parked k
    WHERE k.projection = p.name AND k.version = p.version)::float8`

const insertParked = (schema: string, lease: Lease, event: Omit<ParkedEvent, "parkedAt">): Statement => ({
  text: `INSERT INTO ${schema}.projection_parked
      (projection, version, position, key, id, type, stream, revision, attempts, reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (projection, version, position) DO UPDATE SET attempts = excluded.attempts, reason = excluded.reason`,
  parameters: [
    ...keyParameters(lease),
    place(event.position),
    PgTypes.text(event.key),
    PgTypes.uuid(event.id),
    PgTypes.text(event.type),
    PgTypes.text(event.streamId),
    PgTypes.int4(event.revision),
    PgTypes.int4(event.attempts),
    PgTypes.text(event.reason)
  ]
})

/** An id in four words of 32 bits. */
const WORDS = [[1, 8], [10, 4, 15, 4], [20, 4, 25, 4], [29, 8]].map((parts, index) => {
  const digits = parts.length === 2
    ? `substr(e.id::text, ${parts[0]}, ${parts[1]})`
    : `substr(e.id::text, ${parts[0]}, ${parts[1]}) || substr(e.id::text, ${parts[2]}, ${parts[3]})`
  return `('x' || ${digits})::bit(32)::bigint AS w${index}`
}).join(", ")

/** An event's words as the digits of a number; see `DIGEST_LANES`. */
const horner = (lane: 0 | 1): string =>
  ["w0", "w1", "w2", "w3"].reduce(
    (h, word) => `((${h} * ${DIGEST_LANES[lane].radix} + ${word}) % ${DIGEST_PRIME})`,
    `(place % ${DIGEST_PRIME})`
  )

const sum = (h: string, lane: 0 | 1): string =>
  `(coalesce(sum((${h} * ${h} % ${DIGEST_PRIME}) * ((${h} + ${DIGEST_LANES[lane].offset}) % ${DIGEST_PRIME}) % ` +
  `${DIGEST_PRIME}), 0) % 4294967296)::float8`
