import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Result from "effect/Result"
import type { EventFilter } from "../../event/EventQuery.ts"
import type {
  Attendance,
  FailureReport,
  Lease,
  LeaseClaim,
  ParkedEvent,
  ParkedPage,
  ProjectionCommit,
  ProjectionKey,
  ProjectionReset,
  ProjectionStatus,
  StatesPage
} from "../../store/CheckpointStore.ts"
import { DIGEST_LANES, DIGEST_PRIME } from "../../store/EventDigest.ts"
import { keyParameters, storedNumber, storedVersion, storedVersionOf } from "./buildStatements.ts"
import { changeEffects } from "./changeStatements.ts"
import { logPage } from "./reads.ts"
import { insertStates, setStart } from "./retentionStatements.ts"
import { place, type Statement, texts } from "./statements.ts"

/** `$1` to `$3`: `keyParameters`, and the slice. */
export const sliceParameters = (key: ProjectionKey): ReadonlyArray<unknown> => [
  ...keyParameters(key),
  PgTypes.int2(key.slice ?? 0)
]

/** Registers all slices of a build that is not known yet, at the start of the log. */
export const register = (schema: string, { definition, slices = 1, ...key }: LeaseClaim): Statement => ({
  text: `INSERT INTO ${schema}.projections (name, version, slice, definition, incarnation, epoch)
    SELECT $1, $2, s.slice, $4, h.incarnation, b.epoch
    FROM ${schema}.head h, ${schema}.projection_builds b, generate_series(0, $5 - 1) s (slice)
    WHERE h.id = 1 AND b.name = $1 AND b.version = $2
      AND NOT EXISTS (SELECT FROM ${schema}.projections p WHERE ${ofSlice("p")})
    ON CONFLICT DO NOTHING`,
  parameters: [...sliceParameters(key), PgTypes.text(definition), PgTypes.int4(slices)]
})

/** Locks a projection and describes it, with the head of the log and the time after the record's columns. */
export const lock = (schema: string, key: ProjectionKey): Statement => ({
  text: `SELECT ${recordColumns(schema)}, h.position::float8, h.incarnation, clock_timestamp()
    FROM ${schema}.projections p, ${schema}.head h WHERE h.id = 1 AND ${ofSlice("p")} FOR UPDATE OF p`,
  parameters: sliceParameters(key)
})

/** Gives a new lease; a projection that has seen nothing takes on the history of the log. */
export const grant = (schema: string, claim: LeaseClaim): Statement => ({
  text: `UPDATE ${schema}.projections p SET epoch = p.epoch + 1, owner = $4,
      leased_until = clock_timestamp() + $5 * interval '1 millisecond',
      incarnation = CASE p.position WHEN 0 THEN h.incarnation ELSE p.incarnation END,
      status = CASE p.status WHEN 'halted' THEN 'running' ELSE p.status END
    FROM ${schema}.head h WHERE h.id = 1 AND ${ofSlice("p")} RETURNING ${recordColumns(schema)}`,
  parameters: [...sliceParameters(claim), PgTypes.text(claim.owner), PgTypes.float8(claim.leaseMillis)]
})

/** Makes a lease last longer; no row when it is not the newest. */
export const renew = (schema: string, lease: Lease): Statement => ({
  text: `UPDATE ${schema}.projections p SET leased_until = clock_timestamp() + $5 * interval '1 millisecond'
    WHERE ${ofSlice("p")} AND p.epoch = $4 RETURNING ${recordColumns(schema)}`,
  parameters: [...leaseParameters(lease), PgTypes.float8(lease.leaseMillis)]
})

/** Gives a lease back. */
export const release = (schema: string, lease: Lease): Statement => ({
  text: `UPDATE ${schema}.projections p SET owner = NULL, leased_until = NULL
    WHERE ${ofSlice("p")} AND p.epoch = $4`,
  parameters: leaseParameters(lease)
})

