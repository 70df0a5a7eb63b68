/**
 * Finds the states of streams: a snapshot where there is one, and the events after it.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Recorded, TypedEvent } from "../../event/EventType.ts"
import type { Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import type { LoadedState, Snapshots } from "../../snapshot/Snapshots.ts"
import type { EventStore } from "../../store/EventStore.ts"
import type { LoadError } from "../CommandError.ts"
import { foldInto, makeSight, restart, type Rules, type Sight } from "./folding.ts"

/** Loads states of one kind. */
export interface Loader<State, E extends TypedEvent> {
  /** A state to decide on: from the cache as it is, else read up to the end of the stream. */
  readonly load: (streamId: StreamId) => Effect.Effect<Sight<State>, LoadError>
  /** A state of a stream that is said not to be there: nothing is read. */
  readonly unread: (streamId: StreamId) => Sight<State>
  /**
   * Moves a state forward to the end of the stream, which has come to `known` at
   * least; keeps what came decoded where `kept` is given.
   */
  readonly readOn: (
    sight: Sight<State>,
    known?: Revision,
    kept?: Array<Recorded<E>>
  ) => Effect.Effect<void, LoadError>
  /** Reads a state anew from the beginning, without snapshots: the log contradicts them. */
  readonly readAgain: (sight: Sight<State>) => Effect.Effect<void, LoadError>
  /** Tells the snapshots of a load and of what was appended after it. */
  readonly report: (sight: Sight<State>, appended: number) => Effect.Effect<void>
}

/** Makes a loader over the store. */
export const makeLoader = <State, E extends TypedEvent>(
  store: EventStore["Service"],
  rules: Rules<State, E>,
  snapshots: Snapshots<State> | undefined
): Loader<State, E> => {
  const unread = (streamId: StreamId) => makeSight(streamId, rules.initial)

  const readOn: Loader<State, E>["readOn"] = (sight, known, kept) =>
    Effect.clockWith((clock) => {
      const startedAt = clock.currentTimeNanosUnsafe()
      return Effect.map(
        Stream.runForEachArray(store.readStream(sight.streamId, { from: sight.revision + 1 }), (events) => {
          const fault = foldInto(rules, sight, events, kept)
          return fault === undefined ? Effect.void : Effect.fail(fault)
        }),
        () => {
          // the events up to there were truncated
          if (known !== undefined && known > sight.revision) {
            restart(sight, rules.initial)
            sight.revision = known
          }
          sight.isCurrent = true
          sight.loadMillis += Number(clock.currentTimeNanosUnsafe() - startedAt) / NANOS_PER_MILLI
        }
      )
    })

  const load = (streamId: StreamId): Effect.Effect<Sight<State>, LoadError> => {
    const sight = unread(streamId)
    return Effect.as(readOn(sight), sight)
  }

  const readAgain = (sight: Sight<State>): Effect.Effect<void, LoadError> =>
    Effect.suspend(() => {
      Object.assign(sight, makeSight(sight.streamId, rules.initial))
      return readOn(sight)
    })

  if (snapshots === undefined) return { load, unread, readOn, readAgain, report: () => Effect.void }

  return {
    unread,
    readOn,
    readAgain: (sight) => Effect.andThen(snapshots.invalidate(sight.streamId), readAgain(sight)),
    load: (streamId) =>
      Effect.suspend(() => {
        const cached = snapshots.peek(streamId)
        if (cached !== undefined) return Effect.succeed(toSight(streamId, cached))
        return Effect.flatMap(snapshots.load(streamId), (found) => {
          if (found._tag === "None") return load(streamId)
          const sight = toSight(streamId, found.value)
          return found.value.isCached ? Effect.succeed(sight) : Effect.as(readOn(sight), sight)
        })
      }),
    report: ({ eventsReplayed, firstRevision, loadMillis, revision, snapshotRevision, state, streamId }, appended) =>
      revision < 0 ? Effect.void : snapshots.report({
        streamId,
        state,
        revision: revision as Revision,
        firstRevision: Math.max(firstRevision, 0) as Revision,
        snapshotRevision: snapshotRevision as Revision | -1,
        eventsReplayed,
        loadMillis,
        appended
      })
  }
}

// internal

const toSight = <State>(
  streamId: StreamId,
  { firstRevision, revision, state }: LoadedState<State>
): Sight<State> => Object.assign(makeSight(streamId, state), { revision, firstRevision, snapshotRevision: revision })

const NANOS_PER_MILLI = 1e6
