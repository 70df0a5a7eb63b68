/**
 * Projections whose neighbours, networks or statements misbehave, on real
 * servers: those that can go on do, and nothing waits for ever.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Option, Redacted, Schedule } from "effect"
import { PgReadModelStore } from "../../src/postgres/index.ts"
import {
  Projection,
  ProjectionControl,
  ProjectionDiff,
  ProjectionRebuild,
  ProjectionRunner
} from "../../src/projection/index.ts"
import { layerPostgres } from "../../src/runtime/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { ReadModelStore } from "../../src/store/ReadModelStore.ts"
import { openSql, scalar } from "../postgres/fixtures.ts"
import { head, indexes, someCategory } from "../store/fixtures.ts"
import { makeFaultProxy } from "../support/faultProxy.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { checkpointOf, someProjectionName } from "./fixtures.ts"
import { appendSales, assertSales, salesByCountry } from "./sales.ts"

/** The services of a process whose connections go to that URL, and plain SQL past all faults. */
const openServices = (url: string, direct: string) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(Layer.fresh(layerPostgres({ url, applicationName: "runner" })))
    const sql = yield* openSql(direct)
    return <A, E>(effect: Effect.Effect<A, E, EventStore | CheckpointStore | PgClient.PgClient>) =>
      effect.pipe(
        Effect.provideService(EventStore, Context.get(context, EventStore)),
        Effect.provideService(CheckpointStore, Context.get(context, CheckpointStore)),
        Effect.provideService(PgClient.PgClient, sql)
      )
  })

/** A database behind a proxy: services past it, and services through it. */
const open = (admin: string) =>
  Effect.gen(function*() {
    const url = yield* makeDatabase(admin)
    const proxy = yield* makeFaultProxy(url)
    return { url, proxy, direct: yield* openServices(url, url), proxied: yield* openServices(proxy.url, url) }
  })

/** The same with what reads. */
const openReading = (admin: string) =>
  Effect.gen(function*() {
    const { proxy, url } = yield* open(admin)
    const read = (at: string) =>
      Effect.map(
        Layer.build(PgReadModelStore.layer.pipe(Layer.provide(PgClient.layer({ url: Redacted.make(at) })))),
        (context) => <A, E>(effect: Effect.Effect<A, E, ReadModelStore>) => Effect.provideContext(effect, context)
      )
    return { proxy, direct: yield* read(url), proxied: yield* read(proxy.url) }
  })

/** What must not take for ever. */
const within = <A, E>(self: Effect.Effect<A, E>, limit: Duration.Input) =>
  Effect.flatMap(
    Effect.timeoutOption(self, limit),
    Option.match({ onNone: () => Effect.die("it hangs"), onSome: Effect.succeed })
  )

const named = (category: string, more: Parameters<typeof salesByCountry>[0]["more"] = () => []) =>
  salesByCountry({ category, name: someProjectionName(), more })

