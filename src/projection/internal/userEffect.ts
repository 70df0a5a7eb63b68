import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { describeThrown, type Failure } from "./failure.ts"

/**
 * Runs an effect of the user's within its time, and says what became of it if it
 * did not succeed: a failure, a defect, an interruption and no end at all are
 * told, and none of them ends the caller.
 */
export const runUserEffect = <R>(
  make: () => Effect.Effect<void, unknown, R>,
  millis: number
): Effect.Effect<Omit<Failure, "index"> | undefined, never, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      // a fiber of its own: what cannot be interrupted must not hold up the caller
      const fiber = yield* Effect.forkDetach(Effect.interruptible(Effect.suspend(make)))
      const exit = yield* restore(Effect.timeoutOption(Fiber.await(fiber), millis)).pipe(
        Effect.onInterrupt(() => stop(fiber))
      )
      if (Option.isSome(exit)) return Exit.isSuccess(exit.value) ? undefined : describe(exit.value.cause)
      yield* stop(fiber)
      return {
        reason: "HandlerTimedOut",
        detail: `it did not end within ${Duration.format(Duration.millis(millis))}`
      } as const
    })
  )

// internal

/** How long an effect that is interrupted may take to end. */
const GRACE = Duration.seconds(1)

const stop = (fiber: Fiber.Fiber<void, unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    fiber.interruptUnsafe()
    return Effect.asVoid(Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), GRACE))
  })

const describe = (cause: Cause.Cause<unknown>): Omit<Failure, "index"> => {
  const [reason] = cause.reasons
  if (reason !== undefined && Cause.isDieReason(reason)) {
    return { reason: "HandlerThrew", detail: describeThrown(reason.defect) }
  }
  const failed = reason !== undefined && Cause.isFailReason(reason)
  return {
    reason: "HandlerFailed",
    detail: failed ? `it failed with ${nameOf(reason.error)}` : "it was interrupted"
  }
}

/** The tag of a tagged error, or the class of another. */
const nameOf = (error: unknown): string => {
  const tag = typeof error === "object" && error !== null && "_tag" in error ? error._tag : undefined
  if (typeof tag === "string") return tag
  return error instanceof Error ? error.name : `a ${typeof error}`
}
