import * as Effect from "effect/Effect"
import type { EventFilter } from "../../event/EventQuery.ts"
import type { EventStore, LogPage } from "../../store/EventStore.ts"
import type { ReadError } from "../../store/EventStoreError.ts"

/** Reads the log page by page, each about as large as it may be. */
export interface Pager {
  readonly read: (after: number) => Effect.Effect<LogPage, ReadError>
}

/**
 * Makes a pager. How many events a page asks for follows from the size of those
 * before, an estimate: it begins with few and grows fourfold at most, so that
 * large events do not fill the memory.
 */
export const makePager = (
  store: EventStore["Service"],
  options: {
    readonly filter: EventFilter
    readonly until: number | undefined
    readonly maxEvents: number
    readonly maxBytes: number
  }
): Pager => {
  const { filter, maxBytes, maxEvents, until } = options
  let limit = Math.min(FIRST_EVENTS, maxEvents)
  return {
    read: (after) =>
      Effect.map(Effect.suspend(() => store.readPage({ after, until, filter, limit })), (page) => {
        if (page.events.length > 0) {
          const fitting = Math.floor(maxBytes / averageBytes(page.events))
          limit = Math.max(1, Math.min(maxEvents, fitting, limit * GROWTH))
        }
        return page
      })
  }
}

// internal

/** Events of the first page: of the largest events allowed it holds 32 MiB. */
const FIRST_EVENTS = 32

const GROWTH = 4

/** Events of a page whose size is looked at. */
const SAMPLES = 4

/** What an event takes beside its data, in bytes: names, places, objects. */
const OVERHEAD_BYTES = 256

const averageBytes = (events: LogPage["events"]): number => {
  const step = Math.max(1, Math.floor(events.length / SAMPLES))
  const sizes = events.filter((_, index) => index % step === 0).map(({ data, metadata }) =>
    OVERHEAD_BYTES + JSON.stringify(data).length + JSON.stringify(metadata).length
  )
  return sizes.reduce((sum, size) => sum + size, 0) / sizes.length
}
