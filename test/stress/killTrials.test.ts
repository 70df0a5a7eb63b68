/**
 * Kills at random moments, a few of them; `npm run kill-trials` does many.
 */
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import { rmSync } from "node:fs"
import { PgMigrations } from "../../src/postgres/index.ts"
import { scopedServer, type Server, startServer } from "../support/postgres.ts"
import { runTrial, type Trial, type Variant } from "./trials.ts"

describe("what was acknowledged is there once and nothing else is, after a kill", () => {
  let server: Server | undefined

  beforeAll(async () => {
    server = await startServer({ durable: true })
  })

  afterAll(() => server?.stop())

  it.live("of processes that write", () => soundTrials("writer", server))

  it.live("of the server's processes", () => soundTrials("backend", server))

  it.live("of the server", () => soundTrials("postmaster", server))

  it.live("of the process that holds an embedded store", () => soundTrials("pglite"))
})

describe("kill trials", () => {
  it.live("find out a server that acknowledges what it has not written yet", () =>
    Effect.gen(function*() {
      const server = yield* scopedServer({ settings: { synchronous_commit: "off", wal_writer_delay: "10s" } })
      yield* makeSchemaForAll(server)
      const trial = yield* runTrial("postmaster", 3, server)
      if (trial.evidence !== undefined) rmSync(trial.evidence, { recursive: true, force: true })
      const broken = trial.verdict?.violations ?? []
      assert.include(broken.map(({ invariant }) => invariant), "A1")
    }).pipe(Effect.scoped))
})

// internal

const SEEDS = [1, 2]

const soundTrials = (variant: Variant, server?: Server): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const seed of SEEDS) {
      const trial: Trial = yield* runTrial(variant, seed, server)
      assert.deepStrictEqual(trial.wrong, [], `${variant}, seed ${seed}, ${trial.evidence}`)
      assert.isAbove(trial.kills, 0)
    }
  })

/** Puts the schema on disk, in the database of which all others are copies. */
const makeSchemaForAll = (server: Server) =>
  Effect.andThen(PgMigrations.apply(), PgClient.PgClient.use((sql) => sql`CHECKPOINT`)).pipe(
    Effect.provide(PgClient.layer({ url: Redacted.make(server.url("template1")), maxConnections: 1 })),
    Effect.provide(Reactivity.layer)
  )
