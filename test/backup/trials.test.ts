/**
 * A few faults at random moments, of each kind; `npm run backup-trials` lets many
 * happen.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Server, startServer } from "../support/postgres.ts"
import { runTrial, type Variant } from "./trials/trials.ts"

/** A busy machine; an idle one takes about ten seconds. */
const DEADLINE_MS = 300_000

describe("a backup is whole or not there, a restore is complete or says that it is not", () => {
  let server: Server | undefined

  beforeAll(async () => {
    server = await startServer()
  })

  afterAll(() => server?.stop())

  const soundTrial = (variant: Variant, seed: number) =>
    Effect.gen(function*() {
      if (server === undefined) return assert.fail("no server")
      const trial = yield* runTrial(variant, seed, server, { events: 3_000, faults: 1, store: "postgres" })
      assert.deepStrictEqual(trial.wrong, [], `${variant}, seed ${seed}`)
      assert.isAbove(trial.faults + trial.missed, 0)
    })

  it.live("when whoever makes backups is killed", () => soundTrial("create", 1), DEADLINE_MS)

  it.live("when whoever restores is killed", () => soundTrial("restore", 2), DEADLINE_MS)

  it.live("when whoever moves a store is killed", () => soundTrial("promote", 3), DEADLINE_MS)

  it.live("when whoever copies backups is killed", () => soundTrial("copy", 4), DEADLINE_MS)

  it.live("when whoever prunes backups is killed", () => soundTrial("prune", 5), DEADLINE_MS)

  it.live("when the server ends sessions", () => soundTrial("backend", 6), DEADLINE_MS)

  it.live("when the server is killed", () => soundTrial("server", 7), DEADLINE_MS)
})
