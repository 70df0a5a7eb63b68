/**
 * `event-store promote`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { plan, promote } from "../backup/StoreMove.ts"
import type { Position } from "../event/Revision.ts"
import { layerMemory } from "../runtime/EventStoreLayer.ts"
import { LogTransfer } from "../store/LogTransfer.ts"
import { RestoreTargetNotEmpty } from "../store/RestoreError.ts"
import { noteLeftOut } from "./BackupCreateCommand.ts"
import { CliFailure } from "./CliFailure.ts"
import { onTransfer, watching } from "./internal/backupWatch.ts"
import { styleOf } from "./internal/eventTable.ts"
import { refuseSamePlace } from "./internal/samePlace.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { type OpenError, type Purpose, StoreOpener } from "./StoreOpener.ts"
import { renderPairs } from "./table.ts"
import { count, duration } from "./Text.ts"

/**
 * Flags of `promote`.
 *
 * @category models
 * @since 0.1.0
 */
export interface PromoteInput {
  readonly from: Redacted.Redacted
  readonly to: Redacted.Redacted
  readonly fromSchema: Option.Option<string>
  readonly toSchema: Option.Option<string>
  readonly dryRun: boolean
}

/**
 * Moves a whole store into another storage.
 *
 * @category commands
 * @since 0.1.0
 */
export const promoteCommand = Effect.fnUntraced(function*(input: PromoteInput, settings: Settings) {
  const out = yield* Out
  yield* refuseSamePlace(input.from, input.to)
  const source = { ...settings, url: input.from, schema: Option.getOrElse(input.fromSchema, () => settings.schema) }
  const target = { ...settings, url: input.to, schema: Option.getOrElse(input.toSchema, () => settings.schema) }
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  const from = yield* open(source, "read")
  const to = yield* open(target, input.dryRun ? "read" : "write").pipe(
    Effect.catchIf(
      (error: OpenError) => input.dryRun && error._tag === "CliFailure" && NO_STORE.has(error.code),
      () => Effect.map(Layer.build(Layer.fresh(layerMemory)), Context.get(LogTransfer))
    )
  )
  const planned = yield* plan({ from, to })
  if (planned.from.incarnation === planned.to.incarnation) {
    return yield* new CliFailure({
      code: "ES-1801",
      exitCode: 64,
      message: "the source and the target are the same store",
      why: `both are history ${planned.from.incarnation}`,
      fix: "name another store, or another --to-schema"
    })
  }
  if (!planned.to.isEmpty && planned.to.restoring === undefined) {
    return yield* new RestoreTargetNotEmpty({
      position: planned.to.position as Position,
      detail: planned.to.position === 0 ? "snapshots or projections" : `${count(planned.to.position)} events`
    })
  }
  const { goesOnAfter } = planned
  const isCleared = planned.to.restoring !== undefined && goesOnAfter === 0
  if (isCleared && !settings.quiet) {
    yield* out.note("the target has a restore of something else, which was broken off: that is cleared first\n")
  }
  if (input.dryRun) {
    return yield* out.data(
      settings.output === "table"
        ? renderPairs([
          ["events", `${count(planned.from.position)} would be moved (dry run: nothing was written)`],
          ["there already", `${count(goesOnAfter)} of a move that was broken off`]
        ], style)
        : `${JSON.stringify({ events: planned.from.position, goesOnAfter, dryRun: true })}\n`
    )
  }
  const report = yield* watching(settings, (set) => promote({ from, to, onProgress: onTransfer(set, "moved") })).pipe(
    Effect.onInterrupt(() =>
      out.note("interrupted: what was moved is kept; to go on where it stopped, run the same command again\n")
    )
  )
  if (settings.output !== "table") {
    yield* out.data(`${JSON.stringify({ ...report, digest: report.digest.digest })}\n`)
  } else {
    const rate = Math.round(report.position / Math.max(report.elapsedMillis, 1) * 1000)
    yield* out.data(renderPairs([
      ["moved", `${count(report.position)} events in ${duration(report.elapsedMillis)} (${count(rate)}/s)`],
      ["compared", "read from both stores again: equal"],
      ["digest", report.digest.digest],
      ["history", `${report.incarnation}, which goes on from ${report.source}`]
    ], style))
  }
  yield* noteLeftOut(report.buildsLeftOut, settings)
}, Effect.scoped)

// internal

/** No directory, or no schema: what a move makes. */
const NO_STORE: ReadonlySet<string> = new Set(["ES-1303", "ES-1204"])

const open = Effect.fnUntraced(function*(settings: Settings, purpose: Purpose) {
  const opener = yield* StoreOpener
  return Context.get(yield* Layer.build(yield* opener.store(settings, purpose)), LogTransfer)
})
