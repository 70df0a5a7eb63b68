import { describe, expect, it } from "vitest"
import { type ImportedLine, isFault, makeLineReader } from "../../src/cli/EventLine.ts"

const read = (line: unknown, reader = makeLineReader()) =>
  reader.read(typeof line === "string" ? line : JSON.stringify(line), 1)

const taken = (line: unknown, reader = makeLineReader()): ImportedLine => {
  const outcome = read(line, reader)
  if (isFault(outcome)) throw new Error(outcome.detail)
  return outcome
}

const minimal = { stream: "loan-1", type: "LoanOpened", data: {} }

describe("a line of an import", () => {
  it("needs a stream, a type and data", () => {
    expect(taken(minimal)).toMatchObject({
      streamId: "loan-1",
      encoded: { type: "LoanOpened", version: 1, data: "{}" }
    })
    for (const key of Object.keys(minimal)) {
      expect(read({ ...minimal, [key]: undefined })).toMatchObject({ reason: "MissingKey" })
    }
  })

  it("keeps its time in the metadata, as it stood", () => {
    const { event } = taken({ ...minimal, metadata: { actor: "ann" }, time: "2011-09-30T22:38:44.546Z" })
    expect(event.metadata).toStrictEqual({ actor: "ann", time: "2011-09-30T22:38:44.546Z" })
    expect(read({ ...minimal, metadata: { time: "a" }, time: "b" })).toMatchObject({ reason: "InvalidTime" })
  })

  it("gives its tags, or those of its metadata when it has none", () => {
    expect(taken({ ...minimal, tags: ["b:2", "a:1"], metadata: { tags: ["c:3"] } })).toMatchObject({
      encoded: { tags: ["a:1", "b:2"], metadata: "{\"tags\":[\"c:3\"]}" }
    })
    expect(taken({ ...minimal, metadata: { tags: ["c:3"], x: 1 } })).toMatchObject({
      encoded: { tags: ["c:3"], metadata: "{\"x\":1}" }
    })
    expect(taken({ ...minimal, metadata: { tags: "none" } })).toMatchObject({
      encoded: { tags: [], metadata: "{\"tags\":\"none\"}" }
    })
  })

  it("keeps the id and version it names", () => {
    const { encoded } = taken({ ...minimal, id: "{0198C5B6-7C1E-7D0A-8A53-1F0D2C6B9E11}", version: 3 })
    expect(encoded).toMatchObject({ id: "0198c5b6-7c1e-7d0a-8a53-1f0d2c6b9e11", version: 3 })
  })

  it("gets the same id from the same content, however it is spelt, and another from any other", () => {
    const id = (line: unknown, namespace?: string) => taken(line, makeLineReader(namespace)).encoded.id
    const full = { ...minimal, data: { a: 1, b: "x" }, metadata: { m: 1 }, tags: ["t:1"], version: 2, time: "now" }
    const same =
      `{ "type":"LoanOpened", "time":"now", "version":2,"stream":"loan-1","tags":["t:1"],"metadata":{"m":1},` +
      `"data": {"a": 1.0, "b": "\\u0078"} }\r`
    expect(id(same)).toBe(id(full))
    expect(id(full)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const others = [
      { ...full, stream: "loan-2" },
      { ...full, type: "LoanClosed" },
      { ...full, version: 3 },
      { ...full, tags: [] },
      { ...full, time: "later" },
      { ...full, metadata: { m: 2 } },
      { ...full, data: { a: 2, b: "x" } }
    ].map((line) => id(line))
    expect(new Set([id(full), id(full, "other"), ...others]).size).toBe(others.length + 2)
  })

  it("is another event each time it comes again, with the same ids for the same repeats", () => {
    const ids = () => {
      const reader = makeLineReader()
      return Array.from({ length: 4 }, () => taken(minimal, reader).encoded.id)
    }
    expect(new Set(ids()).size).toBe(4)
    expect(ids()).toStrictEqual(ids())
  })

  const deep = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`
  it.each([
    ["row 11: a key that stands twice", "{\"stream\":\"s\",\"type\":\"T\",\"data\":{\"a\":1,\"a\":2}}", "DuplicateKey"],
    [
      "row 11: a key of the line that stands twice",
      "{\"stream\":\"s\",\"type\":\"T\",\"data\":1,\"data\":1}",
      "DuplicateKey"
    ],
    [
      "row 13: an integer beyond 2^53",
      "{\"stream\":\"s\",\"type\":\"T\",\"data\":9007199254740993}",
      "NumberOutOfRange"
    ],
    ["row 14: 2^64", "{\"stream\":\"s\",\"type\":\"T\",\"data\":18446744073709551617}", "NumberOutOfRange"],
    ["row 14: 1e400", "{\"stream\":\"s\",\"type\":\"T\",\"data\":[1e400]}", "NumberOutOfRange"],
    ["row 15: 1e-16384", "{\"stream\":\"s\",\"type\":\"T\",\"data\":1e-16384}", "NumberOutOfRange"],
    ["row 18: NaN", "{\"stream\":\"s\",\"type\":\"T\",\"data\":NaN}", "NotJson"],
    ["row 3: a NUL in a name", { ...minimal, stream: "a\u0000b" }, "InvalidIdentifier"],
    ["row 4: a lone surrogate", "{\"stream\":\"s\",\"type\":\"T\",\"data\":\"\\ud800\"}", "IllFormedUnicode"],
    ["row 5: a swapped pair", "{\"stream\":\"s\",\"type\":\"T\",\"data\":\"\\udc00\\ud800\"}", "IllFormedUnicode"],
    ["row 25: nesting beyond the limit", `{"stream":"s","type":"T","data":${deep(513)}}`, "TooDeep"],
    ["row 25: nesting beyond any stack", `{"stream":"s","type":"T","data":${deep(100_000)}}`, "TooDeep"],
    ["row 30: a byte order mark", `\uFEFF${JSON.stringify(minimal)}`, "ByteOrderMark"],
    ["row 30: a trailing comma", "{\"stream\":\"s\",\"type\":\"T\",\"data\":{},}", "NotJson"],
    ["row 30: a leading zero", "{\"stream\":\"s\",\"type\":\"T\",\"data\":01}", "NotJson"],
    ["row 1: a raw NUL in a string", "{\"stream\":\"s\",\"type\":\"T\",\"data\":\"a\u0000b\"}", "NotJson"],
    ["half a line", "{\"stream\":\"s\",\"type\":", "NotJson"],
    ["row 31: more than 1 MiB of data", { ...minimal, data: "x".repeat(1024 * 1024) }, "EventTooLarge"],
    ["row 39: an id that is no UUID", { ...minimal, id: "42" }, "InvalidIdentifier"],
    ["row 41: no name", { ...minimal, stream: "" }, "InvalidIdentifier"],
    ["row 41: a name of the store's", { ...minimal, stream: "$all" }, "InvalidIdentifier"],
    ["row 42: a name over 512 bytes", { ...minimal, stream: "é".repeat(257) }, "InvalidIdentifier"],
    ["row 44: a type with a line feed", { ...minimal, type: "a\nb" }, "InvalidIdentifier"],
    ["a type that is a number", { ...minimal, type: 5 }, "InvalidIdentifier"],
    [
      "row 60: more values than the limit",
      { ...minimal, data: Array.from({ length: 100_001 }, () => 0) },
      "TooManyValues"
    ],
    ["a version that is no whole number", { ...minimal, version: 1.5 }, "InvalidVersion"],
    ["metadata that is no object", { ...minimal, metadata: [] }, "NotJson"],
    ["tags that are no list", { ...minimal, tags: null }, "InvalidIdentifier"],
    ["a tag that is no string", { ...minimal, tags: [1] }, "InvalidIdentifier"],
    ["a time that is a number", { ...minimal, time: 5 }, "InvalidTime"],
    ["a key that nobody knows", { ...minimal, timestamp: "now" }, "UnknownKey"],
    ["a list", [minimal], "NotJson"],
    ["null", "null", "NotJson"]
  ])("is refused with its reason: %s", (_, line, reason) => {
    expect(read(line)).toMatchObject({ reason })
  })

  it.each([
    ["row 1: an escaped NUL", { ...minimal, data: { "k\u0000": "a\u0000b" } }],
    ["row 7: marks and emoji", { ...minimal, data: "\uFFFF \uFEFF \u202E 👩‍👩‍👧" }],
    [
      "row 9: __proto__",
      "{\"stream\":\"s\",\"type\":\"T\",\"data\":{\"__proto__\":{\"x\":1},\"constructor\":2,\"\":3}}"
    ],
    ["row 17: another scale", "{\"stream\":\"s\",\"type\":\"T\",\"data\":[1.10,1E2,-0]}"],
    ["row 29: a scalar", { ...minimal, data: null }],
    ["row 24: nesting at the limit", `{"stream":"s","type":"T","data":${deep(512)}}`]
  ])("is taken with its value: %s", (_, line) => {
    const text = typeof line === "string" ? line : JSON.stringify(line)
    expect(taken(text).encoded.data).toBe(JSON.stringify(JSON.parse(text).data))
  })

  it("is refused without a word of what stands in it", () => {
    for (const line of ["{\"stream\":\"s\",\"type\":\"T\",\"data\":secret}", { ...minimal, secret: "secret" }]) {
      expect(JSON.stringify(read(line))).not.toContain("secret")
    }
  })
})
