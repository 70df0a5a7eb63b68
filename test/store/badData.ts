/**
 * Data that has broken stores, by the rows of the catalogue of bad inputs.
 */
import { DateTime } from "effect"
import { indexes } from "./fixtures.ts"

const nested = (depth: number): unknown => {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? { a: value } : [value]
  return value
}

const cyclic = (): unknown => {
  const value: Record<string, unknown> = { a: { b: [1] } }
  value["self"] = { deep: [value] }
  return value
}

export const ownProto = (): unknown => JSON.parse("{\"__proto__\": {\"polluted\": true}, \"a\": {\"__proto__\": 1}}")

class Money {
  readonly cents = 1
}

/** Rows whose value comes back equal. */
export const kept: ReadonlyArray<readonly [number, string, unknown]> = [
  [1, "NUL in a string", { a: "x\u0000y", b: "\u0000" }],
  [2, "NUL in a key", { "a\u0000b": 1, "\u0000": 2 }],
  [7, "U+FFFF, a byte order mark, right-to-left marks, joined emoji", [
    "\uffff\ufffe\ufeff",
    "\u202e\u200f",
    "👩‍👩‍👧‍👦",
    "\u2028\u2029\u0085"
  ]],
  [7, "all of Latin-1 and all controls", Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))],
  [7, "what escapes look like", ["\\u0000", "\\", "\"", "\\\"", "\\n", "\b\f\n\r\t\v", "</script>", "\\ud800"]],
  [9, "the key __proto__", ownProto()],
  [10, "keys that every object has", {
    constructor: 1,
    toString: 2,
    hasOwnProperty: 3,
    "": 4,
    valueOf: null,
    length: 5
  }],
  [12, "keys out of order, and keys that look like numbers", { bb: 1, a: 2, 10: 1, 9: 2, "-1": 3, "01": 4 }],
  [13, "whole numbers up to the safe ones", [9_007_199_254_740_991, -9_007_199_254_740_991, 2 ** 31, 2 ** 32]],
  [14, "the largest and the smallest numbers", [
    Number.MAX_VALUE,
    -Number.MAX_VALUE,
    Number.MIN_VALUE,
    1e21,
    1e-7,
    2 ** 64
  ]],
  [15, "numbers beyond what a numeric column keeps", [1e308, 1e-308, 5e-324, 0.1 + 0.2, 1 / 3]],
  [17, "decimals as strings", { price: "1.10", zero: "-0.0" }],
  [24, "512 levels of nesting", nested(512)],
  [29, "null", null],
  [29, "true", true],
  [29, "zero", 0],
  [29, "a string", "just text"],
  [29, "an empty string", ""],
  [29, "an empty object", {}],
  [29, "an empty array", []],
  [29, "an object without a prototype", Object.assign(Object.create(null), { a: 1 })],
  [31, "1 MiB less the quotes", "x".repeat(1024 * 1024 - 2)],
  [31, "1 MiB of three-byte characters", `${"€".repeat(349_524)}xx`],
  [60, "99,999 values in an array", Array.from({ length: 99_999 }, (_, index) => index % 7)]
]

