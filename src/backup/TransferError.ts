/**
 * What the making, restoring and moving of whole stores can answer besides what
 * is wrong with a backup.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Position } from "../event/Revision.ts"

/**
 * Represents an incremental backup of a store whose history is another one than
 * that of the backups: it was restored, or is another store. Nothing was
 * written; make a full one.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupHistoryDiffers
  extends Schema.TaggedError<BackupHistoryDiffers>("effect-event-store/backup/TransferError/BackupHistoryDiffers")(
    "BackupHistoryDiffers",
    {
      /** The newest backup that is there. */
      id: Schema.String,
      /** Its history. */
      expected: Schema.String,
      /** That of the store. */
      actual: Schema.String,
      /** Up to where the two are the same, when the store was restored from that history. */
      restoredUntil: Schema.optional(Position)
    }
  )
{
  override get message(): string {
    return this.restoredUntil !== undefined
      ? `The store was restored from the history of backup ${this.id}, up to position ${this.restoredUntil}, and is history ${this.actual} since: make a full backup`
      : `The store is history ${this.actual}, and backup ${this.id} is of history ${this.expected}: make a full backup`
  }
}

/**
 * Represents a store that has fewer events than the newest backup of the same
 * history: it has lost some. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupAheadOfLog
  extends Schema.TaggedError<BackupAheadOfLog>("effect-event-store/backup/TransferError/BackupAheadOfLog")(
    "BackupAheadOfLog",
    {
      id: Schema.String,
      /** Last position of the backup. */
      until: Position,
      /** Last position of the log. */
      head: Position
    }
  )
{
  override get message(): string {
    return `Backup ${this.id} has events up to position ${this.until}, and the log of the same history ends at ${this.head}: the store has lost events`
  }
}

/**
 * Represents a point to restore to that the backup does not hold: a time before
 * its first event or after its last one, or a position that it has not reached.
 * Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class RestorePointInvalid
  extends Schema.TaggedError<RestorePointInvalid>("effect-event-store/backup/TransferError/RestorePointInvalid")(
    "RestorePointInvalid",
    {
      id: Schema.String,
      /** A position, or a time in ISO 8601. */
      wanted: Schema.String,
      /** The first and the last point that can be restored, of the same kind; `none` when there are no events. */
      first: Schema.String,
      last: Schema.String
    }
  )
{
  override get message(): string {
    return `Backup ${this.id} holds nothing to restore at ${this.wanted}: it reaches from ${this.first} to ${this.last}`
  }
}

/**
 * Represents a copy that was read back and is not what it was made of.
 *
 * @category errors
 * @since 0.1.0
 */
export class CopyDiffers extends Schema.TaggedError<CopyDiffers>("effect-event-store/backup/TransferError/CopyDiffers")(
  "CopyDiffers",
  {
    /** Where the first event stands that differs. */
    position: Position,
    detail: Schema.String
  }
) {
  override get message(): string {
    return `What was read back differs from position ${this.position} on: ${this.detail}`
  }
}
