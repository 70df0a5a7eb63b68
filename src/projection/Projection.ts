/**
 * Definitions of projections: what they read, and what they make of it. Pure
 * functions only, so building one again never does anything twice.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RecordedEvent } from "../event/Event.ts"
import type { EventFilter } from "../event/EventQuery.ts"
import type * as EventType from "../event/EventType.ts"
import type { SqlStatement, SqlValue } from "../store/CheckpointStore.ts"
import type { ChangesPolicy } from "../store/KeptChanges.ts"

/**
 * A projection: made by {@link state}, {@link table} or {@link custom}, run by
 * `ProjectionRunner`.
 *
 * **Details**
 *
 * Invariant: what it makes is the fold of the matching events up to its
 * checkpoint, each one seen once, in order of position. Its functions are pure,
 * so nothing but its own states and tables can change when it is run or built
 * again; only one with a storage of its own has effects, which need `R`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Projection<out R = never> {
  readonly _tag: "Projection"
  readonly name: string
  /** From 1 to 999. Raise it to build anew, beside the old one. */
  readonly version: number
  /** Which build of the version is meant; the one that its runners fill when absent. See {@link withBuild}. */
  readonly build?: number | undefined
  readonly events: EventTypes
  /** What it reads: its types, narrowed by `where`. The storage leaves out the rest. */
  readonly filter: EventFilter
  /** What it reads and makes, in words: another definition needs another version. */
  readonly definition: string
  readonly target: StateTarget | TableTarget | CustomTarget<R>
  readonly onError: ErrorPolicy
  /** `undefined` when it is not divided. */
  readonly slices: Slices | undefined
  /** `undefined` when its changes are not kept. */
  readonly changes: ChangesPolicy | undefined
  /** Which of the events that it sees it applies; `undefined` when all. */
  readonly when: ((event: DecodedEvent) => boolean) | undefined
  /** What has to see an event before. */
  readonly after: ReadonlyArray<Dependency>
}

/**
 * A follower that another one comes after.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dependency {
  readonly name: string
  readonly version: number
  readonly filter: EventFilter
  readonly slices?: Slices | undefined
  readonly after: ReadonlyArray<Dependency>
}

/**
 * A projection whose states the runner keeps.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateProjection<out State> extends Projection {
  readonly target: StateTarget
  readonly initial: State
}

/**
 * A projection that fills tables of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableProjection extends Projection {
  readonly target: TableTarget
}

/**
 * A projection that writes to a storage of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface CustomProjection<out R> extends Projection<R> {
  readonly target: CustomTarget<R>
}

/**
 * The types that a follower reads, with every version that may be stored; or
 * `all`: events of every type, as they were recorded.
 *
 * @category models
 * @since 0.1.0
 */
export type EventTypes = ReadonlyArray<EventType.Any> | "all"

/**
 * How the events of a follower are divided, so that several runners can work on
 * it: each slice has a checkpoint of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Slices {
  /** How many, 1 to 1,024; another count needs another version. */
  readonly count: number
  /** What must stay in order, and so in one slice; the stream when absent. */
  readonly by?: "stream" | ((event: RecordedEvent) => string) | undefined
}

/**
 * Which events matter, besides their types. Every part that is given narrows it.
 *
 * @category models
 * @since 0.1.0
 */
export type ProjectionFilter = Omit<EventFilter, "types">

/**
 * What happens to an event that could not be applied, after all attempts.
 *
 * **Details**
 *
 * `halt` stops the projection there. `park` puts the event aside, and all later
 * ones of the same key with it, and goes on with the others; parked events are
 * recorded together with the checkpoint that passes them.
 *
 * @category models
 * @since 0.1.0
 */
export interface ErrorPolicy {
  /** `halt` when absent. */
  readonly action?: "halt" | "park" | undefined
  /** What must stay in order when events are parked, 1 to 512 bytes; the stream when absent. */
  readonly key?: ((event: RecordedEvent) => string) | undefined
}

