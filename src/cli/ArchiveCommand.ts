/**
 * `event-store archive move`, `status`, `verify` and `bring-back`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ArchiveReport, MoveOptions } from "../backup/ArchiveOptions.ts"
import { ArchiveService } from "../backup/ArchiveService.ts"
import type { BackupCompression } from "../backup/BackupManifest.ts"
import { BackupStorage } from "../backup/BackupStorage.ts"
import { type ArchiveEntry, LogArchive, type LogMonth } from "../store/LogArchive.ts"
import { onPlace } from "./BackupCommand.ts"
import { CliFailure, usage } from "./CliFailure.ts"
import { findArchive } from "./internal/archivePlace.ts"
import { type KeysInput, loadSigningKey } from "./internal/backupKeyFiles.ts"
import { onTransfer, watching } from "./internal/backupWatch.ts"
import { confirm } from "./internal/confirm.ts"
import { styleOf } from "./internal/eventTable.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { withStore } from "./StoreOpener.ts"
import { renderPairs, renderTable } from "./table.ts"
import { bytes, count, duration } from "./Text.ts"

/**
 * Flags that name the place of the archive.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArchiveInput extends KeysInput {
  readonly dest: Option.Option<string>
}

/**
 * Flags of `archive move`.
 *
 * @category models
 * @since 0.1.0
 */
export interface MoveInput extends ArchiveInput {
  readonly before: Option.Option<DateTime.Utc>
  readonly olderThan: Option.Option<Duration.Duration>
  readonly compress: Option.Option<BackupCompression>
  readonly signWith: Option.Option<string>
  readonly dryRun: boolean
}

/**
 * Archives the months that are old enough, after the plan was shown and
 * confirmed.
 *
 * @category commands
 * @since 0.1.0
 */
export const moveCommand = Effect.fnUntraced(function*(input: MoveInput, settings: Settings) {
  if (Option.isSome(input.before) && Option.isSome(input.olderThan)) {
    return yield* usage("--before and --older-than exclude each other", "both are given", "leave one out")
  }
  if (Option.isNone(input.before) && Option.isNone(input.olderThan)) {
    return yield* usage("nothing says which months", "one of --before and --older-than is wanted", "add one of them")
  }
  const out = yield* Out
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  const age = {
    before: Option.getOrUndefined(input.before),
    olderThan: Option.getOrUndefined(input.olderThan)
  }
  yield* onArchive(input, settings, "write", ({ archive, keys, location }) =>
    Effect.gen(function*() {
      const planned = yield* archive.plan(age)
      const rows = planned.months
      if (settings.output === "table") {
        yield* out.data(
          rows.length === 0
            ? "no month is old enough that is not archived\n"
            : renderTable(MONTHS, rows.map(monthCells), style)
        )
      }
      if (input.dryRun || rows.length === 0) {
        if (settings.output !== "table") yield* out.data(`${JSON.stringify({ ...planned, dryRun: input.dryRun })}\n`)
        return
      }
      yield* confirm(
        `data and metadata of ${count(planned.events)} events would be moved to ${location}`,
        location,
        settings,
        "place",
        "They are read from there then; archive bring-back puts them back."
      )
      const signing = yield* loadSigningKey(input.signWith, settings)
      const encryption = keys.encryption?.[0]
      const options: MoveOptions = {
        ...age,
        keys,
        compression: Option.getOrUndefined(input.compress),
        encryption,
        signing
      }
      const outcome = yield* watching(settings, (set) =>
        archive.move({ ...options, onProgress: onTransfer(set, "proved") }))
      const freed = outcome.entries.reduce((sum, { bytesFreed }) =>
        sum + bytesFreed, 0)
      if (settings.output !== "table") {
        return yield* out.data(`${JSON.stringify({ ...outcome, bytesFreed: freed, location })}\n`)
      }
      yield* out.data(`\n${
        renderPairs([
          ["archived", `${count(outcome.entries.length)} months in ${duration(outcome.elapsedMillis)}`],
          ["freed", freed < 0 ? "nothing: so few events take less than a table" : bytes(freed)],
          ["backup", outcome.created ?? "there was one that reaches so far"]
        ], style)
      }`)
      if (!settings.quiet) {
        yield* out.note(`name the place wherever this store is read: EVENT_STORE_ARCHIVE=${location}\n`)
      }
    }))
})

/**
 * Shows what is archived.
 *
 * @category commands
 * @since 0.1.0
 */
export const statusCommand = Effect.fnUntraced(function*(_input: object, settings: Settings) {
  const out = yield* Out
  const { entries, months } = yield* LogArchive.use(({ entries, months }) => Effect.all({ entries, months })).pipe(
    withStore(settings, "read")
  )
  if (settings.output !== "table") {
    return yield* out.data(`${JSON.stringify({ until: entries.at(-1)?.until ?? 0, entries, months })}\n`)
  }
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  if (entries.length + months.length === 0) return yield* out.data("there is no month that is over\n")
  yield* out.data(renderTable(
    [...MONTHS, { title: "BACKUP" }],
    [
      ...entries.map((entry) => [...monthCells(entry), entry.backupId]),
      ...months.map((month) => [...monthCells(month), "not archived"])
    ],
    style
  ))
})

