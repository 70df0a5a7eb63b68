/**
 * The place in which archived months are read.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Position } from "../../event/Revision.ts"
import { archiveAbsent, EventArchive } from "../../store/EventArchive.ts"
import { Archived } from "../../store/EventStoreError.ts"
import type { CliFailure } from "../CliFailure.ts"
import type { Out } from "../Out.ts"
import type { Settings } from "../Settings.ts"

/**
 * A place of archived months, and the files with keys for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArchivePlace {
  readonly dest: string
  readonly keyFile: ReadonlyArray<string>
  readonly trust: ReadonlyArray<string>
  /** What named it. */
  readonly flag: string
}

/**
 * Finds the place: a flag and the environment go before the configuration file,
 * which is loaded only when they name none.
 *
 * @category getters
 * @since 0.1.0
 */
export const findArchive = Effect.fnUntraced(function*(
  { archive, config }: Settings
): Effect.fn.Return<ArchivePlace | undefined, CliFailure> {
  if (archive !== undefined) return { dest: archive, keyFile: [], trust: [], flag: "--archive" }
  if (config === undefined) return undefined
  const { loadConfigFile } = yield* Effect.promise(() => import("./configFile.ts"))
  const { archive: found } = yield* loadConfigFile(config)
  return found === undefined
    ? undefined
    : { dest: found.dest, keyFile: found.keyFiles ?? [], trust: found.trust ?? [], flag: "archive.dest" }
})

/**
 * Layer that reads archived months from the place that the settings name. It is
 * looked for when the first archived event is read, and not before.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerArchive = (
  settings: Settings
): Layer.Layer<EventArchive, never, FileSystem.FileSystem | Out> =>
  Layer.effect(
    EventArchive,
    Effect.gen(function*() {
      const context = yield* Effect.context<FileSystem.FileSystem | Out>()
      const scope = yield* Scope.Scope
      const opened = yield* Effect.cached(
        Effect.result(open(settings)).pipe(Effect.provideContext(context), Scope.provide(scope))
      )
      return {
        read: (from, events) =>
          Effect.flatMap(opened, (result) => {
            const [first = { position: from.until, id: "" }] = events
            if (result._tag === "Success") {
              return result.success === undefined
                ? Effect.fail(archiveAbsent(from, first))
                : result.success.read(from, events)
            }
            const { failure } = result
            const message = "why" in failure ? `${failure.message}: ${failure.why}` : failure.message
            return Effect.fail(
              new Archived({
                position: first.position as Position,
                backupId: from.backupId,
                until: from.until as Position,
                detail: `the archive cannot be opened: ${message}`,
                cause: failure
              })
            )
          })
      }
    })
  )

// internal

const open = Effect.fnUntraced(function*(settings: Settings) {
  const place = yield* findArchive(settings)
  if (place === undefined) return undefined
  const { openArchive } = yield* Effect.promise(() => import("./openArchive.ts"))
  return yield* openArchive(place, settings)
})
