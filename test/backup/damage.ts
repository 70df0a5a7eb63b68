import { Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import {
  type BackupFault,
  type BackupKeys,
  type BackupManifest,
  BackupReader,
  BackupVerification
} from "../../src/backup/index.ts"
import {
  at,
  encryptionKey,
  filesOf,
  makePlace,
  placeOf,
  signingKeys,
  writeBackup,
  type WriteOptions
} from "./fixtures.ts"

export type Files = ReadonlyMap<string, Buffer>

export const { signing, trusted } = signingKeys()

export const keys: BackupKeys = { encryption: [encryptionKey()], trusted }

/** A backup, and its files. */
export const backup = (
  options: WriteOptions = {}
): Effect.Effect<{ readonly manifest: BackupManifest; readonly files: Files }> =>
  Effect.orDie(Effect.gen(function*() {
    const storage = yield* makePlace
    const manifest = yield* at(storage, writeBackup({ encryption: encryptionKey(), signing, ...options }))
    return { manifest, files: yield* filesOf(storage) }
  }))

export const verify = (id: string, files: Iterable<readonly [string, Uint8Array]>, given = keys) =>
  Effect.flatMap(Effect.orDie(placeOf(files)), (storage) => at(storage, BackupVerification.verify(id, { keys: given })))

export const fileOf = (fault: BackupFault): string => "file" in fault ? fault.file : fault._tag

/** What reading everything fails with. */
export const readAll = (id: string, files: Iterable<readonly [string, Uint8Array]>, given = keys) =>
  Effect.flatMap(Effect.orDie(placeOf(files)), (storage) =>
    Effect.flip(at(
      storage,
      Effect.flatMap(BackupReader.open(id, given), (reader) => Stream.runDrain(reader.events()))
    )))

export const segmentsOf = (files: Files): ReadonlyArray<string> =>
  [...files.keys()].filter((name) => name.endsWith(".esb"))

export const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex")

interface SegmentJson {
  number: unknown
  records: number
  first: number
  firstRecordedAt: number
  lastRecordedAt: number
  plainBytes: number
  fileBytes: number
  sha256: unknown
  chain: unknown
}

/** A manifest in the hands of somebody who means no good. */
export interface Json {
  id: unknown
  version: unknown
  kind: unknown
  parent: unknown
  incarnation?: unknown
  startedAt: unknown
  after: number
  until: number
  events: { count: number; digest: string }
  total: { count: number; digest: string }
  counts: { streams: number }
  compression: { codec: unknown }
  encryption: { keyId: unknown }
  segments: Array<SegmentJson>
  chain: unknown
  extra?: unknown
}

/** A manifest that was changed by somebody who knows the format, but not the key of the signature. */
export const forge = (bytes: Buffer, change: (json: Json) => void, keepSignature = false): Buffer => {
  const lines = bytes.toString().split("\n")
  const json = JSON.parse(lines[0]!)
  change(json)
  const rest = keepSignature && lines.length === 4 ? `${lines[1]}\n` : ""
  const signed = `${JSON.stringify(json)}\n${rest}`
  return Buffer.from(`${signed}sha256 ${sha256(signed)}\n`)
}
