/**
 * Decisions as pure functions: what a stream's events add up to, and what may
 * happen next.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as EventType from "../event/EventType.ts"
import type { Proposed, TypedEvent } from "../event/EventType.ts"

/**
 * How one kind of stream decides and evolves.
 *
 * **Details**
 *
 * `decide` and `evolve` are pure: no clock, no randomness, no I/O; they do not
 * change what they are given. `evolve` is total: an event that does not matter
 * returns the state as it was. The rules are run again whenever a decision has
 * to be taken again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decider<in Command, State, E extends TypedEvent, out Rejection> {
  /** Types of the events, with every version that they ever had. */
  readonly events: ReadonlyArray<EventType.Any>
  /** State of a stream without events. */
  readonly initial: State
  /** Says what happens because of a command, or rejects it. */
  readonly decide: (command: Command, state: State) => Decision<E, Rejection>
  /** Says which state an event leaves behind. */
  readonly evolve: (state: State, event: E) => State
  /** How a state is written down; needed for snapshots only. */
  readonly state: StateFormat<State> | undefined
}

/**
 * What deciding can answer: the events that happen now (none is an answer too),
 * a `Result`, or an Effect without services, for a decision that takes its time.
 *
 * **Details**
 *
 * A tagged error is an Effect that fails with itself, so it can be returned as
 * it is: `return new CreditExceeded()`.
 *
 * @category models
 * @since 0.1.0
 */
export type Decision<E extends TypedEvent, Rejection = never> =
  | ReadonlyArray<Proposed<E>>
  | Result.Result<ReadonlyArray<Proposed<E>>, Rejection>
  | Effect.Effect<ReadonlyArray<Proposed<E>>, Rejection>

/**
 * How a state is written down.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateFormat<State> {
  readonly schema: Schema.Codec<State, unknown>
  /** Raise it whenever `evolve` means something else than before: older snapshots are ignored then. */
  readonly version: number
}

/**
 * What a decider is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeciderOptions<
  Types extends ReadonlyArray<EventType.Any>,
  Command,
  State,
  Answer extends Decision<EventType.EventOf<Types[number]>, unknown>,
  Evolve extends (state: State, event: EventType.EventOf<Types[number]>) => State
> {
  readonly events: Types
  readonly initial: State
  readonly decide: (command: Command, state: State) => Answer
  readonly evolve: Evolve
  readonly state?: StateFormat<State> | undefined
}

/**
 * What a decision rejects with.
 *
 * @category models
 * @since 0.1.0
 */
export type RejectionOf<Answer> = Answer extends Result.Result<unknown, infer Rejection> ? Rejection
  : Answer extends Effect.Effect<unknown, infer Rejection> ? Rejection
  : never

/**
 * Makes a decider. Commands and state are what the parameters of `decide` and
 * `evolve` say; rejections are what `decide` returns.
 *
 * **Example**
 *
 * ```ts
 * const Account = Decider.make({
 *   events: [Opened, Deposited, Withdrawn],
 *   initial: { balance: 0 },
 *   decide: (command: Withdraw, state) =>
 *     command.amount > state.balance ? new CreditExceeded() : [Withdrawn.make({ amount: command.amount })],
 *   evolve: (state, event) =>
 *     event.type === "MoneyDeposited" ? { balance: state.balance + event.data.amount } : state
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
  options: DeciderOptions<Types, Command, State, Answer, Evolve>
): Decider<Command, State, EventType.EventOf<Types[number]>, RejectionOf<Answer>> => ({
  events: options.events,
  initial: options.initial,
  // an answer is a decision of its own rejections, which the compiler cannot see
  decide: options.decide as never,
  evolve: options.evolve,
  state: options.state
})

/**
 * Folds events into the state that they leave behind.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fold = <State, E extends TypedEvent>(
  self: Pick<Decider<never, State, E, unknown>, "evolve" | "initial">,
  events: Iterable<E>,
  from: State = self.initial
): State => {
  let state = from
  for (const event of events) state = self.evolve(state, event)
  return state
}
