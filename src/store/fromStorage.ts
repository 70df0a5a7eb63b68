/**
 * Makes an `EventStore` of a `Storage`: checks input before any I/O, pages
 * reads, follows the log.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { checkJson, normalizeEventId } from "../event/EncodedEvent.ts"
import type { RecordedEvent } from "../event/Event.ts"
import { checkFilter, type EventFilter } from "../event/EventQuery.ts"
import { InvalidInput } from "../event/InvalidInput.ts"
import { checkExpected, checkPosition, checkRevision, type Position, type Revision, START } from "../event/Revision.ts"
import { checkStreamId, type StreamId } from "../event/StreamId.ts"
import { encodeAppend, encodeAppendAll } from "./AppendRequest.ts"
import { completeEvents } from "./EventArchive.ts"
import { EventStore, type ReadAllOptions, type ReadPageOptions, type SubscribeOptions } from "./EventStore.ts"
import { PositionAheadOfLog, type ReadError, type StorageError } from "./EventStoreError.ts"
import { checked } from "./internal/checked.ts"
import type { LogQuery, Storage, StreamChange } from "./Storage.ts"
import { listStreams } from "./StreamList.ts"

/**
 * Makes an `EventStore` of a `Storage`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromStorage = (given: Storage): EventStore["Service"] => {
  const storage = withArchive(given)
  return EventStore.of({
    durability: storage.durability,
    append: (options) => {
      const request = encodeAppend(options)
      return request instanceof InvalidInput
        ? Effect.fail(request)
        : Effect.map(storage.append(request), Arr.headNonEmpty)
    },
    appendAll: (options) => {
      const request = encodeAppendAll(options)
      return request instanceof InvalidInput
        ? Effect.fail(request)
        : Effect.map(storage.append(request), (writes) => ({
          writes,
          position: Arr.lastNonEmpty(writes).position,
          alreadyAppended: writes[0].alreadyAppended
        }))
    },
    readStream: readStream(storage),
    readAll: readAll(storage),
    readPage: readPage(storage),
    subscribe: subscribe(storage),
    awaitGrowth: storage.awaitGrowth,
    findEvent: (id) => {
      const normal = normalizeEventId(id)
      return normal === undefined
        ? Effect.fail(new InvalidInput({ reason: "InvalidIdentifier", path: "id", detail: "expected a UUID" }))
        : storage.findEvent(normal)
    },
    describeStream: (streamId) =>
      checked(checkStreamId(streamId, "streamId"), () => storage.describeStream(streamId as StreamId)),
    listStreams: listStreams(storage),
    setStreamMetadata: (streamId, metadata) =>
      change(
        storage,
        streamId,
        checkMetadata(metadata),
        () => ({ _tag: "SetMetadata", metadata: JSON.stringify(metadata) })
      ),
    truncateBefore: (streamId, revision) =>
      change(
        storage,
        streamId,
        checkRevision(revision, "revision"),
        () => ({ _tag: "TruncateBefore", revision: revision as Revision })
      ),
    tombstone: (streamId, { expected = "streamExists" } = {}) =>
      change(storage, streamId, checkExpected(expected, "expected"), () => ({ _tag: "Tombstone", expected })),
    head: storage.head,
    statistics: storage.statistics
  })
}

// internal

/** Events a page of a long read carries: 500 read faster than 1,000, and hold a quarter of the memory (measured: PostgreSQL 18). */
const PAGE_SIZE_EVENTS = 500

/** Most events of one `readPage`; bounds its memory. */
const PAGE_SIZE_EVENTS_MAX = 10_000

/** How a follower waits for a storage that went away: 50 ms, doubled up to 2 s, with jitter, for ever. */
const RECONNECT = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")]).pipe(
  Schedule.jittered
)

