/**
 * `event-store projection rebuild`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Projection } from "../projection/Projection.ts"
import type { BuildOptions, SwapOptions } from "../projection/ProjectionRebuild.ts"
import type { Follower } from "../projection/Reactor.ts"
import { type BuildKey, CheckpointStore, type ProjectionBuild } from "../store/CheckpointStore.ts"
import type { EventStore } from "../store/EventStore.ts"
import { CliFailure, usage } from "./CliFailure.ts"
import { confirm } from "./internal/confirm.ts"
import { styleOf } from "./internal/eventTable.ts"
import { loadProjectionCode } from "./internal/projectionCode.ts"
import { openHost, type ProjectionHost } from "./internal/projectionHost.ts"
import {
  type AnyOfInput,
  builtInCode,
  chooseFollowers,
  recordsOf,
  unknownProjection
} from "./internal/projectionNames.ts"
import { makeWatch } from "./internal/projectionWatch.ts"
import { Out } from "./Out.ts"
import { makeProgress } from "./Progress.ts"
import type { Settings } from "./Settings.ts"
import { withStore } from "./StoreOpener.ts"
import { renderTable } from "./table.ts"
import { count, duration, printable } from "./Text.ts"

/**
 * Arguments and flags of `projection rebuild`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RebuildInput extends AnyOfInput {
  /** Beside what is live: what it does unless another way is asked for. */
  readonly blueGreen: boolean
  readonly inPlace: boolean
  /** Builds and does not swap. */
  readonly noSwap: boolean
  readonly swap: boolean
  readonly rollback: boolean
  readonly cancel: boolean
  readonly dropRetired: boolean
  readonly fresh: boolean
  /** Events a second. */
  readonly throttle: Option.Option<number>
  readonly keepOld: Option.Option<Duration.Duration>
  readonly batch: number
  readonly parallel: number
  readonly dryRun: boolean
}

/**
 * Builds projections anew, beside what is live, and puts them in its place.
 *
 * @category commands
 * @since 0.1.0
 */
export const rebuildCommand = Effect.fnUntraced(function*(input: RebuildInput, settings: Settings) {
  const way = yield* wayOf(input)
  switch (way) {
    case "cancel":
      return yield* cancel(input, settings)
    case "dropRetired":
      return yield* dropRetired(input, settings)
    default:
      return yield* rebuild(way, input, settings)
  }
})

// internal

type Way = "blueGreen" | "inPlace" | "noSwap" | "swap" | "rollback" | "cancel" | "dropRetired"

const WAYS = {
  blueGreen: "--blue-green",
  inPlace: "--in-place",
  noSwap: "--no-swap",
  swap: "--swap",
  rollback: "--rollback",
  cancel: "--cancel",
  dropRetired: "--drop-retired"
} as const

const wayOf = (input: RebuildInput): Effect.Effect<Way, CliFailure> => {
  const [first = "blueGreen", second] = (Object.keys(WAYS) as ReadonlyArray<Way>).filter((way) => input[way])
  return second === undefined ? Effect.succeed(first) : Effect.fail(usage(
    `${WAYS[first]} and ${WAYS[second]} exclude each other`,
    "a projection is rebuilt in one way at a time",
    "leave one of them out"
  ))
}

