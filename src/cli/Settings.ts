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
import { Out } from "./Out.ts"
import { printable } from "./Text.ts"

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
  /** Where archived events are read, as flag or environment name it; the configuration may name it, too. */
  readonly archive?: string | undefined
  /** Path of the configuration file; `undefined` when there is none. */
  readonly config: string | undefined
  /** Where the store's URL and schema come from. */
  readonly origins: { readonly url: Origin; readonly schema: Origin }
}

/**
 * Where a setting comes from.
 *
 * @category models
 * @since 0.1.0
 */
export type Origin = "flag or environment" | "configuration" | "default"

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

/**
 * The schema that is used when nothing names one.
 *
 * @category constants
 * @since 0.1.0
 */
export const SCHEMA_DEFAULT = "event_store"

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
    Flag.withDescription(`Database schema of the store (EVENT_STORE_SCHEMA; default ${SCHEMA_DEFAULT})`),
    Flag.withFallbackConfig(Config.String("EVENT_STORE_SCHEMA")),
    Flag.optional
  )
})

const Archive = GlobalFlag.Setting("archive")({
  flag: Flag.String("archive").pipe(
    Flag.withMetavar("PLACE"),
    Flag.withDescription("Place of backups in which archived months are read (EVENT_STORE_ARCHIVE)"),
    Flag.withFallbackConfig(Config.String("EVENT_STORE_ARCHIVE")),
    Flag.optional
  )
})

const ConfigPath = GlobalFlag.Setting("config")({
  flag: Flag.String("config").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Configuration (default event-store.config.ts or .json, here or above; none takes none)"),
    Flag.optional
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
  Archive,
  ConfigPath,
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
 * **Details**
 *
 * A flag goes before the environment, the environment before the configuration
 * file, and the file before what is built in. The file is code: it is run only
 * when something of it is wanted.
 *
 * @category getters
 * @since 0.1.0
 */
export const settings = Effect.gen(function*() {
  const quiet = yield* Quiet
  const url = yield* Url
  const schema = yield* SchemaName
  const path = yield* findConfig(quiet)
  const config = path !== undefined && (Option.isNone(url) || Option.isNone(schema))
    ? yield* Effect.flatMap(loadConfigFiles, ({ loadConfigFile }) => loadConfigFile(path))
    : undefined
  const current: Settings = {
    url: Option.getOrElse(url, () => Redacted.make(config?.url ?? URL_DEFAULT)),
    schema: Option.getOrElse(schema, () => config?.schema ?? SCHEMA_DEFAULT),
    output: yield* outputFormat,
    quiet,
    verbose: yield* Verbose,
    progress: !(yield* NoProgress),
    color: yield* Color,
    local: (yield* Local) && !(yield* Utc),
    yes: yield* Yes,
    archive: Option.getOrUndefined(yield* Archive),
    config: path,
    origins: { url: originOf(url, config?.url), schema: originOf(schema, config?.schema) }
  }
  return current
})

/**
 * How data is printed, for a command that works on no store: it runs whatever
 * the configuration file is.
 *
 * @category getters
 * @since 0.1.0
 */
export const outputFormat = Effect.gen(function*() {
  const output = yield* Output
  return (yield* Json) ? "json" : output
})

// internal

const loadConfigFiles = Effect.promise(() => import("./internal/configFile.ts"))

const findConfig = Effect.fnUntraced(function*(quiet: boolean) {
  const given = yield* ConfigPath
  if (Option.isSome(given)) return given.value === "none" ? undefined : given.value
  const { findConfigFile } = yield* loadConfigFiles
  const { path, unsafe } = findConfigFile(".")
  if (unsafe !== undefined && !quiet) {
    yield* (yield* Out).note(
      `not taken, because anybody may write to its directory: ${printable(unsafe)} (to take it: --config FILE)\n`
    )
  }
  return path
})

const originOf = (given: Option.Option<unknown>, configured: string | undefined): Origin =>
  Option.isSome(given) ? "flag or environment" : configured === undefined ? "default" : "configuration"
