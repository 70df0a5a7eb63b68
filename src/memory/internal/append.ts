/**
 * Judges an append, and records it when nothing speaks against it.
 */
import * as Arr from "effect/Array"
import * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import type { EncodedEvent } from "../../event/EncodedEvent.ts"
import type { RecordedEvent } from "../../event/Event.ts"
import { type AppendCondition, type EventQueryItem, matchesQuery } from "../../event/EventQuery.ts"
import { type ExpectedRevision, isMet, type Position, type Revision } from "../../event/Revision.ts"
import type { AppendResult } from "../../store/EventStore.ts"
import {
  AppendConditionFailed,
  IdempotencyConflict,
  PositionAheadOfLog,
  RevisionConflict,
  StreamTombstoned
} from "../../store/EventStoreError.ts"
import type { AppendRequest, EncodedWrite } from "../../store/Storage.ts"
import { type Entry, headOf, lastRevision, type Log, lowerBound, record } from "./log.ts"
import { postingsOf } from "./postings.ts"

/** One result a write. */
export type AppendResults = Arr.NonEmptyReadonlyArray<AppendResult>

/** Why nothing was recorded. */
export type AppendRefusal =
  | IdempotencyConflict
  | StreamTombstoned
  | RevisionConflict
  | AppendConditionFailed
  | PositionAheadOfLog

/**
 * Appends everything or nothing. `now` is in milliseconds since 1970; events are
 * recorded at `now`, or at the time of the last event when the clock went back.
 *
 * Judges in this order: ids that are recorded already, tombstones, claims on
 * streams, the condition on the log.
 */
export const appendTo = (
  log: Log,
  request: AppendRequest,
  now: number
): Result.Result<AppendResults, AppendRefusal> =>
  Result.map(judgeAppend(log, request), (original) => original ?? recordAppend(log, request, now))

/** The results of the append that recorded the same before; `undefined` when nothing speaks against recording it. */
export const judgeAppend = (
  log: Log,
  request: AppendRequest
): Result.Result<AppendResults | undefined, AppendRefusal> => {
  const known = firstKnown(log, request)
  if (known !== undefined) {
    const original = originalResults(log, request)
    return original === undefined ? Result.fail(known) : Result.succeed(original)
  }
  const refusal = findTombstone(log, request) ?? findUnmetClaim(log, request) ?? findUnmetCondition(log, request)
  return refusal === undefined ? Result.succeed(undefined) : Result.fail(refusal)
}

/** Records an append that was judged. */
export const recordAppend = (log: Log, request: AppendRequest, now: number): AppendResults => {
  const recordedAt = timeAfter(log, now)
  return Arr.map(request.writes, (write) => recordWrite(log, write, recordedAt))
}

/** The events of an append as readers would see them, were it recorded now. */
export const foreseeAppend = (log: Log, { writes }: AppendRequest, now: number): ReadonlyArray<RecordedEvent> => {
  const recordedAt = DateTime.makeUnsafe(timeAfter(log, now))
  let position: number = headOf(log)
  return writes.flatMap(({ events, streamId }) => {
    const firstRevision = log.streams.get(streamId)?.positions.length ?? 0
    return events.map(({ data, id, metadata, tags, type, version }, index): RecordedEvent => ({
      position: ++position as Position,
      streamId,
      revision: firstRevision + index as Revision,
      id,
      type,
      version,
      data: JSON.parse(data) as RecordedEvent["data"],
      metadata: metadata === undefined ? {} : JSON.parse(metadata) as RecordedEvent["metadata"],
      tags: tags.slice(),
      recordedAt
    }))
  })
}

// internal

/** Time never runs against position. */
const timeAfter = (log: Log, now: number): number => Math.max(now, log.events.at(-1)?.recordedAt ?? now)

const recordWrite = (log: Log, { events, streamId }: EncodedWrite, recordedAt: number): AppendResult => {
  const firstRevision = log.streams.get(streamId)?.positions.length ?? 0
  const firstPosition = headOf(log) + 1
  for (const event of events) record(log, streamId, event, recordedAt)
  return {
    streamId,
    firstRevision: firstRevision as Revision,
    revision: (firstRevision + events.length - 1) as Revision,
    firstPosition: firstPosition as Position,
    position: headOf(log),
    alreadyAppended: false
  }
}

