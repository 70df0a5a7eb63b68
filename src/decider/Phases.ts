/**
 * State machines: a decider whose state has another shape in each phase, and
 * takes other commands.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type * as EventType from "../event/EventType.ts"
import type { TypedEvent } from "../event/EventType.ts"
import type { Decider, Decision, RejectionOf, StateFormat } from "./Decider.ts"

/**
 * Represents a command that came in a phase which does not take it. Nothing
 * was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommandUnexpected
  extends Schema.TaggedError<CommandUnexpected>("effect-event-store/decider/Phases/CommandUnexpected")(
    "CommandUnexpected",
    { command: Schema.String, phase: Schema.String }
  )
{
  override get message(): string {
    return `Command ${this.command} is not taken in phase ${this.phase}`
  }
}

/**
 * A value that is told apart by its `_tag`: a state by its phase, a command by
 * its name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tagged {
  readonly _tag: string
}

/**
 * What happens in one phase: the commands that it takes, and what events make
 * of its state. An event that is not named leaves the state as it was.
 *
 * @category models
 * @since 0.1.0
 */
export interface Phase<Own, State, Command extends Tagged, E extends TypedEvent> {
  readonly decide?: {
    readonly [C in Command as C["_tag"]]?: (command: C, state: Own) => Decision<E, unknown>
  }
  readonly evolve?: {
    readonly [T in E as T["type"]]?: (state: Own, data: T["data"], event: T) => State
  }
}

/**
 * All phases, by the `_tag` of their state. A phase that is missing does not
 * compile.
 *
 * @category models
 * @since 0.1.0
 */
export type PhaseTable<State extends Tagged, Command extends Tagged, E extends TypedEvent> = {
  readonly [Own in State as Own["_tag"]]: Phase<Own, State, Command, E>
}

/**
 * What the decisions of all phases reject with.
 *
 * @category models
 * @since 0.1.0
 */
export type PhaseRejection<Table> = Table[keyof Table] extends infer P
  ? P extends { readonly decide: infer Handlers }
    ? Handlers[keyof Handlers] extends infer H ?
      H extends (...args: never) => infer Answer ? RejectionOf<Answer> : never
    : never
  : never
  : never

/**
 * Makes a decider of phases. State and commands are said first, the rest is
 * inferred.
 *
 * **Example**
 *
 * ```ts
 * type Loan = { readonly _tag: "None" } | { readonly _tag: "Submitted"; readonly amount: number }
 *
 * const loan = Phases.make<Loan, LoanCommand>()({
 *   events: [LoanSubmitted, LoanApproved],
 *   initial: { _tag: "None" },
 *   phases: {
 *     None: {
 *       decide: { Submit: ({ amount }) => [LoanSubmitted.make({ amount })] },
 *       evolve: { LoanSubmitted: (_state, { amount }) => ({ _tag: "Submitted", amount }) }
 *     },
 *     Submitted: {
 *       decide: { Approve: () => [LoanApproved.make({})] }
 *     }
 *   }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <State extends Tagged, Command extends Tagged>() =>
<
  const Types extends ReadonlyArray<EventType.Any>,
  Table extends PhaseTable<State, Command, EventType.EventOf<Types[number]>>
>(options: {
  readonly events: Types
  readonly initial: State
  readonly phases: Table
  readonly state?: StateFormat<State> | undefined
}): Decider<Command, State, EventType.EventOf<Types[number]>, PhaseRejection<Table> | CommandUnexpected> => {
  const phases: AnyTable<State> = options.phases as never
  const decider: Decider<Command, State, TypedEvent, unknown> = {
    events: options.events,
    initial: options.initial,
    state: options.state,
    decide: (command, state) => {
      const handler = own(own(phases, state._tag)?.decide ?? {}, command._tag)
      return handler === undefined
        ? new CommandUnexpected({ command: command._tag, phase: state._tag })
        : handler(command as never, state as never)
    },
    evolve: (state, event) =>
      own(own(phases, state._tag)?.evolve ?? {}, event.type)?.(state as never, event.data as never, event as never) ??
        state
  }
  return decider as never
}

// internal

type AnyTable<State> = Readonly<
  Record<string, {
    readonly decide?: Readonly<Record<string, (command: never, state: never) => Decision<TypedEvent, unknown>>>
    readonly evolve?: Readonly<Record<string, (state: never, data: never, event: never) => State>>
  }>
>

const own = <A>(record: Readonly<Record<string, A>>, key: string): A | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined
