/**
 * Decisions over several streams: all of them are decided on, and all that was
 * decided is appended, or nothing.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type { RejectionOf } from "../decider/Decider.ts"
import type { Proposed, TypedEvent } from "../event/EventType.ts"
import { InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Revision.ts"
import { EventStore } from "../store/EventStore.ts"
import type { RevisionConflict } from "../store/EventStoreError.ts"
import type { CommandError, LoadError } from "./CommandError.ts"
import { HandlerInvalid } from "./CommandError.ts"
import * as CommandHandler from "./CommandHandler.ts"
import { CurrentCorrelation } from "./Correlation.ts"
import type { Executed } from "./Executed.ts"
import { backingOf } from "./internal/handlers.ts"
import { makeRequest } from "./internal/request.ts"
import { executeRoles, type Roles } from "./internal/roles.ts"

/**
 * Carries out commands that concern several streams at once.
 *
 * @category models
 * @since 0.1.0
 */
export interface MultiStreamDecision<in Command, H extends Handlers, out Rejection> {
  /**
   * Loads the stream of each role, decides on all states, and appends what was
   * decided for each, all or nothing.
   *
   * **Details**
   *
   * A stream for which nothing was decided is claimed all the same: the append
   * fails when it has moved, and the command is decided again. Two roles may be
   * one stream.
   */
  readonly execute: (
    command: Command,
    options?: Omit<CommandHandler.ExecuteOptions, "expected">
  ) => Effect.Effect<Outcome<H>, Rejection | CommandError>
}

/**
 * A handler of any kind, as a role takes it.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyHandler {
  readonly category: string
  readonly execute: (id: string, command: never) => Effect.Effect<unknown, unknown>
  readonly load: (id: string) => Effect.Effect<unknown, LoadError>
}

/**
 * The handlers of the streams, by the role that each stream plays.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handlers {
  readonly [role: string]: AnyHandler
}

/**
 * What the commands of a handler answer.
 *
 * @category models
 * @since 0.1.0
 */
export type ExecutedBy<H extends AnyHandler> = Extract<
  Effect.Success<ReturnType<H["execute"]>>,
  Executed<unknown, TypedEvent>
>

/**
 * The states of all roles.
 *
 * @category models
 * @since 0.1.0
 */
export type States<H extends Handlers> = { readonly [Role in keyof H]: ExecutedBy<H[Role]>["state"] }

/**
 * What is decided for the roles; nothing for those that are left out.
 *
 * @category models
 * @since 0.1.0
 */
export type Decided<H extends Handlers> = {
  readonly [Role in keyof H]?: ReadonlyArray<Proposed<EventIn<H[Role]>>> | undefined
}

/**
 * What deciding can answer: what is decided for the roles, a `Result`, or an
 * Effect without services.
 *
 * @category models
 * @since 0.1.0
 */
export type MultiStreamAnswer<H extends Handlers, Rejection = unknown> =
  | Decided<H>
  | Result.Result<Decided<H>, Rejection>
  | Effect.Effect<Decided<H>, Rejection>

/**
 * The events of a handler.
 *
 * @category models
 * @since 0.1.0
 */
export type EventIn<H extends AnyHandler> = Effect.Success<ReturnType<H["execute"]>> extends
  Executed<unknown, infer E> ? E : never

/**
 * What was done to the stream of each role.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome<H extends Handlers> {
  readonly streams: { readonly [Role in keyof H]: ExecutedBy<H[Role]> }
  /** Position of the last event; `undefined` when nothing happened. */
  readonly position: Position | undefined
  /** Whether an earlier command with the same id had done it. */
  readonly alreadyExecuted: boolean
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface MultiStreamOptions<H extends Handlers, Command, Answer extends MultiStreamAnswer<H>> {
  /** The handlers, by role; they share the store of the decision. */
  readonly streams: H
  /** Says which stream plays which role: its id without the category. */
  readonly ids: (command: Command) => { readonly [Role in keyof H]: string }
  /** Says what happens to each stream, or rejects the command. Pure. */
  readonly decide: (command: Command, states: States<H>) => Answer
  /** How often and how fast it is decided again after a conflict; that of commands when absent. */
  readonly retry?: Schedule.Schedule<unknown, RevisionConflict> | undefined
}

/**
 * Makes a decision over several streams.
 *
 * **Example**
 *
 * ```ts
 * const transfer = yield* MultiStreamDecision.make({
 *   streams: { from: accounts, to: accounts },
 *   ids: (command: Transfer) => ({ from: command.from, to: command.to }),
 *   decide: ({ amount }, { from }) =>
 *     from.balance < amount
 *       ? new CreditExceeded()
 *       : { from: [MoneySent.make({ amount })], to: [MoneyReceived.make({ amount })] }
 * })
 * yield* transfer.execute({ from: "1", to: "2", amount: 10 })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const H extends Handlers, Command, Answer extends MultiStreamAnswer<H>>(
  options: MultiStreamOptions<H, Command, Answer>
): Effect.Effect<MultiStreamDecision<Command, H, RejectionOf<Answer>>, HandlerInvalid, EventStore> =>
  Effect.gen(function*() {
    type Rejection = RejectionOf<Answer>
    const store = yield* EventStore
    const { decide, ids, retry = CommandHandler.retryDefault, streams } = options
    const backings = Object.entries(streams).map(([role, handler]) =>
      [role, handler.category, backingOf(handler)] as const
    )
    const foreign = backings.filter(([, , backing]) => backing === undefined).map(([role]) => role)
    if (foreign.length > 0 || backings.length === 0) {
      const problem = foreign.length === 0
        ? "it has no roles"
        : `not made by CommandHandler.make: ${foreign.join(", ")}`
      return yield* new HandlerInvalid({ name: Object.keys(streams).join(", "), problems: [problem] })
    }
    const roles: Roles<Command, Rejection> = {
      store,
      retry,
      ids,
      backings: backings.flatMap(([role, category, backing]) =>
        backing === undefined ? [] : [{ role, category, ...backing }]
      ),
      decide: decide as unknown as Roles<Command, Rejection>["decide"]
    }
    return {
      execute: (command, executeOptions = {}) =>
        Effect.withFiber((fiber) => {
          const request = makeRequest(command, executeOptions, fiber.getRef(CurrentCorrelation))
          return request instanceof InvalidInput
            ? Effect.fail(request)
            : executeRoles(roles, command, request) as Effect.Effect<never, Rejection | CommandError>
        })
    }
  })
