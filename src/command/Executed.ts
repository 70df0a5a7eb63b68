/**
 * What a command answers.
 *
 * @since 0.1.0
 */
import type { Recorded, TypedEvent } from "../event/EventType.ts"
import type { Position, Revision } from "../event/Revision.ts"
import type { StreamId } from "../event/StreamId.ts"

/**
 * What a command did to one stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface Executed<State, E extends TypedEvent> {
  readonly streamId: StreamId
  /** The state after the events. */
  readonly state: State
  /** What happened; empty when nothing did. */
  readonly events: ReadonlyArray<Appended<E>>
  /** Last revision that is in the state; `undefined` when the stream has no events. */
  readonly revision: Revision | undefined
  /** Position of the last event; `undefined` when nothing happened. */
  readonly position: Position | undefined
  /** Whether an earlier command with the same id had done it. */
  readonly alreadyExecuted: boolean
}

/**
 * What a decision over a query did.
 *
 * @category models
 * @since 0.1.0
 */
export interface BoundaryOutcome<State, E extends TypedEvent> {
  /** The state after the events that match the query. */
  readonly state: State
  readonly events: ReadonlyArray<Appended<E>>
  /** Position of the last event; `undefined` when nothing happened. */
  readonly position: Position | undefined
  /** Whether an earlier command with the same id had done it. */
  readonly alreadyExecuted: boolean
}

/**
 * An event as its writer gets it back: as a reader will read it, without the
 * time at which it was recorded, which the append does not answer.
 *
 * @category models
 * @since 0.1.0
 */
export type Appended<E extends TypedEvent> = E extends TypedEvent ? Omit<Recorded<E>, "recordedAt"> : never
