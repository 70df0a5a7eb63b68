/**
 * Why an embedded PostgreSQL does not open, or no longer answers.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Schema for the causes that a caller may tell apart.
 *
 * **Details**
 *
 * - `NotADirectory`: the path, or a part of it, is a file.
 * - `NotWritable`: the directory cannot be made or written.
 * - `NotEmpty`: the directory holds files of something else.
 * - `OtherVersion`: the data is of another major version of PostgreSQL.
 * - `Damaged`: files of the data are missing.
 * - `NoLock`: the platform or file system has no lock that a crash releases.
 * - `ImageUnusable`: the ready-made cluster cannot be read.
 * - `EngineMissing`: PGlite is not installed, or does not load.
 * - `StartFailed`: PGlite loaded, but did not open the data.
 * - `Broken`: PGlite crashed, and what it held in memory is lost.
 * - `Closed`: the layer's scope has been closed.
 *
 * @category models
 * @since 0.1.0
 */
export const PgliteErrorReason = Schema.Literals([
  "NotADirectory",
  "NotWritable",
  "NotEmpty",
  "OtherVersion",
  "Damaged",
  "NoLock",
  "ImageUnusable",
  "EngineMissing",
  "StartFailed",
  "Broken",
  "Closed"
])

/**
 * Type of {@link PgliteErrorReason}.
 *
 * @category models
 * @since 0.1.0
 */
export type PgliteErrorReason = typeof PgliteErrorReason.Type

/**
 * Represents an embedded PostgreSQL that cannot be used. Its message has three
 * lines: what does not work, why, and what to do about it.
 *
 * @category errors
 * @since 0.1.0
 */
export class PgliteError extends Schema.TaggedError<PgliteError>("effect-event-store/pglite/PgliteError")(
  "PgliteError",
  {
    reason: PgliteErrorReason,
    directory: Schema.optional(Schema.String),
    what: Schema.String,
    why: Schema.String,
    fix: Schema.String,
    cause: Schema.optional(Schema.Defect())
  }
) {
  override get message(): string {
    return `${this.what}.\nWhy: ${this.why}.\nFix: ${this.fix}.`
  }
}

/**
 * Represents a data directory that is open already, in this process or in
 * another one. Two openers would destroy each other's data, so the second is
 * refused; the lock is released when its holder closes it or dies.
 *
 * @category errors
 * @since 0.1.0
 */
export class DataDirectoryLocked
  extends Schema.TaggedError<DataDirectoryLocked>("effect-event-store/pglite/PgliteError/DataDirectoryLocked")(
    "DataDirectoryLocked",
    {
      directory: Schema.String,
      /** The holder's process id; unknown when it has just started or ended. */
      pid: Schema.UndefinedOr(Schema.Int)
    }
  )
{
  override get message(): string {
    const holder = this.pid === undefined ? "another process" : `process ${this.pid}`
    return `The data directory ${this.directory} is in use.\nWhy: ${holder} has it open.\n` +
      "Fix: stop that process, or use another directory."
  }
}
