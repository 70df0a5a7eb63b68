/**
 * A backup and those that it goes on from.
 */
import * as Effect from "effect/Effect"
import { addDigests } from "../../store/EventDigest.ts"
import {
  BackupChainBroken,
  BackupCorrupt,
  type BackupKeyInvalid,
  BackupKeyMissing,
  BackupKeyWrong,
  type BackupNotFound,
  type BackupStorageError
} from "../BackupError.ts"
import type { BackupKeys } from "../BackupKeys.ts"
import type { BackupManifest, SegmentEntry } from "../BackupManifest.ts"
import type { BackupStorage } from "../BackupStorage.ts"
import { BytesFault } from "./bytes.ts"
import { encryptionKeyOf, keyCheck } from "./crypto.ts"
import { loadManifest, loadSegmentFile } from "./files.ts"
import type { ManifestFault } from "./manifest.ts"
import { manifestFile, segmentFile } from "./names.ts"
import { asBuffer, type ExpectedSegment, findFault, open, type SegmentFault, startOfChain } from "./segment.ts"

type Storage = BackupStorage["Service"]

/** Reads the manifests of a backup and of all that it goes on from, the full one first. */
export const loadChain = Effect.fnUntraced(function*(
  storage: Storage,
  id: string,
  keys: BackupKeys
): Effect.fn.Return<
  ReadonlyArray<BackupManifest>,
  ManifestFault | BackupChainBroken | BackupNotFound | BackupStorageError
> {
  const chain = [yield* loadManifest(storage, id, keys)]
  for (let child = chain[0]; child?.parent !== undefined; child = chain[0]) {
    const { id: childId, parent } = child
    const broken = (detail: string) => new BackupChainBroken({ id: childId, parentId: parent.id, detail })
    if (chain.some((manifest) => manifest.id === parent.id)) return yield* broken("the chain leads back to itself")
    const found = yield* Effect.catchTag(
      loadManifest(storage, parent.id, keys),
      "BackupNotFound",
      () => Effect.fail(broken(`it is not in ${storage.location}`))
    )
    const fault = findBreak(child, found)
    if (fault !== undefined) return yield* broken(fault)
    chain.unshift(found)
  }
  return chain
})

/** Says why a backup does not go on from another one; `undefined` when it does. */
const findBreak = (child: BackupManifest, parent: BackupManifest): string | undefined => {
  if (child.parent?.chain !== parent.chain) return "its hashes are not those that the backup was made on"
  if (child.incarnation !== parent.incarnation) {
    return `it is of the history ${parent.incarnation}, the backup is of ${child.incarnation}`
  }
  if (child.after !== parent.until) return `it ends at position ${parent.until}, the backup begins after ${child.after}`
  return addDigests(parent.total, child.events).digest === child.total.digest
    ? undefined
    : "their digests of events do not add up"
}

/** What is needed to open the segments of a backup. */
export interface Opener {
  readonly manifest: BackupManifest
  readonly encryption: ExpectedSegment["encryption"]
}

/** Finds the key of a backup, and proves that it is the right one. */
export const makeOpener = Effect.fnUntraced(function*(
  manifest: BackupManifest,
  keys: BackupKeys
): Effect.fn.Return<Opener, BackupKeyMissing | BackupKeyWrong | BackupKeyInvalid> {
  if (manifest.encryption === undefined) return { manifest, encryption: undefined }
  const { check, keyId } = manifest.encryption
  const file = manifestFile(manifest.id)
  const given = keys.encryption?.find(({ id }) => id === keyId)
  if (given === undefined) return yield* new BackupKeyMissing({ file, keyId })
  const key = yield* encryptionKeyOf(given)
  if (keyCheck(key, manifest.id) !== check) return yield* new BackupKeyWrong({ file, keyId })
  return { manifest, encryption: { keyId, key } }
})

/** What the manifest says of a segment. */
export const expectedOf = ({ encryption, manifest }: Opener, entry: SegmentEntry): ExpectedSegment => ({
  backupId: manifest.id,
  entry,
  predecessor: entry.number === 1
    ? startOfChain(manifest.id, manifest.parent?.chain)
    : manifest.segments[entry.number - 2]?.chain ?? "",
  codec: manifest.compression.codec,
  encryption
})

/** Says what is wrong with the file of a segment as far as that can be told without its key; `undefined` when nothing is. */
export const findFileFault = (
  bytes: Uint8Array,
  manifest: BackupManifest,
  entry: SegmentEntry
): SegmentFault | undefined => {
  const encryption = manifest.encryption === undefined ? undefined : { keyId: manifest.encryption.keyId, key: NO_KEY }
  return findFault(asBuffer(bytes), expectedOf({ manifest, encryption }, entry))
}

/** Reads and proves a segment, and returns the bytes of its rows. */
export const loadSegment = (
  storage: Storage,
  opener: Opener,
  entry: SegmentEntry
): Effect.Effect<Buffer, SegmentFault | BackupStorageError> =>
  Effect.flatMap(
    loadSegmentFile(storage, opener.manifest.id, entry),
    (bytes) => open(bytes, expectedOf(opener, entry))
  )

/** Reads records one after the other; what the bytes are not becomes an error that names the record. */
export interface RecordCursor<Reader> {
  /** Records that were read. */
  read: number
  readonly open: () => Reader
  reader: Reader | undefined
}

/** Makes a cursor before the first record; `open` fails with a `BytesFault`, when it is read. */
export const makeCursor = <Reader>(open: () => Reader): RecordCursor<Reader> => ({ read: 0, open, reader: undefined })

/** Runs `step` for each record until it has read so many, or all. */
export const readRecords = <Reader extends { readonly isAtEnd: boolean }>(
  cursor: RecordCursor<Reader>,
  { backupId, entry }: { readonly backupId: string; readonly entry: SegmentEntry },
  most: number,
  step: (reader: Reader) => void
): BackupCorrupt | undefined => {
  const last = Math.min(entry.records, cursor.read + most)
  const fault = (detail: string) =>
    new BackupCorrupt({
      file: segmentFile(backupId, entry.number),
      offset: undefined,
      length: undefined,
      position: entry.kind === "events" ? entry.first + cursor.read : undefined,
      detail: `record ${cursor.read + 1} of ${entry.records}: ${detail}`
    })
  let reader: Reader
  try {
    reader = cursor.reader ??= cursor.open()
    for (; cursor.read < last; cursor.read++) step(reader)
  } catch (error) {
    if (!(error instanceof BytesFault)) throw error
    return fault(error.message)
  }
  return cursor.read === entry.records && !reader.isAtEnd
    ? fault("there are more records than the manifest declares")
    : undefined
}

// internal

const NO_KEY = new Uint8Array()
