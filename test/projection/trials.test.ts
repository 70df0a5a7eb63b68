/**
 * A few trials, of the faults that `kills.test.ts` does not have; `npm run
 * projection-trials` does many, of all.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Server, startServer } from "../support/postgres.ts"
import { runTrial, type Variant } from "./trials/trials.ts"

/** A busy machine; an idle one takes about ten seconds. */
const DEADLINE_MS = 180_000

describe("every model is the fold of the log up to its checkpoint", () => {
  let server: Server | undefined

  beforeAll(async () => {
    server = await startServer()
  })

  afterAll(() => server?.stop())

  const soundTrial = (variant: Variant, seed: number) =>
    Effect.gen(function*() {
      if (server === undefined) return assert.fail("no server")
      const trial = yield* runTrial(variant, seed, server)
      assert.deepStrictEqual(trial.wrong, [], `${variant}, seed ${seed}`)
      assert.isAbove(trial.looks, 0)
    })

  it.live("when processes that lead are killed", () => soundTrial("kill", 1), DEADLINE_MS)

  it.live("when processes are killed at any statement", () => soundTrial("statement", 2), DEADLINE_MS)

  it.live("when answers to COMMIT are lost", () => soundTrial("commit", 5), DEADLINE_MS)

  it.live("when an event that nobody can apply is parked and replayed", () => soundTrial("park", 8), DEADLINE_MS)

  it.live("when runs are ended anywhere among events that nobody knows", () => soundTrial("unknown", 12), DEADLINE_MS)
})
