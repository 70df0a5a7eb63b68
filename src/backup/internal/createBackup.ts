import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { isDeepStrictEqual } from "node:util"
import type { Position } from "../../event/Revision.ts"
import { storeRestoring } from "../../store/EventStoreError.ts"
import {
  type LogTransfer,
  type LogView,
  type OtherKind,
  TRANSFER_KINDS,
  type TransferState
} from "../../store/LogTransfer.ts"
import * as BackupCatalog from "../BackupCatalog.ts"
import { BackupKeyMissing, BackupNotFound } from "../BackupError.ts"
import type { BackupManifest } from "../BackupManifest.ts"
import type { CreateError, CreateOptions, CreateOutcome } from "../BackupOptions.ts"
import * as BackupReader from "../BackupReader.ts"
import { BackupStorage } from "../BackupStorage.ts"
import * as BackupWriter from "../BackupWriter.ts"
import { BackupAheadOfLog, BackupHistoryDiffers } from "../TransferError.ts"
import { eventPages } from "./eventPages.ts"
import { makeMeter } from "./meter.ts"
import { manifestFile } from "./names.ts"

/** Makes a backup. */
export const createBackup = Effect.fn("BackupService.create")(function*(
  transfer: LogTransfer["Service"],
  options: CreateOptions
): Effect.fn.Return<CreateOutcome, CreateError, BackupStorage> {
  const state = yield* transfer.describe
  const { incarnation, position, restoring } = state
  if (restoring !== undefined) return yield* storeRestoring("backup")
  const parent = yield* findParent(options, state)
  if (parent !== undefined && parent.until > position) {
    const { id, until } = parent
    return yield* new BackupAheadOfLog({ id, until: until as Position, head: position as Position })
  }
  if (parent?.encryption !== undefined && options.encryption === undefined) {
    // who forgets the key would write in the clear what was to be encrypted
    return yield* new BackupKeyMissing({ file: manifestFile(parent.id), keyId: parent.encryption.keyId })
  }
  if (parent?.until === position && (yield* isUnchanged(transfer, parent, options))) {
    return { _tag: "Unchanged", newest: parent }
  }
  return yield* Effect.scoped(write(transfer, { ...options, incarnation, parent }))
})

// internal

/** How near the end of a log that grows is near enough. */
const NEAR_EVENTS = 4_000

/** The newest backup of this history. */
const findParent = Effect.fnUntraced(function*(
  { keys = {}, kind = "auto" }: CreateOptions,
  { incarnation, parent }: TransferState
): Effect.fn.Return<BackupManifest | undefined, CreateError, BackupStorage> {
  if (kind === "full") return undefined
  const { backups } = yield* BackupCatalog.list(keys)
  const candidates = backups.filter((backup) => backup.incarnation === incarnation && isWhole(backup, backups))
  const found = candidates.at(-1)
  if (found !== undefined || kind === "auto") return found
  const newest = backups.at(-1)
  if (newest === undefined) {
    return yield* new BackupNotFound({ id: "to go on from", location: (yield* BackupStorage).location })
  }
  return yield* new BackupHistoryDiffers({
    id: newest.id,
    expected: newest.incarnation,
    actual: incarnation,
    ...(parent?.incarnation === newest.incarnation ? { restoredUntil: parent.position as Position } : {})
  })
})

/** Whether all backups are there that one goes on from. */
const isWhole = (backup: BackupManifest, all: ReadonlyArray<BackupManifest>): boolean => {
  const byId = new Map(all.map((one) => [one.id, one]))
  let at: BackupManifest | undefined = backup
  // a chain is shorter than the list
  for (let steps = 0; at?.parent !== undefined && steps <= all.length; steps++) {
    const parent: BackupManifest | undefined = byId.get(at.parent.id)
    if (parent?.chain !== at.parent.chain) return false
    at = parent
  }
  return at?.kind === "full"
}

