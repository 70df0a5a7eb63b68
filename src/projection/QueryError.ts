/**
 * What reading a read model can answer instead of what was asked for.
 *
 * **Details**
 *
 * No error holds a value that was compared, or data of a row.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Position } from "../event/Revision.ts"

/**
 * Represents a query that cannot be asked. Nothing was read; what only the
 * database can tell, as that a value does not fit its column, it was asked for.
 *
 * @category errors
 * @since 0.1.0
 */
export class QueryInvalid
  extends Schema.TaggedError<QueryInvalid>("effect-event-store/projection/QueryError/QueryInvalid")("QueryInvalid", {
    /** Name of the projection. */
    name: Schema.String,
    /** Leads to the fault from the options of the call: `where.and[1].gte`. */
    path: Schema.String,
    detail: Schema.String
  })
{
  override get message(): string {
    return `The query of projection ${this.name} cannot be asked: ${this.path}: ${this.detail}`
  }
}

/**
 * Represents a cursor that was changed on its way, or that belongs to another
 * query. Nothing was read.
 *
 * @category errors
 * @since 0.1.0
 */
export class CursorInvalid
  extends Schema.TaggedError<CursorInvalid>("effect-event-store/projection/QueryError/CursorInvalid")("CursorInvalid", {
    /** Name of the projection. */
    name: Schema.String,
    detail: Schema.String
  })
{
  override get message(): string {
    return `The cursor is none of this query of projection ${this.name}: ${this.detail}`
  }
}

/**
 * Represents more than one result where one was asked for.
 *
 * @category errors
 * @since 0.1.0
 */
export class ManyFound
  extends Schema.TaggedError<ManyFound>("effect-event-store/projection/QueryError/ManyFound")("ManyFound", {
    name: Schema.String
  })
{
  override get message(): string {
    return `More than one state or row of projection ${this.name} passes the filter`
  }
}

/**
 * Represents a table that cannot be read as it was asked for: it was not made
 * yet, lacks a column, or may not be read.
 *
 * @category errors
 * @since 0.1.0
 */
export class TableUnreadable
  extends Schema.TaggedError<TableUnreadable>("effect-event-store/projection/QueryError/TableUnreadable")(
    "TableUnreadable",
    { name: Schema.String, table: Schema.String, detail: Schema.String }
  )
{
  override get message(): string {
    return `The table ${this.table} of projection ${this.name} cannot be read: ${this.detail}`
  }
}

/**
 * Represents a row that does not fit its schema.
 *
 * @category errors
 * @since 0.1.0
 */
export class RowUnreadable
  extends Schema.TaggedError<RowUnreadable>("effect-event-store/projection/QueryError/RowUnreadable")("RowUnreadable", {
    name: Schema.String,
    table: Schema.String,
    detail: Schema.String
  })
{
  override get message(): string {
    return `A row of table ${this.table} of projection ${this.name} breaks its schema: ${this.detail}`
  }
}

/**
 * Represents a read model that has not come as far as was asked, in the time
 * allowed.
 *
 * @category errors
 * @since 0.1.0
 */
export class StaleRead
  extends Schema.TaggedError<StaleRead>("effect-event-store/projection/QueryError/StaleRead")("StaleRead", {
    name: Schema.String,
    version: Schema.Int,
    wanted: Position,
    reached: Position
  })
{
  override get message(): string {
    return `The projection ${this.name}, version ${this.version}, is at position ${this.reached}, not yet at ${this.wanted}`
  }
}

/**
 * Represents a token that cannot be waited for: it is none, or it is of another
 * history than the log (`OtherHistory`), or of what a restore did not bring back
 * (`RestoredBefore`), or of a place that the log has not reached.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReadTokenInvalid
  extends Schema.TaggedError<ReadTokenInvalid>("effect-event-store/projection/QueryError/ReadTokenInvalid")(
    "ReadTokenInvalid",
    {
      reason: Schema.Literals(["Malformed", "OtherHistory", "RestoredBefore", "AheadOfLog"]),
      /** Up to where the log is the one of the token, from which it was restored; for `RestoredBefore`. */
      restoredUntil: Schema.optional(Position)
    }
  )
{
  override get message(): string {
    switch (this.reason) {
      case "Malformed":
        return "This is no read token"
      case "OtherHistory":
        return "The read token is of another history, that of another store, or of one that was restored or cloned more than once"
      case "RestoredBefore":
        return `The read token is of the history that this store was restored from up to position ${this.restoredUntil}, and of a position after that: what was written there is gone, so read without it and look what is there`
      case "AheadOfLog":
        return "The read token is of a position that the log has not reached"
    }
  }
}

/**
 * Represents a projection that keeps no changes.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChangesNotKept
  extends Schema.TaggedError<ChangesNotKept>("effect-event-store/projection/QueryError/ChangesNotKept")(
    "ChangesNotKept",
    { name: Schema.String }
  )
{
  override get message(): string {
    return `The projection ${this.name} keeps no changes: define it with \`changes\`, in another version`
  }
}

/**
 * Represents a token of changes that are forgotten, or of what was reset or
 * built anew since. Read the whole, and follow from a new token.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChangesExpired
  extends Schema.TaggedError<ChangesExpired>("effect-event-store/projection/QueryError/ChangesExpired")(
    "ChangesExpired",
    { name: Schema.String }
  )
{
  override get message(): string {
    return `The changes of projection ${this.name} since this token are not kept any more`
  }
}

/**
 * Represents a token of changes that was made by nobody, or for another
 * projection.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChangesTokenInvalid
  extends Schema.TaggedError<ChangesTokenInvalid>("effect-event-store/projection/QueryError/ChangesTokenInvalid")(
    "ChangesTokenInvalid",
    { name: Schema.String }
  )
{
  override get message(): string {
    return `This is no token of the changes of projection ${this.name}`
  }
}
