/**
 * `event-store backup list`, `describe`, `verify` and `cat`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type BackupList, chainOf, list } from "../backup/BackupCatalog.ts"
import type { BackupKeys } from "../backup/BackupKeys.ts"
import { cat } from "../backup/BackupLines.ts"
import { BackupStorage } from "../backup/BackupStorage.ts"
import { type VerificationReport, verify } from "../backup/BackupVerification.ts"
import type { TransferKind } from "../store/LogTransfer.ts"
import { CliFailure, usage } from "./CliFailure.ts"
import { chooseBackup, noBackup, noteFaults } from "./internal/backupChoice.ts"
import { type KeysInput, loadKeys } from "./internal/backupKeyFiles.ts"
import { openPlace } from "./internal/backupPlace.ts"
import { faultToJson, renderBackups, renderDescription, renderFaults, toJson } from "./internal/backupReport.ts"
import { toMebibytes, watching } from "./internal/backupWatch.ts"
import { styleOf } from "./internal/eventTable.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { renderPairs } from "./table.ts"
import { bytes, count, duration } from "./Text.ts"

/**
 * Flags that name a place of backups and the keys for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlaceInput extends KeysInput {
  readonly dest: string
}

/**
 * Lists the backups of a place.
 *
 * @category commands
 * @since 0.1.0
 */
export const listCommand = Effect.fnUntraced(function*(input: PlaceInput, settings: Settings) {
  const out = yield* Out
  const found = yield* onPlace(input, settings, (keys) => list(keys))
  const { backups, faults, incomplete } = found
  switch (settings.output) {
    case "json":
      return yield* out.data(`${
        JSON.stringify({
          backups: backups.map(toJson),
          faults: faults.map(({ fault, id }) => ({ id, ...faultToJson(fault) })),
          incomplete: incomplete.map(({ modifiedAt, ...each }) => ({
            ...each,
            modifiedAt: DateTime.formatIso(modifiedAt)
          }))
        })
      }\n`)
    case "ndjson":
      yield* out.data(backups.map((manifest) => `${JSON.stringify(toJson(manifest))}\n`).join(""))
      return yield* noteFaults(found, settings)
    case "table": {
      const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
      yield* out.data(backups.length === 0 ? "there are no backups\n" : renderBackups(backups, style))
      return yield* noteFaults(found, settings)
    }
  }
})

/**
 * Flags of `backup describe`.
 *
 * @category models
 * @since 0.1.0
 */
export interface DescribeInput extends PlaceInput {
  readonly id: Option.Option<string>
}

/**
 * Shows what a backup says of itself; the newest when none is named.
 *
 * @category commands
 * @since 0.1.0
 */
export const describeCommand = Effect.fnUntraced(function*(input: DescribeInput, settings: Settings) {
  const out = yield* Out
  const chain = yield* onPlace(
    input,
    settings,
    (keys) => Effect.flatMap(chooseBackup(input.id, keys, settings), (id) => chainOf(id, keys))
  )
  const manifest = chain.at(-1)
  if (settings.output !== "table") {
    return yield* out.data(`${
      JSON.stringify({
        ...(manifest && { ...toJson(manifest), segments: manifest.segments }),
        backups: chain.map(({ id }) => id)
      })
    }\n`)
  }
  yield* out.data(renderDescription(chain, styleOf(settings, out, (yield* TerminalCapabilities).canColor)))
})

/**
 * Flags of `backup verify`.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyInput extends PlaceInput {
  readonly id: ReadonlyArray<string>
}

/**
 * Proves backups and all that they go on from; every backup of the place when
 * none is named.
 *
 * @category commands
 * @since 0.1.0
 */
export const verifyCommand = Effect.fnUntraced(function*(input: VerifyInput, settings: Settings) {
  const startedMs = yield* Clock.currentTimeMillis
  const { elapsedMs, reports, unread } = yield* watching(
    settings,
    (set) =>
      onPlace(input, settings, (keys) =>
        Effect.gen(function*() {
          const found = input.id.length > 0 ? undefined : yield* list(keys)
          if (found !== undefined && found.backups.length + found.faults.length === 0) {
            return yield* noBackup((yield* BackupStorage).location)
          }
          const ids = found === undefined ? input.id : newestOfChains(found)
          const reports = yield* Effect.forEach(ids, (id) =>
            verify(id, {
              keys,
              onProgress: ({ plainBytes, plainBytesTotal }) =>
                set(
                  { done: toMebibytes(plainBytes), fraction: plainBytes / Math.max(plainBytesTotal, 1) },
                  "MiB of rows verified"
                )
            }))
          const seen = new Set(reports.flatMap(({ faults }) => faults.map(({ message }) => message)))
          const unread = (found?.faults ?? []).filter(({ fault }) => !seen.has(fault.message))
          return { elapsedMs: (yield* Clock.currentTimeMillis) - startedMs, reports, unread }
        }))
  )
  const faults = unread.map(({ fault }) => fault)
  yield* printVerified(reports, faults, elapsedMs, settings)
  const unsound = [...new Set([...reports.flatMap(unsoundOf), ...unread.map(({ id }) => id)])]
  if (unsound.length === 0) return
  const all = [...reports.flatMap((report) => report.faults), ...faults]
  const [first] = all
  if (first !== undefined && all.every(({ _tag }) => NOT_DAMAGED.has(_tag))) return yield* first
  return yield* new CliFailure({
    code: "ES-2020",
    exitCode: 2,
    message: `${count(unsound.length)} backups cannot be relied on: ${unsound.join(", ")}`,
    why: first?.message ?? "see above",
    fix: "copy them anew from a second place: event-store backup copy; or make a full backup now",
    details: { unsound }
  })
})

