import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { REVISION_MAX } from "../../src/event/Limits.ts"
import {
  checkExpected,
  checkPosition,
  checkRevision,
  isMet,
  Position,
  Revision,
  START
} from "../../src/event/Revision.ts"

describe("isMet", () => {
  it("holds for each claim exactly where its definition says", () => {
    const lasts = [undefined, 0, 1, 2]
    const met = (expected: Parameters<typeof isMet>[0]) => lasts.map((last) => isMet(expected, last))
    assert.deepStrictEqual(met("any"), [true, true, true, true])
    assert.deepStrictEqual(met("noStream"), [true, false, false, false])
    assert.deepStrictEqual(met("streamExists"), [false, true, true, true])
    assert.deepStrictEqual(met(0), [false, true, false, false])
    assert.deepStrictEqual(met(1), [false, false, true, false])
    assert.deepStrictEqual(met(3), [false, false, false, false])
  })
})

describe("checks", () => {
  const wrong = [-1, 0.5, NaN, Infinity, -Infinity, "1", null, undefined, 1n, {}, [1], true]

  it("a revision is a whole number from 0 to the largest integer of PostgreSQL", () => {
    assert.strictEqual(REVISION_MAX, 2 ** 31 - 1)
    for (const revision of [0, 1, REVISION_MAX]) {
      assert.isUndefined(checkRevision(revision, "from"))
      assert.isTrue(Schema.is(Revision)(revision))
    }
    for (const revision of [...wrong, REVISION_MAX + 1]) {
      assert.strictEqual(checkRevision(revision, "from")?.reason, "InvalidRevision", String(revision))
      assert.isFalse(Schema.is(Revision)(revision))
    }
  })

  it("a claim is one of three words or a revision", () => {
    for (const expected of ["any", "noStream", "streamExists", 0, REVISION_MAX]) {
      assert.isUndefined(checkExpected(expected, "expected"))
    }
    for (const expected of [...wrong, "", "Any", "nostream", "0", REVISION_MAX + 1]) {
      const fault = checkExpected(expected, "expected")
      assert.deepStrictEqual([fault?.reason, fault?.path], ["InvalidRevision", "expected"], String(expected))
    }
  })

  it("a position is a safe whole number from 0", () => {
    for (const position of [0, 1, Number.MAX_SAFE_INTEGER]) {
      assert.isUndefined(checkPosition(position, "after"))
      assert.isTrue(Schema.is(Position)(position))
    }
    for (const position of [...wrong, Number.MAX_SAFE_INTEGER + 1]) {
      assert.strictEqual(checkPosition(position, "after")?.reason, "InvalidPosition", String(position))
      assert.isFalse(Schema.is(Position)(position))
    }
    assert.strictEqual(START as number, 0)
  })
})
