/**
 * Bulk import of NDJSON, which can be repeated and resumed.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { EventStore } from "../store/EventStore.ts"
import type { AppendError, ReadError } from "../store/EventStoreError.ts"
import {
  type ImportedLine,
  isFault,
  type LineFault,
  type LineFaultReason,
  type LineReader,
  makeLineReader
} from "./EventLine.ts"
import { decompress, type InputDamaged } from "./internal/decompress.ts"
import { type Appender, makeAppender } from "./internal/importAppender.ts"
import {
  type ImportProgress,
  type ImportSummary,
  makeTally,
  type Tally,
  toProgress,
  toSummary
} from "./internal/importTally.ts"
import { type Line, LINE_SIZE_BYTES_MAX, makeLineSplitter } from "./internal/lines.ts"

export type { ImportProgress, ImportSummary }

/**
 * Represents the line at which an import stopped. Every line before it is
 * recorded; of those after it, the ones that were on their way may be too, and
 * the next import of the same file finds them.
 *
 * @category errors
 * @since 0.1.0
 */
export class LineRejected extends Schema.TaggedError<LineRejected>("effect-event-store/cli/Import/LineRejected")(
  "LineRejected",
  {
    /** Counted from 1. */
    line: Schema.Int,
    reason: Schema.String,
    detail: Schema.String
  }
) {
  override get message(): string {
    return `Line ${this.line}: ${this.detail} (${this.reason})`
  }
}

/**
 * Options of {@link importEvents}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ImportOptions<E = never> {
  /** Most events that are on their way to the store at a time; 1,000 when absent. */
  readonly batchSizeEvents?: number | undefined
  /** Tells the made ids of this input from those of equal lines in another; empty when absent. */
  readonly namespace?: string | undefined
  /** Takes what cannot be imported; without it the first such line ends the import. */
  readonly onReject?: ((rejected: RejectedLine) => Effect.Effect<void, E>) | undefined
  /** Told after every chunk of the input. */
  readonly onProgress?: ((progress: ImportProgress) => Effect.Effect<void>) | undefined
}

/**
 * A line that was not imported.
 *
 * @category models
 * @since 0.1.0
 */
export interface RejectedLine {
  /** Counted from 1. */
  readonly line: number
  readonly reason: LineFaultReason
  readonly detail: string
  /** The line as it stood, without its line feed; the start of it, when it is too long. */
  readonly text: string | Uint8Array
}

/**
 * Imports NDJSON, plain or compressed with gzip or zstd, into the store.
 *
 * **Details**
 *
 * The events stand in the log in the order of the lines. Each has an id, its own
 * or one made of its content ({@link makeLineReader}), so an import that is
 * repeated adds nothing, and one that was stopped goes on where it was: what is
 * recorded already is found by reading the log beside the input, with its
 * content compared. A line that was changed since is a new event, or, if it
 * names its id, an `IdempotencyConflict`; it is never skipped in silence.
 *
 * Lines are checked before they are sent. `onReject` takes those that are no
 * event, reuse an id for something else, or belong to a tombstoned stream.
 *
 * @category operations
 * @since 0.1.0
 */
export const importEvents = <E, R, E2 = never>(
  source: Stream.Stream<Uint8Array, E, R>,
  options: ImportOptions<E2> = {}
): Effect.Effect<ImportSummary, E | E2 | LineRejected | InputDamaged | AppendError | ReadError, EventStore | R> =>
  Effect.scoped(Effect.gen(function*() {
    const store = yield* EventStore
    const tally = makeTally()
    const appender = yield* makeAppender(store, options.batchSizeEvents ?? BATCH_SIZE_EVENTS, tally)
    return yield* run(source, options, tally, appender)
  }))

/**
 * Reads and checks NDJSON as {@link importEvents} does, and writes nothing.
 *
 * @category operations
 * @since 0.1.0
 */
export const checkEvents = <E, R, E2 = never>(
  source: Stream.Stream<Uint8Array, E, R>,
  options: ImportOptions<E2> = {}
): Effect.Effect<ImportSummary, E | E2 | LineRejected | InputDamaged, R> => run(source, options, makeTally(), undefined)

// internal

/** Enough to fill the store's batches while one is on its way. */
const BATCH_SIZE_EVENTS = 1_000

const run = Effect.fnUntraced(function*<E, R, E2, E3 = never>(
  source: Stream.Stream<Uint8Array, E, R>,
  options: ImportOptions<E2>,
  tally: Tally,
  appender: Appender<E3> | undefined
) {
  const splitter = makeLineSplitter()
  const reader = makeLineReader(options.namespace)

  const reject = (rejected: RejectedLine) => {
    tally.rejected++
    return options.onReject === undefined
      ? Effect.fail(new LineRejected({ line: rejected.line, reason: rejected.reason, detail: rejected.detail }))
      : options.onReject(rejected)
  }

  /** Those that the store refused, in the order of the lines. */
  const rejectRefused = Effect.fnUntraced(function*(appender: Appender<E3>) {
    const first = appender.takeRefused()
    if (first.length === 0) return
    if (options.onReject === undefined) yield* appender.settle
    const refused = [...first, ...appender.takeRefused()].sort((a, b) => a.line.number - b.line.number)
    for (const { fault, line } of refused) yield* reject({ ...fault, line: line.number, text: line.text })
  })

  const send = Effect.fnUntraced(function*(lines: ReadonlyArray<ImportedLine>) {
    for (const { streamId } of lines) tally.streams.add(streamId)
    if (appender === undefined) return
    yield* appender.send(lines)
    yield* rejectRefused(appender)
  })

  const settle = Effect.fnUntraced(function*() {
    if (appender === undefined) return
    yield* appender.settle
    yield* rejectRefused(appender)
  })

  const take = Effect.fnUntraced(function*(lines: ReadonlyArray<Line>) {
    let ready: Array<ImportedLine> = []
    for (const line of lines) {
      const outcome = readLine(reader, line)
      if (outcome === undefined) continue
      tally.read++
      if (!isFault(outcome)) ready.push(outcome)
      else {
        if (options.onReject === undefined) {
          // what stands before is kept
          yield* send(ready)
          yield* settle()
          ready = []
        }
        yield* reject({ ...outcome, line: line.number, text: line.fault === undefined ? line.text : line.bytes })
      }
    }
    yield* send(ready)
    if (options.onProgress !== undefined) yield* options.onProgress(toProgress(tally))
  })

  const counted = Stream.map(source, (chunk) => {
    tally.sizeBytes += chunk.length
    return chunk
  })
  yield* Stream.runForEach(decompress(counted), (chunk) => take(splitter.push(chunk)))
  yield* take(splitter.end())
  yield* settle()
  if (options.onProgress !== undefined) yield* options.onProgress(toProgress(tally))
  return toSummary(tally)
})

/** `undefined` for a blank line. */
const readLine = (reader: LineReader, line: Line): ImportedLine | LineFault | undefined => {
  switch (line.fault) {
    case undefined:
      return line.text.trim() === "" ? undefined : reader.read(line.text, line.number)
    case "InvalidUtf8":
      return { reason: line.fault, detail: "is not UTF-8" }
    case "LineTooLong":
      return { reason: line.fault, detail: `is longer than ${LINE_SIZE_BYTES_MAX} bytes` }
  }
}