/** Rows that are refused, why and where. */
export const refused: ReadonlyArray<readonly [number, string, () => unknown, string, string]> = [
  [4, "a lone high surrogate", () => ({ a: ["\ud800"] }), "IllFormedUnicode", ".data.a[0]"],
  [5, "a lone low surrogate", () => ({ a: { b: "x\udc00" } }), "IllFormedUnicode", ".data.a.b"],
  [5, "a swapped pair", () => "\udc00\ud800", "IllFormedUnicode", ".data"],
  [6, "a lone surrogate in a key", () => ({ a: { "\ud800": 1 } }), "IllFormedUnicode", ".data.a[\"\\ud800\"]"],
  [18, "NaN", () => ({ a: NaN }), "NumberOutOfRange", ".data.a"],
  [18, "Infinity", () => [1, Infinity], "NumberOutOfRange", ".data[1]"],
  [18, "-Infinity", () => -Infinity, "NumberOutOfRange", ".data"],
  [19, "undefined", () => undefined, "NotJson", ".data"],
  [19, "undefined in an object", () => ({ a: undefined }), "NotJson", ".data.a"],
  [19, "undefined in an array", () => [1, undefined], "NotJson", ".data[1]"],
  [19, "a hole in an array", () => new Array(2), "NotJson", ".data[0]"],
  [19, "a function", () => ({ a: () => 1 }), "NotJson", ".data.a"],
  [19, "a symbol", () => [Symbol("a")], "NotJson", ".data[0]"],
  [20, "a bigint", () => ({ a: 1n }), "NotJson", ".data.a"],
  [21, "a date", () => ({ at: new Date(0) }), "NotJson", ".data.at"],
  [21, "an invalid date", () => new Date(NaN), "NotJson", ".data"],
  [22, "a map", () => new Map([[1, 2]]), "NotJson", ".data"],
  [22, "a set", () => ({ a: new Set([1]) }), "NotJson", ".data.a"],
  [22, "bytes", () => ({ a: new Uint8Array(2) }), "NotJson", ".data.a"],
  [22, "a buffer", () => Buffer.from("a"), "NotJson", ".data"],
  [22, "an instance of a class", () => new Money(), "NotJson", ".data"],
  [22, "an Effect DateTime", () => ({ at: DateTime.makeUnsafe(0) }), "NotJson", ".data.at"],
  [22, "a boxed string", () => new String("a"), "NotJson", ".data"],
  [22, "a regular expression", () => /a/, "NotJson", ".data"],
  [22, "an error", () => new Error("a"), "NotJson", ".data"],
  [22, "a promise", () => Promise.resolve(1), "NotJson", ".data"],
  [23, "a value that contains itself", cyclic, "CyclicPayload", ".data.self.deep[0]"],
  [24, "513 levels of nesting", () => nested(513), "TooDeep", ""],
  [24, "5,000 levels of nesting", () => nested(5_000), "TooDeep", ""],
  [25, "100,000 levels of nesting", () => nested(100_000), "TooDeep", ""],
  [
    26,
    "a getter that throws",
    () =>
      Object.defineProperty({}, "a", {
        enumerable: true,
        get: () => {
          throw new Error("no")
        }
      }),
    "NotJson",
    ".data"
  ],
  [
    26,
    "toJSON that throws",
    () => ({
      a: {
        toJSON: () => {
          throw new Error("no")
        }
      }
    }),
    "NotJson",
    ".data.a"
  ],
  [28, "toJSON that answers something else", () => ({ toJSON: () => 42 }), "NotJson", ".data"],
  [
    28,
    "a hidden toJSON that answers something else",
    () => Object.defineProperty({ a: 1 }, "toJSON", { value: () => 42 }),
    "NotJson",
    ""
  ],
  [
    28,
    "a hidden toJSON that answers nothing",
    () => Object.defineProperty({ a: 1 }, "toJSON", { value: () => undefined }),
    "NotJson",
    ""
  ],
  [28, "an array with toJSON", () => Object.assign([1], { toJSON: () => 42 }), "NotJson", ".data"],
  [
    27,
    "a revoked proxy",
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      return proxy
    },
    "NotJson",
    ".data"
  ],
  [
    27,
    "a proxy that throws",
    () =>
      new Proxy({}, {
        ownKeys: () => {
          throw new Error("no")
        }
      }),
    "NotJson",
    ".data"
  ],
  [31, "one byte more than 1 MiB", () => "x".repeat(1024 * 1024 - 1), "EventTooLarge", ""],
  [31, "16 MiB", () => "x".repeat(16 * 1024 * 1024), "EventTooLarge", ""],
  [31, "characters that only their escapes make too large", () => "\u0000".repeat(200_000), "EventTooLarge", ""],
  [60, "an array that makes 100,001 values", () => Array.from({ length: 100_000 }, () => 0), "TooManyValues", ""],
  [
    60,
    "100,001 keys of numbers",
    () => Object.fromEntries(indexes(100_001).map((index) => [index, 0])),
    "TooManyValues",
    ""
  ],
  [60, "100,001 values in an array", () => Array.from({ length: 100_001 }, () => 0), "TooManyValues", ".data"],
  [
    60,
    "100,001 keys of objects",
    () => Object.fromEntries(indexes(100_001).map((index) => [index, {}])),
    "TooManyValues",
    ""
  ],
  [
    60,
    "arrays that hold 100,001 values together",
    () => indexes(400).map(() => indexes(300).map(() => [])),
    "TooManyValues",
    ""
  ]
]
