import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { InvalidInput } from "../../event/InvalidInput.ts"
import { addEvents, EMPTY_DIGEST, type EventDigest } from "../../store/EventDigest.ts"
import { type StorageError, storeRestoring } from "../../store/EventStoreError.ts"
import type { ArchiveEntry, LogMonth } from "../../store/LogArchive.ts"
import type { MoveError, MoveOptions, MoveOutcome, MovePlan } from "../ArchiveOptions.ts"
import * as BackupCatalog from "../BackupCatalog.ts"
import type { BackupReadError } from "../BackupError.ts"
import type { BackupKeys } from "../BackupKeys.ts"
import type { BackupManifest } from "../BackupManifest.ts"
import { BackupStorage } from "../BackupStorage.ts"
import * as BackupVerification from "../BackupVerification.ts"
import { isMarked, markArchived, unmarkArchived } from "./archiveMarks.ts"
import { type ArchiveParts, openEntry } from "./archiveParts.ts"
import { loadChain } from "./chain.ts"
import { createBackup } from "./createBackup.ts"
import { compareEvents, eventPages } from "./eventPages.ts"
import { makeMeter, type Meter } from "./meter.ts"

/** Says which months are old enough. */
export const planMonths = Effect.fn("ArchiveService.plan")(function*(
  { archive }: Pick<ArchiveParts, "archive">,
  options: MoveOptions
): Effect.fn.Return<MovePlan, InvalidInput | StorageError> {
  const limit = yield* limitOf(options)
  const months = (yield* archive.months).filter(({ month }) => endOf(month) <= limit)
  return {
    months,
    events: (months.at(-1)?.until ?? 0) - (months[0]?.after ?? 0),
    bytes: months.reduce((sum, { bytes }) => sum + bytes, 0)
  }
})

/** Archives the months that are old enough. */
export const moveMonths = Effect.fn("ArchiveService.move")(
  function*(parts: ArchiveParts, options: MoveOptions): Effect.fn.Return<MoveOutcome, MoveError, Scope.Scope> {
    const { archive, storage, transfer } = parts
    const meter = yield* makeMeter(options.onProgress)
    const { incarnation, restoring } = yield* transfer.describe
    if (restoring !== undefined) return yield* storeRestoring("archive")
    const session = yield* archive.open
    const { months } = yield* planMonths(parts, options)
    const last = months.at(-1)
    if (last === undefined) {
      return { entries: [], created: undefined, elapsedMillis: yield* meter.elapsedMillis }
    }
    const keys = allKeys(options)
    const { chain, created } = yield* reach(parts, { ...options, keys }, incarnation, last.until)
    const needed = months.map((month) => ({
      month,
      backup: chain.find(({ until }) => until >= month.until) as BackupManifest
    }))
    const backups = [...new Set(needed.map(({ backup }) => backup))]
    const unsure = new Set<string>()
    yield* Effect.forEach(backups, (backup) => holdBackup(parts, backup, unsure), { discard: true })
    yield* proveChain(storage, backups.at(-1) as BackupManifest, keys)

    const entries: Array<ArchiveEntry> = []
    yield* meter.begin("events", last.until - (months[0]?.after ?? 0))
    for (const { backup, month } of needed) {
      const events = yield* proveMonth(parts, month, backup, keys, meter)
      const { after, month: name, until } = month
      const { chain, id } = backup
      unsure.add(id)
      entries.push(
        yield* session.archive({ month: name, after, until, backupId: id, chain, events, incarnation }).pipe(
          Effect.tapErrorTag("ArchiveDiffers", () => Effect.sync(() => unsure.delete(id)))
        )
      )
      unsure.delete(id)
    }
    return { entries, created, elapsedMillis: yield* meter.elapsedMillis }
  },
  Effect.scoped
)

// internal

const limitOf = Effect.fnUntraced(function*({ before, olderThan }: MoveOptions) {
  if (before !== undefined && olderThan === undefined) return before.epochMilliseconds
  const age = olderThan === undefined ? undefined : Duration.toMillis(Duration.fromInputUnsafe(olderThan))
  if (before !== undefined || age === undefined || !(age >= 0)) {
    const detail = "expected either a time before which months end, or how long ago"
    return yield* new InvalidInput({ reason: "InvalidQuery", path: "before", detail })
  }
  return (yield* Clock.currentTimeMillis) - age
})

