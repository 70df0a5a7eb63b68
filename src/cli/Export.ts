/**
 * The log as NDJSON.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { EventFilter } from "../event/EventQuery.ts"
import { EventStore } from "../store/EventStore.ts"
import type { ReadError } from "../store/EventStoreError.ts"
import { toEventLine } from "./EventLine.ts"

/**
 * Options of {@link exportEvents}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExportOptions {
  readonly filter?: EventFilter | undefined
  /** Exports after this position (exclusive); from the start when absent. */
  readonly after?: number | undefined
  /** Last position to export (inclusive); the head at the start of the export when absent. */
  readonly until?: number | undefined
  /** Most events to export; all when absent. */
  readonly limit?: number | undefined
  /** Told of every piece of text. */
  readonly onProgress?: ((events: number, position: number) => void) | undefined
}

/**
 * Reads the log as lines of `EventLine`, many lines a piece of text, up to where
 * it is when the export starts.
 *
 * **Details**
 *
 * `importEvents` reads it back without loss: ids, types, versions, data,
 * metadata, tags, streams and the order of events are equal, and so are
 * revisions and positions when the whole log goes into an empty store.
 *
 * @category operations
 * @since 0.1.0
 */
export const exportEvents = (options: ExportOptions = {}): Stream.Stream<string, ReadError, EventStore> =>
  Stream.unwrap(Effect.gen(function*() {
    const store = yield* EventStore
    const { position: head } = yield* store.head
    const { after, filter, limit, onProgress, until } = options
    const events = store.readAll({ after, filter, limit, until: until === undefined ? head : Math.min(until, head) })
    return Stream.mapArray(events, (page) => {
      onProgress?.(page.length, page.at(-1)?.position ?? 0)
      return [page.map((event) => `${JSON.stringify(toEventLine(event))}\n`).join("")]
    })
  }))
