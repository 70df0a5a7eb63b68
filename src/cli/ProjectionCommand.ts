/**
 * `event-store projection list`, `status`, `pause` and `resume`: what needs no
 * code of the projection.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { pause, resume } from "../projection/ProjectionControl.ts"
import { loadProjectionCode } from "./internal/projectionCode.ts"
import { builtInCode, recordsOf, unknownProjection, type WhichInput } from "./internal/projectionNames.ts"
import {
  printProjections,
  readStandings,
  renderStanding,
  renderStandings,
  standingToJson
} from "./internal/projectionReport.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { withStore } from "./StoreOpener.ts"
import { printable } from "./Text.ts"

/**
 * Flags of `projection list`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListInput {
  readonly module: ReadonlyArray<string>
  /** One line a slice. */
  readonly slices: boolean
}

/**
 * Lists the projections that the store knows, and those whose code is at hand.
 *
 * @category commands
 * @since 0.1.0
 */
export const listCommand = Effect.fnUntraced(function*({ module, slices }: ListInput, settings: Settings) {
  const code = yield* loadProjectionCode(settings, module)
  const standings = yield* withStore(settings, "read")(readStandings(code, { slices }))
  yield* printProjections(
    standings.map(standingToJson),
    settings,
    (style) => renderStandings(standings, style, { slices })
  )
})

/**
 * Arguments and flags of `projection status`.
 *
 * @category models
 * @since 0.1.0
 */
export interface StatusInput extends ListInput {
  /** All of them when it is empty. */
  readonly names: ReadonlyArray<string>
}

/**
 * Says how projections stand, in detail.
 *
 * @category commands
 * @since 0.1.0
 */
export const statusCommand = Effect.fnUntraced(function*(input: StatusInput, settings: Settings) {
  const { module, names, slices } = input
  if (names.length === 0) return yield* listCommand(input, settings)
  const code = yield* loadProjectionCode(settings, module)
  const standings = yield* Effect.gen(function*() {
    const found = yield* readStandings(code, { slices, only: names })
    const missing = names.find((name) => found.every((standing) => standing.name !== name))
    if (missing !== undefined) return yield* unknownProjection(missing, code)
    return names.flatMap((name) => found.filter((standing) => standing.name === name))
  }).pipe(withStore(settings, "read"))
  yield* printProjections(
    standings.map(standingToJson),
    settings,
    (style) => standings.map((standing) => renderStanding(standing, style)).join("\n")
  )
})

/**
 * Stops projections on whatever process they run.
 *
 * @category commands
 * @since 0.1.0
 */
export const pauseCommand = (input: WhichInput, settings: Settings) =>
  changeStatus(input, settings, "paused", "its runner stops in a moment and stands by")

/**
 * Lets projections run again.
 *
 * @category commands
 * @since 0.1.0
 */
export const resumeCommand = (input: WhichInput, settings: Settings) =>
  changeStatus(input, settings, "running", "a runner that stands by takes it")

// internal

const changeStatus = Effect.fnUntraced(function*(
  input: WhichInput,
  settings: Settings,
  status: "paused" | "running",
  consequence: string
) {
  // names alone do: what cannot be loaded must not hinder an operator
  const code = yield* builtInCode
  const changed = yield* Effect.gen(function*() {
    const records = yield* recordsOf(input, code)
    for (const { name, version } of records) {
      // all slices of its current build
      yield* status === "paused" ? pause({ name, version }) : resume({ name, version })
    }
    return records
  }).pipe(withStore(settings, "read"))
  const out = yield* Out
  for (const { name, version } of changed) {
    yield* out.data(
      settings.output === "table"
        ? `${printable(name)}, version ${version}: ${status === "paused" ? "paused" : "resumed"}; ${consequence}\n`
        : `${JSON.stringify({ name, version, status })}\n`
    )
  }
})
