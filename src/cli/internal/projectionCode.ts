/**
 * The projections and reactors whose code is at hand: those of the configuration
 * file and of modules, and the built-in ones.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import { resolve } from "node:path"
import type { Follower } from "../../projection/Reactor.ts"
import type { CheckpointStore } from "../../store/CheckpointStore.ts"
import type { EventStore } from "../../store/EventStore.ts"
import { CliFailure, usage } from "../CliFailure.ts"
import type { Settings } from "../Settings.ts"
import { findProjectionLibrary, ownLibrary, type ProjectionLibrary } from "./projectionLibrary.ts"
import { importModule, isPlain } from "./userModule.ts"

/**
 * Everything that is at hand.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProjectionCode {
  /** Those of the user; one a name and version. */
  readonly followers: ReadonlyArray<Follower<unknown>>
  readonly builtIns: ReadonlyArray<Follower<unknown>>
  readonly library: ProjectionLibrary
  /** What custom projections and reactors need. */
  readonly services: Layer.Layer<unknown, unknown, CheckpointStore | EventStore> | undefined
}

/**
 * Loads what the configuration file and modules export.
 *
 * @category constructors
 * @since 0.1.0
 */
export const loadProjectionCode = (
  settings: Settings,
  modules: ReadonlyArray<string>
): Effect.Effect<ProjectionCode, CliFailure | PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const found: Array<Follower<unknown>> = []
    let services: ProjectionCode["services"]
    if (settings.config !== undefined) {
      const { loadConfigFile } = yield* Effect.promise(() => import("./configFile.ts"))
      const config = yield* loadConfigFile(settings.config)
      // the compiler has checked it where the file is TypeScript
      services = config.services as ProjectionCode["services"]
      for (const [key, value] of [["projections", config.projections], ["reactors", config.reactors]] as const) {
        found.push(...(yield* followersOf(settings.config, key, value)))
      }
    }
    for (const path of modules) {
      const inModule = findFollowers(yield* importModule(path))
      if (inModule.length === 0) return yield* withoutFollowers(path)
      found.push(...inModule)
    }
    const followers = [...new Set(found)]
    const twice = followers.find((follower, index) => followers.findIndex((other) => isSame(follower, other)) < index)
    if (twice !== undefined) return yield* ambiguous(twice)
    const path = modules.length > 0 ? modules[0] : settings.config
    const library = path === undefined
      ? yield* ownLibrary
      : yield* findProjectionLibrary(followers, resolve(path))
    const builtIns = library.BuiltIn.all.filter((builtIn) => followers.every((other) => !isSame(builtIn, other)))
    return { followers, builtIns, library, services }
  })

/**
 * Chooses the follower of a name: the newest version, unless one is asked for.
 *
 * @category getters
 * @since 0.1.0
 */
export const findFollower = (
  { builtIns, followers }: ProjectionCode,
  name: string,
  version: number | undefined
): Follower<unknown> | undefined =>
  [...builtIns, ...followers]
    .filter((follower) => follower.name === name && (version === undefined || follower.version === version))
    .reduce<Follower<unknown> | undefined>(
      (newest, each) => newest === undefined || each.version >= newest.version ? each : newest,
      undefined
    )

// internal

/** How deep arrays and objects are searched: `export const projections = { sales: [revenue] }`. */
const DEPTH_MAX = 3

const isSame = (one: Follower<unknown>, other: Follower<unknown>): boolean =>
  one.name === other.name && one.version === other.version

const isFollower = (value: unknown): value is Follower<unknown> =>
  Predicate.hasProperty(value, "_tag") && (value._tag === "Projection" || value._tag === "Reactor") &&
  Predicate.hasProperty(value, "name") && typeof value.name === "string" &&
  Predicate.hasProperty(value, "version") && typeof value.version === "number" &&
  Predicate.hasProperty(value, "definition") && Predicate.hasProperty(value, "target") &&
  Predicate.hasProperty(value, "filter")

const followersOf = (path: string, key: string, value: unknown) => {
  const values: ReadonlyArray<unknown> = Array.isArray(value) ? value : []
  const wrong = values.findIndex((each) => !isFollower(each))
  return wrong < 0
    ? Effect.succeed(values.filter(isFollower))
    : Effect.fail(
      new CliFailure({
        code: "ES-1709",
        exitCode: 65,
        message: "the configuration cannot be taken",
        why: `${path}: ${key}[${wrong}] is neither a projection nor a reactor`,
        fix: "list what Projection.state, Projection.table, Projection.custom or Reactor.make returned"
      })
    )
}

const findFollowers = (exports: Readonly<Record<string, unknown>>): ReadonlyArray<Follower<unknown>> => {
  const found = new Set<Follower<unknown>>()
  const collect = (value: unknown, depth: number): void => {
    if (isFollower(value)) found.add(value)
    else if (isPlain(value) && depth < DEPTH_MAX) {
      for (const inner of Object.values(value)) {
        collect(inner, depth + 1)
      }
    }
  }
  for (const value of Object.values(exports)) collect(value, 0)
  return [...found]
}

const withoutFollowers = (path: string): CliFailure =>
  new CliFailure({
    code: "ES-1710",
    exitCode: 65,
    message: "the module exports no projection",
    why: `${path} exports neither a projection nor a reactor`,
    fix:
      "export what Projection.state, Projection.table, Projection.custom or Reactor.make returned, or arrays of them",
    details: { path }
  })

const ambiguous = ({ name, version }: Follower<unknown>): CliFailure =>
  usage(
    "two projections have one name and version",
    `${name}, version ${version}, is defined twice`,
    "rename one, or leave out --module or the configuration (--config none)"
  )
