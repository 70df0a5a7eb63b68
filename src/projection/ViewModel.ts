/**
 * Materialised views as values, and what is known of one.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type { Position } from "../event/Revision.ts"
import type { SqlStatement } from "../store/CheckpointStore.ts"
import type { TableProjection } from "./Projection.ts"

/**
 * A materialised view: made by `MaterializedView.make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface MaterializedView {
  readonly name: string
  readonly schema: string
  /** The projections whose tables it reads. */
  readonly of: ReadonlyArray<TableProjection>
  readonly query: SqlStatement
  readonly key: ReadonlyArray<string>
  readonly indexes: ReadonlyArray<ViewIndex>
}

/**
 * An index of a materialised view.
 *
 * @category models
 * @since 0.1.0
 */
export interface ViewIndex {
  readonly columns: ReadonlyArray<string>
  readonly unique?: boolean | undefined
}

/**
 * How a view stands.
 *
 * @category models
 * @since 0.1.0
 */
export interface ViewDescription {
  /** Size with its indexes. */
  readonly bytes: number
  /** By the database's clock. */
  readonly refreshedAt: DateTime.Utc
  /** Every matching event up to here is in it. */
  readonly position: Position
  /** Positions that its projections have gone on since. */
  readonly staleBy: number
  /** Whether it is the one that the definition describes; its indexes aside. */
  readonly isCurrent: boolean
  /** Names of its indexes. */
  readonly indexes: ReadonlyArray<string>
}
