/**
 * Moves old months of a store to backups, where they stay readable, and back.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { LogArchive } from "../store/LogArchive.ts"
import { LogTransfer } from "../store/LogTransfer.ts"
import type {
  ArchiveReadOptions,
  ArchiveReport,
  ArchiveStatus,
  BringBackError,
  BringBackOptions,
  BringBackOutcome,
  MoveError,
  MoveOptions,
  MoveOutcome,
  MovePlan
} from "./ArchiveOptions.ts"
import type { BackupStorageError } from "./BackupError.ts"
import { BackupStorage } from "./BackupStorage.ts"
import { bringBack } from "./internal/bringBack.ts"
import { moveMonths, planMonths } from "./internal/moveMonths.ts"
import { verifyArchive } from "./internal/verifyArchive.ts"

/**
 * Service that archives old months of one store in one place of backups.
 *
 * **Details**
 *
 * Of an archived month the store keeps everything but data and metadata: these
 * are read from the backup when an event is read, by a store that was opened
 * with `BackupArchive.layer`. Conditions, expected revisions, retries, filters
 * and digests are what they were.
 *
 * @category services
 * @since 0.1.0
 */
export class ArchiveService extends Context.Service<ArchiveService, {
  /** Says what `move` would do with the same options. Changes nothing. */
  readonly plan: (options: MoveOptions) => Effect.Effect<MovePlan, InvalidInput | StorageError>

  /**
   * Archives the months that are old enough.
   *
   * **Details**
   *
   * Makes a backup when none reaches that far, verifies it, reads back every
   * event of a month and compares it with the store, byte for byte, and only then
   * takes data and metadata of this month away, in one step. Killed at any
   * moment, each month is whole or archived, and the same call goes on.
   */
  readonly move: (options: MoveOptions) => Effect.Effect<MoveOutcome, MoveError>

  /** Says what is archived. */
  readonly status: Effect.Effect<ArchiveStatus, StorageError>

  /** Reads all that is archived, proves it, and compares it with what the store has kept of each event. */
  readonly verify: (
    options?: ArchiveReadOptions
  ) => Effect.Effect<ArchiveReport, InvalidInput | StorageError | BackupStorageError>

  /**
   * Puts data and metadata of archived months back into the store, the newest
   * month first, each in one step.
   */
  readonly bringBack: (options?: BringBackOptions) => Effect.Effect<BringBackOutcome, BringBackError>
}>()("effect-event-store/backup/ArchiveService") {
  /**
   * Layer that archives the store of its context.
   */
  static readonly layer: Layer.Layer<ArchiveService, never, LogArchive | LogTransfer | BackupStorage> = Layer.effect(
    this,
    Effect.gen(function*() {
      const archive = yield* LogArchive
      const transfer = yield* LogTransfer
      const storage = yield* BackupStorage
      const parts = { archive, transfer, storage }
      return {
        plan: (options) => planMonths(parts, options),
        move: (options) => moveMonths(parts, options),
        status: Effect.gen(function*() {
          const entries = yield* archive.entries
          return { until: entries.at(-1)?.until ?? 0, entries, months: yield* archive.months }
        }),
        verify: (options = {}) => verifyArchive(parts, options),
        bringBack: (options = {}) => bringBack(parts, options)
      }
    })
  )
}
