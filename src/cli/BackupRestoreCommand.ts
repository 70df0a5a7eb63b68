/**
 * `event-store backup restore`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { BackupKeys } from "../backup/BackupKeys.ts"
import type { AppendBackupOptions, AppendOutcome, RestorePoint, RestorePreview } from "../backup/BackupOptions.ts"
import { BackupService } from "../backup/BackupService.ts"
import type { Position } from "../event/Revision.ts"
import { layerMemory } from "../runtime/EventStoreLayer.ts"
import { LogTransfer } from "../store/LogTransfer.ts"
import { RestoreTargetNotEmpty } from "../store/RestoreError.ts"
import { type DescribeInput, onPlace } from "./BackupCommand.ts"
import { noteLeftOut } from "./BackupCreateCommand.ts"
import { type CliFailure, usage } from "./CliFailure.ts"
import { chooseBackup } from "./internal/backupChoice.ts"
import { restoredJson, restoredPairs } from "./internal/backupReport.ts"
import { onTransfer, watching } from "./internal/backupWatch.ts"
import { confirm } from "./internal/confirm.ts"
import { styleOf } from "./internal/eventTable.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { type OpenError, StoreOpener, withStore } from "./StoreOpener.ts"
import { renderPairs } from "./table.ts"
import { count, duration, time } from "./Text.ts"

/**
 * Flags of `backup restore`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestoreInput extends Omit<DescribeInput, "dest"> {
  /** Not wanted to abandon a restore. */
  readonly dest: Option.Option<string>
  readonly toPosition: Option.Option<number>
  readonly toTime: Option.Option<DateTime.Utc>
  readonly stream: ReadonlyArray<string>
  readonly category: ReadonlyArray<string>
  readonly type: ReadonlyArray<string>
  readonly tag: ReadonlyArray<string>
  readonly streamPrefix: Option.Option<string>
  readonly abandon: boolean
  readonly dryRun: boolean
}

/**
 * Restores a backup into the store of the settings, after its plan was shown
 * and confirmed.
 *
 * @category commands
 * @since 0.1.0
 */
export const restoreCommand = Effect.fnUntraced(function*(input: RestoreInput, settings: Settings) {
  if (input.abandon) return yield* abandon(settings)
  const to = yield* pointOf(input)
  const isAppended = Option.isSome(input.streamPrefix) ||
    [input.stream, input.category, input.type, input.tag].some((each) => each.length > 0)
  if (Option.isNone(input.dest)) {
    return yield* usage("no place is named", "the backup is read from there", "add --dest PLACE")
  }
  yield* onPlace({ ...input, dest: input.dest.value }, settings, (keys) =>
    Effect.gen(function*() {
      const id = yield* chooseBackup(input.id, keys, settings)
      yield* isAppended ? append(input, { id, keys, to }, settings) : restore(input, { id, keys, to }, settings)
    }))
})

// internal

interface Chosen {
  readonly id: string
  readonly keys: BackupKeys
  readonly to: RestorePoint
}

const pointOf = ({ toPosition, toTime }: RestoreInput): Effect.Effect<RestorePoint, CliFailure> => {
  if (Option.isSome(toPosition) && Option.isSome(toTime)) {
    return Effect.fail(usage("--to-position and --to-time exclude each other", "both are given", "leave one out"))
  }
  if (Option.isSome(toTime)) return Effect.succeed({ time: toTime.value })
  return Effect.succeed(Option.isSome(toPosition) ? { position: toPosition.value } : "end")
}

type Backups = BackupService["Service"]

const withService = <A, E, R>(use: (backups: Backups) => Effect.Effect<A, E, R>) =>
  Effect.provide(BackupService.use(use), BackupService.layer)

/** No directory, or no schema: what a restore makes. */
const NO_STORE: ReadonlySet<string> = new Set(["ES-1303", "ES-1204"])

