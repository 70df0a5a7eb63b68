/**
 * Where data and metadata of archived events are read: the store keeps
 * everything else about them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { RecordedEvent } from "../event/Event.ts"
import type { Position } from "../event/Revision.ts"
import { Archived, Corrupt, StorageError, type Unavailable } from "./EventStoreError.ts"
import type { ArchiveEntry, EventPayload, StoredEventRow } from "./LogArchive.ts"
import type { EventRow } from "./LogTransfer.ts"

/**
 * Service that reads data and metadata of archived events.
 *
 * **Details**
 *
 * A store takes it when it is there while the store is opened. Without it, what
 * is archived can still be filtered, counted and conditioned on, and a read of
 * it fails with `StorageError`, reason `Archived`.
 *
 * @category services
 * @since 0.1.0
 */
export class EventArchive extends Context.Service<EventArchive, {
  /** Reads the payloads of events, in the order in which they are asked for; all of them or none. */
  readonly read: (
    from: ArchiveEntry,
    events: ReadonlyArray<ArchivedEvent>
  ) => Effect.Effect<ReadonlyArray<EventPayload>, Archived | Unavailable>
}>()("effect-event-store/store/EventArchive") {}

/**
 * An event whose payload is elsewhere.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArchivedEvent {
  readonly position: number
  /** The archive proves that it has this very event. */
  readonly id: string
}

/**
 * What a storage tells of events that it reads without their payloads.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArchivedParts {
  readonly archive: EventArchive["Service"] | undefined
  /**
   * Reads payloads that the storage has itself, by position. Whoever was read a
   * moment ago may have been brought back since, and an event may have `null` as
   * its data.
   */
  readonly stored: (
    events: ReadonlyArray<RecordedEvent>
  ) => Effect.Effect<ReadonlyMap<number, EventPayload>, StorageError>
  /** What is archived, as it is now. */
  readonly entries: Effect.Effect<ReadonlyArray<ArchiveEntry>, StorageError>
}

/**
 * Gives events that were read without data theirs; those that are whole cost
 * nothing but a look.
 *
 * @category operations
 * @since 0.1.0
 */
export const completeEvents = (
  parts: ArchivedParts,
  operation: string,
  events: ReadonlyArray<RecordedEvent>
): Effect.Effect<ReadonlyArray<RecordedEvent>, StorageError> => {
  const bare = events.filter(({ data }) => data === null)
  return bare.length === 0 ? Effect.succeed(events) : Effect.gen(function*() {
    const found = yield* settle(
      parts,
      operation,
      Effect.map(parts.stored(bare), (payloads) => ({
        payloads,
        archived: bare.filter(({ position }) => !payloads.has(position))
      }))
    )
    const payloads = new Map(found.payloads)
    const read = yield* readArchived(parts, operation, found.entries, found.archived)
    for (const [index, { position }] of found.archived.entries()) payloads.set(position, read[index] as EventPayload)
    return events.map((event) => {
      const payload = event.data === null ? payloads.get(event.position) : undefined
      return payload === undefined ? event : {
        ...event,
        data: JSON.parse(payload.data) as Schema.Json,
        metadata: payload.metadata === "" ? {} : JSON.parse(payload.metadata) as Schema.JsonObject
      }
    })
  })
}

/**
 * Reads rows, and gives those without data theirs; the page ends when it has so
 * much JSON.
 *
 * @category operations
 * @since 0.1.0
 */
