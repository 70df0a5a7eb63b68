import { assert, describe, it } from "@effect/vitest"
import { generate } from "./generator.ts"
import type { History } from "./history.ts"
import { check } from "./historyChecker.ts"
import { type Mutator, mutators } from "./mutators.ts"
import { makeRandom, type Random } from "./random.ts"

describe("history checker", () => {
  it("accuses none of 1,000 histories of a correct store", () => {
    for (let seed = 0; seed < 1_000; seed++) {
      const history = generate(makeRandom(seed), 60 + (seed % 5) * 40)
      assert.deepStrictEqual(check(history).map(({ invariant, message }) => ({ seed, invariant, message })), [])
    }
  })

  it("a seed gives the same history every time", () => {
    assert.deepStrictEqual(facts(generate(makeRandom(7), 200)), facts(generate(makeRandom(7), 200)))
  })

  it("the correct histories contain what makes checking hard", () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 100; seed++) {
      for (const fact of remarkable(generate(makeRandom(seed), 200))) seen.add(fact)
    }
    assert.deepStrictEqual([...seen].sort(), [
      "a failure",
      "a read that missed what came during it",
      "a redelivery after a restart",
      "a retry answered with the original place",
      "a reused id that failed",
      "a torn call without an answer",
      "an append to several streams",
      "an unknown append that was not recorded",
      "an unknown append that was recorded",
      "an unknown append that was recorded after it had returned"
    ])
  })

  it("there are at least 20 mutators, each with a name of its own", () => {
    const all = mutators()
    assert.isAtLeast(all.length, 20)
    assert.deepStrictEqual(all.map(([name]) => name), all.map(([, , mutate]) => mutate.name))
    assert.strictEqual(new Set(all.map(([name]) => name)).size, all.length)
  })

  for (const [name, breaks, mutate] of mutators()) {
    it(`finds ${breaks} broken by ${name}, in 50 of 50 histories`, () => {
      for (let seed = 0; seed < 50; seed++) {
        const broken = mutant(mutate, seed)
        assert.include(check(broken).map(({ invariant }) => invariant), breaks, `seed ${seed}`)
      }
    })
  }

  it("checks 20,000 appends with 60,000 deliveries", () => {
    const history = large(20_000)
    assert.deepStrictEqual(check(history), [])
    assert.deepStrictEqual(
      check({ ...history, log: history.log.slice(0, -1) }).map(({ invariant }) => invariant),
      ["A1", "G6", "G6", "G6"]
    )
  })
})

// internal

/** How many histories may have no place for a mutation before that is a fault of the generator. */
const MAX_TRIES = 40

const mutant = (mutate: Mutator, seed: number): History => {
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const random: Random = makeRandom(seed * 1_000 + attempt)
    const broken = mutate(generate(random, 150), random)
    if (broken !== undefined) return broken
  }
  throw new Error(`no history has a place for ${mutate.name}`)
}

const facts = ({ followings, ...rest }: History) => ({
  ...rest,
  followings: followings.map((following) => ({ ...following, matches: undefined }))
})

const remarkable = ({ appends, followings, log, reads }: History): ReadonlyArray<string> => {
  const found: Array<string> = []
  const rows = new Map(log.map((row) => [row.id, row]))
  const okTimes = new Map<string, number>()
  for (const { events, outcome, returnedNs } of appends) {
    const isRecorded = events.every(({ id }) => rows.has(id))
    if (outcome === "fail") {
      found.push(events.some(({ digest }) => digest === "other") ? "a reused id that failed" : "a failure")
    }
    if (new Set(events.map(({ stream }) => stream)).size > 1) found.push("an append to several streams")
    if (outcome === "ok") { for (const { id } of events) okTimes.set(id, (okTimes.get(id) ?? 0) + 1) }
    if (outcome !== "unknown") continue
    found.push(isRecorded ? "an unknown append that was recorded" : "an unknown append that was not recorded")
    if (returnedNs === undefined) found.push("a torn call without an answer")
    const later = appends.find((other) =>
      other.outcome === "ok" && other.invokedNs > (returnedNs ?? 0n) &&
      (other.events[0]?.position ?? 0) < (rows.get(events[0]?.id ?? "")?.position ?? 0)
    )
    const isSentOnce = appends.filter((other) => other.events[0]?.id === events[0]?.id).length === 1
    if (later !== undefined && isSentOnce && returnedNs !== undefined) {
      found.push("an unknown append that was recorded after it had returned")
    }
  }
  const isRetried = appends.some(({ events, outcome }) =>
    outcome === "ok" && appends.some((other) => other.outcome === "unknown" && other.events[0]?.id === events[0]?.id)
  )
  if (isRetried) found.push("a retry answered with the original place")
  const redelivered = followings.some((life) =>
    followings.some((next) =>
      next.subscription === life.subscription && next.incarnation > life.incarnation &&
      next.after < (life.deliveries.at(-1)?.position ?? 0)
    )
  )
  if (redelivered) found.push("a redelivery after a restart")
  const missed = reads.some(({ from, ids, invokedNs, isToEnd, returnedNs, stream }) =>
    isToEnd &&
    appends.some((append) =>
      append.outcome === "ok" && append.returnedNs !== undefined && append.returnedNs > invokedNs &&
      append.returnedNs < returnedNs &&
      append.events.some((event) => event.stream === stream && (event.revision ?? 0) >= from + ids.length)
    )
  )
  if (missed) found.push("a read that missed what came during it")
  return found
}

const large = (count: number): History => {
  const log = Array.from({ length: count }, (_, i) => ({
    id: `e${i}`,
    stream: `s-${i % 1_000}`,
    digest: "d",
    revision: Math.floor(i / 1_000),
    position: i + 1,
    tags: []
  }))
  const deliveries = log.map(({ id, position }) => ({ id, position, atNs: BigInt(position * 10 + 5) }))
  return {
    log,
    appends: log.map(({ digest, id, position, revision, stream }) => ({
      process: "p",
      invokedNs: BigInt(position * 10),
      returnedNs: BigInt(position * 10 + 8),
      outcome: "ok",
      events: [{ id, stream, digest, revision, position }],
      claims: [{ stream, expected: revision === 0 ? "noStream" : revision - 1 }]
    })),
    reads: [],
    followings: [0, 1, 2].map((subscription) => ({
      subscription: `s${subscription}`,
      incarnation: 0,
      after: 0,
      matches: () => true,
      deliveries
    }))
  }
}
