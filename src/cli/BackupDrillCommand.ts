/**
 * `event-store backup drill`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { join } from "node:path"
import type { BackupKeys } from "../backup/BackupKeys.ts"
import type { DrillReport } from "../backup/BackupOptions.ts"
import { BackupService } from "../backup/BackupService.ts"
import { layerMemory, layerUrl } from "../runtime/EventStoreLayer.ts"
import { CheckpointStore } from "../store/CheckpointStore.ts"
import { EventStore } from "../store/EventStore.ts"
import type { StorageError } from "../store/EventStoreError.ts"
import { StoreAdmin } from "../store/StoreAdmin.ts"
import { onPlace, type PlaceInput } from "./BackupCommand.ts"
import { noteLeftOut } from "./BackupCreateCommand.ts"
import { CliFailure } from "./CliFailure.ts"
import { chooseBackup } from "./internal/backupChoice.ts"
import { restoredJson, restoredPairs } from "./internal/backupReport.ts"
import { onTransfer, type SetProgress, watching } from "./internal/backupWatch.ts"
import { styleOf } from "./internal/eventTable.ts"
import { openHost, type ProjectionHost } from "./internal/projectionHost.ts"
import {
  chooseRehearsed,
  rehearseAll,
  type Rehearsed,
  type RehearsedChoice,
  type RehearsedInput,
  rehearsedJson,
  renderRehearsed
} from "./internal/rehearsals.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { renderPairs } from "./table.ts"
import { count, printable } from "./Text.ts"

/**
 * Flags of `backup drill`.
 *
 * @category models
 * @since 0.1.0
 */
export interface DrillInput extends PlaceInput, RehearsedInput {
  readonly id: Option.Option<string>
}

/**
 * Restores a backup into a store that is thrown away, compares row by row, looks
 * for broken invariants, and builds projections anew.
 *
 * @category commands
 * @since 0.1.0
 */
export const drillCommand = Effect.fnUntraced(function*(input: DrillInput, settings: Settings) {
  const out = yield* Out
  const choice = yield* chooseRehearsed(input, settings)
  const { report, rehearsed } = yield* onPlace(input, settings, (keys) =>
    Effect.gen(function*() {
      const id = yield* chooseBackup(input.id, keys, settings)
      return yield* watching(settings, (set) => drill({ id, keys, set, choice, kind: input.scratch }, settings))
    }))
  const problems = report.probe?.problems ?? []
  const unsound = rehearsed.filter(({ isSound }) => !isSound)
  if (settings.output === "table") {
    const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
    yield* out.data(renderPairs([
      ...restoredPairs(report),
      ["compared", `${count(report.position)} events, row by row: equal`],
      ["invariants", problems.length === 0 ? "hold" : `${count(problems.length)} are broken`]
    ], style))
    for (const problem of problems) yield* out.data(`${printable(problem)}\n`)
    if (rehearsed.length > 0) yield* out.data(`\n${renderRehearsed(rehearsed, style)}`)
  } else {
    yield* out.data(`${
      JSON.stringify({
        ...restoredJson(report),
        isSound: problems.length === 0 && unsound.length === 0,
        problems,
        projections: rehearsed.map(rehearsedJson),
        skipped: choice?.skipped ?? []
      })
    }\n`)
  }
  yield* noteLeftOut(report.buildsLeftOut, settings)
  if (!settings.quiet) {
    for (const { name, why } of choice?.skipped ?? []) yield* out.note(`not built anew: ${printable(name)}: ${why}\n`)
  }
  if (problems.length > 0) return yield* notSound(problems)
  if (unsound.length > 0) return yield* notEqual(unsound)
})

// internal

interface Drilled {
  readonly id: string
  readonly keys: BackupKeys
  readonly set: SetProgress
  readonly choice: RehearsedChoice | undefined
  readonly kind: "pglite" | "memory"
}

interface Probe {
  readonly problems: ReadonlyArray<string>
  readonly rehearsed: ReadonlyArray<Rehearsed>
}

const makeScratch = FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped({ prefix: "event-store-drill-" }))

const drill = Effect.fnUntraced(function*({ choice, id, keys, kind, set }: Drilled, settings: Settings) {
  const url = kind === "memory" ? undefined : `pglite:${join(yield* makeScratch, "store")}`
  const isOwn = choice?.code.library.isOwn === true
  const probe: Effect.Effect<Probe, StorageError, StoreAdmin | CheckpointStore | EventStore> = Effect.gen(function*() {
    const problems = yield* StoreAdmin.use((admin) => admin.verifyLog)
    const rehearsed = isOwn ? yield* rehearseAll(yield* hereWith(choice), choice, set) : []
    return { problems, rehearsed }
  })
  const report: DrillReport<Probe> = yield* BackupService.use((backups) =>
    backups.drill({
      id,
      keys,
      scratch: url === undefined ? layerMemory : layerUrl(url, { migrate: true }),
      probe,
      onProgress: onTransfer(set, "restored")
    })
  ).pipe(
    // a drill touches no store but its own: the service wants one
    Effect.provide(Layer.provide(BackupService.layer, Layer.fresh(layerMemory)))
  )
  if (choice === undefined || isOwn || url === undefined) return { report, rehearsed: report.probe?.rehearsed ?? [] }
  // code of another copy opens what was restored itself
  const there = { library: choice.code.library, services: undefined }
  const host = yield* openHost({ ...settings, url: Redacted.make(url), schema: SCHEMA }, there)
  return { report, rehearsed: yield* rehearseAll(host, choice, set) }
})

/** Of a scratch store. */
const SCHEMA = "event_store"

/** The restored store as a host of what the command's own copy can run. */
const hereWith = ({ code: { library } }: RehearsedChoice) =>
  Effect.map(Effect.context<CheckpointStore | EventStore>(), (context): ProjectionHost => ({
    library,
    checkpoints: Context.get(context, CheckpointStore),
    store: Context.get(context, EventStore),
    run: <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.provideContext(effect, context as Context.Context<unknown>) as Effect.Effect<A, E>
  }))

const notSound = (problems: ReadonlyArray<string>): CliFailure =>
  new CliFailure({
    code: "ES-2023",
    exitCode: 2,
    message: "the restored log is not sound",
    why: problems[0] ?? "",
    fix: "look at the store that was backed up: event-store maint verify"
  })

const notEqual = (unsound: ReadonlyArray<Rehearsed>): CliFailure =>
  new CliFailure({
    code: "ES-2024",
    exitCode: 2,
    message: `${count(unsound.length)} projections do not come to what the backup holds: ${
      unsound.map(({ name }) => printable(name)).join(", ")
    }`,
    why: unsound[0]?.failure?.message ?? "states differ, or events were not seen once: see above",
    fix:
      "look at the store that was backed up: event-store projection verify NAME; to heal it: projection rebuild NAME",
    details: { projections: unsound.map(rehearsedJson) }
  })
