/**
 * The contract of the place that keeps how far each projection has come, and
 * what it has made of it: checkpoint and effects are written together.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { EventId } from "../event/Event.ts"
import type { EventFilter } from "../event/EventQuery.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { Position, type Revision } from "../event/Revision.ts"
import type { StreamId } from "../event/StreamId.ts"
import type { EventDigest } from "./EventDigest.ts"
import type { LogHead } from "./EventStore.ts"
import type { StorageError } from "./EventStoreError.ts"
import type { BuildKey, ProjectionKey, ProjectionVersion } from "./ProjectionKey.ts"
import type { ComparedTables, TableComparison } from "./TableComparison.ts"

export type { BuildKey, ProjectionKey, ProjectionVersion }
import type { KeptChanges } from "./KeptChanges.ts"

/**
 * Service for the checkpoints of the projections of one log.
 *
 * **Details**
 *
 * Invariants: a commit writes the checkpoint and all effects, or nothing; it
 * happens only while the lease that it names is the newest, which is checked
 * inside the transaction that commits; a checkpoint moves from exactly where
 * the commit says it stands.
 *
 * @category services
 * @since 0.1.0
 */
export class CheckpointStore extends Context.Service<CheckpointStore, {
  /** Whether a commit can run SQL statements: the storage is PostgreSQL, or PGlite. */
  readonly hasTables: boolean

  /**
   * Takes the lease of a projection, and registers one that is not known yet.
   *
   * **Details**
   *
   * Every lease has an epoch of its own, greater than all before. `held` when
   * another owner's lease has not run out, by the storage's clock, or when the
   * status of the projection forbids it. A projection whose history has changed
   * is halted, and the failure noted, where its checkpoint stands.
   */
  readonly acquire: (claim: LeaseClaim) => Effect.Effect<
    LeaseAnswer,
    InvalidInput | ProjectionChanged | HistoryChanged | BuildMissing | StorageError
  >

  /** Makes a lease last longer, and tells how the projection stands. */
  readonly renew: (lease: Lease) => Effect.Effect<ProjectionRecord, LeaseLost | StorageError>

  /** Gives a lease back; nothing happens when it is not the newest any more. */
  readonly release: (lease: Lease) => Effect.Effect<void, StorageError>

  /** Writes effects and checkpoint together. Whatever it fails with, nothing was written, unless the connection was lost. */
  readonly commit: (
    lease: Lease,
    commit: ProjectionCommit
  ) => Effect.Effect<void, LeaseLost | HistoryChanged | StatementFailed | StorageError>

  /** Notes a failure of the projection, and halts it when `halt` is true. */
  readonly reportFailure: (lease: Lease, failure: FailureReport) => Effect.Effect<void, LeaseLost | StorageError>

  /**
   * Says that a runner is there, as long as its leases last, and tells how the
   * slices stand that it could run, and how many runners could run them.
   */
  readonly attend: (attendance: Attendance) => Effect.Effect<ReadonlyArray<RollCall>, InvalidInput | StorageError>

  /** Says that a runner is there no longer. */
  readonly leave: (owner: string) => Effect.Effect<void, StorageError>

  /** Describes one projection; one slice of it. */
  readonly find: (key: ProjectionKey) => Effect.Effect<Option.Option<ProjectionRecord>, InvalidInput | StorageError>

  /** Describes all slices of a projection, in their order; none when it is not known. */
  readonly findSlices: (
    key: ProjectionKey
  ) => Effect.Effect<ReadonlyArray<ProjectionRecord>, InvalidInput | StorageError>

  /** Describes all projections, by name, version, build and slice. */
  readonly list: Effect.Effect<ReadonlyArray<ProjectionRecord>, StorageError>

  /** The version of a projection that is live, which is what those see who read it by its name. */
  readonly findLive: (name: string) => Effect.Effect<Option.Option<number>, InvalidInput | StorageError>

  /**
   * Registers one more build of a version, beside the others: nobody reads or
   * runs it who does not name it. Fails with `BuildsExhausted` when there are 32.
   */
  readonly addBuild: (
    version: ProjectionVersion
  ) => Effect.Effect<ProjectionBuild, InvalidInput | BuildsExhausted | StorageError>

