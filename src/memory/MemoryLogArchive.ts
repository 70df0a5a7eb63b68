/**
 * Archiving in memory.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { addEvents, EMPTY_DIGEST } from "../store/EventDigest.ts"
import { type StorageError, storeRestoring } from "../store/EventStoreError.ts"
import {
  ArchiveBusy,
  ArchiveDiffers,
  type ArchiveEntry,
  type ArchiveSession,
  type ArchiveStep,
  LogArchive,
  type LogMonth,
  type PlacedPayload
} from "../store/LogArchive.ts"
import { checkedPages } from "../store/LogTransferStorage.ts"
import { readStored } from "./internal/archived.ts"
import { type Entry, headOf, type Log } from "./internal/log.ts"
import { MemoryLog } from "./internal/parts.ts"

/**
 * Layer that archives months of a log in memory: what is archived takes no
 * memory but for what is looked for.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<LogArchive, never, MemoryLog> = Layer.effect(
  LogArchive,
  Effect.gen(function*() {
    const { log } = yield* MemoryLog
    const own = yield* Semaphore.make(1)
    return {
      entries: Effect.sync(() => log.archives),
      months: Effect.map(Clock.currentTimeMillis, (now) => finishedMonths(log, now)),
      readStored: checkedPages((page) => Effect.sync(() => readStored(log, page))),
      open: Effect.as(
        Effect.acquireRelease(
          Effect.filterOrFail(own.takeIfAvailable(1), (taken) => taken, () => new ArchiveBusy({})),
          () => own.release(1)
        ),
        makeSession(log)
      )
    }
  })
)

// internal

const monthOf = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis)).slice(0, 7)

const endOf = (log: Log): number => log.archives.at(-1)?.until ?? 0

/** Months before the one in which the next event is recorded. */
const finishedMonths = (log: Log, now: number): ReadonlyArray<LogMonth> => {
  const running = monthOf(Math.max(now, log.events.at(-1)?.recordedAt ?? 0))
  const months: Array<LogMonth> = []
  for (let position = endOf(log) + 1; position <= headOf(log); position++) {
    const entry = log.events[position - 1] as Entry
    const month = monthOf(entry.recordedAt)
    if (month >= running) break
    const last = months.at(-1)
    if (last?.month === month) {
      months[months.length - 1] = { ...last, until: position, bytes: last.bytes + sizeOf(entry) }
    } else months.push({ month, after: position - 1, until: position, bytes: sizeOf(entry) })
  }
  return months
}

const sizeOf = ({ data = "", metadata = "" }: Pick<Entry, "data" | "metadata">): number =>
  utf8.encode(data).length + utf8.encode(metadata).length

const utf8 = new TextEncoder()

/** Each operation takes effect in one synchronous step. */
const makeSession = (log: Log): ArchiveSession => ({
  archive: (step) =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (now) =>
        Effect.suspend((): Effect.Effect<ArchiveEntry, ArchiveDiffers | StorageError> => {
          if (log.restoring !== undefined) return Effect.fail(storeRestoring("archive"))
          const fault = findFault(log, step, now)
          if (fault !== undefined) return Effect.fail(fault)
          let bytesFreed = 0
          for (let position = step.after + 1; position <= step.until; position++) {
            const entry = log.events[position - 1] as Entry
            bytesFreed += sizeOf(entry)
            entry.data = undefined
            entry.metadata = undefined
          }
          const { after, backupId, chain, events, month, until } = step
          const made: ArchiveEntry = { month, after, until, backupId, chain, events, bytesFreed, archivedAt: now }
          log.sizeBytes -= bytesFreed
          log.archives = [...log.archives, made]
          return Effect.succeed(made)
        })
    ),
  bringBack: <E>(month: string, payloads: Stream.Stream<PlacedPayload, E>) =>
    Effect.flatMap(Stream.runCollect(payloads), (all) =>
      Effect.suspend((): Effect.Effect<void, ArchiveDiffers> => {
        const ofMonth = log.archives.filter((entry) => entry.month === month)
        const [after, until] = [ofMonth[0]?.after ?? 0, ofMonth.at(-1)?.until ?? 0]
        const isWhole = all.length === until - after &&
          all.every(({ id, position }, index) => position === after + 1 + index && log.events[position - 1]?.id === id)
        if (!isWhole || until !== endOf(log)) {
          const expected = `the events ${after + 1} to ${until}`
          return Effect.fail(new ArchiveDiffers({ month, detail: "what is brought back", expected, actual: "others" }))
        }
        for (const { data, metadata, position } of all) {
          const entry = log.events[position - 1] as Entry
          entry.data = data
          entry.metadata = metadata === "" ? undefined : metadata
          log.sizeBytes += sizeOf(entry)
        }
        log.archives = log.archives.filter((entry) => entry.month !== month)
        return Effect.void
      }))
})

/** Whether the month is what the step is about. */
const findFault = (log: Log, step: ArchiveStep, now: number): ArchiveDiffers | undefined => {
  const { after, events, incarnation, month, until } = step
  const differs = (detail: string, expected: unknown, actual: unknown) =>
    new ArchiveDiffers({ month, detail, expected: String(expected), actual: String(actual) })
  if (log.incarnation !== incarnation) return differs("the history of the store", incarnation, log.incarnation)
  if (after !== endOf(log)) return differs("what is archived before it ends at a position", after, endOf(log))
  const [first] = finishedMonths(log, now)
  if (first?.month !== month) return differs("whether it is over", "a month before this one", "it is not")
  if (first.until !== until) return differs("the position of its last event", until, first.until)
  const found = addEvents(
    EMPTY_DIGEST,
    log.events.slice(after, until).map(({ id }, index) => ({ id, position: after + 1 + index }))
  )
  return found.count === events.count && found.digest === events.digest ? undefined : differs(
    "count and digest of its events",
    `${events.count} ${events.digest}`,
    `${found.count} ${found.digest}`
  )
}
