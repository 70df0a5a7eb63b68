import { assert, describe, it } from "@effect/vitest"
import { addEvents, EMPTY_DIGEST } from "../../src/store/EventDigest.ts"
import { indexes } from "../store/fixtures.ts"

const events = indexes(200).map((index) => ({ position: index + 1, id: crypto.randomUUID() as string }))

/** Ids that count up, as somebody may make them. */
const numbered = indexes(200).map((index) => ({
  position: index + 1,
  id: `00000000-0000-0000-0000-${(index + 1).toString(16).padStart(12, "0")}`
}))

describe("EventDigest", () => {
  it("does not depend on the order of events, nor on how they were grouped", () => {
    const whole = addEvents(EMPTY_DIGEST, events)
    assert.strictEqual(whole.count, 200)
    assert.match(whole.digest, /^[0-9a-f]{16}$/)
    assert.deepStrictEqual(addEvents(EMPTY_DIGEST, events.toReversed()), whole)
    assert.deepStrictEqual(events.reduce((digest, event) => addEvents(digest, [event]), EMPTY_DIGEST), whole)
    assert.deepStrictEqual(addEvents(whole, []), whole)
  })

  it("changes with any event that is left out, doubled, moved or taken for another", () => {
    for (const list of [events, numbered]) {
      const seen = new Set([addEvents(EMPTY_DIGEST, list).digest])
      const distinct = (changed: typeof list) => {
        const { digest } = addEvents(EMPTY_DIGEST, changed)
        assert.isFalse(seen.has(digest))
        seen.add(digest)
      }
      for (const index of indexes(200)) {
        const event = list[index]!
        distinct(list.toSpliced(index, 1))
        distinct([...list, event])
        distinct(list.with(index, { ...event, position: event.position + 1_000 }))
        distinct(list.with(index, { ...event, id: `${event.id.slice(0, -1)}${event.id.endsWith("f") ? "0" : "f"}` }))
      }
      // one left out and another doubled, and neighbours whose sums are the same
      for (const index of indexes(199)) distinct(list.toSpliced(index, 1, list[index + 1]!))
      for (const index of indexes(197)) {
        const [, b, c] = list.slice(index, index + 4)
        distinct(list.toSpliced(index, 4, b!, b!, c!, c!))
      }
    }
  })

  it("is exact for positions and ids at the end of their range", () => {
    const last = { position: Number.MAX_SAFE_INTEGER, id: "ffffffff-ffff-ffff-ffff-ffffffffffff" }
    assert.deepStrictEqual(addEvents(EMPTY_DIGEST, [last]), { count: 1, digest: expected(last) })
    for (const event of events) assert.strictEqual(addEvents(EMPTY_DIGEST, [event]).digest, expected(event))
  })
})

/** The same, written down once more with big integers. */
const expected = ({ id, position }: { readonly position: number; readonly id: string }): string => {
  const digits = id.replaceAll("-", "")
  const words = [BigInt(position), ...indexes(4).map((index) => BigInt(`0x${digits.slice(index * 8, index * 8 + 8)}`))]
  const prime = 2_147_483_647n
  return ([[1_597_334_677n, 374_761_393n], [1_103_515_245n, 668_265_263n]] as const).map(([radix, offset]) => {
    const h = words.reduce((sum, word) => (sum * radix + word) % prime)
    const number = h % prime
    return ((number * number % prime) * ((number + offset) % prime) % prime).toString(16).padStart(8, "0")
  }).join("")
}