  /** Lists the builds of a projection, or of all, by name, version and build. */
  readonly listBuilds: (
    name?: string
  ) => Effect.Effect<ReadonlyArray<ProjectionBuild>, InvalidInput | StorageError>

  /**
   * Makes a build live, and the current one of its version, in one commit with
   * the statements that show it to its readers.
   *
   * **Details**
   *
   * The builds whose places it takes are retired. Whoever runs them loses the
   * lease: the next commit of that one fails.
   */
  readonly makeLive: (
    lease: Lease,
    change: MakeLive
  ) => Effect.Effect<void, LeaseLost | HistoryChanged | BuildBehind | StatementFailed | StorageError>

  /**
   * Removes a build that nobody sees: its states, its parked events, its tables
   * and itself; whoever has its lease loses it.
   *
   * **Details**
   *
   * Tells what it did instead: `live` or `current` builds stay, and so does a
   * `leased` one with `onlyIdle`; `missing` when there is none. Fails when
   * something depends on its tables.
   */
  readonly removeBuild: (
    build: BuildKey,
    options?: { readonly onlyIdle?: boolean | undefined }
  ) => Effect.Effect<BuildRemoval, InvalidInput | StorageError>

  /** Compares the tables of two builds, all of them and both checkpoints at one moment. */
  readonly compareTables: (comparison: TableComparison) => Effect.Effect<ComparedTables, InvalidInput | StorageError>

  /** Says whether a projection shall run, all slices of it unless one is named; false when it is not known. */
  readonly setStatus: (
    key: ProjectionKey,
    status: "running" | "paused"
  ) => Effect.Effect<boolean, InvalidInput | StorageError>

  /** Returns the states of these keys, as JSON; of those that exist. */
  readonly loadStates: (
    key: ProjectionKey,
    keys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, string>, StorageError>

  /** Returns when the states of these keys were changed, in milliseconds since 1970; of those that a commit told it of. */
  readonly stateTimes: (
    lease: Lease,
    keys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, number>, StorageError>

  /** Lists the states that were not changed for the longest time, the oldest first, at most so many. */
  readonly oldestStates: (
    lease: Lease,
    limit: number
  ) => Effect.Effect<ReadonlyArray<{ readonly key: string; readonly time: number }>, StorageError>

  /** Lists states by key, in the order of their bytes. */
  readonly listStates: (
    key: ProjectionKey,
    page?: StatesPage
  ) => Effect.Effect<ReadonlyArray<StoredState>, StorageError>

  /** Lists parked events by position, of all slices unless one is named. */
  readonly listParked: (
    key: ProjectionKey,
    page?: ParkedPage
  ) => Effect.Effect<ReadonlyArray<ParkedEvent>, InvalidInput | StorageError>

  /**
   * Counts and digests the events of the log that pass the filter, after a
   * position (exclusive; the start when absent) and up to another (inclusive).
   */
  readonly digestLog: (
    options: {
      readonly filter: EventFilter | undefined
      readonly after?: Position | undefined
      readonly until: Position
    }
  ) => Effect.Effect<EventDigest, InvalidInput | StorageError>

  /**
   * Counts and digests the events of the log that pass the filter, for each of
   * several slices by stream (`sliceOf`), each up to a position of its own
   * (inclusive).
   */
  readonly digestSlices: (
    options: { readonly filter: EventFilter | undefined; readonly untils: ReadonlyArray<Position> }
  ) => Effect.Effect<ReadonlyArray<EventDigest>, InvalidInput | StorageError>
}>()("effect-event-store/store/CheckpointStore") {}

/**
 * What is known of a build.
 *
 * **Details**
 *
 * `building` is what nobody reads yet. `current` is the one of its version that
 * is run and read, `kept` the one that was so before, `removing` one whose
 * removal was not finished. Of all versions of a name one is live, which is a
 * current one.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionBuild extends BuildKey {
  readonly status: "building" | "current" | "kept" | "removing"
  readonly isLive: boolean
  readonly createdAt: DateTime.Utc
  /** When another one took its place; `undefined` unless one did. */
  readonly retiredAt: DateTime.Utc | undefined
  /** Until when it is kept after that, by the storage's clock. */
  readonly keepUntil: DateTime.Utc | undefined
  /** Whether that time is over. */
  readonly isExpired: boolean
  /** Schema and name of each table that was made for it, as they stand in the database. */
  readonly tables: ReadonlyArray<readonly [schema: string, name: string]>
}

/**
 * What became of a build that was to be removed.
 *
 * @category models
 * @since 0.1.0
 */
export type BuildRemoval = "removed" | "missing" | "live" | "current" | "leased"

/**
 * How far a follower of the log has come, and what it saw on its way.
 *
 * @category models
 * @since 0.1.0
 */
export interface Checkpoint extends EventDigest {
  /** Every matching event up to here was seen; 0 before the first. */
  readonly position: Position
  /** The history that the position is of. */
  readonly incarnation: string
}

/**
 * What is known of a projection.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionRecord extends BuildKey {
  /** Where a reactor began: what stands up to here it never saw; 0 for a projection. */
  readonly start: Position
  /** Which part of it; 0 when it is not divided. */
  readonly slice: number
  /** Whether it is what those see who read the projection by its name. */
  readonly isLive: boolean
  readonly checkpoint: Checkpoint
  /** What it reads and makes, in words; the same for all runs of a version. */
  readonly definition: string
  readonly status: ProjectionStatus
  /** Whether its tables were made. */
  readonly isSetUp: boolean
  /** Who has the lease; `undefined` when it was given back. */
  readonly owner: string | undefined
  /** Epoch of the newest lease, from 1; 0 before the first. */
  readonly epoch: number
  /** When the newest lease runs out, by the storage's clock. */
  readonly leasedUntil: DateTime.Utc | undefined
  readonly parked: number
  /** `undefined` when none was ever reported. */
  readonly failure: FailureRecord | undefined
  /** When the checkpoint last moved. */
  readonly updatedAt: DateTime.Utc
}

