/**
 * What a copy of a store says of itself.
 *
 * @since 0.1.0
 */
import type { Position } from "../event/Revision.ts"
import type { EventNotCopied } from "./CopyError.ts"

/**
 * How far a copy has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface CopyProgress {
  /** `verify` reads the target again. */
  readonly phase: "copy" | "verify"
  /** Position in the log that is read … */
  readonly position: number
  /** … and where it ends. */
  readonly head: number
  readonly copied: number
  readonly present: number
}

/**
 * What a copy did.
 *
 * @category models
 * @since 0.1.0
 */
export interface CopyReport {
  /** Events of the streams that are copied. */
  readonly read: number
  /** Events that were appended. */
  readonly copied: number
  /** Events that stood in the target already. */
  readonly present: number
  /** Events that the registry's policy left out. */
  readonly leftOut: number
  /** Last position of the source that was looked at. */
  readonly position: Position
  /** What became of each version of each type, ascending. */
  readonly versions: ReadonlyArray<CopiedVersion>
  /** Of the target's events, whatever their order: 64 hexadecimal digits. */
  readonly digest: string
}

/**
 * What became of the events of a version.
 *
 * @category models
 * @since 0.1.0
 */
export interface CopiedVersion {
  readonly type: string
  /** Version in which they are stored in the source. */
  readonly from: number
  /** Version in which they are stored in the target; `undefined` when they were left out. */
  readonly to: number | undefined
  readonly events: number
}

/**
 * What a copy would do.
 *
 * @category models
 * @since 0.1.0
 */
export interface CopyPlan extends CopyReport {
  /** Events that would be appended. */
  readonly copied: number
  /** Events that cannot be copied. */
  readonly failed: number
  /** The first {@link FAILURES_MAX} of them. */
  readonly failures: ReadonlyArray<EventNotCopied>
}

/**
 * Failures that a plan lists; all are counted.
 *
 * @category constants
 * @since 0.1.0
 */
export const FAILURES_MAX = 1_000
