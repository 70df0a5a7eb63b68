/**
 * The segment that is being written.
 */
import { InvalidInput } from "../../event/InvalidInput.ts"
import type { DigestTally } from "../../store/EventDigest.ts"
import type { EventRow, TransferKind, TransferRows } from "../../store/LogTransfer.ts"
import { BytesFault, ByteWriter } from "./bytes.ts"
import { EventsWriter } from "./eventColumns.ts"
import { type RowKind, writeRecord } from "./records.ts"
import type { PlainSegment } from "./segment.ts"

/** Rows of one kind, on their way into a segment. */
export interface Draft {
  readonly kind: TransferKind
  readonly records: number
  /** Bytes so far. */
  readonly size: number
  /** Writes rows from this index on, until the segment is full; returns how many, or what is wrong with one. */
  readonly add: <K extends TransferKind>(rows: ReadonlyArray<TransferRows[K]>, from: number) => number | InvalidInput
  /** Gives the segment away. The draft is empty then, and goes on after its last row. */
  readonly cut: () => Omit<PlainSegment, "backupId" | "number" | "predecessor">
}

/** Makes an empty draft; events begin after `after`, and are counted. */
export const makeDraft = (kind: TransferKind, after: number, segmentBytes: number, tally: DigestTally): Draft =>
  kind === "events" ? makeEventDraft(after, segmentBytes, tally) : makeRowDraft(kind, segmentBytes)

const makeEventDraft = (after: number, segmentBytes: number, tally: DigestTally): Draft => {
  const writer = new EventsWriter(after + 1)
  let records = 0
  let last = after
  let firstRecordedAt = 0
  let lastRecordedAt = 0

  const addOne = (row: EventRow): void => {
    writer.add(row)
    if (records === 0) firstRecordedAt = row.recordedAt
    lastRecordedAt = row.recordedAt
    last = row.position
    addToTally(tally, row.position, writer.ids, records * ID_BYTES)
    records++
  }

  return {
    kind: "events",
    get records() {
      return records
    },
    get size() {
      return writer.size
    },
    add: (rows, from) =>
      addAll("events", rows, from, () => writer.size < segmentBytes, (row) => addOne(row as EventRow)),
    cut: () => {
      const first = last - records + 1
      const segment = {
        kind: "events" as const,
        records,
        first,
        last,
        firstRecordedAt,
        lastRecordedAt,
        plain: writer.take()
      }
      records = 0
      return segment
    }
  }
}

const makeRowDraft = <K extends RowKind>(kind: K, segmentBytes: number): Draft => {
  const writer = new ByteWriter(Math.min(segmentBytes + SPARE_BYTES, FIRST_BYTES))
  let records = 0
  return {
    kind,
    get records() {
      return records
    },
    get size() {
      return writer.size
    },
    add: (rows, from) =>
      addAll(kind, rows, from, () => writer.size < segmentBytes, (row) => {
        writeRecord(writer, kind, row as TransferRows[K])
        records++
      }),
    cut: () => {
      const segment = {
        kind,
        records,
        first: 0,
        last: 0,
        firstRecordedAt: 0,
        lastRecordedAt: 0,
        plain: writer.take()
      }
      records = 0
      return segment
    }
  }
}

/** Adds rows as long as there is room; returns how many, or what is wrong with one. */
const addAll = <Row>(
  kind: TransferKind,
  rows: ReadonlyArray<Row>,
  from: number,
  hasRoom: () => boolean,
  add: (row: Row) => void
): number | InvalidInput => {
  let index = from
  try {
    for (; index < rows.length && hasRoom(); index++) add(rows[index] as Row)
  } catch (fault) {
    if (!(fault instanceof BytesFault)) throw fault
    return new InvalidInput({ reason: fault.reason, path: `${kind}[${index}]`, detail: fault.message })
  }
  return index - from
}

/** Adds an event whose id stands there to a digest. */
export const addToTally = (tally: DigestTally, position: number, buffer: Buffer, idAt: number): void =>
  tally.add(
    position,
    buffer.readUInt32BE(idAt),
    buffer.readUInt32BE(idAt + 4),
    buffer.readUInt32BE(idAt + 8),
    buffer.readUInt32BE(idAt + 12)
  )

// internal

/** Memory that a draft begins with, in bytes; it grows when a segment does. */
const FIRST_BYTES = 1024 * 1024

/** Room for the record that goes over the size of a segment. */
const SPARE_BYTES = 64 * 1024

const ID_BYTES = 16
