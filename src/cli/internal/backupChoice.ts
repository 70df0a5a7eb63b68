/**
 * Which backup a command is about.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type BackupList, list } from "../../backup/BackupCatalog.ts"
import type { BackupFault, BackupStorageError } from "../../backup/BackupError.ts"
import type { BackupKeys } from "../../backup/BackupKeys.ts"
import { BackupStorage } from "../../backup/BackupStorage.ts"
import { type CliFailure, notFound } from "../CliFailure.ts"
import { Out } from "../Out.ts"
import type { Settings } from "../Settings.ts"
import { bytes, count, printable, time } from "../Text.ts"

/**
 * The backup that was named, or the newest one.
 *
 * @category getters
 * @since 0.1.0
 */
export const chooseBackup = Effect.fnUntraced(function*(
  id: Option.Option<string>,
  keys: BackupKeys,
  settings: Settings
): Effect.fn.Return<string, CliFailure | BackupFault | BackupStorageError, BackupStorage | Out> {
  if (Option.isSome(id)) return id.value
  const found = yield* list(keys)
  yield* noteFaults(found, settings)
  const newest = found.backups.at(-1)
  if (newest !== undefined) {
    const histories = new Set(found.backups.map(({ incarnation }) => incarnation)).size
    if (histories > 1 && !settings.quiet) {
      yield* (yield* Out).note(
        `backups of ${count(histories)} histories are there: the newest, ${newest.id}, is of ${newest.incarnation}\n`
      )
    }
    return newest.id
  }
  const [fault] = found.faults
  if (fault !== undefined) return yield* fault.fault
  return yield* noBackup((yield* BackupStorage).location)
})

/**
 * Says which manifests cannot be read, and what was never finished.
 *
 * @category operations
 * @since 0.1.0
 */
export const noteFaults = Effect.fnUntraced(function*({ faults, incomplete }: BackupList, settings: Settings) {
  if (settings.quiet) return
  const out = yield* Out
  for (const { fault, id } of faults) yield* out.note(`cannot be read: ${printable(`${id}: ${fault.message}`)}\n`)
  for (const { bytes: size, files, id, modifiedAt } of incomplete) {
    yield* out.note(
      `not finished: ${printable(id)}, ${count(files)} files, ${bytes(size)}, written to last ` +
        `${time(modifiedAt, settings.local)}\n`
    )
  }
})

/**
 * Makes the failure for a place without a backup.
 *
 * @category constructors
 * @since 0.1.0
 */
export const noBackup = (location: string): CliFailure =>
  notFound(
    "ES-2017",
    "there is no backup",
    `${location} holds none that can be read`,
    "make one: event-store backup create"
  )
