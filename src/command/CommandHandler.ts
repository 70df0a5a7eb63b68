/**
 * Carries out commands on streams: load, decide, append; again when somebody
 * was faster; once for each command id.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Decider } from "../decider/Decider.ts"
import type { EventMetadata } from "../event/Event.ts"
import { checkCategory } from "../event/EventQuery.ts"
import type * as EventType from "../event/EventType.ts"
import type { TypedEvent } from "../event/EventType.ts"
import { InvalidInput } from "../event/InvalidInput.ts"
import { checkExpected, type ExpectedRevision, type Revision } from "../event/Revision.ts"
import type { StreamId } from "../event/StreamId.ts"
import * as Snapshots from "../snapshot/Snapshots.ts"
import type { SnapshotStrategy } from "../snapshot/SnapshotStrategy.ts"
import { EventStore } from "../store/EventStore.ts"
import type { RevisionConflict } from "../store/EventStoreError.ts"
import type { SnapshotStore } from "../store/SnapshotStore.ts"
import type { Registry } from "../version/Registry.ts"
import type { RegistryInvalid } from "../version/VersionError.ts"
import * as VersionRegistry from "../version/VersionRegistry.ts"
import { type CommandError, HandlerInvalid, type KeyTaken, type LoadError } from "./CommandError.ts"
import { CurrentCorrelation } from "./Correlation.ts"
import type { Executed } from "./Executed.ts"
import { execute, type Execution, type Rebase } from "./internal/execution.ts"
import { type Rules, tagOf } from "./internal/folding.ts"
import { remember } from "./internal/handlers.ts"
import { makeLoader } from "./internal/loader.ts"
import { makeRequest } from "./internal/request.ts"
import { type KeysOf, writeWithKeys } from "./internal/reservations.ts"
import { toStreamId } from "./internal/streamIds.ts"

export type { Rebase } from "./internal/execution.ts"
export type { KeysOf } from "./internal/reservations.ts"

/**
 * Carries out the commands of one decider on the streams of one category.
 *
 * **Details**
 *
 * Keeps no state of its own, so any number of them, in any number of
 * processes, may work on the same streams: each append claims the revision that
 * was decided on, and of two that claim the same one loads, decides and appends
 * again. No lock is held while the user's rules run.
 *
 * @category models
 * @since 0.1.0
 */
export interface CommandHandler<in Command, State, E extends TypedEvent, out Rejection> {
  readonly category: string
  readonly decider: Pick<Decider<never, State, E, unknown>, "events" | "evolve" | "initial">
  readonly registry: Registry<E>

  /**
   * Decides on the newest state of the stream `category-id` and appends what was
   * decided, all or nothing.
   *
   * **Details**
   *
   * Fails with what the decider rejects with, as it is, or with a
   * `CommandError`; nothing was written then, unless the error is
   * `AppendOutcomeUnknown`. A rejection is never answered on a state that is
   * older than the log at the time of the command.
   */
  readonly execute: (
    id: string,
    command: Command,
    options?: ExecuteOptions
  ) => Effect.Effect<Executed<State, E>, Rejection | CommandError>

  /** Loads the newest state of a stream, for a question that is worth a read of the log. */
  readonly load: (id: string) => Effect.Effect<Loaded<State>, LoadError>
}

/**
 * A state of a stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface Loaded<State> {
  readonly streamId: StreamId
  readonly state: State
  /** Last revision that is in the state; `undefined` when the stream has no events. */
  readonly revision: Revision | undefined
}

