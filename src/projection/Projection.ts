/**
 * Definitions of projections: what they read, and what they make of it. Pure
 * functions only, so building one again never does anything twice.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { RecordedEvent } from "../event/Event.ts"
import type { EventFilter } from "../event/EventQuery.ts"
import type * as EventType from "../event/EventType.ts"
import type { SqlStatement, SqlValue } from "../store/CheckpointStore.ts"

/**
 * A projection: made by {@link state} or {@link table}, run by
 * `ProjectionRunner`.
 *
 * **Details**
 *
 * Invariant: what it makes is the fold of the matching events up to its
 * checkpoint, each one seen once, in order of position. Its functions are pure,
 * so nothing but its own states and tables can change when it is run or built again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Projection {
  readonly name: string
  /** From 1. Raise it to build anew, beside the old one. */
  readonly version: number
  readonly events: ReadonlyArray<EventType.Any>
  /** What it reads: its types, narrowed by `where`. The storage leaves out the rest. */
  readonly filter: EventFilter
  /** What it reads and makes, in words: another definition needs another version. */
  readonly definition: string
  readonly target: StateTarget | TableTarget
  readonly onError: ErrorPolicy
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
export interface ProjectionOptions<Types extends ReadonlyArray<EventType.Any>> {
  /** 1 to 512 bytes. */
  readonly name: string
  /** From 1; 1 when absent. */
  readonly version?: number | undefined
  /** The types that it reads, with every version that may be stored. */
  readonly events: Types
  readonly where?: ProjectionFilter | undefined
  readonly onError?: ErrorPolicy | undefined
}

/**
 * The event that a handler gets: decoded, in the newest version.
 *
 * @category models
 * @since 0.1.0
 */
export type EventIn<Types extends ReadonlyArray<EventType.Any>> = EventType.Recorded<EventType.EventOf<Types[number]>>

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
export interface StateOptions<Types extends ReadonlyArray<EventType.Any>, State> extends ProjectionOptions<Types> {
  /** How a state is written down: everything that it holds. */
  readonly state: Schema.Codec<State, unknown>
  /** The state before the first event. */
  readonly initial: NoInfer<State>
  /**
   * Which states an event changes: names of 1 to 512 bytes, none when it does
   * not matter. One state for all when absent.
   */
  readonly key?: ((event: EventIn<Types>) => string | ReadonlyArray<string>) | undefined
  /** One handler a type: the state after the event. `undefined` removes the state. */
  readonly on: {
    readonly [Name in Types[number]["name"]]: (
      state: NoInfer<State>,
      event: EventNamed<Types, Name>
    ) => NoInfer<State> | undefined
  }
}

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
export const state = <const Types extends ReadonlyArray<EventType.Any>, State>(
  options: StateOptions<Types, State>
): StateProjection<State> => {
  const { initial, key } = options
  const handlers = new Map(Object.entries<(state: never, event: never) => unknown>(options.on))
  return {
    ...base(options, key === undefined ? "one state" : "states by key"),
    initial,
    target: {
      _tag: "State",
      json: Schema.toCodecJson(options.state),
      initial,
      keysOf: key === undefined ? undefined : key as StateTarget["keysOf"],
      // the registry has decoded the event, and the state is the last handler's
      fold: (state, event) => handlers.get(event.type)?.(state as never, event as never)
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
  Types extends ReadonlyArray<EventType.Any>,
  Tables extends { readonly [name: string]: string }
> extends ProjectionOptions<Types> {
  /** Schema in which the tables stand; `public` when absent. */
  readonly schema?: string | undefined
  /**
   * Each table by its name (`[a-z_][a-z0-9_]*`, at most 48 bytes), and what
   * stands between the parentheses of its `CREATE TABLE`.
   */
  readonly tables: Tables
  /** Statements that are run after the tables were made: indexes, rights. */
  readonly setUp?: ((tables: TableNames<Tables>) => ReadonlyArray<SqlStatement>) | undefined
  /** One handler a type: the statements that an event leads to. */
  readonly on: {
    readonly [Name in Types[number]["name"]]: (
      event: EventNamed<Types, Name>,
      tables: TableNames<Tables>
    ) => SqlStatement | ReadonlyArray<SqlStatement>
  }
}

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
 * the version that is live: the first that was built, until
 * `ProjectionControl.promote` makes another one live. The statements of a batch
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
  const Types extends ReadonlyArray<EventType.Any>,
  const Tables extends { readonly [name: string]: string }
>(options: TableOptions<Types, Tables>): TableProjection => {
  const { schema = "public", setUp, tables, version = 1 } = options
  const physical = Object.keys(tables).map((name) =>
    [name, new SqlName(`${quote(schema)}.${quote(tableName(name, version))}`)] as const
  )
  const names = Object.fromEntries(physical) as TableNames<Tables>
  const handlers = new Map(Object.entries<(event: never, tables: TableNames<Tables>) => unknown>(options.on))
  return {
    ...base(options, `tables ${Object.entries(tables).map(([name, body]) => `${name} (${body})`).join(", ")}`),
    target: {
      _tag: "Table",
      schema,
      tables: Object.entries(tables).map(([name, body]) => ({ name, body })),
      setUp: setUp === undefined ? [] : setUp(names),
      // the registry has decoded the event
      statementsOf: (event) => {
        const made = handlers.get(event.type)?.(event as never, names)
        return made === undefined ? [] : Array.isArray(made) ? made : [made as SqlStatement]
      }
    }
  }
}

/**
 * Name of a table as it stands in the database.
 *
 * @category getters
 * @since 0.1.0
 */
export const tableName = (name: string, version: number): string => `${name}_v${version}`

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
  readonly tables: ReadonlyArray<{ readonly name: string; readonly body: string }>
  readonly setUp: ReadonlyArray<SqlStatement>
  readonly statementsOf: (event: DecodedEvent) => ReadonlyArray<SqlStatement>
}

/**
 * An event that a registry has decoded.
 *
 * @category models
 * @since 0.1.0
 */
export type DecodedEvent = EventType.Recorded<EventType.TypedEvent>

// internal

const quote = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

const base = (
  { events, name, onError = {}, version = 1, where = {} }: ProjectionOptions<ReadonlyArray<EventType.Any>>,
  target: string
): Omit<Projection, "target"> => {
  const filter: EventFilter = { ...where, types: events.map((type) => type.name) }
  return { name, version, events, onError, filter, definition: `${target} of ${describeFilter(filter)}` }
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
  return JSON.stringify([
    ...parts.flatMap(([name, names]) => names === undefined ? [] : [`${name}: ${sorted(names).join(", ")}`]),
    ...(filter.query ?? []).map(({ tags = [], types = [] }) => `types ${sorted(types)} with tags ${sorted(tags)}`),
    ...(filter.recordedFrom === undefined ? [] : [`from ${filter.recordedFrom.epochMilliseconds}`]),
    ...(filter.recordedBefore === undefined ? [] : [`before ${filter.recordedBefore.epochMilliseconds}`])
  ])
}
