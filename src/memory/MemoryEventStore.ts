/**
 * Storage in the memory of the process.
 *
 * **Details**
 *
 * Keeps every promise of `EventStore` but to outlive the process. Made for tests
 * and for a first try of an application, and fit for millions of events: every
 * append is O(log n), conditions and filters on streams, categories, types, tags
 * and time use an index.
 *
 * JSON is kept as text and parsed anew for every read, so that nobody changes
 * history by changing what was read.
 *
 * @since 0.1.0
 */
import { uuidV4Unsafe } from "effect/crypto/SecureRandom"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { EventStore } from "../store/EventStore.ts"
import { fromStorage } from "../store/fromStorage.ts"
import type { Storage } from "../store/Storage.ts"
import { appendTo } from "./internal/append.ts"
import { headOf, type Log, makeLog } from "./internal/log.ts"
import { findEvent, readLog, readStream, statistics } from "./internal/read.ts"
import { changeStream, describeStream, listStreams, makeOrders } from "./internal/streams.ts"

/**
 * Layer that provides an empty store, which is gone when the layer is closed.
 *
 * **Example**
 *
 * ```ts
 * program.pipe(Effect.provide(MemoryEventStore.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<EventStore> = Layer.effect(
  EventStore,
  Effect.sync(() => fromStorage(makeStorage(makeLog(uuidV4Unsafe()))))
)

// internal

/** Every operation is one synchronous step, so nothing comes between and an interruption leaves nothing half done. */
const makeStorage = (log: Log): Storage => {
  const orders = makeOrders()
  /** Completed, and replaced, by the next append; absent while nobody waits. */
  let growth: Deferred.Deferred<void> | undefined

  return {
    durability: "memory",
    append: (request) =>
      Effect.clockWith((clock) => {
        const before = headOf(log)
        const outcome = appendTo(log, request, clock.currentTimeMillisUnsafe())
        if (growth !== undefined && headOf(log) > before) {
          Deferred.doneUnsafe(growth, Effect.void)
          growth = undefined
        }
        return Effect.fromResult(outcome)
      }),
    readLog: (query) => Effect.sync(() => readLog(log, query)),
    readStream: (query) => Effect.suspend(() => Effect.fromResult(readStream(log, query))),
    findEvent: (id) => Effect.sync(() => findEvent(log, id)),
    describeStream: (streamId) => Effect.sync(() => describeStream(log, streamId)),
    listStreams: (query) => Effect.sync(() => listStreams(log, orders, query)),
    changeStream: (streamId, change) => Effect.suspend(() => Effect.fromResult(changeStream(log, streamId, change))),
    head: Effect.sync(() => ({ position: headOf(log), incarnation: log.incarnation })),
    statistics: Effect.sync(() => statistics(log)),
    awaitGrowth: (position) =>
      Effect.suspend(() => {
        if (headOf(log) > position) return Effect.void
        growth ??= Deferred.makeUnsafe()
        return Deferred.await(growth)
      })
  }
}
