/**
 * Data that is not what it seems, and data that no JSON carries.
 */
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { makeRandom } from "../checker/random.ts"
import { kept, ownProto, refused } from "./badData.ts"
import { appendOne, fateOf } from "./fate.ts"
import { append, assertInvalid, proposed, someStream, type StoreTests, writingNothing } from "./fixtures.ts"
import { mutateJson, someJson } from "./someJson.ts"

export const badDataTests = (it: StoreTests): void => {
  for (const [row, what, data] of kept) {
    it.effect(`row ${row}: data that is ${what} comes back equal`, () =>
      Effect.gen(function*() {
        // the value alone is as large, as deep or as wide as can be
        const isLargest = row === 24 || row === 31 || row === 60
        const metadata = { kept: isLargest ? what : data }
        const event = proposed("A", row === 31 ? { data } : { data, metadata })
        const { read } = yield* fateOf(someStream("bad"), event)
        assert.strictEqual(JSON.stringify(read?.data), JSON.stringify(data))
        if (row !== 31) assert.strictEqual(JSON.stringify(read?.metadata), JSON.stringify(metadata))
      }))
  }

  for (const [row, what, make, reason, path] of refused) {
    it.effect(`row ${row}: ${what} is refused as data and as metadata`, () =>
      Effect.gen(function*() {
        const at = (field: string) => path === "" ? undefined : `events[0]${path.replace(".data", field)}`
        yield* assertInvalid(writingNothing(appendOne({ data: make() })), reason, at(".data"))
        // what throws has no place of its own
        const inMetadata = what.includes("throws") || row === 27 ? undefined : at(".metadata.made")
        yield* assertInvalid(writingNothing(appendOne({ metadata: { made: make() } })), reason, inMetadata)
      }))
  }

  it.effect("row 9: a key __proto__ is data, and reaches no prototype", () =>
    Effect.gen(function*() {
      const { read } = yield* fateOf(
        someStream("bad"),
        proposed("A", { data: ownProto(), metadata: ownProto() as never })
      )
      assert.isTrue(Object.hasOwn(read!.data as object, "__proto__"))
      assert.isTrue(Object.hasOwn(read!.metadata, "__proto__"))
      assert.isUndefined(({} as { polluted?: boolean }).polluted)
      assert.isUndefined((read!.data as { polluted?: boolean }).polluted)
    }))

  it.effect("row 16: -0 becomes 0", () =>
    Effect.gen(function*() {
      const { read } = yield* fateOf(someStream("bad"), proposed("A", { data: { a: -0, b: [-0] } }))
      assert.deepStrictEqual(Object.is((read!.data as { a: number }).a, 0), true)
      assert.strictEqual(JSON.stringify(read!.data), "{\"a\":0,\"b\":[0]}")
    }))

  it.effect("row 27: a proxy that answers differently each time is stored as something plain, or refused", () =>
    Effect.gen(function*() {
      let count = 0
      const shifty = new Proxy({}, {
        ownKeys: () => ["a", `b${count++}`],
        getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true, value: 1 }),
        get: () => count++ % 3 === 0 ? undefined : count
      })
      for (let round = 0; round < 20; round++) yield* fateOf(someStream("bad"), proposed("A", { data: { shifty } }))
    }))

  it.effect("row 46: metadata counts in the size of an event", () =>
    assertInvalid(
      writingNothing(appendOne({ data: "x".repeat(512 * 1024), metadata: { note: "x".repeat(512 * 1024) } })),
      "EventTooLarge",
      "events[0]"
    ))

  it.effect("a refusal names the event and the place in it, and never the value", () =>
    Effect.gen(function*() {
      const secret = "very secret"
      const events = [proposed(), proposed("A", { data: { lines: [{ qty: 1 }, { "the note": [secret, NaN] }] } })]
      const error = yield* Effect.flip(append(someStream(), "any", events))
      assert.strictEqual(error._tag === "InvalidInput" && error.path, "events[1].data.lines[1][\"the note\"][1]")
      assert.notInclude(error.message, secret)
    }))

  it.effect("random JSON comes back equal", () =>
    Effect.gen(function*() {
      const random = makeRandom(99)
      for (let round = 0; round < 150; round++) {
        const [data, note] = [someJson(random), someJson(random)]
        const { read } = yield* fateOf(someStream("bad"), proposed("A", { data, metadata: { note } }))
        assert.strictEqual(JSON.stringify(read!.data), JSON.stringify(data))
        assert.strictEqual(JSON.stringify(read!.metadata), JSON.stringify({ note }))
      }
    }))

  it.effect("random values with something in them that is not JSON are refused, or come back equal", () =>
    Effect.gen(function*() {
      const random = makeRandom(1_234)
      let refusals = 0
      for (let round = 0; round < 300; round++) {
        const data = mutateJson(random, someJson(random))
        const { read, reason } = yield* fateOf(someStream("bad"), proposed("A", { data }))
        if (reason !== undefined) refusals++
        else assert.strictEqual(JSON.stringify(read!.data), JSON.stringify(data))
      }
      assert.isAbove(refusals, 100)
    }))

  it.effect.prop(
    "any JSON value that a schema makes comes back equal, or is refused for its lone surrogates",
    { data: Schema.Json },
    ({ data }) =>
      Effect.gen(function*() {
        const { read, reason } = yield* fateOf(someStream("bad"), proposed("A", { data }))
        if (reason === undefined) assert.strictEqual(JSON.stringify(read.data), JSON.stringify(data))
        else assert.strictEqual(reason, "IllFormedUnicode")
      }),
    { arbitrary: { runs: 50, seed: 1 } }
  )
}
