import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import type { Position } from "../../event/Revision.ts"
import type { StorageError } from "../../store/EventStoreError.ts"
import type { StoredEventRow } from "../../store/LogArchive.ts"
import type { EventPage, EventRow } from "../../store/LogTransfer.ts"
import { CopyDiffers } from "../TransferError.ts"

/** Pages of events, the next one read while the one before is used. */
export const eventPages = <Row extends Pick<EventRow, "position" | "recordedAt">>(
  readEvents: (page: EventPage) => Effect.Effect<ReadonlyArray<Row>, InvalidInput | StorageError>,
  { after, until }: { readonly after: number; readonly until: number }
): Stream.Stream<ReadonlyArray<Row>, InvalidInput | StorageError> =>
  Stream.paginate(
    { after, recordedAt: undefined as number | undefined },
    (from) =>
      Effect.map(
        from.after >= until ? Effect.succeed([]) : readEvents({ ...from, until, limit: READ_EVENTS }),
        (rows) => {
          const last = rows.at(-1)
          return [
            rows.length === 0 ? [] : [rows],
            last === undefined || last.position >= until
              ? Option.none()
              : Option.some({ after: last.position, recordedAt: last.recordedAt })
          ] as const
        }
      )
  ).pipe(Stream.buffer({ capacity: 1 }))

/** A part of an event that is one value. */
export type EventKey = Exclude<keyof EventRow, "tags">

/** What a store keeps of an archived event, but for the tags. */
export const SKELETON_KEYS: ReadonlyArray<EventKey> = [
  "position",
  "streamId",
  "revision",
  "id",
  "type",
  "version",
  "recordedAt"
]

/** Joins rows to pages that are worth a step of a restore. */
export const inPages = <E, E2>(
  rows: Stream.Stream<EventRow, E>,
  use: (page: ReadonlyArray<EventRow>) => Effect.Effect<void, E2>
): Effect.Effect<void, E | E2> =>
  Effect.suspend(() => {
    let page: Array<EventRow> = []
    let size = 0
    const flush = Effect.suspend(() => {
      const full = page
      page = []
      size = 0
      return full.length === 0 ? Effect.void : use(full)
    })
    return Effect.andThen(
      Stream.runForEachArray(rows, (found) =>
        Effect.suspend(() => {
          for (const row of found) {
            page.push(row)
            size += row.data.length + row.metadata.length
          }
          return page.length >= PAGE_EVENTS || size >= PAGE_SIZE ? flush : Effect.void
        })),
      flush
    )
  })

/** Compares two copies of the same events, the one at `after` and those before it left out, row by row. */
export const compareEvents = <E, E2, R, R2>(
  expected: Stream.Stream<EventRow, E, R>,
  found: Stream.Stream<StoredEventRow, E2, R2>,
  until: number,
  count: (rows: ReadonlyArray<EventRow>) => Effect.Effect<void>,
  { after = 0, keys = KEYS }: { readonly after?: number; readonly keys?: ReadonlyArray<EventKey> } = {}
): Effect.Effect<void, E | E2 | CopyDiffers, R | R2> => {
  let position = after
  return Stream.zipWith(expected, found, (before, after) => [before, after] as const).pipe(
    Stream.runForEachArray(Effect.fnUntraced(function*(pairs) {
      for (const [before, other] of pairs) {
        position++
        const key = differingKey(keys, before, other)
        if (key !== undefined) return yield* new CopyDiffers({ position: position as Position, detail: `the ${key}` })
      }
      yield* count(pairs.map(([before]) => before))
    })),
    Effect.andThen(Effect.suspend(() =>
      position === until
        ? Effect.void
        : Effect.fail(new CopyDiffers({ position: position + 1 as Position, detail: "there is no event" }))
    ))
  )
}

// internal

const KEYS: ReadonlyArray<EventKey> = [...SKELETON_KEYS, "data", "metadata"]

/** Events that are read at once: more are not quicker, and become garbage that lives long. */
const READ_EVENTS = 1_000

/** Events that one step writes, and characters of their JSON. */
const PAGE_EVENTS = 4_000
const PAGE_SIZE = 4 * 1024 * 1024

const differingKey = (
  keys: ReadonlyArray<EventKey>,
  before: EventRow,
  after: StoredEventRow
): keyof EventRow | undefined =>
  keys.find((key) => before[key] !== after[key]) ??
    (before.tags.length === after.tags.length && before.tags.every((tag, index) => tag === after.tags[index])
      ? undefined
      : "tags")