/**
 * Options that all projections share.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionOptions<Types extends EventTypes> {
  /** 1 to 512 bytes. */
  readonly name: string
  /** From 1 to 999; 1 when absent. */
  readonly version?: number | undefined
  /** The types that it reads, with every version that may be stored; or `all`. */
  readonly events: Types
  readonly where?: ProjectionFilter | undefined
  readonly onError?: ErrorPolicy | undefined
  /** Divides it among runners; one slice when absent. */
  readonly slices?: Slices | undefined
  /**
   * Which of the events are applied: the others are seen, counted and passed.
   * Pure, as a handler is; all when absent.
   */
  readonly when?: ((event: EventIn<Types>) => boolean) | undefined
  /**
   * Followers of the same log that have to see an event before this one applies
   * it, whatever process they run in. They may be further ahead.
   */
  readonly after?: ReadonlyArray<Dependency> | undefined
}

/**
 * The event that a handler gets: decoded, in the newest version; as it was
 * recorded when a follower reads events of every type.
 *
 * @category models
 * @since 0.1.0
 */
export type EventIn<Types extends EventTypes> = Types extends ReadonlyArray<EventType.Any>
  ? EventType.Recorded<EventType.EventOf<Types[number]>>
  : RecordedEvent

/**
 * The event of one type among them.
 *
 * @category models
 * @since 0.1.0
 */
export type EventNamed<Types extends ReadonlyArray<EventType.Any>, Name extends string> = Extract<
  EventIn<Types>,
  { readonly type: Name }
>

/**
 * Options of {@link state}.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateOptions<Types extends EventTypes, State> extends ProjectionOptions<Types> {
  /** Keeps which states were changed, for `ChangeFeed`; another version when it is turned on or off. */
  readonly changes?: ChangesPolicy | undefined
  /** How a state is written down: everything that it holds. */
  readonly state: Schema.Codec<State, unknown>
  /** The state before the first event. It is frozen: a handler that changes it in place throws. */
  readonly initial: NoInfer<State>
  /**
   * Which states an event changes: names of 1 to 512 bytes, none when it does
   * not matter. One state for all when absent.
   */
  readonly key?: ((event: EventIn<Types>) => string | ReadonlyArray<string>) | undefined
  /** One handler a type, or one for all: the state after the event. `undefined` removes the state. */
  readonly on: StateHandlers<Types, State>
  /** Which states are forgotten; none when absent. */
  readonly retention?: StateRetention | undefined
  /**
   * Events between two writes of states and checkpoint, 1 to 100,000: for states
   * that are costly to write. They are kept in memory in between, readers see
   * those that were written, and a restart begins there. Each batch is written
   * when absent.
   */
  readonly saveEvery?: number | undefined
  /** How long `saveEvery` may let readers wait; 5 seconds when absent. */
  readonly saveWithin?: Duration.Input | undefined
}

/**
 * Which states are forgotten.
 *
 * **Details**
 *
 * A state that no event has changed for longer than `maxAge`, when the newest
 * event that was seen is recorded. The log's time counts and not the clock, so a
 * rebuild forgets what the run before forgot, whatever the batches.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateRetention {
  readonly maxAge: Duration.Input
}

/**
 * What an event makes of a state; without services and effects.
 *
 * @category models
 * @since 0.1.0
 */
export type StateHandlers<Types extends EventTypes, State> = Types extends ReadonlyArray<EventType.Any> ? {
    readonly [Name in Types[number]["name"]]: (
      state: NoInfer<State>,
      event: EventNamed<Types, Name>
    ) => NoInfer<State> | undefined
  }
  : (state: NoInfer<State>, event: RecordedEvent) => NoInfer<State> | undefined

