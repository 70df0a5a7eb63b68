/**
 * A backup as lines of JSON, for people and for other programs.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { EventRow, TransferKind, TransferRows } from "../store/LogTransfer.ts"
import type { BackupReadError } from "./BackupError.ts"
import type { BackupKeys } from "./BackupKeys.ts"
import { open, type PositionRange } from "./BackupReader.ts"
import type { BackupStorage } from "./BackupStorage.ts"

/**
 * Options of {@link cat}.
 *
 * @category models
 * @since 0.1.0
 */
export interface CatOptions extends PositionRange {
  readonly keys?: BackupKeys | undefined
  /** Which rows; events when absent. */
  readonly kind?: TransferKind | undefined
}

/**
 * Reads a backup as NDJSON, many lines a piece of text.
 *
 * **Details**
 *
 * A line of an event is what `event-store export` writes of it: the same keys in
 * the same order, times in milliseconds, data as it is stored. So the lines of
 * a backup are those of the store that was backed up. Rows of another kind are
 * objects with their names of `LogTransfer`, bytes in base64.
 *
 * @category operations
 * @since 0.1.0
 */
export const cat = (id: string, options: CatOptions = {}): Stream.Stream<string, BackupReadError, BackupStorage> => {
  const { after, keys, kind = "events", until } = options
  return Stream.unwrap(Effect.map(open(id, keys), (reader): Stream.Stream<string, BackupReadError> =>
    kind === "events"
      ? Stream.mapArray(reader.events({ after, until }), (rows) => [rows.map(toLine).join("")])
      : Stream.mapArray(reader.rows(kind), (rows) => [rows.map(toRowLine).join("")])))
}

/**
 * Puts an event into a line, with its newline.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toLine = (row: EventRow): string => {
  const stored = isoOf(row.recordedAt)
  const metadata = row.metadata === "" ? "{}" : row.metadata
  // an imported event keeps when it was recorded first in its metadata
  const imported = metadata.includes("recordedAt") ? readImported(metadata) : undefined
  const times = imported === undefined
    ? `"recordedAt":"${stored}"`
    : `"recordedAt":${JSON.stringify(imported.recordedAt)},"importedAt":"${stored}"`
  return `{"position":${row.position},"stream":${JSON.stringify(row.streamId)},"revision":${row.revision},` +
    `"id":"${row.id}","type":${JSON.stringify(row.type)},"version":${row.version},"data":${oneLine(row.data)},` +
    `"metadata":${oneLine(imported?.metadata ?? metadata)},"tags":${JSON.stringify(row.tags)},${times}}\n`
}

// internal

/** What `recordedAt` of an imported event looks like. */
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:/

const readImported = (text: string): { readonly recordedAt: string; readonly metadata: string } | undefined => {
  const parsed = Result.try(() => JSON.parse(text) as Readonly<Record<string, unknown>>)
  if (Result.isFailure(parsed)) return undefined
  const { recordedAt, ...metadata } = parsed.success
  return typeof recordedAt === "string" && TIMESTAMP.test(recordedAt)
    ? { recordedAt, metadata: JSON.stringify(metadata) }
    : undefined
}

/** In JSON a line ends between two values only, where a blank is as good. */
const oneLine = (json: string): string =>
  json.includes("\n") || json.includes("\r") ? json.replace(/[\r\n]/g, " ") : json

const isoOf = (micros: number): string => DateTime.formatIso(DateTime.makeUnsafe(Math.floor(micros / 1000)))

const toRowLine = (row: TransferRows[Exclude<TransferKind, "events">]): string =>
  `${
    JSON.stringify(row, (_, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value)
  }\n`