/** Notes a failure; no row when the lease is not the newest. */
export const reportFailure = (schema: string, lease: Lease, { halt, message, position }: FailureReport): Statement => ({
  text: `UPDATE ${schema}.projections p SET failures = failures + 1, failure = $5, failed_position = $6,
      first_failed_at = coalesce(first_failed_at, clock_timestamp()), last_failed_at = clock_timestamp(),
      status = CASE WHEN $7 THEN 'halted' ELSE status END
    WHERE ${ofSlice("p")} AND p.epoch = $4 RETURNING 1`,
  parameters: [
    ...leaseParameters(lease),
    PgTypes.text(message),
    PgTypes.int8(BigInt(position)),
    PgTypes.bool(halt)
  ]
})

/** Halts a projection, which nobody leads, where it stands; one that is paused stays so. */
export const haltUnclaimed = (schema: string, key: ProjectionKey, message: string): Statement => ({
  text: `UPDATE ${schema}.projections p SET failures = failures + 1, failure = $4, failed_position = p.position,
      first_failed_at = coalesce(first_failed_at, clock_timestamp()), last_failed_at = clock_timestamp(),
      status = CASE p.status WHEN 'running' THEN 'halted' ELSE p.status END
    WHERE ${ofSlice("p")}`,
  parameters: [...sliceParameters(key), PgTypes.text(message)]
})

/** Describes all slices of a projection, or one of them, or all projections. */
export const records = (schema: string, key: ProjectionKey | undefined): Statement => ({
  text: `SELECT ${recordColumns(schema)} FROM ${schema}.projections p ${
    key === undefined ? "" : `WHERE ${ofKey(schema, key)} `
  }ORDER BY p.name, p.version % 1000, p.version, p.slice`,
  parameters: key === undefined ? [] : slicesParameters(key)
})

/** Says whether a projection shall run, all slices of it or one. */
export const setStatus = (schema: string, key: ProjectionKey, status: ProjectionStatus): Statement => {
  const parameters = slicesParameters(key)
  return {
    text: `UPDATE ${schema}.projections p SET status = $${parameters.length + 1}
      WHERE ${ofKey(schema, key)} RETURNING 1`,
    parameters: [...parameters, PgTypes.text(status)]
  }
}

/**
 * Notes that a runner is there, when a third of its time is over, forgets those that were not for a minute, and
 * tells of each of its projections: which one, how many runners, and a slice's
 * number, status and owner; one row without a slice when it is not known.
 */
export const attend = (schema: string, { leaseMillis, owner, projections }: Attendance): Statement => ({
  text: `WITH there AS (
      INSERT INTO ${schema}.projection_runners (owner, projections, there_until)
      SELECT $1, $3, clock_timestamp() + $2 * interval '1 millisecond'
      WHERE NOT EXISTS (SELECT FROM ${schema}.projection_runners r WHERE r.owner = $1 AND r.projections = $3
        AND r.there_until > clock_timestamp() + $2 * interval '0.667 millisecond')
      ON CONFLICT (owner) DO UPDATE SET projections = excluded.projections, there_until = excluded.there_until
    ), gone AS (
      DELETE FROM ${schema}.projection_runners WHERE owner IN (SELECT r.owner FROM ${schema}.projection_runners r
        WHERE r.owner <> $1 AND r.there_until < clock_timestamp() - interval '1 minute' FOR UPDATE SKIP LOCKED)
    )
    SELECT u.n::float8 - 1, (SELECT count(*) + 1 FROM ${schema}.projection_runners r
        WHERE r.owner <> $1 AND r.there_until > clock_timestamp() AND u.id = ANY (r.projections))::float8,
      p.slice, p.status, CASE WHEN p.leased_until > clock_timestamp() THEN p.owner END
    FROM unnest($3::text[], $4::text[], $5::int2[], $6::int2[]) WITH ORDINALITY u (id, name, version, stored, n)
    LEFT JOIN ${schema}.projections p ON p.name = u.name AND p.version = coalesce(u.stored, ${
    storedVersionOf(schema, "u.name", "u.version")
  })
    ORDER BY u.n, p.slice`,
  parameters: [
    PgTypes.text(owner),
    PgTypes.float8(leaseMillis),
    texts(projections.map(({ build = "", name, version }) => `${version} ${build} ${name}`)),
    texts(projections.map(({ name }) => name)),
    numbers(projections.map(({ version }) => version)),
    numbers(projections.map((key) => key.build === undefined ? null : storedNumber(key)))
  ]
})

