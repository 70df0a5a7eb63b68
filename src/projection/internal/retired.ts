import * as Effect from "effect/Effect"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { BuildKey, BuildRemoval, CheckpointStore } from "../../store/CheckpointStore.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import { toBuildKey } from "./swap.ts"

/** A build whose time is over, and what became of it: `refused` by the database, with its reason. */
export interface Dropped {
  readonly build: BuildKey
  readonly outcome: BuildRemoval | "refused"
  readonly detail?: string | undefined
}

/** Removes the builds of a name whose time is over, now and every hour. */
export const keepTidy = (checkpoints: CheckpointStore["Service"], name: string): Effect.Effect<never> =>
  dropExpired(checkpoints, name).pipe(
    Effect.tap(Effect.forEach(({ build: { build, version }, detail, outcome }) =>
      outcome === "refused"
        ? Effect.logWarning(`Build ${build} of projection ${name}, version ${version}, was not removed: ${detail}`)
        : Effect.void
    )),
    // another time
    Effect.ignore,
    Effect.andThen(Effect.sleep("1 hour")),
    Effect.forever
  )

/** Removes the builds whose time is over and which nobody runs any more; of one name, or of all. */
export const dropExpired = (
  checkpoints: CheckpointStore["Service"],
  name: string | undefined
): Effect.Effect<ReadonlyArray<Dropped>, InvalidInput | StorageError> =>
  Effect.gen(function*() {
    const builds = yield* checkpoints.listBuilds(name)
    return yield* Effect.forEach(
      builds.filter(({ isExpired, status }) => isExpired || status === "removing"),
      (found) => {
        const build = toBuildKey(found)
        return checkpoints.removeBuild(build, { onlyIdle: true }).pipe(
          Effect.map((outcome): Dropped => ({ build, outcome })),
          Effect.catchTag("StorageError", (error) =>
            error.isRetryable
              ? Effect.fail(error)
              : Effect.succeed<Dropped>({ build, outcome: "refused", detail: error.message }))
        )
      }
    )
  })
