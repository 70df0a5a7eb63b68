import * as DateTime from "effect/DateTime"
import type { EventId } from "../../event/Event.ts"
import type { Position, Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import type { BuildKey, ParkedEvent, ProjectionBuild, ProjectionRecord } from "../../store/CheckpointStore.ts"
import type { CheckpointRow, ParkedRow, StateRow } from "../../store/LogTransfer.ts"
import { sliceOf } from "../../store/Slice.ts"
import type { Builds } from "./builds.ts"
import type { Entry, SlicesOf } from "./checkpointReads.ts"
import type { ProjectionRows } from "./parts.ts"
import { compareNames } from "./streams.ts"

/** All projections as rows. */
export const toRows = (builds: Builds, slicesOf: SlicesOf): ProjectionRows => {
  const checkpoints: Array<CheckpointRow> = []
  const states: Array<StateRow> = []
  const parked: Array<ParkedRow> = []
  for (const build of builds.list(undefined, 0)) {
    const slices = slicesOf(build)
    const key = { projection: build.name, version: build.version, build: build.build }
    for (const { parked: events, record } of slices) {
      checkpoints.push(toCheckpoint(build, record))
      for (const event of [...events.values()].sort((a, b) => a.position - b.position)) {
        parked.push(toParked({ ...key, slice: record.slice }, event))
      }
    }
    const times = new Map(slices.flatMap((slice) => [...slice.times]))
    const kept = [...slices[0]?.states ?? []].sort(([a], [b]) => compareNames(a, b))
    for (const [name, state] of kept) {
      const time = times.get(name)
      states.push({ ...key, key: name, state, changedAt: time === undefined ? undefined : time * MICROS })
    }
  }
  return { checkpoints, states, parked }
}

/** Puts projections into a store that has none; `put` keeps a slice. */
export const restoreRows = (
  builds: Builds,
  put: (key: BuildKey & { readonly slice: number }, entry: Entry) => void,
  rows: ProjectionRows
): void => {
  const entries = new Map<string, Array<Entry>>()
  for (const row of rows.checkpoints) {
    const { build, slice, version } = row
    const slices = entries.get(keyOf(row)) ?? []
    if (slices.length === 0) builds.restore(toBuild(row))
    const states = slices[0]?.states ?? new Map<string, string>()
    const entry: Entry = { record: toRecord(row), states, times: new Map(), parked: new Map() }
    entries.set(keyOf(row), [...slices, entry])
    put({ name: row.projection, version, build, slice }, entry)
  }
  for (const row of rows.states) {
    const slices = entries.get(keyOf(row)) ?? []
    slices[0]?.states.set(row.key, row.state)
    if (row.changedAt !== undefined) {
      slices[sliceOf(row.key, slices.length)]?.times.set(row.key, Math.floor(row.changedAt / MICROS))
    }
  }
  for (const row of rows.parked) {
    const entry = entries.get(keyOf(row))?.find(({ record }) => record.slice === row.slice)
    entry?.parked.set(row.position as Position, toParkedEvent(row))
  }
}

// internal

/** Microseconds of a millisecond. */
const MICROS = 1_000

const keyOf = ({ build, projection, version }: Pick<CheckpointRow, "projection" | "version" | "build">): string =>
  `${version} ${build} ${projection}`

const micros = (time: DateTime.Utc): number => time.epochMilliseconds * MICROS

const microsOf = (time: DateTime.Utc | undefined): number | undefined => time === undefined ? undefined : micros(time)

const utc = (value: number): DateTime.Utc => DateTime.makeUnsafe(Math.floor(value / MICROS))

const utcOf = (value: number | undefined): DateTime.Utc | undefined => value === undefined ? undefined : utc(value)

const toCheckpoint = (build: ProjectionBuild, record: ProjectionRecord): CheckpointRow => ({
  projection: record.name,
  version: record.version,
  build: record.build,
  slice: record.slice,
  // builds in memory are removed at once
  buildStatus: build.status === "removing" ? "kept" : build.status,
  isLive: build.isLive,
  builtAt: micros(build.createdAt),
  retiredAt: microsOf(build.retiredAt),
  keepUntil: microsOf(build.keepUntil),
  definition: record.definition,
  status: record.status,
  isSetUp: record.isSetUp,
  start: record.start,
  position: record.checkpoint.position,
  incarnation: record.checkpoint.incarnation,
  events: record.checkpoint.count,
  digest: record.checkpoint.digest,
  epoch: record.epoch,
  failures: record.failure?.count ?? 0,
  firstFailedAt: microsOf(record.failure?.firstAt),
  lastFailedAt: microsOf(record.failure?.lastAt),
  failedPosition: record.failure?.position,
  failure: record.failure?.message,
  updatedAt: micros(record.updatedAt)
})

const toBuild = (row: CheckpointRow): Omit<ProjectionBuild, "isExpired"> => ({
  name: row.projection,
  version: row.version,
  build: row.build,
  status: row.buildStatus,
  isLive: row.isLive,
  createdAt: utc(row.builtAt),
  retiredAt: utcOf(row.retiredAt),
  keepUntil: utcOf(row.keepUntil),
  tables: []
})

const toRecord = (row: CheckpointRow): ProjectionRecord => ({
  name: row.projection,
  version: row.version,
  build: row.build,
  slice: row.slice,
  isLive: row.isLive,
  definition: row.definition,
  checkpoint: {
    position: row.position as Position,
    incarnation: row.incarnation,
    count: row.events,
    digest: row.digest
  },
  status: row.status,
  isSetUp: row.isSetUp,
  start: row.start as Position,
  owner: undefined,
  epoch: row.epoch + 1,
  leasedUntil: undefined,
  parked: 0,
  failure: row.firstFailedAt === undefined || row.lastFailedAt === undefined || row.failedPosition === undefined
    ? undefined
    : {
      count: row.failures,
      firstAt: utc(row.firstFailedAt),
      lastAt: utc(row.lastFailedAt),
      message: row.failure ?? "",
      position: row.failedPosition as Position
    },
  updatedAt: utc(row.updatedAt)
})

const toParked = (
  key: Pick<ParkedRow, "projection" | "version" | "build" | "slice">,
  { attempts, id, key: order, parkedAt, position, reason, revision, streamId, type }: ParkedEvent
): ParkedRow => ({
  ...key,
  position,
  key: order,
  id,
  type,
  streamId,
  revision,
  attempts,
  reason,
  parkedAt: micros(parkedAt)
})

const toParkedEvent = (row: ParkedRow): ParkedEvent => ({
  position: row.position as Position,
  key: row.key,
  id: row.id as EventId,
  type: row.type,
  streamId: row.streamId as StreamId,
  revision: row.revision as Revision,
  attempts: row.attempts,
  reason: row.reason,
  parkedAt: utc(row.parkedAt)
})
