/**
 * `event-store projection diff`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Projection } from "../projection/Projection.ts"
import type { Difference, DifferenceSide, PartDifference } from "../projection/ProjectionDiff.ts"
import type { Follower } from "../projection/Reactor.ts"
import { CliFailure, usage } from "./CliFailure.ts"
import { styleOf, type TableStyle } from "./internal/eventTable.ts"
import { loadProjectionCode } from "./internal/projectionCode.ts"
import { openHost } from "./internal/projectionHost.ts"
import { chooseFollower } from "./internal/projectionNames.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { renderPairs, renderTable } from "./table.ts"
import { count, printable } from "./Text.ts"

/**
 * Arguments and flags of `projection diff`.
 *
 * @category models
 * @since 0.1.0
 */
export interface DiffInput {
  readonly name: string
  /** Another projection; two builds of one when it is absent. */
  readonly other: Option.Option<string>
  readonly module: ReadonlyArray<string>
  readonly projectionVersion: Option.Option<number>
  /** Another version of it. */
  readonly withVersion: Option.Option<number>
  /** Most differences of a table that are shown. */
  readonly samples: number
}

/**
 * Compares what two builds, versions or projections made, row by row.
 *
 * @category commands
 * @since 0.1.0
 */
export const diffCommand = Effect.fnUntraced(function*(input: DiffInput, settings: Settings) {
  const code = yield* loadProjectionCode(settings, input.module)
  const found = yield* Effect.scoped(Effect.gen(function*() {
    const host = yield* openHost(settings, code)
    const version = Option.getOrUndefined(input.projectionVersion)
    const before = yield* requireRows(yield* chooseFollower(input.name, version, code, host))
    const { library: { ProjectionDiff }, run } = host
    const options = { samples: input.samples }
    if (Option.isNone(input.other) && Option.isNone(input.withVersion)) {
      return yield* run(ProjectionDiff.diffBuilds(before, options))
    }
    const other = Option.getOrElse(input.other, () => input.name)
    const after = yield* requireRows(
      yield* chooseFollower(other, Option.getOrUndefined(input.withVersion), code, host)
    )
    return yield* run(ProjectionDiff.diff(before, after, options))
  }))
  yield* print(found, settings)
  if (found.isSame) return
  return yield* new CliFailure({
    code: "ES-1928",
    exitCode: 2,
    message: "the two differ",
    why: found.isSamePosition
      ? "they have seen the same events"
      : `one has seen the log up to position ${found.before.position}, the other up to ${found.after.position}`,
    fix: found.isSamePosition
      ? "if that is what was meant, swap: event-store projection rebuild NAME --swap"
      : "let both catch up and compare again: event-store projection run NAME --once",
    details: { isSamePosition: found.isSamePosition }
  })
})

// internal

const requireRows = (follower: Follower<unknown>): Effect.Effect<Projection<unknown>, CliFailure> =>
  follower._tag === "Projection"
    ? Effect.succeed(follower)
    : Effect.fail(
      usage("a reactor has nothing to compare", `${printable(follower.name)} is a reactor`, "name a projection")
    )

const print = Effect.fnUntraced(function*(found: Difference, settings: Settings) {
  const out = yield* Out
  if (settings.output === "json") return yield* out.data(`${JSON.stringify(found)}\n`)
  if (settings.output === "ndjson") {
    for (const { samples, ...part } of found.parts) {
      yield* out.data(`${JSON.stringify({ part: part.name, ...part, samples: samples.length })}\n`)
      for (const sample of samples) yield* out.data(`${JSON.stringify({ part: part.name, ...sample })}\n`)
    }
    return
  }
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  yield* out.data(renderPairs([["before", describe(found.before)], ["after", describe(found.after)]], style))
  const beside = [
    ["tables only before", found.tablesOnlyBefore.map(printable).join(", ")],
    ["tables only after", found.tablesOnlyAfter.map(printable).join(", ")]
  ] as const
  const missing = beside.filter(([, names]) => names !== "")
  if (missing.length > 0) yield* out.data(`\n${renderPairs(missing, style)}`)
  yield* out.data(`\n${renderParts(found.parts, style)}`)
  for (const part of found.parts) {
    if (part.samples.length > 0) yield* out.data(`\n${renderSamples(part, style)}`)
  }
})

const describe = ({ build: { build, name, version }, events, position }: DifferenceSide): string =>
  `${name}, version ${version}, build ${build}: ${count(events)} events, up to position ${count(position)}`

const renderParts = (parts: ReadonlyArray<PartDifference>, style: TableStyle): string =>
  renderTable(
    [
      { title: "PART", cut: "middle" },
      { title: "SAME", align: "right" },
      { title: "CHANGED", align: "right" },
      { title: "ONLY BEFORE", align: "right" },
      { title: "ONLY AFTER", align: "right" },
      { title: "COLUMNS ONLY BEFORE", cut: "end" },
      { title: "COLUMNS ONLY AFTER", cut: "end" }
    ],
    parts.map(({ changed, columnsOnlyAfter, columnsOnlyBefore, name, onlyAfter, onlyBefore, same }) => [
      name,
      count(same),
      count(changed),
      count(onlyBefore),
      count(onlyAfter),
      columnsOnlyBefore.join(", "),
      columnsOnlyAfter.join(", ")
    ]),
    style
  )

const renderSamples = ({ name, samples }: PartDifference, style: TableStyle): string =>
  renderTable(
    [
      { title: `DIFFERENCES IN ${printable(name).toUpperCase()}`, cut: "middle" },
      { title: "COLUMNS", cut: "end" },
      { title: "BEFORE", cut: "end" },
      { title: "AFTER", cut: "end" }
    ],
    samples.map(({ after, before, columns, key }) => [key, columns.join(", "), before ?? "-", after ?? "-"]),
    style
  )
