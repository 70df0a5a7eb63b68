/**
 * What a storage implements to become an `EventStore`: the same operations,
 * after every input was checked and encoded.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { EncodedEvent } from "../event/EncodedEvent.ts"
import type { EventId, RecordedEvent } from "../event/Event.ts"
import type { AppendCondition, EventFilter } from "../event/EventQuery.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { ExpectedRevision, Revision } from "../event/Revision.ts"
import type { StreamId } from "../event/StreamId.ts"
import type { ArchivedParts } from "./EventArchive.ts"
import type {
  AppendResult,
  Direction,
  Durability,
  LogHead,
  LogPage,
  StoreStatistics,
  StreamDescription,
  StreamSort
} from "./EventStore.ts"
import type { AppendError, RevisionConflict, StorageError, StreamTombstoned } from "./EventStoreError.ts"

/**
 * Operations of one storage. `EventStore` is made of them by `fromStorage`,
 * which checks input, pages and follows; the promises of `EventStore` are kept
 * here.
 *
 * @category models
 * @since 0.1.0
 */
export interface Storage {
  readonly durability: Durability

  /** Appends everything or nothing; one result a write, in their order. */
  readonly append: (
    request: AppendRequest
  ) => Effect.Effect<Arr.NonEmptyReadonlyArray<AppendResult>, Exclude<AppendError, InvalidInput>>

  /** Reads a page of the log; may look at a bounded part of it only. */
  readonly readLog: (query: LogQuery) => Effect.Effect<LogPage, StorageError>

  /** Reads a page of a stream: fewer than `limit` events mean its end. */
  readonly readStream: (
    query: StreamQuery
  ) => Effect.Effect<ReadonlyArray<RecordedEvent>, StreamTombstoned | StorageError>

  readonly findEvent: (id: EventId) => Effect.Effect<Option.Option<RecordedEvent>, StorageError>
  readonly describeStream: (streamId: StreamId) => Effect.Effect<Option.Option<StreamDescription>, StorageError>

  /** Lists streams: fewer than `limit` mean the end. */
  readonly listStreams: (query: StreamListQuery) => Effect.Effect<ReadonlyArray<StreamDescription>, StorageError>

  /** `change` is made to a stream that has events, else `RevisionConflict`. */
  readonly changeStream: (
    streamId: StreamId,
    change: StreamChange
  ) => Effect.Effect<StreamDescription, RevisionConflict | StreamTombstoned | StorageError>

  readonly head: Effect.Effect<LogHead, StorageError>
  readonly statistics: Effect.Effect<StoreStatistics, StorageError>

  /**
   * Returns when the log may have grown beyond `position`; early is fine, late
   * is at most one poll.
   */
  readonly awaitGrowth: (position: number) => Effect.Effect<void>

  /**
   * How events that are read with `null` as their data get what is archived; a
   * storage that archives nothing has none.
   */
  readonly archived?: ArchivedParts | undefined
}

/**
 * An append, checked and encoded.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendRequest {
  readonly writes: Arr.NonEmptyReadonlyArray<EncodedWrite>
  readonly streamConditions: ReadonlyArray<EncodedStreamCondition>
  readonly condition: AppendCondition | undefined
  /** Events of all writes. */
  readonly eventCount: number
  /** Bytes of JSON of all writes. */
  readonly sizeBytes: number
}

/**
 * Encoded events for one stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface EncodedWrite {
  readonly streamId: StreamId
  readonly expected: ExpectedRevision
  readonly events: ReadonlyArray<EncodedEvent>
}

/**
 * A checked claim on a stream that is not written to.
 *
 * @category models
 * @since 0.1.0
 */
export interface EncodedStreamCondition {
  readonly streamId: StreamId
  readonly expected: ExpectedRevision
}

/**
 * One page of the log.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogQuery {
  readonly direction: Direction
  /** Exclusive; backwards, `undefined` is the head. */
  readonly after: number | undefined
  /** Inclusive, forwards only. */
  readonly until: number | undefined
  readonly filter: EventFilter | undefined
  readonly limit: number
  /**
   * A time not after that of any event the page may hold (forwards) or not
   * before it (backwards): lets a storage leave out whole parts.
   */
  readonly timeBound: DateTime.Utc | undefined
}

/**
 * One page of a stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamQuery {
  readonly streamId: StreamId
  readonly direction: Direction
  /** Inclusive; backwards, `undefined` is the last revision. */
  readonly from: number | undefined
  readonly limit: number
}

/**
 * One page of the streams.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamListQuery {
  readonly prefix: string | undefined
  readonly category: string | undefined
  readonly sort: StreamSort
  readonly descending: boolean
  readonly limit: number
  /** The last stream of the page before, by its sort key and name. */
  readonly after: { readonly key: number; readonly name: string } | undefined
}

/**
 * A change of what is kept about a stream.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamChange =
  | { readonly _tag: "SetMetadata"; readonly metadata: string }
  | { readonly _tag: "TruncateBefore"; readonly revision: Revision }
  | { readonly _tag: "Tombstone"; readonly expected: ExpectedRevision }
