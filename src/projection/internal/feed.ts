import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { RecordedEvent } from "../../event/Event.ts"
import { type EventFilter, matchesFilter } from "../../event/EventQuery.ts"
import type { Position } from "../../event/Revision.ts"
import type { EventStore } from "../../store/EventStore.ts"
import type { ReadError } from "../../store/EventStoreError.ts"
import type { Part } from "./handoff.ts"
import { averageBytes, makeLimit } from "./pager.ts"
import { filterKey, unionOf } from "./union.ts"

/** How the followers of a process read the log: those that are at about the same place share what was read. */
export interface Feed {
  /** Takes a place for a follower, for as long as it follows. */
  readonly join: (filter: EventFilter) => Seat
}

/** The place of a follower. */
export interface Seat {
  /** The events that pass its filter after a position, some at least, up to `until` or where the log ends now. */
  readonly read: (after: Position, until: Position | undefined) => Effect.Effect<Part, ReadError>
  readonly leave: () => void
}

/**
 * Makes a feed.
 *
 * **Details**
 *
 * Nobody waits for anybody: a page is read when the first follower asks for it,
 * with a filter that suits all who are near, and kept for them while it fits;
 * who comes later than that reads alone, until it meets the others again.
 */
export const makeFeed = (
  store: EventStore["Service"],
  maxBytes: number
): Effect.Effect<Feed, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const room: Room = { store, scope, members: new Set(), shelf: makeShelf(maxBytes), reads: [] }
    return {
      join: (filter) => {
        const member: Member = { filter, key: filterKey(filter), limit: makeLimit(maxBytes), place: undefined }
        room.members.add(member)
        return {
          leave: () => {
            room.members.delete(member)
          },
          read: (after, until) =>
            Effect.suspend(() => {
              member.place = after
              const kept = room.shelf.find(member, after)
              if (kept !== undefined) return Effect.succeed(partOf(kept, member, after, until))
              // whoever is ahead has no use for this page
              const near = [...room.members].filter(({ place }) =>
                place !== undefined && place <= after && after - place <= KEPT_EVENTS
              )
              return near.length === 1
                ? readAlone(store, member, after, until)
                : Effect.map(readTogether(room, member, after, near), (page) => partOf(page, member, after, until))
            }).pipe(Effect.tap(({ position }) => Effect.sync(() => (member.place = position))))
        }
      }
    }
  })

// internal

/**
 * How much of what was read is kept at most, for those who come after: events, and
 * pages of the largest size. Bounds the memory; whoever is further behind reads alone.
 */
const KEPT_EVENTS = 16_000
const KEPT_PAGES = 4

/** What all followers of a feed have in common. */
interface Room {
  readonly store: EventStore["Service"]
  readonly scope: Scope.Scope
  readonly members: Set<Member>
  readonly shelf: Shelf
  /** Reads that are on their way. */
  readonly reads: Array<Read>
}

interface Member {
  readonly filter: EventFilter
  readonly key: string
  readonly limit: ReturnType<typeof makeLimit>
  /** Where it is; `undefined` before its first read. */
  place: Position | undefined
}

interface Read {
  readonly after: Position
  /** Keys of the filters that it suits. */
  readonly covers: ReadonlySet<string>
  fiber: Fiber.Fiber<Page, ReadError> | undefined
}

interface Page {
  readonly after: Position
  readonly position: Position
  readonly isEnd: boolean
  readonly events: ReadonlyArray<RecordedEvent>
  readonly average: number
  readonly bytes: number
  readonly covers: ReadonlySet<string>
  /** What each filter makes of it. */
  readonly views: Map<string, ReadonlyArray<RecordedEvent>>
}

/** Pages that were read and may still be wanted. */
interface Shelf {
  readonly find: (member: Member, after: Position) => Page | undefined
  readonly keep: (page: Page, members: ReadonlySet<Member>) => void
}

const makeShelf = (maxBytes: number): Shelf => {
  const pages: Array<Page> = []
  return {
    find: ({ key }, after) =>
      pages.find((page) => page.after <= after && after < page.position && page.covers.has(key)),
    keep: (page, members) => {
      pages.push(page)
      let events = 0
      let bytes = 0
      // the newest ones first
      for (const [index, kept] of [...pages.entries()].toReversed()) {
        const isOver = events + kept.events.length > KEPT_EVENTS || bytes + kept.bytes > KEPT_PAGES * maxBytes
        if (isOver || !isWanted(kept, members)) {
          pages.splice(index, 1)
          continue
        }
        events += kept.events.length
        bytes += kept.bytes
      }
    }
  }
}

/** Reads with a filter that suits all who are near, or waits for who does so already. */
const readTogether = (
  room: Room,
  member: Member,
  after: Position,
  near: ReadonlyArray<Member>
): Effect.Effect<Page, ReadError> =>
  Effect.suspend(() => {
    const under = room.reads.find((read) => read.after === after && read.covers.has(member.key))
    return under?.fiber === undefined
      ? Effect.flatMap(beginRead(room, after, near, member.limit.current()), Fiber.join)
      : Fiber.join(under.fiber)
  })

/** Begins a read that belongs to nobody: who began it may leave before the others. */
const beginRead = (
  { members, reads, scope, shelf, store }: Room,
  after: Position,
  near: ReadonlyArray<Member>,
  limit: number
) =>
  Effect.suspend(() => {
    const filter = unionOf(near.map((member) => member.filter))
    const read: Read = { after, covers: new Set(near.map(({ key }) => key)), fiber: undefined }
    reads.push(read)
    return store.readPage({ after, filter, limit }).pipe(
      Effect.map(({ events, isEnd, position }): Page => {
        const average = averageBytes(events)
        const views = new Map([[filterKey(filter), events]])
        return { after, position, isEnd, events, average, bytes: average * events.length, covers: read.covers, views }
      }),
      Effect.tap((page) => Effect.sync(() => shelf.keep(page, members))),
      Effect.ensuring(Effect.sync(() => reads.splice(reads.indexOf(read), 1))),
      Effect.forkIn(scope),
      Effect.tap((fiber) => Effect.sync(() => (read.fiber = fiber)))
    )
  })

const readAlone = (
  store: EventStore["Service"],
  { filter, limit }: Member,
  after: Position,
  until: Position | undefined
): Effect.Effect<Part, ReadError> =>
  Effect.map(
    store.readPage({ after, until, filter, limit: limit.current() }),
    ({ events, isEnd, position }) => {
      const average = averageBytes(events)
      limit.learn(events.length, average)
      return { events, position, isEnd, bytes: average * events.length }
    }
  )

/** Whether a follower may still come to a page, before it would be alone. */
const isWanted = (page: Page, members: ReadonlySet<Member>): boolean => {
  for (const { key, place } of members) {
    if (place !== undefined && place < page.position && place + KEPT_EVENTS >= page.after && page.covers.has(key)) {
      return true
    }
  }
  return false
}

const partOf = (page: Page, { filter, key, limit }: Member, after: Position, until: Position | undefined): Part => {
  let events = page.views.get(key)
  if (events === undefined) {
    events = page.events.filter((event) => matchesFilter(filter, event))
    page.views.set(key, events)
  }
  limit.learn(page.events.length, page.average)
  if (after > page.after) events = events.filter(({ position }) => position > after)
  const bytes = page.average * events.length
  if (until === undefined) return { events, position: page.position, isEnd: page.isEnd, bytes }
  // the page may have been read when the log ended before that
  if (page.position < until) return { events, position: page.position, isEnd: false, bytes }
  return { events: events.filter(({ position }) => position <= until), position: until, isEnd: true, bytes }
}
