/**
 * Runners and their connections die or stand still: the table is the fold of the
 * log up to the checkpoint after every trial.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { PgCheckpointStore } from "../../src/postgres/index.ts"
import { ProjectionControl, ProjectionRunner } from "../../src/projection/index.ts"
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
const sales = salesByCountry({ category: CATEGORY, name: "sales", table: "sales" })
const { physical, projection } = sales

/** The services of a process on a database; `applicationName` tells its connections from those of others. */
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

/** A database, and the services of this process on it. */
const open = (admin: string) =>
  Effect.gen(function*() {
    const url = yield* makeDatabase(admin)
    return { url, ...(yield* openServices(url, "test")) }
  })

/** A runner in a process of its own; the scope kills it. */
const startRunner = (url: string, owner: string): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const path = fileURLToPath(new URL("./programs/run.ts", import.meta.url))
      const child = spawn(process.execPath, [path, url, projection.name, CATEGORY, sales.table, owner], {
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

const epochOf = Effect.map(
  CheckpointStore.use((store) => store.find(projection)),
  (found) => Option.match(found, { onNone: () => 0, onSome: ({ epoch }) => epoch })
)

const sessionsOf = (sql: PgClient.PgClient, owner: string) =>
  scalar(
    sql,
    `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'runner ${owner}'
    AND datname = current_database()`
  )

for (const server of servers) {
  describe(`runners that die (${server.label})`, () => {
    it.live("a runner that is killed anywhere neither skips nor applies twice, and the next one goes on", () =>
      Effect.gen(function*() {
        const { inside, sql, url } = yield* open(server.admin)
        yield* inside(appendSales(CATEGORY, 50))
        for (const trial of indexes(5)) {
          const owner = `trial ${trial}`
          const writer = yield* Effect.forkChild(inside(appendSales(CATEGORY, 60)))
          const runner = yield* startRunner(url, owner)
          const before = yield* inside(
            Effect.map(
              CheckpointStore.use((store) => store.find(projection)),
              (found) => Option.match(found, { onNone: () => 0, onSome: ({ checkpoint }) => checkpoint.position })
            )
          )
          yield* waitFor(
            inside(CheckpointStore.use((store) => store.find(projection))),
            (found) =>
              Option.match(found, { onNone: () => false, onSome: ({ checkpoint }) => checkpoint.position > before })
          )
          runner.kill("SIGKILL")
          yield* waitFor(sessionsOf(sql, owner), (count) => count === 0)
          yield* inside(assertSales(CATEGORY, projection, physical))
          yield* Fiber.join(writer)
        }
        yield* inside(ProjectionRunner.runOnce(projection))
        yield* inside(assertSales(CATEGORY, projection, physical))
      }))

    it.live("a runner that stands still for longer than its lease is taken over, and does no harm when it goes on", () =>
      Effect.gen(function*() {
        const { inside, sql, url } = yield* open(server.admin)
        yield* inside(appendSales(CATEGORY, 10))
        const first = yield* startRunner(url, "first")
        yield* waitFor(inside(epochOf), (epoch) => epoch > 0)
        const writer = yield* Effect.forkChild(inside(appendSales(CATEGORY, 150)))
        yield* waitFor(
          scalar(sql, "SELECT count(*)::int FROM event_store.projections WHERE events > 10"),
          (n) => n === 1
        )
        first.kill("SIGSTOP")
        const epoch = yield* inside(epochOf)
        yield* startRunner(url, "second")
        yield* waitFor(inside(epochOf), (now) => now > epoch)
        yield* Fiber.join(writer)
        yield* waitFor(
          inside(Effect.result(ProjectionControl.awaitPosition(projection, 310, 0))),
          ({ _tag }) => _tag === "Success"
        )
        first.kill("SIGCONT")
        yield* inside(appendSales(CATEGORY, 30))
        const end = yield* inside(head)
        yield* inside(ProjectionControl.awaitPosition(projection, end, "20 seconds"))
        yield* inside(assertSales(CATEGORY, projection, physical))
        assert.isNull(first.exitCode)
      }))

    it.live("a runner whose connections are ended again and again loses its way, not an event", () =>
      Effect.gen(function*() {
        const { inside, sql, url } = yield* open(server.admin)
        const mine = yield* openServices(url, "runner mine")
        const writer = yield* Effect.forkChild(inside(appendSales(CATEGORY, 300)))
        const runner = yield* Effect.forkChild(mine.inside(ProjectionRunner.run(projection, { batchEvents: 3 })))
        yield* waitFor(inside(epochOf), (epoch) => epoch > 0)
        for (let kill = 0; kill < 12; kill++) {
          const events = Number(yield* scalar(sql, "SELECT events::int FROM event_store.projections"))
          yield* waitFor(
            scalar(sql, "SELECT events::int FROM event_store.projections"),
            (now) => Number(now) > events || writer.pollUnsafe() !== undefined
          )
          yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'runner mine' AND pid <> pg_backend_pid()`
        }
        yield* Fiber.join(writer)
        const end = yield* inside(head)
        yield* waitFor(
          inside(Effect.result(ProjectionControl.awaitPosition(projection, end, 0))),
          ({ _tag }) => _tag === "Success"
        )
        assert.isUndefined(runner.pollUnsafe())
        yield* Fiber.interrupt(runner)
        yield* inside(assertSales(CATEGORY, projection, physical))
        assert.isAbove(yield* inside(epochOf), 1)
      }))
  })
}
