import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { SnapshotStore } from "../../store/SnapshotStore.ts"

export interface CleanupOptions {
  readonly kind: string
  readonly fingerprint: string
  readonly store: SnapshotStore["Service"]
  /** Infinite for never. */
  readonly maxAge: Duration.Duration
  /** Infinite for never. */
  readonly retireAfter: Duration.Duration
  readonly every: Duration.Duration
}

/** Removes, again and again while the scope is open, what nobody needs. */
export const startCleanup = (options: CleanupOptions): Effect.Effect<void, never, Scope.Scope> =>
  Duration.isFinite(options.every)
    ? Effect.asVoid(Effect.forkScoped(
      cleanUp(options).pipe(
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause)
            ? Effect.failCause(cause as Cause.Cause<never>)
            : Effect.logWarning("old snapshots could not be removed", cause)
        ),
        Effect.repeat(Schedule.spaced(options.every)),
        // the first time soon: a process that is started anew every hour cleans up too
        Effect.delay(Duration.min(options.every, FIRST_DELAY))
      )
    ))
    : Effect.void

// internal

const FIRST_DELAY = Duration.minutes(1)

/** Removes what can never be loaded, what is too old, and the fingerprints that no process has used for long. */
const cleanUp = Effect.fn("Snapshots.cleanUp")(
  function*({ fingerprint, kind, maxAge, retireAfter, store }: CleanupOptions) {
    const now = yield* DateTime.now
    const pruned = yield* store.prune({
      kind,
      unusable: true,
      takenBefore: Duration.isFinite(maxAge) ? DateTime.subtractDuration(now, maxAge) : undefined
    })
    if (!Duration.isFinite(retireAfter)) return
    const { groups } = yield* store.statistics
    const retired = groups.filter((group) =>
      group.kind === kind && group.fingerprint !== fingerprint &&
      DateTime.isLessThan(group.newestTakenAt, DateTime.subtractDuration(now, retireAfter))
    )
    const removed = yield* Effect.forEach(retired, (group) => store.remove({ kind, fingerprint: group.fingerprint }))
    yield* Effect.annotateCurrentSpan({ kind, pruned, retired: removed.reduce((sum, count) => sum + count, 0) })
  }
)
