import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { RecordedEvent } from "../../event/Event.ts"
import type { Position } from "../../event/Revision.ts"
import type { EventStore, LogPage } from "../../store/EventStore.ts"

/** The same log, no faster than some events a second. */
export const throttled = (
  store: EventStore["Service"],
  eventsPerSecond: number
): Effect.Effect<EventStore["Service"]> =>
  Effect.map(Clock.currentTimeMillis, (startMillis) => {
    let freeMillis = startMillis
    const limitMax = Math.max(1, Math.floor(eventsPerSecond))
    return {
      ...store,
      readPage: (options) =>
        Effect.gen(function*() {
          // a page is a second's worth at most
          const page = yield* store.readPage({ ...options, limit: Math.min(options.limit ?? limitMax, limitMax) })
          const now = yield* Clock.currentTimeMillis
          const begin = Math.max(now, freeMillis)
          freeMillis = begin + page.events.length * 1_000 / eventsPerSecond
          if (begin > now) yield* Effect.sleep(begin - now)
          return page
        })
    }
  })

/** The same log, as if it ended at a position. */
export const endingAt = (store: EventStore["Service"], until: number): EventStore["Service"] => ({
  ...store,
  head: Effect.map(store.head, (head) => ({ ...head, position: Math.min(head.position, until) as Position }))
})

/**
 * The same log, as fast as it was recorded, times a factor: an event is seen when
 * it is due, counted from the first that is read. What is late is seen at once.
 */
export const inRecordedTime = (store: EventStore["Service"], factor: number): EventStore["Service"] => {
  let origin: { readonly recordedMillis: number; readonly seenMillis: number } | undefined
  let rest: { readonly after: number; readonly page: LogPage } | undefined
  return {
    ...store,
    readPage: (options) =>
      Effect.gen(function*() {
        const page = rest?.after === options.after ? rest.page : yield* store.readPage(options)
        rest = undefined
        const [first] = page.events
        if (first === undefined) return page
        const began = origin ??= {
          recordedMillis: first.recordedAt.epochMilliseconds,
          seenMillis: yield* Clock.currentTimeMillis
        }
        const dueMillis = ({ recordedAt }: RecordedEvent) =>
          began.seenMillis + (recordedAt.epochMilliseconds - began.recordedMillis) / factor
        const wait = dueMillis(first) - (yield* Clock.currentTimeMillis)
        if (wait > 0) yield* Effect.sleep(wait)
        const now = yield* Clock.currentTimeMillis
        // a timer ends within its millisecond, maybe before the fraction in which the first is due
        const early = page.events.findIndex((event, index) => index > 0 && dueMillis(event) > now)
        const position = page.events[early - 1]?.position
        if (position === undefined) return page
        rest = { after: position, page: { ...page, events: page.events.slice(early) } }
        return { events: page.events.slice(0, early), position, isEnd: false }
      })
  }
}
