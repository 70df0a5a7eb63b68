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
   * status of the projection forbids it.
   */
  readonly acquire: (claim: LeaseClaim) => Effect.Effect<
    LeaseAnswer,
    InvalidInput | ProjectionChanged | HistoryChanged | StorageError
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

  /** Describes one projection. */
  readonly find: (key: ProjectionKey) => Effect.Effect<Option.Option<ProjectionRecord>, InvalidInput | StorageError>

  /** Describes all projections, by name and version. */
  readonly list: Effect.Effect<ReadonlyArray<ProjectionRecord>, StorageError>

  /** Says whether a projection shall run; false when it is not known. */
  readonly setStatus: (
    key: ProjectionKey,
    status: "running" | "paused"
  ) => Effect.Effect<boolean, InvalidInput | StorageError>

  /** Returns the states of these keys, as JSON; of those that exist. */
  readonly loadStates: (
    key: ProjectionKey,
    keys: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, string>, StorageError>

  /** Lists states by key, in the order of their bytes. */
  readonly listStates: (
    key: ProjectionKey,
    page?: StatesPage
  ) => Effect.Effect<ReadonlyArray<StoredState>, StorageError>

  /** Lists parked events by position. */
  readonly listParked: (
    key: ProjectionKey,
    page?: ParkedPage
  ) => Effect.Effect<ReadonlyArray<ParkedEvent>, InvalidInput | StorageError>

  /** Counts and digests the events of the log that pass the filter, up to a position (inclusive). */
  readonly digestLog: (
    options: { readonly filter: EventFilter | undefined; readonly until: Position }
  ) => Effect.Effect<EventDigest, InvalidInput | StorageError>
}>()("effect-event-store/store/CheckpointStore") {}

/**
 * Which projection. A new version builds beside the old one.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionKey {
  /** 1 to 512 bytes. */
  readonly name: string
  /** From 1. */
  readonly version: number
}

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
export interface ProjectionRecord extends ProjectionKey {
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
  /** Where the event stands that failed. */
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
export interface Lease extends ProjectionKey {
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
  readonly park?: ReadonlyArray<Omit<ParkedEvent, "parkedAt">> | undefined
  /** Positions of parked events that wait no longer. */
  readonly unpark?: ReadonlyArray<Position> | undefined
  /** Marks that the tables were made. */
  readonly setUp?: boolean | undefined
  /** Forgets states, parked events and failures first, and takes on this definition. */
  readonly reset?: { readonly definition: string } | undefined
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
 * cloned, or the log ends before it. Going on would skip or repeat events in
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
      actual: Schema.String
    }
  )
{
  override get message(): string {
    const why = this.expected === this.actual
      ? `the log ends at position ${this.head}`
      : `the log is history ${this.actual}, a restored or cloned store`
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
  if (owner !== undefined && owner !== claim.owner && (leasedUntil?.epochMilliseconds ?? 0) > nowMillis) return "held"
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
  { name, version }: ProjectionKey,
  { incarnation, position }: Pick<Checkpoint, "incarnation" | "position">,
  head: LogHead
): HistoryChanged =>
  new HistoryChanged({
    name,
    version,
    position,
    head: head.position,
    expected: incarnation,
    actual: head.incarnation
  })

/**
 * Makes the error for a lease that is not the newest any more.
 *
 * @category errors
 * @since 0.1.0
 */
export const leaseLost = ({ epoch, name, version }: Lease): LeaseLost => new LeaseLost({ name, version, epoch })

// internal

const describeKey = ({ name, version }: ProjectionKey): string => `projection ${name}, version ${version}`
