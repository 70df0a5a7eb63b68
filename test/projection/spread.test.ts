/**
 * Processes that share the work: slices and projections spread over them, and
 * move when one dies.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { PgCheckpointStore } from "../../src/postgres/index.ts"
import { ProjectionControl, ProjectionState } from "../../src/projection/index.ts"
import { layerPostgres } from "../../src/runtime/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { openSql } from "../postgres/fixtures.ts"
import { head } from "../store/fixtures.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { appendSales, assertSales } from "./sales.ts"
import { SLICES, spreadProjections } from "./spreadProjections.ts"

const CATEGORY = "sale"
const TABLE = "sales"
const { all, counters, divided, physical } = spreadProjections(CATEGORY, TABLE)
const UNITS = SLICES + counters.length

/** A process of its own; the scope kills it. */
const startProcess = (url: string, owner: string): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const path = fileURLToPath(new URL("./programs/spread.ts", import.meta.url))
      const child = spawn(process.execPath, [path, url, CATEGORY, TABLE, owner], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      let isStarted = false
      createInterface({ input: child.stdout }).on("line", () => {
        isStarted = true
      })
      yield* waitFor(Effect.sync(() => isStarted), (is) => is)
      return child
    }),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )

/** How many slices and projections each process has. */
const shares = Effect.map(CheckpointStore.use((store) => store.list), (records) => {
  const found = new Map<string, number>()
  for (const { owner } of records) if (owner !== undefined) found.set(owner, (found.get(owner) ?? 0) + 1)
  return found
})

/** Waits until these have all of the work, each its fair share. */
const spreadOver = (owners: ReadonlyArray<string>) =>
  waitFor(shares, (found) => {
    const counts = owners.map((owner) => found.get(owner) ?? 0)
    return counts.reduce((sum, count) => sum + count, 0) === UNITS &&
      counts.every((count) => count <= Math.ceil(UNITS / owners.length))
  })

const assertAll = Effect.gen(function*() {
  const end = yield* head
  for (const projection of all) yield* ProjectionControl.awaitPosition(projection, end, "20 seconds")
  yield* assertSales(CATEGORY, divided, physical)
  const { log } = Option.getOrThrow(yield* ProjectionControl.verify(divided))
  for (const counter of counters) {
    assert.deepStrictEqual(yield* ProjectionState.get(counter), Option.some(log.count))
  }
})

for (const server of servers) {
  describe(`processes that share projections (${server.label})`, () => {
    it.live("work spreads over processes as they come, and moves when they die, without a skip or a repeat", () =>
      Effect.gen(function*() {
        const url = yield* makeDatabase(server.admin)
        const layer = Layer.provideMerge(PgCheckpointStore.layer, layerPostgres({ url }))
        const context = yield* Layer.build(Layer.fresh(layer))
        const sql = yield* openSql(url)
        yield* Effect.gen(function*() {
          yield* appendSales(CATEGORY, 30)
          const first = yield* startProcess(url, "first")
          yield* spreadOver(["first"])
          const writer = yield* Effect.forkChild(appendSales(CATEGORY, 150))
          const second = yield* startProcess(url, "second")
          yield* spreadOver(["first", "second"])
          yield* startProcess(url, "third")
          yield* spreadOver(["first", "second", "third"])
          first.kill("SIGKILL")
          yield* spreadOver(["second", "third"])
          // one that stands still for too long loses its share, and comes back as one among others
          second.kill("SIGSTOP")
          yield* spreadOver(["third"])
          second.kill("SIGCONT")
          yield* spreadOver(["second", "third"])
          yield* Fiber.join(writer)
          yield* assertAll
          second.kill("SIGKILL")
          yield* appendSales(CATEGORY, 20)
          yield* assertAll
        }).pipe(
          Effect.provideService(EventStore, Context.get(context, EventStore)),
          Effect.provideService(CheckpointStore, Context.get(context, CheckpointStore)),
          Effect.provideService(PgClient.PgClient, sql)
        )
      }))
  })
}
