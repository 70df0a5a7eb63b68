/**
 * Writes a backup: rows in, segments out, the manifest last.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { InvalidInput } from "../event/InvalidInput.ts"
import { addDigests, makeDigestTally } from "../store/EventDigest.ts"
import { TRANSFER_KINDS, type TransferKind, type TransferRows } from "../store/LogTransfer.ts"
import { BackupChainBroken, type BackupKeyInvalid, BackupStorageError } from "./BackupError.ts"
import type { EncryptionKey, SigningKey } from "./BackupKeys.ts"
import type { BackupCodec, BackupCompression, BackupManifest, SegmentEntry } from "./BackupManifest.ts"
import { BackupStorage } from "./BackupStorage.ts"
import { LEVEL_DEFAULT, LEVELS } from "./internal/compression.ts"
import { encryptionKeyOf, keyCheck, randomSuffix, signingKeyOf } from "./internal/crypto.ts"
import { type Draft, makeDraft } from "./internal/draft.ts"
import { putFile, removeFiles } from "./internal/files.ts"
import { encodeManifest } from "./internal/manifest.ts"
import { manifestFile } from "./internal/names.ts"
import { startOfChain } from "./internal/segment.ts"
import { makeSegmentQueue, type SegmentQueue } from "./internal/segmentQueue.ts"

/**
 * A backup that is being written.
 *
 * **Details**
 *
 * Rows come in the order of `TRANSFER_KINDS`, events without a gap after the
 * last event of the parent. Segments are compressed, encrypted and stored while
 * the next rows come; at most two are in memory. Nothing that a reader takes for
 * a backup is there before `finish` has stored the manifest. After a failure
 * the backup cannot be gone on with.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupWriter {
  readonly id: string
  /** Takes rows of a kind; `InvalidInput` names the one that cannot be written. */
  readonly write: <K extends TransferKind>(
    kind: K,
    rows: ReadonlyArray<TransferRows[K]>
  ) => Effect.Effect<void, BackupWriteError>
  /** How far it has come. */
  readonly progress: Effect.Effect<BackupProgress>
  /** Stores what is left, looks whether all segments are there, and stores the manifest. */
  readonly finish: Effect.Effect<BackupManifest, BackupWriteError>
}

/**
 * How far a backup has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupProgress {
  /** Rows that were taken. */
  readonly rows: number
  /** Position of the last event that was taken. */
  readonly position: number
  /** Segments that are stored, the bytes of their rows, and of their files. */
  readonly segments: number
  readonly plainBytes: number
  readonly fileBytes: number
}

/**
 * Everything that the writing of a backup can answer instead of a manifest.
 *
 * @category errors
 * @since 0.1.0
 */
export type BackupWriteError = InvalidInput | BackupKeyInvalid | BackupChainBroken | BackupStorageError

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupWriterOptions {
  /** The history that is backed up. */
  readonly incarnation: string
  /** The backup to go on from; a full backup when absent. */
  readonly parent?: BackupManifest | undefined
  /** `zstd` at level 3 when absent. */
  readonly compression?: { readonly codec: BackupCodec; readonly level?: number | undefined } | undefined
  /** Bytes of rows after which a segment ends, 64 KiB to 32 MiB; 8 MiB when absent. */
  readonly segmentBytes?: number | undefined
  readonly encryption?: EncryptionKey | undefined
  readonly signing?: SigningKey | undefined
}

