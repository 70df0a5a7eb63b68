/**
 * What a store can answer instead of yes.
 *
 * **Details**
 *
 * Outcomes that a caller decides about are errors of their own, named by their
 * state. What breaks beneath the contract is one `StorageError` with a reason.
 * No error holds data or metadata of an event: they may be personal.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { EventId } from "../event/Event.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { Position, Revision } from "../event/Revision.ts"
import { StreamId } from "../event/StreamId.ts"

/**
 * Schema for a claim as errors carry it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ExpectedRevision = Schema.Union([Schema.Literals(["any", "noStream", "streamExists"]), Schema.Int])

/**
 * Represents an append whose claim about a stream did not hold. Nothing was
 * written; read again and decide anew.
 *
 * @category errors
 * @since 0.1.0
 */
export class RevisionConflict
  extends Schema.TaggedError<RevisionConflict>("effect-event-store/store/EventStoreError/RevisionConflict")(
    "RevisionConflict",
    {
      streamId: StreamId,
      expected: ExpectedRevision,
      /** Last revision of the stream, `undefined` when it has no events. */
      actual: Schema.UndefinedOr(Revision)
    }
  )
{
  override get message(): string {
    const actual = this.actual === undefined ? "has no events" : `is at revision ${this.actual}`
    return `Stream ${this.streamId} ${actual}, but the append expected ${describeExpected(this.expected)}`
  }
}

/**
 * Represents an append whose condition on the log did not hold: a matching
 * event stands at `position`. Nothing was written; read again and decide anew.
 *
 * @category errors
 * @since 0.1.0
 */
export class AppendConditionFailed
  extends Schema.TaggedError<AppendConditionFailed>("effect-event-store/store/EventStoreError/AppendConditionFailed")(
    "AppendConditionFailed",
    {
      after: Position,
      /** Place of a matching event after `after`; not always the first one. */
      position: Position
    }
  )
{
  override get message(): string {
    return `An event at position ${this.position} matches the condition, which allowed none after ${this.after}`
  }
}

/**
 * Represents an append that uses an event id again for something else: other
 * content, another stream, another order, or only some of the ids. Nothing was
 * written.
 *
 * @category errors
 * @since 0.1.0
 */
export class IdempotencyConflict
  extends Schema.TaggedError<IdempotencyConflict>("effect-event-store/store/EventStoreError/IdempotencyConflict")(
    "IdempotencyConflict",
    {
      streamId: StreamId,
      /** An id that is recorded already. */
      id: EventId,
      /** Where it is recorded. */
      position: Position
    }
  )
{
  override get message(): string {
    return `Event id ${this.id} is recorded already at position ${this.position}, and not as the same append to ${this.streamId}`
  }
}

/**
 * Represents an append to, or a read of, a stream that was ended for good.
 * Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class StreamTombstoned
  extends Schema.TaggedError<StreamTombstoned>("effect-event-store/store/EventStoreError/StreamTombstoned")(
    "StreamTombstoned",
    { streamId: StreamId }
  )
{
  override get message(): string {
    return `Stream ${this.streamId} was tombstoned: it takes no more events and cannot be read by name`
  }
}

/**
 * Represents an append of which nobody knows whether it was recorded: the
 * connection was lost after it was sent, and looking the ids up did not succeed
 * within the time allowed.
 *
 * **Details**
 *
 * Append the same events with the same ids again: the answer is then the
 * original result, or the append happens now. It never happens twice.
 *
 * @category errors
 * @since 0.1.0
 */
export class AppendOutcomeUnknown
  extends Schema.TaggedError<AppendOutcomeUnknown>("effect-event-store/store/EventStoreError/AppendOutcomeUnknown")(
    "AppendOutcomeUnknown",
    {
      streamIds: Schema.Array(StreamId),
      ids: Schema.Array(EventId),
      cause: Schema.Defect()
    }
  )
{
  override get message(): string {
    return `Nobody knows whether the append of ${this.ids.length} event(s) to ${
      this.streamIds.join(", ")
    } was recorded; append the same ids again to find out`
  }
}

/**
 * Represents a position that the log has not reached: it is of another store,
 * or of a history that was restored to an earlier point. Reading on from there
 * would skip events in silence, and a condition after it would always hold.
 * Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class PositionAheadOfLog
  extends Schema.TaggedError<PositionAheadOfLog>("effect-event-store/store/EventStoreError/PositionAheadOfLog")(
    "PositionAheadOfLog",
    { position: Position, head: Position }
  )
{
  override get message(): string {
    return `Position ${this.position} is ahead of the log, whose last position is ${this.head}`
  }
}

/**
 * Reason: the storage cannot be reached, or went away and did not come back in
 * time. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unavailable
  extends Schema.TaggedError<Unavailable>("effect-event-store/store/EventStoreError/Unavailable")("Unavailable", {
    detail: Schema.String,
    cause: Schema.optionalKey(Schema.Defect())
  })
{
  readonly isRetryable = true
}

/**
 * Reason: another process held the append lock for longer than the lock
 * timeout. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class AppendBusy
  extends Schema.TaggedError<AppendBusy>("effect-event-store/store/EventStoreError/AppendBusy")("AppendBusy", {
    detail: Schema.String
  })
{
  readonly isRetryable = true
}

/**
 * Reason: the storage refuses: wrong password, missing right, read-only, disk
 * full. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class Refused
  extends Schema.TaggedError<Refused>("effect-event-store/store/EventStoreError/Refused")("Refused", {
    /** SQLSTATE, where the storage has one. */
    code: Schema.optionalKey(Schema.String),
    detail: Schema.String,
    cause: Schema.optionalKey(Schema.Defect())
  })
{
  readonly isRetryable = false
}

