/**
 * Reads a backup: every segment is proved before a row of it is given.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { EventRow, TransferKind, TransferRows } from "../store/LogTransfer.ts"
import type { BackupReadError } from "./BackupError.ts"
import type { BackupKeys } from "./BackupKeys.ts"
import type { BackupManifest, SegmentEntry } from "./BackupManifest.ts"
import { BackupStorage } from "./BackupStorage.ts"
import { ByteReader, release } from "./internal/bytes.ts"
import { loadChain, loadSegment, makeCursor, makeOpener, type Opener, readRecords } from "./internal/chain.ts"
import { EventsReader } from "./internal/eventColumns.ts"
import { readRecord, type RowKind } from "./internal/records.ts"

/**
 * A backup that can be read, with all that it goes on from.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupReader {
  readonly manifest: BackupManifest
  /** This backup and those that it goes on from, the full one first. */
  readonly chain: ReadonlyArray<BackupManifest>

  /**
   * Reads events of the whole chain, by position. Only the segments in which
   * they stand are loaded.
   */
  readonly events: (range?: PositionRange) => Stream.Stream<EventRow, BackupReadError>

  /**
   * Reads all rows of another kind, as they were when this backup was made:
   * every backup holds them whole.
   */
  readonly rows: <K extends Exclude<TransferKind, "events">>(kind: K) => Stream.Stream<TransferRows[K], BackupReadError>

  /**
   * Finds the last position that was recorded at a time or before, in
   * microseconds since 1970; 0 when the first event is later.
   */
  readonly positionAt: (micros: number) => Effect.Effect<number, BackupReadError>
}

/**
 * A range of positions; all when nothing is said.
 *
 * @category models
 * @since 0.1.0
 */
export interface PositionRange {
  /** Exclusive. */
  readonly after?: number | undefined
  /** Inclusive. */
  readonly until?: number | undefined
}

/**
 * Opens a backup: reads and proves its manifest and those of all that it goes
 * on from, and finds their keys.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = Effect.fnUntraced(function*(
  id: string,
  keys: BackupKeys = {}
): Effect.fn.Return<BackupReader, BackupReadError, BackupStorage> {
  const storage = yield* BackupStorage
  const chain = yield* loadChain(storage, id, keys)
  const openers = yield* Effect.forEach(chain, (manifest) => makeOpener(manifest, keys))
  const newest = openers.at(-1) as Opener

  const eventSegments = openers.flatMap((opener) =>
    opener.manifest.segments.filter(({ kind }) => kind === "events").map((entry): Located => ({ opener, entry }))
  )

  const load = (located: Located) =>
    Effect.map(loadSegment(storage, located.opener, located.entry), (plain) => ({ ...located, plain }))

  const read = <K extends TransferKind>(kind: K, segments: ReadonlyArray<Located>) =>
    Stream.fromIterable(segments).pipe(
      // the next segment is loaded while the rows of this one are taken, which come first if it cannot be
      Stream.mapEffect((located) => Effect.result(load(located))),
      Stream.buffer({ capacity: 0 }),
      Stream.flatMap((loaded) =>
        Result.isSuccess(loaded) ? rowsOf(kind, loaded.success) : Stream.fail<BackupReadError>(loaded.failure)
      )
    )

  return {
    manifest: newest.manifest,
    chain,
    events: ({ after = 0, until = Number.MAX_SAFE_INTEGER } = {}) => {
      const needed = eventSegments.filter(({ entry }) => entry.last > after && entry.first <= until)
      return Stream.filter(read("events", needed), ({ position }) => position > after && position <= until)
    },
    rows: (kind) =>
      read(
        kind,
        newest.manifest.segments.filter((entry) => entry.kind === kind).map((entry) => ({ opener: newest, entry }))
      ),
    positionAt: Effect.fnUntraced(function*(micros: number) {
      const located = eventSegments.findLast(({ entry }) => entry.firstRecordedAt <= micros)
      if (located === undefined) return 0
      if (located.entry.lastRecordedAt <= micros) return located.entry.last
      const { entry, plain } = yield* load(located)
      let position = entry.first
      const fault = readRecords(
        makeCursor(() => new EventsReader(plain, entry)),
        { backupId: located.opener.manifest.id, entry },
        entry.records,
        (events) => {
          events.visit()
          if (events.recordedAt <= micros) position = events.position
        }
      )
      return fault === undefined ? position : yield* fault
    })
  }
})

// internal

/** Rows that are made at a time. */
const PAGE_ROWS = 512

interface Located {
  readonly opener: Opener
  readonly entry: SegmentEntry
}

const rowsOf = <K extends TransferKind>(
  kind: K,
  { entry, opener, plain }: Located & { readonly plain: Buffer }
): Stream.Stream<TransferRows[K], BackupReadError> => {
  const place = { backupId: opener.manifest.id, entry }
  const cursor = makeCursor(() => openRows(kind, plain, entry))
  return Stream.paginate(cursor, () =>
    Effect.suspend(() => {
      const rows: Array<TransferRows[K]> = []
      const fault = readRecords(cursor, place, PAGE_ROWS, (reader) => {
        rows.push(reader.row())
      })
      if (fault !== undefined) return Effect.fail(fault)
      const isThrough = cursor.read === entry.records
      if (isThrough) release(plain)
      return Effect.succeed([rows, isThrough ? Option.none() : Option.some(cursor)] as const)
    }))
}

interface RowReader<Row> {
  readonly isAtEnd: boolean
  readonly row: () => Row
}

const openRows = <K extends TransferKind>(kind: K, plain: Buffer, entry: SegmentEntry): RowReader<TransferRows[K]> =>
  (kind === "events" ? new EventsReader(plain, entry) : openRecords(kind as RowKind, plain)) as RowReader<
    TransferRows[K]
  >

const openRecords = <K extends RowKind>(kind: K, plain: Buffer): RowReader<TransferRows[K]> => {
  const reader = new ByteReader(plain)
  return {
    get isAtEnd() {
      return reader.isAtEnd
    },
    row: () => readRecord(reader, kind)
  }
}
