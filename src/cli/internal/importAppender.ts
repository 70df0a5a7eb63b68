/**
 * Sends the lines of an import to the store, in their order and many at a time.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
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
  const gate = yield* makeGate(capacityEvents)
  let refused: Array<RefusedLine> = []
  /** Whether the next line may be recorded already, and after which position it then stands. */
  let known: { readonly after: number | undefined } | undefined = { after: undefined }

  const refuse = (line: ImportedLine, fault: LineFault) => {
    refused.push({ line, fault })
  }
  const onRecorded = (run: Run, { alreadyAppended, position }: AppendResult) => {
    tally.lastPosition = Math.max(tally.lastPosition, position)
    if (alreadyAppended) {
      tally.skipped += run.lines.length
      known ??= { after: position }
    } else tally.appended += run.lines.length
  }
  const submit = (run: Run) => gate.submit(weightOf(run), recordRun(store, run, onRecorded, refuse))

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
      for (const run of toRuns(rest, capacityEvents)) yield* submit(run)
    }),
    settle: gate.settle,
    takeRefused: () => {
      const taken = refused
      refused = []
      return taken
    }
  }
})

// internal

/** Consecutive lines of one stream. */
interface Run {
  readonly streamId: string
  readonly lines: ReadonlyArray<ImportedLine>
  readonly sizeBytes: number
}

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
    const [first] = run.lines
    return first !== undefined && run.lines.length === 1
      ? Effect.sync(() => refuse(first, fault))
      : Effect.forEach(run.lines, (line) => recordRun(store, toRun(line), onRecorded, refuse), { discard: true })
  }
  return store.append({ streamId: run.streamId, expected: "any", events: run.lines.map((line) => line.event) }).pipe(
    Effect.map((result) => onRecorded(run, result)),
    Effect.catchTags({
      IdempotencyConflict: () => split(ID_TAKEN),
      InvalidInput: ({ detail, reason }) => split({ reason, detail }),
      StreamTombstoned: () => split(STREAM_ENDED)
    })
  )
}

/** Starts effects one after the other, as far as their weights fit into `capacity` together. */
const makeGate = Effect.fnUntraced(function*(capacity: number) {
  const scope = yield* Effect.scope
  const permits = yield* Semaphore.make(capacity)
  let failure: Cause.Cause<AppendError> | undefined
  const check = Effect.suspend(() => failure === undefined ? Effect.void : Effect.failCause(failure))

  return {
    submit: Effect.fnUntraced(function*(wanted: number, effect: Effect.Effect<void, AppendError>) {
      const weight = Math.min(capacity, wanted)
      yield* Semaphore.take(permits, weight)
      yield* check
      yield* effect.pipe(
        Effect.onExit((exit) => {
          if (Exit.isFailure(exit)) failure ??= exit.cause
          return Semaphore.release(permits, weight)
        }),
        Effect.forkIn(scope, { startImmediately: true })
      )
    }),
    settle: check.pipe(
      Effect.andThen(Semaphore.withPermits(permits, capacity)(check))
    )
  }
})

/** Bytes of JSON that one permit stands for, so that big events do not fill the memory. */
const PERMIT_SIZE_BYTES = 16 * 1024

/** Most events of one append: larger ones only make the others wait. */
const RUN_EVENTS_MAX = 1_000

/** Most bytes of one append; an append holds at most 16 MiB. */
const RUN_SIZE_BYTES_MAX = 4 * 1024 * 1024

const weightOf = (run: Run): number => Math.max(run.lines.length, Math.ceil(run.sizeBytes / PERMIT_SIZE_BYTES))

const toRun = (line: ImportedLine): Run => ({
  streamId: line.streamId,
  lines: [line],
  sizeBytes: line.encoded.sizeBytes
})

const toRuns = (lines: ReadonlyArray<ImportedLine>, capacityEvents: number): ReadonlyArray<Run> => {
  const eventsMax = Math.min(capacityEvents, RUN_EVENTS_MAX)
  const runs: Array<Run> = []
  let start = 0
  let sizeBytes = 0
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]
    const first = lines[start]
    if (line === undefined || first === undefined) break
    const fits = line.streamId === first.streamId && index - start < eventsMax &&
      sizeBytes + line.encoded.sizeBytes <= RUN_SIZE_BYTES_MAX
    if (!fits) {
      runs.push({ streamId: first.streamId, lines: lines.slice(start, index), sizeBytes })
      start = index
      sizeBytes = 0
    }
    sizeBytes += line.encoded.sizeBytes
  }
  const first = lines[start]
  if (first !== undefined) runs.push({ streamId: first.streamId, lines: lines.slice(start), sizeBytes })
  return runs
}
