/**
 * What a backup says of itself: what it holds, of which history, and the hashes
 * that prove it.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type { EventDigest } from "../store/EventDigest.ts"
import type { TransferKind } from "../store/LogTransfer.ts"

/**
 * The manifest of a backup.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupManifest {
  /** When it was begun, and 64 random bits: `20261121T170405Z-1f9c2ab47de01133`. */
  readonly id: string
  readonly kind: "full" | "incremental"
  /** The backup that this one goes on from; `undefined` for a full one. */
  readonly parent: BackupParent | undefined
  /** The history that was backed up. */
  readonly incarnation: string
  readonly startedAt: DateTime.Utc
  readonly completedAt: DateTime.Utc
  /** Position after which its events begin (exclusive); 0 for a full one. */
  readonly after: number
  /** Position of its last event (inclusive). */
  readonly until: number
  /** Of its own events. */
  readonly events: EventDigest
  /** Of all events from position 1 to `until`, those of its parents too. */
  readonly total: EventDigest
  /** Rows of each kind that it holds itself. */
  readonly counts: Readonly<Record<TransferKind, number>>
  readonly compression: BackupCompression
  readonly encryption: BackupEncryption | undefined
  readonly segments: ReadonlyArray<SegmentEntry>
  /** End of the chain of hashes: 64 hexadecimal digits. */
  readonly chain: string
  /** Id of the key by which it is signed; `undefined` when it is not. */
  readonly signedBy: string | undefined
}

/**
 * The backup that another one goes on from.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupParent {
  readonly id: string
  /** End of its chain of hashes. */
  readonly chain: string
}

/**
 * How segments are made smaller.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupCompression {
  readonly codec: BackupCodec
  /** 1 to 22 for `zstd`, 1 to 9 for `gzip`, 0 for `none`. */
  readonly level: number
}

/**
 * What makes segments smaller.
 *
 * @category models
 * @since 0.1.0
 */
export type BackupCodec = "none" | "gzip" | "zstd"

/**
 * How segments are encrypted.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupEncryption {
  readonly cipher: "aes-256-gcm"
  readonly keyId: string
  /** Tells a wrong key before anything is decrypted: 32 hexadecimal digits. */
  readonly check: string
}

/**
 * A segment of a backup: one file with rows of one kind.
 *
 * @category models
 * @since 0.1.0
 */
export interface SegmentEntry {
  /** From 1. */
  readonly number: number
  readonly kind: TransferKind
  readonly records: number
  /** Positions of its first and last event; 0 for other kinds. */
  readonly first: number
  readonly last: number
  /** When its first and last event were recorded, in microseconds since 1970; 0 for other kinds. */
  readonly firstRecordedAt: number
  readonly lastRecordedAt: number
  /** Bytes of its rows. */
  readonly plainBytes: number
  /** Bytes of its file. */
  readonly fileBytes: number
  /** SHA-256 of its file: 64 hexadecimal digits. */
  readonly sha256: string
  /** Its link of the chain of hashes: 64 hexadecimal digits. */
  readonly chain: string
}

/**
 * Counts the bytes of a backup: of its rows, and of the files of its segments.
 *
 * @category getters
 * @since 0.1.0
 */
export const backupSize = (
  { segments }: BackupManifest
): { readonly plainBytes: number; readonly fileBytes: number } => {
  let plainBytes = 0
  let fileBytes = 0
  for (const segment of segments) {
    plainBytes += segment.plainBytes
    fileBytes += segment.fileBytes
  }
  return { plainBytes, fileBytes }
}

/**
 * Version of the format that is written and read: `docs/backup-format.md`.
 *
 * @category constants
 * @since 0.1.0
 */
export const FORMAT_VERSION = 1

/**
 * Largest manifest that is read, in bytes: 64 MiB, about 200,000 segments.
 *
 * @category limits
 * @since 0.1.0
 */
export const MANIFEST_BYTES_MAX = 64 * 1024 * 1024

/**
 * Most bytes of rows that a segment may declare: 128 MiB. More is refused before
 * anything is inflated.
 *
 * @category limits
 * @since 0.1.0
 */
export const SEGMENT_PLAIN_BYTES_MAX = 128 * 1024 * 1024

/**
 * Largest file of a segment, in bytes: what compression may add to 128 MiB that
 * do not get smaller, and 1 MiB for all that is around.
 *
 * @category limits
 * @since 0.1.0
 */
export const SEGMENT_FILE_BYTES_MAX = SEGMENT_PLAIN_BYTES_MAX + 1024 * 1024

/**
 * Largest record of a segment, in bytes: the largest snapshot (64 MiB) and what
 * is around it.
 *
 * @category limits
 * @since 0.1.0
 */
export const RECORD_BYTES_MAX = 72 * 1024 * 1024
