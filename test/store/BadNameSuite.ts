/**
 * Names and ids that look like something else.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { EventStore } from "../../src/store/EventStore.ts"
import { makeRandom } from "../checker/random.ts"
import { appendOne, fateOf } from "./fate.ts"
import {
  append,
  assertInvalid,
  head,
  oneOf,
  proposed,
  proposedMany,
  readAll,
  readStream,
  someStream,
  type StoreTests,
  unique,
  writingNothing
} from "./fixtures.ts"
import { someText } from "./someJson.ts"

export const badNameTests = (it: StoreTests): void => {
  for (const [row, what, name] of badNames) {
    it.effect(`row ${row}: ${what} in a name of a stream, a type or a tag is refused`, () =>
      Effect.gen(function*() {
        const refusal = (effect: ReturnType<typeof append>, path: string) =>
          assertInvalid(writingNothing(effect), "InvalidIdentifier", path)
        yield* refusal(append(name, "any", proposedMany(1)), "streamId")
        yield* refusal(append(someStream(), "any", [proposed(name)]), "events[0].type")
        yield* refusal(append(someStream(), "any", [proposed("A", { tags: ["a", name] })]), "events[0].tags[1]")
        yield* refusal(
          append(someStream(), "any", proposedMany(1), { query: [{ tags: [name] }], after: 0 }),
          "condition.query[0].tags[0]"
        )
        yield* refusal(
          append(someStream(), "any", proposedMany(1), { query: [{ types: [name] }], after: 0 }),
          "condition.query[0].types[0]"
        )
      }))
  }

  it.effect("row 41: names of the store's own are refused as streams, and are types and tags like any other", () =>
    Effect.gen(function*() {
      for (const name of ["$", "$all", "$x", "$ce-order"]) {
        yield* assertInvalid(writingNothing(append(name, "any", proposedMany(1))), "InvalidIdentifier", "streamId")
        const { read } = yield* fateOf(someStream(), proposed(name, { tags: [name] }))
        assert.deepStrictEqual([read!.type, read!.tags], [name, [name]])
      }
    }))

  it.effect("row 44: a type or a name that is no string is refused", () =>
    Effect.gen(function*() {
      for (
        const wrong of [undefined, null, 5, true, ["A"], {}, Symbol("a")] as ReadonlyArray<unknown> as ReadonlyArray<
          never
        >
      ) {
        yield* assertInvalid(
          writingNothing(append(someStream(), "any", [{ type: wrong, data: 1 }])),
          "InvalidIdentifier",
          "events[0].type"
        )
        yield* assertInvalid(writingNothing(append(wrong, "any", proposedMany(1))), "InvalidIdentifier", "streamId")
        yield* assertInvalid(writingNothing(appendOne({ tags: [wrong] })), "InvalidIdentifier", "events[0].tags[0]")
      }
    }))

  it.effect("row 8 and 41: every other name is taken as it is, letter for letter", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const before = yield* head
      const short = goodNames.map((name) => name + unique() + name)
      for (const name of [...short, ...longestNames(unique())]) {
        const event = proposed(name, { tags: [name] })
        const { position } = yield* append(name, "any", [event])
        const [read] = yield* readStream(name, { direction: "backwards", limit: 1 })
        assert.deepStrictEqual([read!.streamId as string, read!.type, read!.tags], [name, name, [name]])
        const found = [
          yield* readAll({ after: before, filter: { streamIds: [name] } }),
          yield* readAll({ after: before, filter: { types: [name] } }),
          yield* readAll({ after: before, filter: { tags: [name] } })
        ]
        for (const events of found) assert.deepStrictEqual(events.map((event) => event.position), [position])
        const listed = yield* store.listStreams({ prefix: name })
        assert.deepStrictEqual(listed.streams.map((stream) => stream.streamId as string), [name])
      }
    }))

  it.effect("row 37: one id twice in an append is refused, in any notation and over streams", () =>
    Effect.gen(function*() {
      const store = yield* EventStore
      const [a, b] = [proposed(), proposed()]
      const upper = { ...b, id: b.id!.toUpperCase() }
      yield* assertInvalid(writingNothing(append(someStream(), "any", [a, b, upper])), "DuplicateId", "events[2].id")
      yield* assertInvalid(
        writingNothing(store.appendAll({
          writes: [
            { streamId: someStream(), expected: "any", events: [a, b] },
            { streamId: someStream(), expected: "any", events: [proposed(), upper] }
          ]
        })),
        "DuplicateId",
        "writes[1].events[1].id"
      )
    }))

  it.effect("row 38: an id used again for something else is refused", () =>
    Effect.gen(function*() {
      const event = proposed("A", { data: { a: 1 } })
      yield* append(someStream(), "any", [event])
      const { reason } = yield* fateOf(someStream(), { ...event, data: { a: 2 } })
      assert.strictEqual(reason, "IdempotencyConflict")
    }))

  it.effect("row 39 and 40: ids that are no UUID are refused; nil, max and every version are UUIDs", () =>
    Effect.gen(function*() {
      for (
        const id of [
          "",
          "1",
          "not-a-uuid",
          7 as never,
          null as never,
          "{}",
          `${crypto.randomUUID()}x`,
          "g".repeat(32),
          {} as never
        ]
      ) {
        yield* assertInvalid(writingNothing(appendOne({ id })), "InvalidIdentifier", "events[0].id")
      }
      const random = crypto.randomUUID()
      for (const id of [random.replace(/^(.{14})4/, "$11"), random.replace(/^(.{14})4/, "$1f")]) {
        assert.strictEqual((yield* fateOf(someStream(), proposed("A", { id }))).read!.id as string, id)
      }
      const found = yield* EventStore.use((store) => store.findEvent("00000000-0000-0000-0000-000000000000"))
      if (found._tag === "None") {
        for (const id of ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"]) {
          assert.strictEqual((yield* fateOf(someStream(), proposed("A", { id }))).read!.id as string, id.toLowerCase())
        }
      }
    }))

  it.effect("random names are refused, or come back equal", () =>
    Effect.gen(function*() {
      const random = makeRandom(5)
      const isWell = (text: string) => text.isWellFormed()
      for (let round = 0; round < 200; round++) {
        const name = someText(random)
        const streamId = `${name}-${unique()}`
        const { read, reason } = yield* fateOf(streamId, proposed(name, { tags: [name, oneOf(random, ["a", "b"])] }))
        if (read === undefined) assert.strictEqual(reason, "InvalidIdentifier")
        else {
          assert.isTrue(isWell(name))
          assert.deepStrictEqual([read.streamId as string, read.type], [streamId, name])
          assert.include(read.tags, name)
        }
      }
    }))
}

/** Names that no stream, type or tag may have, and whether only streams may not. */
const badNames: ReadonlyArray<readonly [number, string, string]> = [
  [3, "NUL", "a\u0000"],
  [4, "a lone high surrogate", "a-\ud800"],
  [6, "a lone low surrogate", "\udfffx"],
  [41, "nothing", ""],
  [
    42,
    "513 bytes of random letters",
    Array.from({ length: 513 }, (_, index) => "abcdefghij"[(index * 7 + index % 13) % 10]).join("")
  ],
  [42, "513 bytes of two-byte characters", `${"é".repeat(256)}x`],
  [42, "516 bytes of four-byte characters", "🦊".repeat(129)],
  [43, "100,000 repeated letters", "a".repeat(100_000)],
  [44, "a newline", "a\nb"],
  [44, "a tabulator", "a\tb"],
  [44, "delete", "a\u007f"],
  [44, "a control of the second block", "a\u0085"],
  [44, "a line separator", "a\u2028"]
]

/** Names that look dangerous and are only names. */
const goodNames = [
  " ",
  "  a  ",
  "a/b",
  "..",
  "../../etc/passwd",
  "%2e%2e",
  "%",
  "_",
  "'; drop table events; --",
  "\"",
  "\\",
  "\\'",
  "🦊",
  "é",
  "e\u0301",
  "NULL",
  "null",
  "undefined",
  "__proto__",
  "constructor",
  "toString",
  "0",
  "-",
  "--",
  "-a",
  "a-",
  "a--b",
  "{a,b}",
  "{}",
  "[1]",
  "a,b",
  "*",
  "any",
  "a${x}",
  "a$",
  "\ufeffa",
  "\u202ea",
  "a\u00a0b",
  "\ue000",
  "İ",
  "ß",
  "ẞ"
]

/** Names of exactly 512 bytes, of which the first 32 are given. */
const longestNames = (start: string): ReadonlyArray<string> => [
  start + "x".repeat(480),
  start + "é".repeat(240),
  start + "€".repeat(160),
  start + "🦊".repeat(120)
]
