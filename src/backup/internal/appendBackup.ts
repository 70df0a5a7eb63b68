import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ProposedEvent } from "../../event/Event.ts"
import { checkFilter, matchesFilter } from "../../event/EventQuery.ts"
import type { InvalidInput } from "../../event/InvalidInput.ts"
import { checkName } from "../../event/Name.ts"
import { sha256 } from "../../event/Sha256.ts"
import * as AppendPipeline from "../../migration/AppendPipeline.ts"
import type { EventStore } from "../../store/EventStore.ts"
import type { AppendError } from "../../store/EventStoreError.ts"
import type { EventRow } from "../../store/LogTransfer.ts"
import type { AppendBackupError, AppendBackupOptions, AppendOutcome, AppendPreview } from "../BackupOptions.ts"
import type { BackupStorage } from "../BackupStorage.ts"
import { inPages } from "./eventPages.ts"
import { makeMeter } from "./meter.ts"
import { select } from "./restoreBackup.ts"

/** Says what an append would do. */
export const planAppend = Effect.fn("BackupService.planAppend")(function*(
  store: EventStore["Service"],
  options: AppendBackupOptions
): Effect.fn.Return<AppendPreview, AppendBackupError, BackupStorage> {
  const toOutgoing = yield* makeSieve(options)
  const meter = yield* makeMeter(options.onProgress)
  const { id, position, reader } = yield* select(options)
  yield* meter.begin("events", position)
  const tally = { read: 0, toAppend: 0, present: 0, conflicting: 0 }
  yield* inPages(reader.events({ until: position }), (rows) =>
    Effect.gen(function*() {
      tally.read += rows.length
      yield* Effect.forEach(
        toOutgoing(rows),
        ({ event, streamId }) =>
          Effect.map(store.findEvent(event.id ?? ""), (found) => {
            const stands = Option.map(found, (recorded) => recorded.streamId === streamId)
            tally[Option.isNone(stands) ? "toAppend" : stands.value ? "present" : "conflicting"]++
          }),
        { concurrency: LOOKS, discard: true }
      )
      yield* meter.count(rows)
    }))
  return { id, position, ...tally, elapsedMillis: yield* meter.elapsedMillis }
})

/** Appends events of a backup. */
export const appendBackup = Effect.fn("BackupService.append")(function*(
  store: EventStore["Service"],
  options: AppendBackupOptions
): Effect.fn.Return<AppendOutcome, AppendBackupError, BackupStorage> {
  const toOutgoing = yield* makeSieve(options)
  const meter = yield* makeMeter(options.onProgress)
  const { id, position, reader } = yield* select(options)
  yield* meter.begin("events", position)
  const tally = { read: 0, appended: 0, present: 0 }
  yield* Effect.scoped(Effect.gen(function*() {
    const pipeline = yield* AppendPipeline.make<AppendError>(EVENTS_ON_THE_WAY)
    yield* inPages(reader.events({ until: position }), (rows) =>
      Effect.gen(function*() {
        tally.read += rows.length
        for (const run of AppendPipeline.toRuns(toOutgoing(rows), EVENTS_ON_THE_WAY)) {
          yield* pipeline.submit(AppendPipeline.weightOf(run), appendRun(store, run, tally))
        }
        yield* meter.count(rows)
      }))
    yield* pipeline.settle
  }))
  return { id, ...tally, elapsedMillis: yield* meter.elapsedMillis }
})

// internal

const EVENTS_ON_THE_WAY = 1_000

/** Events that are looked for at a time. */
const LOOKS = 16

/** Checks the options, and makes what turns rows into the events of them that are meant. */
const makeSieve = (
  options: AppendBackupOptions
): Effect.Effect<(rows: ReadonlyArray<EventRow>) => ReadonlyArray<Outgoing>, InvalidInput> => {
  const { streamPrefix = "" } = options
  const filter = filterOf(options)
  const fault = checkFilter(filter, "options") ??
    (streamPrefix === "" ? undefined : checkName(streamPrefix, "streamPrefix"))
  return fault === undefined
    ? Effect.succeed((rows) =>
      rows.filter((row) => matchesFilter(filter, toFilterable(row))).map((row) => toOutgoing(row, streamPrefix))
    )
    : Effect.fail(fault)
}

/** Microseconds of a millisecond. */
const MICROS = 1_000

const filterOf = ({ categories, streams, tags, types }: AppendBackupOptions) => ({
  ...(categories === undefined ? {} : { categories }),
  ...(streams === undefined ? {} : { streamIds: streams }),
  ...(tags === undefined ? {} : { tags }),
  ...(types === undefined ? {} : { types })
})

const timeOf = (row: EventRow): DateTime.Utc => DateTime.makeUnsafe(Math.floor(row.recordedAt / MICROS))

const toFilterable = (row: EventRow) => ({
  streamId: row.streamId,
  type: row.type,
  tags: row.tags,
  recordedAt: timeOf(row)
})

interface Outgoing extends AppendPipeline.Item {
  readonly event: ProposedEvent
}

const toOutgoing = (row: EventRow, prefix: string): Outgoing => {
  const metadata = row.metadata === "" ? {} : JSON.parse(row.metadata) as Record<string, unknown>
  return {
    streamId: prefix + row.streamId,
    encoded: { sizeBytes: row.data.length + row.metadata.length },
    event: {
      id: prefix === "" ? row.id : derivedId(prefix, row.id),
      type: row.type,
      version: row.version,
      data: JSON.parse(row.data),
      // the store has a clock of its own; when the event was recorded first stays with it
      metadata: metadata["recordedAt"] === undefined
        ? { ...metadata, recordedAt: DateTime.formatIso(timeOf(row)) }
        : metadata,
      tags: row.tags
    }
  }
}

/** A UUIDv8 that is the same for the same prefix and id. */
const derivedId = (prefix: string, id: string): string => {
  const hash = sha256(`${prefix}\n${id}`)
  const variant = (8 + parseInt(hash.charAt(16), 16) % 4).toString(16)
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-${variant}${hash.slice(17, 20)}-${
    hash.slice(20, 32)
  }`
}

/** A run of which a part is recorded already, by an append that cut it otherwise, goes event by event. */
const appendRun = (
  store: EventStore["Service"],
  run: AppendPipeline.Run<Outgoing>,
  tally: { appended: number; present: number }
): Effect.Effect<void, AppendError> =>
  append(store, run.streamId, run.items, tally).pipe(
    Effect.catchTag("IdempotencyConflict", (conflict) =>
      run.items.length === 1
        ? Effect.fail(conflict)
        : Effect.forEach(run.items, (item) => append(store, run.streamId, [item], tally), { discard: true }))
  )

const append = (
  store: EventStore["Service"],
  streamId: string,
  items: ReadonlyArray<Outgoing>,
  tally: { appended: number; present: number }
): Effect.Effect<void, AppendError> =>
  Effect.map(
    store.append({ streamId, expected: "any", events: items.map(({ event }) => event) }),
    ({ alreadyAppended }) => {
      tally[alreadyAppended ? "present" : "appended"] += items.length
    }
  )
