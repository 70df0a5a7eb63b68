import * as Effect from "effect/Effect"
import type { RecordedEvent } from "../../event/Event.ts"
import type { EventFilter } from "../../event/EventQuery.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import { type Position, START } from "../../event/Revision.ts"
import type { ProjectionRecord } from "../../store/CheckpointStore.ts"
import type { EventStore } from "../../store/EventStore.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import type { Slices } from "../Projection.ts"
import { makeDivider } from "./slices.ts"

/** What a follower reads, and how it is divided. */
export interface Reading {
  readonly filter?: EventFilter | undefined
  readonly slices?: Slices | undefined
}

/** How far a follower has seen the log. */
export interface Reached {
  /** It has seen every matching event up to here. */
  readonly position: Position
  /** The first that it has not seen, up to the limit. */
  readonly next: RecordedEvent | undefined
}

/**
 * How far a follower has seen the log, up to a limit: to the first matching event
 * that its slice has not seen. Slices that nothing was there for count as there.
 */
export const findReached = (
  store: EventStore["Service"],
  { filter, slices }: Reading,
  records: ReadonlyArray<ProjectionRecord>,
  limit: Position
): Effect.Effect<Reached, InvalidInput | StorageError> =>
  Effect.gen(function*() {
    const seen = new Map(records.map(({ checkpoint: { position }, slice }) => [slice, position]))
    const divide = makeDivider({ slices })
    const isSeen = (event: RecordedEvent) =>
      divide !== undefined && event.position <= (seen.get(divide(event)) ?? START)
    let after = records.length === 0 ? START : Math.min(...seen.values()) as Position
    while (after < limit) {
      const page = yield* store.readPage({ after, until: limit, filter, limit: divide === undefined ? 1 : PAGE_EVENTS })
      const next = page.events.find((event) => !isSeen(event))
      if (next !== undefined) return { position: (next.position - 1) as Position, next }
      after = page.position
      if (page.isEnd) break
    }
    return { position: limit, next: undefined }
  }).pipe(
    // a log that ends before the checkpoint is another one
    Effect.catchTag("PositionAheadOfLog", () => Effect.succeed({ position: START, next: undefined }))
  )

// internal

/** Events that are looked at in one go. */
const PAGE_EVENTS = 500
