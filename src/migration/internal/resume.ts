/**
 * Finds what of a copy stands in the target already.
 */
import * as Effect from "effect/Effect"
import type { RecordedEvent } from "../../event/Event.ts"
import type { Position } from "../../event/Revision.ts"
import type { EventStore } from "../../store/EventStore.ts"
import type { ReadError } from "../../store/EventStoreError.ts"
import { TargetDiffers } from "../CopyError.ts"
import { isSame } from "./digest.ts"
import type { Outgoing } from "./outgoing.ts"

/** Reads the target beside the source. */
export interface Walker {
  /** Returns those of the events that the target does not have, which are all after the first such. */
  readonly skip: (events: ReadonlyArray<Outgoing>) => Effect.Effect<ReadonlyArray<Outgoing>, TargetDiffers | ReadError>
  /** Fails when the target has more than the source. */
  readonly end: Effect.Effect<void, TargetDiffers | ReadError>
}

/** Makes a walker over the target's log up to `head`. */
export const makeWalker = (to: EventStore["Service"], head: Position): Walker => {
  let page: ReadonlyArray<RecordedEvent> = []
  let index = 0
  let after = 0
  const peek = Effect.suspend(() =>
    index < page.length || after >= head
      ? Effect.succeed(page[index])
      : Effect.map(to.readPage({ after, until: head, limit: PAGE_SIZE_EVENTS }), (next) => {
        page = next.events
        index = 0
        after = next.isEnd ? head : next.position
        return page[0]
      })
  )
  return {
    skip: Effect.fnUntraced(function*(events) {
      for (const [known, outgoing] of events.entries()) {
        const found = yield* peek
        if (found === undefined) return events.slice(known)
        if (!isSame(found, outgoing.streamId, outgoing.encoded)) return yield* differs(found, outgoing)
        index++
      }
      return []
    }),
    end: Effect.flatMap(peek, (found) => found === undefined ? Effect.void : Effect.fail(differs(found, undefined)))
  }
}

// internal

/** The most events of a page that `readPage` gives by default; more does not help. */
const PAGE_SIZE_EVENTS = 1_000

const differs = (found: RecordedEvent, outgoing: Outgoing | undefined): TargetDiffers =>
  new TargetDiffers({
    position: found.position,
    id: found.id,
    sourcePosition: outgoing?.source.position,
    detail: outgoing === undefined
      ? "the source has no more events"
      : found.id === outgoing.encoded.id
      ? `it has the id of the event at position ${outgoing.source.position} of the source and another content`
      : `the event at position ${outgoing.source.position} of the source belongs there`
  })
