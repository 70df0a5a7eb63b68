/**
 * Loads of states from this repository's store: of all events, of a snapshot
 * and the events after it, and of the state in the cache.
 */
import { Effect, Option, Schema, type Scope } from "effect"
import { CommandHandler } from "../../src/command/index.ts"
import { Revision, StreamId } from "../../src/event/index.ts"
import { SnapshotCache, Snapshots, SnapshotStrategy } from "../../src/snapshot/index.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { SnapshotStore } from "../../src/store/SnapshotStore.ts"
import { makeOrder } from "../events.ts"
import { OrderPlaced, ORDERS, Orders } from "../orders.ts"
import type { LoadSource } from "../protocol.ts"

/**
 * Writes one stream of so many events, and a snapshot of all but the last ten.
 */
export const fillAggregate = Effect.fnUntraced(function*(events: number) {
  const store = yield* EventStore
  const beforeTail = Math.max(1, events - TAIL_EVENTS)
  for (let revision = -1; revision < events - 1;) {
    const end = revision < beforeTail - 1 ? beforeTail : events
    const count = Math.min(EVENTS_PER_APPEND, end - 1 - revision)
    yield* store.append({
      streamId: `${ORDERS}-${AGGREGATE}`,
      expected: revision < 0 ? "noStream" : revision,
      events: Array.from({ length: count }, () => ({ type: OrderPlaced.name, ...makeOrder() }))
    })
    revision += count
    if (revision === beforeTail - 1) yield* saveSnapshot
  }
  const { snapshots } = yield* (yield* SnapshotStore).list({ streamId: `${ORDERS}-${AGGREGATE}` })
  if (snapshots[0]?.revision !== beforeTail - 1) throw new Error("the snapshot of the aggregate was not saved")
})

/**
 * Writes a snapshot of a state of so many bytes of JSON.
 */
export const fillState = Effect.fnUntraced(function*(bytes: number) {
  const store = yield* EventStore
  const orders = Array.from(
    { length: Math.ceil(bytes / JSON.stringify(makeOrder().data).length) },
    () => makeOrder().data
  )
  const { revision } = yield* store.append({
    streamId: BOOK_STREAM,
    expected: "noStream",
    events: [{ type: OrderPlaced.name, ...makeOrder() }]
  })
  yield* Effect.scoped(Effect.gen(function*() {
    const snapshots = yield* makeBooks(false)
    yield* snapshots.report({
      streamId: BOOK_STREAM,
      state: { orders },
      revision,
      snapshotRevision: -1,
      eventsReplayed: 1,
      loadMillis: 1,
      appended: 0
    })
  }))
})

/**
 * Makes what loads a state once, until the scope ends; fails when that is not
 * the state which was written.
 */
export const openLoad = (
  source: LoadSource
): Effect.Effect<Effect.Effect<void, unknown>, unknown, EventStore | SnapshotStore | Scope.Scope> =>
  source === "stored-state" || source === "cached-state" ? openBook(source === "cached-state") : openAggregate(source)

// internal

const AGGREGATE = "aggregate"
const TAIL_EVENTS = 10
const EVENTS_PER_APPEND = 1_000

/** The end of the scope saves what is due. */
const saveSnapshot = Effect.scoped(Effect.gen(function*() {
  const handler = yield* CommandHandler.make(Orders, {
    category: ORDERS,
    snapshots: { strategy: SnapshotStrategy.everyEvents(1), cache: false }
  })
  yield* handler.load(AGGREGATE)
}))

const openAggregate = Effect.fnUntraced(function*(source: "replay" | "snapshot" | "cache") {
  const store = yield* EventStore
  const { revision: last } = yield* Effect.fromOption(yield* store.describeStream(`${ORDERS}-${AGGREGATE}`))
  const handler = source === "replay"
    ? yield* CommandHandler.make(Orders, { category: ORDERS })
    : yield* CommandHandler.make(Orders, {
      category: ORDERS,
      snapshots: {
        strategy: SnapshotStrategy.never,
        cache: source === "cache" ? yield* makeCacheWithoutTail(last) : false
      }
    })
  return Effect.flatMap(handler.load(AGGREGATE), ({ revision, state }) =>
    revision === last && state.orders - 1 === last
      ? Effect.void
      : Effect.die(new Error(`the state of the aggregate holds ${state.orders} orders`)))
})

/** Keeps the state of the snapshot, never that after the tail: each load has the tail to read. */
const makeCacheWithoutTail = (last: number) =>
  Effect.map(SnapshotCache.make(), (cache): SnapshotCache.SnapshotCache => ({
    ...cache,
    put: (key, state) => {
      if (state.revision < last) cache.put(key, state)
    }
  }))

const BOOK_STREAM = StreamId.make(`${ORDERS}-book`)

const Book = Schema.Struct({ orders: Schema.Array(OrderPlaced.schema) })

const makeBooks = (isCached: boolean) =>
  Snapshots.make({
    kind: "book",
    schema: Book,
    version: 1,
    fingerprint: "bench",
    strategy: SnapshotStrategy.everyEvents(1),
    ...(isCached ? {} : { cache: false })
  })

const openBook = Effect.fnUntraced(function*(isCached: boolean) {
  const snapshots = yield* makeBooks(isCached)
  // the first load fills the cache
  yield* snapshots.load(BOOK_STREAM)
  return Effect.flatMap(
    snapshots.load(BOOK_STREAM),
    (found) =>
      Option.isSome(found) && found.value.isCached === isCached && found.value.revision === Revision.make(0)
        ? Effect.void
        : Effect.die(new Error("the state was not found where it should be"))
  )
})
