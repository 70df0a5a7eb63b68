import type { Notification } from "@effect/sql-pg/PgConnection"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"

/** Tells the followers of a process that the log has grown. */
export interface HeadWatcher {
  /** Returns when the log may have grown beyond `position`. */
  readonly awaitGrowth: (position: number) => Effect.Effect<void>
  /** Reports a position that is recorded. */
  readonly report: (position: number) => void
}

/**
 * Makes the one watcher that all followers of a process share.
 *
 * While anyone waits, the head is read every 50 ms, doubled up to 100 ms when
 * nothing happens; that alone is correct. Commits of this process are reported
 * at once, and a notification of another process, listened to from the first
 * follower on, makes the next read come at once: hints, which may be lost,
 * doubled or late.
 */
export const make = (options: {
  readonly readHead: Effect.Effect<number, unknown>
  readonly listen:
    | Effect.Effect<Queue.Dequeue<Notification, SqlError>, SqlError, Scope.Scope>
    | undefined
}): Effect.Effect<HeadWatcher, never, Scope.Scope> =>
  Effect.gen(function*() {
    let head = 0
    let pollMs = POLL_MS_MIN
    const waiting = new Map<() => void, number>()
    const isAnyone = yield* Latch.make(false)
    const hint = yield* Latch.make(false)

    const report = (position: number): void => {
      if (position <= head) return
      head = position
      for (const [resume, after] of waiting) {
        if (after < head) {
          waiting.delete(resume)
          resume()
        }
      }
      if (waiting.size === 0) isAnyone.closeUnsafe()
    }

    const poll = Effect.gen(function*() {
      yield* isAnyone.await
      yield* Effect.raceFirst(hint.await, Effect.sleep(pollMs))
      hint.closeUnsafe()
      const before = head
      // a storage that is away is asked again: followers wait for it
      report(yield* Effect.catch(options.readHead, () => Effect.succeed(0)))
      pollMs = head > before ? POLL_MS_MIN : Math.min(POLL_MS_MAX, pollMs * 2)
    })
    yield* Effect.forkScoped(Effect.forever(poll))

    if (options.listen !== undefined) {
      const hear = Effect.scoped(Effect.flatMap(options.listen, (notifications) =>
        Effect.forever(Effect.andThen(
          Queue.takeAll(notifications),
          Effect.sync(() => hint.openUnsafe())
        ))))
      // a process that only appends has no use for being told of appends
      yield* Effect.forkScoped(Effect.andThen(isAnyone.await, Effect.retry(hear, Schedule.spaced(LISTEN_AGAIN))))
    }

    return {
      report,
      awaitGrowth: (position) =>
        Effect.callback<void>((resume) => {
          if (head > position) return resume(Effect.void)
          const wake = () => resume(Effect.void)
          waiting.set(wake, position)
          isAnyone.openUnsafe()
          return Effect.sync(() => {
            waiting.delete(wake)
            if (waiting.size === 0) isAnyone.closeUnsafe()
          })
        })
    }
  })

// internal

/** Pause between two reads of the head while anyone waits, in milliseconds. */
const POLL_MS_MIN = 50
const POLL_MS_MAX = 100

/** Pause before listening again after the connection was lost. */
const LISTEN_AGAIN = Duration.seconds(1)
