/**
 * The contract of the log: append, read, follow.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { ProposedEvent, RecordedEvent } from "../event/Event.ts"
import type { AppendCondition, EventFilter } from "../event/EventQuery.ts"
import type { InvalidInput } from "../event/InvalidInput.ts"
import type { ExpectedRevision, Position, Revision } from "../event/Revision.ts"
import type { StreamId } from "../event/StreamId.ts"
import type { AppendError, ReadError, RevisionConflict, StorageError, StreamTombstoned } from "./EventStoreError.ts"
import type { HistoryParent } from "./LogTransfer.ts"

/**
 * Service for appending events to streams and reading them back.
 *
 * **Details**
 *
 * Invariants: an acknowledged event is never lost and never changes; revisions
 * of a stream are 0, 1, 2, … and positions of the log 1, 2, 3, …, both without
 * gaps; positions follow commit order, so a reader that has seen a position
 * never meets a lower one later; an event id stands in the log at most once.
 *
 * @category services
 * @since 0.1.0
 */
export class EventStore extends Context.Service<EventStore, {
  /**
   * Appends all events, or none, to one stream.
   *
   * **Details**
   *
   * Fails with `InvalidInput`, `RevisionConflict`, `AppendConditionFailed`,
   * `IdempotencyConflict`, `StreamTombstoned` or `PositionAheadOfLog` (a condition
   * after a position that the log has not reached), and then has written nothing.
   * A retry with the same ids, types, versions, data and tags returns the
   * original result, whatever `expected` and `condition` say by now (metadata
   * may differ: it may name the retry). A connection that is lost on the way is
   * resolved by id before anything is answered; only when that is impossible
   * the answer is `AppendOutcomeUnknown`.
   *
   * **Gotchas**
   *
   * An append that is interrupted may or may not be recorded.
   */
  readonly append: (options: AppendOptions) => Effect.Effect<AppendResult, AppendError>

  /**
   * Appends to several streams, all events or none, and only when the claims on
   * other streams hold too.
   *
   * **Details**
   *
   * The events take consecutive positions in the order of `writes`. Fails as
   * `append` does, and then has written nothing to any stream.
   */
  readonly appendAll: (options: AppendAllOptions) => Effect.Effect<AppendAllResult, AppendError>

  /**
   * Reads one stream from a revision (inclusive), upwards or downwards, to its
   * end as it is when the read gets there. A stream without events is empty.
   *
   * **Details**
   *
   * Fails with `StreamTombstoned` for a stream that was ended, and leaves out
   * what was truncated. Needs no connection between its pages.
   */
  readonly readStream: (
    streamId: string,
    options?: ReadStreamOptions
  ) => Stream.Stream<RecordedEvent, InvalidInput | StreamTombstoned | StorageError>

  /**
   * Reads the log from a position (exclusive), upwards or downwards, and ends
   * when it has caught up.
   *
   * **Details**
   *
   * Sees tombstoned and truncated streams: the log itself never loses an event.
   * Fails with `PositionAheadOfLog` for an `after` that the log has not reached.
   */
  readonly readAll: (options?: ReadAllOptions) => Stream.Stream<RecordedEvent, ReadError>

  /**
   * Reads one page of the log: what `readAll` and `subscribe` are made of.
   *
   * **Details**
   *
   * `position` is how far the page has looked, which is beyond its last event
   * when the filter left out what follows. Looks at a bounded part of the log,
   * so a page may be empty before the end; `isEnd` says that it got there.
   */
  readonly readPage: (options: ReadPageOptions) => Effect.Effect<LogPage, ReadError>

  /**
   * Reads the log from a position (exclusive) and then follows it, for ever.
   *
   * **Details**
   *
   * Every matching event is delivered once, in order of position, with no gap
   * between what was there and what comes. A lost connection is waited for; an
   * error that does not go away by itself ends the stream.
   */
  readonly subscribe: (options?: SubscribeOptions) => Stream.Stream<RecordedEvent, ReadError>

  /**
   * Returns when the log may have grown beyond a position: at once when it has,
   * soon after when it does. For those who follow the log with `readPage`.
   */
  readonly awaitGrowth: (after: number) => Effect.Effect<void>

