import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"

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

/** Counts what happens to the snapshots of one kind: plainly here, and a moment later as metrics of the process. */
export interface Tally {
  readonly counts: Readonly<Record<Counter, number>>
  readonly note: (counter: Counter) => void
  /** Brings the metrics up to date, which happens by itself a second after something was counted. */
  readonly publish: Effect.Effect<void>
}

/** The end of the scope publishes what was counted until then. */
export const makeTally = (kind: string): Effect.Effect<Tally, never, Scope.Scope> =>
  Effect.gen(function*() {
    const counts = zeros()
    const published = zeros()
    const metrics = names.map((name) => [name, toMetric(kind, name)] as const)
    const changed = yield* Latch.make()
    let isPublished = true

    const publish = Effect.suspend(() => {
      isPublished = true
      changed.closeUnsafe()
      return Effect.forEach(metrics, ([name, metric]) => {
        const rise = counts[name] - published[name]
        published[name] = counts[name]
        return rise === 0 ? Effect.void : Metric.update(metric, rise)
      }, { discard: true })
    })
    yield* Effect.addFinalizer(() => publish)
    yield* Effect.forkScoped(
      Effect.forever(changed.await.pipe(Effect.andThen(Effect.sleep(PUBLISH_AFTER)), Effect.andThen(publish)))
    )

    return {
      counts,
      publish,
      note: (counter) => {
        counts[counter]++
        if (isPublished) {
          isPublished = false
          changed.openUnsafe()
        }
      }
    }
  })

// internal

/** An update of a metric costs as much as the load from the cache that it counts. */
const PUBLISH_AFTER = "1 second"

const names = Object.keys(COUNTERS) as ReadonlyArray<Counter>

const zeros = (): Record<Counter, number> =>
  Object.fromEntries(names.map((name) => [name, 0])) as Record<Counter, number>

const toMetric = (kind: string, name: Counter) => {
  const [suffix, description] = COUNTERS[name]
  return Metric.withAttributes(
    Metric.counter(`event_store_snapshot_${suffix}`, { description, incremental: true }),
    { kind }
  )
}
