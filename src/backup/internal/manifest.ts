/**
 * The manifest as a file: one line of JSON, maybe a line with its signature, and
 * a line with the SHA-256 of all before.
 *
 * There is one way to write a manifest: what is read is written again, and has
 * to be the same bytes.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { KeyObject } from "node:crypto"
import { TRANSFER_KINDS } from "../../store/LogTransfer.ts"
import { BackupCorrupt, BackupFormatUnknown, type BackupKeyInvalid, BackupSignatureInvalid } from "../BackupError.ts"
import type { BackupKeys } from "../BackupKeys.ts"
import {
  type BackupManifest,
  FORMAT_VERSION,
  MANIFEST_BYTES_MAX,
  SEGMENT_FILE_BYTES_MAX,
  SEGMENT_PLAIN_BYTES_MAX
} from "../BackupManifest.ts"
import { isSignedBy, KEY_ID, sha256Hex, signBytes, trustedKeyOf } from "./crypto.ts"
import { BACKUP_ID, manifestFile } from "./names.ts"
import { asBuffer, startOfChain } from "./segment.ts"

export type ManifestFault = BackupCorrupt | BackupFormatUnknown | BackupSignatureInvalid | BackupKeyInvalid

/** Writes the file. */
export const encodeManifest = (
  manifest: BackupManifest,
  signing: { readonly id: string; readonly key: KeyObject } | undefined
): Buffer => {
  const body = Buffer.from(`${JSON.stringify(toJson(manifest))}\n`)
  const signed = signing === undefined
    ? body
    : Buffer.concat([
      body,
      Buffer.from(`ed25519 ${signing.id} ${signBytes(signing.key, body).toString("base64url")}\n`)
    ])
  return Buffer.concat([signed, Buffer.from(`sha256 ${sha256Hex(signed)}\n`)])
}

/** Proves the file, and reads it. */
export const decodeManifest = Effect.fnUntraced(function*(
  id: string,
  given: Uint8Array,
  keys: BackupKeys
): Effect.fn.Return<BackupManifest, ManifestFault> {
  const file = manifestFile(id)
  const bytes = asBuffer(given)
  const corrupt = (detail: string, offset?: number, length?: number) =>
    new BackupCorrupt({ file, offset, length, position: undefined, detail })

  if (bytes.length > MANIFEST_BYTES_MAX) return yield* corrupt(`it has more than ${MANIFEST_BYTES_MAX} bytes`)
  const trailer = bytes.subarray(Math.max(0, bytes.length - TRAILER_BYTES)).toString("latin1")
  if (!TRAILER.test(trailer)) {
    return yield* corrupt(
      "it does not end with its SHA-256: it is damaged there, or cut short",
      bytes.length - trailer.length,
      trailer.length
    )
  }
  const signed = bytes.subarray(0, bytes.length - TRAILER_BYTES)
  if (sha256Hex(signed) !== trailer.slice(7, -1)) return yield* findDamage(bytes, corrupt)
  const bodyEnd = signed.indexOf(NEWLINE) + 1
  const body = signed.subarray(0, bodyEnd)
  const json = Result.try(() => JSON.parse(body.toString()) as unknown)
  if (Result.isFailure(json)) return yield* corrupt("its first line is not JSON", 0, bodyEnd)

  const head = Schema.decodeUnknownResult(Head)(json.success)
  if (Result.isFailure(head)) return yield* corrupt("it is no manifest of a backup", 0, bodyEnd)
  if (head.success.version !== FORMAT_VERSION) {
    return yield* new BackupFormatUnknown({ file, found: head.success.version, supported: FORMAT_VERSION })
  }
  const decoded = Schema.decodeUnknownResult(ManifestJson)(json.success, { onExcessProperty: "error" })
  if (Result.isFailure(decoded)) {
    return yield* corrupt(
      `it is no manifest of this version: ${decoded.failure.message.split("\n").join(" ")}`,
      0,
      bodyEnd
    )
  }
  const signature = yield* readSignature(signed.subarray(bodyEnd).toString("latin1"), corrupt, bodyEnd)
  const manifest = fromJson(decoded.success, signature?.keyId)
  if (manifest === undefined || !Buffer.from(`${JSON.stringify(toJson(manifest))}\n`).equals(body)) {
    return yield* corrupt("its first line is not written as a manifest is", 0, bodyEnd)
  }
  if (manifest.id !== id) return yield* corrupt(`it is the manifest of backup ${manifest.id}`)
  const contradiction = findContradiction(manifest)
  if (contradiction !== undefined) return yield* corrupt(contradiction, 0, bodyEnd)
  yield* checkSignature(file, body, signature, keys)
  return manifest
})

// internal

const NEWLINE = 10

