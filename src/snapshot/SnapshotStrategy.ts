/**
 * When a snapshot is worth taking: plain values that compose.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"

/**
 * A rule that says whether to take a snapshot, after each load.
 *
 * **Details**
 *
 * A value without functions: it can be compared, printed and kept in a
 * configuration. It decides nothing by itself: {@link isDue} asks it,
 * {@link explain} says its reasons in words. Nothing is ever taken of a state
 * that its last snapshot holds already.
 *
 * **Example**
 *
 * ```ts
 * const strategy = SnapshotStrategy.or(
 *   SnapshotStrategy.everyEvents(500),
 *   SnapshotStrategy.and(SnapshotStrategy.loadSlowerThan("20 millis"), SnapshotStrategy.every("1 minute"))
 * )
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type SnapshotStrategy =
  | { readonly _tag: "Never" }
  | { readonly _tag: "EveryEvents"; readonly events: number }
  | { readonly _tag: "SizeOver"; readonly bytes: number }
  | { readonly _tag: "Every"; readonly millis: number }
  | { readonly _tag: "LoadSlowerThan"; readonly millis: number }
  | { readonly _tag: "Adaptive"; readonly minEvents: number; readonly maxEvents: number }
  | { readonly _tag: "And"; readonly strategies: ReadonlyArray<SnapshotStrategy> }
  | { readonly _tag: "Or"; readonly strategies: ReadonlyArray<SnapshotStrategy> }
  | { readonly _tag: "Not"; readonly strategy: SnapshotStrategy }

/**
 * What a strategy decides by.
 *
 * @category models
 * @since 0.1.0
 */
export interface Observation {
  /** Events of the stream that its last snapshot does not hold; all of them when there is none. */
  readonly eventsSince: number
  /** Age of the last snapshot, in milliseconds; `undefined` when there is none. */
  readonly sinceMillis: number | undefined
  /** Size of the state, in bytes; an estimate. */
  readonly stateBytes: number
  /** What this load took, in milliseconds. */
  readonly loadMillis: number
  readonly costs: Costs
}

/**
 * What loads and snapshots have cost lately.
 *
 * @category models
 * @since 0.1.0
 */
export interface Costs {
  /** What one more event adds to a load, in milliseconds. */
  readonly replayMillisPerEvent: number
  /** What taking a snapshot takes, in milliseconds. */
  readonly saveMillis: number
  /** Loads that had to replay (the cache did not know the state) for each event that was appended. */
  readonly loadsPerEvent: number
}

/**
 * Takes none: every load folds the whole stream.
 *
 * @category constructors
 * @since 0.1.0
 */
export const never: SnapshotStrategy = { _tag: "Never" }

/**
 * Takes one as soon as this many events have come since the last.
 *
 * @category constructors
 * @since 0.1.0
 */
export const everyEvents = (events: number): SnapshotStrategy => ({ _tag: "EveryEvents", events })

/**
 * Takes one when the state is larger than this, in bytes.
 *
 * **Gotchas**
 *
 * By itself it takes one after every append once the state is that large; it is
 * made for `and` and `not`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sizeOver = (bytes: number): SnapshotStrategy => ({ _tag: "SizeOver", bytes })

/**
 * Takes one when the last is at least this old, or when there is none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const every = (duration: Duration.Input): SnapshotStrategy => ({ _tag: "Every", millis: toMillis(duration) })

/**
 * Takes one after a load that took longer than this.
 *
 * @category constructors
 * @since 0.1.0
 */
export const loadSlowerThan = (duration: Duration.Input): SnapshotStrategy => ({
  _tag: "LoadSlowerThan",
  millis: toMillis(duration)
})

/**
 * Takes one as often as costs the least altogether, by what was measured.
 *
 * **Details**
 *
 * A snapshot every n events costs `save / n` an event, and leaves n/2 events to
 * replay in a mean load: `loadsPerEvent * replay * n / 2`. Their sum is least at
 * `n = sqrt(2 * save / (loadsPerEvent * replay))`, which is bounded by
 * `minEvents` (10 when absent) and `maxEvents` (10,000 when absent). A stream
 * that is read often gets snapshots often; one that is only written, or whose
 * state the cache knows, gets few.
 *
 * @category constructors
 * @since 0.1.0
 */
export const adaptive = (
  options: { readonly minEvents?: number | undefined; readonly maxEvents?: number | undefined } = {}
): SnapshotStrategy => ({
  _tag: "Adaptive",
  minEvents: options.minEvents ?? 10,
  maxEvents: options.maxEvents ?? 10_000
})

/**
 * Takes one when all of them would.
 *
 * @category combinators
 * @since 0.1.0
 */
export const and = (...strategies: ReadonlyArray<SnapshotStrategy>): SnapshotStrategy => ({ _tag: "And", strategies })

/**
 * Takes one when any of them would.
 *
 * @category combinators
 * @since 0.1.0
 */
export const or = (...strategies: ReadonlyArray<SnapshotStrategy>): SnapshotStrategy => ({ _tag: "Or", strategies })

/**
 * Takes one when the other would not.
 *
 * @category combinators
 * @since 0.1.0
 */
export const not = (strategy: SnapshotStrategy): SnapshotStrategy => ({ _tag: "Not", strategy })

/**
 * Says whether to take a snapshot now.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isDue = (self: SnapshotStrategy, observation: Observation): boolean =>
  observation.eventsSince > 0 && holds(self, observation)

/**
 * Says in words what a strategy decides, and why.
 *
 * @category getters
 * @since 0.1.0
 */
