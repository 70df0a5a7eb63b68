import * as DateTime from "effect/DateTime"
import type { Position } from "../../event/Revision.ts"
import type {
  ProjectionBuild,
  ProjectionRecord,
  ProjectionStatus,
  RollCall,
  SliceState
} from "../../store/CheckpointStore.ts"
import { splitNumber } from "./buildStatements.ts"
import type { Rows } from "./statements.ts"

/** How many columns `toRecord` reads. */
export const RECORD_COLUMNS = 22

/** A record, of the columns that `recordColumns` names. */
export const toRecord = (row: ReadonlyArray<unknown>): ProjectionRecord => {
  const [
    name,
    stored,
    slice,
    definition,
    status,
    isSetUp,
    position,
    incarnation,
    count,
    digest,
    epoch,
    owner,
    leasedUntil,
    failures,
    firstFailedAt,
    lastFailedAt,
    failedPosition,
    failure,
    updatedAt,
    parked,
    isLive,
    start
  ] = row as unknown as RecordRow
  return {
    name,
    ...splitNumber(stored),
    slice,
    isLive,
    start,
    definition,
    status,
    isSetUp,
    checkpoint: { position, incarnation, count, digest },
    epoch,
    owner: owner ?? undefined,
    leasedUntil: leasedUntil === null ? undefined : DateTime.makeUnsafe(leasedUntil),
    failure: firstFailedAt === null || lastFailedAt === null || failedPosition === null || failure === null
      ? undefined
      : {
        count: failures,
        firstAt: DateTime.makeUnsafe(firstFailedAt),
        lastAt: DateTime.makeUnsafe(lastFailedAt),
        position: failedPosition,
        message: failure
      },
    updatedAt: DateTime.makeUnsafe(updatedAt),
    parked
  }
}

/**
 * What `attend` tells, a row a slice, by projection; a row without a slice is of
 * a projection that is not known.
 */
export const toRollCalls = (rows: Rows, count: number): ReadonlyArray<RollCall> => {
  const calls = Array.from({ length: count }, () => ({ runners: 1, slices: new Array<SliceState>() }))
  for (const row of rows) {
    const [index, runners, slice, status, owner] = row as unknown as readonly [
      number,
      number,
      number | null,
      ProjectionStatus,
      string | null
    ]
    const call = calls[index]
    if (call === undefined) continue
    call.runners = runners
    if (slice !== null) call.slices.push({ slice, status, owner: owner ?? undefined })
  }
  return calls
}

/** A build, of the columns that `buildColumns` names. */
export const toBuild = (row: ReadonlyArray<unknown>): ProjectionBuild => {
  const [name, stored, status, isLive, createdAt, retiredAt, keepUntil, isExpired, tables] = row as unknown as BuildRow
  return {
    name,
    ...splitNumber(stored),
    status,
    isLive,
    createdAt: DateTime.makeUnsafe(createdAt),
    retiredAt: retiredAt === null ? undefined : DateTime.makeUnsafe(retiredAt),
    keepUntil: keepUntil === null ? undefined : DateTime.makeUnsafe(keepUntil),
    isExpired,
    tables: pairs(tables)
  }
}

/** Schema and name of each table, of an array that has them one after the other. */
export const pairs = (names: ReadonlyArray<string>): ReadonlyArray<readonly [schema: string, name: string]> =>
  names.flatMap((name, index) => index % 2 === 0 ? [[name, names[index + 1] ?? ""] as const] : [])

// internal

type RecordRow = readonly [
  name: string,
  stored: number,
  slice: number,
  definition: string,
  status: ProjectionStatus,
  isSetUp: boolean,
  position: Position,
  incarnation: string,
  count: number,
  digest: string,
  epoch: number,
  owner: string | null,
  leasedUntil: Date | null,
  failures: number,
  firstFailedAt: Date | null,
  lastFailedAt: Date | null,
  failedPosition: Position | null,
  failure: string | null,
  updatedAt: Date,
  parked: number,
  isLive: boolean,
  start: Position
]

type BuildRow = readonly [
  name: string,
  stored: number,
  status: ProjectionBuild["status"],
  isLive: boolean,
  createdAt: Date,
  retiredAt: Date | null,
  keepUntil: Date | null,
  isExpired: boolean,
  tables: ReadonlyArray<string>
]
