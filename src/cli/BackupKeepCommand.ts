/**
 * `event-store backup copy` and `prune`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { type BackupList, list, remove, removeIncomplete } from "../backup/BackupCatalog.ts"
import { copy } from "../backup/BackupCopy.ts"
import { backupSize } from "../backup/BackupManifest.ts"
import { plan, type RetentionPlan, type RetentionPolicy } from "../backup/BackupRetention.ts"
import { BackupStorage } from "../backup/BackupStorage.ts"
import { onPlace, type PlaceInput } from "./BackupCommand.ts"
import { CliFailure, usage } from "./CliFailure.ts"
import { noBackup } from "./internal/backupChoice.ts"
import { openPlace } from "./internal/backupPlace.ts"
import { faultToJson, renderFaults } from "./internal/backupReport.ts"
import { toMebibytes, watching } from "./internal/backupWatch.ts"
import { confirm } from "./internal/confirm.ts"
import { styleOf } from "./internal/eventTable.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { renderPairs, renderTable } from "./table.ts"
import { bytes, count, duration } from "./Text.ts"

/**
 * Flags of `backup copy`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CopyInput extends PlaceInput {
  readonly to: string
  readonly id: ReadonlyArray<string>
}

/**
 * Copies backups to a second place and proves there what arrived.
 *
 * @category commands
 * @since 0.1.0
 */
export const copyCommand = Effect.fnUntraced(function*(input: CopyInput, settings: Settings) {
  const out = yield* Out
  const startedMs = yield* Clock.currentTimeMillis
  const { elapsedMs, from, report, to } = yield* watching(
    settings,
    (set) =>
      onPlace(input, settings, (keys) =>
        Effect.gen(function*() {
          const from = yield* BackupStorage
          const to = yield* openPlace(input.to, "--to", "write")
          if (from.location === to.location) {
            return yield* usage("--dest and --to are the same place", `both are ${from.location}`, "name another one")
          }
          const report = yield* copy({
            from,
            to,
            ids: input.id.length === 0 ? undefined : input.id,
            keys,
            onProgress: ({ fileBytes, fileBytesTotal }) =>
              set(
                { done: toMebibytes(fileBytes), fraction: fileBytes / Math.max(fileBytesTotal, 1) },
                "MiB copied"
              )
          })
          return {
            elapsedMs: (yield* Clock.currentTimeMillis) - startedMs,
            from: from.location,
            report,
            to: to.location
          }
        }))
  )
  const { backups, copied, faults, fileBytes, present } = report
  if (backups.length + faults.length === 0) return yield* noBackup(from)
  if (settings.output === "table") {
    const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
    yield* out.data(renderPairs([
      ["backups", `${count(backups.length)} are in ${to} now`],
      ["segments", `${count(copied)} copied, ${count(present)} were there already`],
      ["size", `${bytes(fileBytes)} in ${duration(elapsedMs)}`]
    ], style))
    if (faults.length > 0) yield* out.data(`\n${renderFaults(faults.map(({ fault }) => fault), style)}`)
  } else {
    yield* out.data(
      `${
        JSON.stringify({ ...report, elapsedMs, faults: faults.map(({ fault, id }) => ({ id, ...faultToJson(fault) })) })
      }\n`
    )
  }
  const [first] = faults
  if (first === undefined) return
  return yield* new CliFailure({
    code: "ES-2021",
    exitCode: 1,
    message: `${count(faults.length)} backups were not copied`,
    why: first.fault.message,
    fix: "the others are there; see: event-store backup verify",
    details: { ids: faults.map(({ id }) => id) }
  })
})

/**
 * Flags of `backup prune`.
 *
 * @category models
 * @since 0.1.0
 */
export interface PruneInput extends PlaceInput, RetentionInput {
  readonly dryRun: boolean
}

/**
 * Flags that say which backups are kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetentionInput {
  readonly keepLast: Option.Option<number>
  readonly keepDaily: Option.Option<number>
  readonly keepWeekly: Option.Option<number>
  readonly keepMonthly: Option.Option<number>
  readonly keepYearly: Option.Option<number>
  readonly timeZone: Option.Option<string>
}

/**
 * Puts the flags into a policy; `undefined` when they say nothing.
 *
 * @category converting
 * @since 0.1.0
 */
export const toPolicy = (input: RetentionInput): RetentionPolicy | undefined => {
  const policy = {
    keepLast: Option.getOrUndefined(input.keepLast),
    daily: Option.getOrUndefined(input.keepDaily),
    weekly: Option.getOrUndefined(input.keepWeekly),
    monthly: Option.getOrUndefined(input.keepMonthly),
    yearly: Option.getOrUndefined(input.keepYearly)
  }
  return Object.values(policy).every((rule) => rule === undefined)
    ? undefined
    : { ...policy, timeZone: Option.getOrUndefined(input.timeZone) }
}