/**
 * Begins a backup. When the scope closes before it is finished, its files are
 * removed; those of a process that was killed stay, have no manifest, and are
 * removed by `removeIncomplete`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: BackupWriterOptions
): Effect.fn.Return<BackupWriter, BackupWriteError, BackupStorage | Scope.Scope> {
  const { parent } = options
  const storage = yield* BackupStorage
  const settings = yield* checkOptions(options)
  const startedAt = yield* DateTime.now
  const id = makeId(startedAt)
  if (parent !== undefined) yield* checkParent(storage, id, parent, options.incarnation)
  const queue = makeSegmentQueue({
    storage,
    scope: yield* Scope.Scope,
    backupId: id,
    startOfChain: startOfChain(id, parent?.chain),
    ...settings
  })
  const rows = makeRowBuffer(parent, settings.segmentBytes, queue)

  let manifest: BackupManifest | undefined

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => manifest === undefined ? Effect.ignore(removeFiles(storage, id)) : Effect.void)
  )

  const finish = Effect.gen(function*() {
    if (manifest !== undefined) return manifest
    yield* rows.flush
    const { chain, entries } = queue.stored()
    yield* checkStored(storage, id, entries)
    const finished: BackupManifest = {
      id,
      kind: parent === undefined ? "full" : "incremental",
      parent: parent === undefined ? undefined : { id: parent.id, chain: parent.chain },
      incarnation: options.incarnation,
      startedAt,
      completedAt: yield* DateTime.now,
      ...rows.totals(),
      ...describeSettings(settings, id),
      segments: entries,
      chain
    }
    yield* Effect.uninterruptible(Effect.tap(
      putFile(storage, manifestFile(id), encodeManifest(finished, settings.signing)),
      Effect.sync(() => {
        manifest = finished
      })
    ))
    return finished
  })

  const inTurn = yield* makeTurns<BackupWriteError>()
  return {
    id,
    write: (kind, page) => inTurn(rows.write(kind, page)),
    progress: Effect.sync(() => {
      const { counts, until } = rows.totals()
      const { entries, fileBytes, plainBytes } = queue.stored()
      const all = TRANSFER_KINDS.reduce((sum, kind) => sum + counts[kind], 0)
      return { rows: all, position: until, segments: entries.length, plainBytes, fileBytes }
    }),
    finish: inTurn(finish)
  }
})

// internal

const SEGMENT_BYTES_DEFAULT = 8 * 1024 * 1024
const SEGMENT_BYTES_MIN = 64 * 1024
const SEGMENT_BYTES_MAX = 32 * 1024 * 1024

/** `2026-11-21T17:04:05.123Z` becomes `20261121T170405Z-…`. */
const makeId = (startedAt: DateTime.Utc): string =>
  `${DateTime.formatIso(startedAt).slice(0, 19).replace(/[-:]/g, "")}Z-${randomSuffix()}`

/** Rows on their way into segments, and what they are all together. */
interface RowBuffer {
  readonly write: <K extends TransferKind>(
    kind: K,
    rows: ReadonlyArray<TransferRows[K]>
  ) => Effect.Effect<void, InvalidInput | BackupStorageError>
  /** Stores what is left. */
  readonly flush: Effect.Effect<void, BackupStorageError>
  readonly totals: () => Pick<BackupManifest, "after" | "until" | "events" | "total" | "counts">
}

const makeRowBuffer = (parent: BackupManifest | undefined, segmentBytes: number, queue: SegmentQueue): RowBuffer => {
  const after = parent?.until ?? 0
  const tally = makeDigestTally()
  const counts = { events: 0, streams: 0, snapshots: 0, checkpoints: 0, states: 0, parked: 0 }
  let draft: Draft = makeDraft("events", after, segmentBytes, tally)

  const cut = Effect.suspend(() => draft.records === 0 ? Effect.void : queue.push(draft.cut()))

  const turnTo = Effect.fnUntraced(function*(kind: TransferKind) {
    if (draft.kind === kind) return
    if (TRANSFER_KINDS.indexOf(kind) < TRANSFER_KINDS.indexOf(draft.kind)) {
      return yield* new InvalidInput({ reason: "InvalidQuery", path: kind, detail: `must come before ${draft.kind}` })
    }
    yield* cut
    draft = makeDraft(kind, 0, segmentBytes, tally)
  })

  return {
    flush: Effect.andThen(cut, queue.settle),
    totals: () => {
      const events = tally.digest()
      const until = after + counts.events
      const total = parent === undefined ? events : addDigests(parent.total, events)
      return { after, until, events, total, counts: { ...counts } }
    },
    write: Effect.fnUntraced(function*(kind, rows) {
      yield* turnTo(kind)
      let at = 0
      while (at < rows.length) {
        const added = draft.add(rows, at)
        if (typeof added !== "number") return yield* added
        at += added
        counts[kind] += added
        if (draft.size >= segmentBytes) yield* cut
      }
    })
  }
}

