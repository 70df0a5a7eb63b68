/**
 * One command on the events of a query: read, decide, append on a condition.
 */
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Decision } from "../../decider/Decider.ts"
import type { RecordedEvent } from "../../event/Event.ts"
import { type EventQuery, matchesQuery } from "../../event/EventQuery.ts"
import type { Proposed, Recorded, TypedEvent } from "../../event/EventType.ts"
import { type Position, START } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import type { AppendAllResult, EventStore, StreamWrite } from "../../store/EventStore.ts"
import { AppendConditionFailed, type AppendError, IdempotencyConflict } from "../../store/EventStoreError.ts"
import type { CommandError, DecisionFailed, LoadError } from "../CommandError.ts"
import type { Appended, BoundaryOutcome } from "../Executed.ts"
import { answer } from "./answers.ts"
import { evolveFailed, ruleFailed, type Rules, tagOf } from "./folding.ts"
import { findFirstEvent } from "./original.ts"
import { type ProposalError, propose, toAppended, withoutTime } from "./proposal.ts"
import type { Identity, Request } from "./request.ts"

/** What a decision over a query is made of. */
export interface Boundary<Command, State, E extends TypedEvent, Rejection> {
  readonly store: EventStore["Service"]
  readonly rules: Rules<State, E>
  readonly query: (command: Command) => EventQuery
  readonly decide: (command: Command, state: State) => Decision<E, Rejection>
  readonly streamId: (event: E, command: Command) => string
  readonly retry: Schedule.Schedule<unknown, AppendConditionFailed>
}

/** Executes a command on the events that matter to it. */
export const executeBoundary = <Command, State, E extends TypedEvent, Rejection>(
  self: Boundary<Command, State, E, Rejection>,
  command: Command,
  request: Request
): Effect.Effect<BoundaryOutcome<State, E>, Rejection | CommandError> =>
  Effect.gen(function*() {
    const view = yield* openView(self, command)
    let conflict: AppendConditionFailed | undefined
    const attempt = Effect.suspend(() => Effect.andThen(readOn(self, view), decideOn(self, command, request, view)))
      .pipe(
        Effect.tapError((error) =>
          Effect.sync(() => {
            conflict = error instanceof AppendConditionFailed ? error : undefined
          })
        )
      )
    const isConflict = (error: unknown) => error === conflict && conflict !== undefined
    return yield* Effect.catchIf(attempt, isConflict, () =>
      Effect.retry(attempt, { schedule: self.retry as Schedule.Schedule<unknown, unknown>, while: isConflict }))
  })

/** Folds what matters to a command now. */
export const loadBoundary = <Command, State, E extends TypedEvent, Rejection>(
  self: Boundary<Command, State, E, Rejection>,
  command: Command
): Effect.Effect<{ readonly state: State; readonly position: Position }, CommandError> =>
  Effect.flatMap(
    openView(self, command),
    (view) => Effect.map(readOn(self, view), () => ({ state: view.state, position: view.position }))
  )

// internal

/** What matters to a command, as far as it was read. */
interface View<State> {
  readonly query: EventQuery
  state: State
  position: Position
}

type AnyBoundary<Command, State, E extends TypedEvent> = Boundary<Command, State, E, unknown>

const openView = <Command, State, E extends TypedEvent>(
  { query, rules }: AnyBoundary<Command, State, E>,
  command: Command
): Effect.Effect<View<State>, DecisionFailed> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed<View<State>>({ query: query(command), state: rules.initial, position: START })
    } catch (cause) {
      return Effect.fail(ruleFailed("query", tagOf(command), undefined, cause))
    }
  })

/** Reads a view forward to the end of the log, or to a position. */
const readOn = <Command, State, E extends TypedEvent>(
  self: AnyBoundary<Command, State, E>,
  view: View<State>,
  until?: Position
): Effect.Effect<void, CommandError> =>
  Effect.flatMap(
    self.store.readPage({ after: view.position, until, filter: { query: view.query } }),
    ({ events, isEnd, position }) => {
      const fault = fold(self.rules, view, events)
      view.position = position
      return fault !== undefined ? Effect.fail(fault) : isEnd ? Effect.void : readOn(self, view, until)
    }
  )

const fold = <State, E extends TypedEvent>(
  { evolve, registry }: Rules<State, E>,
  view: View<State>,
  events: ReadonlyArray<RecordedEvent>
): LoadError | undefined => {
  for (const event of events) {
    const decoded = registry.decode(event)
    if (decoded._tag === "Failure") return decoded.failure
    if (decoded.success._tag === "None") continue
    try {
      view.state = evolve(view.state, decoded.success.value)
    } catch (cause) {
      return evolveFailed(event, cause)
    }
  }
  return undefined
}

