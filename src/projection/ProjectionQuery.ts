/**
 * Reads what projections have made: states and rows by typed filters, in pages
 * that neither skip nor repeat.
 *
 * **Details**
 *
 * A query reads what is live: the version and the build that stand behind the
 * projection's name at that moment, from one snapshot. It compares in the
 * storage, and names of columns come from the row schema only: values are
 * parameters.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { StoredState } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import type { ReadModelStore } from "../store/ReadModelStore.ts"
import * as run from "./internal/queryRun.ts"
import { makeRowCodec } from "./internal/rowCodec.ts"
import { decodeState } from "./internal/stateCodec.ts"
import type { StateProjection, TableProjection } from "./Projection.ts"
import { StateUnreadable } from "./ProjectionError.ts"
import type { KeyedState } from "./ProjectionState.ts"
import { type CursorInvalid, ManyFound, RowUnreadable, TableUnreadable } from "./QueryError.ts"
import type {
  AskError,
  FindOptions,
  ListOptions,
  NameOf,
  Page,
  Query,
  RowCondition,
  StateCondition,
  StateField,
  WaitError,
  WaitOptions
} from "./QueryModel.ts"

export * from "./QueryModel.ts"

/**
 * The states of a projection, with their keys.
 *
 * **Details**
 *
 * `of` says which ones: of the version that is live, or of that of the
 * definition; `live` when absent.
 *
 * **Gotchas**
 *
 * A filter or an order by JSON looks at every state of the projection. In
 * JSON, U+0000 and lone surrogates are compared as U+FFFD.
 *
 * **Example**
 *
 * ```ts
 * const page = yield* ProjectionQuery.list(ProjectionQuery.state(balances), {
 *   where: { and: [{ field: ProjectionQuery.KEY, prefix: "account-" }, { field: "amount", gte: 100 }] },
 *   sort: [{ field: "amount", descending: true }]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const state = <State>(
  projection: StateProjection<State>,
  options: { readonly of?: "live" | "definition" | undefined } = {}
): Query<KeyedState<State>, StateCondition<State>, StateField<State>, StateUnreadable> => {
  const { filter, name, target, version } = projection
  return {
    source: {
      _tag: "States",
      name,
      version: options.of === "definition" ? version : undefined,
      defined: version,
      filter,
      fault: undefined
    },
    decode: ({ key, state }: StoredState) =>
      Result.mapBoth(decodeState(target, state), {
        // the schema is that of the states, which the definition says
        onSuccess: (value) => ({ key, state: value as State }),
        onFailure: (detail) => new StateUnreadable({ name, version, key, detail })
      }),
    unreadable: (detail) => new StateUnreadable({ name, version, key: "", detail })
  }
}

/**
 * The rows of a table of a projection, as its readers see it: the view of what is
 * live.
 *
 * **Details**
 *
 * The names of the row schema's encoded side are the columns that are read, and
 * the only ones that can be asked for. `bigint` is read as `bigint`, as a number
 * that is the same, or as text; `numeric` as text, as the same whole number, or
 * as the nearest fraction; a time as a `Date`, or as text in ISO 8601 with its
 * microseconds. Strings are compared by the collation of their column.
 *
 * Pages need columns that are unique together and never null: a primary key, or
 * another unique index.
 *
 * **Example**
 *
 * ```ts
 * const byCountry = ProjectionQuery.table(revenue, "revenue", Schema.Struct({
 *   country: Schema.String,
 *   cents: Schema.BigInt
 * }))
 * const page = yield* ProjectionQuery.list(byCountry, { sort: [{ field: "cents", descending: true }], limit: 10 })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const table = <Row, Encoded>(
  projection: TableProjection,
  name: string,
  row: Schema.Codec<Row, Encoded>
): Query<Row, RowCondition<Encoded>, NameOf<Encoded>, RowUnreadable | TableUnreadable> => {
  const { filter, target, version } = projection
  const codec = makeRowCodec(row)
  const isKnown = target.tables.some((known) => known.name === name)
  return {
    source: {
      _tag: "Rows",
      name: projection.name,
      version: undefined,
      defined: version,
      filter,
      table: { schema: target.schema, name },
      columns: codec.columns,
      fault: isKnown ? codec.fault : `it has no table ${JSON.stringify(name.slice(0, 64))}`
    },
    decode: (values: ReadonlyArray<unknown>) =>
      Result.mapError(
        codec.decode(values),
        (detail) => new RowUnreadable({ name: projection.name, table: name, detail })
      ),
    unreadable: (detail) => new TableUnreadable({ name: projection.name, table: name, detail })
  }
}

/**
 * Makes something else of each item.
 *
 * @category combinators
 * @since 0.1.0
 */
