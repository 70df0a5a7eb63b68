/**
 * `event-store migrate copy`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { copy, type CopyPlan, type CopyProgress, type CopyReport, plan } from "../migration/StoreCopy.ts"
import { EventStore } from "../store/EventStore.ts"
import type { UnknownPolicy } from "../version/Registry.ts"
import { CliFailure, usage } from "./CliFailure.ts"
import { loadEventModule, makeRegistry } from "./EventModule.ts"
import { styleOf, type TableStyle } from "./internal/eventTable.ts"
import { renderFailures } from "./internal/failureTable.ts"
import { refuseSamePlace } from "./internal/samePlace.ts"
import { Out } from "./Out.ts"
import { makeProgress, type Progress } from "./Progress.ts"
import type { Settings } from "./Settings.ts"
import { type OpenError, type Purpose, StoreOpener } from "./StoreOpener.ts"
import { renderPairs, renderTable } from "./table.ts"
import { count, duration } from "./Text.ts"

/**
 * Flags of `migrate copy`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CopyInput {
  readonly from: Redacted.Redacted
  readonly to: Redacted.Redacted
  readonly fromSchema: Option.Option<string>
  readonly toSchema: Option.Option<string>
  readonly events: Option.Option<string>
  readonly keepVersions: boolean
  readonly unknown: "fail" | "skip" | "keep"
  readonly streamPrefix: ReadonlyArray<string>
  readonly batch: number
  readonly resume: boolean
  readonly dryRun: boolean
}

/**
 * Copies a store into another, or says what a copy would do.
 *
 * @category commands
 * @since 0.1.0
 */
export const copyCommand = Effect.fnUntraced(function*(input: CopyInput, settings: Settings) {
  yield* checkUsage(input)
  const registry = yield* registryOf(input)
  const copying = yield* makeProgress("events", settings)
  const verifying = yield* makeProgress("events verified", settings)
  let latest: CopyProgress | undefined
  const options = {
    registry,
    versions: input.keepVersions ? "keep" : "newest",
    streamPrefixes: input.streamPrefix,
    resume: input.resume,
    batchSizeEvents: input.batch,
    onProgress: (progress: CopyProgress) => {
      const { head, phase, position } = progress
      latest = progress
      const state = { done: position, fraction: position / Math.max(head, 1) }
      return phase === "copy" ? copying.update(state) : Effect.andThen(copying.clear, verifying.update(state))
    }
  } as const
  const run = Effect.gen(function*() {
    const source = { ...settings, url: input.from, schema: Option.getOrElse(input.fromSchema, () => settings.schema) }
    const target = { ...settings, url: input.to, schema: Option.getOrElse(input.toSchema, () => settings.schema) }
    const from = yield* open(source, "read")
    if (!input.dryRun) {
      return { report: yield* copy({ ...options, from, to: yield* open(target, "write") }), planned: undefined }
    }
    const to = yield* open(target, "read").pipe(
      Effect.catchIf(isNoStore, () => Effect.succeed(undefined))
    )
    const planned = yield* plan({ ...options, from, to })
    return { report: planned, planned }
  }).pipe(
    Effect.scoped,
    Effect.onInterrupt(() => Effect.andThen(copying.clear, noteInterrupted(input, latest))),
    Effect.ensuring(Effect.andThen(copying.clear, verifying.clear))
  )
  const { planned, report } = yield* run
  yield* print(settings, report, planned, copying)
  if (planned !== undefined && planned.failed > 0) {
    return yield* new CliFailure({
      code: "ES-1804",
      exitCode: 65,
      message: "there are events that cannot be copied",
      why: `${count(planned.failed)} of ${count(planned.read + planned.failed)} events (above)`,
      fix: "complete the history of these types, or leave unknown ones out or as they are with --unknown"
    })
  }
})

// internal

/** No directory, or no schema: what a copy would make. */
const NO_STORE: ReadonlySet<string> = new Set(["ES-1303", "ES-1204"])

const isNoStore = (error: OpenError): boolean => error._tag === "CliFailure" && NO_STORE.has(error.code)

const checkUsage = (input: CopyInput): Effect.Effect<void, CliFailure> => {
  if (Option.isNone(input.events) && (input.keepVersions || input.unknown !== "fail")) {
    return Effect.fail(usage(
      "--keep-versions and --unknown need --events",
      "without event types nothing is decoded, and everything is copied as it is stored",
      "add --events FILE, or leave them out"
    ))
  }
  return refuseSamePlace(input.from, input.to)
}

const POLICIES: Readonly<Record<CopyInput["unknown"], UnknownPolicy>> = {
  fail: "fail",
  skip: "skip",
  keep: "passThrough"
}

const registryOf = Effect.fnUntraced(function*({ events, unknown }: CopyInput) {
  if (Option.isNone(events)) return undefined
  const policy = POLICIES[unknown]
  return yield* makeRegistry(yield* loadEventModule(events.value), { unknownType: policy, unknownVersion: policy })
})

const open = Effect.fnUntraced(function*(settings: Settings, purpose: Purpose) {
  const opener = yield* StoreOpener
  return Context.get(yield* Layer.build(yield* opener.store(settings, purpose)), EventStore)
})

const noteInterrupted = ({ dryRun }: CopyInput, progress: CopyProgress | undefined) =>
  Effect.flatMap(Out, (out) => {
    const kept = dryRun ? 0 : (progress?.copied ?? 0) + (progress?.present ?? 0)
    return out.note(
      `interrupted: at least ${count(kept)} events are in the target and kept\n` +
        `to go on where it stopped, run the same command again\n`
    )
  })

const print = Effect.fnUntraced(function*(
  settings: Settings,
  report: CopyReport,
  planned: CopyPlan | undefined,
  progress: Progress
) {
  const out = yield* Out
  if (settings.output !== "table") {
    const failures = planned?.failures.map(({ path, position, reason, revision, streamId, type, version }) => ({
      type,
      version,
      streamId,
      revision,
      position,
      path,
      reason
    }))
    return yield* out.data(`${JSON.stringify({ ...report, ...(failures && { failures }) })}\n`)
  }
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  const elapsedMs = yield* progress.elapsedMs
  const rate = Math.round(report.read / Math.max(elapsedMs, 1) * 1000)
  yield* out.data(renderPairs([
    ["read", `${count(report.read)} events in ${duration(elapsedMs)} (${count(rate)}/s)`],
    ["copied", planned ? `${count(report.copied)} (dry run: nothing was written)` : count(report.copied)],
    ["present", report.present === 0 ? "0" : `${count(report.present)} (copied before)`],
    ["left out", count(report.leftOut)],
    ["up to", `position ${count(report.position)} of the source`],
    ["digest", planned ? report.digest : `${report.digest} (read from the target)`]
  ], style))
  if (report.versions.length > 0) yield* out.data(`\n${renderVersions(report, style)}`)
  if (planned !== undefined && planned.failed > 0) yield* out.data(`\n${renderFailures(planned, style)}`)
})

const renderVersions = ({ versions }: CopyReport, style: TableStyle): string =>
  renderTable(
    [
      { title: "TYPE", cut: "middle" },
      { title: "FROM", align: "right" },
      { title: "TO", align: "right" },
      { title: "EVENTS", align: "right" }
    ],
    versions.map(({ events, from, to, type }) => [type, `v${from}`, to === undefined ? "-" : `v${to}`, count(events)]),
    style
  )
