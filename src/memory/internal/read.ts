/**
 * Reads pages of the log and of streams.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { EventId, RecordedEvent } from "../../event/Event.ts"
import { type EventFilter, matchesFilter } from "../../event/EventQuery.ts"
import type { Position } from "../../event/Revision.ts"
import type { LogPage, StoreStatistics } from "../../store/EventStore.ts"
import { StreamTombstoned } from "../../store/EventStoreError.ts"
import type { LogQuery, StreamQuery } from "../../store/Storage.ts"
import { type Entry, headOf, type Log, lowerBound, partitionPoint, toRecorded } from "./log.ts"
import { type Postings, postingsOfFilter } from "./postings.ts"
import { compareNames } from "./streams.ts"

/**
 * Reads a page of the log.
 *
 * The position of a page that was cut by its limit is that of its last event;
 * of one that was not, how far it has looked.
 */
export const readLog = (log: Log, query: LogQuery): LogPage =>
  query.direction === "forwards" ? readForwards(log, query) : readBackwards(log, query)

/** Reads a page of a stream, of what is not truncated. */
export const readStream = (
  log: Log,
  { direction, from, limit, streamId }: StreamQuery
): Result.Result<ReadonlyArray<RecordedEvent>, StreamTombstoned> => {
  const stream = log.streams.get(streamId)
  if (stream === undefined) return Result.succeed([])
  if (stream.isTombstoned) return Result.fail(new StreamTombstoned({ streamId: stream.streamId }))
  const { positions, truncateBefore } = stream
  if (direction === "forwards") {
    const first = Math.max(from ?? 0, truncateBefore)
    return Result.succeed(positions.slice(first, first + limit).map((position) => eventAt(log, position)))
  }
  const last = Math.min(from ?? positions.length - 1, positions.length - 1)
  const first = Math.max(last - limit + 1, truncateBefore)
  return Result.succeed(positions.slice(first, last + 1).toReversed().map((position) => eventAt(log, position)))
}

export const findEvent = (log: Log, id: EventId): Option.Option<RecordedEvent> =>
  Option.map(Option.fromUndefinedOr(log.ids.get(id)), (position) => eventAt(log, position))

export const statistics = (log: Log): StoreStatistics => ({
  events: log.events.length,
  streams: log.streams.size,
  types: Object.fromEntries(
    [...log.types.values()]
      .sort((a, b) => b.positions.length - a.positions.length || compareNames(a.name, b.name))
      .map(({ name, positions }) => [name, positions.length])
  ),
  firstPosition: Math.min(1, log.events.length) as Position,
  lastPosition: headOf(log),
  bytes: log.sizeBytes
})

// internal

/** Most events one page looks at: about 10 ms, after which other fibers have a turn. */
const LOOKED_AT_EVENTS_MAX = 50_000

const eventAt = (log: Log, position: number): RecordedEvent => toRecorded(entryAt(log, position), position)

const entryAt = (log: Log, position: number): Entry => log.events[position - 1] as Entry

const readForwards = (log: Log, { after = 0, filter = {}, limit, until }: LogQuery): LogPage => {
  const end = Math.min(until ?? headOf(log), headOf(log))
  const first = Math.max(after + 1, firstRecordedFrom(log, filter))
  const last = Math.min(end, lastRecordedBefore(log, filter))
  const page = collect(log, filter, limit, walkForwards(postingsOfFilter(log, filter, first - 1), first, last))
  return { ...page, position: (page.isEnd ? Math.max(after, end) : page.position) as Position }
}

const readBackwards = (log: Log, { after, filter = {}, limit }: LogQuery): LogPage => {
  const first = firstRecordedFrom(log, filter)
  const last = Math.min(after === undefined ? headOf(log) : after - 1, headOf(log), lastRecordedBefore(log, filter))
  const page = collect(log, filter, limit, walkBackwards(postingsOfFilter(log, filter, first - 1), first, last))
  return { ...page, position: (page.isEnd ? 0 : page.position) as Position }
}

/** `recordedAt` never descends, so times are bounds of positions. */
const firstRecordedFrom = (log: Log, { recordedFrom }: EventFilter): number =>
  recordedFrom === undefined
    ? 1
    : partitionPoint(log.events, (entry) => entry.recordedAt < recordedFrom.epochMilliseconds) + 1

const lastRecordedBefore = (log: Log, { recordedBefore }: EventFilter): number =>
  recordedBefore === undefined
    ? headOf(log)
    : partitionPoint(log.events, (entry) => entry.recordedAt < recordedBefore.epochMilliseconds)

/** Says the next position to look at; `undefined` at the end. */
type Walk = () => number | undefined

const collect = (log: Log, filter: EventFilter, limit: number, next: Walk): LogPage => {
  const withoutTimes = { ...filter, recordedFrom: undefined, recordedBefore: undefined }
  const events: Array<RecordedEvent> = []
  let position = 0
  for (let lookedAt = 0; lookedAt < LOOKED_AT_EVENTS_MAX && events.length < limit; lookedAt++) {
    const candidate = next()
    if (candidate === undefined) return { events, position: position as Position, isEnd: true }
    position = candidate
    const { stream, tags, type } = entryAt(log, candidate)
    if (matchesFilter(withoutTimes, { streamId: stream.streamId, type, tags, recordedAt: ANY_TIME })) {
      events.push(eventAt(log, candidate))
    }
  }
  return { events, position: position as Position, isEnd: false }
}

/** Times were looked at before. */
const ANY_TIME = DateTime.makeUnsafe(0)

const walkForwards = (postings: Postings | undefined, first: number, last: number): Walk => {
  if (postings === undefined) {
    let position = first
    return () => position > last ? undefined : position++
  }
  const indexes = postings.map((positions) => lowerBound(positions, first))
  return () => {
    let next = Infinity
    for (let list = 0; list < postings.length; list++) {
      next = Math.min(next, postings[list]?.[indexes[list] ?? 0] ?? Infinity)
    }
    if (next > last) return undefined
    for (let list = 0; list < postings.length; list++) {
      if (postings[list]?.[indexes[list] ?? 0] === next) indexes[list] = (indexes[list] ?? 0) + 1
    }
    return next
  }
}

const walkBackwards = (postings: Postings | undefined, first: number, last: number): Walk => {
  if (postings === undefined) {
    let position = last
    return () => position < first ? undefined : position--
  }
  const indexes = postings.map((positions) => lowerBound(positions, last + 1) - 1)
  return () => {
    let next = -Infinity
    for (let list = 0; list < postings.length; list++) {
      next = Math.max(next, postings[list]?.[indexes[list] ?? 0] ?? -Infinity)
    }
    if (next < first) return undefined
    for (let list = 0; list < postings.length; list++) {
      if (postings[list]?.[indexes[list] ?? 0] === next) indexes[list] = (indexes[list] ?? 0) - 1
    }
    return next
  }
}
