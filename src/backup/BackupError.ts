/**
 * What a backup can answer instead of its rows.
 *
 * **Details**
 *
 * Every error names the file, and as far as it can be told the byte or the
 * position in the log. None holds data of an event.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Represents a file of a backup that is not what was written: damaged, cut
 * short, missing, or another file under its name.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupCorrupt
  extends Schema.TaggedError<BackupCorrupt>("effect-event-store/backup/BackupError/BackupCorrupt")(
    "BackupCorrupt",
    {
      file: Schema.String,
      /** Byte of the file at which the damaged part begins, from 0. */
      offset: Schema.UndefinedOr(Schema.Int),
      /** Bytes of the part in which the damage is. */
      length: Schema.UndefinedOr(Schema.Int),
      /** Position in the log of the first event of which this file, or the damaged record, would tell. */
      position: Schema.UndefinedOr(Schema.Int),
      detail: Schema.String
    }
  )
{
  override get message(): string {
    const where = this.offset === undefined
      ? ""
      : this.length === undefined
      ? `, byte ${this.offset}`
      : `, bytes ${this.offset} to ${this.offset + this.length - 1}`
    const from = this.position === undefined ? "" : ` (events from position ${this.position} on)`
    return `${this.file}${where}: ${this.detail}${from}`
  }
}

/**
 * Represents a backup in a format that this version does not read: a newer one,
 * an older one, or none at all.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupFormatUnknown
  extends Schema.TaggedError<BackupFormatUnknown>("effect-event-store/backup/BackupError/BackupFormatUnknown")(
    "BackupFormatUnknown",
    {
      file: Schema.String,
      /** Version of the format. */
      found: Schema.Int,
      /** The version that is read. */
      supported: Schema.Int
    }
  )
{
  override get message(): string {
    const age = this.found > this.supported ? "a newer version of effect-event-store wrote it" : "it is too old"
    return `${this.file} is in version ${this.found} of the format, only version ${this.supported} is read: ${age}`
  }
}

/**
 * Represents an encrypted backup whose key was not given.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupKeyMissing
  extends Schema.TaggedError<BackupKeyMissing>("effect-event-store/backup/BackupError/BackupKeyMissing")(
    "BackupKeyMissing",
    { file: Schema.String, keyId: Schema.String }
  )
{
  override get message(): string {
    return `${this.file} is encrypted with the key ${this.keyId}, which was not given`
  }
}

/**
 * Represents a key that is not the one with which the backup was encrypted,
 * though it has its id.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupKeyWrong
  extends Schema.TaggedError<BackupKeyWrong>("effect-event-store/backup/BackupError/BackupKeyWrong")(
    "BackupKeyWrong",
    { file: Schema.String, keyId: Schema.String }
  )
{
  override get message(): string {
    return `${this.file} was encrypted with another key than the one that was given as ${this.keyId}`
  }
}

/**
 * Represents a key that cannot be used: it has another size, is of another
 * kind, or its id is no name. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupKeyInvalid
  extends Schema.TaggedError<BackupKeyInvalid>("effect-event-store/backup/BackupError/BackupKeyInvalid")(
    "BackupKeyInvalid",
    { keyId: Schema.String, detail: Schema.String }
  )
{
  override get message(): string {
    return `The key ${this.keyId} cannot be used: ${this.detail}`
  }
}

/**
 * Represents a manifest that is not signed although it must be, or whose
 * signature is not by the key that it names.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupSignatureInvalid
  extends Schema.TaggedError<BackupSignatureInvalid>("effect-event-store/backup/BackupError/BackupSignatureInvalid")(
    "BackupSignatureInvalid",
    {
      file: Schema.String,
      /** The key that the manifest names; `undefined` when it is not signed. */
      keyId: Schema.UndefinedOr(Schema.String),
      detail: Schema.String
    }
  )
{
  override get message(): string {
    return `${this.file}: ${this.detail}`
  }
}

