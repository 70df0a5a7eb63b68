/**
 * Scenarios of a decider: given events, when a command, then events, a
 * rejection or a state.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Decider, Decision } from "../decider/Decider.ts"
import type { RecordedEvent } from "../event/Event.ts"
import type { Proposed, TypedEvent } from "../event/EventType.ts"
import type { Registry } from "../version/Registry.ts"
import * as VersionRegistry from "../version/VersionRegistry.ts"
import { assertSame, type ExpectedFailure, fail, isExpectedFailure } from "./AssertionFailed.ts"
import { asStored } from "./internal/asStored.ts"

/**
 * A decider under test.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeciderSpec<in Command, State, E extends TypedEvent, Rejection> {
  /**
   * What has happened before.
   *
   * **Details**
   *
   * The events are checked with their schemas and come back as they would from a
   * store, so a scenario cannot begin with what cannot be stored.
   */
  readonly given: (...events: ReadonlyArray<Proposed<E>>) => Given<Command, State, E, Rejection>

  /** What has happened before, as it is stored: of any version, and lifted. */
  readonly givenStored: (
    ...events: ReadonlyArray<{ readonly type: E["type"]; readonly version: number; readonly data: unknown }>
  ) => Given<Command, State, E, Rejection>

  /** Nothing has happened before, and a command is given. */
  readonly when: (command: Command) => Outcome<State, E, Rejection>
}

/**
 * A scenario that has begun.
 *
 * @category models
 * @since 0.1.0
 */
export interface Given<in Command, State, E extends TypedEvent, Rejection> {
  /** The state that the events lead to. */
  readonly state: State
  /** Decides on a command, at once. */
  readonly when: (command: Command) => Outcome<State, E, Rejection>
  /** Decides on a command in the running fiber, for a decision that needs the clock or takes its time. */
  readonly whenEffect: (command: Command) => Effect.Effect<Outcome<State, E, Rejection>>
  /** Throws when the events lead to another state. */
  readonly thenState: (expected: State) => void
}

/**
 * What came of a command. Each check throws when it does not hold, and answers
 * the outcome, so that another can follow.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome<out State, E extends TypedEvent, Rejection> {
  /** What was decided; empty when the command was rejected. */
  readonly events: ReadonlyArray<Proposed<E>>
  /** What it was rejected with. */
  readonly rejection: Rejection | undefined
  /** The state after the events. */
  readonly state: State
  /** These events happen, in this order, and no other; of tags and metadata only what is named is compared. */
  readonly thenEvents: (...expected: ReadonlyArray<Proposed<E>>) => Outcome<State, E, Rejection>
  /** Nothing happens, and nothing is rejected. */
  readonly thenNothing: () => Outcome<State, E, Rejection>
  /** The command is rejected: with this, of this class, with this `_tag`, or with what a function says yes to. */
  readonly thenRejected: (expected: ExpectedFailure<Rejection>) => Outcome<State, E, Rejection>
  /** The events leave this state behind. */
  readonly thenState: (expected: unknown) => Outcome<State, E, Rejection>
}

