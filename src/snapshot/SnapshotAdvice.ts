/**
 * Which strategy fits the streams that are there.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { InvalidInput } from "../event/InvalidInput.ts"
import { EventStore, type StreamDescription } from "../store/EventStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { makeCostMeter } from "./internal/costs.ts"
import * as SnapshotStrategy from "./SnapshotStrategy.ts"

/**
 * What advice is made from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Measurements {
  /** Events of each stream, as far as they can be read by name. */
  readonly lengths: ReadonlyArray<number>
  /** Loads without a snapshot: how many events, and how long. */
  readonly loads: ReadonlyArray<{ readonly events: number; readonly millis: number }>
}

/**
 * A strategy, and why.
 *
 * @category models
 * @since 0.1.0
 */
export interface Advice {
  readonly strategy: SnapshotStrategy.SnapshotStrategy
  /** The strategy as it is written in a program. */
  readonly code: string
  /** Sentences that lead to it. */
  readonly reasons: ReadonlyArray<string>
}

/**
 * Options of {@link advise}.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdviceOptions {
  /** What the events after a snapshot may add to a load, in milliseconds; 5 when absent. */
  readonly budgetMillis?: number | undefined
}

/**
 * Options of {@link measure}.
 *
 * @category models
 * @since 0.1.0
 */
export interface MeasureOptions {
  /** Streams of this category; all when absent. */
  readonly category?: string | undefined
  /** Most streams to count, the longest first; 10,000 when absent. */
  readonly streams?: number | undefined
  /** Streams to load, from the longest to the shortest; 12 when absent. */
  readonly samples?: number | undefined
}

/**
 * Says which strategy keeps loads within a budget, with as few snapshots as
 * that takes.
 *
 * @category operations
 * @since 0.1.0
 */
export const advise = (measurements: Measurements, options: AdviceOptions = {}): Advice => {
  const { budgetMillis = BUDGET_MILLIS } = options
  const lengths = measurements.lengths.toSorted((a, b) => a - b)
  const longest = lengths.at(-1)
  if (longest === undefined) {
    return toAdvice(SnapshotStrategy.never, "never", ["There are no streams yet: there is nothing to measure."])
  }
  const perEvent = replayCost(measurements.loads)
  const facts = [
    `${count(lengths.length, "stream")}: half of them have at most ${quantile(lengths, 0.5)} events, 99 % at most ${
      quantile(lengths, 0.99)
    }, the longest has ${longest}.`,
    measurements.loads.length === 0
      ? `No load was measured; an event is taken to add ${time(perEvent)} to a load.`
      : `An event adds ${time(perEvent)} to a load, so the longest stream takes ${time(perEvent * longest)} to replay.`
  ]
  if (perEvent * longest <= budgetMillis) {
    return toAdvice(SnapshotStrategy.never, "never", [
      ...facts,
      `That is within the ${time(budgetMillis)} allowed: snapshots would only cost.`
    ])
  }
  const events = roundDown(Math.max(EVENTS_MIN, budgetMillis / perEvent))
  const longer = lengths.filter((length) => length >= events).length
  return toAdvice(SnapshotStrategy.everyEvents(events), `everyEvents(${events})`, [
    ...facts,
    `A snapshot every ${events} events keeps what is left to replay within ${time(perEvent * events)}.`,
    `${count(longer, "stream")} of ${lengths.length} ${
      longer === 1 ? "is" : "are"
    } that long; the others never get one.`,
    ...(longer > lengths.length / 2
      ? ["Most streams get some: adaptive() weighs how often they are read against how often they grow."]
      : [])
  ])
}

/**
 * Measures the streams of a store: their lengths, and how long some of them
 * take to read.
 *
 * **Details**
 *
 * Reads at most 50,000 events of a stream. What decoding and folding add is not
 * in it: a program's own loads are (`Snapshots.statistics`).
 *
 * @category operations
 * @since 0.1.0
 */
export const measure: (
  options?: MeasureOptions
) => Effect.Effect<Measurements, InvalidInput | StorageError, EventStore> = Effect.fn("SnapshotAdvice.measure")(
  function*(options: MeasureOptions = {}) {
    const { category, samples = SAMPLES, streams = STREAMS_MAX } = options
    const log = yield* EventStore
    const found: Array<StreamDescription> = []
    let cursor: string | undefined
    do {
      const limit = Math.min(PAGE_STREAMS, streams - found.length)
      const page = yield* log.listStreams({ category, sort: "events", descending: true, limit, cursor })
      found.push(...page.streams.filter(({ isTombstoned }) => !isTombstoned))
      cursor = page.next
    } while (cursor !== undefined && found.length < streams)
    const loads: Array<Measurements["loads"][number]> = []
    for (const { streamId } of spread(found, samples)) loads.push(yield* timeLoad(log, streamId))
    return {
      lengths: found.map(({ revision, truncateBefore }) => revision + 1 - truncateBefore),
      loads: loads.filter(({ events }) => events > 0)
    }
  }
)

// internal

const BUDGET_MILLIS = 5
const EVENTS_MIN = 10
const STREAMS_MAX = 10_000
const PAGE_STREAMS = 1_000
const SAMPLES = 12
const LOAD_EVENTS_MAX = 50_000

const toAdvice = (
  strategy: SnapshotStrategy.SnapshotStrategy,
  code: string,
  reasons: ReadonlyArray<string>
): Advice => ({ strategy, code: `SnapshotStrategy.${code}`, reasons })

const replayCost = (loads: Measurements["loads"]): number => {
  const meter = makeCostMeter()
  for (const { events, millis } of loads) meter.load(events, millis, 0)
  return meter.current().replayMillisPerEvent
}

const quantile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0

/** The next lower of 1, 2 and 5 times a power of ten: a number that people choose. */
const roundDown = (value: number): number => {
  const power = 10 ** Math.floor(Math.log10(value))
  const digits = value / power
  return power * (digits >= 5 ? 5 : digits >= 2 ? 2 : 1)
}

const count = (value: number, noun: string): string => `${value} ${noun}${value === 1 ? "" : "s"}`

const time = (millis: number): string => `${Number(millis.toPrecision(2))} ms`

/** Some of a sorted list, from its first to its last, denser towards the first. */
const spread = <A>(list: ReadonlyArray<A>, samples: number): ReadonlyArray<A> => {
  const indexes = new Set(Array.from(
    { length: Math.min(samples, list.length) },
    (_, index) => Math.round((list.length - 1) * (index / Math.max(1, samples - 1)) ** 2)
  ))
  return list.filter((_, index) => indexes.has(index))
}

/** A stream that is tombstoned meanwhile counts as one without events. */
const timeLoad = Effect.fnUntraced(function*(log: EventStore["Service"], streamId: string) {
  const clock = yield* Clock.Clock
  const startedAt = clock.currentTimeNanosUnsafe()
  const events = yield* Stream.runCount(log.readStream(streamId, { limit: LOAD_EVENTS_MAX })).pipe(
    Effect.catchTag("StreamTombstoned", () => Effect.succeed(0))
  )
  return { events, millis: Number(clock.currentTimeNanosUnsafe() - startedAt) / 1e6 }
})
