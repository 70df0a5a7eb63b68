/**
 * A decider with an object's face: commands and events are handled by name.
 *
 * @since 0.1.0
 */
import type * as EventType from "../event/EventType.ts"
import type { TypedEvent } from "../event/EventType.ts"
import type { Decider, Decision, RejectionOf, StateFormat } from "./Decider.ts"

/**
 * A decider whose commands are the names of its methods.
 *
 * @category models
 * @since 0.1.0
 */
export interface Aggregate<M extends AnyMethods, State, E extends TypedEvent>
  extends Decider<CommandOf<M>, State, E, RejectionOf<ReturnType<M[keyof M]>>>
{
  /** Makes commands: `Account.commands.deposit({ amount: 10 })`. */
  readonly commands: { readonly [Name in keyof M]: (...input: InputOf<M[Name]>) => CommandOf<M, Name> }
}

/**
 * Methods by name: what happens because of a command, given the state and what
 * the command says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Methods<State, E extends TypedEvent> {
  readonly [name: string]: (state: State, input: never) => Decision<E, unknown>
}

/**
 * Methods of anything.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyMethods {
  readonly [name: string]: (state: never, input: never) => unknown
}

/**
 * The command of a method; over all methods, their union.
 *
 * @category models
 * @since 0.1.0
 */
export type CommandOf<M extends AnyMethods, Name extends keyof M = keyof M> = Name extends keyof M & string
  ? { readonly _tag: Name; readonly input: InputOf<M[Name]>[0] }
  : never

/**
 * What a method takes besides the state: one thing or nothing.
 *
 * @category models
 * @since 0.1.0
 */
export type InputOf<Method> = Method extends (state: never, ...input: infer Input) => unknown ? Input : never

/**
 * Handlers of all events by name: the state that each leaves behind.
 *
 * @category models
 * @since 0.1.0
 */
export type EventHandlers<State, E extends TypedEvent> = {
  readonly [T in E as T["type"]]: (state: State, data: T["data"], event: T) => State
}

/**
 * Makes an aggregate. An event without a handler does not compile.
 *
 * **Example**
 *
 * ```ts
 * const Account = Aggregate.make({
 *   events: [Opened, Deposited],
 *   initial: { balance: 0 },
 *   commands: {
 *     open: (_state, { owner }: { readonly owner: string }) => [Opened.make({ owner })],
 *     deposit: (_state, amount: number) => [Deposited.make({ amount })]
 *   },
 *   on: {
 *     AccountOpened: (state) => state,
 *     MoneyDeposited: (state, { amount }) => ({ balance: state.balance + amount })
 *   }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Types extends ReadonlyArray<EventType.Any>,
  State,
  M extends Methods<State, EventType.EventOf<Types[number]>>,
  On extends EventHandlers<State, EventType.EventOf<Types[number]>>
>(options: {
  readonly events: Types
  readonly initial: State
  readonly commands: M
  readonly on: On
  readonly state?: StateFormat<State> | undefined
}): Aggregate<M, State, EventType.EventOf<Types[number]>> => {
  const methods: Readonly<Record<string, (state: State, input: never) => unknown>> = options.commands
  const handlers: Readonly<Record<string, (state: State, data: never, event: never) => State>> = options.on as never
  const decider: Decider<Command, State, TypedEvent, unknown> = {
    events: options.events,
    initial: options.initial,
    state: options.state,
    decide: ({ _tag, input }, state) => named(methods, _tag)(state, input as never) as Decision<TypedEvent, unknown>,
    evolve: (state, event) => named(handlers, event.type)(state, event.data as never, event as never)
  }
  const commands = Object.fromEntries(
    Object.keys(methods).map((name) => [name, (input: unknown): Command => ({ _tag: name, input })])
  )
  return { ...decider, commands } as never
}

// internal

interface Command {
  readonly _tag: string
  readonly input: unknown
}

const named = <A>(handlers: Readonly<Record<string, A>>, name: string): A => {
  const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined
  if (handler === undefined) throw new TypeError(`no handler is named ${JSON.stringify(name)}`)
  return handler
}