/** Completes what is read: a page comes whole or not at all. */
const withArchive = (storage: Storage): Storage => {
  const { archived } = storage
  return archived === undefined ? storage : {
    ...storage,
    readLog: (query) =>
      Effect.flatMap(storage.readLog(query), (page) =>
        Effect.map(
          completeEvents(archived, "readLog", page.events),
          (events) => events === page.events ? page : { ...page, events }
        )),
    readStream: (query) =>
      Effect.flatMap(storage.readStream(query), (events) => completeEvents(archived, "readStream", events)),
    findEvent: (id) =>
      Effect.flatMap(
        storage.findEvent(id),
        Option.match({
          onNone: () => Effect.succeedNone,
          onSome: (event) => Effect.map(completeEvents(archived, "findEvent", [event]), Arr.head)
        })
      )
  }
}

const change = (
  storage: Storage,
  streamId: string,
  fault: InvalidInput | undefined,
  makeChange: () => StreamChange
) =>
  checked(
    checkStreamId(streamId, "streamId") ?? fault,
    () => storage.changeStream(streamId as StreamId, makeChange())
  )

const checkMetadata = (metadata: unknown): InvalidInput | undefined =>
  typeof metadata === "object" && metadata !== null && !Array.isArray(metadata)
    ? checkJson(metadata, "metadata")
    : new InvalidInput({ reason: "NotJson", path: "metadata", detail: "expected a JSON object" })

const checkLimit = (limit: number | undefined, max: number): InvalidInput | undefined =>
  limit === undefined || (Number.isInteger(limit) && limit >= 1 && limit <= max)
    ? undefined
    : new InvalidInput({ reason: "InvalidLimit", path: "limit", detail: `expected a whole number from 1 to ${max}` })

const checkBounds = (
  options: Pick<ReadAllOptions, "after" | "until" | "filter" | "limit">,
  limitMax: number
): InvalidInput | undefined =>
  (options.after === undefined ? undefined : checkPosition(options.after, "after")) ??
    (options.until === undefined ? undefined : checkPosition(options.until, "until")) ??
    (options.filter === undefined ? undefined : checkFilter(options.filter, "filter")) ??
    checkLimit(options.limit, limitMax)

/**
 * Streams pages: the first one as it is asked for, each later one while the one
 * before is consumed. No connection is held between them.
 */
const pages = <S, A, E>(
  start: S,
  fetch: (state: S) => Effect.Effect<readonly [ReadonlyArray<A>, Option.Option<S>], E>
): Stream.Stream<A, E> =>
  Stream.unwrap(Effect.map(fetch(start), ([first, next]) =>
    Option.isNone(next)
      ? Stream.fromIterable(first)
      : Stream.concat(
        Stream.fromIterable(first),
        Stream.paginate(next.value, fetch).pipe(Stream.bufferArray({ capacity: 1 }))
      )))

const readStream = (storage: Storage): EventStore["Service"]["readStream"] => (streamId, options = {}) => {
  const { direction = "forwards", from, limit = Number.MAX_SAFE_INTEGER } = options
  const fault = checkStreamId(streamId, "streamId") ??
    (from === undefined ? undefined : checkRevision(from, "from")) ??
    checkLimit(options.limit, Number.MAX_SAFE_INTEGER)
  if (fault !== undefined) return Stream.fail(fault)
  return pages({ from, left: limit }, ({ from, left }) => {
    const pageSize = Math.min(left, PAGE_SIZE_EVENTS)
    return Effect.map(
      storage.readStream({ streamId: streamId as StreamId, direction, from, limit: pageSize }),
      (events) => {
        const last = events.at(-1)
        const isEnd = last === undefined || events.length < pageSize || events.length >= left ||
          (direction === "backwards" && last.revision === 0)
        const next = isEnd
          ? Option.none()
          : Option.some({ from: last.revision + (direction === "forwards" ? 1 : -1), left: left - events.length })
        return [events, next]
      }
    )
  })
}

/** Where a read of the log stands, and what it knows of the time there. */
interface LogCursor {
  readonly after: number | undefined
  readonly timeBound: DateTime.Utc | undefined
}

