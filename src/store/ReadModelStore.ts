/**
 * The contract of the place from which read models are read: states and rows by
 * filter, in pages, together with how far the projection had come.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Position } from "../event/Revision.ts"
import type { SqlStatement, SqlValue, StoredState } from "./CheckpointStore.ts"
import type { StorageError } from "./EventStoreError.ts"
import type { TableName } from "./KeptChanges.ts"

/**
 * Service for reading what the projections of one log have made.
 *
 * **Details**
 *
 * Invariant: what one operation answers is of one moment: the rows, and how far
 * the projection had come, belong to the same snapshot. The storage is given
 * checked input; names stand quoted in its statements, and values are always
 * parameters.
 *
 * @category services
 * @since 0.1.0
 */
export class ReadModelStore extends Context.Service<ReadModelStore, {
  /** Whether there are tables: the storage is PostgreSQL, or PGlite. */
  readonly hasTables: boolean

  /** Tells how far a projection has come. */
  readonly readPoint: (source: ReadSource) => Effect.Effect<ReadPoint, StorageError>

  /** Reads a page of states. */
  readonly readStates: (query: ReadQuery) => Effect.Effect<ReadPage<StoredState>, StorageError>

  /** Counts states. */
  readonly countStates: (query: CountQuery) => Effect.Effect<ReadCount, StorageError>

  /** Describes a table as its readers see it; none when it is not there, or is not visible. */
  readonly describeTable: (table: TableName) => Effect.Effect<Option.Option<TableShape>, StorageError>

  /** Reads a page of rows of a table: the values of its columns, in their order. */
  readonly readRows: (
    query: RowsQuery
  ) => Effect.Effect<ReadPage<ReadonlyArray<unknown>>, SelectRefused | StorageError>

  /** Counts rows of a table. */
  readonly countRows: (
    query: CountQuery & { readonly table: TableName }
  ) => Effect.Effect<ReadCount, SelectRefused | StorageError>

  /** Reads a page of a projection's changes; none when it keeps none. */
  readonly readChanges: (query: ChangesQuery) => Effect.Effect<Option.Option<ChangesPage>, StorageError>

  /**
   * Runs statements in one transaction and returns the rows of each; nothing is
   * done when one of them is refused.
   *
   * **Details**
   *
   * With `lock` it is the only one of this name over all processes while it runs.
   * None when another one has the lock and it does not wait.
   */
  readonly transact: (
    work: StatementWork
  ) => Effect.Effect<Option.Option<ReadonlyArray<ReadonlyArray<ReadonlyArray<unknown>>>>, SelectRefused | StorageError>
}>()("effect-event-store/store/ReadModelStore") {}

/**
 * What is read: a version of a projection, in its current build; the one that is
 * live when no version is named.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadSource {
  readonly name: string
  readonly version: number | undefined
}

/**
 * How far a projection had come when it was read.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadPoint {
  /** Every matching event up to here is in what was read, of all slices; 0 when it never ran. */
  readonly position: Position
  /** The history that the position is of; `undefined` when it never ran. */
  readonly incarnation: string | undefined
}

/**
 * What a filter or an order is about: the key of a state, a place in its JSON, or
 * a column.
 *
 * @category models
 * @since 0.1.0
 */
export type ReadField =
  | { readonly _tag: "Key" }
  | { readonly _tag: "Path"; readonly path: ReadonlyArray<string> }
  | { readonly _tag: "Column"; readonly name: string }

/**
 * What a field is compared with.
 *
 * @category models
 * @since 0.1.0
 */
export type ReadValue = Exclude<SqlValue, null>

/**
 * Two-valued conditions: a comparison with what is missing, null, or of another
 * type than the value does not hold, and `Not` is its exact opposite.
 *
 * **Details**
 *
 * Strings of a state are compared by code point, numbers by their value; the
 * values of columns as the database compares them. `Like` knows `%`, `_` and
 * `\`, as in SQL.
 *
 * @category models
 * @since 0.1.0
 */
export type ReadFilter =
  | {
    readonly _tag: "Compare"
    readonly operator: "eq" | "lt" | "lte" | "gt" | "gte"
    readonly field: ReadField
    readonly value: ReadValue
  }
  | { readonly _tag: "Text"; readonly operator: "like" | "prefix"; readonly field: ReadField; readonly value: string }
  | { readonly _tag: "In"; readonly field: ReadField; readonly values: ReadonlyArray<ReadValue> }
  | { readonly _tag: "IsNull"; readonly field: ReadField }
  | { readonly _tag: "And"; readonly filters: ReadonlyArray<ReadFilter> }
  | { readonly _tag: "Or"; readonly filters: ReadonlyArray<ReadFilter> }
  | { readonly _tag: "Not"; readonly filter: ReadFilter }

