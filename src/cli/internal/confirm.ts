/**
 * Asks before what cannot be undone.
 *
 * @since 0.1.0
 */
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as Terminal from "effect/Terminal"
import { CliFailure } from "../CliFailure.ts"
import { Out } from "../Out.ts"
import type { Settings } from "../Settings.ts"
import { printable } from "../Text.ts"

/**
 * Succeeds when the user types `name`, or said `--yes`; never asks where nobody
 * can answer.
 *
 * @category operations
 * @since 0.1.0
 */
export const confirm = Effect.fnUntraced(function*(
  what: string,
  name: string,
  settings: Settings,
  noun = "stream",
  warning = "This cannot be undone."
) {
  if (settings.yes) return
  const { canPrompt } = yield* TerminalCapabilities
  if (!canPrompt) return yield* required(what, "nobody can be asked: this is not a terminal")
  const out = yield* Out
  yield* out.note(`${what}\n${warning} Type the name of the ${noun} to go on: `)
  const terminal = yield* Terminal.Terminal
  const answer = yield* terminal.readLine
  if (answer.trim() !== name) return yield* required(what, `"${printable(answer.trim())}" is not its name`)
})

// internal

const required = (what: string, why: string) =>
  new CliFailure({ code: "ES-1401", exitCode: 6, message: `not confirmed: ${what}`, why, fix: "add --yes" })
