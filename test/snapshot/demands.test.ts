import { assert, describe, it } from "@effect/vitest"
import { demandsOf } from "../../src/snapshot/internal/demands.ts"
import * as SnapshotStrategy from "../../src/snapshot/SnapshotStrategy.ts"

const { adaptive, and, every, everyEvents, loadSlowerThan, never, not, or, sizeOver } = SnapshotStrategy

describe("demandsOf", () => {
  it("names the age of the last snapshot and the costs where a strategy, at any depth, looks at them", () => {
    const cases: ReadonlyArray<readonly [SnapshotStrategy.SnapshotStrategy, time: boolean, costs: boolean]> = [
      [never, false, false],
      [everyEvents(1), false, false],
      [sizeOver(1), false, false],
      [loadSlowerThan(1), false, false],
      [every(1), true, false],
      [adaptive(), false, true],
      [not(every(1)), true, false],
      [and(everyEvents(1), or(never, not(adaptive()))), false, true],
      [or(and(never, every(1)), adaptive()), true, true],
      [and(never, loadSlowerThan(1)), false, false]
    ]
    for (const [strategy, time, costs] of cases) {
      assert.deepStrictEqual(demandsOf(strategy), { time, costs }, SnapshotStrategy.describe(strategy))
    }
  })
})