const isNoStore = (error: { readonly _tag: string }): boolean =>
  error._tag === "CliFailure" && NO_STORE.has((error as CliFailure).code)

/** Looks at the target; one that is not there yet is as good as an empty one. */
const looking = Effect.fnUntraced(function*<A, E, R>(self: Effect.Effect<A, E, R>, settings: Settings) {
  const opener = yield* StoreOpener
  const context = yield* Effect.flatMap(opener.store(settings, "read"), Layer.build).pipe(
    Effect.catchIf((error: OpenError) => isNoStore(error), () => Layer.build(Layer.fresh(layerMemory)))
  )
  return yield* Effect.provideContext(self, context)
}, Effect.scoped)

const restore = Effect.fnUntraced(function*(input: RestoreInput, chosen: Chosen, settings: Settings) {
  const preview = yield* looking(withService((backups) => backups.planRestore(chosen)), settings)
  const { goesOnAfter, target } = preview
  if (!target.isEmpty && target.restoring === undefined) {
    return yield* new RestoreTargetNotEmpty({
      position: target.position as Position,
      detail: target.position === 0 ? "snapshots or projections" : `${count(target.position)} events`
    })
  }
  yield* printPlan(preview, input, settings)
  if (input.dryRun) return
  yield* confirm(`${count(preview.position)} events would be restored`, chosen.id, settings, "backup")
  const outcome = yield* watching(
    settings,
    (set) => withService((backups) => backups.restore({ ...chosen, onProgress: onTransfer(set, "restored") }))
  ).pipe(
    withStore(settings, "write"),
    Effect.onInterrupt(() => noteInterrupted(settings))
  )
  const out = yield* Out
  if (settings.output === "table") {
    const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
    yield* out.data(renderPairs(restoredPairs(outcome), style))
  } else yield* out.data(`${JSON.stringify({ ...restoredJson(outcome), goesOnAfter })}\n`)
  yield* noteLeftOut(outcome.buildsLeftOut, settings)
})

const append = Effect.fnUntraced(function*(input: RestoreInput, chosen: Chosen, settings: Settings) {
  const out = yield* Out
  const options: AppendBackupOptions = {
    ...chosen,
    streams: some(input.stream),
    categories: some(input.category),
    types: some(input.type),
    tags: some(input.tag),
    streamPrefix: Option.getOrUndefined(input.streamPrefix)
  }
  if (input.dryRun) return yield* planAppend(options, settings)
  const { position } = yield* Effect.provide(
    withService((backups) => backups.planRestore(chosen)),
    Layer.fresh(layerMemory)
  )
  if (settings.output === "table") yield* noteAppendPlan(options, position, false, settings)
  yield* confirm(`events of ${chosen.id} would be appended`, chosen.id, settings, "backup")
  const outcome: AppendOutcome = yield* watching(
    settings,
    (set) => withService((backups) => backups.append({ ...options, onProgress: onTransfer(set, "looked at") }))
  ).pipe(
    withStore(settings, "write"),
    Effect.onInterrupt(() => noteInterrupted(settings))
  )
  if (settings.output !== "table") return yield* out.data(`${JSON.stringify(outcome)}\n`)
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  yield* out.data(renderPairs([
    ["appended", `${count(outcome.appended)} events in ${duration(outcome.elapsedMillis)}`],
    ["present", `${count(outcome.present)} (appended before)`],
    ["looked at", count(outcome.read)]
  ], style))
})

const some = (names: ReadonlyArray<string>) => names.length === 0 ? undefined : names

const abandon = Effect.fnUntraced(function*(settings: Settings) {
  const out = yield* Out
  yield* confirm("what a broken-off restore has written would be removed", "abandon", settings, "action (abandon)")
  const store = yield* StoreOpener
  const abandoned = yield* Effect.scoped(Effect.gen(function*() {
    const context = yield* Layer.build(yield* store.store(settings, "read"))
    return yield* Effect.provideContext(LogTransfer.use((transfer) => transfer.abandonRestore), context)
  }))
  yield* out.data(
    settings.output === "table"
      ? abandoned ? "the restore was abandoned: the store is empty\n" : "there was no restore to abandon\n"
      : `${JSON.stringify({ abandoned })}\n`
  )
})