/** `sha256 `, 64 digits, a newline. */
const TRAILER_BYTES = 72
const TRAILER = /^sha256 [0-9a-f]{64}\n$/

/** `ed25519 `, the key's id, 64 bytes in base64url. */
const SIGNATURE = /^ed25519 ([0-9A-Za-z._-]{1,64}) ([0-9A-Za-z_-]{86})\n$/

interface Signature {
  readonly keyId: string
  readonly bytes: Buffer
}

const readSignature = (
  line: string,
  corrupt: (detail: string, offset: number, length: number) => BackupCorrupt,
  offset: number
): Effect.Effect<Signature | undefined, BackupCorrupt> => {
  if (line === "") return Effect.undefined
  const match = SIGNATURE.exec(line)
  const bytes = Buffer.from(match?.[2] ?? "", "base64url")
  // the last letter has bits that stand for nothing: one signature, one way to write it
  return match === null || bytes.toString("base64url") !== match[2]
    ? Effect.fail(corrupt("its second line is not a signature", offset, line.length))
    : Effect.succeed({ keyId: match[1] as string, bytes })
}

const checkSignature = Effect.fnUntraced(function*(
  file: string,
  body: Uint8Array,
  signature: Signature | undefined,
  { trusted }: BackupKeys
): Effect.fn.Return<void, BackupSignatureInvalid | BackupKeyInvalid> {
  if (trusted === undefined) return
  const keyId = signature?.keyId
  const refuse = (detail: string) => new BackupSignatureInvalid({ file, keyId, detail })
  if (signature === undefined) return yield* refuse("it is not signed, and only signed backups are trusted")
  const key = trusted.find(({ id }) => id === keyId)
  if (key === undefined) return yield* refuse(`it is signed with the key ${keyId}, which is not among the trusted ones`)
  if (!isSignedBy(yield* trustedKeyOf(key), body, signature.bytes)) {
    return yield* refuse(`its signature is not by the key ${keyId}, or the manifest was changed`)
  }
})

/** Tells in which of its lines a manifest is damaged, as far as that can be told. */
const findDamage = (
  bytes: Buffer,
  corrupt: (detail: string, offset: number, length: number) => BackupCorrupt
): BackupCorrupt => {
  const bodyEnd = bytes.indexOf(NEWLINE) + 1
  const rest = bytes.subarray(bodyEnd, bytes.length - TRAILER_BYTES)
  const isFirstLineSound = Result.isSuccess(Result.flatMap(
    Result.try(() => JSON.parse(bytes.subarray(0, bodyEnd).toString()) as unknown),
    Schema.decodeUnknownResult(Head)
  ))
  const what = "its bytes are not those of its SHA-256: they, or the SHA-256, are damaged"
  if (!isFirstLineSound) return corrupt(what, 0, bodyEnd)
  if (rest.length > 0 && !SIGNATURE.test(rest.toString("latin1"))) return corrupt(what, bodyEnd, rest.length)
  return corrupt(what, 0, bytes.length)
}

/** What every version of the format begins with. */
const Head = Schema.Struct({ format: Schema.Literal("effect-event-store/backup"), version: Schema.Int })

const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
const Micros = Schema.Int
const Hash = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))
const Id = Schema.String.check(Schema.isPattern(BACKUP_ID))
const KeyId = Schema.String.check(Schema.isPattern(KEY_ID))
const Time = Schema.String.check(Schema.isPattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/))
const Digest = Schema.Struct({ count: Count, digest: Schema.String.check(Schema.isPattern(/^[0-9a-f]{16}$/)) })

const SegmentJson = Schema.Struct({
  number: Count,
  kind: Schema.Literals(["events", "streams", "snapshots", "checkpoints", "states", "parked"]),
  records: Count,
  first: Count,
  last: Count,
  firstRecordedAt: Micros,
  lastRecordedAt: Micros,
  plainBytes: Count.check(Schema.isLessThanOrEqualTo(SEGMENT_PLAIN_BYTES_MAX)),
  fileBytes: Count.check(Schema.isLessThanOrEqualTo(SEGMENT_FILE_BYTES_MAX)),
  sha256: Hash,
  chain: Hash
})

const ManifestJson = Schema.Struct({
  format: Schema.Literal("effect-event-store/backup"),
  version: Schema.Literal(FORMAT_VERSION),
  id: Id,
  kind: Schema.Literals(["full", "incremental"]),
  parent: Schema.NullOr(Schema.Struct({ id: Id, chain: Hash })),
  incarnation: Schema.String,
  startedAt: Time,
  completedAt: Time,
  after: Count,
  until: Count,
  events: Digest,
  total: Digest,
  counts: Schema.Struct({
    events: Count,
    streams: Count,
    snapshots: Count,
    checkpoints: Count,
    states: Count,
    parked: Count
  }),
  compression: Schema.Struct({ codec: Schema.Literals(["none", "gzip", "zstd"]), level: Count }),
  encryption: Schema.NullOr(Schema.Struct({
    cipher: Schema.Literal("aes-256-gcm"),
    keyId: KeyId,
    check: Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/))
  })),
  segments: Schema.Array(SegmentJson),
  chain: Hash
})

