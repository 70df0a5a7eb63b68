/**
 * `event-store projection verify` and `reset`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isCheckpoint } from "../projection/EventReplay.ts"
import type { Verification } from "../projection/ProjectionControl.ts"
import type { Follower } from "../projection/Reactor.ts"
import { CliFailure } from "./CliFailure.ts"
import { confirm } from "./internal/confirm.ts"
import type { TableStyle } from "./internal/eventTable.ts"
import { loadProjectionCode, type ProjectionCode } from "./internal/projectionCode.ts"
import { openHost, type ProjectionHost } from "./internal/projectionHost.ts"
import { chooseFollower, notKnown } from "./internal/projectionNames.ts"
import { printProjections } from "./internal/projectionReport.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { renderTable } from "./table.ts"
import { count, printable } from "./Text.ts"

/**
 * Arguments and flags of `projection verify`.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyInput {
  /** Everything that ran and whose code is at hand, when it is empty. */
  readonly names: ReadonlyArray<string>
  readonly module: ReadonlyArray<string>
  readonly projectionVersion: Option.Option<number>
}

/**
 * Proves that projections saw every event once.
 *
 * @category commands
 * @since 0.1.0
 */
export const verifyCommand = Effect.fnUntraced(function*(input: VerifyInput, settings: Settings) {
  const code = yield* loadProjectionCode(settings, input.module)
  const found = yield* Effect.scoped(Effect.gen(function*() {
    const host = yield* openHost(settings, code)
    const { chosen, unknown } = yield* chooseVerified(input, code, host)
    const found = yield* Effect.forEach(chosen, (follower) =>
      Effect.map(
        host.run(host.library.ProjectionControl.verify(follower)),
        (verified) => ({ follower, verified: verified._tag === "Some" ? verified.value : undefined })
      ))
    const never = found.find(({ verified }) => verified === undefined)
    if (never !== undefined && input.names.length > 0) {
      return yield* notKnown(never.follower.name, code, yield* host.run(host.checkpoints.list))
    }
    if (unknown.length > 0 && !settings.quiet) {
      yield* (yield* Out).note(
        `not verified, because their code is not at hand: ${unknown.map(printable).join(", ")}\n`
      )
    }
    return found
  }))
  const verified = found.flatMap(({ follower, verified }) => verified === undefined ? [] : [{ follower, verified }])
  yield* printVerified(verified, settings)
  const wrong = verified.filter((each) => !each.verified.isComplete)
  if (wrong.length === 0) return
  return yield* new CliFailure({
    code: "ES-1905",
    exitCode: 2,
    message: "projections have not seen the events that the log has",
    why: wrong.map(({ follower: { name, version } }) => `${name}, version ${version}`).join("; "),
    fix: "build them anew: event-store projection rebuild NAME",
    details: { wrong: wrong.map(({ follower }) => follower.name) }
  })
})

/**
 * Arguments and flags of `projection reset`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResetInput {
  readonly name: string
  readonly module: ReadonlyArray<string>
  readonly projectionVersion: Option.Option<number>
  readonly dryRun: boolean
  /** A reactor, too. */
  readonly force: boolean
}

/**
 * Empties a projection and puts it at the start of the log.
 *
 * @category commands
 * @since 0.1.0
 */
export const resetCommand = Effect.fnUntraced(function*(input: ResetInput, settings: Settings) {
  const code = yield* loadProjectionCode(settings, input.module)
  const out = yield* Out
  yield* Effect.scoped(Effect.gen(function*() {
    const host = yield* openHost(settings, code)
    const follower = yield* chooseFollower(input.name, Option.getOrUndefined(input.projectionVersion), code, host)
    const what = `empty ${yield* describe(follower, code, host)}`
    if (input.dryRun) {
      const { name, version } = follower
      return yield* out.data(
        settings.output === "table"
          ? `would ${what}; nothing was written\n`
          : `${JSON.stringify({ name, version, isDryRun: true, what })}\n`
      )
    }
    yield* confirm(what, follower.name, settings, "projection")
    yield* host.run(host.library.ProjectionControl.reset(follower, { force: input.force }))
    const { name, version } = follower
    yield* out.data(
      settings.output === "table"
        ? `${printable(name)}, version ${version}, is at the start of the log; run it to fill it again\n`
        : `${JSON.stringify({ name, version, position: 0 })}\n`
    )
  }))
})

