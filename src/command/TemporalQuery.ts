/**
 * The past of a stream: its state at a revision, at a position of the log or at
 * a time, and what differs between two of them.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Difference from "../decider/Difference.ts"
import type { RecordedEvent } from "../event/Event.ts"
import type { Recorded, TypedEvent } from "../event/EventType.ts"
import { InvalidInput } from "../event/InvalidInput.ts"
import { checkPosition, checkRevision, type Position, type Revision } from "../event/Revision.ts"
import type { StreamId } from "../event/StreamId.ts"
import { EventStore } from "../store/EventStore.ts"
import type { LoadError } from "./CommandError.ts"
import type { CommandHandler } from "./CommandHandler.ts"
import { foldInto, makeSight } from "./internal/folding.ts"
import { toStreamId } from "./internal/streamIds.ts"

/**
 * A moment in the past of a stream: after the event of a revision, after a
 * position of the log, or at a time, all of them inclusive. One that has not
 * come yet is now.
 *
 * @category models
 * @since 0.1.0
 */
export type Moment =
  | { readonly revision: number }
  | { readonly position: number }
  | { readonly time: DateTime.Utc }

/**
 * A state of the past.
 *
 * @category models
 * @since 0.1.0
 */
export interface PastState<State> {
  readonly streamId: StreamId
  readonly state: State
  /** Last revision that is in the state; `undefined` before the first event. */
  readonly revision: Revision | undefined
  /** Position of that event. */
  readonly position: Position | undefined
  /** When it was recorded. */
  readonly recordedAt: DateTime.Utc | undefined
}

/**
 * What happened between two moments.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateDifference<State, E extends TypedEvent> {
  readonly before: PastState<State>
  readonly after: PastState<State>
  /** The events after `before`, up to `after`. */
  readonly events: ReadonlyArray<Recorded<E>>
  /** Where the states differ. */
  readonly changes: ReadonlyArray<Difference.Change>
}

/**
 * What a look into the past needs of a handler.
 *
 * @category models
 * @since 0.1.0
 */
export type Subject<State, E extends TypedEvent> = Pick<
  CommandHandler<never, State, E, unknown>,
  "category" | "decider" | "registry"
>

/**
 * Folds a stream as far as it was at a moment.
 *
 * **Details**
 *
 * The events are read in their newest versions and folded by the rules of now.
 * Snapshots are not used; what was truncated is not seen.
 *
 * **Example**
 *
 * ```ts
 * const { state } = yield* TemporalQuery.stateAt(accounts, "42", { time: lastNewYear })
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const stateAt = <State, E extends TypedEvent>(
  subject: Subject<State, E>,
  id: string,
  moment: Moment
): Effect.Effect<PastState<State>, LoadError, EventStore> =>
  Effect.map(walk(subject, id, [moment]), ({ states: [state] }) => state)

/**
 * Says what happened between two moments, and what differs; the moments may be
 * given in either order.
 *
 * @category getters
 * @since 0.1.0
 */
export const diff = <State, E extends TypedEvent>(
  subject: Subject<State, E>,
  id: string,
  one: Moment,
  other: Moment
): Effect.Effect<StateDifference<State, E>, LoadError, EventStore> =>
  Effect.map(walk(subject, id, [one, other]), ({ events, states }) => {
    const [first, second] = states
    const [before, after] = (first.revision ?? -1) <= (second.revision ?? -1) ? [first, second] : [second, first]
    return { before, after, events, changes: Difference.between(before.state, after.state) }
  })

// internal

/** What was seen on the way: a state for each moment, and the events between them. */
interface Walk<State, E extends TypedEvent, Moments extends ReadonlyArray<Moment>> {
  readonly states: { readonly [Index in keyof Moments]: PastState<State> }
  readonly events: ReadonlyArray<Recorded<E>>
}

const walk = <State, E extends TypedEvent, const Moments extends ReadonlyArray<Moment>>(
  { category, decider, registry }: Subject<State, E>,
  id: string,
  moments: Moments
): Effect.Effect<Walk<State, E, Moments>, LoadError, EventStore> =>
  Effect.gen(function*() {
    const streamId = toStreamId(category, id)
    if (streamId instanceof InvalidInput) return yield* streamId
    for (const moment of moments) {
      const fault = checkMoment(moment)
      if (fault !== undefined) return yield* fault
    }
    const store = yield* EventStore
    const sight = makeSight(streamId, decider.initial)
    const rules = { registry, initial: decider.initial, evolve: decider.evolve }
    const nothing: PastState<State> = {
      streamId,
      state: decider.initial,
      revision: undefined,
      position: undefined,
      recordedAt: undefined
    }
    const states: Array<PastState<State>> = moments.map(() => nothing)
    const between: Array<Recorded<E>> = []
    const isSeen = (event: RecordedEvent) => moments.some((moment) => isBy(moment, event))
    yield* Stream.runForEachArray(Stream.takeWhile(store.readStream(streamId), isSeen), (events) => {
      for (const event of events) {
        const seenBy = moments.map((moment) => isBy(moment, event))
        const fault = foldInto(rules, sight, [event], seenBy.every(Boolean) ? undefined : between)
        if (fault !== undefined) return Effect.fail(fault)
        const { position, recordedAt, revision } = event
        seenBy.forEach((isSeen, index) => {
          if (isSeen) states[index] = { streamId, state: sight.state, revision, position, recordedAt }
        })
      }
      return Effect.void
    })
    return { states: states as never, events: between }
  })

const isBy = (moment: Moment, { position, recordedAt, revision }: RecordedEvent): boolean =>
  "revision" in moment
    ? revision <= moment.revision
    : "position" in moment
    ? position <= moment.position
    : recordedAt.epochMilliseconds <= moment.time.epochMilliseconds

const checkMoment = (moment: Moment): InvalidInput | undefined =>
  "revision" in moment
    ? checkRevision(moment.revision, "revision")
    : "position" in moment
    ? checkPosition(moment.position, "position")
    : undefined
