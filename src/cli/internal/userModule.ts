/**
 * Modules of a user, and the copies of packages that they find.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type * as Schema from "effect/Schema"
import { createRequire } from "node:module"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { CliFailure } from "../CliFailure.ts"

/**
 * What a module exports, by name.
 *
 * @category models
 * @since 0.1.0
 */
export type Exports = Readonly<Record<string, unknown>>

/**
 * Imports a module, JavaScript or TypeScript.
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
export const importModule = (
  path: string
): Effect.Effect<Exports, CliFailure | PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    // fails for a missing file with the path as it was given
    yield* (yield* FileSystem.FileSystem).stat(path)
    return yield* Effect.tryPromise({
      try: (): Promise<Exports> => import(/* @vite-ignore */ pathToFileURL(resolve(path)).href),
      catch: (cause) => notLoaded(path, cause)
    })
  })

/**
 * Represents a module that cannot be loaded or read.
 *
 * @category errors
 * @since 0.1.0
 */
export const notLoaded = (path: string, cause: unknown): CliFailure =>
  new CliFailure({
    code: "ES-1701",
    exitCode: 65,
    message: "the module cannot be loaded",
    why: `${path}: ${cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)}`,
    fix: `try: node ${path} (Node 24 runs TypeScript without enum and namespace; imports end in .ts)`,
    details: { path },
    cause
  })

/**
 * Whether a value is an array or an object without a class: one that may hold
 * what is searched for.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isPlain = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return Array.isArray(value) || prototype === null || prototype === Object.prototype
}

/**
 * The part of a copy of Effect's `Schema` by which its schemas are known.
 *
 * @category models
 * @since 0.1.0
 */
export type SchemaCopy = Pick<typeof Schema, "String">

/**
 * Whether the nodes of schemas are of this copy of Effect: another one would
 * decode them wrongly without a word.
 *
 * @category predicates
 * @since 0.1.0
 */
export const areMadeWith = ({ String }: SchemaCopy, nodes: ReadonlyArray<object>): boolean => {
  // the class that every node of a schema extends, which Effect does not export
  const nodeClass: object = Object.getPrototypeOf(Object.getPrototypeOf(String.ast))
  return nodes.every((node) => Object.prototype.isPrototypeOf.call(nodeClass, node))
}

/**
 * Where a module at `path` finds another one.
 *
 * @category getters
 * @since 0.1.0
 */
export const locate = (path: string, specifier: string): string => createRequire(path).resolve(specifier)

/**
 * Imports what a module at `path` finds under a name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const loadFrom = async <A>(path: string, specifier: string): Promise<A> =>
  await import(/* @vite-ignore */ pathToFileURL(locate(path, specifier)).href)

/**
 * Represents what was made with a copy of Effect that this library does not find.
 *
 * @category errors
 * @since 0.1.0
 */
export const wrongCopy = (what: string) => (path: string, cause: unknown): CliFailure =>
  new CliFailure({
    code: "ES-1704",
    exitCode: 65,
    message: `the ${what} were made with another copy of effect`,
    why: `${path}: ${cause instanceof Error ? cause.message.split("\n")[0] : String(cause)}`,
    fix: "install effect-event-store and one effect beside the module, and import both by their names",
    cause
  })