const advance = (
  cursor: LogCursor,
  page: { readonly events: ReadonlyArray<RecordedEvent>; readonly position: Position }
): LogCursor => ({ after: page.position, timeBound: page.events.at(-1)?.recordedAt ?? cursor.timeBound })

/** A page that is empty at the end may start beyond the end: then the position is of another history. */
const readLog = (storage: Storage, query: LogQuery) =>
  Effect.flatMap(storage.readLog(query), (page) => {
    const { after = START, direction } = query
    return direction === "backwards" || page.events.length > 0 || !page.isEnd || after === START
      ? Effect.succeed(page)
      : Effect.flatMap(storage.head, (head) =>
        head.position < after
          ? Effect.fail(new PositionAheadOfLog({ position: after as Position, head: head.position }))
          : Effect.succeed(page))
  })

const readAll = (storage: Storage): EventStore["Service"]["readAll"] => (options = {}) => {
  const { after, direction = "forwards", filter, limit = Number.MAX_SAFE_INTEGER, until } = options
  const fault = checkBounds(options, Number.MAX_SAFE_INTEGER) ?? (direction === "backwards" && until !== undefined
    ? new InvalidInput({ reason: "InvalidPosition", path: "until", detail: "only bounds a read forwards" })
    : undefined)
  if (fault !== undefined) return Stream.fail(fault)
  const first: LogCursor = { after: after ?? (direction === "forwards" ? START : undefined), timeBound: undefined }
  return pages({ cursor: first, left: limit }, ({ cursor, left }) =>
    Effect.map(
      readLog(storage, { direction, ...cursor, until, filter, limit: Math.min(left, PAGE_SIZE_EVENTS) }),
      (page) => [
        page.events,
        page.isEnd || page.events.length >= left
          ? Option.none()
          : Option.some({ cursor: advance(cursor, page), left: left - page.events.length })
      ]
    ))
}

const readPage = (storage: Storage) => (options: ReadPageOptions) =>
  checked(
    checkBounds(options, PAGE_SIZE_EVENTS_MAX),
    () =>
      readLog(storage, {
        direction: "forwards",
        after: options.after,
        until: options.until,
        filter: options.filter,
        limit: options.limit ?? PAGE_SIZE_EVENTS,
        timeBound: undefined
      })
  )

const subscribe =
  (storage: Storage) => ({ after = START, filter }: SubscribeOptions = {}): Stream.Stream<RecordedEvent, ReadError> => {
    const fault = (after === "head" ? undefined : checkPosition(after, "after")) ??
      (filter === undefined ? undefined : checkFilter(filter, "filter"))
    if (fault !== undefined) return Stream.fail(fault)
    const start = after === "head"
      ? Effect.map(untilAvailable(storage.head), (head) => head.position)
      : Effect.succeed(after)
    return Stream.unwrap(
      Effect.map(start, (position) => follow(storage, { after: position, timeBound: undefined }, filter))
    )
  }

const follow = (
  storage: Storage,
  from: LogCursor,
  filter: EventFilter | undefined
): Stream.Stream<RecordedEvent, ReadError> =>
  Stream.paginate(
    { cursor: from, isEnd: false },
    ({ cursor, isEnd }) =>
      (isEnd ? storage.awaitGrowth(cursor.after ?? START) : Effect.void).pipe(
        Effect.andThen(untilAvailable(readLog(storage, {
          direction: "forwards",
          ...cursor,
          until: undefined,
          filter,
          limit: PAGE_SIZE_EVENTS
        }))),
        Effect.map((page) => [page.events, Option.some({ cursor: advance(cursor, page), isEnd: page.isEnd })] as const)
      )
  ).pipe(Stream.bufferArray({ capacity: 1 }))

const untilAvailable = <A, E>(self: Effect.Effect<A, E | StorageError>): Effect.Effect<A, E | StorageError> =>
  Effect.retry(self, { schedule: RECONNECT, while: isRetryable })

const isRetryable = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "isRetryable" in error && error.isRetryable === true