/**
 * Whether a projection shall run: `halted` by a failure, until it is started anew.
 *
 * @category models
 * @since 0.1.0
 */
export type ProjectionStatus = "running" | "paused" | "halted"

/**
 * A failure to note.
 *
 * @category models
 * @since 0.1.0
 */
export interface FailureReport {
  readonly message: string
  /** Where the event stands that failed; the checkpoint, when it was none. */
  readonly position: Position
  readonly halt: boolean
}

/**
 * What is known of the failures of a projection.
 *
 * @category models
 * @since 0.1.0
 */
export interface FailureRecord {
  readonly count: number
  readonly firstAt: DateTime.Utc
  readonly lastAt: DateTime.Utc
  /** Of the last one. */
  readonly message: string
  /** Of the last one. */
  readonly position: Position
}

/**
 * What a runner asks for.
 *
 * @category models
 * @since 0.1.0
 */
export interface LeaseClaim extends ProjectionKey {
  readonly definition: string
  /** Unique to the runner, at most 512 bytes: its own lease is no hindrance. */
  readonly owner: string
  /** How long the lease lasts without renewal, in milliseconds. */
  readonly leaseMillis: number
  /** Statuses in which the projection is taken. */
  readonly statuses: ReadonlyArray<ProjectionStatus>
  /** Takes a projection whose definition or history has changed too: to reset it. */
  readonly evenWhenChanged?: boolean | undefined
  /** Takes the lease from another owner too: what that one is about to commit fails. */
  readonly evenWhenHeld?: boolean | undefined
  /** How many slices the projection has; 1 when absent. All of them are registered with the first. */
  readonly slices?: number | undefined
}

/**
 * A runner, and what it could run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attendance {
  /** Unique to the runner, at most 512 bytes. */
  readonly owner: string
  /** How long it counts as there without another word, in milliseconds. */
  readonly leaseMillis: number
  readonly projections: ReadonlyArray<ProjectionKey>
}

