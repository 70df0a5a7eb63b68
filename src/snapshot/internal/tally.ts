import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

/** What is counted, and what it means. */
const COUNTERS = {
  cacheHits: ["cache_hits", "Loads whose state was in the cache"],
  cacheMisses: ["cache_misses", "Loads whose state was not in the cache"],
  storeHits: ["store_hits", "Loads that found a snapshot in the store"],
  storeMisses: ["store_misses", "Loads that found none in the store"],
  broken: ["broken", "Snapshots whose bytes were not what was stored, or did not fit"],
  storeFailures: ["store_failures", "Loads and saves that the snapshot store failed"],
  saved: ["saved", "Snapshots saved"],
  dropped: ["dropped", "Snapshots that were due and not taken: too many waited, or the store had failed"],
  notSerializable: ["not_serializable", "States that their serialization could not keep"]
} as const

/** Name of a counter. */
export type Counter = keyof typeof COUNTERS

/** Counts what happens to the snapshots of one kind, here and as metrics of the process. */
export interface Tally {
  readonly note: (counter: Counter) => Effect.Effect<void>
  readonly counts: () => Readonly<Record<Counter, number>>
}

export const makeTally = (kind: string): Tally => {
  const names = Object.keys(COUNTERS) as ReadonlyArray<Counter>
  const counts = Object.fromEntries(names.map((name) => [name, 0])) as Record<Counter, number>
  const updates = Object.fromEntries(names.map((name) => {
    const [suffix, description] = COUNTERS[name]
    const metric = Metric.counter(`event_store_snapshot_${suffix}`, { description, incremental: true })
    return [name, Metric.update(Metric.withAttributes(metric, { kind }), 1)]
  })) as Record<Counter, Effect.Effect<void>>
  return {
    note: (counter) =>
      Effect.suspend(() => {
        counts[counter]++
        return updates[counter]
      }),
    counts: () => ({ ...counts })
  }
}
