/**
 * A user's module that exports event types and deciders.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import { resolve } from "node:path"
import type * as EventType from "../event/EventType.ts"
import type { Options, PassedThrough, Registry } from "../version/Registry.ts"
import { CliFailure } from "./CliFailure.ts"
import { findUserLibrary, type UserLibrary } from "./internal/userLibrary.ts"
import { importModule, isPlain, notLoaded } from "./internal/userModule.ts"

/**
 * What a module exports that a command can use.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventModule {
  /** The path as it was given. */
  readonly path: string
  /** Every event type once, in the order of the names of the exports. */
  readonly types: ReadonlyArray<EventType.Any>
  readonly deciders: ReadonlyArray<ExportedDecider>
  /** What works on the types. */
  readonly library: UserLibrary
}

/**
 * A decider, and the name that it is exported by.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExportedDecider {
  readonly name: string
  readonly decider: AnyDecider
}

/**
 * The parts of a decider that need no command.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyDecider {
  readonly events: ReadonlyArray<EventType.Any>
  readonly initial: unknown
  readonly evolve: (state: unknown, event: EventType.TypedEvent) => unknown
  readonly state: { readonly schema: EventType.Any["schema"]; readonly version: number } | undefined
}

/**
 * Imports a module, JavaScript or TypeScript, and finds its event types: those
 * that it exports, in arrays and objects too, and those of the registries and
 * deciders that it exports.
 *
 * **Details**
 *
 * TypeScript is run by Node itself, which leaves the types out: no `enum`, no
 * `namespace`, and imports end in `.ts`. The module runs with the rights of the
 * command.
 *
 * @category constructors
 * @since 0.1.0
 */
export const loadEventModule = (
  path: string
): Effect.Effect<EventModule, CliFailure | PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const exports = yield* importModule(path)
    const found = yield* Effect.try({ try: () => findIn(exports), catch: (cause) => notLoaded(path, cause) })
    const types = [...found.types]
    if (types.length === 0) return yield* withoutTypes(path, Object.keys(exports))
    return { path, types, deciders: found.deciders, library: yield* findUserLibrary(types, resolve(path)) }
  })

/**
 * Makes the registry of a module's event types.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeRegistry = (
  { library, path, types }: EventModule,
  options: Options
): Effect.Effect<Registry<EventType.TypedEvent, PassedThrough>, CliFailure> => {
  const registry = library.VersionRegistry.makeResult(types, options)
  // not by a function of Result: this one may come from another copy of it
  return registry._tag === "Success"
    ? Effect.succeed(registry.success)
    : Effect.fail(
      new CliFailure({
        code: "ES-1703",
        exitCode: 65,
        message: "the event types cannot read every version of each other",
        why: `${path}: ${registry.failure.problems.map(({ detail, type }) => `${type}: ${detail}`).join("; ")}`,
        fix: "complete the history of these types",
        details: { problems: registry.failure.problems }
      })
    )
}

// internal

/** How deep arrays and objects are searched: `export const events = { account: [Opened] }`. */
const DEPTH_MAX = 3

interface Found {
  readonly types: Set<EventType.Any>
  readonly deciders: Array<ExportedDecider>
}

const findIn = (exports: Readonly<Record<string, unknown>>): Found => {
  const found: Found = { types: new Set(), deciders: [] }
  for (const [name, value] of Object.entries(exports)) collect(found, name, value, 0)
  return found
}

const collect = (found: Found, name: string, value: unknown, depth: number): void => {
  if (isEventType(value)) found.types.add(value)
  else if (isDecider(value)) {
    for (const type of value.events) found.types.add(type)
    if (found.deciders.every(({ decider }) => decider !== value)) found.deciders.push({ name, decider: value })
  } else if (isRegistry(value)) {
    for (const type of value.types) found.types.add(type)
  } else if (isPlain(value) && depth < DEPTH_MAX) {
    for (const [key, inner] of Object.entries(value)) {
      collect(found, Array.isArray(value) ? name : key, inner, depth + 1)
    }
  }
}

const isEventType = (value: unknown): value is EventType.Any =>
  has(value, "name", "string") && has(value, "version", "number") && has(value, "make", "function") &&
  Predicate.hasProperty(value, "schema") && Predicate.hasProperty(value.schema, "ast") &&
  Predicate.hasProperty(value, "history") && Array.isArray(value.history) &&
  Predicate.hasProperty(value, "steps") && Array.isArray(value.steps)

const areEventTypes = (value: unknown): value is ReadonlyArray<EventType.Any> =>
  Array.isArray(value) && value.every(isEventType)

const isDecider = (value: unknown): value is AnyDecider =>
  has(value, "evolve", "function") && has(value, "decide", "function") && Predicate.hasProperty(value, "initial") &&
  Predicate.hasProperty(value, "events") && areEventTypes(value.events)

const isRegistry = (value: unknown): value is Pick<Registry<never>, "types"> =>
  has(value, "fingerprint", "string") && has(value, "decode", "function") && Predicate.hasProperty(value, "types") &&
  areEventTypes(value.types)

const has = (value: unknown, name: string, type: "string" | "number" | "function"): boolean =>
  Predicate.hasProperty(value, name) && typeof value[name] === type

const withoutTypes = (path: string, names: ReadonlyArray<string>): CliFailure =>
  new CliFailure({
    code: "ES-1702",
    exitCode: 65,
    message: "the module exports no event types",
    why: names.length === 0 ? `${path} exports nothing` : `${path} exports ${names.slice(0, 20).join(", ")}`,
    fix: "export what EventType.make or EventType.history(…).make returned, an array of them, a registry or a decider",
    details: { path, exports: names }
  })
