import { assert, describe, it } from "@effect/vitest"
import { makeCostMeter } from "../../src/snapshot/internal/costs.ts"
import { indexes } from "../store/fixtures.ts"

describe("costs", () => {
  it("what an event adds to a load is told apart from what every load costs", () => {
    const meter = makeCostMeter()
    for (const index of indexes(200)) {
      const events = (index * 37) % 400
      meter.load(events, 3 + events * 0.05 + ((index % 3) - 1) * 0.1, 1)
    }
    assert.closeTo(meter.current().replayMillisPerEvent, 0.05, 0.001)
  })

  it("loads of one length alone say what a load costs an event", () => {
    const meter = makeCostMeter()
    for (let step = 0; step < 50; step++) meter.load(10, 2, 1)
    assert.closeTo(meter.current().replayMillisPerEvent, 0.2, 1e-9)
  })

  it("a cost is never negative, and never more than the mean", () => {
    const meter = makeCostMeter()
    for (const index of indexes(50)) meter.load(index + 1, 100 - index, 1)
    assert.strictEqual(meter.current().replayMillisPerEvent, 0)
  })

  it("what is long ago is forgotten", () => {
    const meter = makeCostMeter()
    for (const index of indexes(500)) meter.load(index % 100, (index % 100) * 5, 0)
    for (const index of indexes(500)) meter.load(index % 100, (index % 100) * 0.01, 0)
    assert.closeTo(meter.current().replayMillisPerEvent, 0.01, 0.002)
    for (let step = 0; step < 5; step++) meter.save(1_000)
    for (let step = 0; step < 60; step++) meter.save(2)
    assert.closeTo(meter.current().saveMillis, 2, 0.1)
  })

  it("the loads that had to replay are counted against the events that were appended", () => {
    const meter = makeCostMeter()
    assert.deepStrictEqual(meter.current(), { replayMillisPerEvent: 0.02, saveMillis: 3, loadsPerEvent: 1 })
    for (const index of indexes(5_000)) {
      if (index % 10 === 0) meter.miss()
      meter.load(0, 0, 2)
    }
    assert.closeTo(meter.current().loadsPerEvent, 0.05, 0.005)
  })
})
