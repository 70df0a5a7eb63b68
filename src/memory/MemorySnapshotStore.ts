/**
 * Snapshots in the memory of the process.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { StreamId } from "../event/StreamId.ts"
import { EventStore } from "../store/EventStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import {
  fromSnapshotStorage,
  type SnapshotKey,
  type SnapshotListQuery,
  type SnapshotPruneQuery,
  type SnapshotSelection,
  type SnapshotStorage
} from "../store/SnapshotStorage.ts"
import {
  type SnapshotDescription,
  type SnapshotGroup,
  type SnapshotStatistics,
  SnapshotStore,
  type StoredSnapshot
} from "../store/SnapshotStore.ts"
import { MemorySnapshots } from "./internal/parts.ts"
import { compareNames } from "./internal/streams.ts"

/**
 * Layer that keeps the snapshots of a log in memory; they are gone when the
 * layer is closed.
 *
 * **Details**
 *
 * Needs the log to ask it which snapshots it contradicts. Fit for any log, not
 * only for one in memory: every process then has snapshots of its own.
 *
 * **Example**
 *
 * ```ts
 * program.pipe(Effect.provide(Layer.provideMerge(MemorySnapshotStore.layer, MemoryEventStore.layer)))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SnapshotStore | MemorySnapshots, never, EventStore> = Layer.effectContext(
  Effect.map(EventStore, (log) => {
    const streams: Streams = new Map()
    return Context.make(SnapshotStore, fromSnapshotStorage(makeStorage(log, streams))).pipe(
      Context.add(MemorySnapshots, {
        all: () => everything(streams).toSorted(compareKeys),
        save: (snapshot) => save(streams, snapshot)
      })
    )
  })
)

// internal

/** Snapshots of one stream, kind and fingerprint, by revision upwards. */
type Series = ReadonlyArray<StoredSnapshot>

type SeriesByKey = Map<string, Series>

type Streams = Map<StreamId, SeriesByKey>

const makeStorage = (log: EventStore["Service"], streams: Streams): SnapshotStorage => ({
  // the log says so when it is being restored
  save: (snapshot) => Effect.map(log.head, () => save(streams, snapshot)),
  load: ({ atMost = Infinity, fingerprint, kind, streamId }) =>
    Effect.suspend(() => {
      const series = streams.get(streamId)?.get(seriesKey(kind, fingerprint)) ?? []
      return Effect.map(
        usability(log, streamId),
        (isUsable) =>
          Option.fromUndefinedOr(series.findLast((snapshot) => snapshot.revision <= atMost && isUsable(snapshot)))
      )
    }),
  list: (query) => Effect.sync(() => list(streams, query)),
  prune: (query) => prune(streams, log, query),
  remove: (selection) => Effect.sync(() => removeWhere(streams, selection, () => true)),
  statistics: Effect.sync(() => statistics(streams))
})

/** Neither a kind nor a fingerprint has control characters. */
const seriesKey = (kind: string, fingerprint: string): string => `${kind}\n${fingerprint}`

const save = (streams: Streams, snapshot: StoredSnapshot): void => {
  const { fingerprint, kind, revision, streamId } = snapshot
  const ofStream = streams.get(streamId) ?? new Map<string, Series>()
  const series = ofStream.get(seriesKey(kind, fingerprint)) ?? []
  streams.set(
    streamId,
    ofStream.set(seriesKey(kind, fingerprint), [
      ...series.filter((other) => other.revision < revision),
      snapshot,
      ...series.filter((other) => other.revision > revision)
    ])
  )
}

/** What the log says of a stream decides which of its snapshots may be served. */
const usability = (
  log: EventStore["Service"],
  streamId: StreamId
): Effect.Effect<(snapshot: StoredSnapshot) => boolean, StorageError> =>
  Effect.map(
    Effect.catchTag(log.describeStream(streamId), "InvalidInput", (fault) => Effect.die(fault)),
    Option.match({
      onNone: () => () => false,
      onSome: ({ isTombstoned, revision, truncateBefore }) => (snapshot: StoredSnapshot) =>
        !isTombstoned && truncateBefore <= snapshot.firstRevision && snapshot.revision <= revision
    })
  )