const rebuild = Effect.fnUntraced(function*(
  way: Exclude<Way, "cancel" | "dropRetired">,
  input: RebuildInput,
  settings: Settings
) {
  const code = yield* loadProjectionCode(settings, input.module)
  yield* Effect.scoped(Effect.gen(function*() {
    const host = yield* openHost(settings, code)
    const chosen = yield* Effect.forEach(yield* chooseFollowers(input, code, host), requireRebuildable)
    if (input.dryRun) return yield* printPlan(way, host, chosen, input, settings)
    if (way === "inPlace") {
      for (const { name, version } of chosen) {
        const what = `empty ${
          printable(name)
        }, version ${version}, and fill it again; readers see it incomplete meanwhile`
        yield* confirm(what, name, settings, "projection")
      }
    }
    const progress = yield* makeProgress("events", settings)
    const { draw, onProgress } = makeWatch(host, progress)
    const drawing = yield* Effect.forkChild(draw)
    const reports = yield* host.run(work(way, host, chosen, toOptions(input, onProgress), input.parallel)).pipe(
      Effect.ensuring(Effect.andThen(Fiber.interrupt(drawing), progress.clear)),
      Effect.onInterrupt(() => noteStopped(chosen, settings))
    )
    yield* printReports(reports, yield* progress.elapsedMs, settings)
  }))
})

interface Report {
  readonly build: BuildKey
  readonly checkpoint: { readonly position: number; readonly count: number }
  readonly parked: number
  readonly replaced: ReadonlyArray<BuildKey>
}

type Options = Omit<BuildOptions, "until"> & SwapOptions

const toOptions = (input: RebuildInput, onProgress: Options["onProgress"]): Options => ({
  batchEvents: input.batch,
  fresh: input.fresh,
  throttle: Option.getOrUndefined(input.throttle),
  // milliseconds: a span of this copy may mean nothing to another one
  keepOld: Option.getOrUndefined(Option.map(input.keepOld, Duration.toMillis)),
  // to go on there; --cancel gives it up
  keepOnInterrupt: true,
  onProgress
})

/** An effect of the copy that the projections are of. */
const work = (
  way: Exclude<Way, "cancel" | "dropRetired">,
  { library }: ProjectionHost,
  chosen: ReadonlyArray<Projection>,
  options: Options,
  concurrency: number
) => {
  const { Effect: Theirs, ProjectionControl, ProjectionRebuild, ProjectionRunner } = library
  const oneOf = (projection: Projection): Effect.Effect<Report, unknown, CheckpointStore | EventStore> => {
    switch (way) {
      case "blueGreen":
        return ProjectionRebuild.blueGreen(projection, options)
      case "swap":
        return ProjectionRebuild.swap(projection, options)
      case "rollback":
        return ProjectionRebuild.rollback(projection, options)
      case "noSwap":
        return Theirs.map(ProjectionRebuild.build(projection, options), (built) => ({ ...built, replaced: [] }))
      case "inPlace": {
        const { name, version } = projection
        return Theirs.map(
          Theirs.andThen(ProjectionControl.reset(projection), ProjectionRunner.runOnce(projection, options)),
          (checkpoint) => ({ build: { name, version, build: 0 }, checkpoint, parked: 0, replaced: [] })
        )
      }
    }
  }
  return Theirs.forEach(chosen, oneOf, { concurrency })
}

const requireRebuildable = (follower: Follower<unknown>): Effect.Effect<Projection, CliFailure> =>
  follower.target._tag === "State" || follower.target._tag === "Table"
    // what keeps its states or tables needs no services
    ? Effect.succeed(follower as Projection)
    : Effect.fail(
      new CliFailure({
        code: "ES-1925",
        exitCode: 64,
        message: "only states and tables are built anew",
        why: `${printable(follower.name)} ${
          follower._tag === "Reactor" ? "is a reactor, which is not replayed" : "has a storage of its own"
        }`,
        fix: "give it a new version beside the old one; to empty it: event-store projection reset NAME"
      })
    )

const noteStopped = Effect.fnUntraced(function*(chosen: ReadonlyArray<Projection>, settings: Settings) {
  if (settings.quiet) return
  const names = chosen.map(({ name }) => printable(name)).join(" ")
  yield* (yield* Out).note(
    "interrupted: what is live was not touched, and what was built is kept\n" +
      `to go on where it stopped: event-store projection rebuild ${names}\n` +
      `to give it up: event-store projection rebuild ${names} --cancel\n`
  )
})

