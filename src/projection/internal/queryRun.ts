import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { EventStore } from "../../store/EventStore.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import {
  type ReadFilter,
  ReadModelStore,
  type ReadOrder,
  type ReadPage,
  type ReadPoint,
  type ReadQuery,
  type SelectRefused,
  type TableShape
} from "../../store/ReadModelStore.ts"
import { CursorInvalid, QueryInvalid } from "../QueryError.ts"
import {
  type AskError,
  type FindOptions,
  KEY,
  type ListOptions,
  type Page,
  type Query,
  type Source,
  type WaitError,
  type WaitOptions
} from "../QueryModel.ts"
import { awaitReached, readToken } from "./awaiting.ts"
import { type CursorOwner, decodeCursor, encodeCursor } from "./cursor.ts"
import { type Fields, LIMIT_DEFAULT, planFilter, planLimit, planOrder, type QueryFault, toPath } from "./queryPlan.ts"

/** Reads a page. */
export const readPage = <Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: ListOptions<Condition, Field> & Partial<WaitOptions>
): Effect.Effect<Page<Item>, E | CursorInvalid | AskError | WaitError, ReadModelStore | EventStore> =>
  Effect.gen(function*() {
    const { source } = query
    const limit = yield* planned(source, planLimit(options.limit ?? LIMIT_DEFAULT))
    const filter = yield* filterOf(source, options)
    const wanted = yield* planned(source, planOrder(fieldsOf(source), options.sort ?? []))
    const store = yield* requireStore(source)
    const order = yield* completeOrder(query, store, wanted)
    const owner: CursorOwner = { source: sourceOf(source), table: tableOf(source), filter, order }
    const after = options.cursor === undefined ? undefined : yield* placeOf(owner, options.cursor)
    const asked = { source: sourceOf(source), filter, order, after, limit: limit + 1 }
    const read = after === undefined ? ask(query, store, asked) : askAfter(query, store, asked)
    const { items, places, point } = yield* waiting(source, store, options, read)
    const last = items.length > limit ? places[limit - 1] : undefined
    const next = last === undefined ? undefined : encodeCursor(owner, last)
    if (last !== undefined && next === undefined) {
      return yield* invalid(source, { path: "sort", detail: "the values are too long to page by" })
    }
    return { items: yield* decodeAll(query, items.slice(0, limit)), next, position: point.position }
  })

/** Reads some of the items that pass, in any order. */
export const readSome = <Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: FindOptions<Condition> & Partial<WaitOptions>,
  limit: number
): Effect.Effect<ReadonlyArray<Item>, E | AskError | WaitError, ReadModelStore | EventStore> =>
  Effect.gen(function*() {
    const { source } = query
    const filter = yield* filterOf(source, options)
    const store = yield* requireStore(source)
    const read = ask(query, store, { source: sourceOf(source), filter, order: [], after: undefined, limit })
    const { items } = yield* waiting(source, store, options, read)
    return yield* decodeAll(query, items)
  })

/** Counts the items that pass. */
export const count = <Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  options: FindOptions<Condition> & Partial<WaitOptions>
): Effect.Effect<number, E | AskError | WaitError, ReadModelStore | EventStore> =>
  Effect.gen(function*() {
    const { source } = query
    const filter = yield* filterOf(source, options)
    const store = yield* requireStore(source)
    const asked = { source: sourceOf(source), filter }
    const read: Effect.Effect<{ readonly count: number; readonly point: ReadPoint }, E | QueryInvalid | StorageError> =
      source._tag === "States"
        ? store.countStates(asked)
        : Effect.catchTag(
          store.countRows({ ...asked, table: source.table }),
          "SelectRefused",
          (refusal) => refused(query, refusal)
        )
    return (yield* waiting(source, store, options, read)).count
  })

// internal

const sourceOf = ({ name, version }: Source) => ({ name, version })

const tableOf = (source: Source): string | undefined =>
  source._tag === "Rows" ? `${source.table.schema}.${source.table.name}` : undefined

const invalid = ({ name }: Source, fault: QueryFault): Effect.Effect<never, QueryInvalid> =>
  Effect.fail(new QueryInvalid({ name, ...fault }))

const planned = <A>(source: Source, plan: Result.Result<A, QueryFault>): Effect.Effect<A, QueryInvalid> =>
  Result.isSuccess(plan) ? Effect.succeed(plan.success) : invalid(source, plan.failure)

const filterOf = (
  source: Source,
  { where }: { readonly where?: unknown }
): Effect.Effect<ReadFilter | undefined, QueryInvalid> => {
  if (source.fault !== undefined) return invalid(source, { path: "query", detail: source.fault })
  return where === undefined ? Effect.succeed(undefined) : planned(source, planFilter(fieldsOf(source), where))
}

const requireStore = (source: Source): Effect.Effect<ReadModelStore["Service"], QueryInvalid, ReadModelStore> =>
  ReadModelStore.use((store) =>
    source._tag === "Rows" && !store.hasTables
      ? invalid(source, { path: "query", detail: "this storage has no tables: use PostgreSQL or PGlite" })
      : Effect.succeed(store)
  )

const fieldsOf = (source: Source): Fields =>
  source._tag === "States"
    ? {
      isJson: true,
      expected: "KEY, the name of a field, or a path of 32 steps at most",
      resolve: (field) => {
        if (field === KEY) return { _tag: "Key" }
        const path = toPath(field)
        return path === undefined ? undefined : { _tag: "Path", path }
      }
    }
    : {
      isJson: false,
      expected: "a column of the row schema",
      resolve: (field) =>
        source.columns.some(({ name }) => name === field) ? { _tag: "Column", name: field as string } : undefined
    }

