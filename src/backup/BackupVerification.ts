/**
 * Proves a backup without restoring it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { addDigests, EMPTY_DIGEST, type EventDigest, makeDigestTally } from "../store/EventDigest.ts"
import { BackupCorrupt, type BackupFault, type BackupStorageError } from "./BackupError.ts"
import type { BackupKeys } from "./BackupKeys.ts"
import { type BackupManifest, backupSize, type SegmentEntry } from "./BackupManifest.ts"
import { BackupStorage } from "./BackupStorage.ts"
import { ByteReader, release } from "./internal/bytes.ts"
import {
  expectedOf,
  findFileFault,
  loadChain,
  makeCursor,
  makeOpener,
  type Opener,
  readRecords
} from "./internal/chain.ts"
import { addToTally } from "./internal/draft.ts"
import { EventsReader } from "./internal/eventColumns.ts"
import { loadManifest, loadSegmentFile } from "./internal/files.ts"
import { manifestFile, parseFile, segmentFile } from "./internal/names.ts"
import { readRecord } from "./internal/records.ts"
import { compareRevisions, makeRevisionCheck, type RevisionCheck } from "./internal/revisions.ts"
import { open } from "./internal/segment.ts"

/**
 * What a verification found.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerificationReport {
  readonly id: string
  /** The backups that were looked at, the full one first; empty when the manifest could not be read. */
  readonly backups: ReadonlyArray<string>
  readonly isSound: boolean
  /** The first 1,000 of what is wrong, in the order of the log; `faultCount` counts all. */
  readonly faults: ReadonlyArray<BackupFault>
  readonly faultCount: number
  /** Whether the rows were read; not when the key is missing. Hashes, sizes and chain were proved all the same. */
  readonly areRowsRead: boolean
  /** Events that were read, and their digest. */
  readonly events: EventDigest
  /** Which part of the streams had their revisions compared: 1, or less when there are more than fit into memory. */
  readonly revisionsShare: number
  readonly segments: number
  readonly plainBytes: number
  readonly fileBytes: number
}

/**
 * How far a verification has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerificationProgress {
  readonly segments: number
  readonly segmentsTotal: number
  readonly plainBytes: number
  readonly plainBytesTotal: number
}

/**
 * Options of {@link verify}.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyOptions {
  readonly keys?: BackupKeys | undefined
  /** Whether the backups that it goes on from are proved too; true when absent. */
  readonly wholeChain?: boolean | undefined
  /** Told after every segment. */
  readonly onProgress?: ((progress: VerificationProgress) => void) | undefined
}

/**
 * Proves a backup and all that it goes on from: signatures and hashes of every
 * byte, the chain, counts, positions, the order of times, the revisions of each
 * stream, and the digest of all events.
 *
 * **Details**
 *
 * Whatever is wrong with the backup is in the report, file by file; only a place
 * that cannot be read makes it fail. Memory is bounded by a few segments.
 *
 * @category operations
 * @since 0.1.0
 */
export const verify = Effect.fn("BackupVerification.verify")(function*(
  id: string,
  options: VerifyOptions = {}
): Effect.fn.Return<VerificationReport, BackupStorageError, BackupStorage> {
  const { keys = {}, onProgress, wholeChain = true } = options
  const storage = yield* BackupStorage
  const faults = makeFaultList()
  const manifests = yield* findManifests(storage, id, keys, wholeChain, faults)

  const segmentsTotal = manifests.reduce((sum, { segments }) => sum + segments.length, 0)
  const plainBytesTotal = manifests.reduce((sum, manifest) => sum + backupSize(manifest).plainBytes, 0)
  const progress = { segments: 0, plainBytes: 0 }
  const scan: Scan = {
    revisions: makeRevisionCheck(manifests[0]?.after === 0),
    share: 1,
    recordedAt: Number.MIN_SAFE_INTEGER,
    faults
  }
  let areRowsRead = manifests.length > 0
  let events = EMPTY_DIGEST

  for (const manifest of manifests) {
    const opener = yield* Effect.result(makeOpener(manifest, keys))
    if (Result.isFailure(opener)) faults.add(opener.failure)
    areRowsRead &&= Result.isSuccess(opener)
    const found = yield* verifyOne(storage, manifest, Result.getOrUndefined(opener), scan, (entry) => {
      progress.segments++
      progress.plainBytes += entry.plainBytes
      onProgress?.({ ...progress, segmentsTotal, plainBytesTotal })
    })
    events = addDigests(events, found)
  }

  return {
    id,
    backups: manifests.map((manifest) => manifest.id),
    isSound: faults.count() === 0,
    faults: faults.first,
    faultCount: faults.count(),
    areRowsRead,
    events,
    revisionsShare: Math.min(scan.share, scan.revisions.share()),
    segments: segmentsTotal,
    plainBytes: plainBytesTotal,
    fileBytes: manifests.reduce((sum, manifest) => sum + backupSize(manifest).fileBytes, 0)
  }
})