const decideOn = <Command, State, E extends TypedEvent, Rejection>(
  self: Boundary<Command, State, E, Rejection>,
  command: Command,
  request: Request,
  view: View<State>
): Effect.Effect<BoundaryOutcome<State, E>, Rejection | CommandError> => {
  const broken = (cause: unknown) => ruleFailed("decide", tagOf(command), undefined, cause)
  const otherwise = (answer: Effect.Effect<BoundaryOutcome<State, E>, Rejection | CommandError>) =>
    orOriginal(self, command, request.identity, answer)
  return Effect.matchEffect(answer(() => self.decide(command, view.state), broken), {
    onFailure: (rejection) => otherwise(Effect.fail(rejection)),
    onSuccess: (decided) => {
      const plan = planOf(self, command, request, view, decided)
      if ("_tag" in plan) return otherwise(Effect.fail(plan))
      const { state, writes } = plan
      if (writes.length === 0) {
        return otherwise(Effect.succeed({ state, events: [], position: undefined, alreadyExecuted: false }))
      }
      const condition = { query: view.query, after: view.position }
      const append: Effect.Effect<AppendAllResult, AppendError> = self.store.appendAll({ writes, condition })
      return Effect.matchEffect(append, {
        onFailure: (error) => error instanceof IdempotencyConflict ? otherwise(Effect.fail(error)) : Effect.fail(error),
        onSuccess: (result) =>
          result.alreadyAppended
            ? otherwise(
              restore(self, command, result.writes[0].firstPosition, ({ position }) => position <= result.position)
            )
            : Effect.succeed({
              state,
              events: result.writes.flatMap((write, index) => toAppended(plan.events[index] ?? [], write)),
              position: result.position,
              alreadyExecuted: false
            })
      })
    }
  })
}

/** What is to be appended, and the state that it leaves behind. */
interface Plan<State, E extends TypedEvent> {
  readonly writes: ReadonlyArray<StreamWrite>
  /** The events of each write. */
  readonly events: ReadonlyArray<ReadonlyArray<Recorded<E>>>
  readonly state: State
}

/** Events are folded in the order in which they will stand in the log: by stream, and in the order of the decision within it. */
const planOf = <Command, State, E extends TypedEvent>(
  self: AnyBoundary<Command, State, E>,
  command: Command,
  request: Request,
  view: View<State>,
  decided: ReadonlyArray<Proposed<E>>
): Plan<State, E> | ProposalError => {
  let streams: Map<string, ReadonlyArray<Proposed<E>>>
  try {
    streams = Map.groupBy(decided, (event) => self.streamId(event, command))
  } catch (cause) {
    return ruleFailed("streamId", tagOf(command), undefined, cause)
  }
  // only what the query matches belongs to the state
  const evolve = (state: State, event: E): State =>
    matchesQuery(view.query, event as unknown as Appended<TypedEvent>) ? self.rules.evolve(state, event) : state
  const writes: Array<StreamWrite> = []
  const events: Array<ReadonlyArray<Recorded<E>>> = []
  let { state } = view
  let count = 0
  for (const [streamId, own] of streams) {
    const place = { streamId: streamId as StreamId, state, revision: -1 }
    const proposal = propose({ ...self.rules, evolve }, request, place, own, count)
    if (proposal._tag === "Failure") return withoutRevision(proposal.failure)
    state = proposal.success.state
    count += own.length
    writes.push({ streamId, expected: "any", events: proposal.success.encoded })
    events.push(proposal.success.events)
  }
  return { writes, events, state }
}

/** What the command did before, if it did; else the answer. */
const orOriginal = <Command, State, E extends TypedEvent, Rejection>(
  self: AnyBoundary<Command, State, E>,
  command: Command,
  identity: Identity | undefined,
  otherwise: Effect.Effect<BoundaryOutcome<State, E>, Rejection | CommandError>
): Effect.Effect<BoundaryOutcome<State, E>, Rejection | CommandError> => {
  if (identity === undefined) return otherwise
  return Effect.flatMap(findFirstEvent(self.store, identity, () => true), (first) => {
    if (first._tag === "None") return otherwise
    const { position } = first.value
    return restore(self, command, position, (event) => event.id === identity.eventId(event.position - position))
  })
}

/** The state as it was after events that stand next to each other in the log, and the events. */
const restore = <Command, State, E extends TypedEvent>(
  self: AnyBoundary<Command, State, E>,
  command: Command,
  first: Position,
  isOwn: (event: RecordedEvent) => boolean
): Effect.Effect<BoundaryOutcome<State, E>, CommandError> =>
  Effect.gen(function*() {
    const recorded = yield* Stream.runCollect(Stream.takeWhile(self.store.readAll({ after: first - 1 }), isOwn))
    const events = yield* self.rules.registry.decodeAll(recorded)
    const position = recorded.at(-1)?.position
    const view = yield* openView(self, command)
    yield* readOn(self, view, position)
    return { state: view.state, events: withoutTime(events), position, alreadyExecuted: true }
  })

/** A revision that is not claimed is not known before the append. */
const withoutRevision = (error: ProposalError): ProposalError =>
  error._tag === "DecisionFailed" ? ruleFailed(error.rule, error.type, undefined, error.cause) : error