/** Whether the log ends where the backup does, and all beside the events is as it holds it. */
const isUnchanged = Effect.fnUntraced(
  function*(transfer: LogTransfer["Service"], { id, until }: BackupManifest, { encryption, keys = {} }: CreateOptions) {
    const reader = yield* BackupReader.open(id, {
      ...keys,
      encryption: [...keys.encryption ?? [], ...(encryption === undefined ? [] : [encryption])]
    })
    const view = yield* transfer.view
    if (view.position !== until) return false
    for (const kind of TRANSFER_KINDS) {
      if (kind !== "events" && !(yield* isSame(reader.rows(kind), view.rows(kind)))) return false
    }
    return true
  },
  Effect.scoped,
  // one that cannot be read is not taken for the newest state
  Effect.catchIf((failure) => failure._tag !== "StorageError", () => Effect.succeed(false))
)

const isSame = <A, E, E2>(before: Stream.Stream<A, E>, after: Stream.Stream<A, E2>): Effect.Effect<boolean, E | E2> => {
  // the end is an item too: a row stands beside it when one side has more
  const withEnd = <E3>(rows: Stream.Stream<A, E3>) => Stream.concat(rows, Stream.succeed(undefined))
  return Stream.zip(withEnd(before), withEnd(after)).pipe(
    Stream.filter(([one, other]) => !isDeepStrictEqual(one, other)),
    Stream.runHead,
    Effect.map(Option.isNone)
  )
}

const write = Effect.fnUntraced(function*(
  transfer: LogTransfer["Service"],
  options: CreateOptions & { readonly incarnation: string; readonly parent: BackupManifest | undefined }
) {
  const { incarnation, onProgress, parent } = options
  const writer = yield* BackupWriter.make(options)
  const meter = yield* makeMeter(onProgress)
  let reached = parent?.until ?? 0

  const copyEvents = (until: number, readEvents: LogTransfer["Service"]["readEvents"], { share }: Courtesy) =>
    Stream.runForEach(
      eventPages((page) => share(readEvents(page)), { after: reached, until }),
      Effect.fnUntraced(function*(rows) {
        yield* share(writer.write("events", rows))
        reached = rows.at(-1)?.position ?? reached
        yield* meter.count(rows)
      })
    )

  // most of the log before the view, which may be held, is opened; whoever writes as quickly is not run after
  for (let before = Number.POSITIVE_INFINITY;;) {
    const { position } = yield* transfer.describe
    const left = position - reached
    if (before === Number.POSITIVE_INFINITY) yield* meter.begin("events", left)
    else if (left < NEAR_EVENTS || left > before / 2) break
    const courtesy = makeCourtesy(transfer, position)
    yield* copyEvents(position, (page) => Effect.tap(transfer.readEvents(page), courtesy.look), courtesy)
    before = left
  }

  const view = yield* transfer.view
  if (view.incarnation !== incarnation) {
    return yield* new BackupHistoryDiffers({ id: writer.id, expected: incarnation, actual: view.incarnation })
  }
  // what is held is given back soon
  yield* copyEvents(view.position, view.readEvents, { share: (effect) => effect })
  yield* meter.begin("rest", 0)
  for (const kind of TRANSFER_KINDS) if (kind !== "events") yield* copyRows(writer, view, kind)
  const manifest = yield* writer.finish
  return { _tag: "Created" as const, manifest, leftOut: view.leftOut }
})

/** Rest for each work, while others append: a fifth of the time is the backup's, and costs them about a quarter of their rate. */
const REST = 4

/** How the making of a backup treats those who append. */
interface Courtesy {
  /** Does something; and then nothing, while others append, for a multiple of the time that it took. */
  readonly share: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
}

const makeCourtesy = (transfer: LogTransfer["Service"], position: number) => {
  let head = position
  let isBusy = false
  return {
    look: Effect.map(transfer.describe, (found) => {
      isBusy = found.position > head
      head = found.position
    }),
    share: <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.flatMap(
        Effect.timed(effect),
        ([took, value]) =>
          isBusy ? Effect.delay(Effect.succeed(value), Duration.times(took, REST)) : Effect.succeed(value)
      )
  }
}

const copyRows = <K extends OtherKind>(writer: BackupWriter.BackupWriter, view: LogView, kind: K) =>
  Stream.runForEachArray(view.rows(kind), (rows) => writer.write(kind, rows))
