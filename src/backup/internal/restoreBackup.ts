import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { addEvents, EMPTY_DIGEST } from "../../store/EventDigest.ts"
import { type LogTransfer, type OtherKind, TRANSFER_KINDS, type WriteRows } from "../../store/LogTransfer.ts"
import * as BackupCatalog from "../BackupCatalog.ts"
import { BackupNotFound, type BackupReadError } from "../BackupError.ts"
import type {
  BackupSelection,
  RestoreBackupError,
  RestoreOptions,
  RestoreOutcome,
  RestorePreview
} from "../BackupOptions.ts"
import * as BackupReader from "../BackupReader.ts"
import { BackupStorage } from "../BackupStorage.ts"
import { RestorePointInvalid } from "../TransferError.ts"
import { inPages } from "./eventPages.ts"
import { makeMeter, type Meter } from "./meter.ts"

/** What is to be restored. */
export interface Selected {
  /** The backup that was named. */
  readonly id: string
  /** Of the first backup of the chain that reaches the point: what it holds beside the events is nearest to it. */
  readonly reader: BackupReader.BackupReader
  readonly position: number
}

/** Opens the backup that is meant, and finds the point in it. */
export const select = Effect.fnUntraced(function*(
  { id, keys, to = "end" }: BackupSelection
): Effect.fn.Return<Selected, RestorePointInvalid | BackupReadError, BackupStorage> {
  const newest = yield* BackupReader.open(id ?? (yield* newestId(keys)), keys)
  const position = yield* findPosition(newest, to)
  const reaching = newest.chain.find(({ until }) => until >= position)
  // the last of those that end there: the others differ in what stands beside the events
  const nearest = newest.chain.findLast(({ until }) => until === reaching?.until) ?? newest.manifest
  const reader = nearest.id === newest.manifest.id ? newest : yield* BackupReader.open(nearest.id, keys)
  return { id: newest.manifest.id, reader, position }
})

/** Says what a restore would do. */
export const planRestore = Effect.fn("BackupService.planRestore")(function*(
  transfer: LogTransfer["Service"],
  options: RestoreOptions
): Effect.fn.Return<RestorePreview, RestoreBackupError, BackupStorage> {
  const { id, position, reader } = yield* select(options)
  const target = yield* transfer.describe
  const { incarnation } = reader.manifest
  const { restoring } = target
  const goesOn = restoring !== undefined && restoring.source === incarnation && restoring.position <= position
  return {
    id,
    chain: reader.chain,
    source: incarnation,
    position,
    target,
    goesOnAfter: goesOn ? restoring.position : 0
  }
})

/** Restores a backup into a store. */
export const restoreBackup = Effect.fn("BackupService.restore")(function*(
  transfer: LogTransfer["Service"],
  options: RestoreOptions
): Effect.fn.Return<RestoreOutcome, RestoreBackupError, BackupStorage> {
  const selected = yield* select(options)
  return yield* restoreSelected(transfer, selected, yield* makeMeter(options.onProgress))
})

/** Restores what was selected; the store is empty again when the backup is not sound. */
export const restoreSelected = (
  transfer: LogTransfer["Service"],
  selected: Selected,
  meter: Meter
): Effect.Effect<RestoreOutcome, RestoreBackupError> =>
  Effect.scoped(write(transfer, selected, meter)).pipe(
    Effect.flatMap((result) =>
      Result.isSuccess(result)
        ? Effect.succeed(result.success)
        : Effect.andThen(Effect.ignore(transfer.abandonRestore), Effect.fail(result.failure))
    )
  )

// internal

const newestId = Effect.fnUntraced(function*(keys: BackupSelection["keys"]) {
  const { backups, faults } = yield* BackupCatalog.list(keys)
  const newest = backups.at(-1)
  if (newest !== undefined) return newest.id
  const [fault] = faults
  if (fault !== undefined) return yield* fault.fault
  return yield* new BackupNotFound({ id: "at all", location: (yield* BackupStorage).location })
})