/** Every object is made anew, with its keys in the order of the format. */
const toJson = (manifest: BackupManifest): typeof ManifestJson.Type => ({
  format: "effect-event-store/backup",
  version: FORMAT_VERSION,
  id: manifest.id,
  kind: manifest.kind,
  parent: manifest.parent === undefined ? null : { id: manifest.parent.id, chain: manifest.parent.chain },
  incarnation: manifest.incarnation,
  startedAt: DateTime.formatIso(manifest.startedAt),
  completedAt: DateTime.formatIso(manifest.completedAt),
  after: manifest.after,
  until: manifest.until,
  events: { count: manifest.events.count, digest: manifest.events.digest },
  total: { count: manifest.total.count, digest: manifest.total.digest },
  counts: {
    events: manifest.counts.events,
    streams: manifest.counts.streams,
    snapshots: manifest.counts.snapshots,
    checkpoints: manifest.counts.checkpoints,
    states: manifest.counts.states,
    parked: manifest.counts.parked
  },
  compression: { codec: manifest.compression.codec, level: manifest.compression.level },
  encryption: manifest.encryption === undefined
    ? null
    : { cipher: manifest.encryption.cipher, keyId: manifest.encryption.keyId, check: manifest.encryption.check },
  segments: manifest.segments.map((segment) => ({
    number: segment.number,
    kind: segment.kind,
    records: segment.records,
    first: segment.first,
    last: segment.last,
    firstRecordedAt: segment.firstRecordedAt,
    lastRecordedAt: segment.lastRecordedAt,
    plainBytes: segment.plainBytes,
    fileBytes: segment.fileBytes,
    sha256: segment.sha256,
    chain: segment.chain
  })),
  chain: manifest.chain
})

const fromJson = (json: typeof ManifestJson.Type, signedBy: string | undefined): BackupManifest | undefined => {
  const { encryption, format: _format, parent, version: _version, ...rest } = json
  const startedAt = Option.getOrUndefined(DateTime.make(json.startedAt))
  const completedAt = Option.getOrUndefined(DateTime.make(json.completedAt))
  if (startedAt === undefined || completedAt === undefined) return undefined
  return {
    ...rest,
    parent: parent ?? undefined,
    encryption: encryption ?? undefined,
    startedAt: DateTime.toUtc(startedAt),
    completedAt: DateTime.toUtc(completedAt),
    signedBy
  }
}

/** Says where a manifest contradicts itself. Whoever can write a SHA-256 can write such a one. */
const findContradiction = (manifest: BackupManifest): string | undefined => {
  const { after, chain, counts, events, id, kind, parent, segments, total, until } = manifest
  if ((kind === "full") !== (parent === undefined)) return "a full backup has no parent, an incremental one has one"
  if (kind === "full" && (after !== 0 || total.count !== events.count || total.digest !== events.digest)) {
    return "a full backup begins with the first event"
  }
  if (events.count !== until - after || total.count !== until) {
    return "its counts of events are not those of its positions"
  }
  const sums = { events: 0, streams: 0, snapshots: 0, checkpoints: 0, states: 0, parked: 0 }
  let position = after
  let kindIndex = 0
  for (const [index, segment] of segments.entries()) {
    const name = `segment ${segment.number}`
    if (segment.number !== index + 1) return `${name} stands in place ${index + 1}`
    if (TRANSFER_KINDS.indexOf(segment.kind) < kindIndex) return `${name} has ${segment.kind} behind later kinds`
    kindIndex = TRANSFER_KINDS.indexOf(segment.kind)
    if (segment.records === 0) return `${name} is empty`
    if (segment.kind === "events") {
      if (segment.first !== position + 1 || segment.last !== position + segment.records) {
        return `${name} does not begin where the one before ends`
      }
      position = segment.last
    } else if (segment.first !== 0 || segment.last !== 0) return `${name} has positions, but no events`
    sums[segment.kind] += segment.records
  }
  if (position !== until) return `its segments end at position ${position}, not at ${until}`
  for (const kind of TRANSFER_KINDS) {
    if (sums[kind] !== counts[kind]) return `its segments have ${sums[kind]} ${kind}, not ${counts[kind]}`
  }
  const end = segments.at(-1)?.chain ?? startOfChain(id, parent?.chain)
  return chain === end ? undefined : "its chain of hashes does not end as its last segment says"
}
