/**
 * Backups of a store: made while others write, restored all or nothing, and
 * tried out before they are needed.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { EventStore } from "../store/EventStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { LogTransfer } from "../store/LogTransfer.ts"
import type {
  AppendBackupError,
  AppendBackupOptions,
  AppendOutcome,
  AppendPreview,
  CreateError,
  CreateOptions,
  CreateOutcome,
  DrillOptions,
  DrillReport,
  PruneError,
  PruneOptions,
  PruneOutcome,
  RestoreBackupError,
  RestoreOptions,
  RestoreOutcome,
  RestorePreview
} from "./BackupOptions.ts"
import type { RetentionPolicy } from "./BackupRetention.ts"
import { BackupStorage } from "./BackupStorage.ts"
import { appendBackup, planAppend } from "./internal/appendBackup.ts"
import { createBackup } from "./internal/createBackup.ts"
import { drillBackup } from "./internal/drillBackup.ts"
import { pruneBackups } from "./internal/pruneBackups.ts"
import { planRestore, restoreBackup } from "./internal/restoreBackup.ts"
import type { CopyDiffers } from "./TransferError.ts"

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
   * Appends go on meanwhile, and while they do the backup rests four fifths of the
   * time. An incremental backup of a store that is as its
   * newest backup holds it is `Unchanged`, and nothing is written; one without new
   * events is written when something beside them changed, a tombstone say. What a killed backup has left
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

  /** Says what `append` would do with the same options, event by event. Changes nothing. */
  readonly planAppend: (options?: AppendBackupOptions) => Effect.Effect<AppendPreview, AppendBackupError>

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

  /**
   * Removes the backups that a policy does not keep, and what killed ones have
   * left. Fails, and has removed nothing, when a manifest cannot be read: that
   * backup may go on from one that would be removed.
   */
  readonly prune: (policy: RetentionPolicy, options?: PruneOptions) => Effect.Effect<PruneOutcome, PruneError>
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
        planAppend: (options = {}) => at(planAppend(store, options)),
        append: (options = {}) => at(appendBackup(store, options)),
        drill: (options) => at(drillBackup(options)),
        prune: (policy, options = {}) => at(pruneBackups(policy, options))
      }
    })
  )
}
