/**
 * `event-store snapshot list`, `advise` and `prune`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { advise, measure } from "../snapshot/SnapshotAdvice.ts"
import { type SnapshotDescription, type SnapshotGroup, SnapshotStore } from "../store/SnapshotStore.ts"
import { usage } from "./CliFailure.ts"
import { styleOf, type TableStyle } from "./internal/eventTable.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { onStore } from "./StoreOpener.ts"
import { renderTable } from "./table.ts"
import { bytes, count, printable, time } from "./Text.ts"

/**
 * Flags that say which snapshots are meant.
 *
 * @category models
 * @since 0.1.0
 */
export interface SelectionInput {
  readonly stream: Option.Option<string>
  readonly kind: Option.Option<string>
  readonly fingerprint: Option.Option<string>
}

/**
 * Puts the flags into the shape in which the snapshot store takes them.
 *
 * @category converting
 * @since 0.1.0
 */
export const toSelection = ({ fingerprint, kind, stream }: SelectionInput) => ({
  streamId: Option.getOrUndefined(stream),
  kind: Option.getOrUndefined(kind),
  fingerprint: Option.getOrUndefined(fingerprint)
})

/**
 * Flags of `snapshot list`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListInput extends SelectionInput {
  readonly summary: boolean
  readonly limit: number
  readonly cursor: Option.Option<string>
}

/**
 * Lists snapshots, or counts them.
 *
 * @category commands
 * @since 0.1.0
 */
export const listCommand = Effect.fnUntraced(function*(input: ListInput, settings: Settings) {
  const out = yield* Out
  const store = yield* SnapshotStore
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  if (input.summary) {
    const statistics = yield* store.statistics
    if (settings.output !== "table") {
      return yield* out.data(`${JSON.stringify({ ...statistics, groups: statistics.groups.map(groupToJson) })}\n`)
    }
    return yield* out.data(
      statistics.groups.length === 0 ? "there are no snapshots\n" : renderGroups(statistics.groups, style)
    )
  }
  const { next, snapshots } = yield* store.list({
    ...toSelection(input),
    limit: input.limit,
    cursor: Option.getOrUndefined(input.cursor)
  })
  switch (settings.output) {
    case "json":
      return yield* out.data(`${JSON.stringify({ snapshots: snapshots.map(toJson), next: next ?? null })}\n`)
    case "ndjson":
      yield* out.data(snapshots.map((snapshot) => `${JSON.stringify(toJson(snapshot))}\n`).join(""))
      break
    case "table":
      yield* out.data(snapshots.length === 0 ? "there are no snapshots\n" : renderSnapshots(snapshots, style))
  }
  if (next !== undefined && !settings.quiet) yield* out.note(`more: --cursor ${next}\n`)
}, onStore("read"))

/**
 * Flags of `snapshot advise`.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdviseInput {
  readonly category: Option.Option<string>
  /** Milliseconds. */
  readonly budget: number
}

/**
 * Measures the streams and says which strategy fits.
 *
 * @category commands
 * @since 0.1.0
 */
export const adviseCommand = Effect.fnUntraced(function*({ budget, category }: AdviseInput, settings: Settings) {
  const out = yield* Out
  const measurements = yield* measure({ category: Option.getOrUndefined(category) })
  const { code, reasons } = advise(measurements, { budgetMillis: budget })
  if (settings.output !== "table") return yield* out.data(`${JSON.stringify({ strategy: code, reasons })}\n`)
  yield* out.data(`${code}\n${reasons.map((reason) => `  ${printable(reason)}\n`).join("")}`)
}, onStore("read"))

/**
 * Flags of `snapshot prune`.
 *
 * @category models
 * @since 0.1.0
 */
export interface PruneInput extends SelectionInput {
  readonly keepLast: Option.Option<number>
  readonly olderThan: Option.Option<Duration.Duration>
  readonly unusable: boolean
  readonly all: boolean
}

/**
 * Removes snapshots.
 *
 * @category commands
 * @since 0.1.0
 */
export const pruneCommand = Effect.fnUntraced(function*(input: PruneInput, settings: Settings) {
  const out = yield* Out
  const rules = [Option.isSome(input.keepLast), Option.isSome(input.olderThan), input.unusable]
  if (input.all === rules.includes(true)) {
    return yield* usage(
      input.all ? "--all leaves nothing to the other rules" : "no rule says what to remove",
      "a removal is either of all that fit, or by --keep-last, --older-than and --unusable",
      input.all ? "leave out --all or the rules" : "add --keep-last N, --older-than SPAN, --unusable or --all"
    )
  }
  const store = yield* SnapshotStore
  const selection = toSelection(input)
  const now = yield* DateTime.now
  const removed = input.all ? yield* store.remove(selection) : yield* store.prune({
    ...selection,
    keepLast: Option.getOrUndefined(input.keepLast),
    takenBefore: Option.getOrUndefined(Option.map(input.olderThan, (age) => DateTime.subtractDuration(now, age))),
    unusable: input.unusable
  })
  yield* out.data(
    settings.output === "table" ? `${count(removed)} snapshots removed\n` : `${JSON.stringify({ removed })}\n`
  )
}, onStore("read"))

// internal

const toJson = ({ takenAt, ...snapshot }: SnapshotDescription) => ({
  ...snapshot,
  takenAt: DateTime.formatIso(takenAt)
})

const groupToJson = ({ newestTakenAt, oldestTakenAt, ...group }: SnapshotGroup) => ({
  ...group,
  oldestTakenAt: DateTime.formatIso(oldestTakenAt),
  newestTakenAt: DateTime.formatIso(newestTakenAt)
})

const renderSnapshots = (snapshots: ReadonlyArray<SnapshotDescription>, style: TableStyle): string =>
  renderTable(
    [
      { title: "STREAM", cut: "middle" },
      { title: "KIND", cut: "middle" },
      { title: "REVISION", align: "right" },
      { title: "SIZE", align: "right" },
      { title: "PLAIN", align: "right" },
      { title: "LOAD", align: "right" },
      { title: "TAKEN AT" },
      { title: "FINGERPRINT", cut: "end" }
    ],
    snapshots.map(({ fingerprint, kind, loadMillis, plainBytes, revision, storedBytes, streamId, takenAt }) => [
      streamId,
      kind,
      count(revision),
      bytes(storedBytes),
      bytes(plainBytes),
      `${loadMillis.toFixed(1)} ms`,
      time(takenAt, style.local),
      fingerprint
    ]),
    style
  )

const renderGroups = (groups: ReadonlyArray<SnapshotGroup>, style: TableStyle): string =>
  renderTable(
    [
      { title: "KIND", cut: "middle" },
      { title: "SNAPSHOTS", align: "right" },
      { title: "STREAMS", align: "right" },
      { title: "SIZE", align: "right" },
      { title: "PLAIN", align: "right" },
      { title: "NEWEST" },
      { title: "FINGERPRINT", cut: "end" }
    ],
    groups.map(({ fingerprint, kind, newestTakenAt, plainBytes, snapshots, storedBytes, streams }) => [
      kind,
      count(snapshots),
      count(streams),
      bytes(storedBytes),
      bytes(plainBytes),
      time(newestTakenAt, style.local),
      fingerprint
    ]),
    style
  )
