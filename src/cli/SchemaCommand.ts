/**
 * `event-store schema …`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import { StoreAdmin } from "../store/StoreAdmin.ts"
import { CliFailure, usage } from "./CliFailure.ts"
import { styleOf } from "./internal/eventTable.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { onAdmin } from "./StoreOpener.ts"
import { renderTable } from "./table.ts"
import { count, printable } from "./Text.ts"

/**
 * Says which parts of the schema are there.
 *
 * @category commands
 * @since 0.1.0
 */
export const statusCommand = Effect.fnUntraced(function*(_: object, settings: Settings) {
  const out = yield* Out
  const status = yield* (yield* StoreAdmin).schemaStatus
  if (settings.output !== "table") return yield* out.data(`${JSON.stringify(status)}\n`)
  const style = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  if (status.migrations.length > 0) {
    yield* out.data(renderTable(
      [{ title: "MIGRATION", cut: "middle" }, { title: "STATE" }, { title: "APPLIED AT" }],
      status.migrations.map(({ appliedAt, name, state }) => [name, state, appliedAt?.toISOString() ?? ""]),
      style
    ))
  }
  for (const name of status.outdatedFunctions) yield* out.data(`function ${printable(name)} is missing or outdated\n`)
  yield* out.data(
    status.isCurrent ? "the schema is current\n" : "the schema is not current: event-store schema apply\n"
  )
}, onAdmin("read"))

/**
 * Flags of `schema apply`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ApplyInput {
  readonly roles: boolean
  readonly dryRun: boolean
}

/**
 * Brings the schema up to date.
 *
 * @category commands
 * @since 0.1.0
 */
export const applyCommand = Effect.fnUntraced(function*({ dryRun, roles }: ApplyInput, settings: Settings) {
  const admin = yield* StoreAdmin
  if (dryRun) {
    const { migrations, outdatedFunctions } = yield* admin.schemaStatus
    const pending = [
      ...migrations.filter(({ state }) => state === "pending").map(({ name }) => `migration ${name}`),
      ...outdatedFunctions.map((name) => `function ${name}`)
    ]
    return yield* printSteps(pending, settings, "would apply", "nothing to apply")
  }
  yield* printSteps(yield* admin.schemaApply({ roles }), settings, "applied", "the schema was current already")
}, onAdmin("write"))

/**
 * Prints the SQL of the whole schema; needs no store.
 *
 * @category commands
 * @since 0.1.0
 */
export const sqlCommand = Effect.fnUntraced(function*(_: object, settings: Settings) {
  const out = yield* Out
  const { schemaNameFault, schemaScript } = yield* Effect.promise(() => import("./internal/openStore.ts"))
  const fault = schemaNameFault(settings.schema)
  if (fault !== undefined) return yield* usage("--schema names no schema", fault, "choose another name")
  const sql = schemaScript(settings.schema)
  yield* out.data(settings.output === "table" ? sql : `${JSON.stringify({ sql })}\n`)
})

/**
 * Compares the schema with what it should be.
 *
 * @category commands
 * @since 0.1.0
 */
export const verifyCommand = Effect.fnUntraced(function*(_: object, settings: Settings) {
  const out = yield* Out
  const differences = yield* (yield* StoreAdmin).schemaVerify
  if (settings.output !== "table") {
    yield* out.data(`${JSON.stringify({ equal: differences.length === 0, differences })}\n`)
  } else for (const difference of differences) yield* out.data(`${printable(difference)}\n`)
  if (differences.length === 0) {
    if (settings.output === "table") yield* out.data("the schema is as it should be\n")
    return
  }
  return yield* new CliFailure({
    code: "ES-1601",
    exitCode: 2,
    message: "the schema differs",
    why: `${count(differences.length)} differences between the database and this version of event-store`,
    fix: "see them above; event-store schema apply brings the schema up to date"
  })
}, onAdmin("read"))

// internal

const printSteps = Effect.fnUntraced(function*(
  steps: ReadonlyArray<string>,
  settings: Settings,
  verb: string,
  nothing: string
) {
  const out = yield* Out
  if (settings.output !== "table") return yield* out.data(`${JSON.stringify({ steps })}\n`)
  if (steps.length === 0) yield* out.data(`${nothing}\n`)
  for (const step of steps) yield* out.data(`${verb} ${printable(step)}\n`)
})
