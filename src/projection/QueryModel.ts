/**
 * Queries as values: what they read, and what can be asked of them.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Result from "effect/Result"
import type { EventFilter } from "../event/EventQuery.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Position } from "../event/Revision.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import type { TableName } from "../store/KeptChanges.ts"
import type { ReadSource, RowColumn } from "../store/ReadModelStore.ts"
import type { QueryInvalid, ReadTokenInvalid, StaleRead } from "./QueryError.ts"

/**
 * What can be read of a projection: items, found by conditions and sorted by
 * fields. Made by `ProjectionQuery.state` and `ProjectionQuery.table`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Query<out Item, in Condition, in Field, out E> {
  readonly source: Source
  /** What an item is made of, or why it cannot be. */
  readonly decode: (stored: never) => Result.Result<Item, E>
  /** The error that says why nothing can be read. */
  readonly unreadable: (detail: string) => E
  /** For the types only. */
  readonly "~accepts"?: (condition: Condition, field: Field) => void
}

/**
 * Where a query reads.
 *
 * @category models
 * @since 0.1.0
 */
export type Source =
  | (SourceBase & { readonly _tag: "States" })
  | (SourceBase & { readonly _tag: "Rows"; readonly table: TableName; readonly columns: ReadonlyArray<RowColumn> })

/**
 * What all sources share.
 *
 * @category models
 * @since 0.1.0
 */
export interface SourceBase extends ReadSource {
  /** Version of the definition. */
  readonly defined: number
  /** Which events matter: others are not waited for. */
  readonly filter: EventFilter
  /** What makes it impossible to read; `undefined` for most. */
  readonly fault: string | undefined
}

/**
 * Stands for the key of a state, as a field.
 *
 * @category constants
 * @since 0.1.0
 */
export const KEY: StateKey = { _tag: "StateKey" }

/**
 * Type of {@link KEY}: not a name, which a state may have as well.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateKey {
  readonly _tag: "StateKey"
}

/**
 * What a field is compared with: at least one operator, and all that are given
 * must hold.
 *
 * **Details**
 *
 * A comparison with what is null or missing does not hold, nor does one with a
 * value of another JSON type; `ne` and `not` are the exact opposites, so they
 * hold for these. `like` knows `%`, `_` and `\` as SQL does.
 *
 * @category models
 * @since 0.1.0
 */
export interface Comparison<Value> {
  readonly eq?: Value
  readonly ne?: Value
  readonly lt?: Exclude<Value, boolean>
  readonly lte?: Exclude<Value, boolean>
  readonly gt?: Exclude<Value, boolean>
  readonly gte?: Exclude<Value, boolean>
  readonly in?: ReadonlyArray<Value>
  /** Whether it is null or missing. */
  readonly isNull?: boolean
  readonly like?: string
  readonly prefix?: string
}

/**
 * A condition, or several that are joined.
 *
 * @category models
 * @since 0.1.0
 */
export type Where<Condition> =
  | Condition
  | { readonly and: ReadonlyArray<Where<Condition>> }
  | { readonly or: ReadonlyArray<Where<Condition>> }
  | { readonly not: Where<Condition> }

/**
 * A value of JSON that can be compared.
 *
 * @category models
 * @since 0.1.0
 */
export type JsonScalar = string | number | boolean

/**
 * A field of a state: its key, a name at the top of its JSON, or a path into it
 * (`["address", "city"]`, `["lines", 0, "sku"]`; `[]` is the state itself).
 *
 * @category models
 * @since 0.1.0
 */
export type StateField<State> = StateKey | NameOf<State> | ReadonlyArray<string | number>

/**
 * A condition on a state. Values are those of its JSON: a date is the string
 * that the schema writes.
 *
 * @category models
 * @since 0.1.0
 */
export type StateCondition<State> =
  | ({ readonly field: StateKey } & Comparison<string>)
  | ({ readonly field: ReadonlyArray<string | number> } & Comparison<JsonScalar>)
  | ConditionOf<{ readonly [Name in NameOf<State>]: ScalarOf<State[Name]> }>

/**
 * A condition on a row. Values are those of the row schema's encoded side.
 *
 * @category models
 * @since 0.1.0
 */
export type RowCondition<Row> = ConditionOf<{ readonly [Name in NameOf<Row>]: Exclude<Row[Name], null | undefined> }>

/**
 * A condition on one of some fields.
 *
 * @category models
 * @since 0.1.0
 */
export type ConditionOf<Values> = {
  readonly [Name in keyof Values]: { readonly field: Name } & Comparison<Values[Name]>
}[keyof Values]

/**
 * Names of the fields of an object.
 *
 * @category models
 * @since 0.1.0
 */
export type NameOf<A> = A extends unknown ? Extract<keyof A, string> : never

/**
 * What a value may be in JSON, if it is one that can be compared.
 *
 * @category models
 * @since 0.1.0
 */
export type ScalarOf<A> = [Extract<A, JsonScalar>] extends [never] ? JsonScalar : Extract<A, JsonScalar>

/**
 * Which items.
 *
 * @category models
 * @since 0.1.0
 */
export interface FindOptions<Condition> {
  /** All of them when absent. */
  readonly where?: Where<Condition> | undefined
}

/**
 * Which page of the items, and in which order.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListOptions<Condition, Field> extends FindOptions<Condition> {
  /** At most 8 fields, then the key; by key when absent. */
  readonly sort?: ReadonlyArray<{ readonly field: Field; readonly descending?: boolean | undefined }> | undefined
  /** Most items of the page, 1 to 1,000; 100 when absent. */
  readonly limit?: number | undefined
  /** `next` of the page before, with the same filter and order. */
  readonly cursor?: string | undefined
}

/**
 * Waits first, until what was written before can be read.
 *
 * @category models
 * @since 0.1.0
 */
export interface WaitOptions {
  /** A `ReadToken`. */
  readonly after: string | undefined
  /** How long to wait; 5 seconds when absent. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * A page of items.
 *
 * @category models
 * @since 0.1.0
 */
export interface Page<out Item> {
  readonly items: ReadonlyArray<Item>
  /** Cursor of the next page; `undefined` after the last one. */
  readonly next: string | undefined
  /** How far the projection had come: every matching event up to here is in the page. */
  readonly position: Position
}

/**
 * Everything that asking can answer besides what the query says.
 *
 * @category errors
 * @since 0.1.0
 */
export type AskError = QueryInvalid | InvalidInput | StorageError

/**
 * What waiting can answer.
 *
 * @category errors
 * @since 0.1.0
 */
export type WaitError = StaleRead | ReadTokenInvalid
