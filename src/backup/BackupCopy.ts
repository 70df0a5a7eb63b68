/**
 * Copies backups to a second place, and proves there what arrived.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { list } from "./BackupCatalog.ts"
import type { BackupFault, BackupReadError, BackupStorageError } from "./BackupError.ts"
import type { BackupKeys } from "./BackupKeys.ts"
import { type BackupManifest, backupSize, MANIFEST_BYTES_MAX, type SegmentEntry } from "./BackupManifest.ts"
import { BackupStorage, readBackupFile } from "./BackupStorage.ts"
import { isMarked, markArchived } from "./internal/archiveMarks.ts"
import { findFileFault, loadChain } from "./internal/chain.ts"
import { loadManifest, loadSegmentFile, putFile } from "./internal/files.ts"
import { manifestFile, segmentFile } from "./internal/names.ts"

/**
 * Options of {@link copy}.
 *
 * @category models
 * @since 0.1.0
 */
export interface CopyOptions {
  readonly from: BackupStorage["Service"]
  readonly to: BackupStorage["Service"]
  /** Which backups, and all that they go on from; all when absent. */
  readonly ids?: ReadonlyArray<string> | undefined
  /** To refuse what is not signed by a trusted key. What is encrypted is copied as it is, without its key. */
  readonly keys?: BackupKeys | undefined
  /** Told after every segment. */
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined
}

/**
 * How far a copy has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface CopyProgress {
  readonly id: string
  readonly segments: number
  readonly segmentsTotal: number
  readonly fileBytes: number
  readonly fileBytesTotal: number
}

/**
 * What a copy did.
 *
 * @category models
 * @since 0.1.0
 */
export interface CopyReport {
  /** Backups that are in both places now, in the order in which they were copied. */
  readonly backups: ReadonlyArray<string>
  /** Segments that were copied, and those that were there already; of a damaged backup, too, what came before. */
  readonly copied: number
  readonly present: number
  readonly fileBytes: number
  /** Backups that are damaged, or did not arrive whole, and why; only when no `ids` were given. */
  readonly faults: ReadonlyArray<{ readonly id: string; readonly fault: BackupFault }>
}

/**
 * Copies backups, each after the one that it goes on from, file by file, the
 * manifest last.
 *
 * **Details**
 *
 * Every segment is proved before it is sent, and read again and proved where it
 * arrived; a segment that is there already is proved too, and replaced when it
 * is damaged. So a copy that was cut short goes on where it was, and one that is
 * repeated repairs what was damaged in the second place. A backup that is damaged
 * in the first place keeps no other from being copied, unless `ids` were given: it
 * makes that copy fail.
 *
 * @category operations
 * @since 0.1.0
 */
export const copy = Effect.fn("BackupCopy.copy")(function*(
  options: CopyOptions
): Effect.fn.Return<CopyReport, BackupReadError> {
  const { from, ids, keys = {}, onProgress, to } = options
  const { faults, manifests } = ids === undefined ? yield* all(from, keys) : yield* chosen(from, ids, keys)
  const segmentsTotal = manifests.reduce((sum, { segments }) => sum + segments.length, 0)
  const fileBytesTotal = manifests.reduce((sum, manifest) => sum + backupSize(manifest).fileBytes, 0)
  const done = { segments: 0, fileBytes: 0 }
  let copied = 0
  const copyOne = Effect.fnUntraced(function*(manifest: BackupManifest) {
    yield* Effect.forEach(
      manifest.segments,
      (entry) =>
        Effect.map(copySegment(from, to, manifest, entry), (isCopied) => {
          if (isCopied) copied++
          done.segments++
          done.fileBytes += entry.fileBytes
          onProgress?.({ id: manifest.id, ...done, segmentsTotal, fileBytesTotal })
        }),
      { concurrency: SEGMENTS, discard: true }
    )
    yield* copyManifest(from, to, manifest, keys)
    // the second place is to keep what the first one has to
    if (yield* isMarked(from, manifest.id)) yield* markArchived(to, manifest)
  })
  const there: Array<BackupManifest> = []
  const damaged: Array<CopyReport["faults"][number]> = []
  for (const manifest of manifests) {
    const result = yield* Effect.result(copyOne(manifest))
    if (result._tag === "Success") there.push(manifest)
    else if (ids !== undefined || result.failure._tag === "BackupStorageError") return yield* result.failure
    else damaged.push({ id: manifest.id, fault: result.failure })
  }
  return {
    backups: there.map(({ id }) => id),
    copied,
    present: done.segments - copied,
    fileBytes: there.reduce((sum, manifest) => sum + backupSize(manifest).fileBytes, 0),
    faults: [...faults, ...damaged]
  }
})

