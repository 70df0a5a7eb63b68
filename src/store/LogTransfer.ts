/**
 * Moves the whole of a store: rows out as they are stored, a prefix of the log
 * at a time, and rows into an empty store, all or nothing. Nothing is decoded on
 * the way, so texts and times come back exactly.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { EventDigest } from "./EventDigest.ts"
import type { StorageError } from "./EventStoreError.ts"
import type { RestoreDiffers, RestoreOvertaken, RestoreTargetNotEmpty } from "./RestoreError.ts"

/**
 * Service that moves the rows of one store.
 *
 * **Details**
 *
 * Invariants: what is read is a prefix of the log and what belongs to it, also
 * while others append; a restore is seen by nobody before it is complete, and
 * then all of it; while it is under way, and after one that was broken off, all
 * other operations of the store fail with the reason `Restoring`.
 *
 * @category services
 * @since 0.1.0
 */
export class LogTransfer extends Context.Service<LogTransfer, {
  /** Says how the store stands; also while a restore is under way. */
  readonly describe: Effect.Effect<TransferState, StorageError>

  /**
   * Reads events upwards, as many as fit into a page; none at the end of the
   * range or of the log. Nothing is held between two pages.
   */
  readonly readEvents: (page: EventPage) => Effect.Effect<ReadonlyArray<EventRow>, InvalidInput | StorageError>

  /**
   * Opens a view of everything beside the events, as it is at one moment.
   *
   * **Details**
   *
   * No lock is taken that a reader or an append waits for. Rows of up to 32 MiB
   * are read at once and nothing is held afterwards. When there are more, the
   * view holds a connection with a read-only transaction until its scope closes:
   * changes of the schema wait for that, and on PGlite, which has one session,
   * everybody does.
   */
  readonly view: Effect.Effect<LogView, StorageError, Scope.Scope>

  /**
   * Begins a restore into an empty store, or goes on with one of the same
   * history that was broken off.
   *
   * **Details**
   *
   * Needs the rights of the owner. Fails with `RestoreTargetNotEmpty`, and has
   * changed nothing, when the store has events, snapshots or projections. What a
   * broken-off restore of another history left, or one that has come further
   * than `until`, is cleared first. When the scope closes before `finish`, what
   * was written stays, for the next restore to go on with or for
   * `abandonRestore`; a store in memory keeps nothing, and is empty and usable
   * again.
   */
  readonly restore: (plan: RestorePlan) => Effect.Effect<RestoreSession, RestoreError, Scope.Scope>

  /** Clears a restore that was broken off, and tells whether there was one: the store is empty and usable then. */
  readonly abandonRestore: Effect.Effect<boolean, StorageError>
}>()("effect-event-store/store/LogTransfer") {}

/**
 * How a store stands.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransferState {
  /** Last position of the log. */
  readonly position: number
  readonly incarnation: string
  /** Of which history this one is the continuation, and up to where; `undefined` for one that was never restored. */
  readonly parent: HistoryParent | undefined
  /** Whether it has neither events nor snapshots nor projections. */
  readonly isEmpty: boolean
  /** The restore that is under way or was broken off. */
  readonly restoring: RestoreState | undefined
}

/**
 * The history that a restored store goes on from.
 *
 * @category models
 * @since 0.1.0
 */
export interface HistoryParent {
  readonly incarnation: string
  /** The two are the same up to here (inclusive). */
  readonly position: number
}

/**
 * How far a restore has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestoreState extends RestorePlan {
  /** Last position that is written. */
  readonly position: number
  /** In microseconds since 1970. */
  readonly startedAt: number
}

/**
 * Which events to read.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventPage {
  /** Position, exclusive. */
  readonly after: number
  /** Position, inclusive. */
  readonly until: number
  /** Most events of the page; 4,000 when absent. A page ends as well when it has 4 MiB of JSON. */
  readonly limit?: number | undefined
  /** When the event at `after` was recorded, in microseconds since 1970: months before are left out. */
  readonly recordedAt?: number | undefined
}