  /**
   * Finds an event by its id.
   */
  readonly findEvent: (id: string) => Effect.Effect<Option.Option<RecordedEvent>, InvalidInput | StorageError>

  /**
   * Describes one stream, a tombstoned one too; none when it has no events.
   */
  readonly describeStream: (
    streamId: string
  ) => Effect.Effect<Option.Option<StreamDescription>, InvalidInput | StorageError>

  /**
   * Lists streams, a page at a time.
   */
  readonly listStreams: (options?: ListStreamsOptions) => Effect.Effect<StreamPage, InvalidInput | StorageError>

  /**
   * Replaces the metadata of a stream that has events. The last writer wins.
   */
  readonly setStreamMetadata: (
    streamId: string,
    metadata: Readonly<Record<string, unknown>>
  ) => Effect.Effect<StreamDescription, StreamChangeError>

  /**
   * Hides the events of a stream before a revision from `readStream`.
   *
   * **Details**
   *
   * Only moves forward: a lower value than before changes nothing. At most one
   * past the last revision. The events stay in the log and revisions go on
   * from where they were.
   */
  readonly truncateBefore: (streamId: string, revision: number) => Effect.Effect<StreamDescription, StreamChangeError>

  /**
   * Ends a stream for good: it takes no more events and cannot be read by name.
   *
   * **Details**
   *
   * The events stay in the log, the name is never free again. Does nothing to a
   * stream that is tombstoned already. A claim that does not hold fails with
   * `RevisionConflict`.
   */
  readonly tombstone: (
    streamId: string,
    options?: { readonly expected?: ExpectedRevision | undefined }
  ) => Effect.Effect<StreamDescription, StreamChangeError>

  /**
   * Says how far the log has come, and which history it is.
   */
  readonly head: Effect.Effect<LogHead, StorageError>

  /**
   * Counts what is in the store; reads all of it.
   */
  readonly statistics: Effect.Effect<StoreStatistics, StorageError>

  /**
   * What an acknowledged append outlives: nothing, the death of the process, or
   * a power failure.
   */
  readonly durability: Durability
}>()("effect-event-store/store/EventStore") {}

/**
 * What an acknowledged append outlives: `memory` nothing, `processCrash` the
 * death of the process, `powerLoss` a power failure.
 *
 * @category models
 * @since 0.1.0
 */
export type Durability = "memory" | "processCrash" | "powerLoss"

/**
 * Events for one stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamWrite {
  readonly streamId: string
  readonly expected: ExpectedRevision
  /** At least one and at most 10,000, together at most 16 MiB of JSON. */
  readonly events: ReadonlyArray<ProposedEvent>
}

/**
 * Options of `append`.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendOptions extends StreamWrite {
  /** No event that matches may stand after a position. */
  readonly condition?: AppendCondition | undefined
}

/**
 * Options of `appendAll`.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendAllOptions {
  /** One write a stream; the limits of `append` hold for all together. */
  readonly writes: ReadonlyArray<StreamWrite>
  /** Claims on streams that are not written to. */
  readonly streamConditions?: ReadonlyArray<StreamCondition> | undefined
  /** No event that matches may stand after a position. */
  readonly condition?: AppendCondition | undefined
}

/**
 * A claim on a stream that is not written to.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamCondition {
  readonly streamId: string
  readonly expected: ExpectedRevision
}

/**
 * Where the events of an append stand.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendResult {
  readonly streamId: StreamId
  /** Revision of the first event. */
  readonly firstRevision: Revision
  /** Revision of the last event: what the next append expects. */
  readonly revision: Revision
  /** Position of the first event. */
  readonly firstPosition: Position
  /** Position of the last event. */
  readonly position: Position
  /** Whether an earlier append with the same ids recorded them. */
  readonly alreadyAppended: boolean
}

/**
 * Where the events of all writes stand, in the order of the writes.
 *
 * @category models
 * @since 0.1.0
 */
export interface AppendAllResult {
  readonly writes: Arr.NonEmptyReadonlyArray<AppendResult>
  /** Position of the last event. */
  readonly position: Position
  readonly alreadyAppended: boolean
}