export const explain = (self: SnapshotStrategy, observation: Observation): string =>
  observation.eventsSince > 0
    ? `${isDue(self, observation) ? "take" : "wait"}: ${reason(self, observation)}`
    : "wait: the last snapshot holds everything"

/**
 * Says in words what a strategy is.
 *
 * @category getters
 * @since 0.1.0
 */
export const describe = (self: SnapshotStrategy): string => {
  switch (self._tag) {
    case "Never":
      return "never"
    case "EveryEvents":
      return `every ${self.events} events`
    case "SizeOver":
      return `when the state is over ${self.bytes} bytes`
    case "Every":
      return `every ${shortTime(self.millis)}`
    case "LoadSlowerThan":
      return `when a load takes over ${shortTime(self.millis)}`
    case "Adaptive":
      return `as often as costs the least, between every ${self.minEvents} and every ${self.maxEvents} events`
    case "And":
      return `(${self.strategies.map(describe).join(" and ")})`
    case "Or":
      return `(${self.strategies.map(describe).join(" or ")})`
    case "Not":
      return `not ${describe(self.strategy)}`
  }
}

/**
 * Returns how many events apart `adaptive` wants its snapshots.
 *
 * @category getters
 * @since 0.1.0
 */
export const adaptiveInterval = (
  { maxEvents, minEvents }: { readonly minEvents: number; readonly maxEvents: number },
  { loadsPerEvent, replayMillisPerEvent, saveMillis }: Costs
): number => {
  const best = Math.sqrt((2 * saveMillis) / (loadsPerEvent * replayMillisPerEvent))
  // nothing to save: 0 / 0, or a division by 0
  return Number.isFinite(best) ? Math.round(Math.min(maxEvents, Math.max(minEvents, best))) : maxEvents
}

/**
 * Says what is wrong with a strategy; empty when nothing is.
 *
 * @category validation
 * @since 0.1.0
 */
export const faults = (self: SnapshotStrategy): ReadonlyArray<string> => {
  switch (self._tag) {
    case "Never":
      return []
    case "EveryEvents":
      return isCount(self.events) ? [] : ["everyEvents: expected a whole number, at least 1"]
    case "SizeOver":
      return self.bytes >= 0 ? [] : ["sizeOver: expected a number of bytes"]
    case "Every":
    case "LoadSlowerThan":
      return self.millis >= 0 && Number.isFinite(self.millis)
        ? []
        : [`${self._tag === "Every" ? "every" : "loadSlowerThan"}: expected a finite duration`]
    case "Adaptive":
      return isCount(self.minEvents) && isCount(self.maxEvents) && self.minEvents <= self.maxEvents
        ? []
        : ["adaptive: expected whole numbers, minEvents at least 1 and at most maxEvents"]
    case "And":
    case "Or":
      return self.strategies.length === 0
        ? [`${self._tag.toLowerCase()}: expected at least one strategy`]
        : self.strategies.flatMap(faults)
    case "Not":
      return faults(self.strategy)
  }
}

// internal

const toMillis = (duration: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(duration))

const isCount = (value: number): boolean => Number.isInteger(value) && value >= 1

const holds = (self: SnapshotStrategy, observation: Observation): boolean => {
  switch (self._tag) {
    case "Never":
      return false
    case "EveryEvents":
      return observation.eventsSince >= self.events
    case "SizeOver":
      return observation.stateBytes > self.bytes
    case "Every":
      return observation.sinceMillis === undefined || observation.sinceMillis >= self.millis
    case "LoadSlowerThan":
      return observation.loadMillis > self.millis
    case "Adaptive":
      return observation.eventsSince >= adaptiveInterval(self, observation.costs)
    case "And":
      return self.strategies.every((strategy) => holds(strategy, observation))
    case "Or":
      return self.strategies.some((strategy) => holds(strategy, observation))
    case "Not":
      return !holds(self.strategy, observation)
  }
}

const reason = (self: SnapshotStrategy, observation: Observation): string => {
  const { costs, eventsSince, loadMillis, sinceMillis, stateBytes } = observation
  switch (self._tag) {
    case "Never":
      return "snapshots are switched off"
    case "EveryEvents":
      return `${eventsSince} of ${self.events} events since the last one`
    case "SizeOver":
      return `the state has ${stateBytes} bytes, the threshold is ${self.bytes}`
    case "Every":
      return sinceMillis === undefined
        ? "there is none yet"
        : `the last one is ${shortTime(sinceMillis)} old, due after ${shortTime(self.millis)}`
    case "LoadSlowerThan":
      return `the load took ${shortTime(loadMillis)}, the threshold is ${shortTime(self.millis)}`
    case "Adaptive":
      return `an event costs ${shortTime(costs.replayMillisPerEvent)} to replay, a snapshot ${
        shortTime(costs.saveMillis)
      } to take, and there are ${shortNumber(costs.loadsPerEvent)} loads for each event: best every ${
        adaptiveInterval(self, costs)
      } events, ${eventsSince} since the last one`
    case "And":
    case "Or":
      return self.strategies.map((strategy) => `[${verdict(strategy, observation)}]`).join(
        self._tag === "And" ? " and " : " or "
      )
    case "Not":
      return `not [${verdict(self.strategy, observation)}]`
  }
}

const verdict = (self: SnapshotStrategy, observation: Observation): string =>
  `${holds(self, observation) ? "yes" : "no"}: ${reason(self, observation)}`

const shortNumber = (value: number): string => String(Number(value.toPrecision(3)))

const shortTime = (millis: number): string =>
  millis < 1_000 ?
    `${shortNumber(millis)} ms` :
    millis < 120_000 ?
    `${shortNumber(millis / 1_000)} s` :
    `${shortNumber(millis / 60_000)} min`
