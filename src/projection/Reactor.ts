/**
 * Definitions of reactors: what happens outside of the store because of an
 * event. A mail, a payment, a call of another system.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { EventFilter } from "../event/EventQuery.ts"
import {
  type DecodedEvent,
  type Dependency,
  describeReads,
  type ErrorPolicy,
  type EventIn,
  type EventTypes,
  type Projection,
  type ProjectionFilter,
  type Slices,
  timeoutMillis
} from "./Projection.ts"

/**
 * A reactor: made by {@link make}, run by `ProjectionRunner`.
 *
 * **Details**
 *
 * Invariants: it begins where its start was when it first ran, and never anew
 * unless it is forced to; every matching event after its start leads to at
 * least one reaction, in order of position for each stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reactor<out R = never> {
  readonly _tag: "Reactor"
  readonly name: string
  /** A reactor has one version: another one would do everything again. */
  readonly version: 1
  readonly build?: undefined
  readonly events: EventTypes
  /** What it reads: its types, narrowed by `where`. The storage leaves out the rest. */
  readonly filter: EventFilter
  /** What it reads, in words: another definition needs another name. */
  readonly definition: string
  readonly target: ReactorTarget<R>
  readonly onError: ErrorPolicy
  readonly slices: Slices | undefined
  readonly when: ((event: DecodedEvent) => boolean) | undefined
  readonly after: ReadonlyArray<Dependency>
}

/**
 * What a runner runs.
 *
 * @category models
 * @since 0.1.0
 */
export type Follower<R = never> = Projection<R> | Reactor<R>

/**
 * Where a reactor begins: at the start or the end of the log, after a position,
 * or with the first event that was recorded at or after a time.
 *
 * @category models
 * @since 0.1.0
 */
export type ReactorStart =
  | "start"
  | "end"
  | { readonly position: number }
  | { readonly time: DateTime.Utc }

/**
 * What a reaction may want to know besides the event.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reaction {
  /** The same whenever this reactor gets the event, and for no other event: what a receiver remembers. */
  readonly dedupeKey: string
  /** From 1: how often this runner has tried the event; a parked event goes on counting. */
  readonly attempt: number
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReactorOptions<Types extends EventTypes, E, R> {
  /** 1 to 512 bytes. */
  readonly name: string
  /** The types that it reads, with every version that may be stored; or `all`. */
  readonly events: Types
  readonly where?: ProjectionFilter | undefined
  /** Where it begins. Looked up once, when it first runs, and kept. */
  readonly from: ReactorStart
  readonly react: (event: EventIn<Types>, reaction: Reaction) => Effect.Effect<void, E, R>
  /** How long a reaction may take; 30 seconds when absent. */
  readonly timeout?: Duration.Input | undefined
  /** Reactions at a time, 1 to 1,000, in order for each key of `onError`; 1 when absent. */
  readonly concurrency?: number | undefined
  /** Events of a commit, 1 to 10,000: what a crash may repeat; `concurrency` when absent. */
  readonly commitEvery?: number | undefined
  readonly onError?: ErrorPolicy | undefined
  /** Which of the events lead to a reaction; the others are seen, counted and passed. All when absent. */
  readonly when?: ((event: EventIn<Types>) => boolean) | undefined
  /** Followers of the same log that have to see an event before there is a reaction to it. */
  readonly after?: ReadonlyArray<Dependency> | undefined
}

/**
 * Makes a reactor: something that happens because of an event.
 *
 * **Details**
 *
 * At least once: the checkpoint is written after the reactions of `commitEvery`
 * events have succeeded, so a crash repeats those that were not yet written, and
 * nothing else does; a failed reaction does not repeat those beside it. A
 * receiver that remembers each `dedupeKey` makes it exactly once. A failure, a
 * defect, an interruption and a timeout are handled alike: by `retry` of the
 * runner, then by `onError`.
 *
 * **Gotchas**
 *
 * To change what a reactor reads, give it another name, and the old checkpoint as
 * `from`. What cannot be interrupted is not waited for after its timeout, and may
 * still be at work when the next attempt begins.
 *
 * **Example**
 *
 * ```ts
 * const welcome = Reactor.make({
 *   name: "welcome",
 *   events: [Opened],
 *   from: "end",
 *   react: ({ data }, { dedupeKey }) =>
 *     Mailer.use((mailer) => mailer.send({ id: dedupeKey, to: data.owner, text: "Welcome" }))
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Types extends EventTypes, E, R>(options: ReactorOptions<Types, E, R>): Reactor<R> => {
  const { after = [], concurrency = 1, commitEvery = concurrency, events, from, name, onError = {}, when } = options
  const { definition, filter } = describeReads(options)
  return {
    _tag: "Reactor",
    name,
    version: 1,
    events,
    filter,
    definition: `reactions to ${definition}`,
    onError,
    slices: undefined,
    // the decoder has decoded the event
    when: when as Reactor["when"],
    after,
    target: {
      _tag: "Reactor",
      from,
      react: options.react as unknown as ReactorTarget<R>["react"],
      timeoutMillis: timeoutMillis(options.timeout),
      concurrency,
      commitEvery
    }
  }
}

/**
 * How a runner reacts.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReactorTarget<out R> {
  readonly _tag: "Reactor"
  readonly from: ReactorStart
  readonly react: (event: DecodedEvent, reaction: Reaction) => Effect.Effect<void, unknown, R>
  readonly timeoutMillis: number
  readonly concurrency: number
  readonly commitEvery: number
}
