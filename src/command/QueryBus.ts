/**
 * One door for all queries of a program: by name, checked, with the same things
 * done around each.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { BusOptions, MiddlewareError, MiddlewareServices } from "./CommandBus.ts"
import { makeBus } from "./internal/bus.ts"
import type { BusInvalid, Message, MessageInvalid, MessageUnknown } from "./Message.ts"

/**
 * A kind of query, and what answers it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handler<Name extends string, Payload, out A, out E, out R> {
  readonly message: Message<Name, Payload>
  readonly handle: (payload: Payload) => Effect.Effect<A, E, R>
}

/**
 * Any {@link Handler}.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyHandler {
  readonly message: Message<string, unknown>
  readonly handle: (payload: never) => Effect.Effect<unknown, unknown, unknown>
}

/**
 * The answer of the handler with a name.
 *
 * @category models
 * @since 0.1.0
 */
export type AnswerOf<H extends AnyHandler, Name extends string> = ReturnType<
  Extract<H, { readonly message: { readonly name: Name } }>["handle"]
>

/**
 * What the query with a name says.
 *
 * @category models
 * @since 0.1.0
 */
export type PayloadOf<H extends AnyHandler, Name extends string> = Parameters<
  Extract<H, { readonly message: { readonly name: Name } }>["handle"]
>[0]

/**
 * All queries of a program.
 *
 * @category models
 * @since 0.1.0
 */
export interface QueryBus<H extends AnyHandler, out E = never> {
  /** Answers a query. Fails as its handler does, as a middleware does, or with `MessageInvalid`. */
  readonly ask: <Name extends H["message"]["name"]>(
    name: Name,
    payload: PayloadOf<H, Name>
  ) => Effect.Effect<
    Effect.Success<AnswerOf<H, Name>>,
    Effect.Error<AnswerOf<H, Name>> | MessageInvalid | E
  >

  /** Answers a query that came from outside: of any name, and encoded. */
  readonly askUnknown: (
    name: string,
    payload: unknown
  ) => Effect.Effect<
    Effect.Success<ReturnType<H["handle"]>>,
    Effect.Error<ReturnType<H["handle"]>> | MessageInvalid | MessageUnknown | E
  >

  /** The kinds of queries that are answered, in the order in which they were given. */
  readonly registered: ReadonlyArray<Message<H["message"]["name"], unknown>>
}

/**
 * Says what answers a kind of query.
 *
 * @category constructors
 * @since 0.1.0
 */
export const handle = <const Name extends string, Payload, A, E, R>(
  message: Message<Name, Payload>,
  handler: (payload: Payload) => Effect.Effect<A, E, R>
): Handler<Name, Payload, A, E, R> => ({ message, handle: handler })

/**
 * Makes a bus, which keeps the services of its maker for its handlers. Where
 * the caller of a query has one of its own, that goes before.
 *
 * **Example**
 *
 * ```ts
 * const queries = yield* QueryBus.make([
 *   QueryBus.handle(Balance, ({ account }) => Effect.map(accounts.load(account), ({ state }) => state.balance))
 * ])
 * const balance: number = yield* queries.ask("Balance", { account: "42" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <const Handlers extends ReadonlyArray<AnyHandler>>(
    handlers: Handlers
  ): Effect.Effect<QueryBus<Handlers[number]>, BusInvalid, Effect.Services<ReturnType<Handlers[number]["handle"]>>>
  <const Handlers extends ReadonlyArray<AnyHandler>, const O extends BusOptions>(
    handlers: Handlers,
    options: O
  ): Effect.Effect<
    QueryBus<Handlers[number], MiddlewareError<O>>,
    BusInvalid,
    Effect.Services<ReturnType<Handlers[number]["handle"]>> | MiddlewareServices<O>
  >
} = (handlers: ReadonlyArray<AnyHandler>, options?: BusOptions): never =>
  Effect.map(makeBus("query", handlers, options?.middleware ?? []), ({ send, sendUnknown }) => ({
    ask: (name: string, payload: unknown) => send(name, payload, undefined),
    askUnknown: (name: string, payload: unknown) => sendUnknown(name, payload, undefined),
    registered: handlers.map(({ message }) => message)
  })) as never
