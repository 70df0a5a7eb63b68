import { assert, describe, it } from "@effect/vitest"
import * as SnapshotStrategy from "../../src/snapshot/SnapshotStrategy.ts"

const {
  adaptive,
  adaptiveInterval,
  and,
  describe: inWords,
  every,
  everyEvents,
  explain,
  faults,
  isDue,
  loadSlowerThan,
  never,
  not,
  or,
  sizeOver
} = SnapshotStrategy

const observation = (
  rest: Partial<SnapshotStrategy.Observation> = {}
): SnapshotStrategy.Observation => ({
  eventsSince: 50,
  sinceMillis: 60_000,
  stateBytes: 1_000,
  loadMillis: 20,
  costs: { replayMillisPerEvent: 0.02, saveMillis: 4, loadsPerEvent: 1 },
  ...rest
})

describe("SnapshotStrategy", () => {
  it("each strategy is due at its threshold, and not before", () => {
    for (
      const [strategy, due, early] of [
        [everyEvents(50), {}, { eventsSince: 49 }],
        [sizeOver(999), {}, { stateBytes: 999 }],
        [every("1 minute"), {}, { sinceMillis: 59_999 }],
        [every("1 minute"), { sinceMillis: undefined }, { sinceMillis: 0 }],
        [loadSlowerThan("19 millis"), {}, { loadMillis: 19 }],
        [adaptive(), {}, { eventsSince: 19 }],
        [and(everyEvents(50), every("1 minute")), {}, { sinceMillis: 1 }],
        [or(everyEvents(60), every("1 minute")), {}, { sinceMillis: 1 }],
        [not(sizeOver(2_000)), {}, { stateBytes: 2_001 }]
      ] as const
    ) {
      assert.isTrue(isDue(strategy, observation(due)), inWords(strategy))
      assert.isFalse(isDue(strategy, observation(early)), inWords(strategy))
    }
    assert.isFalse(isDue(never, observation()))
  })

  it("nothing is due when the last snapshot holds everything", () => {
    for (const strategy of [everyEvents(1), sizeOver(0), every(0), not(never), adaptive()]) {
      assert.isFalse(isDue(strategy, observation({ eventsSince: 0 })))
      assert.isFalse(isDue(strategy, observation({ eventsSince: -3, sinceMillis: undefined })))
    }
    assert.strictEqual(explain(not(never), observation({ eventsSince: 0 })), "wait: the last snapshot holds everything")
  })

  it("adaptive finds the interval at which replay and snapshots together cost the least", () => {
    const bounds = { minEvents: 1, maxEvents: 1_000_000 }
    for (const replayMillisPerEvent of [0.001, 0.02, 0.5]) {
      for (const saveMillis of [0.5, 4, 100]) {
        for (const loadsPerEvent of [0.05, 1, 20]) {
          const best = adaptiveInterval(bounds, { replayMillisPerEvent, saveMillis, loadsPerEvent })
          const cost = (events: number) => saveMillis / events + (loadsPerEvent * replayMillisPerEvent * events) / 2
          for (const other of [best - 1, best + 1, best * 2, best / 2]) {
            if (other >= 1) assert.isAtMost(cost(best), cost(other) * 1.000_001)
          }
        }
      }
    }
  })

  it("adaptive takes snapshots more often of what is read more often, within its bounds", () => {
    const costs = { replayMillisPerEvent: 0.02, saveMillis: 4, loadsPerEvent: 1 }
    const interval = (loadsPerEvent: number) =>
      adaptiveInterval({ minEvents: 10, maxEvents: 10_000 }, { ...costs, loadsPerEvent })
    assert.deepStrictEqual([0, 0.000_001, 0.01, 1, 4, 1_000].map(interval), [10_000, 10_000, 200, 20, 10, 10])
    assert.strictEqual(
      adaptiveInterval({ minEvents: 10, maxEvents: 500 }, { replayMillisPerEvent: 0, saveMillis: 0, loadsPerEvent: 0 }),
      500
    )
  })

  it("every strategy says in words what it is", () => {
    assert.strictEqual(
      inWords(or(
        and(everyEvents(100), not(sizeOver(5_000_000))),
        every("2 hours"),
        loadSlowerThan("25 millis"),
        adaptive({ maxEvents: 500 }),
        never
      )),
      "((every 100 events and not when the state is over 5000000 bytes) or every 120 min or when a load takes over 25 ms" +
        " or as often as costs the least, between every 10 and every 500 events or never)"
    )
  })

  it("every strategy says in words what it decides, and why", () => {
    const said = (strategy: SnapshotStrategy.SnapshotStrategy, rest: Partial<SnapshotStrategy.Observation> = {}) =>
      explain(strategy, observation(rest))
    assert.strictEqual(said(never), "wait: snapshots are switched off")
    assert.strictEqual(said(everyEvents(40)), "take: 50 of 40 events since the last one")
    assert.strictEqual(said(sizeOver(4_096)), "wait: the state has 1000 bytes, the threshold is 4096")
    assert.strictEqual(said(every("90 seconds")), "wait: the last one is 60 s old, due after 90 s")
    assert.strictEqual(said(every("1 hour"), { sinceMillis: undefined }), "take: there is none yet")
    assert.strictEqual(said(loadSlowerThan("5 millis")), "take: the load took 20 ms, the threshold is 5 ms")
    assert.strictEqual(
      said(adaptive()),
      "take: an event costs 0.02 ms to replay, a snapshot 4 ms to take, and there are 1 loads for each event: " +
        "best every 20 events, 50 since the last one"
    )
    assert.strictEqual(
      said(and(everyEvents(40), not(sizeOver(10)))),
      "wait: [yes: 50 of 40 events since the last one] and " +
        "[no: not [yes: the state has 1000 bytes, the threshold is 10]]"
    )
  })

  it("a strategy is a plain value", () => {
    const strategy = or(everyEvents(5), and(every("1 second"), adaptive()))
    assert.deepStrictEqual(JSON.parse(JSON.stringify(strategy)), strategy)
  })

  it("every fault of a strategy is named", () => {
    assert.deepStrictEqual(faults(or(everyEvents(1), and(every("1 second"), not(sizeOver(0)), never, adaptive()))), [])
    assert.deepStrictEqual(
      faults(
        or(
          everyEvents(0),
          everyEvents(1.5),
          and(),
          not(sizeOver(-1)),
          every("Infinity"),
          loadSlowerThan("Infinity"),
          adaptive({ minEvents: 9, maxEvents: 8 })
        )
      ).map((fault) => fault.replace(/:.*/, "")),
      ["everyEvents", "everyEvents", "and", "sizeOver", "every", "loadSlowerThan", "adaptive"]
    )
  })
})