/**
 * Options of `execute`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExecuteOptions {
  /**
   * Id of the command: a name of 1 to 512 bytes that no other command has. A
   * command that is repeated with its id has its effect once, and is answered
   * what it was answered first.
   *
   * **Details**
   *
   * The ids of the events derive from it, so ids that the decision gives are not
   * used. It may be repeated at any time, from any process. With another command
   * or stream it fails with `CommandIdReused`. A command of which nothing came,
   * or that was rejected, leaves no trace: repeated, it is decided anew.
   */
  readonly commandId?: string | undefined
  /** Metadata of every event, where the decision does not say otherwise. */
  readonly metadata?: EventMetadata | undefined
  /**
   * What the caller knows of the stream; `any` when absent. A command that
   * begins a stream says `noStream`: it is decided on the initial state without
   * a read, and the append finds out whether that is so.
   */
  readonly expected?: ExpectedRevision | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandlerOptions<Command, State, E extends TypedEvent> {
  /** Category of the streams: a name without a dash. */
  readonly category: string
  /** How often and how fast a command is decided again after a conflict; {@link retryDefault} when absent. */
  readonly retry?: Schedule.Schedule<unknown, RevisionConflict> | undefined
  /**
   * Says whether what was decided still stands, although other events came in
   * between: it is then appended after them, without deciding again. Pure.
   *
   * **Details**
   *
   * The conflict tells where the stream is; the events in between are read, as
   * far as the handler has not seen them, with one read.
   */
  readonly rebase?: Rebase<Command, State, E> | undefined
  /** The registry of the decider's events; one with the strictest policy is made when absent. */
  readonly registry?: Registry<E> | undefined
  /**
   * Says which keys an event reserves and releases, given the state before it:
   * keys that only one stream may have. Pure.
   */
  readonly reservations?: KeysOf<State, E> | undefined
  /**
   * How states are kept: when snapshots are taken, or all that `Snapshots`
   * takes. Each command reads the whole stream when absent.
   */
  readonly snapshots?: SnapshotsInput<State> | undefined
  /** Whether each command is a span; `false` when absent, as a span costs as much as the rest. */
  readonly spans?: boolean | undefined
}

/**
 * How the states of the streams are kept: when snapshots are taken, or all
 * that `Snapshots` takes.
 *
 * @category models
 * @since 0.1.0
 */
export type SnapshotsInput<State> =
  | SnapshotStrategy
  | Omit<Snapshots.SnapshotsOptions<State>, "fingerprint" | "kind" | "schema" | "version">

/**
 * How a conflict is overcome when nothing else is said: at once, and then after
 * 2 ms, 4 ms and so on up to 100 ms, with jitter, 32 times.
 *
 * **Details**
 *
 * Of those who conflict one always wins, so 32 is more than as many commands on
 * one stream at the same time need.
 *
 * @category constants
 * @since 0.1.0
 */
export const retryDefault: Schedule.Schedule<unknown> = Schedule.min([
  Schedule.exponential("2 millis"),
  Schedule.spaced("100 millis")
]).pipe(Schedule.jittered, Schedule.upTo({ times: 32 }))

/**
 * Makes a handler of a decider.
 *
 * **Details**
 *
 * With `snapshots` the decider needs a `state`; states are then found in the
 * cache of the process or in the snapshot store, and only the events after them
 * are read. On a state from the cache nothing is read at all: the claim of the
 * append finds out when it is too old.
 *
 * **Example**
 *
 * ```ts
 * const accounts = yield* CommandHandler.make(Account, {
 *   category: "account",
 *   snapshots: SnapshotStrategy.everyEvents(100)
 * })
 * yield* accounts.execute("42", { _tag: "Deposit", amount: 10 })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  Command,
  State,
  E extends TypedEvent,
  Rejection,
  const O extends HandlerOptions<Command, State, E>
>(
  decider: Decider<Command, State, E, Rejection>,
  options: O
): Effect.Effect<
  CommandHandler<Command, State, E, Rejection | (O extends WithoutKeys ? never : KeyTaken)>,
  HandlerInvalid | RegistryInvalid | (O extends WithoutSnapshots ? never : Snapshots.SnapshotsInvalid),
  EventStore | (O extends WithoutSnapshots ? never : SnapshotStore | Scope.Scope)
> => makeAny(decider, options) as never

/**
 * Options that ask for no snapshots.
 *
 * @category models
 * @since 0.1.0
 */
export interface WithoutSnapshots {
  readonly category: string
  readonly snapshots?: undefined
}

/**
 * Options that ask for no reservations.
 *
 * @category models
 * @since 0.1.0
 */
export interface WithoutKeys {
  readonly category: string
  readonly reservations?: undefined
}

// internal

