/**
 * What the operations of `BackupService` take and give.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { AppendError, StorageError } from "../store/EventStoreError.ts"
import type { BuildLeftOut, LogTransfer, RestoreError, RestoreReport, TransferState } from "../store/LogTransfer.ts"
import type { IncompleteBackup } from "./BackupCatalog.ts"
import type {
  BackupArchived,
  BackupFault,
  BackupInUse,
  BackupKeyMissing,
  BackupNotFound,
  BackupReadError,
  BackupStorageError
} from "./BackupError.ts"
import type { BackupKeys } from "./BackupKeys.ts"
import type { BackupManifest } from "./BackupManifest.ts"
import type { RetentionPlan } from "./BackupRetention.ts"
import type { BackupWriteError, BackupWriterOptions } from "./BackupWriter.ts"
import type { BackupAheadOfLog, BackupHistoryDiffers, RestorePointInvalid } from "./TransferError.ts"
import type { OnProgress } from "./TransferProgress.ts"

/**
 * How a backup is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface CreateOptions
  extends Pick<BackupWriterOptions, "compression" | "segmentBytes" | "encryption" | "signing">
{
  /**
   * `incremental` goes on from the newest backup of this history; `auto`, which
   * it is when absent, too, and makes a full one when there is none. What goes
   * on from an encrypted backup has to be encrypted: `BackupKeyMissing`.
   */
  readonly kind?: "full" | "incremental" | "auto" | undefined
  /** To read the manifests that are there. */
  readonly keys?: BackupKeys | undefined
  readonly onProgress?: OnProgress | undefined
}

/**
 * What became of a backup that was to be made.
 *
 * @category models
 * @since 0.1.0
 */
export type CreateOutcome =
  | {
    readonly _tag: "Created"
    readonly manifest: BackupManifest
    /** Builds of projections that it does not hold. */
    readonly leftOut: ReadonlyArray<BuildLeftOut>
  }
  | { readonly _tag: "Unchanged"; readonly newest: BackupManifest }

/**
 * Everything that the making of a backup can answer.
 *
 * @category errors
 * @since 0.1.0
 */
export type CreateError =
  | BackupHistoryDiffers
  | BackupAheadOfLog
  | BackupKeyMissing
  | BackupNotFound
  | BackupWriteError
  | StorageError

/**
 * Which backup, and up to where.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackupSelection {
  /** The newest one when absent. */
  readonly id?: string | undefined
  readonly keys?: BackupKeys | undefined
  /**
   * `end` when absent; a position (inclusive); or a time: all events that were
   * recorded in its millisecond or before.
   */
  readonly to?: RestorePoint | undefined
}

/**
 * Up to where a log is restored.
 *
 * @category models
 * @since 0.1.0
 */
export type RestorePoint = "end" | { readonly position: number } | { readonly time: DateTime.Utc }

/**
 * What to restore.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestoreOptions extends BackupSelection {
  readonly onProgress?: OnProgress | undefined
}

/**
 * What a restore would do.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestorePreview {
  readonly id: string
  /** The backups that are read, the full one first. */
  readonly chain: ReadonlyArray<BackupManifest>
  /** The history that is restored. */
  readonly source: string
  /** Position of the last event, which is their number too. */
  readonly position: number
  /** The store; a restore into one that is not empty fails. */
  readonly target: TransferState
  /** How many events are there already, of the same restore when it was broken off. */
  readonly goesOnAfter: number
}

/**
 * What a restore did.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestoreOutcome extends RestoreReport {
  readonly id: string
  /** Events that were written by this restore, and not by one that was broken off. */
  readonly written: number
  readonly elapsedMillis: number
}

/**
 * Everything that a restore from a backup can answer.
 *
 * @category errors
 * @since 0.1.0
 */
export type RestoreBackupError = RestorePointInvalid | BackupReadError | RestoreError

/**
 * Which events to append.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendBackupOptions extends BackupSelection {
  /** These streams only. */
  readonly streams?: ReadonlyArray<string> | undefined
  /** Streams of any of these categories only. */
  readonly categories?: ReadonlyArray<string> | undefined
  /** Events of any of these types only. */
  readonly types?: ReadonlyArray<string> | undefined
  /** Events that carry all of these tags only. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** Put in front of the name of every stream. */
  readonly streamPrefix?: string | undefined
  readonly onProgress?: OnProgress | undefined
}

/**
 * What became of events that were to be appended.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendOutcome {
  readonly id: string
  /** Events of the backup that were looked at. */
  readonly read: number
  readonly appended: number
  /** Events that stood in the store already. */
  readonly present: number
  readonly elapsedMillis: number
}

/**
 * What an append of events of a backup would do.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendPreview {
  readonly id: string
  /** Position of the last event that is looked at. */
  readonly position: number
  /** Events of the backup that were looked at. */
  readonly read: number
  /** Events that are meant and are not in the store: they would be appended. */
  readonly toAppend: number
  /** Events that stand in the store already, in the stream that they would be appended to. */
  readonly present: number
  /** Events whose ids stand in another stream of the store: the append would fail with `IdempotencyConflict`. */
  readonly conflicting: number
  readonly elapsedMillis: number
}

/**
 * Everything that the appending of a backup can answer.
 *
 * @category errors
 * @since 0.1.0
 */
export type AppendBackupError = RestorePointInvalid | BackupReadError | AppendError

/**
 * How to try a backup out.
 *
 * @category models
 * @since 0.1.0
 */
export interface DrillOptions<A, E, E2, R> extends BackupSelection {
  /** An empty store that goes when the drill is over: `layerMemory`, or `layerPglite()`. */
  readonly scratch: Layer.Layer<LogTransfer | R, E>
  /** Run on the restored store; what it gives is in the report. */
  readonly probe?: Effect.Effect<A, E2, LogTransfer | R> | undefined
  readonly onProgress?: OnProgress | undefined
}

/**
 * What a drill found.
 *
 * @category models
 * @since 0.1.0
 */
export interface DrillReport<A> extends RestoreOutcome {
  /** What the probe gave. */
  readonly probe: A | undefined
}

/**
 * How to prune.
 *
 * @category models
 * @since 0.1.0
 */
export interface PruneOptions {
  readonly keys?: BackupKeys | undefined
  /** Whether nothing is removed; false when absent. */
  readonly dryRun?: boolean | undefined
  /** How long nobody writes to a backup that was given up, in milliseconds; one hour when absent. */
  readonly idleMillis?: number | undefined
}

/**
 * What was pruned.
 *
 * @category models
 * @since 0.1.0
 */
export interface PruneOutcome {
  readonly plan: RetentionPlan
  /** In the order in which they were removed; those that would be in a dry run. */
  readonly removed: ReadonlyArray<string>
  readonly incomplete: ReadonlyArray<IncompleteBackup>
}

/**
 * Everything that pruning can answer.
 *
 * @category errors
 * @since 0.1.0
 */
export type PruneError = InvalidInput | BackupInUse | BackupArchived | BackupFault | BackupStorageError
