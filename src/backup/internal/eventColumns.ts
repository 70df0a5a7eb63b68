/**
 * The events of a segment, a column for each of their values, as
 * `docs/backup-format.md` says: values of one kind side by side take half the
 * place.
 *
 * Neither the position is written, which is that of the segment's first event
 * and on by one an event, nor names of streams and types more than once.
 */
import type { EventRow } from "../../store/LogTransfer.ts"
import { RECORD_BYTES_MAX } from "../BackupManifest.ts"
import { ByteReader, BytesFault, ByteWriter, textOf, uuidOf } from "./bytes.ts"

/** Writes events one after the other. */
export class EventsWriter {
  /** Bytes so far. */
  size = SIZES_BYTES
  readonly #columns = COLUMNS.map(() => new ByteWriter(FIRST_BYTES)) as unknown as Columns<ByteWriter>
  readonly #before = new Float64Array(COLUMNS.length)
  #streams = new Map<string, StreamSoFar>()
  #types = new Map<string, number>()
  #position: number
  #index = 0
  #recordedAt = 0

  constructor(first: number) {
    this.#position = first
  }

  /** Begins with the bytes of the ids so far, 16 each. */
  get ids(): Buffer {
    return this.#columns[ID_COLUMN].buffer
  }

  /** Adds the event that follows; what cannot be written is a `BytesFault`, and then nothing was. */
  add(row: EventRow): void {
    const columns = this.#columns
    for (let column = 0; column < columns.length; column++) this.#before[column] = columns[column]?.size ?? 0
    try {
      if (row.position !== this.#position) {
        throw new BytesFault(
          "InvalidPosition",
          `expected the event at position ${this.#position}, got the one at ${row.position}`
        )
      }
      const stream = this.#streams.get(row.streamId)
      const type = this.#types.get(row.type)
      this.#write(row, stream, type)
      const added = sizeOf(columns) - this.size
      if (added > RECORD_BYTES_MAX) throw new BytesFault("EventTooLarge", `larger than ${RECORD_BYTES_MAX} bytes`)
      this.#note(row, stream, type, added)
    } catch (fault) {
      for (let column = 0; column < columns.length; column++) {
        ;(columns[column] as ByteWriter).size = this.#before[column] as number
      }
      throw fault
    }
  }

