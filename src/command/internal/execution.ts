/**
 * One command on one stream: decide, append, and again when somebody was faster.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type { Decision } from "../../decider/Decider.ts"
import type { Proposed, Recorded, TypedEvent } from "../../event/EventType.ts"
import { type ExpectedRevision, isMet, type Revision } from "../../event/Revision.ts"
import type { AppendResult, EventStore } from "../../store/EventStore.ts"
import { type AppendError, IdempotencyConflict, RevisionConflict } from "../../store/EventStoreError.ts"
import { type CommandError, DecisionFailed, KeyTaken, type LoadError } from "../CommandError.ts"
import type { Executed } from "../Executed.ts"
import { ruleFailed, type Rules, type Sight, tagOf } from "./folding.ts"
import type { Loader } from "./loader.ts"
import { findOriginal, restore } from "./original.ts"
import { type Proposal, propose, toAppended } from "./proposal.ts"
import type { Request } from "./request.ts"

/** How the commands of one kind are executed. */
export interface Execution<Command, State, E extends TypedEvent, Rejection> {
  readonly store: EventStore["Service"]
  readonly rules: Rules<State, E>
  readonly loader: Loader<State, E>
  readonly decide: (command: Command, state: State) => Decision<E, Rejection>
  readonly retry: Schedule.Schedule<unknown, RevisionConflict>
  readonly rebase: Rebase<Command, State, E> | undefined
  /** Appends a proposal, all or nothing. */
  readonly write: (
    sight: Sight<State>,
    proposal: Proposal<State, E>,
    request: Request
  ) => Effect.Effect<AppendResult, AppendError | LoadError | KeyTaken>
}

/** Says whether what was decided still stands, although other events came first. */
export type Rebase<Command, State, E extends TypedEvent> = (conflict: {
  readonly command: Command
  /** State that was decided on. */
  readonly state: State
  /** What was decided. */
  readonly decided: ReadonlyArray<Proposed<E>>
  /** What came in between. */
  readonly events: ReadonlyArray<Recorded<E>>
}) => boolean

/** One command on its way. */
export interface Task<Command, State, E extends TypedEvent, Rejection> extends Execution<Command, State, E, Rejection> {
  readonly command: Command
  readonly request: Request
  readonly expected: ExpectedRevision
  readonly sight: Sight<State>
  /** What was decided last, for `rebase`. */
  decided: ReadonlyArray<Proposed<E>> | undefined
  /** The conflict that the execution itself met, and may overcome. */
  conflict: RevisionConflict | undefined
  isRetrying: boolean
}

/** Executes a command on a state that is loaded. */
export const execute = <Command, State, E extends TypedEvent, Rejection>(
  execution: Execution<Command, State, E, Rejection>,
  command: Command,
  request: Request,
  expected: ExpectedRevision,
  sight: Sight<State>
): Answer<State, E, Rejection> =>
  attempt({
    // written out: a spread takes longer
    store: execution.store,
    rules: execution.rules,
    loader: execution.loader,
    decide: execution.decide,
    retry: execution.retry,
    rebase: execution.rebase,
    write: execution.write,
    command,
    request,
    expected,
    sight,
    decided: undefined,
    conflict: undefined,
    isRetrying: false
  })

// internal

type Answer<State, E extends TypedEvent, Rejection> = Effect.Effect<
  Executed<State, E>,
  Rejection | CommandError | KeyTaken
>

/** Says that the command got to its end without an event, once that is known for certain. */
type Otherwise<State, E extends TypedEvent, Rejection> = () => Answer<State, E, Rejection>

const attempt = <Command, State, E extends TypedEvent, Rejection>(
  task: Task<Command, State, E, Rejection>
): Answer<State, E, Rejection> => {
  const { command, decide, expected, sight } = task
  if (!isMet(expected, revisionOf(sight))) {
    return sight.revision < 0 && expected !== "noStream"
      ? findHidden(task)
      : refuse(task, unmet(task, revisionOf(sight)))
  }
  let decision: Decision<E, Rejection>
  try {
    decision = decide(command, sight.state)
  } catch (cause) {
    return refuse(task, ruleFailed("decide", tagOf(command), sight, cause))
  }
  if (Array.isArray(decision)) return settle(task, decision)
  if (Effect.isEffect(decision)) {
    return Effect.matchCauseEffect(decision, {
      onSuccess: (decided) => settle(task, decided),
      onFailure: (cause) => refuseCause(task, cause)
    })
  }
  if (Result.isResult(decision)) {
    return decision._tag === "Success" ? settle(task, decision.success) : refuse(task, decision.failure)
  }
  return refuse(task, ruleFailed("decide", tagOf(command), sight, notADecision()))
}

