/**
 * Which backups there are, and the removal of those that are needed no longer.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import {
  BackupArchived,
  type BackupFault,
  BackupInUse,
  type BackupReadError,
  type BackupStorageError
} from "./BackupError.ts"
import type { BackupKeys } from "./BackupKeys.ts"
import type { BackupManifest } from "./BackupManifest.ts"
import { BackupStorage } from "./BackupStorage.ts"
import { archiveMark, isMarked, markedBackup } from "./internal/archiveMarks.ts"
import { loadChain } from "./internal/chain.ts"
import { loadManifest, removeFiles } from "./internal/files.ts"
import { parseFile } from "./internal/names.ts"
import { inOrder } from "./internal/order.ts"

/**
 * What is in a place of backups.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupList {
  /** The oldest first: those of one history by how far they reach, others by when they were begun. */
  readonly backups: ReadonlyArray<BackupManifest>
  /** What is wrong with the manifests that could not be read. */
  readonly faults: ReadonlyArray<{ readonly id: string; readonly fault: BackupFault }>
  /** Segments without a manifest: of a backup that is being written, or that never was finished. */
  readonly incomplete: ReadonlyArray<IncompleteBackup>
  /** Backups from which a store reads its archived months. */
  readonly archived: ReadonlyArray<string>
}

/**
 * Segments without a manifest.
 *
 * @category models
 * @since 0.1.0
 */
export interface IncompleteBackup {
  readonly id: string
  readonly files: number
  readonly bytes: number
  /** When the last of them was written. */
  readonly modifiedAt: DateTime.Utc
}

/**
 * Lists the backups of a place. One that cannot be read hides no other.
 *
 * @category operations
 * @since 0.1.0
 */
export const list = Effect.fn("BackupCatalog.list")(function*(
  keys: BackupKeys = {}
): Effect.fn.Return<BackupList, BackupStorageError, BackupStorage> {
  const storage = yield* BackupStorage
  const finished: Array<string> = []
  const archived: Array<string> = []
  const found = new Map<string, IncompleteBackup>()
  yield* Stream.runForEachArray(storage.list(), (files) =>
    Effect.sync(() => {
      for (const file of files) {
        const marked = markedBackup(file.name)
        if (marked !== undefined) archived.push(marked)
        const parsed = parseFile(file.name)
        if (parsed === undefined) continue
        if (parsed.isManifest) finished.push(parsed.id)
        const before = found.get(parsed.id)
        found.set(parsed.id, {
          id: parsed.id,
          files: (before?.files ?? 0) + 1,
          bytes: (before?.bytes ?? 0) + file.bytes,
          modifiedAt: before === undefined || file.modifiedAt.epochMilliseconds > before.modifiedAt.epochMilliseconds
            ? file.modifiedAt
            : before.modifiedAt
        })
      }
    }))
  for (const id of finished) found.delete(id)

  const backups: Array<BackupManifest> = []
  const faults: Array<{ readonly id: string; readonly fault: BackupFault }> = []
  const read = yield* Effect.forEach(finished, (id) => tryLoad(storage, id, keys), { concurrency: READS })
  for (const [index, result] of read.entries()) {
    if (Result.isSuccess(result)) backups.push(result.success)
    else faults.push({ id: finished[index] as string, fault: result.failure })
  }
  return { backups: inOrder(backups), faults, incomplete: [...found.values()], archived }
})

/**
 * Reads and proves the manifest of a backup.
 *
 * @category operations
 * @since 0.1.0
 */
export const describe = Effect.fn("BackupCatalog.describe")(function*(
  id: string,
  keys: BackupKeys = {}
): Effect.fn.Return<BackupManifest, BackupReadError, BackupStorage> {
  return yield* loadManifest(yield* BackupStorage, id, keys)
})

/**
 * Reads and proves the manifests of a backup and of all that it goes on from,
 * the full one first.
 *
 * @category operations
 * @since 0.1.0
 */
export const chainOf = Effect.fn("BackupCatalog.chainOf")(function*(
  id: string,
  keys: BackupKeys = {}
): Effect.fn.Return<ReadonlyArray<BackupManifest>, BackupReadError, BackupStorage> {
  return yield* loadChain(yield* BackupStorage, id, keys)
})

/**
 * Removes a backup, its manifest first: a removal that is cut short leaves
 * segments, which `removeIncomplete` takes. Fails with `BackupInUse` when others
 * go on from it, with `BackupArchived` when a store reads its archived months
 * from it, and has removed nothing then. Nothing happens when there is no such
 * backup.
 *
 * @category operations
 * @since 0.1.0
 */
export const remove = Effect.fn("BackupCatalog.remove")(function*(
  id: string
): Effect.fn.Return<void, BackupInUse | BackupArchived | BackupStorageError, BackupStorage> {
  const storage = yield* BackupStorage
  const { backups } = yield* list()
  const children = backups.filter(({ parent }) => parent?.id === id).map((child) => child.id)
  if (children.length > 0) return yield* new BackupInUse({ id, children })
  if (yield* isMarked(storage, id)) return yield* new BackupArchived({ id, file: archiveMark(id) })
  yield* removeFiles(storage, id)
})

/**
 * Removes segments without a manifest that nobody has written to for a while,
 * one hour when nothing is said, and what interrupted writes have left. Returns
 * the backups that were removed.
 *
 * **Gotchas**
 *
 * A backup that is being written has no manifest either: whoever makes
 * `idleMillis` small has to know that none is.
 *
 * @category operations
 * @since 0.1.0
 */
export const removeIncomplete = Effect.fn("BackupCatalog.removeIncomplete")(function*(
  { idleMillis = IDLE_MILLIS }: { readonly idleMillis?: number | undefined } = {}
): Effect.fn.Return<ReadonlyArray<IncompleteBackup>, BackupStorageError, BackupStorage> {
  const storage = yield* BackupStorage
  const now = yield* Clock.currentTimeMillis
  const { incomplete } = yield* list()
  const idle = incomplete.filter(({ modifiedAt }) => modifiedAt.epochMilliseconds <= now - idleMillis)
  yield* Effect.forEach(idle, ({ id }) => removeFiles(storage, id), { discard: true })
  yield* storage.sweep(idleMillis)
  return idle
})

// internal

/** Manifests that are read at a time. */
const READS = 8

/** How long nobody writes to a backup that is given up: one hour. */
const IDLE_MILLIS = 60 * 60 * 1000

const tryLoad = Effect.fnUntraced(function*(
  storage: BackupStorage["Service"],
  id: string,
  keys: BackupKeys
): Effect.fn.Return<Result.Result<BackupManifest, BackupFault>, BackupStorageError> {
  const result = yield* Effect.result(loadManifest(storage, id, keys))
  if (Result.isSuccess(result)) return Result.succeed(result.success)
  const fault = result.failure
  return fault._tag === "BackupStorageError" ? yield* fault : Result.fail(fault)
})
