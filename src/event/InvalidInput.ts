/**
 * The one error for input that no storage would ever be asked about.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Schema for why an input was refused.
 *
 * @category models
 * @since 0.1.0
 */
export const InvalidInputReason = Schema.Literals([
  "InvalidIdentifier",
  "InvalidRevision",
  "InvalidPosition",
  "InvalidVersion",
  "InvalidQuery",
  "InvalidCursor",
  "InvalidTime",
  "NotJson",
  "CyclicPayload",
  "IllFormedUnicode",
  "NumberOutOfRange",
  "TooDeep",
  "TooManyValues",
  "EventTooLarge",
  "EmptyBatch",
  "BatchTooLarge",
  "DuplicateId",
  "DuplicateStream",
  "InvalidLimit"
])

/**
 * Type of {@link InvalidInputReason}.
 *
 * @category models
 * @since 0.1.0
 */
export type InvalidInputReason = typeof InvalidInputReason.Type

/**
 * Represents input that breaks a rule or a limit. Nothing was sent to the
 * storage, so nothing was written.
 *
 * **Details**
 *
 * `path` leads to the value, from the options of the call: `events[3].data.lines[0].qty`.
 * The value itself is never in the error: it may be personal data.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidInput extends Schema.TaggedError<InvalidInput>("effect-event-store/event/InvalidInput")(
  "InvalidInput",
  {
    reason: InvalidInputReason,
    path: Schema.String,
    detail: Schema.String
  }
) {
  override get message(): string {
    return `${this.path}: ${this.detail} (${this.reason})`
  }
}
