/**
 * What a restore can answer instead of a store.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Position } from "../event/Revision.ts"

/**
 * Represents a restore into a store that has something in it already. Nothing
 * was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class RestoreTargetNotEmpty
  extends Schema.TaggedError<RestoreTargetNotEmpty>("effect-event-store/store/RestoreError/RestoreTargetNotEmpty")(
    "RestoreTargetNotEmpty",
    {
      /** Last position of its log. */
      position: Position,
      detail: Schema.String
    }
  )
{
  override get message(): string {
    return `A restore needs an empty store, and this one has ${this.detail}`
  }
}

/**
 * Represents a restore that another one has taken over, or that was abandoned
 * meanwhile. What it had written is that one's, or gone.
 *
 * @category errors
 * @since 0.1.0
 */
export class RestoreOvertaken
  extends Schema.TaggedError<RestoreOvertaken>("effect-event-store/store/RestoreError/RestoreOvertaken")(
    "RestoreOvertaken",
    {
      /** History that was being restored. */
      source: Schema.String
    }
  )
{
  override get message(): string {
    return `Another restore has taken this one over, or it was abandoned (history ${this.source})`
  }
}

/**
 * Represents a restore whose events are not those that were to be restored. The
 * store is not usable; abandon the restore, and look at where the events came
 * from.
 *
 * @category errors
 * @since 0.1.0
 */
export class RestoreDiffers
  extends Schema.TaggedError<RestoreDiffers>("effect-event-store/store/RestoreError/RestoreDiffers")(
    "RestoreDiffers",
    {
      /** What differs: the events' count or digest, or the revisions of streams. */
      detail: Schema.String,
      expected: Schema.String,
      actual: Schema.String
    }
  )
{
  override get message(): string {
    return `The restored events differ from those to restore: ${this.detail}: expected ${this.expected}, found ${this.actual}`
  }
}