/** Notes that a runner is there no longer. */
export const leave = (schema: string, owner: string): Statement => ({
  text: `DELETE FROM ${schema}.projection_runners WHERE owner = $1`,
  parameters: [PgTypes.text(owner)]
})

/** A statement of a commit, and how many rows it must return. */
export interface Effect extends Statement {
  readonly rows?: number | undefined
}

/** What a commit writes besides the checkpoint, in the order in which it is run: before and after the caller's statements. */
export const effects = (
  schema: string,
  lease: Lease,
  commit: ProjectionCommit
): { readonly before: ReadonlyArray<Statement>; readonly after: ReadonlyArray<Effect> } => {
  const { park = [], reset, setUp = false, start, states = new Map(), stateTimes, unpark = [] } = commit
  const feed = changeEffects(schema, lease, commit)
  const key = keyParameters(lease)
  const kept = [...states].filter((entry): entry is [string, string] => entry[1] !== undefined)
  const gone = [...states].flatMap(([name, state]) => state === undefined ? [name] : [])
  const ofProjection = "WHERE projection = $1 AND version = $2"
  return {
    before: reset === undefined ? feed.before : [
      { text: `DELETE FROM ${schema}.projection_states ${ofProjection}`, parameters: key },
      { text: `DELETE FROM ${schema}.projection_parked ${ofProjection}`, parameters: key },
      ...feed.before
    ],
    after: [
      ...(kept.length === 0 ? [] : [insertStates(schema, lease, kept, stateTimes)]),
      ...(gone.length === 0 ? [] : [{
        text: `DELETE FROM ${schema}.projection_states ${ofProjection} AND key = ANY ($3)`,
        parameters: [...key, texts(gone)]
      }]),
      ...(start === undefined ? [] : [setStart(schema, lease, start)]),
      ...park.map((event) => insertParked(schema, lease, event)),
      ...(unpark.length === 0 ? [] : [{
        text: `DELETE FROM ${schema}.projection_parked ${ofProjection} AND position = ANY ($3)`,
        parameters: [...key, Result.getOrThrow(PgTypes.array(unpark.map(BigInt), PgTypes.OID.int8))]
      }]),
      ...(reset !== undefined ? resetSlices(schema, lease, reset, setUp) : setUp
        ? [{
          text:
            `UPDATE ${schema}.projections p SET is_set_up = true WHERE p.name = $1 AND p.version = $2 AND p.slice <> $3`,
          parameters: sliceParameters(lease)
        }]
        : []),
      ...feed.after
    ]
  }
}

/** Moves the checkpoint; no row when the lease is not the newest, the checkpoint is elsewhere, or the log is another. */
export const moveCheckpoint = (schema: string, lease: Lease, commit: ProjectionCommit): Effect => {
  const { from, reset, setUp = false, to } = commit
  return {
    rows: 1,
    text: `UPDATE ${schema}.projections p SET position = $6, events = $7, digest = $8,
        is_set_up = ${reset === undefined ? "p.is_set_up OR $9" : "$9"}, updated_at = clock_timestamp(),
        leased_until = clock_timestamp() + $10 * interval '1 millisecond'${
      reset === undefined ? "" : `, definition = $11, ${FORGET}`
    }
      FROM ${schema}.head h
      WHERE h.id = 1 AND ${ofSlice("p")} AND p.epoch = $4 AND p.position = $5
        AND h.position >= $6${reset === undefined ? " AND h.incarnation = p.incarnation" : ""} RETURNING 1`,
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
    WHERE projection = $1 AND version = ${storedVersion(schema, key)} AND key = ANY ($3)`,
  parameters: [...keyParameters(key), texts(keys)]
})

/** A page of the states. */
export const listStates = (schema: string, key: ProjectionKey, { after, limit }: StatesPage): Statement => ({
  text: `SELECT key, state::text FROM ${schema}.projection_states
    WHERE projection = $1 AND version = ${storedVersion(schema, key)}${
    after === undefined ? "" : " AND key > $4"
  } ORDER BY key LIMIT $3`,
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
    FROM ${schema}.projection_parked WHERE projection = $1 AND version = ${
    storedVersion(schema, projection)
  } AND position > $4${projection.slice === undefined ? "" : " AND slice = $5"}${
    key === undefined ? "" : ` AND key = $${projection.slice === undefined ? 5 : 6}`
  } ORDER BY position LIMIT $3`,
  parameters: [
    ...keyParameters(projection),
    PgTypes.int4(limit ?? PAGE_SIZE),
    place(after ?? 0),
    ...(projection.slice === undefined ? [] : [PgTypes.int2(projection.slice)]),
    ...(key === undefined ? [] : [PgTypes.text(key)])
  ]
})