/**
 * How a projection stands that a runner could run.
 *
 * @category models
 * @since 0.1.0
 */
export interface RollCall {
  /** How many runners are there that could run it, this one among them. */
  readonly runners: number
  /** Its slices in their order; none when it is not known yet. */
  readonly slices: ReadonlyArray<SliceState>
}

/**
 * How a slice stands.
 *
 * @category models
 * @since 0.1.0
 */
export interface SliceState {
  readonly slice: number
  readonly status: ProjectionStatus
  /** Who has its lease; `undefined` when nobody has, or it ran out. */
  readonly owner: string | undefined
}

/**
 * The answer to a claim.
 *
 * @category models
 * @since 0.1.0
 */
export type LeaseAnswer =
  | { readonly _tag: "Acquired"; readonly lease: Lease; readonly record: ProjectionRecord }
  | { readonly _tag: "Held"; readonly record: ProjectionRecord }

/**
 * The right to run a projection, as long as no newer one was given.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lease extends BuildKey {
  readonly slice: number
  readonly owner: string
  readonly epoch: number
  readonly leaseMillis: number
  readonly incarnation: string
}

/**
 * What is written together.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionCommit {
  /** Where the checkpoint stands before. */
  readonly from: Position
  /** How it stands after. */
  readonly to: Omit<Checkpoint, "incarnation">
  /** Run in their order. */
  readonly statements?: ReadonlyArray<SqlStatement> | undefined
  /** How long one statement may take, in milliseconds; no bound when absent. */
  readonly statementMillis?: number | undefined
  /** States as they are after; `undefined` removes one. */
  readonly states?: ReadonlyMap<string, string | undefined> | undefined
  /** When the event was recorded that changed each of the states, in milliseconds since 1970; for states that grow old. */
  readonly stateTimes?: ReadonlyMap<string, number> | undefined
  readonly park?: ReadonlyArray<Omit<ParkedEvent, "parkedAt">> | undefined
  /** Positions of parked events that wait no longer. */
  readonly unpark?: ReadonlyArray<Position> | undefined
  /** Where a reactor begins. */
  readonly start?: Position | undefined
  /** Marks that the tables were made. */
  readonly setUp?: boolean | undefined
  /** Records which states and rows are changed; nothing of it when absent. */
  readonly changes?: KeptChanges | undefined
  /** Tables that `setUp` made, schema and name: they are removed with the build. */
  readonly tables?: ReadonlyArray<readonly [schema: string, name: string]> | undefined
  /** Forgets states, parked events and failures first, and takes on this definition. */
  readonly reset?: ProjectionReset | undefined
}

/**
 * How a build becomes live.
 *
 * @category models
 * @since 0.1.0
 */
export interface MakeLive {
  /** The checkpoint, which stays where it is. */
  readonly at: Omit<Checkpoint, "incarnation">
  /** Run in their order. */
  readonly statements: ReadonlyArray<SqlStatement>
  /** How long what was live before is kept, in milliseconds. */
  readonly keepMillis: number
  /** Fails with `BuildBehind` while what is live has seen more of the log, so that nobody's reads go back. */
  readonly notBehind: boolean
}

/**
 * What is forgotten, and what the projection is from then on.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionReset {
  readonly definition: string
  /**
   * The leases of the other slices, all of which are put at the start together
   * with this one and lose their leases; nothing happens when one of these is
   * not the newest.
   */
  readonly leases?: ReadonlyArray<Lease> | undefined
  /** How many slices there are afterwards, 1 when absent: those beyond are removed. */
  readonly slices?: number | undefined
}

/**
 * A statement and its parameters, `$1`, `$2`, … in the text.
 *
 * @category models
 * @since 0.1.0
 */
export interface SqlStatement {
  readonly text: string
  readonly parameters: ReadonlyArray<SqlValue>
}

/**
 * What a parameter may be. A string takes the type that the server infers, so
 * it also stands for JSON, a time, a UUID or a `numeric`.
 *
 * @category models
 * @since 0.1.0
 */
