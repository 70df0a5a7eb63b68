/**
 * Events of one segment, each to be read alone.
 */
import * as Result from "effect/Result"
import type { EventRow } from "../../store/LogTransfer.ts"
import { BackupCorrupt } from "../BackupError.ts"
import type { SegmentEntry } from "../BackupManifest.ts"
import { BytesFault } from "./bytes.ts"
import { makeCursor, readRecords } from "./chain.ts"
import { EventsReader } from "./eventColumns.ts"
import { segmentFile } from "./names.ts"

/** Events of a segment that was proved. */
export interface SegmentEvents {
  /** Memory that it takes. */
  readonly bytes: number
  /** Reads an event; its time is not known. */
  readonly read: (position: number) => Result.Result<Omit<EventRow, "recordedAt">, BackupCorrupt>
}

/** Finds where the values of each event stand. */
export const indexEvents = (
  plain: Buffer,
  { backupId, entry }: { readonly backupId: string; readonly entry: SegmentEntry }
): Result.Result<SegmentEvents, BackupCorrupt> => {
  const corrupt = (position: number, detail: string) =>
    new BackupCorrupt({
      file: segmentFile(backupId, entry.number),
      offset: undefined,
      length: undefined,
      position,
      detail
    })
  // a count that cannot be is refused before there is memory for it
  if (entry.records * ID_BYTES > plain.length) {
    return Result.fail(corrupt(entry.first, `it has no room for ${entry.records} events`))
  }
  const values = new Float64Array(entry.records * VALUES)
  const cursor = makeCursor(() => new EventsReader(plain, entry))
  const fault = readRecords(cursor, { backupId, entry }, entry.records, (events) => {
    const texts = events.textsAt()
    events.visit()
    const { revision, stream, type, version } = events
    values.set([...texts, stream, type, revision, version], (events.position - entry.first) * VALUES)
  })
  const events = cursor.reader
  if (fault !== undefined || events === undefined) {
    return Result.fail(fault ?? corrupt(entry.first, "it cannot be read"))
  }
  const ids = plain.length - entry.records * ID_BYTES
  return Result.succeed({
    bytes: plain.length + values.byteLength,
    read: (position) => {
      const index = position - entry.first
      const [dataAt = 0, metadataAt = 0, tagsAt = 0, stream = 0, type = 0, revision = 0, version = 0] = values.subarray(
        index * VALUES,
        (index + 1) * VALUES
      )
      try {
        return Result.succeed({
          position,
          revision,
          version,
          id: events.id(ids + index * ID_BYTES),
          ...events.namesOf(stream, type),
          ...events.textsOf([dataAt, metadataAt, tagsAt])
        })
      } catch (error) {
        if (!(error instanceof BytesFault)) throw error
        return Result.fail(corrupt(position, `record ${index + 1} of ${entry.records}: ${error.message}`))
      }
    }
  })
}

// internal

/** Of each event: where its data, metadata and tags begin, numbers of stream and type, revision, version. */
const VALUES = 7

const ID_BYTES = 16
