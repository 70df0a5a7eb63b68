/**
 * `event-store doctor`.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import { type HealthCheck, StoreAdmin } from "../store/StoreAdmin.ts"
import { CliFailure } from "./CliFailure.ts"
import { styleOf } from "./internal/eventTable.ts"
import { Out } from "./Out.ts"
import type { Settings } from "./Settings.ts"
import { onAdmin } from "./StoreOpener.ts"
import { printable, styled } from "./Text.ts"

/**
 * Flags of `doctor`.
 *
 * @category models
 * @since 0.1.0
 */
export interface DoctorInput {
  /** Lets a warning fail the command. */
  readonly ci: boolean
}

/**
 * Examines the store; a line and a remedy for each thing that was looked at.
 *
 * @category commands
 * @since 0.1.0
 */
export const doctorCommand = Effect.fnUntraced(function*({ ci }: DoctorInput, settings: Settings) {
  const out = yield* Out
  const checks = [describeSettings(settings), ...(yield* (yield* StoreAdmin).checkHealth)]
  const { color } = styleOf(settings, out, (yield* TerminalCapabilities).canColor)
  switch (settings.output) {
    case "table":
      for (const check of checks) yield* out.data(render(check, color))
      break
    case "json":
      yield* out.data(`${JSON.stringify({ checks })}\n`)
      break
    case "ndjson":
      for (const check of checks) yield* out.data(`${JSON.stringify(check)}\n`)
  }
  const bad = checks.filter(({ level }) => level === "fail" || (ci && level === "warn"))
  if (bad.length === 0) return
  return yield* new CliFailure({
    code: "ES-1603",
    exitCode: 1,
    message: "the store is not well",
    why: bad.map(({ name }) => name).join(", "),
    fix: "follow the hints above"
  })
}, onAdmin("read"))

// internal

const LABELS = { ok: "OK  ", warn: "WARN", fail: "FAIL" } as const
const STYLES = { ok: "green", warn: "yellow", fail: "red" } as const

/** Where the store was found. The URL may hold a password. */
const describeSettings = ({ config, origins }: Settings): HealthCheck => ({
  name: "configuration",
  level: "ok",
  detail: `${config === undefined ? "no file" : config}; url by ${origins.url}, schema by ${origins.schema}`,
  hint: ""
})

const render = ({ detail, hint, level, name }: HealthCheck, color: boolean): string =>
  `${styled(STYLES[level], LABELS[level], color)}  ${printable(name)}: ${printable(detail)}\n` +
  (hint === "" ? "" : `      ${printable(hint)}\n`)
