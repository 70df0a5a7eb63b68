/**
 * One segment: a header of 256 bytes, the body, and a CRC-32 of each block of
 * the body. `docs/backup-format.md` has it byte by byte.
 *
 * Every byte is under a hash: the body and its CRCs under the SHA-256 in the
 * header, the header under its own at its end, which is the segment's link of
 * the chain, and stands in the manifest and in the next segment's header.
 */
import * as Effect from "effect/Effect"
import { TRANSFER_KINDS, type TransferKind } from "../../store/LogTransfer.ts"
import { BackupCorrupt, BackupFormatUnknown } from "../BackupError.ts"
import { type BackupCodec, type BackupCompression, FORMAT_VERSION, type SegmentEntry } from "../BackupManifest.ts"
import { compress, crc32, decompress } from "./compression.ts"
import { decrypt, encrypt, randomNonce, sha256, sha256Hex } from "./crypto.ts"
import { segmentFile } from "./names.ts"

const HEADER_BYTES = 256

/** Bytes of the body that one CRC-32 is of: how exactly damage is located. */
const BLOCK_BYTES = 16 * 1024

/** What a segment holds before it becomes a file. */
export interface PlainSegment extends Omit<SegmentEntry, "plainBytes" | "fileBytes" | "sha256" | "chain"> {
  readonly backupId: string
  readonly plain: Buffer
  /** Link of the segment before. */
  readonly predecessor: string
}

export interface SealedSegment {
  readonly entry: SegmentEntry
  readonly file: string
  readonly bytes: Buffer
}

/** Makes the file of a segment. */
export const seal = (
  segment: PlainSegment,
  compression: BackupCompression,
  key: Uint8Array | undefined
): Effect.Effect<SealedSegment> =>
  Effect.map(compress(segment.plain, compression.codec, compression.level), (packed) => {
    const nonce = key === undefined ? undefined : randomNonce()
    const header = writeHeader({
      ...segment,
      codec: compression.codec,
      isEncrypted: key !== undefined,
      plainBytes: segment.plain.length,
      bodyBytes: packed.length
    }, nonce)
    const sealed = key === undefined || nonce === undefined
      ? undefined
      : encrypt(key, nonce, header.subarray(0, CONTEXT_BYTES), packed)
    const body = sealed?.bytes ?? packed
    const blocks = crcsOf(body)
    const payload = Buffer.concat([body, blocks])
    sealed?.tag.copy(header, AT.tag)
    header.writeUInt32LE(crc32(blocks), AT.blocksCrc)
    sha256(payload).copy(header, AT.payloadHash)
    const chain = sha256(header.subarray(0, AT.headerHash))
    chain.copy(header, AT.headerHash)
    const bytes = Buffer.concat([header, payload])
    const { first, firstRecordedAt, kind, last, lastRecordedAt, number, records } = segment
    return {
      file: segmentFile(segment.backupId, number),
      bytes,
      entry: {
        number,
        kind,
        records,
        first,
        last,
        firstRecordedAt,
        lastRecordedAt,
        plainBytes: segment.plain.length,
        fileBytes: bytes.length,
        sha256: sha256Hex(bytes),
        chain: chain.toString("hex")
      }
    }
  })

/** What the manifest says of a segment, and of the backup. */
export interface ExpectedSegment {
  readonly backupId: string
  readonly entry: SegmentEntry
  readonly predecessor: string
  readonly codec: BackupCodec
  /** `undefined` when the backup is not encrypted. */
  readonly encryption: { readonly keyId: string; readonly key: Uint8Array } | undefined
}

export type SegmentFault = BackupCorrupt | BackupFormatUnknown

/** Proves the file of a segment, and returns the bytes of its rows. */
export const open = (
  given: Uint8Array,
  expected: ExpectedSegment
): Effect.Effect<Buffer, SegmentFault> => {
  const bytes = asBuffer(given)
  const fault = findFault(bytes, expected)
  if (fault !== undefined) return Effect.fail(fault)
  const { encryption, entry } = expected
  const header = bytes.subarray(0, HEADER_BYTES)
  const bodyBytes = bodyBytesOf(entry)
  const stored = bytes.subarray(HEADER_BYTES, HEADER_BYTES + bodyBytes)
  const packed = encryption === undefined ? stored : decrypt(
    encryption.key,
    header.subarray(AT.nonce, AT.nonce + NONCE_BYTES),
    header.subarray(0, CONTEXT_BYTES),
    { bytes: stored, tag: header.subarray(AT.tag, AT.tag + TAG_BYTES) }
  )
  const corrupt = corruptAt(expected)
  if (packed === undefined) {
    return Effect.fail(
      corrupt(HEADER_BYTES, bodyBytes, "the body is not what was encrypted with the key for this place")
    )
  }
  return decompress(packed, expected.codec, entry.plainBytes).pipe(
    Effect.mapError(() =>
      corrupt(
        HEADER_BYTES,
        bodyBytes,
        `the body does not inflate to the ${entry.plainBytes} bytes that the manifest declares`
      )
    ),
    Effect.filterOrFail(
      (plain) => plain.length === entry.plainBytes,
      (plain) =>
        corrupt(
          HEADER_BYTES,
          bodyBytes,
          `the body inflates to ${plain.length} bytes, the manifest declares ${entry.plainBytes}`
        )
    )
  )
}

