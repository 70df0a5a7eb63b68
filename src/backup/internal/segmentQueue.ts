/**
 * Makes files of segments and stores them, one at a time, while the rows of the
 * next one come.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { BackupStorageError } from "../BackupError.ts"
import type { BackupCompression, SegmentEntry } from "../BackupManifest.ts"
import type { BackupStorage } from "../BackupStorage.ts"
import { release } from "./bytes.ts"
import { putFile } from "./files.ts"
import { type PlainSegment, seal } from "./segment.ts"

export interface SegmentQueue {
  /** Begins to store a segment, when the one before is stored. */
  readonly push: (
    segment: Omit<PlainSegment, "backupId" | "number" | "predecessor">
  ) => Effect.Effect<void, BackupStorageError>
  /** Waits until all are stored. */
  readonly settle: Effect.Effect<void, BackupStorageError>
  /** What is stored, and the end of the chain so far. */
  readonly stored: () => StoredSegments
}

export interface StoredSegments {
  readonly entries: ReadonlyArray<SegmentEntry>
  readonly chain: string
  readonly plainBytes: number
  readonly fileBytes: number
}

export const makeSegmentQueue = (options: {
  readonly storage: BackupStorage["Service"]
  readonly scope: Scope.Scope
  readonly backupId: string
  readonly startOfChain: string
  readonly compression: BackupCompression
  readonly key: Uint8Array | undefined
}): SegmentQueue => {
  const { backupId, compression, key, scope, startOfChain, storage } = options
  const entries: Array<SegmentEntry> = []
  let chain = startOfChain
  let plainBytes = 0
  let fileBytes = 0
  let storing: Fiber.Fiber<void, BackupStorageError> | undefined

  const settle: Effect.Effect<void, BackupStorageError> = Effect.suspend(() =>
    storing === undefined ? Effect.void : Fiber.join(storing)
  )

  const store = Effect.fnUntraced(function*(segment: PlainSegment) {
    const { bytes, entry, file } = yield* seal(segment, compression, key)
    release(segment.plain)
    yield* putFile(storage, file, bytes)
    entries.push(entry)
    chain = entry.chain
    plainBytes += entry.plainBytes
    fileBytes += entry.fileBytes
  })

  return {
    settle,
    stored: () => ({ entries, chain, plainBytes, fileBytes }),
    push: Effect.fnUntraced(function*(segment) {
      yield* settle
      storing = yield* Effect.forkIn(
        store({ ...segment, backupId, number: entries.length + 1, predecessor: chain }),
        scope
      )
    })
  }
}