for (const server of servers) {
  describe(`projections among faults (${server.label})`, () => {
    it.live("P6 projections beside one that tries a poison event for ever see every event as it comes", () =>
      Effect.gen(function*() {
        const { direct } = yield* open(server.admin)
        const category = someCategory()
        const bad = named(category, (units) => units === 3 ? ["SELECT 1 / 0"] : [])
        const good = [named(category), named(category)]
        yield* direct(appendSales(category, 5))
        const all = [bad, ...good].map(({ projection }) => projection)
        const retry = Schedule.spaced("20 millis")
        const runners = yield* Effect.forkChild(direct(ProjectionRunner.runAll(all, { retry })))
        for (const more of [3, 1, 4, 2, 3]) {
          yield* direct(appendSales(category, more))
          const end = yield* direct(head)
          for (const { projection } of good) {
            yield* direct(ProjectionControl.awaitPosition(projection, end, "20 seconds"))
          }
        }
        yield* waitFor(direct(checkpointOf(bad.projection)), ({ count }) => count === 2)
        for (const { physical, projection } of [bad, ...good]) {
          yield* direct(assertSales(category, projection, physical))
        }
        yield* Fiber.interrupt(runners)
      }))

    it.live("P6 projections beside one whose statement has no end see every event as it comes", () =>
      Effect.gen(function*() {
        const { direct, url } = yield* open(server.admin)
        const category = someCategory()
        const stuck = named(category, (units) => units === 3 ? ["SELECT pg_sleep(600)"] : [])
        const good = named(category)
        yield* direct(appendSales(category, 5))
        const runners = yield* Effect.forkChild(
          direct(ProjectionRunner.runAll([stuck.projection, good.projection], { statementTimeout: "10 minutes" }))
        )
        const sql = yield* openSql(url)
        yield* waitFor(
          scalar(
            sql,
            "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
          ),
          (sleeping) => sleeping === 1
        )
        for (const more of [3, 1, 4, 2, 3]) {
          yield* direct(appendSales(category, more))
          yield* direct(ProjectionControl.awaitPosition(good.projection, yield* direct(head), "20 seconds"))
        }
        yield* direct(assertSales(category, good.projection, good.physical))
        yield* Fiber.interrupt(runners)
        // what was stuck ends with its runner
        yield* waitFor(
          scalar(
            sql,
            "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
          ),
          (sleeping) => sleeping === 0
        )
        yield* direct(assertSales(category, good.projection, good.physical))
      }))

    it.live("P8 with every notification dropped a projection still sees what is appended", () =>
      Effect.gen(function*() {
        const { direct, proxied, proxy } = yield* open(server.admin)
        const category = someCategory()
        const { physical, projection } = named(category)
        yield* proxy.setNotifications("drop")
        const runner = yield* Effect.forkChild(proxied(ProjectionRunner.run(projection)))
        for (const more of [2, 1, 3, 1, 1, 2, 5, 1, 1, 2]) {
          yield* direct(appendSales(category, more))
          yield* direct(ProjectionControl.awaitPosition(projection, yield* direct(head), "20 seconds"))
        }
        yield* waitFor(proxy.counters, ({ notifications }) => notifications > 0)
        yield* Fiber.interrupt(runner)
        yield* direct(assertSales(category, projection, physical))
      }))

    for (const ending of ["reset", "silence"] as const) {
      it.live(
        `P3 answers to COMMIT that are lost (${ending}) cost no event and double none, and nothing hangs`,
        () =>
          Effect.gen(function*() {
            const { direct, proxied, proxy } = yield* open(server.admin)
            const category = someCategory()
            const { physical, projection } = named(category)
            yield* direct(appendSales(category, 10))
            const options = { batchEvents: 3, commitTimeout: Duration.millis(500) }
            for (const which of indexes(4)) {
              let left = which
              const armed = yield* proxy.arm(
                (sql) => sql.startsWith("COMMIT") && left-- === 0,
                { _tag: "LoseAnswer", ending }
              )
              const runner = yield* Effect.forkChild(proxied(ProjectionRunner.run(projection, options)))
              yield* direct(appendSales(category, 12))
              yield* armed.happened
              yield* direct(ProjectionControl.awaitPosition(projection, yield* direct(head), "30 seconds"))
              yield* Effect.timeoutOption(Fiber.interrupt(runner), "20 seconds").pipe(
                Effect.map((stopped) => assert.isTrue(Option.isSome(stopped), "it could not be stopped"))
              )
              yield* direct(assertSales(category, projection, physical))
            }
          }),
        120_000
      )
    }

    it.live(
      "work on a view whose COMMIT gets no answer fails in time, and can be interrupted before",
      () =>
        Effect.gen(function*() {
          const { direct, proxied, proxy } = yield* openReading(server.admin)
          const work = (text: string, statementMillis: number) =>
            Effect.map(
              ReadModelStore.use((store) =>
                store.transact({ statements: [{ text, parameters: [] }], statementMillis })
              ),
              (answers) => Option.getOrThrow(answers)[0]
            )
          const lose = proxy.arm((sql) => sql.startsWith("COMMIT"), { _tag: "LoseAnswer", ending: "silence" })
          const late = yield* lose
          const failure = yield* Effect.flip(within(proxied(work("SELECT 1", 250)), "30 seconds"))
          assert.strictEqual(failure._tag, "StorageError")
          assert.match(failure.message, /no answer within/)
          yield* late.disarm
          const armed = yield* lose
          const text = "CREATE MATERIALIZED VIEW public.answers AS SELECT 42 AS answer"
          const creating = yield* Effect.forkChild(proxied(work(text, 600_000)))
          yield* armed.happened
          yield* within(Fiber.interrupt(creating), "30 seconds")
          assert.deepStrictEqual(yield* direct(work("SELECT answer FROM public.answers", 30_000)), [[42]])
          assert.deepStrictEqual(yield* proxied(work("SELECT answer FROM public.answers", 30_000)), [[42]])
        }),
      60_000
    )

    it.live(
      "a comparison of tables whose connection has gone silent can be interrupted, wherever it is",
      () =>
        Effect.gen(function*() {
          const { direct, proxied, proxy } = yield* open(server.admin)
          const category = someCategory()
          const { projection } = named(category)
          yield* direct(appendSales(category, 10))
          yield* direct(ProjectionRunner.runOnce(projection))
          const { build } = yield* direct(ProjectionRebuild.build(projection))
          const diff = ProjectionDiff.diff(projection, Projection.withBuild(projection, build.build))
          for (const start of ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT a.attname", "COMMIT"]) {
            const armed = yield* proxy.arm((sql) => sql.startsWith(start), { _tag: "LoseAnswer", ending: "silence" })
            const comparing = yield* Effect.forkChild(proxied(diff))
            yield* armed.happened
            yield* within(Fiber.interrupt(comparing), "30 seconds")
            assert.isTrue((yield* proxied(diff)).isSame)
          }
        }),
      60_000
    )
  })
}