/** Says what is wrong with the bytes of a file, and where; `undefined` when nothing is. */
export const findFault = (bytes: Buffer, expected: ExpectedSegment): SegmentFault | undefined => {
  const { entry } = expected
  const corrupt = corruptAt(expected)
  const bodyBytes = bodyBytesOf(entry)
  if (bodyBytes < 0 || fileBytesOf(bodyBytes) !== entry.fileBytes) {
    return corrupt(undefined, undefined, `no segment has the ${entry.fileBytes} bytes that the manifest declares`)
  }
  const header = bytes.subarray(0, HEADER_BYTES)
  if (header.length < HEADER_BYTES) {
    return corrupt(
      header.length,
      undefined,
      `the file is cut short: it has ${bytes.length} of ${entry.fileBytes} bytes`
    )
  }
  const fault = findHeaderFault(header, expected, bodyBytes)
  if (fault !== undefined) return fault
  if (bytes.length < entry.fileBytes) {
    return corrupt(bytes.length, undefined, `the file is cut short: it has ${bytes.length} of ${entry.fileBytes} bytes`)
  }
  if (bytes.length > entry.fileBytes) {
    return corrupt(entry.fileBytes, undefined, `the file has more than its ${entry.fileBytes} bytes`)
  }
  const payload = bytes.subarray(HEADER_BYTES)
  if (!sha256(payload).equals(header.subarray(AT.payloadHash, AT.headerHash))) {
    return findPayloadFault(payload, bodyBytes, header.readUInt32LE(AT.blocksCrc), corrupt)
  }
  return sha256Hex(bytes) === entry.sha256
    ? undefined
    : corrupt(undefined, undefined, "the file is whole, but its SHA-256 in the manifest is another one")
}

/** The same bytes, not a copy. */
export const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The link before the first segment: it ties the chain to the backup and to the one it goes on from. */
export const startOfChain = (backupId: string, parentChain: string | undefined): string =>
  sha256Hex(`effect-event-store/backup/1\n${backupId}\n${parentChain ?? ""}`)

// internal

const MAGIC = Buffer.from("\x89ESB\r\n\x1a\n", "latin1")

/** The part of the header that the encryption of the body authenticates. */
const CONTEXT_BYTES = 160

const NONCE_BYTES = 12
const TAG_BYTES = 16
const CRC_BYTES = 4

/** Where the values of the header stand. */
const AT = {
  magic: 0,
  version: 8,
  kind: 10,
  codec: 11,
  cipher: 12,
  backupId: 16,
  number: 64,
  records: 72,
  first: 80,
  last: 88,
  plainBytes: 96,
  bodyBytes: 104,
  predecessor: 112,
  nonce: 144,
  tag: 160,
  blocksCrc: 176,
  payloadHash: 192,
  headerHash: 224
} as const

const CODECS: ReadonlyArray<BackupCodec> = ["none", "gzip", "zstd"]

interface HeaderValues {
  readonly backupId: string
  readonly kind: TransferKind
  readonly codec: BackupCodec
  readonly isEncrypted: boolean
  readonly number: number
  readonly records: number
  readonly first: number
  readonly last: number
  readonly plainBytes: number
  readonly bodyBytes: number
  readonly predecessor: string
}

/** Writes what is known before the body is; what is not given stays 0. */
const writeHeader = (values: HeaderValues, nonce: Uint8Array | undefined): Buffer => {
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header, AT.magic)
  header.writeUInt16LE(FORMAT_VERSION, AT.version)
  header[AT.kind] = TRANSFER_KINDS.indexOf(values.kind) + 1
  header[AT.codec] = CODECS.indexOf(values.codec)
  header[AT.cipher] = values.isEncrypted ? 1 : 0
  header.write(values.backupId, AT.backupId, "latin1")
  writeUint64(header, values.number, AT.number)
  writeUint64(header, values.records, AT.records)
  writeUint64(header, values.first, AT.first)
  writeUint64(header, values.last, AT.last)
  writeUint64(header, values.plainBytes, AT.plainBytes)
  writeUint64(header, values.bodyBytes, AT.bodyBytes)
  header.write(values.predecessor, AT.predecessor, "hex")
  if (nonce !== undefined) header.set(nonce, AT.nonce)
  return header
}

