/**
 * Whoever rebuilds dies, or loses his connections, anywhere: what is live is the
 * fold of the log at every moment, and the next rebuild goes on.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { PgCheckpointStore } from "../../src/postgres/index.ts"
import { ProjectionControl, ProjectionRebuild, ProjectionRunner } from "../../src/projection/index.ts"
import { layerPostgres } from "../../src/runtime/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { openSql, scalar } from "../postgres/fixtures.ts"
import { head, indexes } from "../store/fixtures.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { appendSales, assertSales, salesByCountry } from "./sales.ts"

const CATEGORY = "sale"
const { projection, table } = salesByCountry({ category: CATEGORY, name: "sales", table: "sales" })
const VIEW = `public.${table}`

/** The services of a process on a database. */
const openServices = (url: string, applicationName: string) =>
  Effect.gen(function*() {
    const layer = Layer.provideMerge(PgCheckpointStore.layer, layerPostgres({ url, applicationName }))
    const context = yield* Layer.build(Layer.fresh(layer))
    const sql = yield* openSql(url)
    return {
      sql,
      inside: <A, E>(effect: Effect.Effect<A, E, EventStore | CheckpointStore | PgClient.PgClient>) =>
        effect.pipe(
          Effect.provideService(EventStore, Context.get(context, EventStore)),
          Effect.provideService(CheckpointStore, Context.get(context, CheckpointStore)),
          Effect.provideService(PgClient.PgClient, sql)
        )
    }
  })

/** A rebuild in a process of its own; the scope kills it. */
const startRebuild = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const path = fileURLToPath(new URL("./programs/rebuild.ts", import.meta.url))
      const child: ChildProcess = spawn(process.execPath, [path, url, projection.name, CATEGORY, table], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      if (child.stdout !== null) await once(child.stdout, "data")
      return child
    }),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )

/** How often anything was written for a build that is not live. */
const stepsOf = (sql: PgClient.PgClient) =>
  Effect.map(
    scalar(
      sql,
      `SELECT coalesce((SELECT sum(p.position + p.epoch) FROM event_store.projections p
          JOIN event_store.projection_builds b USING (name, version) WHERE NOT b.is_live), 0)::int +
        (SELECT count(*)::int FROM event_store.projection_builds)`
    ),
    Number
  )

/** Whether the view shows at least as many events as it did, and how many. */
const look = (sql: PgClient.PgClient, seen: number) =>
  Effect.map(scalar(sql, `SELECT coalesce(sum(events), 0)::int FROM ${VIEW}`), (events) => {
    assert.isAtLeast(Number(events), seen)
    return Number(events)
  })

for (const server of servers) {
  describe(`rebuilds that die (${server.label})`, () => {
    it.live(
      "a rebuild that is killed anywhere leaves what is live as it is, and the next one goes on",
      () =>
        Effect.gen(function*() {
          const url = yield* makeDatabase(server.admin)
          const { inside, sql } = yield* openServices(url, "test")
          yield* inside(appendSales(CATEGORY, 120))
          yield* inside(ProjectionRunner.runOnce(projection))
          const runner = yield* Effect.forkChild(inside(ProjectionRunner.run(projection)))
          let seen = 120
          for (const trial of indexes(4)) {
            const before = yield* stepsOf(sql)
            const child = yield* startRebuild(url)
            // each one dies some steps later than the one before
            yield* waitFor(
              stepsOf(sql),
              (steps) => steps > before + 20 * trial || child.exitCode !== null
            )
            child.kill("SIGKILL")
            yield* inside(appendSales(CATEGORY, 3))
            seen = yield* look(sql, seen)
            yield* waitFor(
              scalar(
                sql,
                `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'rebuild'
                AND datname = current_database()`
              ),
              (count) => count === 0
            )
          }
          yield* inside(ProjectionRebuild.blueGreen(projection))
          yield* inside(appendSales(CATEGORY, 5))
          const end = yield* inside(head)
          yield* inside(ProjectionControl.awaitPosition(projection, end, "20 seconds"))
          yield* Fiber.interrupt(runner)
          yield* inside(assertSales(CATEGORY, projection, VIEW))
          assert.strictEqual(
            yield* scalar(sql, "SELECT count(*)::int FROM event_store.projection_builds WHERE status = 'building'"),
            0
          )
        }),
      60_000
    )

    it.live(
      "a rebuild whose connections are ended again and again, those of the swap too, comes to its end",
      () =>
        Effect.gen(function*() {
          const url = yield* makeDatabase(server.admin)
          const { inside, sql } = yield* openServices(url, "test")
          const mine = yield* openServices(url, "rebuild mine")
          yield* inside(appendSales(CATEGORY, 150))
          yield* inside(ProjectionRunner.runOnce(projection))
          let seen = 150
          for (let round = 0; round < 2; round++) {
            const rebuild = mine.inside(ProjectionRebuild.blueGreen(projection, { batchEvents: 5 }))
            const fiber = yield* Effect.forkChild(Effect.retry(rebuild, { times: 50 }))
            for (let kill = 0; kill < 4 && fiber.pollUnsafe() === undefined; kill++) {
              const steps = yield* stepsOf(sql)
              yield* waitFor(stepsOf(sql), (now) => now > steps + 3 || fiber.pollUnsafe() !== undefined)
              yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE datname = current_database() AND application_name = 'rebuild mine' AND pid <> pg_backend_pid()`
              seen = yield* look(sql, seen)
            }
            yield* Fiber.join(fiber)
            yield* inside(appendSales(CATEGORY, 5))
            yield* inside(ProjectionRunner.runOnce(projection))
            yield* inside(assertSales(CATEGORY, projection, VIEW))
          }
        }),
      60_000
    )
  })
}