const everything = (streams: Streams): ReadonlyArray<StoredSnapshot> =>
  Array.from(streams.values(), (ofStream) => Array.from(ofStream.values()).flat()).flat()

const isSelected = (selection: SnapshotSelection, snapshot: StoredSnapshot): boolean =>
  (["streamId", "kind", "fingerprint", "revision"] as const)
    .every((key) => selection[key] === undefined || selection[key] === snapshot[key])

/** The streams that a selection is about: one, which a save prunes without a look at the others, or all. */
const streamsOf = (streams: Streams, { streamId }: SnapshotSelection): Iterable<readonly [StreamId, SeriesByKey]> => {
  if (streamId === undefined) return streams
  const ofStream = streams.get(streamId)
  return ofStream === undefined ? [] : [[streamId, ofStream]]
}

const removeWhere = (
  streams: Streams,
  selection: SnapshotSelection,
  isDoomed: (snapshot: StoredSnapshot, index: number, series: Series) => boolean
): number => {
  let removed = 0
  for (const [streamId, ofStream] of streamsOf(streams, selection)) {
    for (const [key, series] of ofStream) {
      const kept = series.filter((snapshot, index) =>
        !(isSelected(selection, snapshot) && isDoomed(snapshot, index, series))
      )
      removed += series.length - kept.length
      if (kept.length > 0) ofStream.set(key, kept)
      else ofStream.delete(key)
    }
    if (ofStream.size === 0) streams.delete(streamId)
  }
  return removed
}

const prune = Effect.fnUntraced(function*(streams: Streams, log: EventStore["Service"], query: SnapshotPruneQuery) {
  const { keepLast = Infinity, takenBefore, unusable } = query
  const usable = new Map<StreamId, (snapshot: StoredSnapshot) => boolean>()
  if (unusable) {
    for (const [streamId] of streamsOf(streams, query)) usable.set(streamId, yield* usability(log, streamId))
  }
  return removeWhere(streams, query, (snapshot, index, series) =>
    index < series.length - keepLast ||
    (takenBefore !== undefined && DateTime.isLessThan(snapshot.takenAt, takenBefore)) ||
    usable.get(snapshot.streamId)?.(snapshot) === false)
})

const compareKeys = (a: SnapshotKey, b: SnapshotKey): number =>
  compareNames(a.streamId, b.streamId) || compareNames(a.kind, b.kind) ||
  compareNames(a.fingerprint, b.fingerprint) || a.revision - b.revision

const list = (streams: Streams, query: SnapshotListQuery): ReadonlyArray<SnapshotDescription> => {
  const { after, limit } = query
  return everything(streams)
    .filter((snapshot) => isSelected(query, snapshot) && (after === undefined || compareKeys(snapshot, after) > 0))
    .sort(compareKeys)
    .slice(0, limit)
    .map(({ bytes, digest: _, ...description }) => ({ ...description, storedBytes: bytes.length }))
}

const statistics = (streams: Streams): SnapshotStatistics => {
  const all = everything(streams)
  const groups = Array.from(Map.groupBy(all, ({ fingerprint, kind }) => seriesKey(kind, fingerprint)).values(), toGroup)
  return {
    snapshots: all.length,
    storedBytes: groups.reduce((sum, group) => sum + group.storedBytes, 0),
    groups: groups.sort((a, b) => compareNames(a.kind, b.kind) || compareNames(a.fingerprint, b.fingerprint))
  }
}

/** Groups are never empty. */
const toGroup = (snapshots: ReadonlyArray<StoredSnapshot>): SnapshotGroup => {
  const times = snapshots.map(({ takenAt }) => takenAt)
  const [{ fingerprint, kind }] = snapshots as Arr.NonEmptyReadonlyArray<StoredSnapshot>
  return {
    kind,
    fingerprint,
    snapshots: snapshots.length,
    streams: new Set(snapshots.map(({ streamId }) => streamId)).size,
    storedBytes: snapshots.reduce((sum, { bytes }) => sum + bytes.length, 0),
    plainBytes: snapshots.reduce((sum, { plainBytes }) => sum + plainBytes, 0),
    oldestTakenAt: times.reduce(DateTime.min),
    newestTakenAt: times.reduce(DateTime.max)
  }
}
