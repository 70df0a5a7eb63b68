/**
 * Describes, lists and changes streams.
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { isMet } from "../../event/Revision.ts"
import type { Position, Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import type { StreamDescription, StreamSort } from "../../store/EventStore.ts"
import { RevisionConflict, StreamTombstoned } from "../../store/EventStoreError.ts"
import type { StreamChange, StreamListQuery } from "../../store/Storage.ts"
import { sortKey } from "../../store/StreamList.ts"
import { type Log, partitionPoint, type StreamEntry } from "./log.ts"

export const describeStream = (log: Log, streamId: StreamId): Option.Option<StreamDescription> =>
  Option.map(Option.fromUndefinedOr(log.streams.get(streamId)), (stream) => describe(log, stream))

/** Changes what is kept about a stream that has events. */
export const changeStream = (
  log: Log,
  streamId: StreamId,
  change: StreamChange
): Result.Result<StreamDescription, RevisionConflict | StreamTombstoned> => {
  const stream = log.streams.get(streamId)
  const claim = change._tag === "Tombstone" ? change.expected : "streamExists"
  if (stream === undefined) return Result.fail(new RevisionConflict({ streamId, expected: claim, actual: undefined }))
  const refusal = refuseChange(stream, change)
  if (refusal !== undefined) return Result.fail(refusal)
  switch (change._tag) {
    case "SetMetadata":
      stream.metadata = change.metadata
      break
    case "TruncateBefore":
      stream.truncateBefore = Math.max(stream.truncateBefore, change.revision)
      break
    case "Tombstone":
      stream.isTombstoned = true
      break
  }
  return Result.succeed(describe(log, stream))
}

/** Orders of the streams as they were last listed. */
export type Orders = Map<StreamSort, { readonly stamp: number; readonly streams: ReadonlyArray<Ordered> }>

export const makeOrders = (): Orders => new Map()

/**
 * Lists streams after the last one of the page before.
 *
 * An order is kept until an append changes it, so that paging through many
 * streams sorts them once.
 */
export const listStreams = (log: Log, orders: Orders, query: StreamListQuery): ReadonlyArray<StreamDescription> => {
  const { after, category, descending, limit, prefix, sort } = query
  const ordered = orderOf(log, orders, sort)
  const found: Array<StreamDescription> = []
  const add = ({ stream }: Ordered): void => {
    if (
      (category === undefined || stream.category.name === category) &&
      (prefix === undefined || stream.streamId.startsWith(prefix))
    ) {
      found.push(describe(log, stream))
    }
  }
  if (descending) {
    const end = after === undefined ? ordered.length : partitionPoint(ordered, (entry) => compare(entry, after) < 0)
    for (let index = end - 1; index >= 0 && found.length < limit; index--) add(ordered[index] as Ordered)
  } else {
    const start = after === undefined ? 0 : partitionPoint(ordered, (entry) => compare(entry, after) <= 0)
    for (let index = start; index < ordered.length && found.length < limit; index++) add(ordered[index] as Ordered)
  }
  return found
}

/** Compares names by code point, as PostgreSQL's collation "C" does; `<` compares code units. */
export const compareNames = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return codePointRank(left) - codePointRank(right)
  }
  return a.length - b.length
}

// internal

/** Surrogates stand for code points above all that one code unit can say. */
const codePointRank = (unit: number): number => unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit

interface Ordered {
  readonly key: number
  readonly name: string
  readonly stream: StreamEntry
}

const orderOf = (log: Log, orders: Orders, sort: StreamSort): ReadonlyArray<Ordered> => {
  // only new streams change the order by name and by creation
  const stamp = sort === "name" || sort === "created" ? log.streams.size : log.events.length
  const kept = orders.get(sort)
  if (kept?.stamp === stamp) return kept.streams
  const streams = Array.from(log.streams.values(), (stream) => ({
    key: sortKey(sort, describe(log, stream)),
    name: stream.streamId,
    stream
  })).sort(compare)
  orders.set(sort, { stamp, streams })
  return streams
}

const compare = (a: Pick<Ordered, "key" | "name">, b: Pick<Ordered, "key" | "name">): number =>
  a.key - b.key || compareNames(a.name, b.name)

const describe = (log: Log, stream: StreamEntry): StreamDescription => {
  const firstPosition = stream.positions[0] as Position
  const lastPosition = stream.positions.at(-1) as Position
  return {
    streamId: stream.streamId,
    category: stream.category.name,
    revision: (stream.positions.length - 1) as Revision,
    firstPosition,
    lastPosition,
    firstRecordedAt: recordedAt(log, firstPosition),
    lastRecordedAt: recordedAt(log, lastPosition),
    truncateBefore: stream.truncateBefore,
    isTombstoned: stream.isTombstoned,
    metadata: JSON.parse(stream.metadata) as StreamDescription["metadata"]
  }
}

const recordedAt = (log: Log, position: number): DateTime.Utc =>
  DateTime.makeUnsafe(log.events[position - 1]?.recordedAt ?? 0)

const refuseChange = (stream: StreamEntry, change: StreamChange): RevisionConflict | StreamTombstoned | undefined => {
  const { isTombstoned, streamId } = stream
  const actual = (stream.positions.length - 1) as Revision
  if (change._tag === "Tombstone") {
    return isTombstoned || isMet(change.expected, actual)
      ? undefined
      : new RevisionConflict({ streamId, expected: change.expected, actual })
  }
  if (isTombstoned) return new StreamTombstoned({ streamId })
  return change._tag === "TruncateBefore" && change.revision > actual + 1
    ? new RevisionConflict({ streamId, expected: change.revision - 1, actual })
    : undefined
}