export const map = <Item, Condition, Field, E, Other>(
  query: Query<Item, Condition, Field, E>,
  f: (item: Item) => Other
): Query<Other, Condition, Field, E> => ({
  source: query.source,
  unreadable: query.unreadable,
  decode: (stored) => Result.map(query.decode(stored), f)
})

/**
 * Returns a page of the items that pass.
 *
 * **Details**
 *
 * An item that is not changed while one goes from page to page is in exactly
 * one of them. One that is added or removed meanwhile is in one page or none; one
 * whose place in the order changes may be in two, or in none. Null and missing
 * come last, and first when descending.
 *
 * With `after` it waits until the projection has seen everything up to that
 * place, and the page is of one moment at or after it.
 *
 * @category reading
 * @since 0.1.0
 */
export function list<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options?: ListOptions<Condition, Field> & { readonly after?: undefined }
): Effect.Effect<Page<Item>, E | CursorInvalid | AskError, ReadModelStore | EventStore>
export function list<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: ListOptions<Condition, Field> & WaitOptions
): Effect.Effect<Page<Item>, E | CursorInvalid | AskError | WaitError, ReadModelStore | EventStore>
export function list<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: ListOptions<Condition, Field> & Partial<WaitOptions> = {}
): Effect.Effect<Page<Item>, E | CursorInvalid | AskError | WaitError, ReadModelStore | EventStore> {
  return run.readPage(query, options)
}

/**
 * Returns the one item that passes; none when there is none.
 *
 * **Details**
 *
 * Fails with `ManyFound` when there is more than one.
 *
 * @category reading
 * @since 0.1.0
 */
export function one<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: FindOptions<Condition> & { readonly after?: undefined }
): Effect.Effect<Option.Option<Item>, E | ManyFound | AskError, ReadModelStore | EventStore>
export function one<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: FindOptions<Condition> & WaitOptions
): Effect.Effect<Option.Option<Item>, E | ManyFound | AskError | WaitError, ReadModelStore | EventStore>
export function one<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: FindOptions<Condition> & Partial<WaitOptions>
): Effect.Effect<Option.Option<Item>, E | ManyFound | AskError | WaitError, ReadModelStore | EventStore> {
  return Effect.flatMap(run.readSome(query, options, 2), (items) =>
    items.length > 1
      ? Effect.fail(new ManyFound({ name: query.source.name }))
      : Effect.succeed(Option.fromUndefinedOr(items[0])))
}

/**
 * Counts the items that pass.
 *
 * @category reading
 * @since 0.1.0
 */
export function count<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options?: FindOptions<Condition> & { readonly after?: undefined }
): Effect.Effect<number, E | AskError, ReadModelStore | EventStore>
export function count<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: FindOptions<Condition> & WaitOptions
): Effect.Effect<number, E | AskError | WaitError, ReadModelStore | EventStore>
export function count<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: FindOptions<Condition> & Partial<WaitOptions> = {}
): Effect.Effect<number, E | AskError | WaitError, ReadModelStore | EventStore> {
  return run.count(query, options)
}

/**
 * Reads all items that pass, page after page, with what `list` promises of
 * pages. `limit` is the size of a page; no page is read before it is needed.
 *
 * @category reading
 * @since 0.1.0
 */
export function stream<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options?: ListOptions<Condition, Field> & { readonly after?: undefined }
): Stream.Stream<Item, E | CursorInvalid | AskError, ReadModelStore | EventStore>
export function stream<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: ListOptions<Condition, Field> & WaitOptions
): Stream.Stream<Item, E | CursorInvalid | AskError | WaitError, ReadModelStore | EventStore>
export function stream<Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: ListOptions<Condition, Field> & Partial<WaitOptions> = {}
): Stream.Stream<Item, E | CursorInvalid | AskError | WaitError, ReadModelStore | EventStore> {
  return Stream.paginate(
    options,
    (options: ListOptions<Condition, Field> & Partial<WaitOptions>) =>
      Effect.map(run.readPage(query, options), ({ items, next }) =>
        // whoever has waited once need not wait again
        [
          items,
          Option.map(Option.fromUndefinedOr(next), (cursor) => ({ ...options, after: undefined, cursor }))
        ] as const)
  )
}
