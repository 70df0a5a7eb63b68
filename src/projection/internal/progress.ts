import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Position } from "../../event/Revision.ts"
import type { Leader } from "./leader.ts"
import type { Runner } from "./runner.ts"

/** Tells of the progress of a leader, unless nobody wants to know: how many events were applied, whether all were. */
export const makeReporter = (
  { onProgress, store }: Runner<unknown>,
  leader: Leader<unknown>,
  end: Position | undefined
): (events: number, isEnd: boolean) => Effect.Effect<void> => {
  if (onProgress === undefined) return () => Effect.void
  const { name, version } = leader.projection
  const { build, slice } = leader.lease
  let events = 0
  let first: Sample | undefined
  let last: Sample | undefined
  return (applied, isEnd) =>
    Effect.gen(function*() {
      events += applied
      const now = yield* Clock.currentTimeMillis
      const { position } = leader.checkpoint
      const here: Sample = { events, position, atMillis: now }
      first ??= { events: events - applied, position, atMillis: now }
      if (last !== undefined && !isEnd && now - last.atMillis < EVERY_MS) return
      const from = last !== undefined && now - first.atMillis > WINDOW_MS ? last : first
      if (now - first.atMillis > WINDOW_MS) first = last ?? first
      last = here
      // a storage that is away is the business of those who read and write
      const head = end ?? (yield* Effect.map(
        Effect.orElseSucceed(store.head, () => ({ position })),
        (found) => found.position
      ))
      const seconds = (now - from.atMillis) / 1_000
      const positionsPerSecond = seconds > 0 ? (position - from.position) / seconds : 0
      const remaining = Math.max(0, head - position)
      yield* onProgress({
        name,
        version,
        build,
        slice,
        position,
        head,
        events,
        eventsPerSecond: seconds > 0 ? (events - from.events) / seconds : 0,
        etaMillis: remaining === 0
          ? 0
          : positionsPerSecond > 0
          ? remaining / positionsPerSecond * 1_000
          : undefined
      })
    })
}

// internal

/** Least time between two reports of a slice that is on its way. */
const EVERY_MS = 250

/** Over how long the speed is measured. */
const WINDOW_MS = 10_000

interface Sample {
  readonly events: number
  readonly position: Position
  readonly atMillis: number
}
