import type { Costs } from "../SnapshotStrategy.ts"

/** Measures what loads and snapshots cost; what is long ago weighs less and less. */
export interface CostMeter {
  /** A load that replayed `events` took this long; `appended` events followed it. */
  readonly load: (events: number, millis: number, appended: number) => void
  /** The cache did not know a state. */
  readonly miss: () => void
  /** Taking a snapshot took this long. */
  readonly save: (millis: number) => void
  readonly current: () => Costs
}

export const makeCostMeter = (): CostMeter => {
  const replay = { weight: 0, events: 0, millis: 0, squares: 0, products: 0 }
  const traffic = { misses: 0, appended: 0 }
  let saveMillis: number | undefined

  return {
    load: (events, millis, appended) => {
      traffic.misses *= TRAFFIC_MEMORY
      traffic.appended = traffic.appended * TRAFFIC_MEMORY + appended
      if (events === 0) return
      replay.weight = replay.weight * REPLAY_MEMORY + 1
      replay.events = replay.events * REPLAY_MEMORY + events
      replay.millis = replay.millis * REPLAY_MEMORY + millis
      replay.squares = replay.squares * REPLAY_MEMORY + events * events
      replay.products = replay.products * REPLAY_MEMORY + events * millis
    },
    miss: () => {
      traffic.misses++
    },
    save: (millis) => {
      saveMillis = saveMillis === undefined ? millis : saveMillis + (millis - saveMillis) * SAVE_WEIGHT
    },
    current: () => ({
      replayMillisPerEvent: slope(replay),
      saveMillis: saveMillis ?? SAVE_MILLIS_ASSUMED,
      // the first loads and appends say little: as if one of each had been before
      loadsPerEvent: (traffic.misses + 1) / (traffic.appended + 1)
    })
  }
}

// internal

/** Share of what was known that the next load leaves: the last 50 or so count. */
const REPLAY_MEMORY = 0.98

/** The last 500 loads or so count. */
const TRAFFIC_MEMORY = 0.998

/** Share of the last save in the mean. */
const SAVE_WEIGHT = 0.2

/** Until something was measured: a decoded and folded event, and a small snapshot on a local server. */
const REPLAY_MILLIS_ASSUMED = 0.02
const SAVE_MILLIS_ASSUMED = 3

/** What one more event adds: least squares, so that what every load costs anyway is left out. */
const slope = (
  { events, millis, products, squares, weight }: Readonly<
    Record<"weight" | "events" | "millis" | "squares" | "products", number>
  >
): number => {
  if (weight === 0) return REPLAY_MILLIS_ASSUMED
  const variance = squares * weight - events * events
  const mean = millis / events
  // all loads of one length: nothing tells the two costs apart
  if (variance <= squares * weight * 1e-6) return mean
  return Math.min(mean, Math.max(0, (products * weight - events * millis) / variance))
}
