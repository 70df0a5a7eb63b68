/**
 * Which changes of a projection are kept.
 *
 * @since 0.1.0
 */

/**
 * What a projection keeps of its changes.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChangesPolicy {
  /** For how many positions of the log a change is kept at least, from 1; 100,000 when absent. */
  readonly retain?: number | undefined
}

/**
 * Tells a commit to record which states and rows it changes.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeptChanges {
  /** For how many positions of the log a change is kept at least. */
  readonly retain: number
  /** The tables whose rows matter, once they are made: their names in the feed and in the database. */
  readonly tables: ReadonlyArray<{ readonly name: string; readonly table: TableName }>
}

/**
 * Name of a table, or of a view of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableName {
  readonly schema: string
  readonly name: string
}

/**
 * The positions whose changes a commit may forget: those up to the one that is
 * returned. `undefined` for most commits: once in a tenth of what is kept is enough.
 *
 * @category getters
 * @since 0.1.0
 */
export const forgetUntil = ({ retain }: KeptChanges, from: number, to: number): number | undefined => {
  const step = Math.ceil(retain / FORGET_STEPS)
  return to > retain && Math.floor(from / step) !== Math.floor(to / step) ? to - retain : undefined
}

// internal

const FORGET_STEPS = 10
