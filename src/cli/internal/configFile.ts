/**
 * The configuration file: found upward from where the command runs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { existsSync, readFileSync, statSync } from "node:fs"
import { dirname, extname, join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import type { ArchiveConfig } from "../../runtime/StoreConfig.ts"
import { parseStoreUrl } from "../../runtime/StoreUrl.ts"
import { CliFailure } from "../CliFailure.ts"

/**
 * A configuration file, and what stands in it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigFile {
  /** Absolute. */
  readonly path: string
  /** With a directory that is relative to the file's made absolute; it may hold a password. */
  readonly url: string | undefined
  readonly schema: string | undefined
  /** With paths that are relative to the file's made absolute. */
  readonly archive: ArchiveConfig | undefined
  /** What the file exports under these names, not looked into. */
  readonly projections: unknown
  readonly reactors: unknown
  readonly services: unknown
  readonly events: unknown
}

/**
 * What a search came to.
 *
 * @category models
 * @since 0.1.0
 */
export interface FoundConfig {
  readonly path: string | undefined
  /** A file that was passed over, because anybody may write to its directory. */
  readonly unsafe: string | undefined
}

/**
 * Looks for a configuration file from a directory upward.
 *
 * **Details**
 *
 * A file is code that would be run, so one in a directory that everybody may
 * write to, such as `/tmp`, is passed over.
 *
 * @category constructors
 * @since 0.1.0
 */
export const findConfigFile = (from: string): FoundConfig => {
  let unsafe: string | undefined
  let directory = resolve(from)
  while (true) {
    const path = NAMES.map((name) => join(directory, name)).find((candidate) => existsSync(candidate))
    if (path !== undefined) {
      if (!isWritableByAll(directory)) return { path, unsafe }
      unsafe ??= path
    }
    const parent = dirname(directory)
    if (parent === directory) return { path: undefined, unsafe }
    directory = parent
  }
}

/**
 * Loads a configuration file: a module that exports a configuration by default,
 * or JSON.
 *
 * @category constructors
 * @since 0.1.0
 */
export const loadConfigFile = (given: string): Effect.Effect<ConfigFile, CliFailure> =>
  Effect.gen(function*() {
    const path = resolve(given)
    if (!existsSync(path)) {
      return yield* new CliFailure({
        code: "ES-1305",
        exitCode: 3,
        message: "there is no such configuration file",
        why: `${given} does not exist`,
        fix: "check --config; --config none takes no file"
      })
    }
    const config = yield* Effect.tryPromise({ try: () => load(path), catch: (cause) => notLoaded(given, cause) })
    const problems = faultsOf(config)
    if (problems.length > 0) {
      return yield* new CliFailure({
        code: "ES-1709",
        exitCode: 65,
        message: "the configuration cannot be taken",
        why: `${given}: ${problems.join("; ")}`,
        fix:
          "export default defineConfig({ url, schema, archive, projections, reactors, services, events }), each if it is needed",
        details: { path, problems }
      })
    }
    const { archive, events, projections, reactors, schema, services, url } = config as Partial<ConfigFile>
    return {
      path,
      url: url === undefined ? undefined : fromFile(path, url),
      schema,
      archive: archive === undefined ? undefined : archiveFromFile(path, archive),
      projections,
      reactors,
      services,
      events
    }
  })

// internal

const NAMES = ["ts", "mts", "js", "mjs", "json"].map((ending) => `event-store.config.${ending}`)

const isWritableByAll = (directory: string): boolean => (statSync(directory).mode & 0o002) !== 0

const load = async (path: string): Promise<unknown> => {
  if (extname(path) === ".json") return parse(readFileSync(path, "utf8"))
  const exports: { readonly default?: unknown } = await import(/* @vite-ignore */ pathToFileURL(path).href)
  return exports.default
}

/** V8 quotes the text in its messages, and it may hold a password. */
const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new SyntaxError("it is not JSON")
  }
}

const TEXTS = ["url", "schema"]

const LISTS = ["projections", "reactors", "events"]

const KEYS: ReadonlySet<string> = new Set([...TEXTS, ...LISTS, "services", "archive"])

const ARCHIVE_KEYS: ReadonlySet<string> = new Set(["dest", "keyFiles", "trust"])

/** A key that is misspelt would be left out in silence. */
const faultsOf = (config: unknown): ReadonlyArray<string> => {
  if (!Predicate.isObject(config) || Array.isArray(config)) return ["it exports no configuration by default"]
  return Object.entries(config).flatMap(([key, value]) => {
    if (!KEYS.has(key)) return [`unknown key ${JSON.stringify(key)}`]
    if (value === undefined) return []
    if (key === "archive") return archiveFaults(value)
    if (TEXTS.includes(key) && typeof value !== "string") return [`${key}: expected a text`]
    return LISTS.includes(key) && !Array.isArray(value) ? [`${key}: expected an array`] : []
  })
}

const archiveFaults = (value: unknown): ReadonlyArray<string> => {
  const isList = (list: unknown) => Array.isArray(list) && list.every((path) => typeof path === "string")
  if (!Predicate.isObject(value)) return ["archive: expected { dest, keyFiles, trust }"]
  const { dest, keyFiles = [], trust = [] } = value as Record<string, unknown>
  return [
    ...Object.keys(value).filter((key) => !ARCHIVE_KEYS.has(key)).map((key) =>
      `archive: unknown key ${JSON.stringify(key)}`
    ),
    ...(typeof dest === "string" ? [] : ["archive.dest: expected a text"]),
    ...(isList(keyFiles) ? [] : ["archive.keyFiles: expected an array of texts"]),
    ...(isList(trust) ? [] : ["archive.trust: expected an array of texts"])
  ]
}

const archiveFromFile = (path: string, { dest, keyFiles = [], trust = [] }: ArchiveConfig): ArchiveConfig => {
  const absolute = (file: string) => resolve(dirname(path), file)
  return {
    // a letter is a drive, more of them are a scheme
    dest: /^[a-z][a-z0-9+.-]+:/i.test(dest) ? dest : absolute(dest),
    keyFiles: keyFiles.map(absolute),
    trust: trust.map(absolute)
  }
}

/** The file is found from anywhere below, so its paths are relative to itself. */
const fromFile = (path: string, url: string): string => {
  const target = parseStoreUrl(url)
  return target._tag === "Pglite" && target.directory !== undefined
    ? `pglite:${resolve(dirname(path), target.directory)}`
    : url
}

const notLoaded = (path: string, cause: unknown): CliFailure =>
  new CliFailure({
    code: "ES-1708",
    exitCode: 65,
    message: "the configuration file cannot be loaded",
    why: `${path}: ${cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)}`,
    fix: "correct it (Node 24 runs TypeScript without enum and namespace; imports end in .ts), or add --config none",
    details: { path },
    cause
  })
