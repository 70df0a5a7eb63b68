import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { Position } from "../../event/Revision.ts"
import { addEvents, EMPTY_DIGEST } from "../../store/EventDigest.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import type { ArchiveEntry } from "../../store/LogArchive.ts"
import type { ArchiveReadOptions, ArchiveReport } from "../ArchiveOptions.ts"
import type { BackupReadError, BackupStorageError } from "../BackupError.ts"
import { CopyDiffers } from "../TransferError.ts"
import { type ArchiveParts, openEntry } from "./archiveParts.ts"
import { compareEvents, eventPages, SKELETON_KEYS } from "./eventPages.ts"
import { makeMeter, type Meter } from "./meter.ts"

/** Proves all that is archived. */
export const verifyArchive = Effect.fn("ArchiveService.verify")(function*(
  parts: ArchiveParts,
  { keys, onProgress }: ArchiveReadOptions
): Effect.fn.Return<ArchiveReport, InvalidInput | StorageError | BackupStorageError> {
  const entries = yield* parts.archive.entries
  const meter = yield* makeMeter(onProgress)
  yield* meter.begin("verify", entries.at(-1)?.until ?? 0)
  const faults: Array<ArchiveReport["faults"][number]> = []
  let events = 0
  for (const entry of entries) {
    const fault = yield* findFault(parts, entry, keys, meter)
    if (fault === undefined) events += entry.events.count
    else faults.push({ entry, fault })
  }
  return { isSound: faults.length === 0, events, faults }
})

// internal

const findFault = (
  parts: ArchiveParts,
  entry: ArchiveEntry,
  keys: ArchiveReadOptions["keys"],
  meter: Meter
): Effect.Effect<
  BackupReadError | CopyDiffers | undefined,
  InvalidInput | StorageError | BackupStorageError
> =>
  Effect.matchEffect(compareEntry(parts, entry, keys, meter), {
    onSuccess: () => Effect.undefined,
    onFailure: (
      fault
    ): Effect.Effect<BackupReadError | CopyDiffers, InvalidInput | StorageError | BackupStorageError> =>
      fault._tag === "StorageError" || fault._tag === "InvalidInput" || fault._tag === "BackupStorageError"
        ? Effect.fail(fault)
        : Effect.succeed(fault)
  })

const compareEntry = Effect.fnUntraced(function*(
  { archive, storage }: ArchiveParts,
  entry: ArchiveEntry,
  keys: ArchiveReadOptions["keys"],
  meter: Meter
) {
  const { after, events, until } = entry
  const reader = yield* openEntry(storage, entry, keys)
  let digest = EMPTY_DIGEST
  yield* compareEvents(
    reader.events({ after, until }),
    Stream.flatMap(eventPages(archive.readStored, { after, until }), (rows) => Stream.fromIterable(rows)),
    until,
    (rows) => {
      digest = addEvents(digest, rows)
      return meter.count(rows)
    },
    { after, keys: SKELETON_KEYS }
  )
  if (digest.count !== events.count || digest.digest !== events.digest) {
    return yield* new CopyDiffers({ position: until as Position, detail: "count and digest up to here" })
  }
})
