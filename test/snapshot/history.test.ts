/**
 * The one promise of a snapshot: with the events after it, it is what all
 * events are. For random histories, strategies, formats and crashes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { StreamId } from "../../src/event/StreamId.ts"
import * as SnapshotCache from "../../src/snapshot/SnapshotCache.ts"
import type { Snapshots, SnapshotsOptions } from "../../src/snapshot/Snapshots.ts"
import * as SnapshotStrategy from "../../src/snapshot/SnapshotStrategy.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { makeRandom, type Random } from "../checker/random.ts"
import { indexes, oneOf } from "../store/fixtures.ts"
import {
  appendAmounts,
  type Faults,
  foldAll,
  idle,
  layerMemory,
  loadAndReport,
  makeFaults,
  makeSnapshots,
  type Tally
} from "./fixtures.ts"

const HISTORIES = 60
const STEPS = 60

describe("snapshot and tail", () => {
  it.effect("are all events, for random histories, strategies and crash points", () =>
    Effect.gen(function*() {
      const total = { loads: 0, fromStore: 0, fromCache: 0, broken: 0, saved: 0, failures: 0 }
      for (const seed of indexes(HISTORIES)) {
        const faults = makeFaults()
        const { failures, ...counts } = yield* Effect.scoped(history(makeRandom(seed), faults, `seed ${seed}`)).pipe(
          Effect.provide(layerMemory(faults), { local: true })
        )
        total.failures += failures
        for (const key of ["loads", "fromStore", "fromCache", "broken", "saved"] as const) total[key] += counts[key]
      }
      // every way through was taken
      for (const [name, count] of Object.entries(total)) assert.isAbove(count, 20, name)
    }), 120_000)
})

const STREAMS = ["tally-a", "tally-b", "tally-c"].map((name) => StreamId.make(name))

/** One history: events, commands, processes that end at any point, stores that fail, bytes that rot. */
const history = (random: Random, faults: Faults, label: string) =>
  Effect.gen(function*() {
    const log = yield* EventStore
    const counts = { loads: 0, fromStore: 0, fromCache: 0, broken: 0, saved: 0, failures: 0 }
    let options = yield* someOptions(random)
    let snapshots = yield* makeSnapshots(options)
    const end = Effect.gen(function*() {
      const { broken, cacheHits, saved, storeFailures, storeHits } = yield* snapshots.statistics
      counts.broken += broken
      counts.saved += saved
      counts.fromStore += storeHits
      counts.fromCache += cacheHits
      counts.failures += storeFailures
    })
    for (const step of indexes(STEPS)) {
      const of = oneOf(random, STREAMS)
      switch (random.int(12)) {
        case 0:
        case 1:
        case 2:
        case 3:
          yield* appendAmounts(indexes(1 + random.int(30)).map(() => random.int(1_000)), of)
          break
        case 4:
          // the process ends, whatever it was about to save, and another begins
          yield* end
          if (random.chance(0.3)) options = yield* someOptions(random)
          snapshots = yield* makeSnapshots(options)
          break
        case 5:
          faults.save = oneOf(random, ["none", "none", "failBefore", "failAfter"] as const)
          break
        case 6:
          faults.load = oneOf(random, ["none", "none", "fail", "die"] as const)
          break
        case 7: {
          const isRotten = random.chance(0.5)
          faults.edit = (snapshot) =>
            isRotten && snapshot.bytes.length > 0
              ? { ...snapshot, bytes: snapshot.bytes.with(random.int(snapshot.bytes.length), random.int(256)) }
              : snapshot
          break
        }
        case 8:
          yield* TestClock.adjust(1 + random.int(120_000))
          break
        case 9:
          yield* truncate(log, random, of, snapshots, options)
          break
        default:
          yield* idle(snapshots)
      }
      const expected = yield* foldAll(of)
      const { state } = yield* loadAndReport(snapshots, { of, loadMillis: random.int(40), appended: random.int(5) })
      counts.loads++
      assert.deepStrictEqual(state, expected, `${label}, step ${step}`)
    }
    yield* end
    return counts
  })

/** Truncates a stream now and then; whoever has a cache says so, the store finds out by itself. */
const truncate = (
  log: EventStore["Service"],
  random: Random,
  of: StreamId,
  snapshots: Snapshots<Tally>,
  options: Partial<SnapshotsOptions<Tally>>
) =>
  Effect.gen(function*() {
    const { count } = yield* foldAll(of)
    if (count < 2 || random.chance(0.5)) return
    const before = yield* log.describeStream(of)
    const revision = before._tag === "Some" ? before.value.revision : 0
    yield* log.truncateBefore(of, revision + 1 - random.int(count))
    if (options.cache !== false) yield* snapshots.invalidate(of)
  })

const someStrategy = (random: Random, depth = 0): SnapshotStrategy.SnapshotStrategy => {
  switch (random.int(depth < 2 ? 9 : 6)) {
    case 0:
      return SnapshotStrategy.never
    case 1:
      return SnapshotStrategy.everyEvents(1 + random.int(20))
    case 2:
      return SnapshotStrategy.sizeOver(random.int(600))
    case 3:
      return SnapshotStrategy.every(random.int(100_000))
    case 4:
      return SnapshotStrategy.loadSlowerThan(random.int(40))
    case 5:
      return SnapshotStrategy.adaptive({ minEvents: 1 + random.int(10) })
    case 6:
      return SnapshotStrategy.and(someStrategy(random, depth + 1), someStrategy(random, depth + 1))
    case 7:
      return SnapshotStrategy.or(someStrategy(random, depth + 1), someStrategy(random, depth + 1))
    default:
      return SnapshotStrategy.not(someStrategy(random, depth + 1))
  }
}

/** What the next process is made with; a version that differs has other snapshots. */
const someOptions = (random: Random): Effect.Effect<Partial<SnapshotsOptions<Tally>>> =>
  Effect.map(SnapshotCache.make({ maxBytes: 200 + random.int(3_000) }), (small) => ({
    version: 1 + random.int(2),
    strategy: someStrategy(random),
    compression: {
      algorithm: oneOf(random, ["none", "gzip", "zstd"] as const),
      above: random.int(300)
    },
    retention: { keepLast: 1 + random.int(3) },
    cache: oneOf(random, [undefined, false, small, { timeToLive: "30 seconds" }] as const)
  }))
