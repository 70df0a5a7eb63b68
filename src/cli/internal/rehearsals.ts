/**
 * Projections that are built anew in the store of a drill.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Projection } from "../../projection/Projection.ts"
import type { Rehearsal } from "../../projection/ProjectionRehearsal.ts"
import type { Follower } from "../../projection/Reactor.ts"
import { CliFailure, fromError, usage } from "../CliFailure.ts"
import type { Settings } from "../Settings.ts"
import { renderTable } from "../table.ts"
import { count, printable } from "../Text.ts"
import type { SetProgress } from "./backupWatch.ts"
import type { TableStyle } from "./eventTable.ts"
import { findFollower, loadProjectionCode, type ProjectionCode } from "./projectionCode.ts"
import type { ProjectionHost } from "./projectionHost.ts"
import { notKnown } from "./projectionNames.ts"

/**
 * Flags that say which projections are built anew, and where.
 *
 * @category models
 * @since 0.1.0
 */
export interface RehearsedInput {
  readonly projection: ReadonlyArray<string>
  readonly allProjections: boolean
  readonly module: ReadonlyArray<string>
  readonly scratch: "pglite" | "memory"
}

/**
 * What is built anew, and what cannot be, with the reason.
 *
 * @category models
 * @since 0.1.0
 */
export interface RehearsedChoice {
  readonly code: ProjectionCode
  readonly projections: ReadonlyArray<Projection>
  readonly skipped: ReadonlyArray<{ readonly name: string; readonly why: string }>
}

/**
 * What became of one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rehearsed {
  readonly name: string
  readonly version: number
  readonly isSound: boolean
  /** One of the two is there. */
  readonly rehearsal: Rehearsal | undefined
  readonly failure: CliFailure | undefined
}

/**
 * Chooses the projections that the flags name; `undefined` when they name none.
 *
 * @category getters
 * @since 0.1.0
 */
export const chooseRehearsed = Effect.fnUntraced(function*(
  { allProjections, module, projection: names, scratch }: RehearsedInput,
  settings: Settings
) {
  if (allProjections && names.length > 0) {
    return yield* usage("--projection and --all-projections exclude each other", "both are given", "leave one out")
  }
  if (!allProjections && names.length === 0) {
    return module.length === 0 ? undefined : yield* usage(
      "--module names code that nothing is taken of",
      "no projection is named",
      "add --projection NAME or --all-projections"
    )
  }
  const code = yield* loadProjectionCode(settings, module)
  if (!code.library.isOwn && scratch === "memory") {
    return yield* usage(
      "these projections cannot be built in --scratch memory",
      "they were made with another copy of the library than the command's own, which needs a store that both can open",
      "leave out --scratch memory"
    )
  }
  if (allProjections) return yield* chooseAll(code, scratch)
  const projections: Array<Projection> = []
  for (const name of new Set(names)) {
    const follower = findFollower(code, name, undefined)
    if (follower === undefined) return yield* notKnown(name, code, [])
    const why = hindranceOf(follower, scratch)
    if (why !== undefined) return yield* notRehearsable(name, why)
    projections.push(follower as Projection)
  }
  return { code, projections, skipped: [] } satisfies RehearsedChoice
})

/**
 * Builds projections anew, one after the other, and compares them with what is
 * stored.
 *
 * @category running
 * @since 0.1.0
 */
export const rehearseAll = (
  { library, run }: ProjectionHost,
  { projections }: RehearsedChoice,
  set: SetProgress
): Effect.Effect<ReadonlyArray<Rehearsed>> =>
  Effect.forEach(projections, (projection) => {
    const { name, version } = projection
    const rehearsal = library.ProjectionRehearsal.rehearse(projection, {
      onProgress: ({ events, head, position }) =>
        library.Effect.sync(() =>
          set({ done: events, fraction: position / Math.max(head, 1) }, `events applied to ${printable(name)}`)
        )
    })
    return Effect.map(Effect.result(run(rehearsal)), (result): Rehearsed =>
      Result.isSuccess(result)
        ? { name, version, isSound: result.success.isSound, rehearsal: result.success, failure: undefined }
        : { name, version, isSound: false, rehearsal: undefined, failure: fromError(result.failure) })
  })

/**
 * One for a machine.
 *
 * @category converting
 * @since 0.1.0
 */
export const rehearsedJson = ({ failure, isSound, name, rehearsal, version }: Rehearsed) => ({
  name,
  version,
  isSound,
  ...(rehearsal === undefined ? {} : {
    isComplete: rehearsal.isComplete,
    position: rehearsal.checkpoint.position,
    events: rehearsal.checkpoint.count,
    digest: rehearsal.checkpoint.digest,
    parked: rehearsal.parked,
    stored: storedJson(rehearsal)
  }),
  ...(failure === undefined ? {} : { error: { code: failure.code, message: failure.message, why: failure.why } })
})

