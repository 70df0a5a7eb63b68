/**
 * What an event is, before and after it was recorded.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Position, Revision } from "./Revision.ts"
import { StreamId } from "./StreamId.ts"

/**
 * Schema for event ids: UUIDs in lower case.
 *
 * @category schemas
 * @since 0.1.0
 */
export const EventId = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
).pipe(Schema.brand("EventId"))

/**
 * Type of {@link EventId}.
 *
 * @category models
 * @since 0.1.0
 */
export type EventId = typeof EventId.Type

/**
 * An event that a writer asks to record.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProposedEvent {
  /**
   * UUID in any notation; kept in lower case. A new UUIDv7 when absent. An
   * append retried with the same ids has its effect once.
   */
  readonly id?: string | undefined
  /** What happened, in the past tense: 1 to 512 bytes without control characters. */
  readonly type: string
  /** Version of the type's shape, 1 when absent. */
  readonly version?: number | undefined
  /** What is known of it: any JSON value. */
  readonly data: unknown
  /** What is known around it: a JSON object. */
  readonly metadata?: EventMetadata | undefined
  /** Labels for consistency boundaries across streams, `key:value` by convention; a set. */
  readonly tags?: ReadonlyArray<string> | undefined
}

/**
 * What is known around an event. Two names have a meaning of their own, every
 * other is the writer's.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventMetadata {
  /** Id that all events and commands of one conversation share. */
  readonly correlationId?: string | undefined
  /** Id of the event or command that led to this event. */
  readonly causationId?: string | undefined
  readonly [name: string]: unknown
}

/**
 * An event as it was recorded. It never changes.
 *
 * @category models
 * @since 0.1.0
 */
export type RecordedEvent = typeof RecordedEvent.Type

/**
 * Schema for {@link RecordedEvent}: its JSON on one side, the value on the
 * other.
 *
 * **Details**
 *
 * `recordedAt` is the store's clock and never runs against `position`; it is
 * kept in microseconds by PostgreSQL and read in milliseconds. `metadata` is
 * `{}` and `tags` is `[]` when the writer gave none.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RecordedEvent = Schema.Struct({
  position: Position,
  streamId: StreamId,
  revision: Revision,
  id: EventId,
  type: Schema.String,
  version: Schema.Int,
  data: Schema.Json,
  metadata: Schema.JsonObject,
  tags: Schema.Array(Schema.String),
  recordedAt: Schema.DateTimeUtcFromString
})