/**
 * Puts a decider under test.
 *
 * **Example**
 *
 * ```ts
 * const spec = DeciderSpec.make(Account)
 *
 * spec.given(Opened.make({ owner: "Ann" }), Deposited.make({ amount: 10 }))
 *   .when({ _tag: "Withdraw", amount: 4 })
 *   .thenEvents(Withdrawn.make({ amount: 4 }))
 *   .thenState({ isOpen: true, balance: 6 })
 *
 * spec.when({ _tag: "Withdraw", amount: 4 }).thenRejected("NotOpen")
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Command, State, E extends TypedEvent, Rejection>(
  decider: Decider<Command, State, E, Rejection>
): DeciderSpec<Command, State, E, Rejection> => {
  const registry = Result.getOrThrow(VersionRegistry.makeResult(decider.events)) as unknown as Registry<E>
  const begin = (events: ReadonlyArray<RecordedEvent>) => givenEvents(decider, registry, events)
  const given = (...events: ReadonlyArray<Proposed<E>>) =>
    begin(asStored(events.map((event) => Result.getOrThrow(registry.encode(event)))))
  return {
    given,
    givenStored: (...events) => begin(asStored(events)),
    when: (command) => given().when(command)
  }
}

// internal

const givenEvents = <Command, State, E extends TypedEvent, Rejection>(
  decider: Decider<Command, State, E, Rejection>,
  registry: Registry<E>,
  events: ReadonlyArray<RecordedEvent>
): Given<Command, State, E, Rejection> => {
  const read = (stored: ReadonlyArray<RecordedEvent>, from: State): State =>
    stored.reduce((state, event) => {
      const decoded = Result.getOrThrow(registry.decode(event))
      return decoded._tag === "Some" ? decider.evolve(state, decoded.value) : state
    }, from)
  const state = read(events, decider.initial)
  const outcomeOf = (decided: Result.Result<ReadonlyArray<Proposed<E>>, Rejection>): Outcome<State, E, Rejection> => {
    if (decided._tag === "Failure") return makeOutcome<State, E, Rejection>([], decided.failure, state, true)
    const encoded = decided.success.map((event) => Result.getOrThrow(registry.encode(event)))
    return makeOutcome<State, E, Rejection>(
      decided.success,
      undefined,
      read(asStored(encoded, events.length), state),
      false
    )
  }
  return {
    state,
    when: (command) => outcomeOf(decideNow(decider.decide(command, state))),
    whenEffect: (command) =>
      Effect.suspend(() => Effect.map(Effect.result(toEffect(decider.decide(command, state))), outcomeOf)),
    thenState: (expected) => assertSame("The state is", state, expected)
  }
}

const makeOutcome = <State, E extends TypedEvent, Rejection>(
  events: ReadonlyArray<Proposed<E>>,
  rejection: Rejection | undefined,
  state: State,
  isRejected: boolean
): Outcome<State, E, Rejection> => {
  const accepted = (expected: unknown) => {
    if (isRejected) fail("The command was rejected", rejection, expected)
  }
  const outcome: Outcome<State, E, Rejection> = {
    events,
    rejection,
    state,
    thenEvents: (...expected) => {
      accepted(expected)
      assertSame(
        "The events are",
        events.map((event, index) => likeExpected(event, expected[index])),
        expected.map(withoutNothing)
      )
      return outcome
    },
    thenNothing: () => {
      accepted([])
      assertSame("The events are", events, [])
      return outcome
    },
    thenRejected: (expected) => {
      if (!isRejected) fail("The command was not rejected", events, expected)
      if (!isExpectedFailure(rejection, expected as never)) {
        fail("The command was rejected otherwise", rejection, expected)
      }
      return outcome
    },
    thenState: (expected) => {
      accepted(expected)
      assertSame("The state is", state, expected)
      return outcome
    }
  }
  return outcome
}

/** An event with its type and data, and what else is expected of it. */
const likeExpected = (event: Proposed<TypedEvent>, expected: Proposed<TypedEvent> | undefined): object => ({
  type: event.type,
  data: event.data,
  ...(expected?.id === undefined ? {} : { id: event.id }),
  ...(expected?.tags === undefined ? {} : { tags: event.tags }),
  ...(expected?.metadata === undefined ? {} : { metadata: event.metadata })
})

const withoutNothing = (event: Proposed<TypedEvent>): object =>
  Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined))

const toEffect = <E extends TypedEvent, Rejection>(
  decision: Decision<E, Rejection>
): Effect.Effect<ReadonlyArray<Proposed<E>>, Rejection> => {
  if (Array.isArray(decision)) return Effect.succeed(decision)
  return Effect.isEffect(decision)
    ? decision
    : Effect.fromResult(decision as Result.Result<ReadonlyArray<Proposed<E>>, Rejection>)
}

const decideNow = <E extends TypedEvent, Rejection>(
  decision: Decision<E, Rejection>
): Result.Result<ReadonlyArray<Proposed<E>>, Rejection> => {
  const exit = Effect.runSyncExit(toEffect(decision))
  if (exit._tag === "Success") return Result.succeed(exit.value)
  const failure = exit.cause.reasons.find(Cause.isFailReason)
  if (failure !== undefined) return Result.fail(failure.error)
  throw Cause.squash(exit.cause)
}