const makeAny = Effect.fnUntraced(function*<Command, State, E extends TypedEvent, Rejection>(
  decider: Decider<Command, State, E, Rejection>,
  options: HandlerOptions<Command, State, E>
) {
  const { category, rebase, reservations, retry = retryDefault } = options
  const store = yield* EventStore
  const fault = checkCategory(category, "category")
  if (fault !== undefined) return yield* new HandlerInvalid({ name: String(category), problems: [fault.message] })
  const registry = options.registry ?? (yield* makeRegistry<E>(decider.events))
  const snapshots = options.snapshots === undefined
    ? undefined
    : yield* makeSnapshots(decider, category, registry, options.snapshots)
  const rules: Rules<State, E> = { registry, initial: decider.initial, evolve: decider.evolve }
  return makeHandler(decider, options, {
    rules,
    store,
    loader: makeLoader(store, rules, snapshots),
    decide: decider.decide,
    retry,
    rebase,
    write: reservations === undefined
      ? ({ revision, streamId }, { encoded }) =>
        store.append({ streamId, expected: revision < 0 ? "noStream" : revision, events: encoded })
      : writeWithKeys(store, rules, reservations)
  })
})

/** The types of a decider are those of its events, which the compiler has forgotten here. */
const makeRegistry = <E extends TypedEvent>(
  events: ReadonlyArray<EventType.Any>
): Effect.Effect<Registry<E>, RegistryInvalid> =>
  Effect.map(VersionRegistry.make(events), (registry) => registry as unknown as Registry<E>)

const makeSnapshots = <State>(
  { state }: Pick<Decider<never, State, never, unknown>, "state">,
  kind: string,
  { fingerprint }: Pick<Registry<never>, "fingerprint">,
  input: SnapshotsInput<State>
) =>
  state === undefined
    ? Effect.fail(
      new HandlerInvalid({ name: kind, problems: ["snapshots need the decider's state: a schema and a version"] })
    )
    : Snapshots.make({ ...("_tag" in input ? { strategy: input } : input), ...state, kind, fingerprint })

const makeHandler = <Command, State, E extends TypedEvent, Rejection>(
  decider: Decider<Command, State, E, Rejection>,
  { category, spans = false }: HandlerOptions<Command, State, E>,
  execution: Execution<Command, State, E, Rejection>
): CommandHandler<Command, State, E, Rejection | KeyTaken> => {
  const { loader, rules } = execution
  const run: CommandHandler<Command, State, E, Rejection | KeyTaken>["execute"] = (id, command, options = {}) =>
    Effect.withFiber((fiber) => {
      const { expected = "any" } = options
      const streamId = toStreamId(category, id)
      if (streamId instanceof InvalidInput) return Effect.fail(streamId)
      const request = makeRequest(command, options, fiber.getRef(CurrentCorrelation))
      if (request instanceof InvalidInput) return Effect.fail(request)
      const claimFault = checkExpected(expected, "expected")
      if (claimFault !== undefined) return Effect.fail(claimFault)
      if (expected === "noStream") return execute(execution, command, request, expected, loader.unread(streamId))
      return Effect.flatMap(loader.load(streamId), (sight) => execute(execution, command, request, expected, sight))
    })
  const handler: CommandHandler<Command, State, E, Rejection | KeyTaken> = {
    category,
    decider,
    registry: rules.registry,
    execute: spans
      ? (id, command, options) =>
        Effect.withSpan(run(id, command, options), "CommandHandler.execute", {
          attributes: { category, id, command: tagOf(command) }
        })
      : run,
    load: (id) =>
      Effect.suspend(() => {
        const streamId = toStreamId(category, id)
        return streamId instanceof InvalidInput
          ? Effect.fail(streamId)
          : Effect.flatMap(loader.load(streamId), (sight) =>
            Effect.andThen(
              sight.isCurrent ? Effect.void : loader.readOn(sight),
              Effect.map(loader.report(sight, 0), () => ({
                streamId,
                state: sight.state,
                revision: sight.revision < 0 ? undefined : sight.revision as Revision
              }))
            ))
      })
  }
  remember(handler, { rules, loader })
  return handler
}