const printReports = Effect.fnUntraced(function*(
  reports: ReadonlyArray<Report>,
  elapsedMs: number,
  settings: Settings
) {
  const out = yield* Out
  const rows = reports.map(({ build: { build, name, version }, checkpoint, parked, replaced }) => ({
    name,
    version,
    build: build === 0 ? null : build,
    position: checkpoint.position,
    events: checkpoint.count,
    parked,
    replaced: replaced.map((old) => ({ version: old.version, build: old.build }))
  }))
  if (settings.output === "json") return yield* out.data(`${JSON.stringify({ projections: rows, elapsedMs })}\n`)
  if (settings.output === "ndjson") {
    for (const row of rows) yield* out.data(`${JSON.stringify(row)}\n`)
    return
  }
  yield* out.data(renderTable(
    [
      { title: "PROJECTION", cut: "middle" },
      { title: "VERSION", align: "right" },
      { title: "BUILD", align: "right" },
      { title: "POSITION", align: "right" },
      { title: "EVENTS", align: "right" },
      { title: "PARKED", align: "right" },
      { title: "TOOK THE PLACE OF" }
    ],
    rows.map(({ build, events, name, parked, position, replaced, version }) => [
      name,
      String(version),
      build === null ? "" : String(build),
      count(position),
      count(events),
      count(parked),
      replaced.map((old) => `version ${old.version}, build ${old.build}`).join("; ")
    ]),
    styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  ))
  if (!settings.quiet) yield* out.note(`in ${duration(elapsedMs)}\n`)
})

const printPlan = Effect.fnUntraced(function*(
  way: Way,
  host: ProjectionHost,
  chosen: ReadonlyArray<Projection>,
  { keepOld }: RebuildInput,
  settings: Settings
) {
  const { position: head } = yield* host.run(host.store.head)
  const kept = duration(Option.match(keepOld, { onNone: () => DAY_MILLIS, onSome: Duration.toMillis }))
  const plans = yield* Effect.forEach(
    chosen,
    ({ name, version }) =>
      Effect.map(host.run(host.checkpoints.listBuilds(name)), (builds) => ({ name, version, builds }))
  )
  yield* printAll(
    plans.map(({ builds, name, version }) => ({ name, version, way, head, builds: builds.map(toJson) })),
    "projections",
    ({ builds, name, version }) => {
      const live = builds.find(({ isLive }) => isLive)
      const place = live === undefined ? "nothing, it never ran" : `version ${live.version}, build ${live.build}`
      const end = way === "inPlace" || way === "noSwap" || live === undefined ? "" : `, then kept for ${kept}`
      return `would ${PLANS[way]} ${printable(name)}, version ${version}, up to position ${count(head)}; ` +
        `live now: ${place}${end}; nothing was written\n`
    },
    settings
  )
})

const DAY_MILLIS = 86_400_000

const PLANS: Readonly<Record<Way, string>> = {
  blueGreen: "build beside what is live, and swap",
  inPlace: "empty and fill again",
  noSwap: "build beside what is live",
  swap: "make live the build that is complete:",
  rollback: "make live again what was so before:",
  cancel: "remove the builds that are not complete:",
  dropRetired: "remove the builds whose time is over:"
}

const toJson = ({ createdAt, keepUntil, retiredAt, ...build }: ProjectionBuild) => ({
  ...build,
  createdAt: DateTime.formatIso(createdAt),
  retiredAt: retiredAt === undefined ? null : DateTime.formatIso(retiredAt),
  keepUntil: keepUntil === undefined ? null : DateTime.formatIso(keepUntil)
})

