/**
 * Scenarios over a store: given streams of events, when something runs, such as
 * a command or a query, then what it answers and what it appends.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { format } from "effect/Formatter"
import * as Stream from "effect/Stream"
import type { ProposedEvent, RecordedEvent } from "../event/Event.ts"
import type { TypedEvent } from "../event/EventType.ts"
import { EventStore } from "../store/EventStore.ts"
import type { AppendError, ReadError } from "../store/EventStoreError.ts"
import { assertSame, type ExpectedFailure, fail, isExpectedFailure } from "./AssertionFailed.ts"

/**
 * A scenario that has begun.
 *
 * @category models
 * @since 0.1.0
 */
export interface Given {
  /**
   * Records the events, runs the effect in the running fiber, and looks at what it
   * appended. A failure of the effect is an outcome too.
   */
  readonly when: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<Outcome<A, E>, AppendError | ReadError, R | EventStore>
}

/**
 * What came of an effect. Each check throws when it does not hold, and answers
 * the outcome, so that another can follow.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome<out A, E> {
  readonly exit: Exit.Exit<A, E>
  /** What was appended while it ran, in the order of the log. */
  readonly appended: ReadonlyArray<RecordedEvent>
  /** It answers this. */
  readonly thenResult: (expected: unknown) => Outcome<A, E>
  /** It fails: with this, with an error of this class, with this `_tag`, or with what a function says yes to. */
  readonly thenFailed: (expected: ExpectedFailure<E>) => Outcome<A, E>
  /** It appends these events to these streams, and no other: data as it is stored. */
  readonly thenAppended: (expected: Streams) => Outcome<A, E>
  /** It appends nothing. */
  readonly thenNothing: () => Outcome<A, E>
}

/**
 * Events by the name of their stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface Streams {
  readonly [streamId: string]: ReadonlyArray<TypedEvent & Omit<ProposedEvent, "data" | "type">>
}

/**
 * Begins a scenario: these events have been recorded before.
 *
 * **Details**
 *
 * Needs an `EventStore`, best an empty one in memory. Data is given as it is
 * stored, version 1 where none is said. Under the test clock times are those of
 * the test.
 *
 * **Example**
 *
 * ```ts
 * const outcome = yield* StoreSpec.given({ "account-1": [{ type: "AccountOpened", data: { owner: "Ann" } }] })
 *   .when(accounts.execute("1", { _tag: "Deposit", amount: 10 }))
 *
 * outcome.thenAppended({ "account-1": [{ type: "MoneyDeposited", version: 2, data: { amount: 10 } }] })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const given = (streams: Streams): Given => ({
  when: (effect) =>
    Effect.gen(function*() {
      const store = yield* EventStore
      for (const [streamId, events] of Object.entries(streams)) {
        yield* store.append({ streamId, expected: "any", events })
      }
      const { position } = yield* store.head
      const exit = yield* Effect.exit(effect)
      return makeOutcome(exit, yield* Stream.runCollect(store.readAll({ after: position })))
    })
})

// internal

const makeOutcome = <A, E>(exit: Exit.Exit<A, E>, appended: ReadonlyArray<RecordedEvent>): Outcome<A, E> => {
  const outcome: Outcome<A, E> = {
    exit,
    appended,
    thenResult: (expected) => {
      const actual = Exit.isSuccess(exit) ? exit.value : fail("It fails", failureOf(exit.cause), expected)
      assertSame("The answer is", actual, expected)
      return outcome
    },
    thenFailed: (expected) => {
      const actual = Exit.isFailure(exit) ? failureOf(exit.cause) : fail("It does not fail", exit.value, expected)
      if (!isExpectedFailure(actual, expected as never)) fail("It fails otherwise", actual, expected)
      return outcome
    },
    thenAppended: (expected) => {
      const actual = Map.groupBy(appended, ({ streamId }) => streamId as string)
      const names = new Set([...actual.keys(), ...Object.keys(expected)])
      assertSame(
        "What is appended is",
        Object.fromEntries(Array.from(names, (name) => [name, like(actual.get(name) ?? [], expected[name] ?? [])])),
        Object.fromEntries(Array.from(names, (name) => [name, (expected[name] ?? []).map(withVersion)]))
      )
      return outcome
    },
    thenNothing: () => {
      assertSame("What is appended is", appended.map(({ data, streamId, type }) => ({ streamId, type, data })), [])
      return outcome
    }
  }
  return outcome
}

const failureOf = (cause: Cause.Cause<unknown>): unknown => {
  const [first] = cause.reasons
  return first?._tag === "Fail" ? first.error : first?._tag === "Die" ? first.defect : format(cause)
}

/** Recorded events, with what is expected of them only. */
const like = (actual: ReadonlyArray<RecordedEvent>, expected: Streams[string]): ReadonlyArray<unknown> =>
  actual.map((event, index) => {
    const { id, metadata, tags } = expected[index] ?? {}
    return {
      type: event.type,
      version: event.version,
      data: event.data,
      ...(id === undefined ? {} : { id: event.id }),
      ...(metadata === undefined ? {} : { metadata: event.metadata }),
      ...(tags === undefined ? {} : { tags: event.tags })
    }
  })

const withVersion = (event: Streams[string][number]): unknown => ({
  version: 1,
  ...Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined))
})