const settle = <Command, State, E extends TypedEvent, Rejection>(
  task: Task<Command, State, E, Rejection>,
  decided: ReadonlyArray<Proposed<E>>
): Answer<State, E, Rejection> => {
  if (!Array.isArray(decided)) {
    return refuse(task, ruleFailed("decide", tagOf(task.command), task.sight, notADecision()))
  }
  task.decided = decided
  return decided.length === 0 ? confirm(task, () => nothingHappened(task)) : append(task, decided)
}

const append = <Command, State, E extends TypedEvent, Rejection>(
  task: Task<Command, State, E, Rejection>,
  decided: ReadonlyArray<Proposed<E>>
): Answer<State, E, Rejection> => {
  const { request, rules, sight, write } = task
  const proposal = propose(rules, request, sight, decided)
  return proposal._tag === "Failure"
    ? refuse(task, proposal.failure)
    : Effect.matchEffect(write(sight, proposal.success, request), {
      onSuccess: (result) => result.alreadyAppended ? repeated(task, result) : written(task, proposal.success, result),
      onFailure: (error) => notWritten(task, error)
    })
}

const written = <Command, State, E extends TypedEvent, Rejection>(
  { loader, sight }: Task<Command, State, E, Rejection>,
  { events, state }: Proposal<State, E>,
  result: AppendResult
): Answer<State, E, Rejection> => {
  if (sight.firstRevision < 0) sight.firstRevision = result.firstRevision
  sight.state = state
  sight.revision = result.revision
  return Effect.as(loader.report(sight, events.length), {
    streamId: sight.streamId,
    state,
    events: toAppended(events, result),
    revision: result.revision,
    position: result.position,
    alreadyExecuted: false
  })
}

const notWritten = <Command, State, E extends TypedEvent, Rejection>(
  task: Task<Command, State, E, Rejection>,
  error: AppendError | LoadError | KeyTaken
): Answer<State, E, Rejection> => {
  if (error instanceof RevisionConflict) return overcome(task, error)
  if (error instanceof IdempotencyConflict) return orOriginal(task, () => Effect.fail(error))
  return error instanceof KeyTaken || error instanceof DecisionFailed ? refuse(task, error) : Effect.fail(error)
}

/** The first attempt after a conflict is made at once, later ones as the schedule says. */
const overcome = <Command, State, E extends TypedEvent, Rejection>(
  task: Task<Command, State, E, Rejection>,
  conflict: RevisionConflict
): Answer<State, E, Rejection> => {
  task.conflict = conflict
  if (task.isRetrying) return Effect.fail(conflict)
  task.isRetrying = true
  return Effect.retry(Effect.suspend(() => catchUp(task)), {
    schedule: task.retry as Schedule.Schedule<unknown, unknown>,
    while: (error) => error === task.conflict
  })
}

const catchUp = <Command, State, E extends TypedEvent, Rejection>(
  task: Task<Command, State, E, Rejection>
): Answer<State, E, Rejection> => {
  const { command, conflict, decided, expected, loader, rebase, sight } = task
  const isOwn = conflict?.streamId === sight.streamId
  const known = isOwn ? conflict.actual : undefined
  if (isOwn && (known ?? -1) < sight.revision) return Effect.flatMap(loader.readAgain(sight), () => attempt(task))
  // what the caller knows is wrong, whatever the events in between are
  if (isOwn && !isMet(expected, known)) return orOriginal(task, () => Effect.fail(unmet(task, known)))
  if (rebase === undefined || decided === undefined) {
    return Effect.flatMap(loader.readOn(sight, known), () => attempt(task))
  }
  const { state } = sight
  const events: Array<Recorded<E>> = []
  return Effect.flatMap(loader.readOn(sight, known, events), () => {
    if (!isMet(expected, revisionOf(sight))) return attempt(task)
    try {
      return rebase({ command, state, decided, events }) ? append(task, decided) : attempt(task)
    } catch (cause) {
      return refuse(task, ruleFailed("rebase", tagOf(command), sight, cause))
    }
  })
}