// internal

/** Faults that a report lists. */
const FAULTS_MAX = 1_000

type Storage = BackupStorage["Service"]

interface FaultList {
  readonly add: (fault: BackupFault) => void
  readonly first: ReadonlyArray<BackupFault>
  readonly count: () => number
}

const makeFaultList = (): FaultList => {
  const first: Array<BackupFault> = []
  let count = 0
  return {
    first,
    count: () => count,
    add: (fault) => {
      count++
      if (first.length < FAULTS_MAX) first.push(fault)
    }
  }
}

/** What goes from one segment to the next. */
interface Scan {
  revisions: RevisionCheck
  /** The smallest share of the checks before. */
  share: number
  recordedAt: number
  readonly faults: FaultList
}

/** Events were not seen: the revisions after them begin anywhere. */
const skipEvents = (scan: Scan): void => {
  scan.share = Math.min(scan.share, scan.revisions.share())
  scan.revisions = makeRevisionCheck(false)
}

const findManifests = Effect.fnUntraced(function*(
  storage: Storage,
  id: string,
  keys: BackupKeys,
  wholeChain: boolean,
  faults: FaultList
): Effect.fn.Return<ReadonlyArray<BackupManifest>, BackupStorageError> {
  if (wholeChain) {
    const chain = yield* Effect.result(loadChain(storage, id, keys))
    if (Result.isSuccess(chain)) return chain.success
    if (chain.failure._tag === "BackupStorageError") return yield* chain.failure
    faults.add(chain.failure)
  }
  // a chain that is broken above leaves this one, which is still worth a look
  const own = yield* Effect.result(loadManifest(storage, id, keys))
  if (Result.isSuccess(own)) return [own.success]
  if (own.failure._tag === "BackupStorageError") return yield* own.failure
  if (!wholeChain) faults.add(own.failure)
  return []
})

const verifyOne = Effect.fnUntraced(function*(
  storage: Storage,
  manifest: BackupManifest,
  opener: Opener | undefined,
  scan: Scan,
  onSegment: (entry: SegmentEntry) => void
): Effect.fn.Return<EventDigest, BackupStorageError> {
  const { faults } = scan
  const tally = makeDigestTally()
  const before = faults.count()
  yield* Stream.fromIterable(manifest.segments).pipe(
    // the next segment is loaded and inflated while the rows of this one are read
    Stream.mapEffect((entry) => Effect.map(prove(storage, manifest, opener, entry), (proof) => ({ entry, proof })), {
      concurrency: 2
    }),
    Stream.runForEach(({ entry, proof }) =>
      Effect.sync(() => {
        if (proof instanceof Uint8Array) {
          scanSegment(manifest, entry, proof as Buffer, tally, scan)
          release(proof)
        } else {
          if (proof !== undefined) faults.add(proof)
          if (entry.kind === "events") skipEvents(scan)
        }
        onSegment(entry)
      })
    )
  )
  const digest = tally.digest()
  const isWhole = opener !== undefined && faults.count() === before
  if (isWhole && (digest.count !== manifest.events.count || digest.digest !== manifest.events.digest)) {
    faults.add(corrupt(manifestFile(manifest.id), manifest.after + 1, "its digest is not that of its events"))
  }
  yield* findStrangers(storage, manifest, faults)
  return digest
})

