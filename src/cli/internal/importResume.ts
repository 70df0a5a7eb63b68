/**
 * Finds what of an import is recorded already.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { RecordedEvent } from "../../event/Event.ts"
import type { EventStore } from "../../store/EventStore.ts"
import type { ReadError } from "../../store/EventStoreError.ts"
import type { ImportedLine } from "../EventLine.ts"

/**
 * Options of {@link skipKnown}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SkipKnownOptions<E> {
  readonly store: EventStore["Service"]
  readonly lines: ReadonlyArray<ImportedLine>
  /** Position of the line before; `undefined` when that is not known. */
  readonly after: number | undefined
  /** So many more lines are recorded, up to this position. */
  readonly onKnown: (count: number, position: number) => void
  /** This line's id is recorded with other content. */
  readonly onConflict: (line: ImportedLine) => void
  /** This line is not recorded, but one that follows is. */
  readonly onNew: (line: ImportedLine) => Effect.Effect<void, E>
}

/**
 * What is left to do after {@link skipKnown}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SkipKnownOutcome {
  /** Lines that are to be appended. */
  readonly rest: ReadonlyArray<ImportedLine>
  /** Whether the lines that follow may be recorded too, and where the last one stands. */
  readonly known: { readonly after: number | undefined } | undefined
}

/**
 * Reads the log beside the lines for as long as they are the same, one page for
 * all lines that stand one after the other, and looks up by id where they part.
 *
 * **Details**
 *
 * A line that is neither next in the log nor found by its id is where an
 * earlier import stopped, unless the last of the lines is recorded: then it was
 * put into the input later.
 *
 * @category operations
 * @since 0.1.0
 */
export const skipKnown = Effect.fnUntraced(function*<E>(
  { after, lines, onConflict, onKnown, onNew, store }: SkipKnownOptions<E>
): Effect.fn.Return<SkipKnownOutcome, E | ReadError> {
  let position = after
  let index = 0
  while (index < lines.length) {
    if (position !== undefined) {
      const page = yield* store.readPage({ after: position, limit: Math.min(lines.length - index, PAGE_SIZE_EVENTS) })
      const count = countSame(page.events, lines, index)
      const last = page.events[count - 1]
      if (last !== undefined) {
        position = last.position
        index += count
        onKnown(count, position)
      }
    }
    const line = lines[index]
    if (line === undefined) break
    const found = yield* store.findEvent(line.encoded.id)
    if (Option.isSome(found)) {
      if (isSameEvent(found.value, line)) {
        position = found.value.position
        onKnown(1, position)
      } else onConflict(line)
      index++
      continue
    }
    if (!(yield* isLastRecorded(store, lines, index))) return { rest: lines.slice(index), known: undefined }
    yield* onNew(line)
    index++
  }
  return { rest: [], known: { after: position } }
})

// internal

/** The most events of a page that `readPage` gives by default; more does not help. */
const PAGE_SIZE_EVENTS = 1_000

const countSame = (
  events: ReadonlyArray<RecordedEvent>,
  lines: ReadonlyArray<ImportedLine>,
  start: number
): number => {
  const different = events.findIndex((event, index) => {
    const line = lines[start + index]
    return line === undefined || !isSameEvent(event, line)
  })
  return different < 0 ? events.length : different
}

const isSameEvent = (event: RecordedEvent, { encoded, streamId }: ImportedLine): boolean =>
  event.id === encoded.id && event.streamId === streamId && event.type === encoded.type &&
  event.version === encoded.version && JSON.stringify(event.data) === encoded.data &&
  event.tags.length === encoded.tags.length && event.tags.every((tag, index) => tag === encoded.tags[index])

const isLastRecorded = (store: EventStore["Service"], lines: ReadonlyArray<ImportedLine>, index: number) => {
  const last = lines.at(-1)
  return last === undefined || index === lines.length - 1
    ? Effect.succeed(false)
    : Effect.map(store.findEvent(last.encoded.id), Option.isSome)
}