/**
 * Represents an incremental backup that does not go on where its parent ends:
 * the parent is missing, is another one, or is of another history.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupChainBroken
  extends Schema.TaggedError<BackupChainBroken>("effect-event-store/backup/BackupError/BackupChainBroken")(
    "BackupChainBroken",
    {
      /** The backup that cannot be used. */
      id: Schema.String,
      /** The backup that it builds on. */
      parentId: Schema.String,
      detail: Schema.String
    }
  )
{
  override get message(): string {
    return `Backup ${this.id} cannot build on ${this.parentId}: ${this.detail}`
  }
}

/**
 * Represents a backup that is not there: its name is wrong, or it was never
 * finished.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupNotFound
  extends Schema.TaggedError<BackupNotFound>("effect-event-store/backup/BackupError/BackupNotFound")(
    "BackupNotFound",
    { id: Schema.String, location: Schema.String }
  )
{
  override get message(): string {
    return `There is no backup ${this.id} in ${this.location}`
  }
}

/**
 * Represents a backup that is not removed because others build on it.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupInUse extends Schema.TaggedError<BackupInUse>("effect-event-store/backup/BackupError/BackupInUse")(
  "BackupInUse",
  { id: Schema.String, children: Schema.Array(Schema.String) }
) {
  override get message(): string {
    return `Backup ${this.id} is needed by ${this.children.join(", ")}: remove them first`
  }
}

/**
 * Represents a backup that is not removed because a store reads its archived
 * months from it: their data stand nowhere else.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupArchived
  extends Schema.TaggedError<BackupArchived>("effect-event-store/backup/BackupError/BackupArchived")(
    "BackupArchived",
    {
      id: Schema.String,
      /** The mark, which goes when the months were brought back. */
      file: Schema.String
    }
  )
{
  override get message(): string {
    return `Backup ${this.id} is kept: archived months of a store stand in it (${this.file})`
  }
}

/**
 * Schema for why a place for backups did not do what it was asked.
 *
 * **Details**
 *
 * `DriverMissing`: the package that speaks to the place is not installed;
 * `detail` has the command that installs it.
 *
 * @category models
 * @since 0.1.0
 */
export const BackupStorageReason = Schema.Literals([
  "NotFound",
  "AlreadyExists",
  "NoSpace",
  "AccessDenied",
  "Unavailable",
  "InvalidName",
  "TooLarge",
  "DriverMissing",
  "Failed"
])

/**
 * Type of {@link BackupStorageReason}.
 *
 * @category models
 * @since 0.1.0
 */
export type BackupStorageReason = typeof BackupStorageReason.Type

/**
 * Represents a failure of the place in which backups are kept.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackupStorageError
  extends Schema.TaggedError<BackupStorageError>("effect-event-store/backup/BackupError/BackupStorageError")(
    "BackupStorageError",
    {
      operation: Schema.Literals(["open", "put", "get", "stat", "list", "remove", "sweep"]),
      /** The place: a directory, or `s3://BUCKET/PREFIX`. */
      location: Schema.String,
      /** The file; empty when the operation is about none. */
      name: Schema.String,
      reason: BackupStorageReason,
      detail: Schema.String,
      cause: Schema.optionalKey(Schema.Defect())
    }
  )
{
  override get message(): string {
    const file = this.name === "" ? "" : ` ${this.name}`
    return `Cannot ${this.operation}${file} in ${this.location}: ${this.detail} (${this.reason})`
  }

  /** Whether the same call may succeed later, without any change. */
  get isRetryable(): boolean {
    return this.reason === "Unavailable"
  }
}

/**
 * What can be wrong with a backup itself.
 *
 * @category errors
 * @since 0.1.0
 */
export type BackupFault =
  | BackupCorrupt
  | BackupFormatUnknown
  | BackupKeyMissing
  | BackupKeyWrong
  | BackupKeyInvalid
  | BackupSignatureInvalid
  | BackupChainBroken
  | BackupNotFound

/**
 * Everything that reading a backup can answer instead of its rows.
 *
 * @category errors
 * @since 0.1.0
 */
export type BackupReadError = BackupFault | BackupStorageError
