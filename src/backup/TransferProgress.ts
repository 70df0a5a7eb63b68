/**
 * How far a backup, a restore or a move has come.
 *
 * @since 0.1.0
 */

/**
 * How far it has come; told after every page.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransferProgress {
  /** `events` are read and written; then the `rest`; `verify` reads all of it again. */
  readonly phase: "events" | "rest" | "verify"
  /** Events of this phase so far, and how many there are; a store that grows meanwhile has more. */
  readonly events: number
  readonly eventsTotal: number
  /** Position of the last of them. */
  readonly position: number
  /** Characters of their JSON. */
  readonly bytes: number
  readonly elapsedMillis: number
  readonly eventsPerSecond: number
  /** How long the phase is likely to last from now on; `undefined` when nobody can tell. */
  readonly remainingMillis: number | undefined
}

/**
 * Told how far something has come.
 *
 * @category models
 * @since 0.1.0
 */
export type OnProgress = (progress: TransferProgress) => void
