/**
 * Backups of a store: made while others write, restored all or nothing, and
 * tried out before they are needed.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { EventStore } from "../store/EventStore.ts"
import type { AppendError, StorageError } from "../store/EventStoreError.ts"
import {
  type BuildLeftOut,
  LogTransfer,
  type RestoreError,
  type RestoreReport,
  type TransferState
} from "../store/LogTransfer.ts"
import type { IncompleteBackup } from "./BackupCatalog.ts"
import type { BackupInUse, BackupNotFound, BackupReadError, BackupStorageError } from "./BackupError.ts"
import type { BackupKeys } from "./BackupKeys.ts"
import type { BackupManifest } from "./BackupManifest.ts"
import type { RetentionPlan, RetentionPolicy } from "./BackupRetention.ts"
import { BackupStorage } from "./BackupStorage.ts"
import type { BackupWriteError, BackupWriterOptions } from "./BackupWriter.ts"
import { appendBackup } from "./internal/appendBackup.ts"
import { createBackup } from "./internal/createBackup.ts"
import { drillBackup } from "./internal/drillBackup.ts"
import { pruneBackups } from "./internal/pruneBackups.ts"
import { planRestore, restoreBackup } from "./internal/restoreBackup.ts"
import type { BackupAheadOfLog, BackupHistoryDiffers, CopyDiffers, RestorePointInvalid } from "./TransferError.ts"
import type { OnProgress } from "./TransferProgress.ts"

/**
 * Service that backs one store up to one place, and restores it from there.
 *
 * **Details**
 *
 * `BackupCatalog` lists and describes what is in the place, and
 * `BackupVerification` proves it without a store.
 *
 * @category services
 * @since 0.1.0
 */
export class BackupService extends Context.Service<BackupService, {
  /**
   * Backs the store up: the log up to one position, and everything beside it as
   * it was when that was the last one.
   *
   * **Details**
   *
   * Appends go on meanwhile. An incremental backup of a log that has no new
   * events is `Unchanged`, and nothing is written. What a killed backup has left
   * has no manifest and is no backup; `prune` removes it.
   */
  readonly create: (options?: CreateOptions) => Effect.Effect<CreateOutcome, CreateError>

  /** Says what `restore` would do with the same options, and proves the manifests for it. Changes nothing. */
  readonly planRestore: (options?: RestoreOptions) => Effect.Effect<RestorePreview, RestoreBackupError>

  /**
   * Restores the whole log, or its beginning up to a position or a time, into
   * the store, which has to be empty.
   *
   * **Details**
   *
   * Every byte is proved before it is used, and nothing can be read or appended
   * before all of it is there. The store gets a history of its own. Killed at any
   * moment, the same restore goes on where it was; when the backup turns out to
   * be damaged the store is empty again.
   */
  readonly restore: (options?: RestoreOptions) => Effect.Effect<RestoreOutcome, RestoreBackupError>

  /** Clears a restore that was broken off, and tells whether there was one: the store is empty and usable then. */
  readonly abandonRestore: Effect.Effect<boolean, StorageError>

  /**
   * Appends events of a backup to the store, which need not be empty: those of
   * some streams, categories, types, tags, or all.
   *
   * **Details**
   *
   * They are appended as anybody's are: positions, revisions and times are new,
   * and when an event was recorded first stays in `metadata.recordedAt`. Ids are
   * kept, so doing it again appends only what is missing. Under a
   * `streamPrefix` ids are derived from it and the old ones, so that the events
   * can stand beside those that they are copies of. Settings of streams,
   * snapshots and checkpoints are not restored.
   */
  readonly append: (options?: AppendBackupOptions) => Effect.Effect<AppendOutcome, AppendBackupError>

  /**
   * Restores a backup into a scratch store, reads that back and compares it with
   * the backup, row by row; and runs a probe on it, a projection say.
   */
  readonly drill: <A = undefined, E = never, E2 = never, R = never>(
    options: DrillOptions<A, E, E2, R>
  ) => Effect.Effect<DrillReport<A>, RestoreBackupError | CopyDiffers | E | E2>

  /** Removes the backups that a policy does not keep, and what killed ones have left. */
  readonly prune: (
    policy: RetentionPolicy,
    options?: PruneOptions
  ) => Effect.Effect<PruneOutcome, InvalidInput | BackupInUse | BackupStorageError>
}>()("effect-event-store/backup/BackupService") {
  /**
   * Layer that backs up and restores the store of its context.
   */
  static readonly layer: Layer.Layer<BackupService, never, LogTransfer | EventStore | BackupStorage> = Layer.effect(
    this,
    Effect.gen(function*() {
      const transfer = yield* LogTransfer
      const store = yield* EventStore
      const storage = yield* BackupStorage
      const at = <A, E, R>(effect: Effect.Effect<A, E, R | BackupStorage>) =>
        Effect.provideService(effect, BackupStorage, storage)
      return {
        create: (options = {}) => at(createBackup(transfer, options)),
        planRestore: (options = {}) => at(planRestore(transfer, options)),
        restore: (options = {}) => at(restoreBackup(transfer, options)),
        abandonRestore: transfer.abandonRestore,
        append: (options = {}) => at(appendBackup(store, options)),
        drill: (options) => at(drillBackup(options)),
        prune: (policy, options = {}) => at(pruneBackups(policy, options))
      }
    })
  )
}

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
   * it is when absent, too, and makes a full one when there is none.
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