/** Needs no code. The builds of all versions, unless one is asked for: a new one is not live yet. */
const cancel = Effect.fnUntraced(function*(input: RebuildInput, settings: Settings) {
  const { cancel } = yield* Effect.promise(() => import("../projection/ProjectionRebuild.ts"))
  yield* Effect.gen(function*() {
    const cancelled: Array<Cancelled> = []
    for (const name of new Set(input.names)) {
      const builds = yield* unfinishedOf(name, input.projectionVersion)
      if (builds.length > 0 && !input.dryRun) {
        const which = builds.map(({ build, version }) => `version ${version}, build ${build}`).join("; ")
        yield* confirm(`remove what was built of ${printable(name)}: ${which}`, name, settings, "projection")
      }
      const versions = [...new Set(builds.map(({ version }) => version))]
      const counts = input.dryRun
        ? [builds.length]
        : yield* Effect.forEach(versions, (version) => cancel({ name, version }))
      cancelled.push({ name, versions, removed: counts.reduce((sum, each) => sum + each, 0) })
    }
    yield* printAll(
      cancelled.map((each) => ({ ...each, isDryRun: input.dryRun })),
      "projections",
      ({ name, removed }) =>
        input.dryRun
          ? `would remove ${count(removed)} builds of ${printable(name)}; nothing was written\n`
          : `${printable(name)}: ${count(removed)} builds removed; what is live was not touched\n`,
      settings
    )
  }).pipe(withStore(settings, "read"))
})

interface Cancelled {
  readonly name: string
  readonly versions: ReadonlyArray<number>
  readonly removed: number
}

const unfinishedOf = Effect.fnUntraced(function*(name: string, version: RebuildInput["projectionVersion"]) {
  const builds = yield* CheckpointStore.use((store) => store.listBuilds(name))
  if (builds.length === 0) return yield* unknownProjection(name, yield* builtInCode)
  return builds.filter((build) =>
    (build.status === "building" || build.status === "removing") &&
    (Option.isNone(version) || version.value === build.version)
  )
})

/** Needs no code, and no names: then it is those of all. */
const dropRetired = Effect.fnUntraced(function*(input: RebuildInput, settings: Settings) {
  const { dropRetired } = yield* Effect.promise(() => import("../projection/ProjectionRebuild.ts"))
  yield* Effect.gen(function*() {
    const names: ReadonlyArray<string | undefined> = input.names.length === 0
      ? [undefined]
      : (yield* recordsOf(input, yield* builtInCode)).map((each) => each.name)
    const dropped: Array<Gone> = []
    for (const name of names) dropped.push(...(input.dryRun ? yield* expiredOf(name) : yield* dropRetired({ name })))
    yield* printAll(
      dropped.map(({ build, outcome }) => ({ ...build, outcome })),
      "builds",
      ({ build, name, outcome, version }) => `${printable(name)}, version ${version}, build ${build}: ${outcome}\n`,
      settings
    )
    if (!settings.quiet) {
      const words = input.dryRun ? `would remove ${count(dropped.length)} builds; nothing was written` : undefined
      const nothing = dropped.length === 0 ? "no build has been kept for as long as it should be" : undefined
      const note = words ?? nothing
      if (note !== undefined) yield* (yield* Out).note(`${note}\n`)
    }
  }).pipe(withStore(settings, "read"))
})

/** A build, and what became of it or would. */
interface Gone {
  readonly build: BuildKey
  readonly outcome: string
}

const expiredOf = (name: string | undefined) =>
  Effect.map(
    CheckpointStore.use((store) => store.listBuilds(name)),
    (builds) =>
      builds.filter(({ isExpired, status }) => isExpired || status === "removing").map((found) => ({
        build: { name: found.name, version: found.version, build: found.build },
        outcome: "would be removed"
      }))
  )

/** One document, or one a line, for machines; a line of words for people. */
const printAll = Effect.fnUntraced(function*<A>(
  all: ReadonlyArray<A>,
  name: string,
  render: (each: A) => string,
  settings: Settings
) {
  const out = yield* Out
  if (settings.output === "json") return yield* out.data(`${JSON.stringify({ [name]: all })}\n`)
  for (const each of all) yield* out.data(settings.output === "table" ? render(each) : `${JSON.stringify(each)}\n`)
})
