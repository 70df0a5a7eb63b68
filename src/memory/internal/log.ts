/**
 * The log and its indexes.
 *
 * Invariants: `events[p - 1]` stands at position p; `positions[r]` of a stream is
 * the position of its revision r; every list of positions ascends; `recordedAt`
 * never descends.
 */
import * as DateTime from "effect/DateTime"
import type * as Schema from "effect/Schema"
import type { EncodedEvent } from "../../event/EncodedEvent.ts"
import type { EventId, RecordedEvent } from "../../event/Event.ts"
import type { Position, Revision } from "../../event/Revision.ts"
import { category, type StreamId } from "../../event/StreamId.ts"
import type { ArchiveEntry } from "../../store/LogArchive.ts"
import type { HistoryParent, RestoreState } from "../../store/LogTransfer.ts"

/** The whole store. Only `record`, the changes of streams, the archive and a restore write to it. */
export interface Log {
  readonly incarnation: string
  /** The history that it goes on from. */
  readonly parent: HistoryParent | undefined
  readonly events: Array<Entry>
  readonly ids: Map<string, number>
  readonly streams: Map<string, StreamEntry>
  readonly categories: Map<string, Posting>
  readonly types: Map<string, Posting>
  readonly tags: Map<string, Posting>
  /** Bytes of all JSON. */
  sizeBytes: number
  /** What is archived, from position 1 on. */
  archives: ReadonlyArray<ArchiveEntry>
  /** The restore that is under way: nobody else may do anything then. */
  restoring: RestoreState | undefined
}

/** An event; its position is its place in `events`. */
export interface Entry {
  readonly stream: StreamEntry
  readonly revision: number
  readonly id: EventId
  readonly type: string
  readonly version: number
  /** `undefined` when it is archived, and metadata with it. */
  data: string | undefined
  metadata: string | undefined
  readonly tags: ReadonlyArray<string>
  /** Milliseconds since 1970. */
  readonly recordedAt: number
  /** Microseconds beyond them, 0 to 999, of events that came from a store that has them. */
  readonly recordedMicros: number
}

/** A stream and where its events stand. */
export interface StreamEntry {
  readonly streamId: StreamId
  readonly category: Posting
  readonly positions: Array<number>
  truncateBefore: number
  isTombstoned: boolean
  /** JSON text of an object. */
  metadata: string
}

/** A name and where the events that carry it stand. */
export interface Posting {
  readonly name: string
  readonly positions: Array<number>
}

export const makeLog = (incarnation: string, parent?: HistoryParent): Log => ({
  incarnation,
  parent,
  events: [],
  ids: new Map(),
  streams: new Map(),
  categories: new Map(),
  types: new Map(),
  tags: new Map(),
  sizeBytes: 0,
  archives: [],
  restoring: undefined
})

/** Puts another log in the place of a log, which nobody else holds. */
export const replaceLog = (log: Log, other: Log): void => void Object.assign(log, other)

export const headOf = (log: Log): Position => log.events.length as Position

/** Last revision of a stream, `undefined` when it has no events. */
export const lastRevision = (stream: StreamEntry | undefined): Revision | undefined =>
  stream === undefined ? undefined : (stream.positions.length - 1) as Revision

/** Puts an event at the end of the log and of its stream. */
export const record = (
  log: Log,
  streamId: StreamId,
  event: EncodedEvent,
  recordedAt: number,
  recordedMicros = microsAfter(log, recordedAt)
): void => {
  const position = log.events.length + 1
  const stream = openStream(log, streamId)
  const type = openPosting(log.types, event.type)
  const tags = event.tags.map((tag) => openPosting(log.tags, tag))
  log.events.push({
    stream,
    revision: stream.positions.length,
    id: event.id,
    type: type.name,
    version: event.version,
    data: event.data,
    metadata: event.metadata,
    tags: tags.length === 0 ? NO_TAGS : tags.map((tag) => tag.name),
    recordedAt,
    recordedMicros
  })
  log.ids.set(event.id, position)
  stream.positions.push(position)
  stream.category.positions.push(position)
  type.positions.push(position)
  for (const tag of tags) tag.positions.push(position)
  log.sizeBytes += event.sizeBytes
}

/** Makes the event that readers see, without data when it is archived: a new value at every call. */
export const toRecorded = (entry: Entry, position: number): RecordedEvent => ({
  position: position as Position,
  streamId: entry.stream.streamId,
  revision: entry.revision as Revision,
  id: entry.id,
  type: entry.type,
  version: entry.version,
  data: entry.data === undefined ? null : JSON.parse(entry.data) as Schema.Json,
  metadata: entry.metadata === undefined ? {} : JSON.parse(entry.metadata) as Schema.JsonObject,
  tags: entry.tags.slice(),
  recordedAt: DateTime.makeUnsafe(entry.recordedAt)
})

/** Index of the first element that is at least `value`, of an ascending list. */
export const lowerBound = (ascending: ReadonlyArray<number>, value: number): number =>
  partitionPoint(ascending, (element) => element < value)

/** Number of leading elements for which `holds`; it holds for no element after one for which it does not. */
export const partitionPoint = <A>(list: ReadonlyArray<A>, holds: (element: A) => boolean): number => {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(list[middle] as A)) low = middle + 1
    else high = middle
  }
  return low
}

// internal

const NO_TAGS: ReadonlyArray<string> = []

/** Time never runs against position, in a millisecond neither. */
const microsAfter = (log: Log, recordedAt: number): number => {
  const last = log.events.at(-1)
  return last?.recordedAt === recordedAt ? last.recordedMicros : 0
}

const openPosting = (postings: Map<string, Posting>, name: string): Posting => {
  const found = postings.get(name)
  if (found !== undefined) return found
  const posting = { name, positions: [] }
  postings.set(name, posting)
  return posting
}

const openStream = (log: Log, streamId: StreamId): StreamEntry => {
  const found = log.streams.get(streamId)
  if (found !== undefined) return found
  const stream = {
    streamId,
    category: openPosting(log.categories, category(streamId)),
    positions: [],
    truncateBefore: 0,
    isTombstoned: false,
    metadata: "{}"
  }
  log.streams.set(streamId, stream)
  return stream
}
