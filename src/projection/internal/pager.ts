import type { RecordedEvent } from "../../event/Event.ts"

/**
 * How many events a page asks for. It follows from the size of those before, an
 * estimate: it begins with few and grows fourfold at most, so that large events
 * do not fill the memory.
 */
export interface Limit {
  readonly current: () => number
  /** Tells how many events a page had, and their average size in bytes. */
  readonly learn: (events: number, average: number) => void
}

/** Makes a limit, for pages of about so many bytes at most. */
export const makeLimit = (maxBytes: number): Limit => {
  let limit = FIRST_EVENTS
  return {
    current: () => limit,
    learn: (events, average) => {
      if (events === 0) return
      limit = Math.max(1, Math.min(PAGE_EVENTS, Math.floor(maxBytes / average), limit * GROWTH))
    }
  }
}

/** About what an event of a page takes, in bytes; 0 for none. */
export const averageBytes = (events: ReadonlyArray<RecordedEvent>): number => {
  const step = Math.max(1, Math.floor(events.length / SAMPLES))
  let sum = 0
  let count = 0
  for (let index = 0; index < events.length; index += step) {
    const event = events[index]
    if (event === undefined) continue
    sum += OVERHEAD_BYTES + JSON.stringify(event.data).length + JSON.stringify(event.metadata).length
    count++
  }
  return count === 0 ? 0 : sum / count
}

// internal

/** Most events of a page: more of them are not read faster (measured: PostgreSQL 18). */
const PAGE_EVENTS = 1_000

/** Events of the first page: of the largest events allowed it holds 32 MiB. */
const FIRST_EVENTS = 32

const GROWTH = 4

/** Events of a page whose size is looked at. */
const SAMPLES = 4

/** What an event takes beside its data, in bytes: names, places, objects. */
const OVERHEAD_BYTES = 256
