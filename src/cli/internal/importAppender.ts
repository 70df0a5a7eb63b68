/**
 * Sends the lines of an import to the store, in their order and many at a time.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as AppendPipeline from "../../migration/AppendPipeline.ts"
import type { AppendResult, EventStore } from "../../store/EventStore.ts"
import type { AppendError, ReadError } from "../../store/EventStoreError.ts"
import type { ImportedLine, LineFault } from "../EventLine.ts"
import { skipKnown } from "./importResume.ts"
import type { Tally } from "./importTally.ts"

/**
 * A line that the store does not take.
 *
 * @category models
 * @since 0.1.0
 */
export interface RefusedLine {
  readonly line: ImportedLine
  readonly fault: LineFault
}

/**
 * Sends lines to the store.
 *
 * @category models
 * @since 0.1.0
 */
export interface Appender<E> {
  /** Returns when the lines are recorded, found, or on their way. */
  readonly send: (lines: ReadonlyArray<ImportedLine>) => Effect.Effect<void, E>
  /** Returns when nothing is on its way any more. */
  readonly settle: Effect.Effect<void, E>
  /** The lines that were refused since this was asked last. */
  readonly takeRefused: () => ReadonlyArray<RefusedLine>
}

/**
 * Makes an {@link Appender} with at most `capacityEvents` events, and about 16
 * KiB times as many bytes, on their way.
 *
 * **Details**
 *
 * Appends are submitted one after the other and never wait for each other, so
 * the log keeps the order of the lines. Consecutive lines of one stream are one
 * append. While the input is known, nothing is sent: see `skipKnown`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeAppender = Effect.fnUntraced(function*(
  store: EventStore["Service"],
  capacityEvents: number,
  tally: Tally
): Effect.fn.Return<Appender<AppendError | ReadError>, never, Scope.Scope> {
  const pipeline = yield* AppendPipeline.make<AppendError>(capacityEvents)
  let refused: Array<RefusedLine> = []
  /** Whether the next line may be recorded already, and after which position it then stands. */
  let known: { readonly after: number | undefined } | undefined = { after: undefined }

  const refuse = (line: ImportedLine, fault: LineFault) => {
    refused.push({ line, fault })
  }
  const onRecorded = (run: Run, { alreadyAppended, position }: AppendResult) => {
    tally.lastPosition = Math.max(tally.lastPosition, position)
    if (alreadyAppended) {
      tally.skipped += run.items.length
      known ??= { after: position }
    } else tally.appended += run.items.length
  }
  const submit = (run: Run) => pipeline.submit(AppendPipeline.weightOf(run), recordRun(store, run, onRecorded, refuse))

  return {
    send: Effect.fnUntraced(function*(lines) {
      let rest = lines
      if (known !== undefined) {
        const outcome = yield* skipKnown({
          store,
          lines,
          after: known.after,
          onKnown: (count, position) => {
            tally.skipped += count
            tally.lastPosition = Math.max(tally.lastPosition, position)
          },
          onConflict: (line) => refuse(line, ID_TAKEN),
          onNew: (line) => submit(toRun(line))
        })
        known = outcome.known
        rest = outcome.rest
      }
      for (const run of AppendPipeline.toRuns(rest, capacityEvents)) yield* submit(run)
    }),
    settle: pipeline.settle,
    takeRefused: () => {
      const taken = refused
      refused = []
      return taken
    }
  }
})

// internal

/** Consecutive lines of one stream. */
type Run = AppendPipeline.Run<ImportedLine>

const ID_TAKEN: LineFault = { reason: "IdempotencyConflict", detail: "its id is recorded for something else" }

const STREAM_ENDED: LineFault = { reason: "StreamTombstoned", detail: "its stream was tombstoned" }

/** A run is all or nothing; when it is refused, each of its lines answers for itself. */
const recordRun = (
  store: EventStore["Service"],
  run: Run,
  onRecorded: (run: Run, result: AppendResult) => void,
  refuse: (line: ImportedLine, fault: LineFault) => void
): Effect.Effect<void, AppendError> => {
  const split = (fault: LineFault) => {
    const [first] = run.items
    return first !== undefined && run.items.length === 1
      ? Effect.sync(() => refuse(first, fault))
      : Effect.forEach(run.items, (line) => recordRun(store, toRun(line), onRecorded, refuse), { discard: true })
  }
  return store.append({ streamId: run.streamId, expected: "any", events: run.items.map((line) => line.event) }).pipe(
    Effect.map((result) => onRecorded(run, result)),
    Effect.catchTags({
      IdempotencyConflict: () => split(ID_TAKEN),
      InvalidInput: ({ detail, reason }) => split({ reason, detail }),
      StreamTombstoned: () => split(STREAM_ENDED)
    })
  )
}

const toRun = (line: ImportedLine): Run => ({
  streamId: line.streamId,
  items: [line],
  sizeBytes: line.encoded.sizeBytes
})
