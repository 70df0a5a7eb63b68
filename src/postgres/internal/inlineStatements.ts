import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import type { RecordedEvent } from "../../event/Event.ts"
import type { Position } from "../../event/Revision.ts"
import type { BuildKey, ProjectionVersion } from "../../store/CheckpointStore.ts"
import type { EventDigest } from "../../store/EventDigest.ts"
import type { LogHead } from "../../store/EventStore.ts"
import {
  FENCE,
  INLINE_GAP_EVENTS,
  type InlineEffects,
  type InlineFollower,
  type InlineStand
} from "../../store/InlineAppender.ts"
import { splitNumber, storedNumber } from "./buildStatements.ts"
import { effects } from "./projectionStatements.ts"
import { logPage } from "./reads.ts"
import { toEvent } from "./rows.ts"
import { place, type Rows, type Statement, texts } from "./statements.ts"

/** The head as `stands` and `head` bring it, and the time of the last event. */
export interface Head extends LogHead {
  readonly recordedAt: DateTime.Utc
}

/**
 * The head of the log, and how the current builds of followers stand, one a row;
 * from here on nobody else moves them.
 */
export const stands = (schema: string, keys: ReadonlyArray<ProjectionVersion>): Statement => ({
  text: `SELECT ${HEAD}, p.name, p.version::int4, p.definition, p.is_set_up, p.position::float8, p.incarnation,
      p.events::float8, p.digest,
      coalesce(p.owner LIKE '${FENCE}%' AND p.leased_until > clock_timestamp(), false)
    FROM ${schema}.head h, ${schema}.projections p JOIN unnest($1::text[], $2::int2[]) u (name, version)
      ON p.name = u.name AND p.version = (${currentBuild(schema)})
    WHERE h.id = 1 AND p.slice = 0 ORDER BY p.name, p.version FOR UPDATE OF p`,
  parameters: [texts(keys.map(({ name }) => name)), versions(keys.map(({ version }) => version))]
})

/** The head alone, for when there is no follower. */
export const head = (schema: string): Statement => ({
  text: `SELECT ${HEAD} FROM ${schema}.head h WHERE h.id = 1`,
  parameters: []
})

/** Reads the head of the rows. */
export const toHead = ([row]: Rows): Head | undefined => {
  if (row === undefined) return undefined
  const [position, incarnation, recordedAt] = row as unknown as readonly [Position, string, Date]
  return { position, incarnation, recordedAt: DateTime.makeUnsafe(recordedAt) }
}

/** Finds the row of a follower among those of `stands`. */
export const findStand = (rows: Rows, { name, version }: ProjectionVersion): InlineStand | undefined => {
  for (const row of rows) {
    const [own, number, definition, isSetUp, position, incarnation, count, digest, isFenced] = row.slice(
      HEAD_COLUMNS
    ) as unknown as StandRow
    const stored = splitNumber(number)
    if (own === name && stored.version === version) {
      return {
        build: stored.build,
        definition,
        isSetUp,
        isFenced,
        checkpoint: { position, incarnation, count, digest }
      }
    }
  }
  return undefined
}

/** Events between a follower and the append, one more than it may take. */
export const gap = (schema: string, { filter }: InlineFollower, after: number, until: number): Statement =>
  logPage(
    schema,
    { direction: "forwards", after, until, filter, limit: INLINE_GAP_EVENTS + 1, timeBound: undefined },
    { after, until }
  )

/** Reads the rows of `gap`: one without an event comes when there is none. */
export const toGap = (rows: Rows): ReadonlyArray<RecordedEvent> =>
  rows[0]?.[1] === null ? [] : rows.map((row) => toEvent(row, 1))

/** A row when data and metadata of the event are archived; then those of all before it are, too. */
export const isArchived = (schema: string, position: number): Statement => ({
  text: `SELECT 1 FROM ${schema}.archives WHERE until_position >= $1 LIMIT 1`,
  parameters: [place(position)]
})

/** How a follower stands after the append. */
export interface Move extends BuildKey, EventDigest {
  readonly from: Position
  readonly to: Position
}

/** What is run before and after the statements of a follower. */
export const around = (
  schema: string,
  { build, count, digest, from, name, to, version }: Move,
  { changes, statements, states }: InlineEffects
): { readonly before: ReadonlyArray<Statement>; readonly after: ReadonlyArray<Statement> } => {
  // no lease is needed: the row is locked
  const lease = { name, version, build, slice: 0, owner: "", epoch: 0, leaseMillis: 0, incarnation: "" }
  return effects(schema, lease, { from, to: { position: to, count, digest }, states, statements, changes })
}

/**
 * Moves the checkpoints of all followers, or fails with `NOT_MOVED` and so ends the
 * transaction: another build has taken the place of one while its row was waited for.
 */
export const move = (schema: string, moves: ReadonlyArray<Move>, incarnation: string): Statement => ({
  text: `WITH moved AS (
      UPDATE ${schema}.projections p SET position = u.until, events = u.events, digest = u.digest,
        incarnation = $7, updated_at = clock_timestamp()
      FROM unnest($1::text[], $2::int2[], $3::int8[], $4::int8[], $5::int8[], $6::text[])
        AS u (name, version, since, until, events, digest)
      WHERE p.name = u.name AND p.version = u.version AND p.slice = 0 AND p.position = u.since
        AND EXISTS (SELECT FROM ${schema}.projection_builds b
          WHERE b.name = p.name AND b.version = p.version AND b.status = 'current')
      RETURNING 1
    ) SELECT 1 / (count(*) = $8)::int FROM moved`,
  parameters: [
    texts(moves.map(({ name }) => name)),
    versions(moves.map(storedNumber)),
    integers(moves.map(({ from }) => from)),
    integers(moves.map(({ to }) => to)),
    integers(moves.map(({ count }) => count)),
    texts(moves.map(({ digest }) => digest)),
    PgTypes.uuid(incarnation),
    PgTypes.int8(BigInt(moves.length))
  ]
})

/** The SQLSTATE of a `move` that did not find all of them where they stood: a division by zero. */
export const NOT_MOVED = "22012"

// internal

type StandRow = readonly [
  name: string,
  stored: number,
  definition: string,
  isSetUp: boolean,
  position: Position,
  incarnation: string,
  count: number,
  digest: string,
  isFenced: boolean
]

const versions = (numbers: ReadonlyArray<number>) => Result.getOrThrow(PgTypes.array([...numbers], PgTypes.OID.int2))

const integers = (values: ReadonlyArray<number>) =>
  Result.getOrThrow(PgTypes.array(values.map(BigInt), PgTypes.OID.int8))

const HEAD = "h.position::float8, h.incarnation, h.recorded_at"

/** How many columns `HEAD` has. */
const HEAD_COLUMNS = 3

const currentBuild = (schema: string): string =>
  `SELECT b.version FROM ${schema}.projection_builds b
    WHERE b.name = u.name AND b.version % 1000 = u.version AND b.status = 'current'`
