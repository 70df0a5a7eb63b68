import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type ArchivedParts, EventArchive } from "../../store/EventArchive.ts"
import type { StoredEventRow } from "../../store/LogArchive.ts"
import type { EventPage } from "../../store/LogTransfer.ts"
import { type Entry, headOf, type Log } from "./log.ts"

/** Characters of JSON at which a page of rows ends. */
export const PAGE_SIZE = 4 * 1024 * 1024

/** What there is to complete events whose payloads are archived. */
export const makeArchivedParts = (log: Log): Effect.Effect<ArchivedParts> =>
  Effect.map(Effect.serviceOption(EventArchive), (archive): ArchivedParts => ({
    archive: Option.getOrUndefined(archive),
    entries: Effect.sync(() => log.archives),
    stored: (events) =>
      Effect.sync(() =>
        new Map(events.flatMap(({ position }) => {
          const { data, metadata = "" } = log.events[position - 1] as Entry
          return data === undefined ? [] : [[position, { data, metadata }] as const]
        }))
      )
  }))

/** Reads a page of rows as the log has them. */
export const readStored = (
  log: Log,
  { after, limit = PAGE_EVENTS, until }: EventPage
): ReadonlyArray<StoredEventRow> => {
  const rows: Array<StoredEventRow> = []
  let size = 0
  for (let position = after + 1; position <= Math.min(until, headOf(log)); position++) {
    const row = toRow(log.events[position - 1] as Entry, position)
    rows.push(row)
    size += (row.data?.length ?? 0) + row.metadata.length
    if (rows.length >= limit || size >= PAGE_SIZE) break
  }
  return rows
}

// internal

/** Most events of a page. */
const PAGE_EVENTS = 4_000

/** Microseconds of a millisecond. */
const MICROS = 1_000

const toRow = (entry: Entry, position: number): StoredEventRow => ({
  position,
  streamId: entry.stream.streamId,
  revision: entry.revision,
  id: entry.id,
  type: entry.type,
  version: entry.version,
  data: entry.data,
  metadata: entry.metadata ?? "",
  tags: entry.tags,
  recordedAt: entry.recordedAt * MICROS + entry.recordedMicros
})
