import { LRUCache } from "lru-cache"
import type { Revision } from "../../event/Revision.ts"
import type { StreamId } from "../../event/StreamId.ts"
import type { StoredSnapshot } from "../../store/SnapshotStore.ts"
import type { CachedState, SnapshotCache } from "../SnapshotCache.ts"
import type { Observation } from "../SnapshotStrategy.ts"
import { sizeOf } from "./sizeOf.ts"

/** What is known of the snapshots of one stream. */
export interface Known {
  /** Revision of its newest snapshot in the store; -1 for none. */
  storedRevision: number
  /** When that was taken, in milliseconds since 1970; `undefined` when unknown. */
  storedAt: number | undefined
  /** First revision that is in its state. */
  firstRevision: Revision
  /** Whether the store said that it has none, and none was to be saved since. */
  isNew: boolean
  /** Whether the store holds one that cannot be read: the next report replaces it, whatever the strategy says. */
  isBroken: boolean
  /** Size of the state, in bytes, as it was at `measuredRevision`. */
  stateBytes: number
  measuredRevision: number
  /** What the strategy was asked last. */
  observation: { -readonly [K in keyof Observation]: Observation[K] } | undefined
}

/** What is known of streams, and their states as far as they are in the cache. */
export interface Ledger {
  /** What is known of a stream, if anything is. */
  readonly find: (streamId: StreamId) => Known | undefined
  /** What is known of a stream; of one that is not, what a report says. */
  readonly know: (streamId: StreamId, snapshotRevision: number) => Known
  /** Forgets a stream, its state in the cache included. */
  readonly forget: (streamId: StreamId) => void
  /** The state of a stream in the cache; being looked for is a hit or a miss of the cache. */
  readonly get: (streamId: StreamId) => CachedState | undefined
  /** As `get`, but not finding one is no miss. */
  readonly peek: (streamId: StreamId) => CachedState | undefined
  /** Puts a state into the cache, with what is known of its stream. */
  readonly put: (streamId: StreamId, known: Known, state: unknown, revision: Revision) => void
}

/**
 * Streams whose state is in the cache are known as long as it is there; of the
 * others, those that were not asked about for long are not known any more.
 */
export const makeLedger = (cache: SnapshotCache | undefined, cacheKey: (streamId: StreamId) => string): Ledger => {
  const streams = new LRUCache<StreamId, Known>({ max: STREAMS_MAX })
  const find = (streamId: StreamId): Known | undefined => {
    const cached = cache?.peek(cacheKey(streamId))
    return cached instanceof KnownState ? cached.known : streams.get(streamId)
  }
  return {
    find,
    know: (streamId, snapshotRevision) => {
      const found = find(streamId)
      if (found !== undefined) return found
      const known = unknown(snapshotRevision)
      streams.set(streamId, known)
      return known
    },
    forget: (streamId) => {
      cache?.remove(cacheKey(streamId))
      streams.delete(streamId)
    },
    get: (streamId) => cache?.get(cacheKey(streamId)),
    peek: (streamId) => {
      if (cache === undefined) return undefined
      const key = cacheKey(streamId)
      return cache.peek(key) === undefined ? undefined : cache.get(key)
    },
    put: (streamId, known, state, revision) => {
      cache?.put(cacheKey(streamId), new KnownState(state, revision, known))
    }
  }
}

/** Notes what the store holds of a stream. */
export const noteStored = (known: Known, snapshot: StoredSnapshot): void => {
  known.storedRevision = snapshot.revision
  known.storedAt = snapshot.takenAt.epochMilliseconds
  known.isBroken = false
}

/**
 * Measures a state, again whenever its stream has grown by a quarter: measuring
 * costs as much as the state is large, and this spreads it over the events.
 */
export const measure = (known: Known, state: unknown, revision: number): void => {
  if (known.measuredRevision >= 0 && revision < known.measuredRevision * 1.25 + REMEASURE_EVENTS) return
  known.stateBytes = sizeOf(state)
  known.measuredRevision = revision
}

// internal

/** Streams without a state in the cache that are remembered; each takes some 200 bytes. */
const STREAMS_MAX = 10_000

const REMEASURE_EVENTS = 8

/** A state in the cache that knows what is known of its stream: a command finds both at once. */
class KnownState implements CachedState {
  readonly state: unknown
  readonly revision: Revision
  readonly firstRevision: Revision
  readonly bytes: number
  readonly known: Known
  constructor(state: unknown, revision: Revision, known: Known) {
    this.state = state
    this.revision = revision
    this.firstRevision = known.firstRevision
    this.bytes = known.stateBytes
    this.known = known
  }
}

const unknown = (snapshotRevision: number): Known => ({
  storedRevision: snapshotRevision,
  storedAt: undefined,
  firstRevision: 0 as Revision,
  isNew: false,
  isBroken: false,
  stateBytes: 0,
  measuredRevision: -1,
  observation: undefined
})
