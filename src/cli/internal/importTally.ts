/**
 * What an import has done so far.
 *
 * @since 0.1.0
 */

/**
 * How far an import has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface ImportProgress {
  /** Bytes of the input as it came, compressed ones if it was compressed. */
  readonly sizeBytes: number
  /** Lines that are not blank. */
  readonly read: number
  readonly appended: number
  readonly skipped: number
  readonly rejected: number
}

/**
 * What an import did.
 *
 * @category models
 * @since 0.1.0
 */
export interface ImportSummary {
  /** Lines that are not blank. */
  readonly read: number
  readonly appended: number
  /** Lines whose events were in the store already. */
  readonly skipped: number
  readonly rejected: number
  readonly streams: number
  /** Highest position of an event of this input; 0 when there is none. */
  readonly lastPosition: number
}

/**
 * Running sums of one import.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tally {
  sizeBytes: number
  read: number
  appended: number
  skipped: number
  rejected: number
  lastPosition: number
  readonly streams: Set<string>
}

/**
 * Makes an empty {@link Tally}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeTally = (): Tally => ({
  sizeBytes: 0,
  read: 0,
  appended: 0,
  skipped: 0,
  rejected: 0,
  lastPosition: 0,
  streams: new Set()
})

/**
 * The sums as they are now.
 *
 * @category getters
 * @since 0.1.0
 */
export const toProgress = ({ appended, read, rejected, sizeBytes, skipped }: Tally): ImportProgress => ({
  sizeBytes,
  read,
  appended,
  skipped,
  rejected
})

/**
 * The sums at the end.
 *
 * @category getters
 * @since 0.1.0
 */
export const toSummary = ({ appended, lastPosition, read, rejected, skipped, streams }: Tally): ImportSummary => ({
  read,
  appended,
  skipped,
  rejected,
  streams: streams.size,
  lastPosition
})
