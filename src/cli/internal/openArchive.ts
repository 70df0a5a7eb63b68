/**
 * Opens the place of archived months; loaded when one is read.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BackupArchive from "../../backup/BackupArchive.ts"
import { BackupStorage } from "../../backup/BackupStorage.ts"
import { EventArchive } from "../../store/EventArchive.ts"
import type { Settings } from "../Settings.ts"
import { type KeysInput, loadKeys } from "./backupKeyFiles.ts"
import { openPlace } from "./backupPlace.ts"

/**
 * Opens a place, with its keys, to read archived months.
 *
 * @category constructors
 * @since 0.1.0
 */
export const openArchive = Effect.fnUntraced(function*(
  place: KeysInput & { readonly dest: string; readonly flag: string },
  settings: Settings
) {
  const keys = yield* loadKeys(place, settings)
  const storage = yield* openPlace(place.dest, place.flag, "read")
  const layer = BackupArchive.layer({ keys }).pipe(Layer.provide(Layer.succeed(BackupStorage, storage)))
  return Context.get(yield* Layer.build(layer), EventArchive)
})