/**
 * Makes a projection whose states the runner keeps, as JSON: one, or one a key.
 *
 * **Example**
 *
 * ```ts
 * const balances = Projection.state({
 *   name: "balances",
 *   events: [Opened, Deposited],
 *   state: Schema.Struct({ owner: Schema.String, amount: Schema.Number }),
 *   initial: { owner: "", amount: 0 },
 *   key: (event) => event.streamId,
 *   on: {
 *     AccountOpened: (state, { data }) => ({ ...state, owner: data.owner }),
 *     MoneyDeposited: (state, { data }) => ({ ...state, amount: state.amount + data.amount })
 *   }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const state = <const Types extends EventTypes, State>(
  options: StateOptions<Types, State>
): StateProjection<State> => {
  const { key, retention, saveEvery } = options
  const initial = frozen(options.initial)
  const handlerOf = handlersOf<(state: never, event: never) => unknown>(options.on)
  return {
    ...base(
      options,
      (key === undefined ? "one state" : "states by key") +
        (retention === undefined ? "" : ` of the last ${millisOf(retention.maxAge)} ms`)
    ),
    initial,
    target: {
      _tag: "State",
      json: Schema.toCodecJson(options.state),
      initial,
      maxAgeMillis: retention === undefined ? undefined : millisOf(retention.maxAge),
      save: saveEvery === undefined
        ? undefined
        : { events: saveEvery, millis: millisOf(options.saveWithin ?? "5 seconds") },
      unhandled: unhandledOf(options),
      keysOf: key === undefined ? undefined : key as StateTarget["keysOf"],
      // the registry has decoded the event, and the state is the last handler's
      fold: (state, event) => handlerOf(event.type)?.(state as never, event as never)
    }
  }
}

/**
 * Options of {@link table}.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableOptions<
  Types extends EventTypes,
  Tables extends { readonly [name: string]: string }
> extends ProjectionOptions<Types> {
  /** Keeps which rows were changed, for `ChangeFeed`: each table needs a primary key; another version when it is turned on or off. */
  readonly changes?: ChangesPolicy | undefined
  /** Schema in which the tables stand; `public` when absent. */
  readonly schema?: string | undefined
  /**
   * Each table by its name (`[a-z_][a-z0-9_]*`, at most 48 bytes), and what
   * stands between the parentheses of its `CREATE TABLE`.
   */
  readonly tables: Tables
  /** Statements that are run after the tables were made: indexes, rights. */
  readonly setUp?: ((tables: TableNames<Tables>) => ReadonlyArray<SqlStatement>) | undefined
  /** One handler a type, or one for all: the statements that an event leads to. */
  readonly on: TableHandlers<Types, Tables>
  /** Which rows are removed, and when; none when absent. */
  readonly retention?: TableRetention<Tables> | undefined
}

/**
 * Which rows are removed, and when.
 *
 * **Details**
 *
 * The statements run before the first event that is recorded in another period
 * of `every` than the one before it, in the transaction of that event. `now` is
 * when that period began. The log's time counts and not the clock, so a rebuild
 * removes what the run before removed, whatever the batches.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableRetention<Tables> {
  /** Length of a period, from 1 second; periods begin at multiples of it since 1970, UTC. */
  readonly every: Duration.Input
  readonly statements: (now: Date, tables: TableNames<Tables>) => SqlStatement | ReadonlyArray<SqlStatement>
}

/**
 * What statements an event leads to; without services and effects.
 *
 * @category models
 * @since 0.1.0
 */
export type TableHandlers<Types extends EventTypes, Tables> = Types extends ReadonlyArray<EventType.Any> ? {
    readonly [Name in Types[number]["name"]]: (
      event: EventNamed<Types, Name>,
      tables: TableNames<Tables>
    ) => SqlStatement | ReadonlyArray<SqlStatement>
  }
  : (event: RecordedEvent, tables: TableNames<Tables>) => SqlStatement | ReadonlyArray<SqlStatement>

/**
 * Names of tables, for {@link sql}.
 *
 * @category models
 * @since 0.1.0
 */
export type TableNames<Tables> = { readonly [Name in keyof Tables]: SqlName }

