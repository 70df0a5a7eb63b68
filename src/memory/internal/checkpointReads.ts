import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Position, START } from "../../event/Revision.ts"
import type { CheckpointStore, ParkedEvent, ProjectionKey, ProjectionRecord } from "../../store/CheckpointStore.ts"
import { addEvents, EMPTY_DIGEST, type EventDigest } from "../../store/EventDigest.ts"
import type { EventStore } from "../../store/EventStore.ts"
import { sliceOf } from "../../store/Slice.ts"
import { compareNames } from "./streams.ts"

/** A slice of a projection. */
export interface Entry {
  record: ProjectionRecord
  /** Those of all slices. */
  readonly states: Map<string, string>
  /** When states were changed that grow old. */
  readonly times: Map<string, number>
  readonly parked: Map<Position, ParkedEvent>
}

/** The slices of a projection in their order, whichever one the key names. */
export type SlicesOf = (key: ProjectionKey) => ReadonlyArray<Entry>

/** What a leader and readers ask. */
export const makeReads = (
  slicesOf: SlicesOf
): Pick<CheckpointStore["Service"], "loadStates" | "stateTimes" | "oldestStates" | "listStates" | "listParked"> => ({
  stateTimes: (lease, keys) =>
    Effect.sync(() => {
      const times = slicesOf(lease)[lease.slice]?.times
      return new Map(keys.flatMap((key) => {
        const time = times?.get(key)
        return time === undefined ? [] : [[key, time] as const]
      }))
    }),
  oldestStates: (lease, limit) =>
    Effect.sync(() =>
      Array.from(slicesOf(lease)[lease.slice]?.times ?? [], ([key, time]) => ({ key, time }))
        .sort((a, b) => a.time - b.time)
        .slice(0, limit)
    ),
  loadStates: (key, keys) =>
    Effect.sync(() => {
      const states = slicesOf(key)[0]?.states
      return new Map(keys.flatMap((name) => {
        const state = states?.get(name)
        return state === undefined ? [] : [[name, state] as const]
      }))
    }),
  listStates: (key, { after, limit = PAGE_SIZE } = {}) =>
    Effect.sync(() =>
      Array.from(slicesOf(key)[0]?.states ?? [], ([name, state]) => ({ key: name, state }))
        .filter(({ key: name }) => after === undefined || compareNames(name, after) > 0)
        .sort((a, b) => compareNames(a.key, b.key))
        .slice(0, limit)
    ),
  listParked: (projection, { after = 0, key, limit = PAGE_SIZE } = {}) =>
    Effect.sync(() =>
      slicesOf(projection)
        .filter(({ record: { slice } }) => projection.slice === undefined || projection.slice === slice)
        .flatMap(({ parked }) => [...parked.values()])
        .filter((event) => event.position > after && (key === undefined || event.key === key))
        .sort((a, b) => a.position - b.position)
        .slice(0, limit)
    )
})

/** Who is there is kept as long as a lease of theirs would last. */
export const makeAttendance = (
  slicesOf: SlicesOf
): Pick<CheckpointStore["Service"], "attend" | "leave"> => {
  const runners = new Map<string, { readonly projections: ReadonlySet<string>; readonly untilMillis: number }>()
  const idOf = ({ build = 0, name, version }: ProjectionKey) => `${version} ${build} ${name}`
  return {
    attend: ({ leaseMillis, owner, projections }) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        runners.set(owner, { projections: new Set(projections.map(idOf)), untilMillis: now + leaseMillis })
        for (const [other, { untilMillis }] of runners) if (untilMillis <= now) runners.delete(other)
        return projections.map((key) => ({
          runners: [...runners.values()].filter(({ projections }) => projections.has(idOf(key))).length,
          slices: slicesOf(key).map(({ record: { leasedUntil, owner, slice, status } }) => ({
            slice,
            status,
            owner: (leasedUntil?.epochMilliseconds ?? 0) > now ? owner : undefined
          }))
        }))
      }),
    leave: (owner) => Effect.sync(() => void runners.delete(owner))
  }
}

/** Digests the log by reading it. */
export const makeDigests = (
  log: EventStore["Service"]
): Pick<CheckpointStore["Service"], "digestLog" | "digestSlices"> => ({
  digestLog: digestLog(log),
  digestSlices: digestSlices(log)
})

// internal

const PAGE_SIZE = 100

const digestLog =
  (log: EventStore["Service"]): CheckpointStore["Service"]["digestLog"] => ({ after = START, filter, until }) =>
    Effect.gen(function*() {
      let digest = EMPTY_DIGEST
      if (until <= after) return digest
      yield* Stream.runForEachArray(log.readAll({ after, until, filter }), (events) =>
        Effect.sync(() => {
          digest = addEvents(digest, events)
        }))
      return digest
    }).pipe(
      // nothing is recorded after a position that is ahead of the log
      Effect.catchTag("PositionAheadOfLog", () => Effect.succeed(EMPTY_DIGEST))
    )

const digestSlices = (log: EventStore["Service"]): CheckpointStore["Service"]["digestSlices"] => ({ filter, untils }) =>
  Effect.gen(function*() {
    const digests: Array<EventDigest> = untils.map(() => EMPTY_DIGEST)
    const until = Math.max(START, ...untils)
    if (until === START) return digests
    yield* Stream.runForEachArray(log.readAll({ until, filter }), (events) =>
      Effect.sync(() => {
        for (const event of events) {
          const slice = sliceOf(event.streamId, untils.length)
          const before = digests[slice]
          if (before !== undefined && event.position <= (untils[slice] ?? START)) {
            digests[slice] = addEvents(before, [event])
          }
        }
      }))
    return digests
  }).pipe(
    // a read from the start is never ahead of the log
    Effect.catchTag("PositionAheadOfLog", (fault) => Effect.die(fault))
  )