const firstKnown = (log: Log, { writes }: AppendRequest): IdempotencyConflict | undefined => {
  for (const { events, streamId } of writes) {
    for (const { id } of events) {
      const position = log.ids.get(id)
      if (position !== undefined) return new IdempotencyConflict({ streamId, id, position: position as Position })
    }
  }
  return undefined
}

/** The results of the append that recorded all these events, or `undefined` when they are not all the same. */
const originalResults = (log: Log, { writes }: AppendRequest): AppendResults | undefined => {
  const results: Array<AppendResult> = []
  for (const write of writes) {
    const original = originalResult(log, write)
    if (original === undefined) return undefined
    results.push(original)
  }
  return Arr.isArrayNonEmpty(results) ? results : undefined
}

const originalResult = (log: Log, { events, streamId }: EncodedWrite): AppendResult | undefined => {
  const first = entryOf(log, events[0])
  const last = entryOf(log, events.at(-1))
  if (first === undefined || last === undefined) return undefined
  const areSame = events.every((event, index) => {
    const entry = entryOf(log, event)
    return entry !== undefined && entry.stream.streamId === streamId && entry.revision === first.revision + index &&
      isSame(entry, event)
  })
  return areSame
    ? {
      streamId: first.stream.streamId,
      firstRevision: first.revision as Revision,
      revision: last.revision as Revision,
      firstPosition: first.stream.positions[first.revision] as Position,
      position: last.stream.positions[last.revision] as Position,
      alreadyAppended: true
    }
    : undefined
}

const entryOf = (log: Log, event: EncodedEvent | undefined): Entry | undefined => {
  const position = event === undefined ? undefined : log.ids.get(event.id)
  return position === undefined ? undefined : log.events[position - 1]
}

/** Metadata may differ: it may name the retry. What is archived cannot be compared. */
const isSame = (entry: Entry, event: EncodedEvent): boolean =>
  entry.type === event.type && entry.version === event.version &&
  (entry.data === undefined || entry.data === event.data) &&
  entry.tags.length === event.tags.length && entry.tags.every((tag, index) => tag === event.tags[index])

const findTombstone = (log: Log, { writes }: AppendRequest): StreamTombstoned | undefined => {
  const ended = writes.find(({ streamId }) => log.streams.get(streamId)?.isTombstoned)
  return ended && new StreamTombstoned({ streamId: ended.streamId })
}

const findUnmetClaim = (log: Log, { streamConditions, writes }: AppendRequest): RevisionConflict | undefined => {
  for (const write of writes) {
    const conflict = checkClaim(log, write)
    if (conflict !== undefined) return conflict
  }
  for (const condition of streamConditions) {
    const conflict = checkClaim(log, condition)
    if (conflict !== undefined) return conflict
  }
  return undefined
}

const checkClaim = (
  log: Log,
  { expected, streamId }: { readonly streamId: EncodedWrite["streamId"]; readonly expected: ExpectedRevision }
): RevisionConflict | undefined => {
  const actual = lastRevision(log.streams.get(streamId))
  return isMet(expected, actual) ? undefined : new RevisionConflict({ streamId, expected, actual })
}

const findUnmetCondition = (
  log: Log,
  { condition }: AppendRequest
): AppendConditionFailed | PositionAheadOfLog | undefined => {
  if (condition === undefined) return undefined
  for (const item of condition.query) {
    const position = findMatch(log, item, condition)
    if (position !== undefined) {
      return new AppendConditionFailed({ after: condition.after as Position, position: position as Position })
    }
  }
  const head = headOf(log)
  return condition.after > head
    ? new PositionAheadOfLog({ position: condition.after as Position, head })
    : undefined
}

/** Place of the first event after `after` that matches the item. */
const findMatch = (log: Log, item: EventQueryItem, { after }: AppendCondition): number | undefined => {
  let found: number | undefined
  for (const positions of postingsOf(log, item, after)) {
    for (let index = lowerBound(positions, after + 1); index < positions.length; index++) {
      const position = positions[index]
      const entry = position === undefined ? undefined : log.events[position - 1]
      if (position === undefined || entry === undefined || (found !== undefined && position >= found)) break
      if (matchesQuery([item], entry)) {
        found = position
        break
      }
    }
  }
  return found
}