/** Adds what is unique to an order: the key of a state, or the columns of a key. */
const completeOrder = <Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  store: ReadModelStore["Service"],
  wanted: ReadonlyArray<ReadOrder>
): Effect.Effect<ReadonlyArray<ReadOrder>, E | QueryInvalid | StorageError> => {
  const { source } = query
  // an order of one direction is one comparison
  const descending = wanted.at(-1)?.descending ?? false
  if (source._tag === "States") {
    const index = wanted.findIndex(({ field }) => field._tag === "Key")
    return Effect.succeed(
      index >= 0
        ? wanted.slice(0, index + 1)
        : [...wanted, { field: { _tag: "Key" }, descending, isRequired: true }]
    )
  }
  return Effect.flatMap(store.describeTable(source.table), (found): Effect.Effect<
    ReadonlyArray<ReadOrder>,
    E | QueryInvalid
  > => {
    if (Option.isNone(found)) return Effect.fail(query.unreadable("it is not there: has the projection been run?"))
    const shape = found.value
    const lacking = source.columns.find(({ name }) => !shape.columns.some((column) => column.name === name))
    if (lacking !== undefined) return Effect.fail(query.unreadable(`it has no column ${JSON.stringify(lacking.name)}`))
    return shape.key.length === 0
      ? invalid(source, { path: "sort", detail: "pages need a primary key, or a unique index of columns without null" })
      : Effect.succeed(withKey(shape, wanted, descending))
  })
}

const withKey = (
  shape: TableShape,
  wanted: ReadonlyArray<ReadOrder>,
  descending: boolean
): ReadonlyArray<ReadOrder> => {
  const names = new Set(wanted.map(({ field }) => field._tag === "Column" ? field.name : undefined))
  const required = new Set(shape.columns.filter(({ isRequired }) => isRequired).map(({ name }) => name))
  return [
    ...wanted.map((order) => ({
      ...order,
      isRequired: order.field._tag === "Column" && required.has(order.field.name)
    })),
    ...shape.key.filter((name) => !names.has(name)).map((name): ReadOrder => ({
      field: { _tag: "Column", name },
      descending,
      isRequired: true
    }))
  ]
}

const placeOf = (owner: CursorOwner, cursor: string) =>
  Effect.fromResult(
    Result.mapError(decodeCursor(owner, cursor), (detail) => new CursorInvalid({ name: owner.source.name, detail }))
  )

const select = (
  source: Source,
  store: ReadModelStore["Service"],
  asked: ReadQuery
): Effect.Effect<ReadPage<unknown>, SelectRefused | StorageError> =>
  source._tag === "States"
    ? store.readStates(asked)
    : store.readRows({ ...asked, table: source.table, columns: source.columns })

const ask = <Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  store: ReadModelStore["Service"],
  asked: ReadQuery
): Effect.Effect<ReadPage<unknown>, E | QueryInvalid | StorageError> =>
  Effect.catchTag(select(query.source, store, asked), "SelectRefused", (refusal) => refused(query, refusal))

/** A filter that the first page took is no reason for the second to be refused. */
const askAfter = <Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  store: ReadModelStore["Service"],
  asked: ReadQuery
): Effect.Effect<ReadPage<unknown>, E | CursorInvalid | QueryInvalid | StorageError> =>
  Effect.catchTag(
    select(query.source, store, asked),
    "SelectRefused",
    (refusal): Effect.Effect<never, E | CursorInvalid | QueryInvalid> => {
      const misfit = new CursorInvalid({ name: query.source.name, detail: "it does not fit the columns" })
      return refusal.code.startsWith("22") ? Effect.fail(misfit) : refused(query, refusal)
    }
  )

const refused = <Item, Condition, Field, E>(
  { source, unreadable }: Query<Item, Condition, Field, E>,
  { code, message }: SelectRefused
): Effect.Effect<never, E | QueryInvalid> =>
  code.startsWith("22") || NO_OPERATOR.has(code)
    ? invalid(source, { path: "where", detail: `the database says: ${message}` })
    : Effect.fail(unreadable(message))

/** No such operator, other types than it takes, or a parameter of which nobody knows the type. */
const NO_OPERATOR = new Set(["42883", "42804", "42P18", "42P22"])

const waiting = <A extends { readonly point: ReadPoint }, E>(
  source: Source,
  store: ReadModelStore["Service"],
  { after, timeout }: Partial<WaitOptions>,
  read: Effect.Effect<A, E>
): Effect.Effect<A, E | AskError | WaitError, EventStore> =>
  after === undefined ? read : Effect.flatMap(readToken(after), ({ incarnation, position }) =>
    awaitReached(
      { name: source.name, version: source.defined, filter: source.filter, position, incarnation, timeout },
      store.readPoint(sourceOf(source)),
      read
    ))

const decodeAll = <Item, Condition, Field, E>(
  query: Query<Item, Condition, Field, E>,
  items: ReadonlyArray<unknown>
): Effect.Effect<ReadonlyArray<Item>, E> => {
  const decoded: Array<Item> = []
  for (const item of items) {
    // what the source of the query gives
    const made = query.decode(item as never)
    if (Result.isFailure(made)) return Effect.fail(made.failure)
    decoded.push(made.success)
  }
  return Effect.succeed(decoded)
}