/** Counts and digests what a reader of the log would see between two positions. */
export const digestLog = (
  schema: string,
  { after, filter, until }: {
    readonly after?: number | undefined
    readonly filter: EventFilter | undefined
    readonly until: number
  }
): Statement => {
  const { events, parameters } = logEvents(schema, filter, until, after)
  return {
    text: `SELECT count(*)::float8, ${sum("ha", 0)}, ${sum("hb", 1)}
      FROM (SELECT ${horner(0)} AS ha, ${horner(1)} AS hb
        FROM (SELECT e.place::bigint AS place, ${WORDS} FROM ${events} WHERE e.id IS NOT NULL OFFSET 0) w
        OFFSET 0) h`,
    parameters
  }
}

/** The same for each slice by stream, up to a position of its own; a row a slice, in their order. */
export const digestSlices = (
  schema: string,
  filter: EventFilter | undefined,
  untils: ReadonlyArray<number>
): Statement => {
  const { events, parameters } = logEvents(schema, filter, Math.max(...untils))
  const list = `$${parameters.length + 1}::int8[]`
  const slice =
    `('x' || left(encode(sha256(convert_to(e.stream, 'UTF8')), 'hex'), 8))::bit(32)::bigint % ${untils.length}`
  return {
    text: `SELECT coalesce(d.events, 0), coalesce(d.first, 0), coalesce(d.second, 0)
      FROM generate_series(0, ${untils.length - 1}) s (slice) LEFT JOIN (
        SELECT slice, count(*)::float8 AS events, ${sum("ha", 0)} AS first, ${sum("hb", 1)} AS second
        FROM (SELECT slice, ${horner(0)} AS ha, ${horner(1)} AS hb
          FROM (SELECT slice, place, id, ${WORDS}
            FROM (SELECT e.place::bigint AS place, e.id, ${slice} AS slice FROM ${events}
              WHERE e.id IS NOT NULL OFFSET 0) e
            WHERE place <= (${list})[slice + 1] OFFSET 0) w
          OFFSET 0) h
        GROUP BY slice) d ON d.slice = s.slice
      ORDER BY s.slice`,
    parameters: [...parameters, Result.getOrThrow(PgTypes.array(untils.map(BigInt), PgTypes.OID.int8))]
  }
}

// internal

const PAGE_SIZE = 100

/** The most that `int4` takes. */
const LIMIT_NONE = 2_147_483_647

/** `$1` and `$2`, and `$3` when a slice is named. */
const slicesParameters = (key: ProjectionKey): ReadonlyArray<unknown> =>
  key.slice === undefined ? keyParameters(key) : sliceParameters(key)

/** The rows of `p` that `slicesParameters` lead to. */
const ofKey = (schema: string, key: ProjectionKey): string =>
  `p.name = $1 AND p.version = ${storedVersion(schema, key)}${key.slice === undefined ? "" : " AND p.slice = $3"}`

/** Small numbers, or NULL, as one parameter. */
const numbers = (values: ReadonlyArray<number | null>) =>
  Result.getOrThrow(PgTypes.array([...values], PgTypes.OID.int2))

