/**
 * Why a copy of a store stops.
 *
 * **Details**
 *
 * No error holds data of an event. Whatever was copied before stays in the
 * target, and the next copy goes on there.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { EventId, type RecordedEvent } from "../event/Event.ts"
import { Position, Revision } from "../event/Revision.ts"
import { StreamId } from "../event/StreamId.ts"
import type { StreamChangeError } from "../store/EventStore.ts"
import type { AppendError, ReadError } from "../store/EventStoreError.ts"
import type { DecodeError, EncodeError } from "../version/VersionError.ts"

/**
 * Represents a copy of a store into itself.
 *
 * @category errors
 * @since 0.1.0
 */
export class SameStore extends Schema.TaggedError<SameStore>("effect-event-store/migration/CopyError/SameStore")(
  "SameStore",
  { incarnation: Schema.String }
) {
  override get message(): string {
    return `Source and target are the same store, with the incarnation ${this.incarnation}`
  }
}

/**
 * Represents a target that holds something, although the copy was to begin anew.
 *
 * @category errors
 * @since 0.1.0
 */
export class TargetNotEmpty
  extends Schema.TaggedError<TargetNotEmpty>("effect-event-store/migration/CopyError/TargetNotEmpty")(
    "TargetNotEmpty",
    { position: Position }
  )
{
  override get message(): string {
    return `The target is not empty: its log has come to position ${this.position}`
  }
}

/**
 * Represents a target that holds an event which the copy would not have put
 * there: another one's, or an event of the source in another shape or place.
 *
 * @category errors
 * @since 0.1.0
 */
export class TargetDiffers
  extends Schema.TaggedError<TargetDiffers>("effect-event-store/migration/CopyError/TargetDiffers")("TargetDiffers", {
    /** Place in the target. */
    position: Position,
    id: EventId,
    /** Place in the source of the event that belongs there; `undefined` when the source has no more. */
    sourcePosition: Schema.UndefinedOr(Position),
    detail: Schema.String
  })
{
  override get message(): string {
    return `The target's event at position ${this.position} is not the copy's: ${this.detail}`
  }
}

/**
 * Represents an event that cannot be copied: it does not decode, or what became
 * of it cannot be stored.
 *
 * @category errors
 * @since 0.1.0
 */
export class EventNotCopied
  extends Schema.TaggedError<EventNotCopied>("effect-event-store/migration/CopyError/EventNotCopied")(
    "EventNotCopied",
    {
      /** Place in the source. */
      position: Position,
      streamId: StreamId,
      revision: Revision,
      type: Schema.String,
      /** Version in which it is stored. */
      version: Schema.Int,
      /** Where in the event: `data.lines[0].qty`. */
      path: Schema.String,
      reason: Schema.String
    }
  )
{
  override get message(): string {
    return `${this.type}, version ${this.version} at revision ${this.revision} of stream ${this.streamId} ` +
      `cannot be copied: ${this.path}: ${this.reason}`
  }
}

/**
 * Represents a finished copy whose target, when it was read again, was not what
 * was sent: somebody else wrote to it.
 *
 * @category errors
 * @since 0.1.0
 */
export class CopyUnequal
  extends Schema.TaggedError<CopyUnequal>("effect-event-store/migration/CopyError/CopyUnequal")("CopyUnequal", {
    /** The first of them, in words. */
    differences: Schema.Array(Schema.String)
  })
{
  override get message(): string {
    return `The target is not an image of the source: ${this.differences.join("; ")}`
  }
}

/**
 * Everything that a copy can answer instead of a report.
 *
 * @category errors
 * @since 0.1.0
 */
export type CopyError =
  | SameStore
  | TargetNotEmpty
  | TargetDiffers
  | EventNotCopied
  | CopyUnequal
  | AppendError
  | ReadError
  | StreamChangeError

/**
 * Says where an event does not fit its type and why, without its data.
 *
 * @category converting
 * @since 0.1.0
 */
export const explain = (error: DecodeError | EncodeError): Pick<EventNotCopied, "path" | "reason"> => {
  switch (error._tag) {
    case "EventDataInvalid":
      return { path: error.path, reason: error.reason }
    case "UpcastFailed":
    case "DowncastFailed":
      return { path: error.path, reason: `the step from version ${error.from} to ${error.to} failed: ${error.reason}` }
    case "EventUnknown":
      return error.newest === undefined
        ? { path: "type", reason: "the registry has no such type" }
        : { path: "version", reason: `the registry knows versions up to ${error.newest}` }
  }
}

/**
 * Makes the error of an event.
 *
 * @category constructors
 * @since 0.1.0
 */
export const notCopied = (
  { position, revision, streamId, type, version }: RecordedEvent,
  fault: Pick<EventNotCopied, "path" | "reason">
): EventNotCopied => new EventNotCopied({ position, revision, streamId, type, version, ...fault })
