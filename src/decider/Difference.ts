/**
 * What differs between two values, in places and words.
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import { format as formatValue } from "effect/Formatter"

/**
 * One place where two values differ.
 *
 * @category models
 * @since 0.1.0
 */
export type Change =
  | { readonly kind: "added"; readonly path: string; readonly after: unknown }
  | { readonly kind: "removed"; readonly path: string; readonly before: unknown }
  | { readonly kind: "changed"; readonly path: string; readonly before: unknown; readonly after: unknown }

/**
 * Finds the places where two values differ, in the order of their keys; none
 * when they are equal.
 *
 * **Details**
 *
 * Looks into arrays, plain objects and maps; everything else is compared as a
 * whole. A path is like `lines[0].qty`, and empty for the values themselves.
 *
 * @category constructors
 * @since 0.1.0
 */
export const between = (before: unknown, after: unknown): ReadonlyArray<Change> => {
  const changes: Array<Change> = []
  compare(before, after, "", 0, changes)
  return changes
}

/**
 * Puts changes into lines: `+ path: after`, `- path: before`, and
 * `~ path: before -> after`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (changes: ReadonlyArray<Change>): string =>
  changes.map((change) => {
    const path = change.path === "" ? "(the value)" : change.path
    switch (change.kind) {
      case "added":
        return `+ ${path}: ${formatValue(change.after)}`
      case "removed":
        return `- ${path}: ${formatValue(change.before)}`
      case "changed":
        return `~ ${path}: ${formatValue(change.before)} -> ${formatValue(change.after)}`
    }
  }).join("\n")

// internal

/** Deepest place that is looked into; deeper values are compared as wholes. */
const DEPTH_MAX = 100

const compare = (before: unknown, after: unknown, path: string, depth: number, changes: Array<Change>): void => {
  if (Object.is(before, after)) return
  const old = membersOf(before)
  const young = membersOf(after)
  if (old === undefined || young === undefined || old.kind !== young.kind || depth >= DEPTH_MAX) {
    if (!Equal.equals(before, after)) changes.push({ kind: "changed", path, before, after })
    return
  }
  for (const [key, value] of old.members) {
    const at = step(path, key, old.kind)
    if (young.members.has(key)) compare(value, young.members.get(key), at, depth + 1, changes)
    else changes.push({ kind: "removed", path: at, before: value })
  }
  for (const [key, value] of young.members) {
    if (!old.members.has(key)) changes.push({ kind: "added", path: step(path, key, young.kind), after: value })
  }
}

interface Members {
  readonly kind: "array" | "map" | "object"
  readonly members: ReadonlyMap<unknown, unknown>
}

const membersOf = (value: unknown): Members | undefined => {
  if (Array.isArray(value)) return { kind: "array", members: new Map(value.entries()) }
  if (value instanceof Map) return { kind: "map", members: value }
  if (typeof value !== "object" || value === null) return undefined
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
    ? { kind: "object", members: new Map(Object.entries(value)) }
    : undefined
}

const step = (path: string, key: unknown, kind: Members["kind"]): string => {
  if (kind === "object" && typeof key === "string" && /^[A-Za-z_$][\w$]*$/.test(key)) {
    return path === "" ? key : `${path}.${key}`
  }
  return `${path}[${kind === "array" ? String(key) : formatValue(key)}]`
}
