import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Position, START } from "../../event/Revision.ts"
import type { ProjectionRecord, StoredState } from "../../store/CheckpointStore.ts"
import { Refused, StorageError } from "../../store/EventStoreError.ts"
import type {
  ChangesQuery,
  CountQuery,
  ReadModelStore,
  ReadPoint,
  ReadQuery,
  ReadSource
} from "../../store/ReadModelStore.ts"
import type { Feed, Feeds } from "./feeds.ts"
import { comparePlaces, type ParsedState, passes, placeOf } from "./stateFilter.ts"

/** A slice of what is read. */
export interface ReadSlice {
  readonly record: ProjectionRecord
  /** Those of all slices. */
  readonly states: ReadonlyMap<string, string>
}

/** Reads the states that are kept in memory. Every answer is one synchronous step, and so of one moment. */
export const makeReadModels = (
  slicesOf: (source: ReadSource) => ReadonlyArray<ReadSlice>,
  feeds: Feeds
): ReadModelStore["Service"] => ({
  hasTables: false,
  readPoint: (source) => Effect.sync(() => pointOf(slicesOf(source))),
  readStates: (query) => Effect.sync(() => readStates(slicesOf(query.source), query)),
  countStates: (query) =>
    Effect.sync(() => {
      const slices = slicesOf(query.source)
      return { count: findStates(slices, query).length, point: pointOf(slices) }
    }),
  describeTable: () => Effect.succeed(Option.none()),
  readRows: () => Effect.fail(noTables),
  countRows: () => Effect.fail(noTables),
  readChanges: (query) =>
    Effect.sync(() => {
      const slices = slicesOf(query.source)
      const feed = slices[0] === undefined ? undefined : feeds.get(slices[0].states)
      return Option.map(Option.fromUndefinedOr(feed), (feed) => ({
        feed: feed.id,
        newest: feed.newest,
        forgotten: feed.forgotten,
        changes: changesAfter(feed, query),
        point: pointOf(slices)
      }))
    }),
  transact: () => Effect.fail(noTables)
})

// internal

const noTables = new StorageError({
  operation: "readRows",
  reason: new Refused({ detail: "this storage has no tables" })
})

const pointOf = (slices: ReadonlyArray<ReadSlice>): ReadPoint => ({
  position: slices.length === 0
    ? START
    : Math.min(...slices.map(({ record }) => record.checkpoint.position)) as Position,
  incarnation: slices[0]?.record.checkpoint.incarnation
})

interface Found extends ParsedState {
  readonly state: string
}

const findStates = (slices: ReadonlyArray<ReadSlice>, { filter }: CountQuery): ReadonlyArray<Found> => {
  const all = Array.from(
    slices[0]?.states ?? [],
    ([key, state]): Found => ({ key, state, json: JSON.parse(state) as unknown })
  )
  return filter === undefined ? all : all.filter((state) => passes(filter, state))
}

const readStates = (slices: ReadonlyArray<ReadSlice>, query: ReadQuery) => {
  const { after, limit, order } = query
  const placed = findStates(slices, query)
    .map((state) => ({ state, place: placeOf(order, state) }))
    .filter(({ place }) => after === undefined || comparePlaces(order, place, after) > 0)
    .sort((a, b) => comparePlaces(order, a.place, b.place))
    .slice(0, limit)
  return {
    items: placed.map(({ state: { key, state } }): StoredState => ({ key, state })),
    places: placed.map(({ place }) => place),
    point: pointOf(slices)
  }
}

const changesAfter = ({ changes }: Feed, { after, limit }: ChangesQuery) => {
  const index = after === undefined ?
    0 :
    changes.findIndex(({ change, id }) =>
      change > after.change || (change === after.change && after.id !== "" && id > after.id)
    )
  return index < 0 ? [] : changes.slice(index, index + limit)
}