/**
 * All as a table, and below which keys differ.
 *
 * @category rendering
 * @since 0.1.0
 */
export const renderRehearsed = (rehearsed: ReadonlyArray<Rehearsed>, style: TableStyle): string => {
  const table = renderTable(
    [
      { title: "PROJECTION", cut: "middle" },
      { title: "VERSION", align: "right" },
      { title: "EVENTS", align: "right" },
      { title: "PARKED", align: "right" },
      { title: "COMPLETE" },
      { title: "IN THE BACKUP", cut: "end" }
    ],
    rehearsed.map(({ failure, name, rehearsal, version }) => [
      printable(name),
      String(version),
      rehearsal === undefined ? "-" : count(rehearsal.checkpoint.count),
      rehearsal === undefined ? "-" : count(rehearsal.parked),
      rehearsal?.isComplete === true ? "yes" : "no",
      rehearsal === undefined ? printable(failure?.why ?? "") : storedText(rehearsal)
    ]),
    style
  )
  const keys = rehearsed.flatMap(({ name, rehearsal }) =>
    keysOf(rehearsal).map((key) => `differs: ${printable(name)} ${printable(key)}\n`)
  )
  return table + keys.join("")
}

// internal

const chooseAll = (code: ProjectionCode, scratch: RehearsedInput["scratch"]) => {
  const projections: Array<Projection> = []
  const skipped: Array<RehearsedChoice["skipped"][number]> = []
  for (const follower of [...code.followers, ...code.builtIns]) {
    const why = hindranceOf(follower, scratch)
    if (why === undefined) projections.push(follower as Projection)
    else skipped.push({ name: follower.name, why })
  }
  return Effect.succeed<RehearsedChoice>({ code, projections, skipped })
}

/** Why a follower cannot be built anew there; `undefined` when it can. */
const hindranceOf = ({ _tag, target }: Follower<unknown>, scratch: RehearsedInput["scratch"]): string | undefined =>
  _tag === "Reactor"
    ? "it is a reactor, which would do everything again"
    : target._tag === "Custom"
    ? "its storage is its own"
    : target._tag === "Table" && scratch === "memory"
    ? "it has tables, and --scratch memory has none"
    : undefined

const notRehearsable = (name: string, why: string): CliFailure =>
  new CliFailure({
    code: "ES-2025",
    exitCode: 64,
    message: `${printable(name)} cannot be built anew in a drill`,
    why,
    fix: "name projections that keep states or tables; tables need the usual --scratch pglite"
  })

const sum = (rehearsal: Rehearsal) => {
  const { stored } = rehearsal
  const counts = { changed: 0, onlyInBackup: 0, onlyAnew: 0, same: 0 }
  if (stored._tag !== "Equal" && stored._tag !== "Differs") return counts
  for (const { changed, onlyAfter, onlyBefore, same } of stored.parts) {
    counts.changed += changed
    counts.onlyInBackup += onlyBefore
    counts.onlyAnew += onlyAfter
    counts.same += same
  }
  return counts
}

const keysOf = (rehearsal: Rehearsal | undefined): ReadonlyArray<string> =>
  rehearsal?.stored._tag === "Differs"
    ? rehearsal.stored.parts.flatMap(({ samples }) => samples.map(({ key }) => key))
    : []

const storedJson = (rehearsal: Rehearsal) => {
  const { stored } = rehearsal
  switch (stored._tag) {
    case "Absent":
      return { outcome: "not in the backup" }
    case "OtherDefinition":
      return { outcome: "of another definition", position: stored.position, definition: stored.definition }
    default:
      return {
        outcome: stored._tag === "Equal" ? "equal" : "differs",
        position: stored.position,
        parked: stored.parked,
        ...sum(rehearsal),
        keys: keysOf(rehearsal)
      }
  }
}

const storedText = (rehearsal: Rehearsal): string => {
  const { stored } = rehearsal
  const { changed, onlyAnew, onlyInBackup, same } = sum(rehearsal)
  switch (stored._tag) {
    case "Absent":
      return "not in the backup"
    case "OtherDefinition":
      return `of another definition, up to position ${count(stored.position)}: not compared`
    case "Equal":
      return `equal: ${count(same)} at position ${count(stored.position)}`
    case "Differs":
      return `differs at position ${count(stored.position)}: ${count(changed)} changed, ${
        count(onlyInBackup)
      } only there, ${count(onlyAnew)} missing, ${count(same)} equal`
  }
}
