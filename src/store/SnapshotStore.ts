/**
 * The contract of the place that keeps snapshots: states of streams, saved so
 * that a load need not fold every event.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { Revision } from "../event/Revision.ts"
import type { StreamId } from "../event/StreamId.ts"
import type { StorageError } from "./EventStoreError.ts"

/**
 * Service for keeping snapshots of the streams of one log.
 *
 * **Details**
 *
 * A snapshot is a cache: losing one costs time, never an event. What is kept is
 * told apart by stream, kind, fingerprint and revision, so programs of two
 * versions keep theirs side by side, and an older program never overwrites what
 * a newer one saved. The bytes are the saver's: nobody looks into them here.
 *
 * @category services
 * @since 0.1.0
 */
export class SnapshotStore extends Context.Service<SnapshotStore, {
  /**
   * Keeps a snapshot. One of the same stream, kind, fingerprint and revision is
   * replaced.
   */
  readonly save: (snapshot: StoredSnapshot) => Effect.Effect<void, InvalidInput | StorageError>

  /**
   * Returns the newest snapshot of a stream with this kind and fingerprint.
   *
   * **Details**
   *
   * Never returns one that the log contradicts: of a stream that has no events,
   * was tombstoned, was truncated after the first event that the state was
   * folded from, or is shorter than the snapshot says.
   */
  readonly load: (
    options: LoadSnapshotOptions
  ) => Effect.Effect<Option.Option<StoredSnapshot>, InvalidInput | StorageError>

  /**
   * Lists snapshots without their bytes, a page at a time: by stream, kind,
   * fingerprint and revision, upwards.
   */
  readonly list: (options?: ListSnapshotsOptions) => Effect.Effect<SnapshotPage, InvalidInput | StorageError>

  /**
   * Removes the snapshots that one of the rules names, and returns how many. A
   * rule that is absent removes nothing.
   */
  readonly prune: (options: PruneSnapshotsOptions) => Effect.Effect<number, InvalidInput | StorageError>

  /**
   * Removes all snapshots that fit, and returns how many.
   */
  readonly remove: (options: RemoveSnapshotsOptions) => Effect.Effect<number, InvalidInput | StorageError>

  /**
   * Counts what is kept, by kind and fingerprint; reads the list of all of it.
   */
  readonly statistics: Effect.Effect<SnapshotStatistics, StorageError>
}>()("effect-event-store/store/SnapshotStore") {}

/**
 * A snapshot as it is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredSnapshot {
  readonly streamId: StreamId
  /** Name of what the state is for: a stream may have states of several kinds. */
  readonly kind: string
  /** What shape and meaning the state has, in 64 hexadecimal digits; only its equal can read the bytes. */
  readonly fingerprint: string
  /** Last revision that is in the state. */
  readonly revision: Revision
  /** First revision that is in the state: 0 unless the stream was truncated before. */
  readonly firstRevision: Revision
  readonly serialization: SnapshotSerialization
  readonly compression: SnapshotCompression
  /** The state, serialized and then compressed; at most `SNAPSHOT_BYTES_MAX`. */
  readonly bytes: Uint8Array
  /** Size before the compression, in bytes. */
  readonly plainBytes: number
  /** SHA-256 over all the rest: 32 bytes. */
  readonly digest: Uint8Array
  /** When it was taken, in milliseconds. */
  readonly takenAt: DateTime.Utc
  /** How long the load took that led to it, in milliseconds. */
  readonly loadMillis: number
}

/**
 * How a state becomes bytes: as the JSON of its schema, or by a codec of the
 * user's own.
 *
 * @category models
 * @since 0.1.0
 */
export type SnapshotSerialization = "json" | "binary"

/**
 * How the bytes of a state are made fewer.
 *
 * @category models
 * @since 0.1.0
 */
export type SnapshotCompression = "none" | "gzip" | "zstd"

/**
 * Largest snapshot, in bytes as it is kept: 64 MiB. The wire protocol of
 * PostgreSQL and the heap of the process take it without trouble.
 *
 * @category limits
 * @since 0.1.0
 */
export const SNAPSHOT_BYTES_MAX = 64 * 1024 * 1024

/**
 * Which snapshot to load.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadSnapshotOptions {
  readonly streamId: string
  readonly kind: string
  readonly fingerprint: string
  /** Newest revision wanted (inclusive); the newest there is when absent. */
  readonly atMost?: number | undefined
}

/**
 * Options of `list`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListSnapshotsOptions {
  readonly streamId?: string | undefined
  readonly kind?: string | undefined
  readonly fingerprint?: string | undefined
  /** Most snapshots of the page, 1 to 10,000; 100 when absent. */
  readonly limit?: number | undefined
  /** `next` of the page before, with the same other options. */
  readonly cursor?: string | undefined
}

/**
 * A snapshot without its bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotDescription extends Omit<StoredSnapshot, "bytes" | "digest"> {
  /** Size as it is kept, in bytes. */
  readonly storedBytes: number
}

/**
 * A page of snapshots.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotPage {
  readonly snapshots: ReadonlyArray<SnapshotDescription>
  /** Cursor of the next page; `undefined` after the last one. */
  readonly next: string | undefined
}

/**
 * Which snapshots a removal is about; all when nothing is said.
 *
 * @category models
 * @since 0.1.0
 */
export interface RemoveSnapshotsOptions {
  readonly streamId?: string | undefined
  readonly kind?: string | undefined
  readonly fingerprint?: string | undefined
  /** Exactly this revision. */
  readonly revision?: number | undefined
}

/**
 * Rules by which snapshots are removed, and what they are about.
 *
 * @category models
 * @since 0.1.0
 */
export interface PruneSnapshotsOptions {
  readonly streamId?: string | undefined
  readonly kind?: string | undefined
  readonly fingerprint?: string | undefined
  /** Keeps this many of a stream, kind and fingerprint, the newest; at least 1. */
  readonly keepLast?: number | undefined
  /** Removes what was taken before. */
  readonly takenBefore?: DateTime.Utc | undefined
  /** Removes what `load` never returns: of streams that are gone, tombstoned or truncated. False when absent. */
  readonly unusable?: boolean | undefined
}

/**
 * What is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotStatistics {
  readonly snapshots: number
  /** Size as they are kept, in bytes. */
  readonly storedBytes: number
  /** By kind and fingerprint. */
  readonly groups: ReadonlyArray<SnapshotGroup>
}

/**
 * What is kept of one kind and fingerprint.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotGroup {
  readonly kind: string
  readonly fingerprint: string
  readonly snapshots: number
  readonly streams: number
  /** Size as they are kept, in bytes. */
  readonly storedBytes: number
  /** Size before the compression, in bytes. */
  readonly plainBytes: number
  readonly oldestTakenAt: DateTime.Utc
  readonly newestTakenAt: DateTime.Utc
}