/**
 * Everything beside the events, as it was at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogView {
  /** Last position of the log at that moment: the prefix to which all rows belong. */
  readonly position: number
  readonly incarnation: string
  /** `LogTransfer.readEvents`; the one to use while the view is open. */
  readonly readEvents: LogTransfer["Service"]["readEvents"]
  /** Reads the rows of a kind, in a fixed order. */
  readonly rows: <K extends OtherKind>(kind: K) => Stream.Stream<TransferRows[K], StorageError>
  /** Builds of projections that have no rows in the view. */
  readonly leftOut: ReadonlyArray<BuildLeftOut>
}

/**
 * A build of a projection that is not transferred: it is built again from the
 * log.
 *
 * **Details**
 *
 * `tables`: what it made stands in tables of its own, which are not
 * transferred. `history`: its checkpoint is not of this log. `ahead`: it has
 * seen events after the end of what is restored.
 *
 * @category models
 * @since 0.1.0
 */
export interface BuildLeftOut {
  readonly projection: string
  readonly version: number
  readonly build: number
  readonly reason: "tables" | "history" | "ahead"
}

/**
 * What is restored.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestorePlan {
  /** The history that the rows are of: an incarnation. */
  readonly source: string
  /** Position of the last event that is restored. */
  readonly until: number
}

/**
 * A restore that is under way.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestoreSession {
  /** Last position that is written already: more than 0 when the restore goes on. */
  readonly position: number
  /** When that event was recorded, in microseconds since 1970; 0 when there is none. */
  readonly recordedAt: number
  /** Writes events, which follow the last one that is written. Each call is a step that outlives the process. */
  readonly writeEvents: (rows: ReadonlyArray<EventRow>) => Effect.Effect<void, RestoreError>
  /**
   * Writes everything else and makes the store usable, in one step: a new
   * history, of which the restored one is the parent. Checkpoints are carried
   * over to it.
   *
   * **Details**
   *
   * `rest` writes the other kinds of rows in the order of `TRANSFER_KINDS`; when
   * it fails nothing has happened. Fails with `RestoreDiffers` when the events
   * are not those that `digest` tells, or a stream lacks some.
   */
  readonly finish: <E>(options: {
    readonly digest: EventDigest
    readonly rest: (write: WriteRows) => Effect.Effect<void, E>
  }) => Effect.Effect<RestoreReport, E | RestoreError>
}

/**
 * Writes rows of a kind as part of a restore.
 *
 * @category models
 * @since 0.1.0
 */
export type WriteRows = <K extends OtherKind>(
  kind: K,
  rows: ReadonlyArray<TransferRows[K]>
) => Effect.Effect<void, RestoreError>

/**
 * What a restore did.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestoreReport {
  /** Of the new history. */
  readonly incarnation: string
  readonly position: number
  readonly digest: EventDigest
  /** Rows of the other kinds that were written. */
  readonly counts: Readonly<Record<OtherKind, number>>
  /** Snapshots of streams, and settings of streams, that reach beyond what was restored. */
  readonly rowsLeftOut: number
  readonly buildsLeftOut: ReadonlyArray<BuildLeftOut>
}

/**
 * Everything that a restore can answer.
 *
 * @category errors
 * @since 0.1.0
 */
export type RestoreError = InvalidInput | RestoreTargetNotEmpty | RestoreOvertaken | RestoreDiffers | StorageError

/**
 * An event as it is stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventRow {
  /** From 1, without gaps. */
  readonly position: number
  readonly streamId: string
  /** From 0. */
  readonly revision: number
  /** UUID in lower case. */
  readonly id: string
  readonly type: string
  /** Version of the type's shape, from 1. */
  readonly version: number
  /** JSON text, exactly as it is stored. */
  readonly data: string
  /** JSON text of an object, exactly as it is stored; empty when none is stored, which stands for `{}`. */
  readonly metadata: string
  readonly tags: ReadonlyArray<string>
  /** Microseconds since 1970, safe up to the year 2255; never descends with the position. */
  readonly recordedAt: number
}