/**
 * Options of `readStream`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadStreamOptions {
  /** First revision to read (inclusive): 0 when forwards and the last one when backwards, if absent. */
  readonly from?: number | undefined
  /** `forwards` when absent. */
  readonly direction?: Direction | undefined
  /** Most events to read; all when absent. */
  readonly limit?: number | undefined
}

/**
 * Which way a read goes.
 *
 * @category models
 * @since 0.1.0
 */
export type Direction = "forwards" | "backwards"

/**
 * Options of `readAll`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadAllOptions {
  /**
   * Where the read starts (exclusive): forwards after this position, the start
   * when absent; backwards before it, the head when absent.
   */
  readonly after?: number | undefined
  /** Last position of a read forwards (inclusive); the head when absent. */
  readonly until?: number | undefined
  readonly filter?: EventFilter | undefined
  /** `forwards` when absent. */
  readonly direction?: Direction | undefined
  /** Most events to read; all when absent. */
  readonly limit?: number | undefined
}

/**
 * Options of `readPage`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadPageOptions {
  /** Reads after this position (exclusive); 0 is the start. */
  readonly after: number
  /** Last position to look at (inclusive); the head when absent. */
  readonly until?: number | undefined
  readonly filter?: EventFilter | undefined
  /** Most events of the page, 1 to 10,000; 500 when absent. */
  readonly limit?: number | undefined
}

/**
 * A page of the log.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogPage {
  readonly events: ReadonlyArray<RecordedEvent>
  /** How far the page has looked: every matching event up to here is in it or before it. */
  readonly position: Position
  /** Whether the page got to the end of the log, or to `until`. */
  readonly isEnd: boolean
}

/**
 * Options of `subscribe`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SubscribeOptions {
  /** Position after which to start (exclusive), or `head` for new events only; the start when absent. */
  readonly after?: number | "head" | undefined
  readonly filter?: EventFilter | undefined
}

/**
 * What is known of a stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamDescription {
  readonly streamId: StreamId
  readonly category: string
  /** Revision of the last event. */
  readonly revision: Revision
  readonly firstPosition: Position
  readonly lastPosition: Position
  readonly firstRecordedAt: DateTime.Utc
  readonly lastRecordedAt: DateTime.Utc
  /** First revision that `readStream` shows; 0 when nothing was truncated. */
  readonly truncateBefore: number
  readonly isTombstoned: boolean
  readonly metadata: Readonly<Record<string, unknown>>
}

/**
 * Options of `listStreams`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListStreamsOptions {
  /** Streams whose name starts with this. */
  readonly prefix?: string | undefined
  /** Streams of this category. */
  readonly category?: string | undefined
  /** `name` when absent; `created` by first and `updated` by last event, `events` by length. */
  readonly sort?: StreamSort | undefined
  readonly descending?: boolean | undefined
  /** Most streams of the page, 1 to 10,000; 100 when absent. */
  readonly limit?: number | undefined
  /** `next` of the page before, with the same other options. */
  readonly cursor?: string | undefined
}

/**
 * What streams are sorted by.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamSort = "name" | "created" | "updated" | "events"

/**
 * A page of streams.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamPage {
  readonly streams: ReadonlyArray<StreamDescription>
  /** Cursor of the next page; `undefined` after the last one. */
  readonly next: string | undefined
}

/**
 * Everything that a change of a stream can answer instead of its description.
 *
 * @category errors
 * @since 0.1.0
 */
export type StreamChangeError = InvalidInput | RevisionConflict | StreamTombstoned | StorageError

/**
 * How far a log has come, and which history it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogHead {
  /** Position of the last event; 0 for an empty log. */
  readonly position: Position
  /** Id of this history: a restored or cloned store has another one. */
  readonly incarnation: string
  /** Of which history this one is the continuation, and up to where; absent when it was never restored. */
  readonly parent?: HistoryParent | undefined
}

/**
 * What is in a store.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoreStatistics {
  readonly events: number
  readonly streams: number
  /** Events of each type, most frequent first. */
  readonly types: Readonly<Record<string, number>>
  /** 0 for an empty log. */
  readonly firstPosition: Position
  readonly lastPosition: Position
  /** Size in the storage, in bytes, with indexes; of the JSON for `memory`. */
  readonly bytes: number
}