export const completeRows = Effect.fnUntraced(function*(
  parts: Pick<ArchivedParts, "archive" | "entries">,
  operation: string,
  read: Effect.Effect<ReadonlyArray<StoredEventRow>, StorageError>,
  size: number
): Effect.fn.Return<ReadonlyArray<EventRow>, StorageError> {
  const { entries, rows } = yield* settle(
    parts,
    operation,
    Effect.map(read, (rows) => ({ rows, archived: rows.filter((row) => !isWhole(row)) }))
  )
  if (entries.length === 0) return rows as ReadonlyArray<EventRow>
  const whole: Array<EventRow> = []
  let taken = 0
  for (let from = 0; from < rows.length && taken < size; from += ROWS_AT_ONCE) {
    const some = rows.slice(from, from + ROWS_AT_ONCE)
    const payloads = yield* readArchived(parts, operation, entries, some.filter((row) => !isWhole(row)))
    let next = 0
    for (const row of some) {
      const complete: EventRow = isWhole(row) ? row : { ...row, ...payloads[next++] as EventPayload }
      whole.push(complete)
      taken += complete.data.length + complete.metadata.length
      if (taken >= size) break
    }
  }
  return whole
})

/**
 * Makes the reason of a read that found no archive to read from.
 *
 * @category errors
 * @since 0.1.0
 */
export const archiveAbsent = ({ backupId, until }: ArchiveEntry, { position }: ArchivedEvent): Archived =>
  new Archived({
    position: position as Position,
    backupId,
    until: until as Position,
    detail: `data and metadata of the event at position ${position} are archived in backup ${backupId} ` +
      `(as all up to position ${until}): open the store with its archive, or bring them back`
  })

// internal

/** Rows that are completed before the size of the page is looked at. */
const ROWS_AT_ONCE = 256

const isWhole = (row: StoredEventRow): row is EventRow => row.data !== undefined

/** How often it is read again what was brought back in between. */
const TRIES = 5

/**
 * Reads, and finds out where everything stands that came without data: not at
 * all when nothing did. What is no longer archived by then is read again.
 */
const settle = <A extends { readonly archived: ReadonlyArray<ArchivedEvent> }>(
  parts: Pick<ArchivedParts, "entries">,
  operation: string,
  read: Effect.Effect<A, StorageError>
): Effect.Effect<A & { readonly entries: ReadonlyArray<ArchiveEntry> }, StorageError> =>
  Effect.gen(function*() {
    let astray = 0
    for (let tried = 0; tried < TRIES; tried++) {
      const found = yield* read
      if (found.archived.length === 0) return { ...found, entries: [] }
      const entries = yield* parts.entries
      const lacking = found.archived.find(({ position }) => entryOf(entries, position) === undefined)
      if (lacking === undefined) return { ...found, entries }
      astray = lacking.position
    }
    return yield* lost(operation, astray)
  })

const entryOf = (entries: ReadonlyArray<ArchiveEntry>, position: number): ArchiveEntry | undefined =>
  entries.find(({ after, until }) => after < position && position <= until)

const readArchived = Effect.fnUntraced(function*(
  { archive }: Pick<ArchivedParts, "archive">,
  operation: string,
  entries: ReadonlyArray<ArchiveEntry>,
  events: ReadonlyArray<ArchivedEvent>
): Effect.fn.Return<ReadonlyArray<EventPayload>, StorageError> {
  const groups = new Map<ArchiveEntry, Array<number>>()
  for (const [index, { position }] of events.entries()) {
    const entry = entryOf(entries, position) as ArchiveEntry
    const group = groups.get(entry)
    if (group === undefined) groups.set(entry, [index])
    else group.push(index)
  }
  const payloads = new Array<EventPayload>(events.length)
  for (const [entry, indexes] of groups) {
    const wanted = indexes.map((index) => events[index] as ArchivedEvent)
    const reading = archive === undefined
      ? Effect.fail(archiveAbsent(entry, wanted[0] as ArchivedEvent))
      : archive.read(entry, wanted)
    const found = yield* Effect.mapError(reading, (reason) => new StorageError({ operation, reason }))
    for (const [nth, index] of indexes.entries()) payloads[index] = found[nth] as EventPayload
  }
  return payloads
})

const lost = (operation: string, position: number): StorageError =>
  new StorageError({
    operation,
    reason: new Corrupt({ detail: `the event at position ${position} has no data, and is not archived` })
  })
