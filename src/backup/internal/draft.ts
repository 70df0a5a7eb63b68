/**
 * The segment that is being written.
 */
import { InvalidInput } from "../../event/InvalidInput.ts"
import type { DigestTally } from "../../store/EventDigest.ts"
import type { TransferKind, TransferRows } from "../../store/LogTransfer.ts"
import { BytesFault, ByteWriter } from "./bytes.ts"
import { type EventContext, writeRecord } from "./records.ts"
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
export const makeDraft = (kind: TransferKind, after: number, segmentBytes: number, tally: DigestTally): Draft => {
  const writer = new ByteWriter(Math.min(segmentBytes + SPARE_BYTES, FIRST_BYTES))
  const context: EventContext = { position: after + 1, recordedAt: 0 }
  const isEvents = kind === "events"
  let records = 0
  let first = after + 1
  let firstRecordedAt = 0

  const addOne = (row: TransferRows[TransferKind]): void => {
    const before = writer.size
    writeRecord(writer, kind, row, context)
    if (isEvents) {
      if (records === 0) firstRecordedAt = context.recordedAt
      addToTally(tally, context.position - 1, writer.buffer, idOf(writer.buffer, before))
    }
    records++
  }

  return {
    kind,
    get records() {
      return records
    },
    get size() {
      return writer.size
    },
    add: (rows, from) => {
      let index = from
      try {
        for (; index < rows.length && writer.size < segmentBytes; index++) {
          addOne(rows[index] as TransferRows[TransferKind])
        }
      } catch (fault) {
        if (!(fault instanceof BytesFault)) throw fault
        return new InvalidInput({ reason: fault.reason, path: `${kind}[${index}]`, detail: fault.message })
      }
      return index - from
    },
    cut: () => {
      const plain = writer.take()
      const segment = {
        kind,
        records,
        first: isEvents ? first : 0,
        last: isEvents ? context.position - 1 : 0,
        firstRecordedAt,
        lastRecordedAt: isEvents ? context.recordedAt : 0,
        plain
      }
      first = context.position
      records = 0
      firstRecordedAt = 0
      context.recordedAt = 0
      return segment
    }
  }
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

/** Where the id of an event stands: behind the size of the record and the time. */
const idOf = (buffer: Buffer, recordAt: number): number => {
  let at = recordAt + 4
  while ((buffer[at++] as number) >= 128);
  return at
}
