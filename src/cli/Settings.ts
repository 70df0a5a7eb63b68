/**
 * The flags that every command takes.
 *
 * @since 0.1.0
 */
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

/**
 * What the global flags say.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /** Which store: `memory:`, `pglite:DIR` or `postgres://…`; it may hold a password. */
  readonly url: Redacted.Redacted
  /** Name of the database schema. */
  readonly schema: string
  readonly output: OutputFormat
  /** Leaves out notes and progress. */
  readonly quiet: boolean
  /** Prints causes with their stacks. */
  readonly verbose: boolean
  readonly progress: boolean
  readonly color: "auto" | "always" | "never"
  /** Prints times in the zone of this machine, not in UTC. */
  readonly local: boolean
  /** Answers every question with yes. */
  readonly yes: boolean
}

/**
 * How data is printed: for people, as one JSON value, or as one a line.
 *
 * @category models
 * @since 0.1.0
 */
export type OutputFormat = "table" | "json" | "ndjson"

/**
 * The store that is used when neither `--url` nor `EVENT_STORE_URL` names one.
 *
 * @category constants
 * @since 0.1.0
 */
export const URL_DEFAULT = "pglite:.event-store"

const Url = GlobalFlag.Setting("url")({
  flag: Flag.Redacted("url").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription(`Store: memory:, pglite:DIR or postgres://… (EVENT_STORE_URL; default ${URL_DEFAULT})`),
    Flag.withFallbackConfig(Config.Redacted("EVENT_STORE_URL")),
    Flag.optional
  )
})

const SchemaName = GlobalFlag.Setting("schema")({
  flag: Flag.String("schema").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("Database schema of the store (default event_store)"),
    Flag.withDefault("event_store")
  )
})

const Output = GlobalFlag.Setting("output")({
  flag: Flag.Literals("output", ["table", "json", "ndjson"]).pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("FORMAT"),
    Flag.withDescription("How data is printed (default table)"),
    Flag.withDefault("table" as const)
  )
})

const Color = GlobalFlag.Setting("color")({
  flag: Flag.Literals("color", ["auto", "always", "never"]).pipe(
    Flag.withMetavar("WHEN"),
    Flag.withDescription("Colours; auto follows the terminal and NO_COLOR (default auto)"),
    Flag.withDefault("auto" as const)
  )
})

const toggle = (name: string, description: string, alias?: string) => {
  const flag = Flag.Boolean(name).pipe(
    Flag.withoutNegation,
    Flag.withDescription(description),
    Flag.withDefault(false)
  )
  return alias === undefined ? flag : Flag.withAlias(flag, alias)
}

const Json = GlobalFlag.Setting("json")({ flag: toggle("json", "The same as --output json") })
const Quiet = GlobalFlag.Setting("quiet")({ flag: toggle("quiet", "Prints data and errors only", "q") })
const Verbose = GlobalFlag.Setting("verbose")({ flag: toggle("verbose", "Prints causes with their stacks") })
const NoProgress = GlobalFlag.Setting("no-progress")({ flag: toggle("no-progress", "Prints no progress") })
const Utc = GlobalFlag.Setting("utc")({ flag: toggle("utc", "Times in UTC (the default)") })
const Local = GlobalFlag.Setting("local")({ flag: toggle("local", "Times in the zone of this machine") })
const Yes = GlobalFlag.Setting("yes")({ flag: toggle("yes", "Answers every question with yes", "y") })

/**
 * The global flags, for `Command.withGlobalFlags`.
 *
 * @category flags
 * @since 0.1.0
 */
export const globalFlags = [
  Url,
  SchemaName,
  Output,
  Json,
  Quiet,
  Verbose,
  NoProgress,
  Color,
  Utc,
  Local,
  Yes
] as const

/**
 * The settings of the command that runs.
 *
 * @category getters
 * @since 0.1.0
 */
export const settings = Effect.gen(function*() {
  const output = yield* Output
  const current: Settings = {
    url: Option.getOrElse(yield* Url, () => Redacted.make(URL_DEFAULT)),
    schema: yield* SchemaName,
    output: (yield* Json) ? "json" : output,
    quiet: yield* Quiet,
    verbose: yield* Verbose,
    progress: !(yield* NoProgress),
    color: yield* Color,
    local: (yield* Local) && !(yield* Utc),
    yes: yield* Yes
  }
  return current
})
