import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Tally } from "./tally.ts"

/** Keeps the failures of the snapshot store away from commands, and says once that it fails, once that it is back. */
export interface Health {
  /** Counts any failure and goes on without; an interruption goes through. */
  readonly failed: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
  readonly answered: Effect.Effect<void>
}

export const makeHealth = (kind: string, tally: Tally): Health => {
  let isFailing = false
  return {
    failed: (cause) =>
      Effect.suspend(() => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
        const isNews = !isFailing
        isFailing = true
        tally.note("storeFailures")
        return isNews
          ? Effect.logWarning(`the snapshot store fails; ${kind} is loaded from its events meanwhile`, cause)
          : Effect.void
      }),
    answered: Effect.suspend(() => {
      if (!isFailing) return Effect.void
      isFailing = false
      return Effect.logInfo(`the snapshot store answers again; ${kind} is loaded from its snapshots`)
    })
  }
}