/** The row that `sliceParameters` lead to. */
const ofSlice = (alias: string): string => `${alias}.name = $1 AND ${alias}.version = $2 AND ${alias}.slice = $3`

const leaseParameters = (lease: Lease): ReadonlyArray<unknown> => [
  ...sliceParameters(lease),
  PgTypes.int8(BigInt(lease.epoch))
]

/** Columns of a projection `p`, in the order that `toRecord` reads. */
const recordColumns = (schema: string): string =>
  `p.name, p.version, p.slice, p.definition, p.status, p.is_set_up, p.position::float8, p.incarnation,
  p.events::float8, p.digest, p.epoch::float8, p.owner, p.leased_until, p.failures::float8, p.first_failed_at, p.last_failed_at,
  p.failed_position::float8, p.failure, p.updated_at, (SELECT count(*) FROM ${schema}.projection_parked k
    WHERE k.projection = p.name AND k.version = p.version AND k.slice = p.slice)::float8,
  EXISTS (SELECT 1 FROM ${schema}.projection_builds b WHERE b.name = p.name AND b.version = p.version AND b.is_live),
  p.start::float8`

/** What a reset takes back, besides the checkpoint. */
const FORGET =
  `incarnation = h.incarnation, failures = 0, failure = NULL, failed_position = NULL, first_failed_at = NULL,
  last_failed_at = NULL`

/** Puts the other slices at the start, or removes them; a row for each. */
const resetSlices = (
  schema: string,
  lease: Lease,
  { definition, leases = [], slices = 1 }: ProjectionReset,
  setUp: boolean
): ReadonlyArray<Effect> => {
  const kept = leases.filter(({ slice }) => slice < slices)
  const gone = leases.filter(({ slice }) => slice >= slices)
  const named = (some: ReadonlyArray<Lease>) => [
    ...keyParameters(lease),
    numbers(some.map(({ slice }) => slice)),
    Result.getOrThrow(PgTypes.array(some.map(({ epoch }) => BigInt(epoch)), PgTypes.OID.int8))
  ]
  const those = `p.name = $1 AND p.version = $2 AND p.slice = l.slice AND p.epoch = l.epoch RETURNING 1`
  return [
    ...(kept.length === 0 ? [] : [{
      rows: kept.length,
      text: `UPDATE ${schema}.projections p SET position = 0, events = 0, digest = DEFAULT, is_set_up = $5,
          epoch = p.epoch + 1, owner = NULL, leased_until = NULL, updated_at = clock_timestamp(), definition = $6, ${FORGET}
        FROM ${schema}.head h, unnest($3::int2[], $4::int8[]) l (slice, epoch) WHERE h.id = 1 AND ${those}`,
      parameters: [...named(kept), PgTypes.bool(setUp), PgTypes.text(definition)]
    }]),
    ...(gone.length === 0 ? [] : [{
      rows: gone.length,
      text: `DELETE FROM ${schema}.projections p USING unnest($3::int2[], $4::int8[]) l (slice, epoch) WHERE ${those}`,
      parameters: named(gone)
    }])
  ]
}

const insertParked = (schema: string, lease: Lease, event: Omit<ParkedEvent, "parkedAt">): Statement => ({
  text: `INSERT INTO ${schema}.projection_parked
      (projection, version, slice, position, key, id, type, stream, revision, attempts, reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (projection, version, slice, position) DO UPDATE
      SET key = excluded.key, attempts = excluded.attempts, reason = excluded.reason`,
  parameters: [
    ...sliceParameters(lease),
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

/** The events that pass a filter up to a position, as `e` with the columns `place`, `stream` and `id`. */
const logEvents = (schema: string, filter: EventFilter | undefined, until: number, after?: number) => {
  const query = {
    direction: "forwards",
    after,
    until,
    filter,
    limit: LIMIT_NONE,
    timeBound: undefined
  } as const
  const { parameters, text } = logPage(schema, query, { after, until })
  const columns = `${filter === undefined ? "" : "head, "}place, stream, revision, id`
  return { events: `(${text}) e (${columns})`, parameters }
}

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
