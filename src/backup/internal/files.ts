/**
 * Files of backups, read and written whole.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { BackupCorrupt, BackupNotFound, type BackupStorageError } from "../BackupError.ts"
import type { BackupKeys } from "../BackupKeys.ts"
import { type BackupManifest, MANIFEST_BYTES_MAX, type SegmentEntry } from "../BackupManifest.ts"
import { type BackupStorage, readBackupFile } from "../BackupStorage.ts"
import { decodeManifest, type ManifestFault } from "./manifest.ts"
import { BACKUP_ID, manifestFile, parseFile, segmentFile } from "./names.ts"

type Storage = BackupStorage["Service"]

/**
 * Stores a file. A name is given once, to one content: when it is taken, by a
 * request that was sent twice say, the same content is as good.
 */
export const putFile = (storage: Storage, name: string, bytes: Uint8Array): Effect.Effect<void, BackupStorageError> =>
  Effect.catchIf(
    storage.put(name, bytes),
    ({ reason }) => reason === "AlreadyExists",
    (error) =>
      Effect.flatMap(
        Effect.catchIf(readBackupFile(storage, name, bytes.length), ({ reason }) =>
          reason === "TooLarge", () =>
          Effect.fail(error)),
        (stored) =>
          Buffer.compare(stored, bytes) === 0 ? Effect.void : Effect.fail(error)
      )
  )

/** Removes all files of a backup, the manifest first: what is left then is none. */
export const removeFiles = Effect.fnUntraced(function*(storage: Storage, id: string) {
  yield* storage.remove(manifestFile(id))
  const files = yield* Stream.runCollect(storage.list(`${id}.`))
  yield* Effect.forEach(files, ({ name }) => parseFile(name) === undefined ? Effect.void : storage.remove(name), {
    concurrency: REMOVALS,
    discard: true
  })
})

/** Reads and proves a manifest. */
export const loadManifest = Effect.fnUntraced(function*(
  storage: Storage,
  id: string,
  keys: BackupKeys
): Effect.fn.Return<BackupManifest, ManifestFault | BackupNotFound | BackupStorageError> {
  const notFound = new BackupNotFound({ id, location: storage.location })
  if (!BACKUP_ID.test(id)) return yield* notFound
  const file = manifestFile(id)
  const bytes = yield* readBackupFile(storage, file, MANIFEST_BYTES_MAX).pipe(
    Effect.mapError((error) => {
      switch (error.reason) {
        case "NotFound":
          return notFound
        case "TooLarge":
          return new BackupCorrupt({
            file,
            offset: MANIFEST_BYTES_MAX,
            length: undefined,
            position: undefined,
            detail: error.detail
          })
        default:
          return error
      }
    })
  )
  return yield* decodeManifest(id, bytes, keys)
})

/** Reads the file of a segment, as far as the manifest says that it goes and one byte more. */
export const loadSegmentFile = (
  storage: Storage,
  backupId: string,
  entry: SegmentEntry
): Effect.Effect<Uint8Array, BackupCorrupt | BackupStorageError> => {
  const file = segmentFile(backupId, entry.number)
  const position = entry.kind === "events" ? entry.first : undefined
  const corrupt = (offset: number | undefined, detail: string) =>
    new BackupCorrupt({ file, offset, length: undefined, position, detail })
  return Effect.mapError(readBackupFile(storage, file, entry.fileBytes), (error) => {
    switch (error.reason) {
      case "NotFound":
        return corrupt(undefined, "the file is missing")
      case "TooLarge":
        return corrupt(entry.fileBytes, `the file has more than its ${entry.fileBytes} bytes`)
      default:
        return error
    }
  })
}

// internal

/** Files that are removed at a time. */
const REMOVALS = 8
