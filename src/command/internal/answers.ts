/**
 * The answers of a user's rules, whatever form they take.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { DecisionFailed } from "../CommandError.ts"

/**
 * Runs a rule that answers a value, a `Result` or an Effect of it. What it throws
 * or dies of fails with `broken`.
 */
export const answer = <A, Rejection>(
  rule: () => A | Result.Result<A, Rejection> | Effect.Effect<A, Rejection>,
  broken: (cause: unknown) => DecisionFailed
): Effect.Effect<A, Rejection | DecisionFailed> =>
  Effect.suspend(() => {
    let answered: A | Result.Result<A, Rejection> | Effect.Effect<A, Rejection>
    try {
      answered = rule()
    } catch (cause) {
      return Effect.fail(broken(cause))
    }
    if (Effect.isEffect(answered)) return Effect.catchCause(answered as Effect.Effect<A, Rejection>, brokenBy(broken))
    return Result.isResult(answered)
      ? Effect.fromResult(answered as Result.Result<A, Rejection>)
      : Effect.succeed(answered)
  })

// internal

/** Fails as the cause does, or with `broken` when it died. */
const brokenBy =
  (broken: (cause: unknown) => DecisionFailed) =>
  <Rejection>(cause: Cause.Cause<Rejection>): Effect.Effect<never, Rejection | DecisionFailed> =>
    Cause.hasFails(cause) || Cause.hasInterrupts(cause)
      ? Effect.failCause(cause)
      : Effect.fail(broken(Cause.squash(cause)))