/** Runs effects one at a time, and none after one that failed. */
const makeTurns = <E>(): Effect.Effect<<A>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>> =>
  Effect.map(Semaphore.make(1), (mutex) => {
    let failure: Option.Option<E> = Option.none()
    return (effect) =>
      Semaphore.withPermit(
        mutex,
        Effect.suspend(() => Option.isSome(failure) ? Effect.fail(failure.value) : effect).pipe(
          Effect.tapError((error) =>
            Effect.sync(() => {
              failure = Option.some(error)
            })
          )
        )
      )
  })

/** Options as they are used, keys as their bytes. */
const checkOptions = Effect.fnUntraced(
  function*({ compression, encryption, segmentBytes, signing }: BackupWriterOptions) {
    const key = encryption === undefined ? undefined : yield* encryptionKeyOf(encryption)
    return {
      compression: yield* checkCompression(compression),
      segmentBytes: yield* checkSegmentBytes(segmentBytes),
      key,
      encryption: encryption === undefined || key === undefined ? undefined : { id: encryption.id, key },
      signing: signing === undefined ? undefined : { id: signing.id, key: yield* signingKeyOf(signing) }
    }
  }
)

const checkCompression = (
  given: BackupWriterOptions["compression"]
): Effect.Effect<BackupCompression, InvalidInput> => {
  const codec = given?.codec ?? "zstd"
  const level = given?.level ?? LEVEL_DEFAULT[codec]
  const [lowest, highest] = LEVELS[codec]
  return Number.isInteger(level) && level >= lowest && level <= highest
    ? Effect.succeed({ codec, level })
    : Effect.fail(
      new InvalidInput({
        reason: "InvalidLimit",
        path: "compression.level",
        detail: `${codec} has the levels ${lowest} to ${highest}`
      })
    )
}

const checkSegmentBytes = (given: number | undefined): Effect.Effect<number, InvalidInput> => {
  const bytes = given ?? SEGMENT_BYTES_DEFAULT
  return Number.isInteger(bytes) && bytes >= SEGMENT_BYTES_MIN && bytes <= SEGMENT_BYTES_MAX
    ? Effect.succeed(bytes)
    : Effect.fail(
      new InvalidInput({
        reason: "InvalidLimit",
        path: "segmentBytes",
        detail: `expected a whole number from ${SEGMENT_BYTES_MIN} to ${SEGMENT_BYTES_MAX}`
      })
    )
}

const checkParent = Effect.fnUntraced(function*(
  storage: BackupStorage["Service"],
  id: string,
  parent: BackupManifest,
  incarnation: string
): Effect.fn.Return<void, BackupChainBroken | BackupStorageError> {
  const refuse = (detail: string) => new BackupChainBroken({ id, parentId: parent.id, detail })
  if (parent.incarnation !== incarnation) {
    return yield* refuse(`it is of the history ${parent.incarnation}, the store is of ${incarnation}`)
  }
  const found = yield* storage.stat(manifestFile(parent.id))
  if (found._tag === "None") return yield* refuse(`it is not in ${storage.location}`)
})

const describeSettings = (
  { compression, encryption, signing }: Effect.Success<ReturnType<typeof checkOptions>>,
  id: string
): Pick<BackupManifest, "compression" | "encryption" | "signedBy"> => ({
  compression,
  encryption: encryption === undefined
    ? undefined
    : { cipher: "aes-256-gcm", keyId: encryption.id, check: keyCheck(encryption.key, id) },
  signedBy: signing?.id
})

/** A place that lost or cut a segment is found now, not when the backup is needed. */
const checkStored = Effect.fnUntraced(function*(
  storage: BackupStorage["Service"],
  id: string,
  entries: ReadonlyArray<SegmentEntry>
): Effect.fn.Return<void, BackupStorageError> {
  const sizes = (yield* Stream.runCollect(storage.list(`${id}.`))).map(({ bytes }) => bytes)
  const expected = entries.map(({ fileBytes }) => fileBytes)
  if (sizes.length === expected.length && sizes.every((bytes, index) => bytes === expected[index])) return
  return yield* new BackupStorageError({
    operation: "list",
    location: storage.location,
    name: id,
    reason: "Failed",
    detail: "the segments that are there are not those that were stored"
  })
})
