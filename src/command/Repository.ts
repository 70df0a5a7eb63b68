/**
 * Aggregates as objects: one method a command.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Aggregate, AnyMethods, CommandOf, InputOf } from "../decider/Aggregate.ts"
import type { RejectionOf } from "../decider/Decider.ts"
import type { TypedEvent } from "../event/EventType.ts"
import type * as Snapshots from "../snapshot/Snapshots.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import type { RegistryInvalid } from "../version/VersionError.ts"
import type { CommandError, HandlerInvalid, KeyTaken, LoadError } from "./CommandError.ts"
import * as CommandHandler from "./CommandHandler.ts"
import type { Executed } from "./Executed.ts"

/**
 * The streams of one kind of aggregate, as objects.
 *
 * @category models
 * @since 0.1.0
 */
export interface Repository<M extends AnyMethods, State, E extends TypedEvent, Taken = never> {
  readonly handler: CommandHandler.CommandHandler<CommandOf<M>, State, E, Rejections<M> | Taken>
  /** The object of an id; nothing is loaded before a method is run. */
  readonly get: (id: string, options?: CommandHandler.ExecuteOptions) => Instance<M, State, E, Taken>
}

/**
 * One aggregate: its methods carry out commands.
 *
 * @category models
 * @since 0.1.0
 */
export type Instance<M extends AnyMethods, State, E extends TypedEvent, Taken = never> =
  & {
    readonly [Name in keyof M]: (
      ...input: InputOf<M[Name]>
    ) => Effect.Effect<Executed<State, E>, RejectionOf<ReturnType<M[Name]>> | Taken | CommandError>
  }
  & { readonly load: Effect.Effect<CommandHandler.Loaded<State>, LoadError> }

/**
 * What the methods of an aggregate reject with.
 *
 * @category models
 * @since 0.1.0
 */
export type Rejections<M extends AnyMethods> = RejectionOf<ReturnType<M[keyof M]>>

/**
 * Makes a repository of an aggregate; options are those of `CommandHandler`.
 *
 * **Gotchas**
 *
 * A method that is named `load` is hidden by the load of the state.
 *
 * **Example**
 *
 * ```ts
 * const accounts = yield* Repository.make(Account, { category: "account" })
 * yield* accounts.get("42").deposit(10)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  M extends AnyMethods,
  State,
  E extends TypedEvent,
  const O extends CommandHandler.HandlerOptions<CommandOf<M>, State, E>
>(
  aggregate: Aggregate<M, State, E>,
  options: O
): Effect.Effect<
  Repository<M, State, E, O extends CommandHandler.WithoutKeys ? never : KeyTaken>,
  HandlerInvalid | RegistryInvalid | (O extends CommandHandler.WithoutSnapshots ? never : Snapshots.SnapshotsInvalid),
  EventStore | (O extends CommandHandler.WithoutSnapshots ? never : SnapshotStore | Scope.Scope)
> =>
  Effect.map(CommandHandler.make(aggregate, options), (handler) => {
    const makers: ReadonlyArray<[string, (input: unknown) => CommandOf<M>]> = Object.entries(
      aggregate.commands
    ) as never
    return {
      handler,
      get: (id: string, executeOptions?: CommandHandler.ExecuteOptions) => ({
        ...Object.fromEntries(makers.map(([name, makeCommand]) => [
          name,
          (input: unknown) => handler.execute(id, makeCommand(input), executeOptions)
        ])),
        load: handler.load(id)
      })
    }
  }) as never
