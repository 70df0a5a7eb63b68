import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { RecordedEvent } from "../../event/Event.ts"
import type { Position } from "../../event/Revision.ts"
import { joinPieces } from "./pieces.ts"

/** Events of a part of the log, up to a position. */
export interface Part {
  readonly events: ReadonlyArray<RecordedEvent>
  readonly position: Position
  /** Whether nothing came after it. */
  readonly isEnd: boolean
  /** About what the events take in memory. */
  readonly bytes: number
}

/** Where whoever reads leaves events for whoever applies them. */
export interface Handoff {
  /** Adds a part; waits while what is there fills a batch. */
  readonly put: (part: Part) => Effect.Effect<void>
  /**
   * Takes what fits one batch, joined; waits until there is something. What came
   * last before the end of the log is taken at once, and otherwise as soon as a
   * batch is full, or nothing more came for a while.
   */
  readonly take: Effect.Effect<Part>
}

/** Makes a handoff between one reader and one who applies; a part with more events than a batch is split. */
export const makeHandoff = (maxEvents: number, maxBytes: number): Handoff => {
  const parts: Array<Part> = []
  let events = 0
  let bytes = 0
  const hasRoom = Latch.makeUnsafe(true)
  const hasParts = Latch.makeUnsafe(false)
  const isReady = Latch.makeUnsafe(false)
  const set = (latch: Latch.Latch, isOpen: boolean) => isOpen ? latch.openUnsafe() : latch.closeUnsafe()
  const isFull = () => events >= maxEvents || bytes >= maxBytes || parts.length >= PARTS_MAX
  // whoever waits may go on within `set`, and change what comes after it
  const update = (): void => {
    set(isReady, isFull() || parts.at(-1)?.isEnd === true)
    set(hasParts, parts.length > 0)
    set(hasRoom, !isFull())
  }
  return {
    put: (part) =>
      Effect.andThen(
        hasRoom.await,
        Effect.sync(() => {
          parts.push(part)
          events += part.events.length
          bytes += part.bytes
          update()
        })
      ),
    take: hasParts.await.pipe(
      Effect.andThen(Effect.timeoutOption(isReady.await, FILL)),
      Effect.andThen(Effect.sync(() => {
        const [first] = parts
        if (first !== undefined && first.events.length > maxEvents) parts.splice(0, 1, ...split(first, maxEvents))
        const joined = join(parts.splice(0, fitting(parts, maxEvents, maxBytes)))
        events -= joined.events.length
        bytes -= joined.bytes
        update()
        return joined
      }))
    )
  }
}

// internal

/** How long a batch may wait to be filled, far from the end of the log: a commit less is worth more. */
const FILL = Duration.millis(100)

/** Parts that wait; bounds them when they hold no events. */
const PARTS_MAX = 1_000

/** How many parts from the first on fit a batch: one at least. */
const fitting = (parts: ReadonlyArray<Part>, maxEvents: number, maxBytes: number): number => {
  let events = 0
  let bytes = 0
  for (const [index, part] of parts.entries()) {
    events += part.events.length
    bytes += part.bytes
    if (index > 0 && (events > maxEvents || bytes > maxBytes)) return index
  }
  return parts.length
}

/** The first events of a part, and the others. */
const split = ({ bytes, events, ...rest }: Part, count: number): readonly [Part, Part] => {
  const head = events.slice(0, count)
  const tail = events.slice(count)
  const headBytes = bytes * count / events.length
  return [
    { events: head, position: head[count - 1]?.position ?? rest.position, isEnd: false, bytes: headBytes },
    { ...rest, events: tail, bytes: bytes - headBytes }
  ]
}

/** There is a part whenever one is taken. */
const join = (parts: ReadonlyArray<Part>): Part => {
  const last = parts[parts.length - 1] as Part
  return parts.length === 1 ? last : {
    events: joinPieces(parts.map(({ events }) => events).filter(({ length }) => length > 0)),
    position: last.position,
    isEnd: last.isEnd,
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0)
  }
}
