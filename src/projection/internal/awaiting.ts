import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { EventFilter } from "../../event/EventQuery.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import { type Position, START } from "../../event/Revision.ts"
import { EventStore } from "../../store/EventStore.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import type { ReadPoint } from "../../store/ReadModelStore.ts"
import { StaleRead } from "../QueryError.ts"
import * as ReadToken from "../ReadToken.ts"

/** What is waited for. */
export interface Awaited {
  readonly name: string
  readonly version: number
  readonly filter: EventFilter
  readonly position: number
  /** The history that the position is of; that of the log when absent. */
  readonly incarnation?: string | undefined
  readonly timeout: Duration.Input | undefined
}

/** Reads a token, and says which place of this log it is. */
export const readToken = ReadToken.resolve

/**
 * Reads until what is read has seen all that matters up to a position. Looks at
 * how far the projection is until it is there; then at what is asked for, which
 * must have seen as much.
 */
export const awaitReached = <A extends { readonly point: ReadPoint }, E, R>(
  wanted: Awaited,
  look: Effect.Effect<ReadPoint, InvalidInput | StorageError>,
  read: Effect.Effect<A, E, R>
): Effect.Effect<A, E | StaleRead | InvalidInput | StorageError, R | EventStore> =>
  Effect.gen(function*() {
    const { name, position, timeout = TIMEOUT, version } = wanted
    const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(Duration.fromInputUnsafe(timeout))
    const isThere = yield* makeJudge(wanted)
    let reached: Position = START
    while (true) {
      const seen = yield* look
      reached = seen.position
      if (yield* isThere(seen)) {
        const answer = yield* read
        // a reset, or another version that became live, may have come between
        if (yield* isThere(answer.point)) return answer
      }
      if ((yield* Clock.currentTimeMillis) >= until) {
        return yield* new StaleRead({ name, version, wanted: position as Position, reached })
      }
      yield* Effect.sleep(LOOK_AGAIN)
    }
  })

// internal

/** How long one waits unless it is said otherwise. */
const TIMEOUT = Duration.seconds(5)

/** Pause between two looks at a checkpoint; the wait ends within it and one round trip. */
const LOOK_AGAIN = Duration.millis(10)

/** Judges a point: whether a matching event may stand between it and the position. Asks the log once a point. */
const makeJudge = ({ filter, incarnation, position }: Awaited) =>
  Effect.map(EventStore, (store) => {
    let behind: number = -1
    return (point: ReadPoint): Effect.Effect<boolean, InvalidInput | StorageError> => {
      if (incarnation !== undefined && point.incarnation !== undefined && point.incarnation !== incarnation) {
        return Effect.succeed(false)
      }
      if (point.position >= position) return Effect.succeed(true)
      if (point.position === behind) return Effect.succeed(false)
      return Effect.map(hasEvents(store, filter, point.position, position), (has) => {
        if (has) behind = point.position
        return !has
      })
    }
  })

const hasEvents = (store: EventStore["Service"], filter: EventFilter, after: number, until: number) =>
  store.readPage({ after, until, filter, limit: 1 }).pipe(
    Effect.map(({ events, isEnd }) => events.length > 0 || !isEnd),
    Effect.catchTag("PositionAheadOfLog", () => Effect.succeed(true))
  )
