/**
 * A log that is a list: events as a store would give them back, to be read only.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { EventId, ProposedEvent, RecordedEvent } from "../../event/Event.ts"
import { matchesFilter } from "../../event/EventQuery.ts"
import type { Position, Revision } from "../../event/Revision.ts"
import { category, type StreamId } from "../../event/StreamId.ts"
import type { EventStore, StreamDescription } from "../../store/EventStore.ts"
import { Refused, StorageError } from "../../store/EventStoreError.ts"
import { fromStorage } from "../../store/fromStorage.ts"

/** An event, its stream, and when it was recorded. */
export interface ListedEvent extends ProposedEvent {
  readonly streamId?: string | undefined
  readonly recordedAt?: DateTime.Utc | undefined
}

/** Records events in a list: positions from 1, revisions from 0, a second apart; data goes through JSON, as in a store. */
export const listEvents = (
  events: ReadonlyArray<ListedEvent>,
  defaultStream: string
): ReadonlyArray<RecordedEvent> => {
  const lengths = new Map<string, number>()
  let last = 0
  return events.map(
    ({ data, id, metadata = {}, recordedAt, streamId = defaultStream, tags = [], type, version = 1 }, index) => {
      const revision = lengths.get(streamId) ?? 0
      lengths.set(streamId, revision + 1)
      // time never runs against position
      last = Math.max(recordedAt?.epochMilliseconds ?? last + 1_000, last)
      return {
        position: index + 1 as Position,
        streamId: streamId as StreamId,
        revision: revision as Revision,
        id: (id ?? `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`) as EventId,
        type,
        version,
        data: JSON.parse(JSON.stringify(data)) as RecordedEvent["data"],
        metadata: JSON.parse(JSON.stringify(metadata)) as RecordedEvent["metadata"],
        tags: [...tags].sort(),
        recordedAt: DateTime.makeUnsafe(last)
      }
    }
  )
}

/** Makes a store of a list, as part of a history. */
export const makeListStore = (
  events: ReadonlyArray<RecordedEvent>,
  incarnation: string
): EventStore["Service"] => {
  const head = events.length as Position
  const describe = (streamId: string) => describeStream(events.filter((event) => event.streamId === streamId))
  return fromStorage({
    durability: "memory",
    append: () => Effect.fail(readOnly("append")),
    changeStream: () => Effect.fail(readOnly("changeStream")),
    readLog: ({ after, direction, filter = {}, limit, until = head }) =>
      Effect.sync(() => {
        const isForwards = direction === "forwards"
        const range = isForwards
          ? events.slice(after ?? 0, until)
          : events.slice(0, after === undefined ? head : after - 1).toReversed()
        const matching = range.filter((event) => matchesFilter(filter, event))
        const page = matching.slice(0, limit)
        const isEnd = page.length === matching.length
        const end = isForwards ? Math.max(after ?? 0, Math.min(until, head)) : 0
        return { events: page, isEnd, position: (isEnd ? end : page.at(-1)?.position ?? end) as Position }
      }),
    readStream: ({ direction, from, limit, streamId }) =>
      Effect.sync(() => {
        const stream = events.filter((event) => event.streamId === streamId)
        return direction === "forwards"
          ? stream.slice(from ?? 0, (from ?? 0) + limit)
          : stream.slice(0, from === undefined ? stream.length : from + 1).toReversed().slice(0, limit)
      }),
    findEvent: (id) => Effect.sync(() => Option.fromUndefinedOr(events.find((event) => event.id === id))),
    describeStream: (streamId) => Effect.sync(() => Option.fromUndefinedOr(describe(streamId))),
    listStreams: ({ limit }) =>
      Effect.sync(() =>
        [...new Set(events.map(({ streamId }) => streamId))].flatMap((streamId) => describe(streamId) ?? []).slice(
          0,
          limit
        )
      ),
    head: Effect.succeed({ position: head, incarnation }),
    statistics: Effect.sync(() => ({
      events: events.length,
      streams: new Set(events.map(({ streamId }) => streamId)).size,
      types: Object.fromEntries([...Map.groupBy(events, ({ type }) => type)].map(([type, of]) => [type, of.length])),
      firstPosition: Math.min(1, head) as Position,
      lastPosition: head,
      bytes: 0
    })),
    awaitGrowth: (position) => position < head ? Effect.void : Effect.never
  })
}

// internal

const readOnly = (operation: string) =>
  new StorageError({
    operation,
    reason: new Refused({ detail: "the events of a scenario are given, and stay as they are" })
  })

const describeStream = (stream: ReadonlyArray<RecordedEvent>): StreamDescription | undefined => {
  const [first, last] = [stream[0], stream.at(-1)]
  return first === undefined || last === undefined ? undefined : {
    streamId: first.streamId,
    category: category(first.streamId),
    revision: last.revision,
    firstPosition: first.position,
    lastPosition: last.position,
    firstRecordedAt: first.recordedAt,
    lastRecordedAt: last.recordedAt,
    truncateBefore: 0,
    isTombstoned: false,
    metadata: {}
  }
}
