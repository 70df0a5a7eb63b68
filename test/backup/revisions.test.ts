import { assert, describe, it } from "@effect/vitest"
import { makeRevisionCheck } from "../../src/backup/internal/revisions.ts"

const checkOf = (check: ReturnType<typeof makeRevisionCheck>) => (stream: string, revision: number) => {
  const name = Buffer.from(`..${stream}.`)
  return check.check(name, 2, name.length - 1, revision)
}

describe("makeRevisionCheck", () => {
  it("finds a gap, a repeat and a late start among many streams", () => {
    const all = makeRevisionCheck(true)
    const check = checkOf(all)
    for (let revision = 0; revision < 4; revision++) {
      for (let stream = 0; stream < 20_000; stream++) {
        assert.isUndefined(check(`order-${stream}`, revision))
      }
    }
    assert.strictEqual(all.share(), 1)
    assert.include(check("order-77", 5), "revision is 5")
    assert.include(check("order-78", 3), "revision is 3")
    assert.include(check("order-new", 1), "has revision 1")
    assert.isUndefined(checkOf(makeRevisionCheck(false))("order-new", 1))
  })

  it("looks at a part of the streams when there are more than fit, and says so", () => {
    const some = makeRevisionCheck(true, { streamsMax: 1_000 })
    const check = checkOf(some)
    for (let revision = 0; revision < 3; revision++) {
      for (let stream = 0; stream < 10_000; stream++) assert.isUndefined(check(`order-${stream}`, revision))
    }
    assert.isBelow(some.share(), 0.2)
    assert.isAbove(some.share(), 0.01)
    let found = 0
    for (let stream = 0; stream < 10_000; stream++) if (check(`order-${stream}`, 9) !== undefined) found++
    assert.isAbove(found, 10_000 * some.share() * 0.7)
    assert.isBelow(found, 10_000 * some.share() * 1.3)
    const long = makeRevisionCheck(true, { namesBytesMax: 10_000 })
    for (let stream = 0; stream < 1_000; stream++) checkOf(long)(`order-${"x".repeat(200)}-${stream}`, 0)
    assert.isBelow(long.share(), 0.1)
  })
})
