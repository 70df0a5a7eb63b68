/**
 * Rows that are not events, as records: each is its size in 4 bytes, and its
 * values one after the other, in the order that `docs/backup-format.md` says.
 */
import type {
  CheckpointRow,
  ParkedRow,
  SnapshotRow,
  StateRow,
  StreamRow,
  TransferKind,
  TransferRows
} from "../../store/LogTransfer.ts"
import { RECORD_BYTES_MAX } from "../BackupManifest.ts"
import { type ByteReader, BytesFault, type ByteWriter } from "./bytes.ts"

/** The kinds of rows that are written as records. */
export type RowKind = Exclude<TransferKind, "events">

/** Writes one row as a record; what cannot be written is a `BytesFault`, and then nothing was. */
export const writeRecord = <K extends RowKind>(writer: ByteWriter, kind: K, row: TransferRows[K]): void => {
  const before = writer.size
  const start = writer.begin()
  try {
    codecs[kind].write(writer, row)
    if (writer.size - start > RECORD_BYTES_MAX) {
      throw new BytesFault("EventTooLarge", `larger than ${RECORD_BYTES_MAX} bytes`)
    }
  } catch (fault) {
    writer.size = before
    throw fault
  }
  writer.end(start)
}

/** Reads one row. */
export const readRecord = <K extends RowKind>(reader: ByteReader, kind: K): TransferRows[K] => {
  const { end } = reader
  const partEnd = reader.part()
  reader.end = partEnd
  const row = codecs[kind].read(reader)
  if (reader.at !== partEnd) throw new BytesFault("InvalidIdentifier", "the record is longer than its values")
  reader.end = end
  return row
}

// internal

interface Field<A> {
  readonly write: (writer: ByteWriter, value: A) => void
  readonly read: (reader: ByteReader) => A
}

const text: Field<string> = { write: (writer, value) => writer.text(value), read: (reader) => reader.text() }
const uint: Field<number> = { write: (writer, value) => writer.uint(value), read: (reader) => reader.uint() }
const int: Field<number> = { write: (writer, value) => writer.int(value), read: (reader) => reader.int() }
const float: Field<number> = { write: (writer, value) => writer.float(value), read: (reader) => reader.float() }
const uuid: Field<string> = { write: (writer, value) => writer.uuid(value), read: (reader) => reader.uuid() }
const bytes: Field<Uint8Array> = { write: (writer, value) => writer.bytes(value), read: (reader) => reader.bytes() }

const flag: Field<boolean> = {
  write: (writer, value) => writer.uint(value ? 1 : 0),
  read: (reader) => {
    const value = reader.uint()
    if (value > 1) throw new BytesFault("NumberOutOfRange", "expected 0 or 1")
    return value === 1
  }
}

const oneOf = <A extends string>(values: ReadonlyArray<A>): Field<A> => ({
  write: (writer, value) => writer.text(value),
  read: (reader) => {
    const value = reader.text()
    const known = values.find((other) => other === value)
    if (known === undefined) throw new BytesFault("InvalidIdentifier", `expected ${values.join(", ")}`)
    return known
  }
})

const optional = <A>(field: Field<A>): Field<A | undefined> => ({
  write: (writer, value) => {
    flag.write(writer, value !== undefined)
    if (value !== undefined) field.write(writer, value)
  },
  read: (reader) => flag.read(reader) ? field.read(reader) : undefined
})

/** The values stand in the order of the keys. */
const record = <Row>(fields: { readonly [K in keyof Row]-?: Field<Row[K]> }): Field<Row> => {
  const names = Object.keys(fields) as ReadonlyArray<string> as ReadonlyArray<keyof Row>
  const entries = names.map((name): readonly [keyof Row, Field<Row[keyof Row]>] => [name, fields[name] as never])
  return {
    write: (writer, row) => {
      for (const [name, field] of entries) field.write(writer, row[name])
    },
    read: (reader) => {
      const row: Partial<Row> = {}
      for (const [name, field] of entries) row[name] = field.read(reader)
      return row as Row
    }
  }
}

const codecs: { readonly [K in RowKind]: Field<TransferRows[K]> } = {
  streams: record<StreamRow>({
    streamId: text,
    revision: uint,
    truncateBefore: uint,
    isTombstoned: flag,
    metadata: text
  }),
  snapshots: record<SnapshotRow>({
    streamId: text,
    kind: text,
    fingerprint: text,
    revision: uint,
    firstRevision: uint,
    serialization: text,
    compression: text,
    plainBytes: uint,
    bytes,
    digest: bytes,
    takenAt: int,
    loadMillis: float
  }),
  checkpoints: record<CheckpointRow>({
    projection: text,
    version: uint,
    build: uint,
    slice: uint,
    buildStatus: oneOf(["building", "current", "kept"]),
    isLive: flag,
    builtAt: int,
    retiredAt: optional(int),
    keepUntil: optional(int),
    definition: text,
    status: oneOf(["running", "paused", "halted"]),
    isSetUp: flag,
    start: uint,
    position: uint,
    incarnation: text,
    events: uint,
    digest: text,
    epoch: uint,
    failures: uint,
    firstFailedAt: optional(int),
    lastFailedAt: optional(int),
    failedPosition: optional(uint),
    failure: optional(text),
    updatedAt: int
  }),
  states: record<StateRow>({
    projection: text,
    version: uint,
    build: uint,
    key: text,
    state: text,
    changedAt: optional(int)
  }),
  parked: record<ParkedRow>({
    projection: text,
    version: uint,
    build: uint,
    slice: uint,
    position: uint,
    key: text,
    id: uuid,
    type: text,
    streamId: text,
    revision: uint,
    attempts: uint,
    reason: text,
    parkedAt: int
  })
}
