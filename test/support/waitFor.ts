/**
 * Waits for a condition instead of for a time.
 */
import { Effect } from "effect"

/**
 * Reads again and again until what is read satisfies the condition, and gives
 * it; dies after a deadline (20 s if absent) with the last value that was read.
 *
 * **Details**
 *
 * Looks every 5 ms of real time, whatever clock the test has.
 */
export const waitFor = <A, E, R>(
  read: Effect.Effect<A, E, R>,
  isReached: (value: A) => boolean,
  options: { readonly deadlineMs?: number } = {}
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const deadline = performance.now() + (options.deadlineMs ?? 20_000)
    const attempt: Effect.Effect<A, E, R> = Effect.flatMap(read, (value) => {
      if (isReached(value)) return Effect.succeed(value)
      if (performance.now() > deadline) return Effect.die(new Error(`waited in vain; the last value: ${show(value)}`))
      return Effect.andThen(pause, attempt)
    })
    return attempt
  })

// internal

const pause = Effect.callback<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 5)
  return Effect.sync(() => clearTimeout(timer))
})

const show = (value: unknown): string =>
  JSON.stringify(value, (_, part) => typeof part === "bigint" ? `${part}n` : part) ?? String(value)