/** The bytes of the rows, what is wrong with the file, or nothing when there is no key to read it. */
const prove = (
  storage: Storage,
  manifest: BackupManifest,
  opener: Opener | undefined,
  entry: SegmentEntry
): Effect.Effect<Buffer | BackupFault | undefined, BackupStorageError> =>
  loadSegmentFile(storage, manifest.id, entry).pipe(
    Effect.flatMap((bytes): Effect.Effect<Buffer | undefined, BackupFault> => {
      if (opener !== undefined) return open(bytes, expectedOf(opener, entry))
      const fault = findFileFault(bytes, manifest, entry)
      return fault === undefined ? Effect.undefined : Effect.fail(fault)
    }),
    Effect.catch((error): Effect.Effect<BackupFault, BackupStorageError> =>
      error._tag === "BackupStorageError" ? Effect.fail(error) : Effect.succeed(error)
    )
  )

const scanSegment = (
  manifest: BackupManifest,
  entry: SegmentEntry,
  plain: Buffer,
  tally: ReturnType<typeof makeDigestTally>,
  scan: Scan
): void => {
  const file = segmentFile(manifest.id, entry.number)
  const { faults } = scan
  const place = { backupId: manifest.id, entry }
  if (entry.kind !== "events") {
    const { kind } = entry
    const records = makeCursor(() => new ByteReader(plain))
    const fault = readRecords(records, place, entry.records, (reader) => readRecord(reader, kind))
    if (fault !== undefined) faults.add(fault)
    return
  }
  const cursor = makeCursor(() => new EventsReader(plain, entry))
  const fault = readRecords(cursor, place, entry.records, (events) => {
    events.visit()
    const { idAt, position, recordedAt, revision, revisionBefore } = events
    addToTally(tally, position, plain, idAt)
    const wrong = revisionBefore < 0 ? checkFirst(scan, plain, events) : compareRevisions(revision, revisionBefore)
    if (wrong !== undefined) faults.add(corrupt(file, position, wrong))
    if (position === entry.first && recordedAt !== entry.firstRecordedAt) {
      faults.add(corrupt(file, position, "its first event was recorded at another time than the manifest says"))
    }
    if (recordedAt < scan.recordedAt) faults.add(corrupt(file, position, "it was recorded before the event before"))
    scan.recordedAt = recordedAt
  })
  if (fault !== undefined) {
    faults.add(fault)
    return skipEvents(scan)
  }
  if (scan.recordedAt !== entry.lastRecordedAt) {
    faults.add(corrupt(file, entry.last, "its last event was recorded at another time than the manifest says"))
  }
  for (const { nameAt, nameEnd, revision } of cursor.reader?.streams ?? []) {
    scan.revisions.note(plain, nameAt, nameEnd, revision)
  }
}

/** The first event of its stream in the segment: the one before is in another segment, if there is one. */
const checkFirst = (scan: Scan, plain: Buffer, { revision, stream, streams }: EventsReader): string | undefined => {
  const name = streams[stream]
  return name === undefined ? undefined : scan.revisions.check(plain, name.nameAt, name.nameEnd, revision)
}

/** A file that bears the name of the backup and is none of its segments. */
const findStrangers = Effect.fnUntraced(function*(storage: Storage, manifest: BackupManifest, faults: FaultList) {
  const known = new Set(manifest.segments.map(({ number }) => segmentFile(manifest.id, number)))
  known.add(manifestFile(manifest.id))
  yield* Stream.runForEach(storage.list(`${manifest.id}.`), ({ name }) =>
    Effect.sync(() => {
      if (parseFile(name) !== undefined && !known.has(name)) {
        faults.add(corrupt(name, undefined, "the manifest does not know this file"))
      }
    }))
})

const corrupt = (file: string, position: number | undefined, detail: string): BackupCorrupt =>
  new BackupCorrupt({ file, offset: undefined, length: undefined, position, detail })