/**
 * Makes a projection that fills tables, in one transaction with its checkpoint.
 *
 * **Details**
 *
 * The table `revenue` of version 2 is `revenue_v2`, and `revenue` is a view of
 * what is live: the first version that was run, until `ProjectionRebuild` makes
 * another one live. The statements of a batch
 * are sent together, so that an event costs no round trip of its own.
 *
 * **Example**
 *
 * ```ts
 * const revenue = Projection.table({
 *   name: "revenue",
 *   events: [Sold],
 *   tables: { revenue: "country text PRIMARY KEY, cents bigint NOT NULL" },
 *   on: {
 *     Sold: ({ data }, { revenue }) =>
 *       Projection.sql`INSERT INTO ${revenue} AS r VALUES (${data.country}, ${data.cents}::bigint)
 *         ON CONFLICT (country) DO UPDATE SET cents = r.cents + excluded.cents`
 *   }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const table = <
  const Types extends EventTypes,
  const Tables extends { readonly [name: string]: string }
>(options: TableOptions<Types, Tables>): TableProjection => {
  const { retention, schema = "public", setUp, tables, version = 1 } = options
  const handlerOf = handlersOf<(event: never, tables: TableNames<Tables>) => unknown>(options.on)
  const unhandled = unhandledOf(options)
  const forBuild = (build: number): TableTarget => {
    const suffix = tableName("", version, build)
    const names = Object.fromEntries(
      Object.keys(tables).map((name) => [name, new SqlName(`${quote(schema)}.${quote(name + suffix)}`)])
    ) as TableNames<Tables>
    return {
      _tag: "Table",
      schema,
      suffix,
      forBuild,
      tables: Object.entries(tables).map(([name, body]) => ({ name, body })),
      unhandled,
      setUp: setUp === undefined ? [] : setUp(names),
      retention: retention === undefined ? undefined : {
        everyMillis: millisOf(retention.every),
        statementsAt: (millis) => listOf(retention.statements(toDate(millis), names))
      },
      // the registry has decoded the event
      statementsOf: (event) => {
        const made = handlerOf(event.type)?.(event as never, names)
        return made === undefined ? [] : listOf(made as SqlStatement | ReadonlyArray<SqlStatement>)
      }
    }
  }
  return {
    ...base(
      options,
      `tables${schema === "public" ? "" : ` in ${schema}`} ${
        Object.entries(tables).map(([name, body]) => `${name} (${body})`).join(", ")
      }` +
        (retention === undefined ? "" : ` with retention every ${millisOf(retention.every)} ms`)
    ),
    target: forBuild(1)
  }
}

/**
 * Options of {@link custom}.
 *
 * @category models
 * @since 0.1.0
 */