/**
 * Flags of `backup cat`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CatInput extends DescribeInput {
  readonly kind: TransferKind
  readonly after: Option.Option<number>
  readonly toPosition: Option.Option<number>
}

/**
 * Prints what a backup holds as NDJSON; the newest when none is named.
 *
 * @category commands
 * @since 0.1.0
 */
export const catCommand = Effect.fnUntraced(function*(input: CatInput, settings: Settings) {
  const out = yield* Out
  const after = Option.getOrUndefined(input.after)
  const until = Option.getOrUndefined(input.toPosition)
  if (input.kind !== "events" && (after !== undefined || until !== undefined)) {
    return yield* usage(
      "--after and --to-position are positions of events",
      `${input.kind} have none`,
      "leave them out, or leave out --kind"
    )
  }
  yield* onPlace(
    input,
    settings,
    (keys) =>
      Effect.flatMap(
        chooseBackup(input.id, keys, settings),
        (id) => Stream.runForEach(cat(id, { keys, kind: input.kind, after, until }), out.data)
      )
  )
})

/**
 * Opens the place and the keys that flags name, and does something there.
 *
 * @category running
 * @since 0.1.0
 */
export const onPlace = <A, E, R>(
  input: PlaceInput,
  settings: Settings,
  use: (keys: BackupKeys) => Effect.Effect<A, E, R>,
  purpose: "read" | "write" = "read"
) =>
  Effect.scoped(Effect.gen(function*() {
    const keys = yield* loadKeys(input, settings)
    const storage = yield* openPlace(input.dest, "--dest", purpose)
    return yield* Effect.provideService(use(keys), BackupStorage, storage)
  }))

// internal

/** Those that no other one goes on from: with them all are proved. */
const newestOfChains = ({ backups }: BackupList): ReadonlyArray<string> => {
  const parents = new Set(backups.map(({ parent }) => parent?.id))
  return backups.map(({ id }) => id).filter((id) => !parents.has(id))
}

/** Faults of the command line: another id or key is wanted, and the backup may be sound. */
const NOT_DAMAGED: ReadonlySet<string> = new Set(["BackupNotFound", "BackupKeyMissing", "BackupKeyWrong"])

/** The backup that has the first fault, and those of its chain that go on from it. */
const unsoundOf = ({ backups, faults, id, isSound }: VerificationReport): ReadonlyArray<string> => {
  if (isSound) return []
  const first = backups.findIndex((each) =>
    faults.some((fault) => "file" in fault && fault.file.startsWith(`${each}.`))
  )
  return first < 0 ? [id] : backups.slice(first)
}

const printVerified = Effect.fnUntraced(function*(
  reports: ReadonlyArray<VerificationReport>,
  unread: VerificationReport["faults"],
  elapsedMs: number,
  settings: Settings
) {
  const out = yield* Out
  const faults = [...reports.flatMap((report) => report.faults), ...unread]
  const isSound = faults.length === 0 && reports.every((report) => report.isSound)
  const faultCount = reports.reduce((sum, report) => sum + report.faultCount, unread.length)
  if (settings.output !== "table") {
    return yield* out.data(`${
      JSON.stringify({
        isSound,
        backups: reports.map((report) => ({ ...report, faults: report.faults.map(faultToJson) })),
        unread: unread.map(faultToJson),
        elapsedMs
      })
    }\n`)
  }
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  const read = reports.filter(({ areRowsRead }) => areRowsRead)
  const plainBytes = read.reduce((sum, report) => sum + report.plainBytes, 0)
  const share = Math.min(1, ...read.map(({ revisionsShare }) => revisionsShare))
  const whole = share === 1 ? "of every stream" : `of ${Math.floor(share * 100)} % of the streams`
  yield* out.data(renderPairs([
    ["verified", `${count(new Set(reports.flatMap(({ backups }) => backups)).size)} backups in ${duration(elapsedMs)}`],
    ["events", count(reports.reduce((sum, { events }) => sum + events.count, 0))],
    ["rows", `${bytes(plainBytes)} (${bytes(Math.round(plainBytes / Math.max(elapsedMs, 1) * 1000))}/s)`],
    ["revisions", read.length === 0 ? "not looked at" : whole],
    ["sound", isSound ? "yes" : `no: ${count(faultCount)} faults`]
  ], style))
  if (faults.length > 0) yield* out.data(`\n${renderFaults(faults, style)}`)
})
