/**
 * Comparing the tables of two builds of a projection, row by row.
 *
 * @since 0.1.0
 */
import type { Position } from "../event/Revision.ts"
import type { BuildKey } from "./ProjectionKey.ts"

/**
 * Which tables are compared.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableComparison {
  readonly before: BuildKey
  readonly after: BuildKey
  readonly tables: ReadonlyArray<TablePair>
  /** Most differences of a table that are returned. */
  readonly samples: number
}

/**
 * A table of one build, and that of the other, as schema and name.
 *
 * @category models
 * @since 0.1.0
 */
export interface TablePair {
  readonly before: readonly [schema: string, name: string]
  readonly after: readonly [schema: string, name: string]
}

/**
 * What a comparison found, all of it at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface ComparedTables {
  /** The slices of the one build at that moment. */
  readonly before: ReadonlyArray<ComparedSlice>
  readonly after: ReadonlyArray<ComparedSlice>
  /** One for each pair, in their order. */
  readonly tables: ReadonlyArray<TableDifference>
}

/**
 * How far a slice of a build had come.
 *
 * @category models
 * @since 0.1.0
 */
export interface ComparedSlice {
  readonly position: Position
  /** Events that it has seen. */
  readonly count: number
}

/**
 * How two tables differ.
 *
 * **Details**
 *
 * Rows with the same primary key are one row that `changed`, or is the `same`.
 * Tables without a primary key, or with different ones, are compared by whole
 * rows, of which none can have changed. Values are compared as the database
 * writes them, in the columns that both tables have.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableDifference {
  /** Columns of the primary key; none when whole rows are compared. */
  readonly key: ReadonlyArray<string>
  readonly columnsOnlyBefore: ReadonlyArray<string>
  readonly columnsOnlyAfter: ReadonlyArray<string>
  readonly onlyBefore: number
  readonly onlyAfter: number
  readonly changed: number
  readonly same: number
  /** The first differences, by key. */
  readonly samples: ReadonlyArray<RowDifference>
}

/**
 * A row that differs.
 *
 * @category models
 * @since 0.1.0
 */
export interface RowDifference {
  /** What the row is told by: its key as JSON, or empty when whole rows are compared. */
  readonly key: string
  /** JSON; `undefined` when only the other one has it. */
  readonly before: string | undefined
  readonly after: string | undefined
  /** The columns that differ, when both have the row. */
  readonly columns: ReadonlyArray<string>
}