/**
 * Removes the backups that no rule keeps, and what was never finished.
 *
 * @category commands
 * @since 0.1.0
 */
export const pruneCommand = Effect.fnUntraced(function*(input: PruneInput, settings: Settings) {
  const policy = toPolicy(input)
  if (policy === undefined) {
    return yield* usage(
      "no rule says what to keep",
      "without one every backup would go",
      "add --keep-last N, --keep-daily N, --keep-weekly N, --keep-monthly N or --keep-yearly N"
    )
  }
  yield* onPlace(input, settings, (keys) =>
    Effect.gen(function*() {
      const found = yield* list(keys)
      yield* refuseUnread(found)
      const planned = yield* Effect.fromResult(
        Result.mapError(plan(policy, found.backups, found.archived), ({ detail, path }) =>
          usage("the rules make no sense", `${path}: ${detail}`, "see: event-store backup prune --help"))
      )
      const sizes = new Map(found.backups.map((manifest) => [manifest.id, backupSize(manifest).fileBytes]))
      const freed = planned.remove.reduce((sum, id) =>
        sum + (sizes.get(id) ?? 0), 0)
      const { location } = yield* BackupStorage
      if (settings.output === "table") {
        yield* printPlan(planned, sizes, input.dryRun, settings)
      }
      if (!input.dryRun) {
        if (planned.remove.length > 0) {
          yield* confirm(
            `${count(planned.remove.length)} backups, ${bytes(freed)}, would be removed from ${location}`,
            location,
            settings,
            "place"
          )
        }
        yield* Effect.forEach(planned.remove, (id) =>
          remove(id), { discard: true })
      }
      const swept = input.dryRun ? [] : yield* removeIncomplete()
      yield* printPruned(planned, swept, freed, input.dryRun, settings)
    }))
})

/**
 * Refuses to remove anything while there are backups that cannot be read: one
 * of them may need what would be removed.
 *
 * @category operations
 * @since 0.1.0
 */
export const refuseUnread = ({ faults }: BackupList): Effect.Effect<void, CliFailure> => {
  const [first] = faults
  return first === undefined ? Effect.void : Effect.fail(
    new CliFailure({
      code: "ES-2022",
      exitCode: 1,
      message: `nothing was removed: ${count(faults.length)} backups cannot be read, and may need what would go`,
      why: first.fault.message,
      fix: "mend them from a second place (event-store backup copy), or remove their files by hand",
      details: { ids: faults.map(({ id }) => id) }
    })
  )
}

// internal

const printPlan = Effect.fnUntraced(function*(
  { keep, orphaned, remove }: RetentionPlan,
  sizes: ReadonlyMap<string, number>,
  dryRun: boolean,
  settings: Settings
) {
  const out = yield* Out
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  const rows = [
    ...keep.map(({ because, id }) => [id, "keep", because.join(", ")]),
    ...remove.map((id) => [id, "remove", dryRun ? "dry run: nothing was removed" : ""]),
    ...orphaned.map((id) => [id, "leave", "what it goes on from is missing: nobody can restore it"])
  ]
  yield* out.data(renderTable(
    [{ title: "BACKUP" }, { title: "SIZE", align: "right" }, { title: "PLAN" }, { title: "WHY", cut: "end" }],
    rows.map(([id = "", ...rest]) => [id, bytes(sizes.get(id) ?? 0), ...rest]),
    style
  ))
})

const printPruned = Effect.fnUntraced(function*(
  planned: RetentionPlan,
  swept: BackupList["incomplete"],
  freed: number,
  dryRun: boolean,
  settings: Settings
) {
  const out = yield* Out
  if (settings.output !== "table") {
    return yield* out.data(`${
      JSON.stringify({
        ...planned,
        unfinished: swept.map(({ id }) => id),
        fileBytes: freed + swept.reduce((sum, each) => sum + each.bytes, 0),
        dryRun
      })
    }\n`)
  }
  const verb = dryRun ? "would be removed" : "removed"
  yield* out.data(`\n${count(planned.remove.length)} backups ${verb}, ${bytes(freed)}\n`)
  if (swept.length > 0) {
    yield* out.data(
      `${count(swept.length)} that were never finished ${verb}, ${
        bytes(swept.reduce((sum, each) => sum + each.bytes, 0))
      }\n`
    )
  }
})