export type SqlValue = string | number | bigint | boolean | Date | Uint8Array | null

/**
 * A state as it is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredState {
  readonly key: string
  /** JSON. */
  readonly state: string
}

/**
 * Which states to list.
 *
 * @category models
 * @since 0.1.0
 */
export interface StatesPage {
  /** Key after which the page begins (exclusive). */
  readonly after?: string | undefined
  /** Most states of the page; 100 when absent. */
  readonly limit?: number | undefined
}

/**
 * Which parked events to list.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParkedPage {
  /** Of this key only. */
  readonly key?: string | undefined
  /** Position after which the page begins (exclusive). */
  readonly after?: number | undefined
  /** Most events of the page; 100 when absent. */
  readonly limit?: number | undefined
}

/**
 * An event that could not be applied, or waits behind one of the same key.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParkedEvent {
  readonly position: Position
  /** What must stay in order: the stream, unless the projection says otherwise. */
  readonly key: string
  readonly id: EventId
  readonly type: string
  readonly streamId: StreamId
  readonly revision: Revision
  /** How often it was tried; 0 for one that waits behind another. */
  readonly attempts: number
  /** Why it was parked. */
  readonly reason: string
  readonly parkedAt: DateTime.Utc
}

/**
 * Represents a commit by a runner whose lease was taken over. Nothing was
 * written. The normal end of a runner that stood still for too long.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeaseLost
  extends Schema.TaggedError<LeaseLost>("effect-event-store/store/CheckpointStore/LeaseLost")("LeaseLost", {
    name: Schema.String,
    version: Schema.Int,
    /** Epoch of the lease that was lost. */
    epoch: Schema.Int
  })
{
  override get message(): string {
    return `Another runner has taken over ${describeKey(this)} from lease ${this.epoch}`
  }
}

/**
 * Represents a checkpoint that is not of this log: the store was restored or
 * cloned, or is another one, or the log ends before it. Going on would skip or repeat events in
 * silence. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class HistoryChanged
  extends Schema.TaggedError<HistoryChanged>("effect-event-store/store/CheckpointStore/HistoryChanged")(
    "HistoryChanged",
    {
      name: Schema.String,
      version: Schema.Int,
      position: Position,
      /** Last position of the log. */
      head: Position,
      /** History of the checkpoint. */
      expected: Schema.String,
      /** History of the log. */
      actual: Schema.String,
      /** Up to where the log is the one of the checkpoint, from which it was restored; absent when it was not. */
      restoredUntil: Schema.optional(Position)
    }
  )
{
  override get message(): string {
    const why = this.expected === this.actual
      ? `the log ends at position ${this.head}`
      : this.restoredUntil === undefined
      ? `the log is history ${this.actual}, another store`
      : `the log is history ${this.actual}, which was restored from that one up to position ${this.restoredUntil}`
    return `The checkpoint of ${
      describeKey(this)
    } is at position ${this.position} of history ${this.expected}, but ${why}: reset the projection, or build a new version`
  }
}

/**
 * Represents a projection that reads or makes something else than the one of
 * the same name and version that is stored. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProjectionChanged
  extends Schema.TaggedError<ProjectionChanged>("effect-event-store/store/CheckpointStore/ProjectionChanged")(
    "ProjectionChanged",
    {
      name: Schema.String,
      version: Schema.Int,
      stored: Schema.String,
      given: Schema.String
    }
  )
{
  override get message(): string {
    return `${describeKey(this)} was built as ${this.stored} and is now ${this.given}: raise its version, or reset it`
  }
}

/**
 * Represents a statement of a commit that the database refused. Nothing was
 * written.
 *
 * @category errors
 * @since 0.1.0
 */
export class StatementFailed
  extends Schema.TaggedError<StatementFailed>("effect-event-store/store/CheckpointStore/StatementFailed")(
    "StatementFailed",
    {
      /** Which of the statements, from 0; `undefined` when the commit itself was refused. */
      index: Schema.UndefinedOr(Schema.Int),
      /** SQLSTATE. */
      code: Schema.String,
      /** The database's own sentence, without the values. */
      detail: Schema.String
    }
  )
{
  override get message(): string {
    return `${
      this.index === undefined ? "the commit" : `statement ${this.index}`
    } failed: ${this.detail} (${this.code})`
  }
}