/**
 * What is kept about a stream beside its events. Streams for which nothing was
 * ever set have no row: all about them follows from their events.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamRow {
  readonly streamId: string
  /** Of its last event. */
  readonly revision: number
  /** Reads of the stream begin at this revision; 0 when it was never truncated. */
  readonly truncateBefore: number
  readonly isTombstoned: boolean
  /** JSON text of an object. */
  readonly metadata: string
}

/**
 * A snapshot as it is stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotRow {
  readonly streamId: string
  readonly kind: string
  /** 64 hexadecimal digits. */
  readonly fingerprint: string
  /** Last and first revision that are in the state. */
  readonly revision: number
  readonly firstRevision: number
  readonly serialization: string
  readonly compression: string
  /** Size before the compression, in bytes. */
  readonly plainBytes: number
  readonly bytes: Uint8Array
  /** SHA-256 over all the rest. */
  readonly digest: Uint8Array
  /** Microseconds since 1970. */
  readonly takenAt: number
  readonly loadMillis: number
}

/**
 * How far a slice of a build of a projection has come, as it is stored, without
 * its lease; and what is known of the build.
 *
 * @category models
 * @since 0.1.0
 */
export interface CheckpointRow {
  readonly projection: string
  readonly version: number
  /** From 1: each version may be built several times. */
  readonly build: number
  /** 0 unless the projection is sliced. */
  readonly slice: number
  readonly buildStatus: "building" | "current" | "kept"
  /** Whether readers by name see this build. */
  readonly isLive: boolean
  /** When the build was registered; all times in microseconds since 1970. */
  readonly builtAt: number
  /** When another build took its place, and until when it is kept; `undefined` unless one did. */
  readonly retiredAt: number | undefined
  readonly keepUntil: number | undefined
  readonly definition: string
  readonly status: "running" | "paused" | "halted"
  readonly isSetUp: boolean
  /** Where a reactor began; 0 for a projection. */
  readonly start: number
  readonly position: number
  readonly incarnation: string
  /** How many events were seen, and the digest of which ones. */
  readonly events: number
  readonly digest: string
  /** Of its newest lease: those that are given after a restore are newer. */
  readonly epoch: number
  readonly failures: number
  /** The last four are `undefined` together: when nothing ever failed. */
  readonly firstFailedAt: number | undefined
  readonly lastFailedAt: number | undefined
  readonly failedPosition: number | undefined
  readonly failure: string | undefined
  readonly updatedAt: number
}

/**
 * A state of a build of a projection, as it is stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateRow {
  readonly projection: string
  readonly version: number
  readonly build: number
  /** Empty for the one state of a projection without keys. */
  readonly key: string
  /** JSON text. */
  readonly state: string
  /** Microseconds since 1970, of states that grow old. */
  readonly changedAt: number | undefined
}

/**
 * A parked event of a build of a projection, as it is stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParkedRow {
  readonly projection: string
  readonly version: number
  readonly build: number
  readonly slice: number
  readonly position: number
  readonly key: string
  readonly id: string
  readonly type: string
  readonly streamId: string
  readonly revision: number
  readonly attempts: number
  readonly reason: string
  /** Microseconds since 1970. */
  readonly parkedAt: number
}

/**
 * The kinds of rows, in the order in which they are transferred, and the rows
 * of each.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransferRows {
  readonly events: EventRow
  readonly streams: StreamRow
  readonly snapshots: SnapshotRow
  readonly checkpoints: CheckpointRow
  readonly states: StateRow
  readonly parked: ParkedRow
}

/**
 * A kind of rows.
 *
 * @category models
 * @since 0.1.0
 */
export type TransferKind = keyof TransferRows

/**
 * A kind of rows beside the events.
 *
 * @category models
 * @since 0.1.0
 */
export type OtherKind = Exclude<TransferKind, "events">

/**
 * The kinds, in the order in which they are transferred.
 *
 * @category constants
 * @since 0.1.0
 */
export const TRANSFER_KINDS: ReadonlyArray<TransferKind> = [
  "events",
  "streams",
  "snapshots",
  "checkpoints",
  "states",
  "parked"
]