/** The caller knows of events, and none are shown: either there are none, or they were truncated. */
const findHidden = <Command, State, E extends TypedEvent, Rejection>(
  task: Task<Command, State, E, Rejection>
): Answer<State, E, Rejection> =>
  Effect.flatMap(task.store.describeStream(task.sight.streamId), (stream) =>
    stream._tag === "None"
      ? refuse(task, unmet(task, undefined))
      : Effect.flatMap(task.loader.readOn(task.sight, stream.value.revision), () => attempt(task)))

const unmet = (
  { expected, sight: { streamId } }: Pick<Task<never, unknown, never, unknown>, "expected" | "sight">,
  actual: Revision | undefined
): RevisionConflict => new RevisionConflict({ streamId, expected, actual })

/** An earlier append with the same ids: of this command, or of a decision that gives its events ids of its own. */
const repeated = <Command, State, E extends TypedEvent, Rejection>(
  task: Task<Command, State, E, Rejection>,
  { firstRevision, revision }: AppendResult
): Answer<State, E, Rejection> =>
  orOriginal(task, () =>
    restore(task.store, task.rules, task.sight.streamId, {
      isPast: (event) => event.revision <= revision,
      isOwn: (event) => event.revision >= firstRevision
    }))

/** What the command did before, if it did; else the answer. */
const orOriginal = <Command, State, E extends TypedEvent, Rejection>(
  { request: { identity }, rules, sight, store }: Task<Command, State, E, Rejection>,
  otherwise: Otherwise<State, E, Rejection>
): Answer<State, E, Rejection> =>
  identity === undefined
    ? otherwise()
    : Effect.flatMap(
      findOriginal(store, rules, sight.streamId, identity),
      (original) => original._tag === "Some" ? Effect.succeed(original.value) : otherwise()
    )

/** Nothing is answered on a state that may be older than the log: it is read on first, and decided anew if it was. */
const confirm = <Command, State, E extends TypedEvent, Rejection>(
  task: Task<Command, State, E, Rejection>,
  otherwise: Otherwise<State, E, Rejection>
): Answer<State, E, Rejection> => {
  const { loader, sight } = task
  if (sight.isCurrent) return orOriginal(task, otherwise)
  const { revision } = sight
  return Effect.flatMap(
    loader.readOn(sight),
    () => sight.revision === revision ? orOriginal(task, otherwise) : attempt(task)
  )
}

const refuse = <Command, State, E extends TypedEvent, Rejection>(
  task: Task<Command, State, E, Rejection>,
  error: Rejection | CommandError | KeyTaken
): Answer<State, E, Rejection> =>
  confirm(task, () => Effect.andThen(task.loader.report(task.sight, 0), Effect.fail(error)))

const refuseCause = <Command, State, E extends TypedEvent, Rejection>(
  task: Task<Command, State, E, Rejection>,
  cause: Cause.Cause<Rejection>
): Answer<State, E, Rejection> => {
  const failure = cause.reasons.find(Cause.isFailReason)
  if (failure !== undefined) return refuse(task, failure.error)
  return Cause.hasInterrupts(cause)
    ? Effect.failCause(cause)
    : refuse(task, ruleFailed("decide", tagOf(task.command), task.sight, Cause.squash(cause)))
}

const nothingHappened = <Command, State, E extends TypedEvent, Rejection>(
  { loader, sight }: Task<Command, State, E, Rejection>
): Answer<State, E, Rejection> =>
  Effect.as(loader.report(sight, 0), {
    streamId: sight.streamId,
    state: sight.state,
    events: [],
    revision: revisionOf(sight),
    position: undefined,
    alreadyExecuted: false
  })

const revisionOf = ({ revision }: { readonly revision: number }): Revision | undefined =>
  revision < 0 ? undefined : revision as Revision

const notADecision = () => new TypeError("a decision is an array of events, a Result or an Effect of one")