export interface CustomOptions<Types extends EventTypes, E, R> extends ProjectionOptions<Types> {
  /**
   * Makes the storage, or empties it: run before the first event, and again
   * after a reset. It may be run several times before an event is applied.
   */
  readonly setUp?: Effect.Effect<void, E, R> | undefined
  /** Applies a batch, in order of position. */
  readonly apply: (events: ReadonlyArray<Delivery<EventIn<Types>>>) => Effect.Effect<void, E, R>
  /** How long `setUp`, or `apply` of one batch, may take; 30 seconds when absent. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * An event, and the key by which a receiver knows that it has seen it before.
 *
 * @category models
 * @since 0.1.0
 */
export interface Delivery<out Event> {
  readonly event: Event
  /** The same whenever the event is delivered to this follower, and to no other event. */
  readonly dedupeKey: string
}

/**
 * Makes a projection that writes to a storage of its own: a search index, a
 * cache, another database.
 *
 * **Details**
 *
 * At least once: the checkpoint is written after `apply` has succeeded, so the
 * events of a batch come again, in the same order but maybe in other batches,
 * when a runner ends in between, and when a part of the batch fails. A storage
 * that keeps each `dedupeKey`, in one transaction with what the event changes,
 * makes it exactly once. A failure, a defect, an interruption and a timeout are
 * handled alike: by `retry` of the runner, then by `onError`.
 *
 * **Gotchas**
 *
 * A runner that stood still for longer than its lease may still be applying what
 * another one applies already. What cannot be interrupted is not waited for
 * after its timeout, and may still be at work when the next attempt begins.
 *
 * **Example**
 *
 * ```ts
 * const search = Projection.custom({
 *   name: "search",
 *   events: [Opened],
 *   apply: (events) =>
 *     SearchIndex.use((index) =>
 *       index.put(events.map(({ event }) => ({ id: event.streamId, owner: event.data.owner })))
 *     )
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const custom = <const Types extends EventTypes, E, R>(
  options: CustomOptions<Types, E, R>
): CustomProjection<R> => ({
  ...base(options, "a storage of its own"),
  target: {
    _tag: "Custom",
    setUp: options.setUp,
    // the decoder has decoded the events
    apply: options.apply as CustomTarget<R>["apply"],
    timeoutMillis: timeoutMillis(options.timeout)
  }
})

/**
 * Name of a table as it stands in the database: `revenue_v2`, and `revenue_v2_b3`
 * in the third build of version 2.
 *
 * @category getters
 * @since 0.1.0
 */
export const tableName = (name: string, version: number, build = 1): string =>
  `${name}_v${version}${build === 1 ? "" : `_b${build}`}`

/**
 * The same projection, bound to one build of its version: what runs or reads it
 * then keeps to that build, whichever one the others see.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withBuild = <P extends Buildable>(follower: P, build: number): P => {
  const { target } = follower
  if (target._tag === "Reactor" || follower.build === build) return follower
  // a definition that names no build has the tables of the first
  const isThere = target._tag !== "Table" || build === (follower.build ?? 1)
  return { ...follower, build, target: isThere ? target : target.forBuild(build) }
}

/**
 * Makes a statement of a template: values become parameters, names of tables
 * become text.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sql = (strings: TemplateStringsArray, ...values: ReadonlyArray<SqlValue | SqlName>): SqlStatement => {
  const parameters: Array<SqlValue> = []
  let text = strings[0] ?? ""
  for (const [index, value] of values.entries()) {
    text += (value instanceof SqlName ? value.text : `$${parameters.push(value)}`) + (strings[index + 1] ?? "")
  }
  return { text, parameters }
}

/**
 * Makes a parameter of a JSON value, for a column of type `json` or `jsonb`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const json = (value: Schema.Json): string => JSON.stringify(value)

/**
 * A name that stands in the text of a statement, quoted.
 *
 * @category models
 * @since 0.1.0
 */
export class SqlName {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/**
 * How a runner keeps states.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateTarget {
  readonly _tag: "State"
  readonly json: Schema.Codec<unknown, unknown>
  readonly initial: unknown
  /** How long a state stays that nothing changes; for ever when `undefined`. */
  readonly maxAgeMillis: number | undefined
  /** When states are written; with each batch when `undefined`. */
  readonly save: { readonly events: number; readonly millis: number } | undefined
  /** Types without a handler: it cannot be run then. */
  readonly unhandled: ReadonlyArray<string>
  /** `undefined` when there is one state for all. */
  readonly keysOf: ((event: DecodedEvent) => string | ReadonlyArray<string>) | undefined
  readonly fold: (state: unknown, event: DecodedEvent) => unknown
}

/**
 * How a runner fills tables.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableTarget {
  readonly _tag: "Table"
  readonly schema: string
  /** What follows each name in the database: version and build. */
  readonly suffix: string
  /** The same tables of another build. */
  readonly forBuild: (build: number) => TableTarget
  readonly tables: ReadonlyArray<{ readonly name: string; readonly body: string }>
  /** Types without a handler: it cannot be run then. */
  readonly unhandled: ReadonlyArray<string>
  readonly setUp: ReadonlyArray<SqlStatement>
  /** What removes rows, before the first event of a period that begins then. */
  readonly retention: {
    readonly everyMillis: number
    readonly statementsAt: (millis: number) => ReadonlyArray<SqlStatement>
  } | undefined
  readonly statementsOf: (event: DecodedEvent) => ReadonlyArray<SqlStatement>
}

/**
 * How a runner fills a storage of the user's.
 *
 * @category models
 * @since 0.1.0
 */
export interface CustomTarget<out R> {
  readonly _tag: "Custom"
  readonly setUp: Effect.Effect<void, unknown, R> | undefined
  readonly apply: (events: ReadonlyArray<Delivery<DecodedEvent>>) => Effect.Effect<void, unknown, R>
  readonly timeoutMillis: number
}

/**
 * An event that a registry has decoded; as it was recorded for a follower of all
 * types.
 *
 * @category models
 * @since 0.1.0
 */
export type DecodedEvent = Omit<RecordedEvent, "data"> & EventType.TypedEvent

/**
 * What a follower reads and on what condition, in words, so that another filter is
 * noticed.
 *
 * @category getters
 * @since 0.1.0
 */
