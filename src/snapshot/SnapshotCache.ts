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

const makeCache = (
  { heapShareMax = HEAP_SHARE_MAX, maxBytes = BYTES_MAX, timeToLive = TIME_TO_LIVE }: CacheOptions,
  now: () => number,
  heapShare: () => number
): SnapshotCache => {
  const entries = new LRUCache<string, CachedState>({
    maxSize: Math.max(1, Math.floor(maxBytes)),
    ttl: Math.max(1, Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(timeToLive)))),
    // every look asks the clock, which tests move; to the library the time 0 means that an entry never ends
    ttlResolution: 0,
    perf: { now: () => now() + 1 }
  })
  const counts = { hits: 0, misses: 0, reliefs: 0 }
  let lookedAt = -Infinity

  const relieve = (): void => {
    if (now() - lookedAt < HEAP_LOOK_MILLIS) return
    lookedAt = now()
    if (heapShare() <= heapShareMax || entries.size === 0) return
    counts.reliefs++
    const target = entries.calculatedSize / 2
    while (entries.calculatedSize > target) entries.pop()
  }

  return {
    get: (key) => {
      const found = entries.get(key)
      if (found === undefined) counts.misses++
      else counts.hits++
      return found
    },
    put: (key, state) => {
      const known = entries.peek(key)
      if (known !== undefined && known.revision > state.revision) return
      relieve()
      // the key takes room as well
      entries.set(key, state, { size: Math.max(1, Math.ceil(state.bytes)) + key.length })
    },
    remove: (key) => void entries.delete(key),
    statistics: () => ({ ...counts, entries: entries.size, bytes: entries.calculatedSize })
  }
}
