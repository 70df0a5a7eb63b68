import * as DateTime from "effect/DateTime"
import type { EventId, RecordedEvent } from "../../event/Event.ts"
import type { Position, Revision } from "../../event/Revision.ts"
import { category, type StreamId } from "../../event/StreamId.ts"
import type { StreamDescription } from "../../store/EventStore.ts"

/**
 * Columns of an event, in the order that `toEvent` reads. Positions travel as
 * float8, which the driver reads as a number; the `head` table keeps them safe.
 */
export const eventColumns = (alias: string): string =>
  ["position::float8", "stream", "revision", "id", "type", "version", "data", "metadata", "tags", "recorded_at"]
    .map((column) => `${alias}.${column}`).join(", ")

/** An event as the columns bring it. What a table of ours holds was checked on its way in. */
export type EventRow = readonly [
  position: Position,
  streamId: StreamId,
  revision: Revision,
  id: EventId,
  type: string,
  version: number,
  data: RecordedEvent["data"],
  metadata: RecordedEvent["metadata"] | null,
  tags: ReadonlyArray<string> | null,
  recordedAt: Date
]

/** Reads the columns of an event, from `at` on. */
export const toEvent = (row: ReadonlyArray<unknown>, at = 0): RecordedEvent => {
  const [position, streamId, revision, id, type, version, data, metadata, tags, recordedAt] =
    (at === 0 ? row : row.slice(at)) as unknown as EventRow
  return {
    position,
    streamId,
    revision,
    id,
    type,
    version,
    data,
    metadata: metadata ?? {},
    tags: tags ?? NO_TAGS,
    recordedAt: DateTime.makeUnsafe(recordedAt)
  }
}

/** Columns of a stream, in the order that `toDescription` reads. */
export const STREAM_COLUMNS =
  "s.name, s.revision, s.first_position::float8, s.last_position::float8, s.first_recorded_at, s.last_recorded_at, " +
  "s.truncate_before, s.is_tombstoned, s.metadata"

/** Reads the columns of a stream. */
export const toDescription = (row: ReadonlyArray<unknown>): StreamDescription => {
  const [streamId, revision, firstPosition, lastPosition, firstAt, lastAt, truncateBefore, isTombstoned, metadata] =
    row as unknown as StreamRow
  return {
    streamId,
    category: category(streamId),
    revision,
    firstPosition,
    lastPosition,
    firstRecordedAt: DateTime.makeUnsafe(firstAt),
    lastRecordedAt: DateTime.makeUnsafe(lastAt),
    truncateBefore,
    isTombstoned,
    metadata
  }
}

// internal

const NO_TAGS: ReadonlyArray<string> = Object.freeze([])

type StreamRow = readonly [
  streamId: StreamId,
  revision: Revision,
  firstPosition: Position,
  lastPosition: Position,
  firstRecordedAt: Date,
  lastRecordedAt: Date,
  truncateBefore: number,
  isTombstoned: boolean,
  metadata: StreamDescription["metadata"]
]