// internal

/** Segments that are copied at a time. */
const SEGMENTS = 2

type Storage = BackupStorage["Service"]

const all = (from: Storage, keys: BackupKeys) =>
  Effect.map(Effect.provideService(list(keys), BackupStorage, from), ({ backups, faults }) => ({
    faults,
    manifests: parentsFirst(backups)
  }))

/** A backup is younger than the one that it goes on from, but for clocks that were set back. */
const parentsFirst = (backups: ReadonlyArray<BackupManifest>): ReadonlyArray<BackupManifest> => {
  const byId = new Map(backups.map((manifest) => [manifest.id, manifest]))
  const sorted = new Set<BackupManifest>()
  for (const manifest of backups) {
    const line: Array<BackupManifest> = []
    for (
      let next: BackupManifest | undefined = manifest;
      next !== undefined && !sorted.has(next) && !line.includes(next);
      next = byId.get(next.parent?.id ?? "")
    ) line.push(next)
    for (const each of line.toReversed()) sorted.add(each)
  }
  return [...sorted]
}

const chosen = Effect.fnUntraced(function*(
  from: Storage,
  ids: ReadonlyArray<string>,
  keys: BackupKeys
): Effect.fn.Return<{ faults: CopyReport["faults"]; manifests: ReadonlyArray<BackupManifest> }, BackupReadError> {
  const manifests = new Map<string, BackupManifest>()
  for (const id of ids) {
    for (const manifest of yield* loadChain(from, id, keys)) manifests.set(manifest.id, manifest)
  }
  return { faults: [], manifests: [...manifests.values()] }
})

/** Whether it had to be copied. */
const copySegment = Effect.fnUntraced(function*(
  from: Storage,
  to: Storage,
  manifest: BackupManifest,
  entry: SegmentEntry
): Effect.fn.Return<boolean, BackupReadError> {
  const file = segmentFile(manifest.id, entry.number)
  if (Option.isSome(yield* to.stat(file))) {
    const there = yield* Effect.result(proveSegment(to, manifest, entry))
    if (there._tag === "Success") return false
    if (there.failure._tag === "BackupStorageError") return yield* there.failure
    yield* proveSegment(from, manifest, entry)
    yield* to.remove(file)
  }
  yield* putFile(to, file, yield* proveSegment(from, manifest, entry))
  yield* proveSegment(to, manifest, entry)
  return true
})

const copyManifest = Effect.fnUntraced(function*(
  from: Storage,
  to: Storage,
  manifest: BackupManifest,
  keys: BackupKeys
): Effect.fn.Return<void, BackupReadError> {
  const file = manifestFile(manifest.id)
  const bytes = yield* readBackupFile(from, file, MANIFEST_BYTES_MAX)
  if (Option.isSome(yield* to.stat(file))) {
    const there = yield* readBackupFile(to, file, MANIFEST_BYTES_MAX)
    if (areEqual(there, bytes)) return
    yield* to.remove(file)
  }
  yield* putFile(to, file, bytes)
  yield* loadManifest(to, manifest.id, keys)
})

const areEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index])

/** Reads a segment whose bytes are those of the manifest; what is in it needs no key. */
const proveSegment = (
  storage: Storage,
  manifest: BackupManifest,
  entry: SegmentEntry
): Effect.Effect<Uint8Array, BackupFault | BackupStorageError> =>
  Effect.flatMap(loadSegmentFile(storage, manifest.id, entry), (bytes) => {
    const fault = findFileFault(bytes, manifest, entry)
    return fault === undefined ? Effect.succeed(bytes) : Effect.fail(fault)
  })
