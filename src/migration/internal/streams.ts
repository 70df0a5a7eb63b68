/**
 * What a store knows of its streams besides their events.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { RecordedEvent } from "../../event/Event.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { Position } from "../../event/Revision.ts"
import type { EventStore, StreamChangeError, StreamDescription } from "../../store/EventStore.ts"
import type { ReadError, StorageError } from "../../store/EventStoreError.ts"

/** Which part of the source is copied. */
export interface Extent {
  readonly from: EventStore["Service"]
  readonly to: EventStore["Service"]
  /** Last position of the source (inclusive). */
  readonly until: Position
  readonly includes: (streamId: string) => boolean
  /** Events of a stream that the policy left out. */
  readonly leftOut: ReadonlyMap<string, number>
  /** Whether the policy leaves an event out. */
  readonly isLeftOut: (event: RecordedEvent) => boolean
}

/** Makes an effect that gives the next stream by name each time, and `undefined` after the last. */
export const makeStreamPull = (
  store: EventStore["Service"]
): Effect.Effect<StreamDescription | undefined, InvalidInput | StorageError> => {
  let page: ReadonlyArray<StreamDescription> = []
  let index = 0
  let cursor: string | undefined
  let isLast = false
  return Effect.suspend(() =>
    index < page.length || isLast
      ? Effect.succeed(page[index++])
      : Effect.map(store.listStreams({ sort: "name", limit: PAGE_STREAMS, cursor }), ({ next, streams }) => {
        page = streams
        index = 1
        cursor = next
        isLast = next === undefined
        return page[0]
      })
  )
}

/** Gives the target's streams the metadata, the truncation and the end of the source's. */
export const copyStreamStates = Effect.fnUntraced(function*(
  extent: Extent
): Effect.fn.Return<void, StreamChangeError | ReadError> {
  const next = makeStreamPull(extent.from)
  for (let source = yield* next; source !== undefined; source = yield* next) {
    if (!isPlain(source)) yield* copyState(extent, source)
  }
})

/** How many events of a stream of the source the target has to have; 0 when the stream is not copied. */
export const countExpected = (
  extent: Extent,
  source: StreamDescription
): Effect.Effect<number, ReadError> => {
  const { from, includes, leftOut, until } = extent
  if (!includes(source.streamId) || source.firstPosition > until) return Effect.succeed(0)
  const left = leftOut.get(source.streamId) ?? 0
  if (source.lastPosition <= until) return Effect.succeed(source.revision + 1 - left)
  // the stream has grown since: its last event that was copied tells how long it was
  return from.readAll({
    after: until + 1,
    direction: "backwards",
    filter: { streamIds: [source.streamId] },
    limit: 1
  }).pipe(
    Stream.runHead,
    Effect.map(Option.match({ onNone: () => 0, onSome: ({ revision }) => revision + 1 - left }))
  )
}

// internal

const PAGE_STREAMS = 1_000

const isPlain = ({ isTombstoned, metadata, truncateBefore }: StreamDescription): boolean =>
  !isTombstoned && truncateBefore === 0 && Object.keys(metadata).length === 0

const copyState = Effect.fnUntraced(function*(extent: Extent, source: StreamDescription) {
  const { includes, to, until } = extent
  const { streamId } = source
  if (!includes(streamId)) return
  const target = Option.getOrUndefined(yield* to.describeStream(streamId))
  if (target === undefined || target.isTombstoned) return
  if (JSON.stringify(target.metadata) !== JSON.stringify(source.metadata)) {
    yield* to.setStreamMetadata(streamId, source.metadata)
  }
  const before = Math.min(yield* shifted(extent, source), target.revision + 1)
  if (before > target.truncateBefore) yield* to.truncateBefore(streamId, before)
  // one that was ended after events that are not copied yet has to wait for them
  if (source.isTombstoned && source.lastPosition <= until) yield* to.tombstone(streamId)
})

/** Where a truncation stands in the target, whose revisions are lower by what was left out. */
const shifted = (
  { from, isLeftOut, leftOut, until }: Extent,
  { streamId, truncateBefore }: StreamDescription
): Effect.Effect<number, ReadError> =>
  truncateBefore === 0 || !leftOut.has(streamId)
    ? Effect.succeed(truncateBefore)
    : from.readAll({ filter: { streamIds: [streamId] }, until }).pipe(
      Stream.takeWhile(({ revision }) => revision < truncateBefore),
      Stream.filter((event) => !isLeftOut(event)),
      Stream.runCount
    )
