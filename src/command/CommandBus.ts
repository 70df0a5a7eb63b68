/**
 * One door for all commands of a program: by name, checked, with the same things
 * done around each.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ExecuteOptions } from "./CommandHandler.ts"
import { makeBus } from "./internal/bus.ts"
import type { BusInvalid, Message, MessageInvalid, MessageUnknown } from "./Message.ts"
import type { Middleware } from "./Middleware.ts"

/**
 * What may be said of a command besides what it says itself; handlers pass it
 * on to `CommandHandler.execute`.
 *
 * @category models
 * @since 0.1.0
 */
export type CommandOptions = Omit<ExecuteOptions, "expected">

/**
 * A kind of command, and what carries it out.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handler<Name extends string, Payload, out A, out E, out R> {
  readonly message: Message<Name, Payload>
  readonly handle: (payload: Payload, options: CommandOptions) => Effect.Effect<A, E, R>
}

/**
 * Any {@link Handler}.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyHandler {
  readonly message: Message<string, unknown>
  readonly handle: (payload: never, options: CommandOptions) => Effect.Effect<unknown, unknown, unknown>
}

/**
 * The answer of the handler with a name.
 *
 * @category models
 * @since 0.1.0
 */
export type AnswerOf<H extends AnyHandler, Name extends string = string> = ReturnType<
  Extract<H, { readonly message: { readonly name: Name } }>["handle"]
>

/**
 * What the command with a name says.
 *
 * @category models
 * @since 0.1.0
 */
export type PayloadOf<H extends AnyHandler, Name extends string> = Parameters<
  Extract<H, { readonly message: { readonly name: Name } }>["handle"]
>[0]

/**
 * All commands of a program.
 *
 * @category models
 * @since 0.1.0
 */
export interface CommandBus<H extends AnyHandler, out E = never> {
  /** Carries out a command. Fails as its handler does, as a middleware does, or with `MessageInvalid`. */
  readonly execute: <Name extends H["message"]["name"]>(
    name: Name,
    payload: PayloadOf<H, Name>,
    options?: CommandOptions
  ) => Effect.Effect<
    Effect.Success<AnswerOf<H, Name>>,
    Effect.Error<AnswerOf<H, Name>> | MessageInvalid | E
  >

  /** Carries out a command that came from outside: of any name, and encoded. */
  readonly executeUnknown: (
    name: string,
    payload: unknown,
    options?: CommandOptions
  ) => Effect.Effect<
    Effect.Success<ReturnType<H["handle"]>>,
    Effect.Error<ReturnType<H["handle"]>> | MessageInvalid | MessageUnknown | E
  >

  /** The kinds of commands that are carried out, in the order in which they were given. */
  readonly registered: ReadonlyArray<Message<H["message"]["name"], unknown>>
}

/**
 * Says what carries out a kind of command.
 *
 * @category constructors
 * @since 0.1.0
 */
export const handle = <const Name extends string, Payload, A, E, R>(
  message: Message<Name, Payload>,
  handler: (payload: Payload, options: CommandOptions) => Effect.Effect<A, E, R>
): Handler<Name, Payload, A, E, R> => ({ message, handle: handler })

/**
 * Makes a bus, which keeps the services of its maker for its handlers. Where
 * the caller of a command has one of its own, that goes before.
 *
 * **Example**
 *
 * ```ts
 * const commands = yield* CommandBus.make([
 *   CommandBus.handle(Deposit, ({ account, amount }, options) =>
 *     accounts.execute(account, { _tag: "Deposit", amount }, options))
 * ], { middleware: [Middleware.spans, onlyStaff] })
 *
 * yield* commands.execute("Deposit", { account: "42", amount: 10 }, { commandId: request.id })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <const Handlers extends ReadonlyArray<AnyHandler>>(
    handlers: Handlers
  ): Effect.Effect<CommandBus<Handlers[number]>, BusInvalid, Effect.Services<ReturnType<Handlers[number]["handle"]>>>
  <const Handlers extends ReadonlyArray<AnyHandler>, const O extends BusOptions>(
    handlers: Handlers,
    options: O
  ): Effect.Effect<
    CommandBus<Handlers[number], MiddlewareError<O>>,
    BusInvalid,
    Effect.Services<ReturnType<Handlers[number]["handle"]>> | MiddlewareServices<O>
  >
} = (handlers: ReadonlyArray<AnyHandler>, options?: BusOptions): never =>
  Effect.map(makeBus("command", handlers, options?.middleware ?? []), ({ send, sendUnknown }) => ({
    execute: (name: string, payload: unknown, options: CommandOptions = {}) => send(name, payload, options),
    executeUnknown: (name: string, payload: unknown, options: CommandOptions = {}) =>
      sendUnknown(name, payload, options),
    registered: handlers.map(({ message }) => message)
  })) as never

/**
 * Options of a bus.
 *
 * @category models
 * @since 0.1.0
 */
export interface BusOptions<out M extends Middleware<unknown, unknown> = Middleware<unknown, unknown>> {
  /** What is done around every message, the outermost first. */
  readonly middleware?: ReadonlyArray<M> | undefined
}

/**
 * What the middleware of a bus fails with.
 *
 * @category models
 * @since 0.1.0
 */
export type MiddlewareError<O extends BusOptions> = O extends BusOptions<infer M>
  ? M extends Middleware<infer E, unknown> ? E : never
  : never

/**
 * What the middleware of a bus needs.
 *
 * @category models
 * @since 0.1.0
 */
export type MiddlewareServices<O extends BusOptions> = O extends BusOptions<infer M>
  ? M extends Middleware<unknown, infer R> ? R : never
  : never