  /** Gives the columns away, and goes on with empty ones after the last event. */
  take(): Buffer {
    const plain = Buffer.concat(
      this.#columns.flatMap((column) => [sizeBytes(column.size), column.buffer.subarray(0, column.size)])
    )
    for (const column of this.#columns) column.size = 0
    this.#streams = new Map()
    this.#types = new Map()
    this.#index = 0
    this.#recordedAt = 0
    this.size = SIZES_BYTES
    return plain
  }

  #write(row: EventRow, stream: StreamSoFar | undefined, type: number | undefined): void {
    const [times, distances, streamNames, revisions, types, typeNames, versions, data, metadata, tags, ids] =
      this.#columns
    times.int(row.recordedAt - this.#recordedAt)
    ids.uuid(row.id)
    if (stream === undefined) {
      distances.uint(0)
      streamNames.text(row.streamId)
      revisions.uint(row.revision)
    } else {
      distances.uint(this.#index - stream.last)
      revisions.int(checkRevision(row.revision) - stream.revision - 1)
    }
    types.uint(type ?? this.#types.size)
    if (type === undefined) typeNames.text(row.type)
    versions.uint(row.version)
    data.text(row.data)
    metadata.text(row.metadata)
    tags.uint(row.tags.length)
    for (const tag of row.tags) tags.text(tag)
  }

  #note(row: EventRow, stream: StreamSoFar | undefined, type: number | undefined, added: number): void {
    if (stream === undefined) this.#streams.set(row.streamId, { last: this.#index, revision: row.revision })
    else {
      stream.last = this.#index
      stream.revision = row.revision
    }
    if (type === undefined) this.#types.set(row.type, this.#types.size)
    this.#recordedAt = row.recordedAt
    this.#position++
    this.#index++
    this.size += added
  }
}

/** Reads events one after the other; whatever else it meets is a `BytesFault`. */
export class EventsReader {
  /** Of the event that was read last. */
  position: number
  recordedAt = 0
  revision = 0
  /** Revision of the event before in its stream, when that is in this segment; -1 when not. */
  revisionBefore = -1
  version = 0
  /** Streams and types are numbered as they come. */
  stream = 0
  type = 0
  /** Where the id stands. */
  idAt: number
  /** Where the name of each stream stands, and its last revision so far. */
  readonly streams: Array<{ readonly nameAt: number; readonly nameEnd: number; last: number; revision: number }> = []

  readonly #records: number
  readonly #streamOf: Uint32Array
  readonly #columns: Columns<ByteReader>
  readonly #streamNames: Array<string> = []
  readonly #typeNames: Array<string> = []
  #index = -1

  constructor(plain: Buffer, { first, records }: { readonly first: number; readonly records: number }) {
    const columns = openColumns(plain)
    const ids = columns[10]
    // proves the count before anything is made as long as it
    if (ids.end - ids.at !== records * ID_BYTES) {
      throw new BytesFault("InvalidIdentifier", "there is not one id an event")
    }
    this.#columns = columns
    this.#records = records
    this.#streamOf = new Uint32Array(records)
    this.position = first - 1
    this.idAt = ids.at - ID_BYTES
  }

  /** Whether nothing is left in any column. */
  get isAtEnd(): boolean {
    return this.#columns.every((column, index) => index === ID_COLUMN || column.at === column.end)
  }

  /** Reads the next event. */
  row(): EventRow {
    this.#step()
    const [, , , , , , , data, metadata] = this.#columns
    return {
      position: this.position,
      streamId: this.#streamName(this.stream),
      revision: this.revision,
      id: this.id(this.idAt),
      type: this.#typeNames[this.type] ?? "",
      version: this.version,
      data: data.text(),
      metadata: metadata.text(),
      tags: this.#tags(),
      recordedAt: this.recordedAt
    }
  }

  /** Passes over the next event: reads its numbers, and none of its texts. */
  visit(): void {
    this.#step()
    const [, , , , , , , data, metadata, tags] = this.#columns
    data.skip()
    metadata.skip()
    for (let count = tags.uint(); count > 0; count--) tags.skip()
  }

  /** Where the texts of the next event begin: data, metadata, and tags. */
  textsAt(): readonly [data: number, metadata: number, tags: number] {
    const [, , , , , , , data, metadata, tags] = this.#columns
    return [data.at, metadata.at, tags.at]
  }

  /** Reads the texts of any event, by where they begin. */
  textsOf(
    [dataAt, metadataAt, tagsAt]: readonly [number, number, number]
  ): Pick<EventRow, "data" | "metadata" | "tags"> {
    const [, , , , , , , data, metadata, tags] = this.#columns
    data.at = dataAt
    metadata.at = metadataAt
    tags.at = tagsAt
    return { data: data.text(), metadata: metadata.text(), tags: this.#tags() }
  }

  /** The names of a stream and a type that were read. */
  namesOf(stream: number, type: number): Pick<EventRow, "streamId" | "type"> {
    return { streamId: this.#streamName(stream), type: this.#typeNames[type] ?? "" }
  }

  id(at: number): string {
    return uuidOf(this.#columns[ID_COLUMN].buffer, at)
  }

  #step(): void {
    const [times, distances, , revisions, types, typeNames, versions] = this.#columns
    const index = this.#index + 1
    if (index >= this.#records) throw new BytesFault("InvalidIdentifier", "it is one more than declared")
    const recordedAt = this.recordedAt + times.int()
    if (!Number.isSafeInteger(recordedAt)) throw new BytesFault("NumberOutOfRange", "the time is out of range")
    const stream = this.#streamAt(index, distances.uint())
    const known = this.streams[stream]
    const before = known?.revision ?? -1
    const revision = before < 0 ? revisions.uint() : before + 1 + revisions.int()
    if (!Number.isSafeInteger(revision) || revision < 0) {
      throw new BytesFault("NumberOutOfRange", "the revision is out of range")
    }
    if (known !== undefined) {
      known.last = index
      known.revision = revision
    }
    const type = types.uint()
    if (type === this.#typeNames.length) this.#typeNames.push(typeNames.text())
    else if (type > this.#typeNames.length) throw new BytesFault("InvalidIdentifier", "its type has no name")
    this.version = versions.uint()
    this.#streamOf[index] = stream
    this.stream = stream
    this.type = type
    this.recordedAt = recordedAt
    this.revision = revision
    this.revisionBefore = before
    this.idAt += ID_BYTES
    this.position++
    this.#index = index
  }

  /** The stream whose last event stands so many events before; a new one for 0. */
  #streamAt(index: number, distance: number): number {
    if (distance > index) throw new BytesFault("NumberOutOfRange", "no event of its stream stands there")
    if (distance > 0) {
      const stream = this.#streamOf[index - distance] ?? 0
      if (this.streams[stream]?.last === index - distance) return stream
      throw new BytesFault("NumberOutOfRange", "the event there is not the last of its stream")
    }
    const names = this.#columns[STREAM_NAMES_COLUMN]
    const nameAt = names.skip()
    this.streams.push({ nameAt, nameEnd: names.at, last: index, revision: -1 })
    return this.streams.length - 1
  }

  #streamName(stream: number): string {
    return this.#streamNames[stream] ??= this.#readName(stream)
  }

  #readName(stream: number): string {
    const found = this.streams[stream]
    return found === undefined ? "" : textOf(this.#columns[STREAM_NAMES_COLUMN].buffer, found.nameAt, found.nameEnd)
  }

  #tags(): ReadonlyArray<string> {
    const tags = this.#columns[TAGS_COLUMN]
    const found: Array<string> = []
    for (let count = tags.uint(); count > 0; count--) found.push(tags.text())
    return found
  }
}

// internal

/** The columns, in their order. */
const COLUMNS = [
  "times",
  "distances",
  "names of streams",
  "revisions",
  "types",
  "names of types",
  "versions",
  "data",
  "metadata",
  "tags",
  "ids"
] as const

const STREAM_NAMES_COLUMN = 2
const TAGS_COLUMN = 9
const ID_COLUMN = 10

/** Where the last event of a stream stands, and which it is. */
interface StreamSoFar {
  last: number
  revision: number
}

/** One for each column. */
type Columns<A> = readonly [A, A, A, A, A, A, A, A, A, A, A]

const ID_BYTES = 16

/** The size of each column stands before it, in 4 bytes. */
const SIZES_BYTES = COLUMNS.length * 4

/** Memory that a column begins with, in bytes. */
const FIRST_BYTES = 64 * 1024

const sizeBytes = (size: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32LE(size)
  return bytes
}

const sizeOf = (columns: ReadonlyArray<ByteWriter>): number => {
  let size = SIZES_BYTES
  for (const column of columns) size += column.size
  return size
}

const checkRevision = (revision: number): number => {
  if (Number.isSafeInteger(revision) && revision >= 0) return revision
  throw new BytesFault("NumberOutOfRange", "expected a whole number from 0 to 2^53 - 1")
}

const openColumns = (plain: Buffer): Columns<ByteReader> => {
  const all = new ByteReader(plain)
  const columns = COLUMNS.map(() => {
    const end = all.part()
    const column = new ByteReader(plain, all.at, end)
    all.at = end
    return column
  })
  if (all.at !== plain.length) throw new BytesFault("InvalidIdentifier", "there are more columns than eleven")
  return columns as unknown as Columns<ByteReader>
}
