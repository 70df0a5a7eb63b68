/**
 * Random values, the same in every run: JSON of any shape, text of any
 * characters, and values that are JSON but for one part.
 */
import type { Random } from "../checker/random.ts"
import { oneOf } from "./fixtures.ts"

/** Any JSON value, not too deep. */
export const someJson = (random: Random, depth = 0): unknown => {
  const kind = random.int(depth < 6 ? 100 : 45)
  if (kind < 20) return someWellFormed(random)
  if (kind < 40) return someNumber(random)
  if (kind < 45) return oneOf(random, [true, false, null])
  const parts = Array.from({ length: random.int(5) }, () => someJson(random, depth + 1))
  return kind < 70 ? parts : Object.fromEntries(parts.map((part) => [someKey(random), part]))
}

/** Text of any code units, ill-formed too, controls too. */
export const someText = (random: Random): string =>
  Array.from({ length: random.int(12) }, () => String.fromCodePoint(someCodePoint(random))).join("")

/** The value with one part replaced by, or wrapped around, what JSON does not know. */
export const mutateJson = (random: Random, value: unknown): unknown => {
  if (Array.isArray(value) && value.length > 0 && random.chance(0.7)) {
    const at = random.int(value.length)
    return value.with(at, mutateJson(random, value[at]))
  }
  if (typeof value === "object" && value !== null && Object.keys(value).length > 0 && random.chance(0.7)) {
    const key = oneOf(random, Object.keys(value))
    return { ...value, [key]: mutateJson(random, (value as Readonly<Record<string, unknown>>)[key]) }
  }
  return oneOf(random, mutations)(value)
}

// internal

const mutations: ReadonlyArray<(value: unknown) => unknown> = [
  () => undefined,
  () => NaN,
  () => -Infinity,
  () => -0,
  () => 10n,
  () => Symbol("a"),
  () => () => 1,
  () => "\ud800",
  () => "a\udc00b",
  () => "\u0000",
  () => new Date(0),
  () => new Map([[1, 2]]),
  () => new Uint8Array(3),
  () => new Array(3),
  () => ({ toJSON: () => 1 }),
  () => ({ toJSON: 1 }),
  () => ({ "\udfff": 1 }),
  () => Object.create({ inherited: 1 }) as unknown,
  () => Object.create(null) as unknown,
  () => JSON.parse("{\"__proto__\":{\"a\":1}}") as unknown,
  () => Number("1e400"),
  (value) => [value, [value]],
  (value) => ({ "": value }),
  (value) => {
    const self: Array<unknown> = [value]
    self.push({ self })
    return self
  },
  (value) =>
    new Proxy([value], {
      get: () => {
        throw new Error("no")
      }
    })
]

/** First and last code point of what is drawn from: letters, controls, surrogates, and all the rest. */
const BLOCKS: ReadonlyArray<readonly [number, number]> = [
  [0x20, 0x7e],
  [0x20, 0x7e],
  [0x20, 0x7e],
  [0xa0, 0x2fff],
  [0x3000, 0xd7ff],
  [0xe000, 0xffff],
  [0x1_0000, 0x10_ffff],
  [0x1_f300, 0x1_faff],
  [0x00, 0xa0],
  [0xd800, 0xdfff]
]

const someCodePoint = (random: Random): number => {
  const [first, last] = oneOf(random, BLOCKS)
  return first + random.int(last - first + 1)
}

const someWellFormed = (random: Random): string => someText(random).toWellFormed()

const someKey = (random: Random): string =>
  random.chance(0.2) ? oneOf(random, ["__proto__", "constructor", "", "0", "toString", "a b"]) : someWellFormed(random)

const someNumber = (random: Random): number => {
  const whole = random.int(2 ** 53) * oneOf(random, [1, -1])
  return oneOf(random, [whole % 1_000, whole, whole / 2 ** 53, whole * 10 ** (random.int(600) - 315)]) + 0
}