/**
 * Proves what is archived.
 *
 * @category commands
 * @since 0.1.0
 */
export const verifyCommand = Effect.fnUntraced(function*(input: ArchiveInput, settings: Settings) {
  const out = yield* Out
  const report = yield* onArchive(
    input,
    settings,
    "read",
    ({ archive, keys }) =>
      watching(settings, (set) => archive.verify({ keys, onProgress: onTransfer(set, "compared") }))
  )
  const { events, faults, isSound } = report
  if (settings.output === "table") {
    yield* out.data(`${count(events)} archived events are as they should be\n`)
    for (const { entry, fault } of faults) yield* out.data(`${entry.month}: ${fault.message}\n`)
  } else yield* out.data(`${JSON.stringify({ isSound, events, faults: faults.map(faultToJson) })}\n`)
  const [first] = faults
  if (first === undefined) return
  return yield* new CliFailure({
    code: "ES-2043",
    exitCode: 2,
    message: `${count(faults.length)} archived months cannot be relied on`,
    why: first.fault.message,
    fix: "copy the backups back from a second place: event-store backup copy",
    details: { months: faults.map(({ entry }) => entry.month) }
  })
})

/**
 * Flags of `archive bring-back`.
 *
 * @category models
 * @since 0.1.0
 */
export interface BringBackInput extends ArchiveInput {
  readonly from: Option.Option<string>
  readonly release: boolean
  readonly dryRun: boolean
}

/**
 * Puts archived months back into the store.
 *
 * @category commands
 * @since 0.1.0
 */
export const bringBackCommand = Effect.fnUntraced(function*(input: BringBackInput, settings: Settings) {
  const out = yield* Out
  const from = Option.getOrUndefined(input.from)
  yield* onArchive(input, settings, "write", ({ archive, keys }) =>
    Effect.gen(function*() {
      if (input.dryRun) {
        const { entries } = yield* archive.status
        const found = entries.filter(({ month }) => from === undefined || month >= from)
        const events = found.reduce((sum, entry) => sum + entry.events.count, 0)
        return yield* out.data(
          settings.output === "table"
            ? `${count(events)} events of ${count(found.length)} months would be brought back; nothing was written\n`
            : `${JSON.stringify({ months: found.map(({ month }) => month), events, dryRun: true })}\n`
        )
      }
      const outcome = yield* watching(settings, (set) =>
        archive.bringBack({ from, keys, release: input.release, onProgress: onTransfer(set, "brought back") }))
      const { elapsedMillis, events, months, released } = outcome
      if (settings.output !== "table") {
        return yield* out.data(`${JSON.stringify(outcome)}\n`)
      }
      yield* out.data(
        `${count(events)} events of ${count(months.length)} months were brought back in ${duration(elapsedMillis)}\n`
      )
      for (const id of released) {
        yield* out.data(`backup ${id} may be removed now\n`)
      }
    }))
})

// internal

const MONTHS = [
  { title: "MONTH" },
  { title: "EVENTS", align: "right" as const },
  { title: "POSITIONS" },
  { title: "SIZE", align: "right" as const }
]

const monthCells = (month: LogMonth | ArchiveEntry): ReadonlyArray<string> => [
  month.month,
  count(month.until - month.after),
  `${count(month.after + 1)} to ${count(month.until)}`,
  "bytes" in month ? bytes(month.bytes) : `${bytes(Math.max(0, month.bytesFreed))} freed`
]

const faultToJson = ({ entry, fault }: ArchiveReport["faults"][number]) => ({
  month: entry.month,
  backup: entry.backupId,
  fault: fault._tag,
  message: fault.message
})

/** Opens store and place, which is that of the reads when no other one is named. */
const onArchive = <A, E, R>(
  input: ArchiveInput,
  settings: Settings,
  purpose: "read" | "write",
  use: (
    open: {
      readonly archive: ArchiveService["Service"]
      readonly keys: Parameters<Parameters<typeof onPlace>[2]>[0]
      readonly location: string
    }
  ) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function*() {
    const found = Option.isSome(input.dest) ? undefined : yield* findArchive(settings)
    const dest = Option.getOrElse(input.dest, () => found?.dest)
    if (dest === undefined) {
      return yield* usage(
        "no place is named",
        "archived months are kept in a place of backups",
        "add --dest PLACE, or set EVENT_STORE_ARCHIVE"
      )
    }
    const place = {
      dest,
      keyFile: input.keyFile.length > 0 ? input.keyFile : found?.keyFile ?? [],
      trust: input.trust.length > 0 ? input.trust : found?.trust ?? []
    }
    return yield* onPlace(place, settings, (keys) =>
      Effect.gen(function*() {
        const archive = yield* ArchiveService
        const { location } = yield* BackupStorage
        return yield* use({ archive, keys, location })
      }).pipe(Effect.provide(ArchiveService.layer), withStore({ ...settings, archive: dest }, "read")), purpose)
  })
