/**
 * What the operations of `ArchiveService` take and give.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import type { ArchiveBusy, ArchiveDiffers, ArchiveEntry, LogMonth } from "../store/LogArchive.ts"
import type { BackupReadError } from "./BackupError.ts"
import type { BackupKeys } from "./BackupKeys.ts"
import type { CreateError, CreateOptions } from "./BackupOptions.ts"
import type { CopyDiffers } from "./TransferError.ts"
import type { OnProgress } from "./TransferProgress.ts"

/**
 * Which months to archive, and how to write a backup that is needed for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface MoveOptions
  extends Pick<CreateOptions, "compression" | "segmentBytes" | "encryption" | "signing" | "keys" | "onProgress">
{
  /** Months that end at this time or before; in UTC. Either this or `olderThan`. */
  readonly before?: DateTime.Utc | undefined
  /** Months that ended so long ago. */
  readonly olderThan?: Duration.Input | undefined
}

/**
 * What is to be archived.
 *
 * @category models
 * @since 0.1.0
 */
export interface MovePlan {
  /** The oldest first; the month in which events are recorded now is never among them. */
  readonly months: ReadonlyArray<LogMonth>
  readonly events: number
  /** What they take in the store; about what is left of it tells `bytesFreed` afterwards. */
  readonly bytes: number
}

/**
 * What was archived.
 *
 * @category models
 * @since 0.1.0
 */
export interface MoveOutcome {
  readonly entries: ReadonlyArray<ArchiveEntry>
  /** The backup that was made for it. */
  readonly created: string | undefined
  readonly elapsedMillis: number
}

/**
 * Everything that a move can answer.
 *
 * @category errors
 * @since 0.1.0
 */
export type MoveError =
  | CreateError
  | BackupReadError
  | CopyDiffers
  | ArchiveBusy
  | ArchiveDiffers

/**
 * What is archived.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArchiveStatus {
  /** Last position that is archived; 0 when nothing is. */
  readonly until: number
  readonly entries: ReadonlyArray<ArchiveEntry>
  /** Finished months that are not archived. */
  readonly months: ReadonlyArray<LogMonth>
}

/**
 * How archived months are read.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArchiveReadOptions {
  readonly keys?: BackupKeys | undefined
  readonly onProgress?: OnProgress | undefined
}

/**
 * What a verification of the archive found.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArchiveReport {
  readonly isSound: boolean
  /** Events that were read and compared. */
  readonly events: number
  /** The first thing that is wrong with a step of the archive, for each with which something is. */
  readonly faults: ReadonlyArray<{ readonly entry: ArchiveEntry; readonly fault: BackupReadError | CopyDiffers }>
}

/**
 * Which months to bring back.
 *
 * @category models
 * @since 0.1.0
 */
export interface BringBackOptions extends ArchiveReadOptions {
  /** Months from this one on, `2026-01`; all when absent. */
  readonly from?: string | undefined
  /**
   * Whether the place may remove the backups then, false when absent. A copy of
   * the database may read from the same backups, and nobody here knows of it.
   */
  readonly release?: boolean | undefined
}

/**
 * What was brought back.
 *
 * @category models
 * @since 0.1.0
 */
export interface BringBackOutcome {
  /** The months, the newest first. */
  readonly months: ReadonlyArray<string>
  readonly events: number
  /** Backups that the place may remove now. */
  readonly released: ReadonlyArray<string>
  readonly elapsedMillis: number
}

/**
 * Everything that bringing months back can answer.
 *
 * @category errors
 * @since 0.1.0
 */
export type BringBackError =
  | BackupReadError
  | InvalidInput
  | ArchiveBusy
  | ArchiveDiffers
  | StorageError