/** When a month ends, in milliseconds since 1970. */
const endOf = (month: string): number => {
  const [year = 0, number = 0] = month.split("-").map(Number)
  return DateTime.add(DateTime.makeUnsafe({ year, month: number, day: 1 }), { months: 1 }).epochMilliseconds
}

/** What is encrypted for the new backup has to be read back. */
const allKeys = ({ encryption, keys = {} }: MoveOptions): BackupKeys =>
  encryption === undefined ? keys : { ...keys, encryption: [...keys.encryption ?? [], encryption] }

/** Finds the newest backup that reaches a position, with all that it goes on from, or makes one. */
const reach = Effect.fnUntraced(function*(
  { storage, transfer }: ArchiveParts,
  options: MoveOptions & { readonly keys: BackupKeys },
  incarnation: string,
  position: number
): Effect.fn.Return<
  { readonly chain: ReadonlyArray<BackupManifest>; readonly created: string | undefined },
  MoveError
> {
  const { compression, encryption, keys, onProgress, segmentBytes, signing } = options
  const { backups } = yield* at(storage, BackupCatalog.list(keys))
  for (const { id, incarnation: history, until } of backups.toReversed()) {
    if (history !== incarnation || until < position) continue
    const chain = yield* Effect.result(loadChain(storage, id, keys))
    if (Result.isSuccess(chain)) return { chain: chain.success, created: undefined }
    if (chain.failure._tag === "BackupStorageError") return yield* chain.failure
  }
  const outcome = yield* at(
    storage,
    createBackup(transfer, { compression, encryption, keys, onProgress, segmentBytes, signing })
  )
  const { id } = outcome._tag === "Created" ? outcome.manifest : outcome.newest
  return { chain: yield* loadChain(storage, id, keys), created: outcome._tag === "Created" ? id : undefined }
})

const at = <A, E, R>(storage: BackupStorage["Service"], effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, BackupStorage, storage)

/**
 * Marks a backup before it is looked at; a mark of which nothing came goes again. It stays while nobody knows whether
 * something did: a commit whose answer was lost may be done later than anybody looks.
 */
const holdBackup = ({ archive, storage }: ArchiveParts, backup: BackupManifest, unsure: ReadonlySet<string>) =>
  Effect.gen(function*() {
    const isNew = !(yield* isMarked(storage, backup.id))
    yield* Effect.acquireRelease(
      markArchived(storage, backup),
      () =>
        Effect.ignore(Effect.gen(function*() {
          if (!isNew || unsure.has(backup.id)) return
          const isUsed = (yield* archive.entries).some(({ backupId }) => backupId === backup.id)
          if (!isUsed) yield* unmarkArchived(storage, backup.id)
        }))
    )
  })

const proveChain = Effect.fnUntraced(function*(
  storage: BackupStorage["Service"],
  { id }: BackupManifest,
  keys: BackupKeys
): Effect.fn.Return<void, BackupReadError> {
  const { faults: [fault] } = yield* at(storage, BackupVerification.verify(id, { keys }))
  if (fault !== undefined) return yield* fault
})

/** Compares all events of a month with those in the backup. */
const proveMonth = Effect.fnUntraced(function*(
  { archive, storage }: ArchiveParts,
  { after, until }: LogMonth,
  backup: BackupManifest,
  keys: BackupKeys,
  meter: Meter
): Effect.fn.Return<EventDigest, MoveError> {
  const open = openEntry(storage, { backupId: backup.id, chain: backup.chain }, keys)
  const reader = yield* open
  let digest = EMPTY_DIGEST
  yield* compareEvents(
    reader.events({ after, until }),
    Stream.flatMap(eventPages(archive.readStored, { after, until }), (rows) => Stream.fromIterable(rows)),
    until,
    (rows) => {
      digest = addEvents(digest, rows)
      return meter.count(rows)
    },
    { after }
  )
  // nobody has removed it, or put another one there, while it was compared
  yield* open
  return digest
})
