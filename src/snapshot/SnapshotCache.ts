/**
 * States that were loaded lately, in memory: a load from here reads nothing.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { LRUCache } from "lru-cache"
import type { Revision } from "../event/Revision.ts"
import { HeapShare } from "./internal/heap.ts"

/**
 * A bounded cache of states; several kinds may share one.
 *
 * **Details**
 *
 * What was used least lately goes first when the states together take more than
 * `maxBytes`, and half of all goes when the heap of the process is nearly full.
 * An entry is forgotten `timeToLive` after it was last put.
 *
 * **Gotchas**
 *
 * States are kept as they are, not copied: whoever changes one in place changes
 * the next load. Sizes are estimates.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotCache {
  readonly get: (key: string) => CachedState | undefined
  /** Returns what `get` would, and is no use of it: neither a hit nor a miss, nor a reason to keep it. */
  readonly peek: (key: string) => CachedState | undefined
  /** Keeps a state, unless a newer one of this key is there. */
  readonly put: (key: string, state: CachedState) => void
  readonly remove: (key: string) => void
  readonly statistics: () => CacheStatistics
}

/**
 * A state in the cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface CachedState {
  readonly state: unknown
  /** Last revision that is in the state. */
  readonly revision: Revision
  /** First revision that is in the state. */
  readonly firstRevision: Revision
  /** Size of the state, in bytes; an estimate. */
  readonly bytes: number
}

/**
 * How a cache is used.
 *
 * @category models
 * @since 0.1.0
 */
export interface CacheStatistics {
  readonly hits: number
  readonly misses: number
  readonly entries: number
  readonly bytes: number
  /** How often the heap was nearly full, and half of the entries went. */
  readonly reliefs: number
}

/**
 * Bounds of a cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface CacheOptions {
  /** Most bytes of all states together; 64 MiB when absent. */
  readonly maxBytes?: number | undefined
  /** How long a state stays after it was last put; 10 minutes when absent. */
  readonly timeToLive?: Duration.Input | undefined
  /** Share of the heap's limit above which half of the entries go, 0 to 1; 0.85 when absent. */
  readonly heapShareMax?: number | undefined
}

/**
 * Makes a cache.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: CacheOptions = {}): Effect.Effect<SnapshotCache> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const heapShare = yield* HeapShare
    return makeCache(options, () => clock.currentTimeMillisUnsafe(), heapShare)
  })

// internal

const BYTES_MAX = 64 * 1024 * 1024
const TIME_TO_LIVE = Duration.minutes(10)
const HEAP_SHARE_MAX = 0.85

/** How long one look at the heap is good for. */
const HEAP_LOOK_MILLIS = 1_000

/** A place in the cache: a state that is as large as the one before takes its place over. */
interface Place {
  state: CachedState
  readonly size: number
  /** Last moment at which the state is not forgotten, in milliseconds since 1970. */
  endsAt: number
}

const makeCache = (
  { heapShareMax = HEAP_SHARE_MAX, maxBytes = BYTES_MAX, timeToLive = TIME_TO_LIVE }: CacheOptions,
  now: () => number,
  heapShare: () => number
): SnapshotCache => {
  // the library's own times to live would ask the clock more often, and timers beside it
  const places = new LRUCache<string, Place>({ maxSize: Math.max(1, Math.floor(maxBytes)) })
  const millisToLive = Math.max(1, Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(timeToLive))))
  const counts = { hits: 0, misses: 0, reliefs: 0 }
  let lookedAt = -Infinity

  const relieve = (at: number): void => {
    if (at - lookedAt < HEAP_LOOK_MILLIS) return
    lookedAt = at
    if (heapShare() <= heapShareMax || places.size === 0) return
    counts.reliefs++
    const target = places.calculatedSize / 2
    while (places.calculatedSize > target) places.pop()
  }

  return {
    get: (key) => {
      const place = places.get(key)
      if (place !== undefined && now() <= place.endsAt) {
        counts.hits++
        return place.state
      }
      if (place !== undefined) places.delete(key)
      counts.misses++
      return undefined
    },
    peek: (key) => {
      const place = places.peek(key)
      return place !== undefined && now() <= place.endsAt ? place.state : undefined
    },
    put: (key, state) => {
      const at = now()
      relieve(at)
      const place = places.get(key)
      if (place !== undefined && place.state.revision > state.revision && at <= place.endsAt) return
      // the key takes room as well
      const size = Math.max(1, Math.ceil(state.bytes)) + key.length
      const endsAt = at + millisToLive
      if (place?.size !== size) {
        places.set(key, { state, size, endsAt }, { size })
        return
      }
      place.state = state
      place.endsAt = endsAt
    },
    remove: (key) => void places.delete(key),
    statistics: () => ({ ...counts, entries: places.size, bytes: places.calculatedSize })
  }
}