/**
 * SQLSTATEs of a server that takes no writes for a while, whatever is written:
 * read-only after a failover, disk full, out of memory.
 *
 * @category constants
 * @since 0.1.0
 */
export const NO_WRITES: ReadonlySet<string> = new Set(["25006", "53100", "53200"])

/**
 * Reason: the storage has no schema, or that of another version.
 *
 * @category errors
 * @since 0.1.0
 */
export class SchemaMismatch
  extends Schema.TaggedError<SchemaMismatch>("effect-event-store/store/EventStoreError/SchemaMismatch")(
    "SchemaMismatch",
    { detail: Schema.String }
  )
{
  readonly isRetryable = false
}

/**
 * Reason: the storage answered what it can never answer. After an append the
 * events may be recorded.
 *
 * @category errors
 * @since 0.1.0
 */
export class Corrupt
  extends Schema.TaggedError<Corrupt>("effect-event-store/store/EventStoreError/Corrupt")("Corrupt", {
    detail: Schema.String,
    cause: Schema.optionalKey(Schema.Defect())
  })
{
  readonly isRetryable = false
}

/**
 * Reason: an inline projection cannot apply an event, so the append that brings
 * it is refused: that event is one of its own, or one that was recorded before
 * by a writer that does not know the projection. Nothing was written.
 *
 * **Details**
 *
 * What the reasons in `why` mean stands at `EventFailed` of projections;
 * `StateUnreadable` is a stored state that breaks its schema.
 *
 * @category errors
 * @since 0.1.0
 */
export class InlineFailed
  extends Schema.TaggedError<InlineFailed>("effect-event-store/store/EventStoreError/InlineFailed")("InlineFailed", {
    /** Of the projection. */
    name: Schema.String,
    version: Schema.Int,
    /** The event. */
    id: EventId,
    type: Schema.String,
    streamId: StreamId,
    revision: Revision,
    why: Schema.Literals([
      "Undecodable",
      "HandlerThrew",
      "StateInvalid",
      "StateUnreadable",
      "StatementFailed",
      "CommitRefused"
    ]),
    detail: Schema.String
  })
{
  readonly isRetryable = false
}

/**
 * Reason: an inline projection has not seen the log up to the append, by more
 * than an append makes up for. Nothing was written. `ProjectionRunner.runOnce`
 * catches it up; then the same append succeeds.
 *
 * @category errors
 * @since 0.1.0
 */
export class InlineBehind
  extends Schema.TaggedError<InlineBehind>("effect-event-store/store/EventStoreError/InlineBehind")("InlineBehind", {
    name: Schema.String,
    version: Schema.Int,
    /** How far the projection has come. */
    position: Position,
    /** Last position of the log before the append. */
    head: Position,
    detail: Schema.String
  })
{
  readonly isRetryable = true
}

/**
 * Reason: the store is being restored, or a restore was broken off. Nothing was
 * written, and nothing can be read before the restore is finished or abandoned.
 *
 * @category errors
 * @since 0.1.0
 */
export class Restoring
  extends Schema.TaggedError<Restoring>("effect-event-store/store/EventStoreError/Restoring")("Restoring", {
    detail: Schema.String
  })
{
  readonly isRetryable = false
}

/**
 * Reason: data and metadata of the event were moved to a backup, and cannot be
 * read from there: the store was opened without its archive, or a file of the
 * backup is missing or damaged.
 *
 * @category errors
 * @since 0.1.0
 */
export class Archived
  extends Schema.TaggedError<Archived>("effect-event-store/store/EventStoreError/Archived")("Archived", {
    /** First event that could not be read. */
    position: Position,
    /** The backup that has it. */
    backupId: Schema.String,
    /** Last position that was moved with it. */
    until: Position,
    detail: Schema.String,
    cause: Schema.optionalKey(Schema.Defect())
  })
{
  readonly isRetryable = false
}

/**
 * Represents a failure beneath the contract, of any storage.
 *
 * @category errors
 * @since 0.1.0
 */
export class StorageError
  extends Schema.TaggedError<StorageError>("effect-event-store/store/EventStoreError/StorageError")("StorageError", {
    operation: Schema.String,
    reason: Schema.Union([
      Unavailable,
      AppendBusy,
      Refused,
      SchemaMismatch,
      Corrupt,
      InlineFailed,
      InlineBehind,
      Restoring,
      Archived
    ])
  })
{
  override readonly cause = this.reason

  override get message(): string {
    return `${this.operation} failed: ${this.reason._tag}: ${this.reason.detail}`
  }

  /** Whether the same call may succeed later, without any change. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}

/**
 * Makes the failure of an operation on a store that is being restored.
 *
 * @category errors
 * @since 0.1.0
 */
export const storeRestoring = (operation: string): StorageError =>
  new StorageError({
    operation,
    reason: new Restoring({
      detail: "the store is being restored, or a restore was broken off: finish the restore, or abandon it"
    })
  })

/**
 * Everything that an append can answer instead of a result.
 *
 * @category errors
 * @since 0.1.0
 */
export type AppendError =
  | InvalidInput
  | RevisionConflict
  | AppendConditionFailed
  | IdempotencyConflict
  | PositionAheadOfLog
  | StreamTombstoned
  | AppendOutcomeUnknown
  | StorageError

/**
 * Everything that a read of the log can answer instead of events.
 *
 * @category errors
 * @since 0.1.0
 */
export type ReadError = InvalidInput | PositionAheadOfLog | StorageError

// internal

const describeExpected = (expected: typeof ExpectedRevision.Type): string => {
  switch (expected) {
    case "any":
      return "anything"
    case "noStream":
      return "no events"
    case "streamExists":
      return "some events"
    default:
      return `revision ${expected}`
  }
}