/**
 * One field of an order.
 *
 * **Details**
 *
 * What is null or missing comes last, and first when descending. The values in a
 * state's JSON are ordered by type first: false, true, numbers, strings by
 * their first 1,000 code points, then arrays and objects, which are all equal.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadOrder {
  readonly field: ReadField
  readonly descending: boolean
  /** Whether the field is never null. */
  readonly isRequired: boolean
}

/**
 * What to count.
 *
 * @category models
 * @since 0.1.0
 */
export interface CountQuery {
  readonly source: ReadSource
  readonly filter: ReadFilter | undefined
}

/**
 * Which page to read. The order leads to one place for each element: its last
 * fields are unique together.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadQuery extends CountQuery {
  readonly order: ReadonlyArray<ReadOrder>
  /** The place after which the page begins (exclusive). */
  readonly after: ReadPlace | undefined
  readonly limit: number
}

/**
 * Which rows to read.
 *
 * @category models
 * @since 0.1.0
 */
export interface RowsQuery extends ReadQuery {
  readonly table: TableName
  readonly columns: ReadonlyArray<RowColumn>
}

/**
 * A column to read.
 *
 * @category models
 * @since 0.1.0
 */
export interface RowColumn {
  readonly name: string
  /** Whether its value is wanted as text: times in ISO 8601, in UTC. */
  readonly asText: boolean
  /** Whether it is wanted as JSON text instead; false when absent. */
  readonly asJson?: boolean | undefined
}

/**
 * A place in an order, as text: one part a column or key, three a place in JSON
 * (rank of its type, number, string). `null` for a column that is null.
 *
 * @category models
 * @since 0.1.0
 */
export type ReadPlace = ReadonlyArray<string | null>

/**
 * How many parts of a place a field has.
 *
 * @category models
 * @since 0.1.0
 */
export const placeParts = (field: ReadField): 1 | 3 => (field._tag === "Path" ? 3 : 1)

/**
 * How many code points of a string of JSON an order looks at.
 *
 * @category constants
 * @since 0.1.0
 */
export const ORDERED_CODE_POINTS = 1_000

/**
 * A page, and how far the projection had come.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadPage<out A> {
  readonly items: ReadonlyArray<A>
  /** Place of each item, in the order of the query. */
  readonly places: ReadonlyArray<ReadPlace>
  readonly point: ReadPoint
}

/**
 * A count, and how far the projection had come.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadCount {
  readonly count: number
  readonly point: ReadPoint
}

/**
 * What the database knows of a table.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableShape {
  readonly columns: ReadonlyArray<{ readonly name: string; readonly isRequired: boolean }>
  /** Columns that are unique together and never null: the primary key, else another; empty when there are none. */
  readonly key: ReadonlyArray<string>
}

/**
 * Which changes to read.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChangesQuery {
  readonly source: ReadSource
  /** The place after which the page begins (exclusive); before the first change when absent. */
  readonly after: ChangePlace | undefined
  readonly limit: number
}

/**
 * A place among the changes of a projection.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChangePlace {
  /** Which feed: a reset, or another build, begins another one. */
  readonly feed: string
  /** Number of a commit, from 1; 0 before the first. A reader that saw one never meets a lower one later. */
  readonly change: number
  /** Id of a change of that commit; empty after its last one. */
  readonly id: string
}

/**
 * A page of changes, in the order of their commits.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChangesPage {
  readonly feed: string
  /** Number of the newest commit. */
  readonly newest: number
  /** Changes of commits up to this number are forgotten; 0 when none is. */
  readonly forgotten: number
  readonly changes: ReadonlyArray<StoredChange>
  readonly point: ReadPoint
}

/**
 * A change as it is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredChange {
  /** Number of the commit that made it. */
  readonly change: number
  /** Unique in the commit: 64 hexadecimal digits. */
  readonly id: string
  /** Where the checkpoint stood after its commit. */
  readonly position: Position
  /** Name of the table; `undefined` for a state. */
  readonly table: string | undefined
  /** Key of the state; for a row JSON of its primary key, values as text. */
  readonly key: string
  readonly isRemoval: boolean
}

/**
 * Statements of one transaction.
 *
 * @category models
 * @since 0.1.0
 */
export interface StatementWork {
  readonly statements: ReadonlyArray<SqlStatement>
  readonly lock?: { readonly name: string; readonly wait: boolean } | undefined
  /** How long one of them may take, in milliseconds. */
  readonly statementMillis: number
}

/**
 * Represents a statement about a table that the database refused. Nothing was
 * written.
 *
 * @category errors
 * @since 0.1.0
 */
export class SelectRefused
  extends Schema.TaggedError<SelectRefused>("effect-event-store/store/ReadModelStore/SelectRefused")("SelectRefused", {
    /** Which of the statements, from 0. */
    index: Schema.Int,
    /** SQLSTATE. */
    code: Schema.String,
    /** The database's own sentence, without the values. */
    detail: Schema.String
  })
{
  override get message(): string {
    return `${this.detail} (${this.code})`
  }
}
