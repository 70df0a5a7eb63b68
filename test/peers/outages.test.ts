/**
 * Projections after the database, or a connection of theirs, was away.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { ProjectionControl, ProjectionRunner } from "../../src/projection/index.ts"
import { inOpenTransaction, runAll, scalar } from "../postgres/fixtures.ts"
import { indexes } from "../store/fixtures.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { assertCaughtUp, deposit, openAccounts, openDatabase, openProcess, projection, SMALL } from "./fixtures.ts"

for (const server of servers) {
  describe(`outages (${server.label})`, () => {
    // the daemon stayed dead until the program was started again: https://github.com/JasperFx/marten/issues/3503
    it.live("L1 a runner goes on by itself when the server is back, as often as that is away", () =>
      Effect.gen(function*() {
        const { inside, proxy, store } = yield* openDatabase(server.admin)
        yield* inside(openAccounts)
        const remote = yield* openProcess(proxy.url)
        const runner = yield* Effect.forkChild(remote.inside(ProjectionRunner.run(projection, SMALL)))
        yield* inside(assertCaughtUp)
        for (const n of indexes(3)) {
          yield* proxy.setMode({ _tag: "Refuse" })
          yield* store.append(deposit("1", n))
          const tries = (yield* proxy.counters).connections
          yield* proxy.setMode({ _tag: "Pass" })
          yield* inside(assertCaughtUp)
          assert.isAbove((yield* proxy.counters).connections, tries)
          assert.isUndefined(runner.pollUnsafe())
        }
        yield* Fiber.interrupt(runner)
      }))

    // sessions that idled with an advisory lock stalled everybody: https://github.com/JasperFx/marten/issues/5108
    it.live("G5 sessions that idle with advisory locks, that of the appends too, hold up no projection", () =>
      Effect.gen(function*() {
        const { inside, sql, url } = yield* openDatabase(server.admin)
        yield* inside(openAccounts)
        yield* inOpenTransaction(url, [
          "SELECT pg_advisory_lock(1), pg_advisory_lock(2), pg_advisory_xact_lock(3)",
          "SELECT pg_advisory_xact_lock(1163088961, 'event_store.head'::regclass::oid::integer)"
        ])
        yield* inside(ProjectionRunner.runOnce(projection, SMALL))
        yield* inside(assertCaughtUp)
        yield* inside(ProjectionControl.reset(projection))
        yield* inside(ProjectionRunner.runOnce(projection, SMALL))
        yield* inside(assertCaughtUp)
        assert.isAbove(
          Number(yield* scalar(sql, "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND granted")),
          2
        )
      }))

    // locks of sessions do not hold through a pooler, and all nodes ran: https://github.com/JasperFx/marten/issues/3988
    it.live("P4 whose lease it is does not hang on a session: runners whose sessions are all ended never lead together", () =>
      Effect.gen(function*() {
        const { inside, sql, store, url } = yield* openDatabase(server.admin)
        yield* inside(openAccounts)
        const nodes = [yield* openProcess(url, "node"), yield* openProcess(url, "node")]
        const runners = yield* Effect.forEach(
          nodes,
          (node) => Effect.forkChild(node.inside(ProjectionRunner.run(projection, SMALL)))
        )
        yield* inside(assertCaughtUp)
        for (const n of indexes(5)) {
          yield* runAll(sql, [
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE datname = current_database() AND application_name = 'node'`
          ])
          yield* store.append(deposit("1", n))
          yield* inside(assertCaughtUp)
        }
        const locks = yield* scalar(
          sql,
          `SELECT count(*)::int FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory'
            AND l.mode = 'ExclusiveLock' AND a.application_name = 'node' AND a.state = 'idle'`
        )
        assert.strictEqual(locks, 0)
        for (const runner of runners) assert.isUndefined(runner.pollUnsafe())
        yield* Effect.forEach(runners, Fiber.interrupt)
        assert.isUndefined(Option.getOrThrow(yield* inside(ProjectionControl.describe(projection))).owner)
      }))

    // notifications were lost when a connection was made again by itself: https://github.com/commanded/eventstore/issues/309
    it.live("P8 what is appended while the listening session is away is seen", () =>
      Effect.gen(function*() {
        const { inside, sql, store, url } = yield* openDatabase(server.admin)
        yield* inside(openAccounts)
        const node = yield* openProcess(url, "node")
        const runner = yield* Effect.forkChild(node.inside(ProjectionRunner.run(projection, SMALL)))
        yield* inside(assertCaughtUp)
        const listening = `datname = current_database() AND application_name = 'node' AND query ILIKE 'LISTEN%'`
        for (const n of indexes(3)) {
          yield* waitFor(
            scalar(sql, `SELECT count(*)::int FROM pg_stat_activity WHERE ${listening}`),
            (count) => Number(count) > 0
          )
          yield* runAll(sql, [`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${listening}`])
          yield* store.append(deposit("2", n))
          yield* inside(assertCaughtUp)
        }
        yield* Fiber.interrupt(runner)
      }))
  })
}