const findPosition = (
  reader: BackupReader.BackupReader,
  to: NonNullable<BackupSelection["to"]>
): Effect.Effect<number, RestorePointInvalid | BackupReadError> => {
  const { id, until } = reader.manifest
  if (to === "end") return Effect.succeed(until)
  if ("position" in to) {
    const { position } = to
    return Number.isSafeInteger(position) && position >= 1 && position <= until
      ? Effect.succeed(position)
      : Effect.fail(invalidPoint(id, `${position}`, until === 0 ? undefined : ["1", `${until}`]))
  }
  const segments = reader.chain.flatMap((manifest) => manifest.segments).filter(({ kind }) => kind === "events")
  const [first, last] = [segments[0]?.firstRecordedAt, segments.at(-1)?.lastRecordedAt]
  const wanted = DateTime.formatIso(to.time)
  const micros = to.time.epochMilliseconds * MICROS
  return first === undefined || last === undefined
    ? Effect.fail(invalidPoint(id, wanted, undefined))
    : micros + MICROS - 1 < first || micros > last
    ? Effect.fail(invalidPoint(id, wanted, [isoOf(first), isoOf(last)]))
    : reader.positionAt(micros + MICROS - 1)
}

/** Microseconds of a millisecond. */
const MICROS = 1_000

const isoOf = (micros: number): string => DateTime.formatIso(DateTime.makeUnsafe(Math.floor(micros / MICROS)))

const invalidPoint = (id: string, wanted: string, range: readonly [string, string] | undefined): RestorePointInvalid =>
  new RestorePointInvalid({ id, wanted, first: range?.[0] ?? "none", last: range?.[1] ?? "none" })

/** A failure that is the backup's, and not the store's, is a result: what was written is of no use then. */
const write = Effect.fnUntraced(function*(
  transfer: LogTransfer["Service"],
  { id, position, reader }: Selected,
  meter: Meter
): Effect.fn.Return<
  Result.Result<RestoreOutcome, RestoreBackupError>,
  RestoreBackupError,
  Scope.Scope
> {
  const { manifest } = reader
  const session = yield* transfer.restore({ source: manifest.incarnation, until: position })
  const isWhole = position === manifest.until
  // the manifest tells the digest of all events; that of fewer has to be taken from all of them
  const from = isWhole ? session.position : 0
  let digest = EMPTY_DIGEST
  let written = 0
  yield* meter.begin("events", position - from)
  const copied = yield* Effect.result(
    inPages(reader.events({ after: from, until: position }), (page) =>
      Effect.gen(function*() {
        if (!isWhole) digest = addEvents(digest, page)
        const rows = page.filter((row) => row.position > session.position)
        yield* session.writeEvents(rows)
        written += rows.length
        yield* meter.count(page)
      }))
  )
  if (Result.isFailure(copied)) return yield* asResult(copied.failure)
  yield* meter.begin("rest", 0)
  const finished = yield* Effect.result(session.finish({
    digest: isWhole ? manifest.total : digest,
    rest: (write) =>
      Effect.forEach(
        TRANSFER_KINDS,
        (kind) => kind === "events" ? Effect.void : writeKind(reader, write, kind),
        { discard: true }
      )
  }))
  if (Result.isFailure(finished)) return yield* asResult(finished.failure)
  return Result.succeed({
    ...finished.success,
    id,
    written,
    elapsedMillis: yield* meter.elapsedMillis
  })
})

const writeKind = <K extends OtherKind>(reader: BackupReader.BackupReader, write: WriteRows, kind: K) =>
  Stream.runForEachArray(reader.rows(kind), (rows) => write(kind, rows))

/** What the store, or the way to it, or to the backup, is to blame for can be gone on with. */
const asResult = (
  failure: RestoreBackupError
): Effect.Effect<Result.Result<never, RestoreBackupError>, RestoreBackupError> =>
  failure._tag === "StorageError" || failure._tag === "BackupStorageError" || failure._tag === "RestoreOvertaken" ||
    failure._tag === "RestoreTargetNotEmpty"
    ? Effect.fail(failure)
    : Effect.succeed(Result.fail(failure))
