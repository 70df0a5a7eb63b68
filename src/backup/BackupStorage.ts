/**
 * The place in which backups are kept: files with names of our own making, and
 * nothing like a path.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { BackupStorageError } from "./BackupError.ts"

/**
 * Service for the files of backups in one place.
 *
 * **Details**
 *
 * Invariants: a file is there whole or not at all, also when the process or the
 * machine dies in the middle of `put`; what `put` has acknowledged outlives
 * both; no file ever changes. A name is 1 to 128 letters, digits, dots and
 * dashes, does not begin with a dot, and is refused with `InvalidName`
 * otherwise.
 *
 * @category services
 * @since 0.1.0
 */
export class BackupStorage extends Context.Service<BackupStorage, {
  /** Where it is, for people: a directory, or `s3://BUCKET/PREFIX`. */
  readonly location: string

  /**
   * Writes a file that is not there yet; fails with `AlreadyExists` otherwise,
   * and with `NoSpace` when the place is full, having written nothing.
   */
  readonly put: (name: string, bytes: Uint8Array) => Effect.Effect<void, BackupStorageError>

  /** Reads a file, or a part of it; fails with `NotFound` when it is not there. */
  readonly get: (name: string, range?: ByteRange) => Stream.Stream<Uint8Array, BackupStorageError>

  /** Describes a file. */
  readonly stat: (name: string) => Effect.Effect<Option.Option<BackupFile>, BackupStorageError>

  /** Lists the files whose names begin so, all when nothing is said, by name upwards. */
  readonly list: (prefix?: string) => Stream.Stream<BackupFile, BackupStorageError>

  /** Removes a file; nothing happens when it is not there. */
  readonly remove: (name: string) => Effect.Effect<void, BackupStorageError>

  /**
   * Removes what puts that never ended have left behind, and that nobody has
   * touched for this long; returns how many things that were.
   */
  readonly sweep: (idleMillis: number) => Effect.Effect<number, BackupStorageError>
}>()("effect-event-store/backup/BackupStorage") {}

/**
 * A file in the place of backups.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupFile {
  readonly name: string
  readonly bytes: number
  readonly modifiedAt: DateTime.Utc
}

/**
 * A part of a file; all from `offset` on when there is no `length`. A part that
 * lies behind the end has no bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface ByteRange {
  /** From 0, which it is when absent. */
  readonly offset?: number | undefined
  readonly length?: number | undefined
}

/**
 * Reads a whole file that has at most so many bytes, and fails with `TooLarge`,
 * having read no more than that, when it has more.
 *
 * @category operations
 * @since 0.1.0
 */
export const readBackupFile = (
  storage: BackupStorage["Service"],
  name: string,
  bytesMax: number
): Effect.Effect<Uint8Array, BackupStorageError> =>
  Effect.suspend(() => {
    const pieces: Array<Uint8Array> = []
    let size = 0
    return storage.get(name, { length: bytesMax + 1 }).pipe(
      Stream.runForEachArray((array) =>
        Effect.sync(() => {
          for (const piece of array) {
            pieces.push(piece)
            size += piece.length
          }
        })
      ),
      Effect.andThen(Effect.suspend(() => {
        if (size > bytesMax) {
          return Effect.fail(
            new BackupStorageError({
              operation: "get",
              location: storage.location,
              name,
              reason: "TooLarge",
              detail: `the file has more than ${bytesMax} bytes`
            })
          )
        }
        return Effect.succeed(pieces.length === 1 ? pieces[0] as Uint8Array : joinBytes(pieces, size))
      }))
    )
  })

// internal

const joinBytes = (pieces: ReadonlyArray<Uint8Array>, size: number): Uint8Array => {
  const whole = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
