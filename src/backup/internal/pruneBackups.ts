import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as BackupCatalog from "../BackupCatalog.ts"
import type { PruneError, PruneOptions, PruneOutcome } from "../BackupOptions.ts"
import * as BackupRetention from "../BackupRetention.ts"
import type { BackupStorage } from "../BackupStorage.ts"

/** Removes what a policy does not keep. */
export const pruneBackups = Effect.fn("BackupService.prune")(function*(
  policy: BackupRetention.RetentionPolicy,
  { dryRun = false, idleMillis = IDLE_MILLIS, keys }: PruneOptions
): Effect.fn.Return<PruneOutcome, PruneError, BackupStorage> {
  const { archived, backups, faults: [unread], incomplete } = yield* BackupCatalog.list(keys)
  if (unread !== undefined) return yield* unread.fault
  const plan = yield* Effect.fromResult(BackupRetention.plan(policy, backups, archived))
  if (dryRun) {
    const now = yield* Clock.currentTimeMillis
    const idle = incomplete.filter(({ modifiedAt }) => modifiedAt.epochMilliseconds <= now - idleMillis)
    return { plan, removed: plan.remove, incomplete: idle }
  }
  yield* Effect.forEach(plan.remove, BackupCatalog.remove, { discard: true })
  return { plan, removed: plan.remove, incomplete: yield* BackupCatalog.removeIncomplete({ idleMillis }) }
})

// internal

/** One hour. */
const IDLE_MILLIS = 3_600_000
