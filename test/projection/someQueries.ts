/**
 * States of every kind of JSON, and queries of them.
 */
import type { Schema } from "effect"
import { ProjectionQuery } from "../../src/projection/index.ts"
import type { Random } from "../checker/random.ts"
import { indexes } from "../store/fixtures.ts"

const { KEY } = ProjectionQuery

/** One of each kind that a field may have, by key. */
export const KINDS: Readonly<Record<string, Schema.Json>> = {
  absent: {},
  null: { v: null },
  false: { v: false },
  true: { v: true },
  minus: { v: -1 },
  zero: { v: 0 },
  tenth: { v: 0.1 },
  nine: { v: 9 },
  ten: { v: 10 },
  large: { v: 1e21 },
  empty: { v: "" },
  "text 10": { v: "10" },
  "text 9": { v: "9" },
  "text Z": { v: "Z" },
  "text a": { v: "a" },
  "text é": { v: "é" },
  "text U+FF5E": { v: "～" },
  "text U+1F600": { v: "\u{1f600}" },
  "text quote": { v: "'; DROP TABLE x; --" },
  "text percent": { v: "100%" },
  "text nul": { v: "a\0b\\u0000" },
  "text lone": { v: "\ud83d!" },
  array: { v: [1, 2] },
  object: { v: { w: 1 } }
}

export const ALL = Object.keys(KINDS)

/** Which kinds pass each condition on `v`. */
export const CASES: ReadonlyArray<readonly [condition: object, keys: ReadonlyArray<string>]> = [
  [{ eq: 10 }, ["ten"]],
  [{ eq: 0.1 }, ["tenth"]],
  [{ eq: 1e21 }, ["large"]],
  [{ eq: "10" }, ["text 10"]],
  [{ eq: "\u{1f600}" }, ["text U+1F600"]],
  [{ eq: "'; DROP TABLE x; --" }, ["text quote"]],
  [{ eq: true }, ["true"]],
  [{ ne: 10 }, ALL.filter((key) => key !== "ten")],
  [{ lt: 9 }, ["minus", "zero", "tenth"]],
  [{ lte: 9, gt: -1 }, ["zero", "tenth", "nine"]],
  [{ gte: 9 }, ["nine", "ten", "large"]],
  [
    { gt: "9" },
    ALL.filter((key) => key.startsWith("text ") && !["text 9", "text 10", "text quote", "text percent"].includes(key))
  ],
  [{ gt: "～" }, ["text U+1F600", "text lone"]],
  [{ lt: "1" }, ["empty", "text quote"]],
  [{ in: [] }, []],
  [{ in: [9, "9", true] }, ["nine", "text 9", "true"]],
  [{ isNull: true }, ["absent", "null"]],
  [{ isNull: false }, ALL.filter((key) => key !== "absent" && key !== "null")],
  [{ prefix: "1" }, ["text 10", "text percent"]],
  [{ prefix: "" }, ALL.filter((key) => key.startsWith("text ") || key === "empty")],
  [{ like: "_" }, ["text 9", "text Z", "text a", "text é", "text U+FF5E", "text U+1F600"]],
  [{ like: "%\\%" }, ["text percent"]],
  [{ like: "%;%--" }, ["text quote"]],
  [{ eq: "a\ufffdb\\u0000" }, ["text nul"]],
  [{ eq: "\ufffd!" }, ["text lone"]]
]

const TEXTS = ["", "a", "ab", "A", "é", "\u{1f600}", "～", "10", "9", "%", "_", "\\", "a\0", "\ud83dx", "'"]

const someScalar = (random: Random): string | number | boolean =>
  random.pick([
    random.pick(TEXTS)!,
    random.pick([0, -1, 1, 0.1, 1.5, 10, 9, 1e21, 5e-324, -1e300])!,
    random.chance(0.5)
  ])!

export const someDocument = (random: Random): Schema.Json =>
  random.pick<() => Schema.Json>([
    () => ({ a: someScalar(random), b: someScalar(random) }),
    () => ({ a: null, b: [someScalar(random), { c: someScalar(random) }] }),
    () => ({ b: { c: someScalar(random) } }),
    () => someScalar(random),
    () => [someScalar(random), someScalar(random)]
  ])!()

export const someKey = (random: Random, index: number): string =>
  `${random.pick(["k", "é", "～", "\u{1f600}", "K"])}${index}`

const PATHS = [["a"], ["b"], ["b", "c"], ["b", 0], ["b", 1, "c"], [0], [], ["b", "-1"]] as const

const someField = (random: Random) =>
  random.int(6) === 0 ? KEY : random.pick<string | ReadonlyArray<string | number>>(PATHS)!

/** Values of filters are well-formed, and have no U+0000. */
const someValue = (random: Random) => {
  const value = someScalar(random)
  return typeof value === "string" ? value.toWellFormed().replaceAll("\0", "") : value
}

const someText = (random: Random) => random.pick(["", "a", "é", "%", "_", "\\\\", "a%", "%b", "\u{1f600}", "_%", "1"])

export const someWhere = (random: Random, depth: number): object => {
  const kind = random.int(depth === 0 ? 6 : 9)
  const field = someField(random)
  const value = someValue(random)
  switch (kind) {
    case 0:
      return { field, eq: value }
    case 1:
      return { field, ne: value }
    case 2:
    case 3:
      return typeof value === "boolean"
        ? { field, isNull: value }
        : { field, [random.pick(["lt", "lte", "gt", "gte"])!]: value }
    case 4:
      return { field, in: [value, someValue(random)] }
    case 5:
      return { field, [random.pick(["like", "prefix"])!]: someText(random) }
    case 6:
      return { not: someWhere(random, depth - 1) }
    default:
      return { [kind === 7 ? "and" : "or"]: indexes(random.int(3)).map(() => someWhere(random, depth - 1)) }
  }
}

export const someSort = (random: Random) =>
  indexes(random.int(4)).map(() => ({ field: someField(random), descending: random.chance(0.5) }))
