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
import * as Context from "effect/Context"
import { uuidV4Unsafe } from "effect/crypto/SecureRandom"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Result from "effect/Result"
import { CheckpointStore } from "../store/CheckpointStore.ts"
import { EventStore, type LogHead } from "../store/EventStore.ts"
import { type StorageError, storeRestoring } from "../store/EventStoreError.ts"
import { fromStorage } from "../store/fromStorage.ts"
import { InlineAppender } from "../store/InlineAppender.ts"
import type { Storage } from "../store/Storage.ts"
import { appendTo } from "./internal/append.ts"
import { makeArchivedParts } from "./internal/archived.ts"
import { awaitFences, makeInline } from "./internal/inline.ts"
import { headOf, type Log, makeLog } from "./internal/log.ts"
import { MemoryLog } from "./internal/parts.ts"
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
export const layer: Layer.Layer<EventStore | InlineAppender | MemoryLog> = Layer.effectContext(Effect.gen(function*() {
  const log = makeLog(uuidV4Unsafe())
  const growth = makeGrowth(log)
  const archived = yield* makeArchivedParts(log)
  return Context.make(EventStore, fromStorage({ ...makeStorage(log, growth), archived })).pipe(
    Context.add(MemoryLog, { log, grown: growth.report }),
    Context.add(InlineAppender, {
      open: (followers) =>
        Effect.map(CheckpointStore, (checkpoints) => {
          const append = makeInline(log, checkpoints, followers)
          return (request) =>
            Effect.andThen(
              awaitFences(checkpoints, followers),
              Effect.contextWith((context: Context.Context<never>) =>
                unlessRestoring(log, "append", growth.record((now) => append(request, now, context)))
              )
            )
        })
    })
  )
}))

// internal

/** Lets those who wait for the log go on when it has grown. */
interface Growth {
  /** Records, in one synchronous step at a time in milliseconds since 1970. */
  readonly record: <A, E>(append: (now: number) => Result.Result<A, E>) => Effect.Effect<A, E>
  readonly await: Storage["awaitGrowth"]
  readonly report: () => void
}

const makeGrowth = (log: Log): Growth => {
  /** Completed, and replaced, by the next append; absent while nobody waits. */
  let growth: Deferred.Deferred<void> | undefined
  const report = () => {
    if (growth === undefined) return
    Deferred.doneUnsafe(growth, Effect.void)
    growth = undefined
  }
  return {
    report,
    record: (append) =>
      Effect.clockWith((clock) => {
        const before = headOf(log)
        const outcome = append(clock.currentTimeMillisUnsafe())
        if (headOf(log) > before) report()
        return Effect.fromResult(outcome)
      }),
    await: (position) =>
      Effect.suspend(() => {
        if (headOf(log) > position) return Effect.void
        growth ??= Deferred.makeUnsafe()
        return Deferred.await(growth)
      })
  }
}

/** Every operation is one synchronous step, so nothing comes between and an interruption leaves nothing half done. */
const makeStorage = (log: Log, growth: Growth): Storage => {
  const orders = makeOrders()
  const open = <A, E>(operation: string, effect: Effect.Effect<A, E>) => unlessRestoring(log, operation, effect)
  return {
    durability: "memory",
    append: (request) => open("append", growth.record((now) => appendTo(log, request, now))),
    readLog: (query) => open("readLog", Effect.sync(() => readLog(log, query))),
    readStream: (query) => open("readStream", Effect.suspend(() => Effect.fromResult(readStream(log, query)))),
    findEvent: (id) => open("findEvent", Effect.sync(() => findEvent(log, id))),
    describeStream: (streamId) => open("describeStream", Effect.sync(() => describeStream(log, streamId))),
    listStreams: (query) => open("listStreams", Effect.sync(() => listStreams(log, orders, query))),
    changeStream: (streamId, change) =>
      open("changeStream", Effect.suspend(() => Effect.fromResult(changeStream(log, streamId, change)))),
    head: open("head", Effect.sync(() => describeHead(log))),
    statistics: open("statistics", Effect.sync(() => statistics(log))),
    awaitGrowth: growth.await
  }
}

const describeHead = (log: Log): LogHead => ({
  position: headOf(log),
  incarnation: log.incarnation,
  ...(log.parent === undefined ? {} : { parent: log.parent })
})

const unlessRestoring = <A, E>(
  log: Log,
  operation: string,
  effect: Effect.Effect<A, E>
): Effect.Effect<A, E | StorageError> =>
  Effect.suspend((): Effect.Effect<A, E | StorageError> =>
    log.restoring === undefined ? effect : Effect.fail(storeRestoring(operation))
  )
