/**
 * How a projection is run.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { Position } from "../event/Revision.ts"

/**
 * Options of `ProjectionRunner`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunnerOptions {
  /** Most events of a commit, 1 to 10,000; when absent, 4,000 for states, 500 for tables, and 1,000 for the rest. */
  readonly batchEvents?: number | undefined
  /** Most bytes of events of a commit, by an estimate; 4 MiB when absent. */
  readonly batchBytes?: number | undefined
  /**
   * How long a runner that gives no sign keeps the projection; 1.5 seconds when
   * absent. It is renewed three times as often. One that is too short for a busy machine
   * costs moves between runners, never an event.
   */
  readonly lease?: Duration.Input | undefined
  /** How long one statement of a handler may take; 30 seconds when absent. */
  readonly statementTimeout?: Duration.Input | undefined
  /** How long one commit may take; 2 minutes when absent. */
  readonly commitTimeout?: Duration.Input | undefined
  /** How often, and after which pauses, an event that failed is tried again; 3 times in about a second when absent. */
  readonly retry?: Schedule.Schedule<unknown, unknown> | undefined
  /** Name of the runner, unique to it; a new one when absent. */
  readonly owner?: string | undefined
  /** Is told how far a run has come, at most four times a second for each slice, and when it has caught up; the run waits for it. */
  readonly onProgress?: ((progress: ProjectionProgress) => Effect.Effect<void>) | undefined
}

/**
 * How far a run has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionProgress {
  readonly name: string
  readonly version: number
  readonly build: number
  /** 0 when the projection is not divided. */
  readonly slice: number
  /** Every matching event up to here is applied. */
  readonly position: Position
  /** Where the run ends, or the log ends now. */
  readonly head: Position
  /** Events that this run has applied. */
  readonly events: number
  /** Over the last seconds. */
  readonly eventsPerSecond: number
  /** In how many milliseconds it will be at `head`; `undefined` while that is not known. */
  readonly etaMillis: number | undefined
}