/**
 * Represents a build that is not there: it was cancelled or dropped, or never
 * registered. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class BuildMissing
  extends Schema.TaggedError<BuildMissing>("effect-event-store/store/CheckpointStore/BuildMissing")("BuildMissing", {
    name: Schema.String,
    version: Schema.Int,
    /** `undefined` when there is none of the kind that was asked for. */
    build: Schema.UndefinedOr(Schema.Int)
  })
{
  override get message(): string {
    return this.build === undefined
      ? `There is no such build of ${describeKey(this)}`
      : `There is no build ${this.build} of ${describeKey(this)}: it was cancelled or dropped`
  }
}

/**
 * Represents a version of which 32 builds are kept or under way. Nothing was
 * written.
 *
 * @category errors
 * @since 0.1.0
 */
export class BuildsExhausted
  extends Schema.TaggedError<BuildsExhausted>("effect-event-store/store/CheckpointStore/BuildsExhausted")(
    "BuildsExhausted",
    { name: Schema.String, version: Schema.Int }
  )
{
  override get message(): string {
    return `There are 32 builds of ${describeKey(this)}: drop those that are retired`
  }
}

/**
 * Represents a build that was to become live before it had seen as much of the
 * log as what is live. Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class BuildBehind
  extends Schema.TaggedError<BuildBehind>("effect-event-store/store/CheckpointStore/BuildBehind")("BuildBehind", {
    name: Schema.String,
    version: Schema.Int,
    build: Schema.Int
  })
{
  override get message(): string {
    return `Build ${this.build} of ${describeKey(this)} has seen less of the log than what is live`
  }
}

/**
 * Judges a claim: whether the lease may be given now, or what forbids it.
 *
 * @category validation
 * @since 0.1.0
 */
export const judgeClaim = (
  record: ProjectionRecord,
  claim: LeaseClaim,
  head: LogHead,
  nowMillis: number
): "free" | "held" | HistoryChanged | ProjectionChanged => {
  const { checkpoint, definition, leasedUntil, name, owner, status, version } = record
  const isLeased = owner !== undefined && (leasedUntil?.epochMilliseconds ?? 0) > nowMillis
  if (isLeased && owner !== claim.owner && claim.evenWhenHeld !== true) return "held"
  if (!claim.statuses.includes(status)) return "held"
  if (claim.evenWhenChanged === true) return "free"
  if (definition !== claim.definition) {
    return new ProjectionChanged({ name, version, stored: definition, given: claim.definition })
  }
  return isOfHistory(checkpoint, head) ? "free" : historyChanged(record, checkpoint, head)
}

/**
 * Whether a checkpoint can be of a log that stands there.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isOfHistory = ({ incarnation, position }: Pick<Checkpoint, "incarnation" | "position">, head: LogHead) =>
  position === 0 || (incarnation === head.incarnation && position <= head.position)

/**
 * Makes the error for a checkpoint that is not of a log.
 *
 * @category errors
 * @since 0.1.0
 */
export const historyChanged = (
  { name, version }: ProjectionVersion,
  { incarnation, position }: Pick<Checkpoint, "incarnation" | "position">,
  head: LogHead
): HistoryChanged =>
  new HistoryChanged({
    name,
    version,
    position,
    head: head.position,
    expected: incarnation,
    actual: head.incarnation,
    ...(head.parent?.incarnation === incarnation ? { restoredUntil: head.parent.position as Position } : {})
  })

/**
 * Makes the error for a lease that is not the newest any more.
 *
 * @category errors
 * @since 0.1.0
 */
export const leaseLost = ({ epoch, name, version }: Lease): LeaseLost => new LeaseLost({ name, version, epoch })

// internal

const describeKey = ({ name, version }: ProjectionVersion): string => `projection ${name}, version ${version}`
