/**
 * Files in a directory of the machine.
 *
 * A file is written as `.part-…`, flushed, given its name by a hard link, and
 * the directory is flushed: a name never stands for half a file, and a name that
 * is taken is never taken again. Files can be read by their owner only.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { constants } from "node:fs"
import * as nodeFs from "node:fs/promises"
import { join, resolve } from "node:path"
import type { BackupStorageError } from "../BackupError.ts"
import type { BackupFile, BackupStorage, ByteRange } from "../BackupStorage.ts"
import {
  describe,
  type FileFunctions,
  flushDirectory,
  makeDirectory,
  NOFOLLOW,
  PIECE_BYTES,
  readPiece,
  reasonOf,
  removeParts,
  statFile,
  unlinkIfThere,
  writeWhole
} from "./fileOperations.ts"
import { FILE_NAME } from "./names.ts"
import { checkFileName, failuresAt, type Operation } from "./storageFailure.ts"

export const make = Effect.fnUntraced(
  function*(path: string, fs: FileFunctions = nodeFs): Effect.fn.Return<
    BackupStorage["Service"],
    BackupStorageError
  > {
    const directory = resolve(path)
    const failure = failuresAt(directory)

    const attempt = <A>(
      operation: Operation,
      name: string,
      run: () => Promise<A>
    ): Effect.Effect<A, BackupStorageError> =>
      Effect.tryPromise({
        try: run,
        catch: (cause) => failure(operation, name, reasonOf(cause), describe(cause), cause)
      })

    const on = <A>(operation: Operation, name: string, run: (path: string) => Promise<A>) =>
      Effect.andThen(
        checkFileName(failure, operation, name),
        Effect.suspend(() => attempt(operation, name, () => run(join(directory, name))))
      )

    yield* attempt("open", "", () => makeDirectory(fs, directory))

    const stat = (name: string): Effect.Effect<Option.Option<BackupFile>, BackupStorageError> =>
      Effect.map(
        on("stat", name, (path) => statFile(fs, path)),
        (found) =>
          Option.map(Option.fromUndefinedOr(found), ({ bytes, modifiedMillis }) => ({
            name,
            bytes,
            modifiedAt: DateTime.makeUnsafe(Math.floor(modifiedMillis))
          }))
      )

    return {
      location: directory,
      stat,
      // not to be torn apart: the part would stay behind
      put: (name, bytes) => Effect.uninterruptible(on("put", name, (path) => writeWhole(fs, directory, path, bytes))),
      get: (name, range) =>
        readPieces(
          on("get", name, (path) => fs.open(path, constants.O_RDONLY | NOFOLLOW)),
          (file, from, wanted) => attempt("get", name, () => readPiece(file, from, wanted)),
          range
        ),
      list: (prefix = "") =>
        Stream.fromIterableEffect(Effect.map(
          attempt("list", "", () => fs.readdir(directory)),
          (names) => names.filter((name) => FILE_NAME.test(name) && name.startsWith(prefix)).sort()
        )).pipe(
          // one that was removed meanwhile is not there
          Stream.mapEffect(stat, { concurrency: STATS }),
          Stream.filter(Option.isSome),
          Stream.map((found) => found.value)
        ),
      remove: (name) =>
        on("remove", name, async (path) => {
          await unlinkIfThere(fs, path)
          await flushDirectory(fs, directory)
        }),
      sweep: (idleMillis) =>
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) => attempt("sweep", "", () => removeParts(fs, directory, now - idleMillis))
        )
    }
  }
)

// internal

/** Files that are described at a time. */
const STATS = 8

type File = nodeFs.FileHandle

/** A part of a file, piece by piece; the file is open as long as somebody reads. */
const readPieces = (
  open: Effect.Effect<File, BackupStorageError>,
  read: (file: File, from: number, wanted: number) => Effect.Effect<Uint8Array, BackupStorageError>,
  range: ByteRange | undefined
): Stream.Stream<Uint8Array, BackupStorageError> => {
  const offset = range?.offset ?? 0
  const end = range?.length === undefined ? Number.MAX_SAFE_INTEGER : offset + range.length
  const opened = Effect.acquireRelease(open, (file) => Effect.ignore(Effect.promise(() => file.close())))
  const pages = (file: File) =>
    Stream.paginate(offset, (from) => {
      const wanted = Math.min(PIECE_BYTES, Math.max(0, end - from))
      return Effect.map(read(file, from, wanted), (piece) =>
        [
          piece.length === 0 ? [] : [piece],
          piece.length < PIECE_BYTES ? Option.none<number>() : Option.some(from + piece.length)
        ] as const)
    })
  return Stream.unwrap(Effect.map(opened, pages))
}
