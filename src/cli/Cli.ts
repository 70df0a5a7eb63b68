/**
 * Runs the command and turns whatever comes of it into an exit code.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type { CliError } from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import { CliFailure, type ExitCode, fromError, usage } from "./CliFailure.ts"
import { makeRoot } from "./Commands.ts"
import { Out } from "./Out.ts"
import { printable, styled } from "./Text.ts"

/**
 * Runs `event-store` with arguments and returns its exit code.
 *
 * **Details**
 *
 * Never fails: failures are told on standard error. Help goes to standard output
 * when it was asked for, and never when something is wrong.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (
  args: ReadonlyArray<string>,
  version: string
): Effect.Effect<ExitCode, never, Command.Environment | Out> =>
  Effect.gen(function*() {
    const { canColor, canPrompt } = yield* TerminalCapabilities
    const out = yield* Out
    const command = args.includes("--wizard") && !canPrompt
      ? Effect.fail(NO_WIZARD)
      : Command.runWith(makeRoot(), { version })(args)
    return yield* command.pipe(
      Effect.as<ExitCode>(0),
      Effect.provideService(CliOutput.Presenter, makePresenter(out, isColored(args, canColor), isMachine(args))),
      Effect.provideService(References.LogToStderr, true),
      Effect.provideService(References.MinimumLogLevel, "Warn"),
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause as Cause.Cause<never>) : report(args, cause)
      )
    )
  })

// internal

const NO_WIZARD = usage(
  "--wizard needs a terminal",
  "it asks, and nobody can answer: standard input or output is not a terminal",
  "leave it out; every command says with --help what it takes"
)

/** Errors are told by {@link report}; help that nobody asked for is one of them, except for the bare command. */
const makePresenter = (out: Out["Service"], colors: boolean, isMachine: boolean): CliOutput.Presenter => ({
  present: (event) => {
    switch (event._tag) {
      case "InvalidInvocation":
        return Effect.void
      case "Version":
        return Console.log(`${event.name} ${event.version}`)
      case "Help": {
        const formatter = CliOutput.defaultFormatter({ colors, globalFlags: "summary" })
        const text = formatter.formatHelpDoc(event.helpDoc).replace(/(?<!\n)\n(?=\S*EXAMPLES)/, "\n\n")
        if (event.reason === "Requested" || event.commandPath.length === 1) return Console.log(text)
        return isMachine ? Effect.void : out.note(`${text}\n`)
      }
    }
  }
})

const report = Effect.fnUntraced(function*(args: ReadonlyArray<string>, cause: Cause.Cause<unknown>) {
  const error = Cause.squash(cause)
  if (isTagged(error, "OutputClosed")) return 0
  if (isTagged(error, "ShowHelp")) {
    const { commandPath, errors } = error as CliError & { readonly _tag: "ShowHelp" }
    if (errors.length === 0 && commandPath.length === 1) return 0
    return yield* tell(args, cause, toUsageFailure(commandPath, errors.map((each) => each.message)))
  }
  return yield* tell(args, cause, fromError(error))
})

const toUsageFailure = (commandPath: ReadonlyArray<string>, messages: ReadonlyArray<string>): CliFailure =>
  new CliFailure({
    code: "ES-1002",
    exitCode: 64,
    message: "wrong usage",
    why: messages.length === 0 ? `${commandPath.join(" ")} needs a subcommand` : messages.map(oneLine).join("; "),
    fix: `see: ${commandPath.join(" ")} --help`
  })

const tell = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  cause: Cause.Cause<unknown>,
  failure: CliFailure
) {
  const { canColor } = yield* TerminalCapabilities
  const out = yield* Out
  yield* out.note(isMachine(args) ? toJson(failure) : toText(failure, isColored(args, canColor && out.isNoteTerminal)))
  if (args.includes("--verbose")) yield* out.note(`${Cause.pretty(cause)}\n`)
  return failure.exitCode
})

const toText = ({ code, fix, message, why }: CliFailure, color: boolean): string =>
  `${styled("red", `error ${code}`, color)}: ${oneLine(message)}\n  why: ${oneLine(why)}\n  fix: ${oneLine(fix)}\n`

const toJson = ({ code, details, fix, message, why }: CliFailure): string =>
  `${JSON.stringify({ error: { code, message, details: { why, ...details }, hint: fix } })}\n`

const oneLine = (text: string): string => printable(text.replace(/\s*\n\s*/g, " ").trim())

/** Asked of the arguments themselves, because they may be what is wrong. */
const isMachine = (args: ReadonlyArray<string>): boolean =>
  args.includes("--json") || /^(nd)?json$/.test(valueOf(args, ["--output", "-o"]) ?? "")

const isColored = (args: ReadonlyArray<string>, auto: boolean): boolean => {
  const color = valueOf(args, ["--color"])
  return color === "always" || (color !== "never" && auto)
}

const valueOf = (args: ReadonlyArray<string>, names: ReadonlyArray<string>): string | undefined => {
  for (const [index, arg] of args.entries()) {
    if (names.includes(arg)) return args[index + 1]
    const name = names.find((name) => arg.startsWith(`${name}=`))
    if (name !== undefined) return arg.slice(name.length + 1)
  }
  return undefined
}

const isTagged = (error: unknown, tag: string): boolean =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === tag