// internal

/** Which ones, and the names of those that the store knows and nobody here defines. */
const chooseVerified = Effect.fnUntraced(function*(
  { names, projectionVersion }: VerifyInput,
  code: ProjectionCode,
  host: ProjectionHost
) {
  const version = Option.getOrUndefined(projectionVersion)
  if (names.length > 0) {
    const chosen = yield* Effect.forEach([...new Set(names)], (name) => chooseFollower(name, version, code, host))
    return { chosen, unknown: [] }
  }
  const records = (yield* host.run(host.checkpoints.list)).filter((record) => !isCheckpoint(record))
  const known = [...code.builtIns, ...code.followers]
  const isOf = (record: typeof records[number]) => (follower: Follower<unknown>) =>
    follower.name === record.name && follower.version === record.version
  return {
    chosen: known.filter((follower) => records.some((record) => isOf(record)(follower))),
    unknown: [...new Set(records.filter((record) => !known.some(isOf(record))).map(({ name }) => name))]
  }
})

interface Verified {
  readonly follower: Follower<unknown>
  readonly verified: Verification
}

const printVerified = Effect.fnUntraced(function*(all: ReadonlyArray<Verified>, settings: Settings) {
  const rows = all.map(({ follower: { name, version }, verified: { checkpoint, isComplete, log, parked } }) => ({
    name,
    version,
    isComplete,
    position: checkpoint.position,
    seen: { events: checkpoint.count, digest: checkpoint.digest },
    log: { events: log.count, digest: log.digest },
    parked
  }))
  yield* printProjections(
    rows,
    settings,
    (style) => rows.length === 0 ? "no projection has run yet\n" : renderVerified(rows, style)
  )
})

const renderVerified = (
  rows: ReadonlyArray<{
    readonly name: string
    readonly version: number
    readonly isComplete: boolean
    readonly position: number
    readonly seen: { readonly events: number; readonly digest: string }
    readonly log: { readonly events: number; readonly digest: string }
    readonly parked: number
  }>,
  style: TableStyle
): string =>
  renderTable(
    [
      { title: "PROJECTION", cut: "middle" },
      { title: "VERSION", align: "right" },
      { title: "POSITION", align: "right" },
      { title: "SEEN", align: "right" },
      { title: "IN THE LOG", align: "right" },
      { title: "PARKED", align: "right" },
      { title: "DIGEST SEEN" },
      { title: "DIGEST OF THE LOG" },
      { title: "VERDICT" }
    ],
    rows.map(({ isComplete, log, name, parked, position, seen, version }) => [
      name,
      String(version),
      count(position),
      count(seen.events),
      count(log.events),
      count(parked),
      seen.digest,
      log.digest,
      isComplete ? "complete" : "DIFFERS"
    ]),
    style
  )

/** What would be lost. */
const describe = Effect.fnUntraced(function*(
  follower: Follower<unknown>,
  code: ProjectionCode,
  host: ProjectionHost
) {
  const { name, target, version } = follower
  const slices = yield* host.run(host.checkpoints.findSlices({ name, version }))
  if (slices.length === 0) return yield* notKnown(name, code, yield* host.run(host.checkpoints.list))
  const total = (of: (record: typeof slices[number]) => number) => slices.reduce((sum, each) => sum + of(each), 0)
  const made = target._tag === "Table"
    ? `its tables ${target.tables.map((table) => `${target.schema}.${table.name}${target.suffix}`).join(", ")}`
    : target._tag === "State"
    ? "its states"
    : "its own storage, as its setUp does it"
  const effects = target._tag === "Reactor" ? "and do all of its reactions again" : `${made}`
  return `${printable(name)}, version ${version}: ${effects}, ${
    count(total(({ parked }) => parked))
  } parked events, and ` +
    `the checkpoint after ${count(total(({ checkpoint }) => checkpoint.count))} events`
})
