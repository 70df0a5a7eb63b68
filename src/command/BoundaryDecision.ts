/**
 * Decisions whose consistency boundary is a query, not a stream: any events that
 * matter to the decision, in whatever streams they are.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { Decision, RejectionOf } from "../decider/Decider.ts"
import type { EventQuery } from "../event/EventQuery.ts"
import type * as EventType from "../event/EventType.ts"
import type { TypedEvent } from "../event/EventType.ts"
import { InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Revision.ts"
import { EventStore } from "../store/EventStore.ts"
import type { AppendConditionFailed } from "../store/EventStoreError.ts"
import type { RegistryInvalid } from "../version/VersionError.ts"
import * as VersionRegistry from "../version/VersionRegistry.ts"
import type { CommandError } from "./CommandError.ts"
import * as CommandHandler from "./CommandHandler.ts"
import { CurrentCorrelation } from "./Correlation.ts"
import type { BoundaryOutcome } from "./Executed.ts"
import { type Boundary, executeBoundary, loadBoundary } from "./internal/boundary.ts"
import { makeRequest } from "./internal/request.ts"

/**
 * Carries out commands that are decided on the events of a query.
 *
 * @category models
 * @since 0.1.0
 */
export interface BoundaryDecision<in Command, State, E extends TypedEvent, out Rejection> {
  /**
   * Reads what matters to the command, decides, and appends on the condition that
   * nothing that matters was recorded in between.
   *
   * **Details**
   *
   * When something was, only what is new is read, and it is decided again. A
   * rejection was decided on all that was recorded when the log was read.
   */
  readonly execute: (
    command: Command,
    options?: Omit<CommandHandler.ExecuteOptions, "expected">
  ) => Effect.Effect<BoundaryOutcome<State, E>, Rejection | CommandError>

  /** Folds what matters to a command now. */
  readonly load: (
    command: Command
  ) => Effect.Effect<{ readonly state: State; readonly position: Position }, CommandError>
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface BoundaryOptions<
  Types extends ReadonlyArray<EventType.Any>,
  Command,
  State,
  Answer extends Decision<EventType.EventOf<Types[number]>, unknown>,
  Evolve extends (state: State, event: EventType.EventOf<Types[number]>) => State
> {
  /** Types of the events that are read and written. */
  readonly events: Types
  /** What matters to a command; an item without types means all types of the decision. */
  readonly query: (command: Command) => EventQuery
  readonly initial: State
  readonly evolve: Evolve
  readonly decide: (command: Command, state: State) => Answer
  /** Stream in which an event is recorded. */
  readonly streamId: (event: EventType.EventOf<Types[number]>, command: Command) => string
  /** How often and how fast it is decided again after a conflict; that of commands when absent. */
  readonly retry?: Schedule.Schedule<unknown, AppendConditionFailed> | undefined
}

/**
 * Makes a decision over the events of a query.
 *
 * **Example**
 *
 * ```ts
 * const subscribe = yield* BoundaryDecision.make({
 *   events: [CourseDefined, StudentSubscribed],
 *   query: ({ course, student }: Subscribe) => [{ tags: [`course:${course}`] }, { tags: [`student:${student}`] }],
 *   initial: { seats: 0, taken: 0 },
 *   evolve: (state, event) =>
 *     event.type === "CourseDefined"
 *       ? { ...state, seats: event.data.seats }
 *       : { ...state, taken: state.taken + 1 },
 *   decide: ({ course, student }, { seats, taken }) =>
 *     taken >= seats ? new CourseFull() : [
 *       StudentSubscribed.make({ course, student }, { tags: [`course:${course}`, `student:${student}`] })
 *     ],
 *   streamId: (_event, { course }) => `course-${course}`
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Types extends ReadonlyArray<EventType.Any>,
  Command,
  State,
  Answer extends Decision<EventType.EventOf<Types[number]>, unknown>,
  Evolve extends (state: State, event: EventType.EventOf<Types[number]>) => State
>(
  options: BoundaryOptions<Types, Command, State, Answer, Evolve>
): Effect.Effect<
  BoundaryDecision<Command, State, EventType.EventOf<Types[number]>, RejectionOf<Answer>>,
  RegistryInvalid,
  EventStore
> =>
  Effect.gen(function*() {
    type E = EventType.EventOf<Types[number]>
    const store = yield* EventStore
    const registry = yield* VersionRegistry.make(options.events)
    const types = options.events.map(({ name }) => name)
    const boundary: Boundary<Command, State, E, RejectionOf<Answer>> = {
      store,
      rules: { registry, initial: options.initial, evolve: options.evolve },
      query: (command) => options.query(command).map((item) => item.types === undefined ? { ...item, types } : item),
      // an answer is a decision of its own rejections, which the compiler cannot see
      decide: options.decide as never,
      streamId: options.streamId,
      retry: options.retry ?? CommandHandler.retryDefault
    }
    return {
      execute: (command, executeOptions = {}) =>
        Effect.withFiber((fiber) => {
          const request = makeRequest(command, executeOptions, fiber.getRef(CurrentCorrelation))
          return request instanceof InvalidInput ? Effect.fail(request) : executeBoundary(boundary, command, request)
        }),
      load: (command) => loadBoundary(boundary, command)
    }
  })