const noteInterrupted = (settings: Settings) =>
  Effect.flatMap(Out, (out) =>
    settings.quiet ? Effect.void : out.note(
      "interrupted: to go on where it stopped, run the same command again\n" +
        "to give a restore up: event-store backup restore --abandon\n"
    ))

const printPlan = Effect.fnUntraced(function*(preview: RestorePreview, input: RestoreInput, settings: Settings) {
  const out = yield* Out
  const { chain, goesOnAfter, id, position, source, target } = preview
  const newest = chain.at(-1)
  if (settings.output !== "table") {
    if (!input.dryRun) return
    const backups = chain.map((each) => each.id)
    return yield* out.data(`${JSON.stringify({ id, backups, source, position, goesOnAfter, target, dryRun: true })}\n`)
  }
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  yield* out.note(renderPairs([
    ["backup", newest?.id === id ? `${id}, begun ${time(newest.startedAt, style.local)}` : id],
    ...(newest === undefined || newest.id === id
      ? []
      : [["nearest", `${newest.id}, begun ${time(newest.startedAt, style.local)}`] as const]),
    ["reads", `${count(chain.length)} backups of history ${source}`],
    ["events", `${count(position)}, up to position ${count(position)}`],
    ["target", describeTarget(preview)],
    ["then", input.dryRun ? "dry run: nothing is written" : `a history of its own, which goes on from ${source}`]
  ], style))
  if (input.dryRun) yield* out.data(`${count(position - goesOnAfter)} events would be restored\n`)
})

const describeTarget = ({ goesOnAfter, target: { restoring } }: RestorePreview): string => {
  if (restoring === undefined) return "empty, or not there yet"
  return goesOnAfter > 0
    ? `has ${count(goesOnAfter)} events of this restore, which was broken off: it goes on`
    : "has a restore of something else, which was broken off: that is cleared first"
}

/** Looks event by event what an append would do, and says so. */
const planAppend = Effect.fnUntraced(function*(options: AppendBackupOptions, settings: Settings) {
  const out = yield* Out
  const { categories, streamPrefix, streams, tags, types } = options
  const preview = yield* watching(
    settings,
    (set) =>
      looking(
        withService((backups) => backups.planAppend({ ...options, onProgress: onTransfer(set, "looked at") })),
        settings
      )
  )
  const { conflicting, present, toAppend } = preview
  if (settings.output !== "table") {
    const selection = { streams, categories, types, tags, streamPrefix }
    return yield* out.data(`${JSON.stringify({ ...preview, ...selection, dryRun: true })}\n`)
  }
  yield* noteAppendPlan(options, preview.position, true, settings)
  yield* out.data(`${count(toAppend)} events would be appended, ${count(present)} are there already\n`)
  if (conflicting > 0) {
    yield* out.data(`${count(conflicting)} have ids that stand in other streams: the restore would be refused\n`)
  }
})

const noteAppendPlan = Effect.fnUntraced(function*(
  { categories, id, streamPrefix, streams, tags, types }: AppendBackupOptions,
  position: number,
  dryRun: boolean,
  settings: Settings
) {
  const out = yield* Out
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  const list = (names: ReadonlyArray<string> | undefined) => names === undefined ? "all" : names.join(", ")
  yield* out.note(renderPairs([
    ["backup", id ?? ""],
    ["events", `those that fit of ${count(position)}`],
    ["streams", list(streams)],
    ["categories", list(categories)],
    ["types", list(types)],
    ["tags", list(tags)],
    ["under", streamPrefix === undefined ? "the names that they have" : `${streamPrefix}…`],
    ["then", dryRun ? "dry run: nothing is written" : "appended: new positions, revisions and times"]
  ], style))
})