export const describeReads = (
  { after = [], events, slices, when, where = {} }: Reads
): { readonly filter: EventFilter; readonly definition: string } => {
  const filter: EventFilter = events === "all" ? where : { ...where, types: events.map((type) => type.name) }
  return {
    filter,
    definition: [
      describeFilter(filter),
      ...(when === undefined ? [] : ["on a condition"]),
      ...(after.length === 0 ? [] : [`after ${after.map(({ name }) => name).sort().join(", ")}`]),
      ...(slices === undefined || slices.count === 1
        ? []
        : [`in ${slices.count} slices by ${typeof slices.by === "function" ? "key" : "stream"}`])
    ].join(" ")
  }
}

/**
 * The time that an effect of a handler may take, in milliseconds: 30 seconds when
 * absent.
 *
 * @category getters
 * @since 0.1.0
 */
export const timeoutMillis = (timeout: Duration.Input = "30 seconds"): number => millisOf(timeout)

// internal

/** A reactor has one build. */
interface Buildable {
  readonly build?: number | undefined
  readonly target: Projection<unknown>["target"] | { readonly _tag: "Reactor" }
}

type Reads = Pick<ProjectionOptions<EventTypes>, "after" | "events" | "slices" | "where"> & {
  readonly when?: unknown
}

const millisOf = (duration: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(duration))

const toDate = (millis: number): Date => DateTime.toDateUtc(DateTime.makeUnsafe(millis))

const listOf = <A extends object>(made: A | ReadonlyArray<A>): ReadonlyArray<A> =>
  Array.isArray(made) ? made : [made as A]

/** The handler of each type, or the one for all. */
const handlersOf = <Handler>(on: unknown): (type: string) => Handler | undefined => {
  if (typeof on === "function") return () => on as Handler
  const handlers = new Map(Object.entries(on as Readonly<Record<string, Handler>>))
  return (type) => handlers.get(type)
}

/** The types without a handler; the compiler knows of none. */
const unhandledOf = ({ events, on }: { readonly events: EventTypes; readonly on: unknown }): ReadonlyArray<string> => {
  const handlerOf = handlersOf<unknown>(on)
  if (events === "all") return typeof on === "function" ? [] : ["any"]
  return events.flatMap(({ name }) => typeof handlerOf(name) === "function" ? [] : [name])
}

/** The same value, which no handler can change in place: every new state begins with it. */
const frozen = <A>(value: A): A => {
  const isPlain = Array.isArray(value) ||
    (typeof value === "object" && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value)))
  if (!isPlain || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const part of Object.values(value)) frozen(part)
  return value
}

const quote = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

const base = <Types extends EventTypes>(
  options: ProjectionOptions<Types> & { readonly changes?: ChangesPolicy | undefined },
  target: string
): Omit<Projection, "target"> => {
  const { after = [], changes, events, name, onError = {}, slices, version = 1, when } = options
  const { definition, filter } = describeReads(options)
  return {
    _tag: "Projection",
    name,
    version,
    events,
    onError,
    filter,
    slices,
    changes,
    // the decoder has decoded the event
    when: when as Projection["when"],
    after,
    definition: `${target}${changes === undefined ? "" : " with changes"} of ${definition}`
  }
}

/** The same words for the same filter, in whatever order it was written. */
const describeFilter = (filter: EventFilter): string => {
  const sorted = (names: ReadonlyArray<string>) => [...names].sort()
  const parts = [
    ["types", filter.types],
    ["categories", filter.categories],
    ["streams", filter.streamIds],
    ["tags", filter.tags]
  ] as const
  const words = [
    ...parts.flatMap(([name, names]) => names === undefined ? [] : [`${name}: ${sorted(names).join(", ")}`]),
    ...(filter.query ?? []).map(({ tags = [], types = [] }) => `types ${sorted(types)} with tags ${sorted(tags)}`),
    ...(filter.recordedFrom === undefined ? [] : [`from ${filter.recordedFrom.epochMilliseconds}`]),
    ...(filter.recordedBefore === undefined ? [] : [`before ${filter.recordedBefore.epochMilliseconds}`])
  ]
  return words.length === 0 ? "all events" : JSON.stringify(words)
}
