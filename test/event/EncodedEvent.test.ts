import { assert, describe, it } from "@effect/vitest"
import {
  checkJson,
  type EncodedEvent,
  encodeEvents,
  makeBatchTally,
  normalizeEventId
} from "../../src/event/EncodedEvent.ts"
import type { ProposedEvent } from "../../src/event/Event.ts"
import { InvalidInput } from "../../src/event/InvalidInput.ts"

const encode = (...events: ReadonlyArray<ProposedEvent>): ReadonlyArray<EncodedEvent> => {
  const encoded = encodeEvents(events, "events", makeBatchTally())
  if (encoded instanceof InvalidInput) throw encoded
  return encoded
}

const faultOf = (events: ReadonlyArray<ProposedEvent>, tally = makeBatchTally()) => {
  const encoded = encodeEvents(events, "events", tally)
  assert.instanceOf(encoded, InvalidInput)
  return encoded instanceof InvalidInput ? [encoded.reason, encoded.path] : []
}

const event = { type: "A", data: null }

/** Nested values, of `depth` arrays. */
const nested = (depth: number): unknown => depth === 0 ? 1 : [nested(depth - 1)]

describe("encodeEvents", () => {
  it("writes the JSON once, as it is stored", () => {
    const id = "0b9a8c7d-1e2f-4a3b-8c4d-5e6f70819203"
    assert.deepStrictEqual(
      encode({
        id,
        type: "A",
        version: 3,
        data: { b: "é", a: [1.50, -0] },
        metadata: { user: 1 },
        tags: ["b", "a", "b"]
      }),
      [{
        id: id as never,
        type: "A",
        version: 3,
        data: "{\"b\":\"é\",\"a\":[1.5,0]}",
        metadata: "{\"user\":1}",
        tags: ["a", "b"],
        sizeBytes: 32
      }]
    )
  })

  it("gives each event without an id a UUIDv7 of its own, in ascending order", () => {
    const ids = encode(...Array.from({ length: 100 }, () => event)).map(({ id }) => id)
    assert.deepStrictEqual(ids, ids.toSorted())
    assert.strictEqual(new Set(ids).size, 100)
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  it("stores no empty metadata, and leaves out ids that are undefined", () => {
    const metadataOf = (metadata: ProposedEvent["metadata"]) => encode({ ...event, metadata })[0]!.metadata
    assert.isUndefined(metadataOf(undefined))
    assert.isUndefined(metadataOf({}))
    assert.isUndefined(metadataOf({ correlationId: undefined, causationId: undefined }))
    assert.strictEqual(
      metadataOf({ correlationId: undefined, causationId: "c", a: 1 }),
      "{\"causationId\":\"c\",\"a\":1}"
    )
  })

  it("takes versions from 1 to 32,767", () => {
    assert.deepStrictEqual(encode({ ...event, version: 1 }, { ...event, version: 32_767 }).map((e) => e.version), [
      1,
      32_767
    ])
    for (const version of [0, 32_768, 1.5, NaN]) {
      assert.deepStrictEqual(faultOf([event, { ...event, version }]), ["InvalidVersion", "events[1].version"])
    }
  })

  it("takes 64 tags of an event, and not one more", () => {
    const tags = Array.from({ length: 65 }, (_, index) => `t${index}`)
    assert.strictEqual(encode({ ...event, tags: tags.slice(1) })[0]!.tags.length, 64)
    assert.deepStrictEqual(faultOf([{ ...event, tags }]), ["InvalidIdentifier", "events[0].tags"])
  })

  it("takes 1 MiB of data and metadata together, in bytes of UTF-8, and not one more", () => {
    const size = 1024 * 1024
    assert.strictEqual(encode({ ...event, data: "x".repeat(size - 2) })[0]!.sizeBytes, size)
    assert.strictEqual(encode({ ...event, data: `${"é".repeat(size / 2 - 1)}` })[0]!.sizeBytes, size)
    assert.deepStrictEqual(faultOf([{ ...event, data: "x".repeat(size - 1) }]), ["EventTooLarge", "events[0]"])
    const metadata = { a: "x".repeat(100) }
    assert.strictEqual(encode({ ...event, data: "x".repeat(size - 2 - 108), metadata })[0]!.sizeBytes, size)
    assert.deepStrictEqual(faultOf([{ ...event, data: "x".repeat(size - 1 - 108), metadata }]), [
      "EventTooLarge",
      "events[0]"
    ])
  })

  it("takes 10,000 events over all writes of one append, and not one more", () => {
    const tally = makeBatchTally()
    const many = (count: number) => Array.from({ length: count }, () => event)
    assert.isArray(encodeEvents(many(4_000), "writes[0].events", tally))
    assert.isArray(encodeEvents(many(6_000), "writes[1].events", tally))
    assert.deepStrictEqual(faultOf([event], tally), ["BatchTooLarge", "events"])
    assert.deepStrictEqual(faultOf(many(10_001)), ["BatchTooLarge", "events"])
  })

  it("takes 16 MiB over all writes of one append, and not one more", () => {
    const tally = makeBatchTally()
    const large = Array.from({ length: 8 }, () => ({ ...event, data: "x".repeat(1024 * 1024 - 2) }))
    assert.isArray(encodeEvents(large, "writes[0].events", tally))
    assert.isArray(encodeEvents(large, "writes[1].events", tally))
    assert.strictEqual(tally.sizeBytes, 16 * 1024 * 1024)
    assert.deepStrictEqual(faultOf([{ ...event, data: 1 }], tally), ["BatchTooLarge", "events[0]"])
  })

  it("refuses an id that stands twice, in the same write or in another", () => {
    const id = crypto.randomUUID()
    const tally = makeBatchTally()
    assert.deepStrictEqual(faultOf([{ ...event, id }, event, { ...event, id: `{${id.toUpperCase()}}` }]), [
      "DuplicateId",
      "events[2].id"
    ])
    assert.isArray(encodeEvents([{ ...event, id }], "writes[0].events", tally))
    assert.deepStrictEqual(faultOf([{ ...event, id }], tally), ["DuplicateId", "events[0].id"])
  })

  it("leads to the value that is wrong, and cuts a path that is too long", () => {
    const path = (data: unknown) => faultOf([{ ...event, data }])[1]
    assert.strictEqual(path({ a: [{ "b c": NaN }] }), "events[0].data.a[0][\"b c\"]")
    assert.strictEqual(path({ $_: { a1: undefined } }), "events[0].data.$_.a1")
    assert.strictEqual(path({ ["k".repeat(500)]: NaN })!.length, 201)
  })
})

describe("checkJson", () => {
  it("takes 512 levels, and not one more", () => {
    assert.isUndefined(checkJson(nested(512), "metadata"))
    assert.deepInclude(checkJson(nested(513), "metadata"), { reason: "TooDeep" })
  })

  it("takes 100,000 values, and not one more", () => {
    const zeros = (count: number) => Array.from({ length: count }, () => 0)
    assert.isUndefined(checkJson(zeros(99_999), "metadata"))
    assert.deepInclude(checkJson(zeros(100_000), "metadata"), { reason: "TooManyValues" })
    const keys = (count: number) => Object.fromEntries(zeros(count).map((zero, index) => [`k${index}`, zero]))
    assert.isUndefined(checkJson(keys(99_999), "metadata"))
    assert.deepInclude(checkJson(keys(100_000), "metadata"), { reason: "TooManyValues" })
  })

  it("takes a value that stands twice side by side, and refuses one that contains itself", () => {
    const shared = { a: 1 }
    assert.isUndefined(checkJson({ left: shared, right: [shared, shared] }, "metadata"))
    const own: Array<unknown> = []
    own.push([own])
    assert.deepInclude(checkJson(own, "metadata"), { reason: "CyclicPayload", path: "metadata[0][0]" })
  })
})

describe("normalizeEventId", () => {
  it("puts every notation of a UUID into lower case with dashes", () => {
    const id = "0b9a8c7d-1e2f-4a3b-8c4d-5e6f70819203"
    const bare = id.replaceAll("-", "")
    for (const text of [id, id.toUpperCase(), `{${id}}`, `urn:uuid:${id}`, `URN:UUID:${id.toUpperCase()}`, bare]) {
      assert.strictEqual(normalizeEventId(text) as string, id, text)
    }
  })

  it("gives undefined for what is no UUID", () => {
    const wrong = [
      "",
      "a",
      "0b9a8c7d-1e2f-4a3b-8c4d-5e6f7081920",
      "0b9a8c7d-1e2f-4a3b-8c4d-5e6f708192033",
      "g".repeat(32),
      5,
      null,
      {}
    ]
    for (const id of wrong) assert.isUndefined(normalizeEventId(id), String(id))
  })
})
