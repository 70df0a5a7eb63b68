import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { InvalidInput } from "../../event/InvalidInput.ts"
import type { ArchiveEntry } from "../../store/LogArchive.ts"
import type { BringBackError, BringBackOptions, BringBackOutcome } from "../ArchiveOptions.ts"
import { unmarkArchived } from "./archiveMarks.ts"
import { type ArchiveParts, openEntry } from "./archiveParts.ts"
import { makeMeter, type Meter } from "./meter.ts"

/** Puts archived months back. */
export const bringBack = Effect.fn("ArchiveService.bringBack")(
  function*(
    { archive, storage }: ArchiveParts,
    { from = "", keys, onProgress, release = false }: BringBackOptions
  ): Effect.fn.Return<BringBackOutcome, BringBackError, Scope.Scope> {
    if (from !== "" && !MONTH.test(from)) {
      return yield* new InvalidInput({ reason: "InvalidQuery", path: "from", detail: "expected a month as 2026-01" })
    }
    const meter = yield* makeMeter(onProgress)
    const session = yield* archive.open
    const entries = (yield* archive.entries).filter(({ month }) => month >= from)
    const months = Map.groupBy(entries.toReversed(), ({ month }) => month)
    const events = entries.reduce((sum, { events }) => sum + events.count, 0)
    yield* meter.begin("events", events)
    for (const [month, ofMonth] of months) {
      const payloads = Stream.fromIterable(ofMonth.toReversed()).pipe(
        Stream.flatMap((entry) => payloadsOf(storage, entry, keys, meter))
      )
      yield* session.bringBack(month, payloads)
    }
    const released = release ? yield* releaseBackups({ archive, storage }, entries) : []
    return { months: [...months.keys()], events, released, elapsedMillis: yield* meter.elapsedMillis }
  },
  Effect.scoped
)

// internal

const MONTH = /^\d{4}-(0[1-9]|1[0-2])$/

const payloadsOf = (
  storage: ArchiveParts["storage"],
  entry: ArchiveEntry,
  keys: BringBackOptions["keys"],
  meter: Meter
) =>
  Stream.unwrap(
    Effect.map(
      openEntry(storage, entry, keys),
      (reader) =>
        reader.events({ after: entry.after, until: entry.until }).pipe(
          Stream.mapArrayEffect((rows) => Effect.as(meter.count(rows), rows))
        )
    )
  )

/** Takes the marks of backups from which nothing is read any more. */
const releaseBackups = Effect.fnUntraced(function*(
  { archive, storage }: Pick<ArchiveParts, "archive" | "storage">,
  before: ReadonlyArray<ArchiveEntry>
) {
  const needed = new Set((yield* archive.entries).map(({ backupId }) => backupId))
  const released = [...new Set(before.map(({ backupId }) => backupId))].filter((id) => !needed.has(id))
  yield* Effect.forEach(released, (id) => unmarkArchived(storage, id), { discard: true })
  return released
})