const writeUint64 = (buffer: Buffer, value: number, at: number): void => {
  buffer.writeUInt32LE(value % 2 ** 32, at)
  buffer.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4)
}

const crcsOf = (body: Buffer): Buffer => {
  const crcs = Buffer.alloc(Math.ceil(body.length / BLOCK_BYTES) * CRC_BYTES)
  for (let block = 0; block * BLOCK_BYTES < body.length; block++) {
    crcs.writeUInt32LE(crc32(body.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES)), block * CRC_BYTES)
  }
  return crcs
}

const fileBytesOf = (bodyBytes: number): number =>
  HEADER_BYTES + bodyBytes + Math.ceil(bodyBytes / BLOCK_BYTES) * CRC_BYTES

/** The one size of a body that makes a file of this size. */
const bodyBytesOf = ({ fileBytes }: SegmentEntry): number => {
  const payload = fileBytes - HEADER_BYTES
  return payload - Math.ceil(payload / (BLOCK_BYTES + CRC_BYTES)) * CRC_BYTES
}

const corruptAt =
  ({ backupId, entry }: ExpectedSegment) =>
  (offset: number | undefined, length: number | undefined, detail: string): BackupCorrupt =>
    new BackupCorrupt({
      file: segmentFile(backupId, entry.number),
      offset,
      length,
      position: entry.kind === "events" ? entry.first : undefined,
      detail
    })

/**
 * Compares a header with the one that the manifest calls for: all of it is known
 * but for nonce, tag, CRC and the hash of the payload.
 */
const findHeaderFault = (
  header: Buffer,
  expected: ExpectedSegment,
  bodyBytes: number
): SegmentFault | undefined => {
  const { backupId, codec, encryption, entry, predecessor } = expected
  const corrupt = corruptAt(expected)
  const isWhole = sha256(header.subarray(0, AT.headerHash)).equals(header.subarray(AT.headerHash))
  if (isWhole && header.subarray(0, MAGIC.length).equals(MAGIC)) {
    const found = header.readUInt16LE(AT.version)
    if (found !== FORMAT_VERSION) {
      return new BackupFormatUnknown({ file: segmentFile(backupId, entry.number), found, supported: FORMAT_VERSION })
    }
    if (header.toString("hex", AT.headerHash) !== entry.chain) {
      const id = header.toString("latin1", AT.backupId, AT.number).replace(/\0+$/, "")
      const number = header.readUInt32LE(AT.number)
      return corrupt(
        undefined,
        undefined,
        id === backupId && number === entry.number
          ? "the file is whole, but is another one than the manifest calls for"
          : `the file is segment ${number} of backup ${id}`
      )
    }
  }
  const ideal = writeHeader({
    ...entry,
    backupId,
    codec,
    isEncrypted: encryption !== undefined,
    bodyBytes,
    predecessor
  }, undefined)
  header.copy(ideal, AT.nonce, AT.nonce, encryption === undefined ? AT.nonce : AT.nonce + NONCE_BYTES)
  header.copy(ideal, AT.tag, AT.tag, encryption === undefined ? AT.tag : AT.tag + TAG_BYTES)
  header.copy(ideal, AT.blocksCrc, AT.blocksCrc, AT.blocksCrc + CRC_BYTES)
  header.copy(ideal, AT.payloadHash, AT.payloadHash, AT.headerHash)
  ideal.write(entry.chain, AT.headerHash, "hex")
  const at = ideal.findIndex((byte, index) => byte !== header[index])
  if (at >= 0) return corrupt(at, 1, "the header is damaged")
  return isWhole ? undefined : corrupt(AT.nonce, AT.headerHash - AT.nonce, "the header is damaged")
}

const findPayloadFault = (
  payload: Buffer,
  bodyBytes: number,
  blocksCrc: number,
  corrupt: ReturnType<typeof corruptAt>
): BackupCorrupt => {
  const body = payload.subarray(0, bodyBytes)
  const stored = payload.subarray(bodyBytes)
  if (crc32(stored) !== blocksCrc) {
    return corrupt(HEADER_BYTES + bodyBytes, stored.length, "the checksums after the body are damaged")
  }
  const actual = crcsOf(body)
  const at = actual.findIndex((byte, index) => byte !== stored[index])
  if (at < 0) return corrupt(HEADER_BYTES, payload.length, "the body is not what was written")
  const start = Math.floor(at / CRC_BYTES) * BLOCK_BYTES
  return corrupt(HEADER_BYTES + start, Math.min(BLOCK_BYTES, bodyBytes - start), "the body is damaged")
}
