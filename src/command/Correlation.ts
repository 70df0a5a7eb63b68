/**
 * What belongs together, and what led to what: ids that flow from a command to
 * its events, and from an event to the commands that it leads to.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { EventMetadata } from "../event/Event.ts"

/**
 * Ids that commands put on their events.
 *
 * @category models
 * @since 0.1.0
 */
export interface Correlation {
  /** Id that everything in one conversation shares. */
  readonly correlationId?: string | undefined
  /** Id of the event or command that leads to what happens now. */
  readonly causationId?: string | undefined
}

/**
 * Reference to the ids of the running fiber; none by default.
 *
 * @category references
 * @since 0.1.0
 */
export const CurrentCorrelation = Context.Reference<Correlation>(
  "effect-event-store/command/Correlation/CurrentCorrelation",
  { defaultValue: () => none }
)

/**
 * Runs an effect as part of a conversation: every command in it puts the id on
 * its events.
 *
 * **Example**
 *
 * ```ts
 * accounts.execute("42", command).pipe(Correlation.correlated(request.id))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const correlated =
  (correlationId: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(
      CurrentCorrelation,
      (current) => Effect.provideService(effect, CurrentCorrelation, { ...current, correlationId })
    )

/**
 * Runs an effect because of an event: every command in it names the event as
 * its cause and goes on with its conversation, or begins one with its id.
 *
 * **Example**
 *
 * ```ts
 * const react = (event: RecordedEvent) =>
 *   shipments.execute(orderOf(event), command).pipe(Correlation.causedBy(event))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const causedBy = (event: {
  readonly id: string
  readonly metadata: Pick<EventMetadata, "correlationId">
}): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> =>
  Effect.provideService(CurrentCorrelation, {
    correlationId: event.metadata.correlationId ?? event.id,
    causationId: event.id
  })

// internal

const none: Correlation = {}
