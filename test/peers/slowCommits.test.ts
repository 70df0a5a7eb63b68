/**
 * An event whose commit comes later than that of an event behind it: the bug that
 * most event stores on a database had, and some still have.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema, Stream } from "effect"
import { Projection, ProjectionControl, ProjectionRunner } from "../../src/projection/index.ts"
import { scalar } from "../postgres/fixtures.ts"
import { checkpointOf, types } from "../projection/fixtures.ts"
import { positionsOf } from "../store/fixtures.ts"
import { servers } from "../support/servers.ts"
import {
  assertCaughtUp,
  assertGapless,
  awaitSlowCommits,
  deposit,
  holdCommits,
  makeCommitsSlow,
  openAccounts,
  openDatabase,
  openProcess,
  projection,
  SMALL
} from "./fixtures.ts"

/** Both categories, as one projection sees them. */
const all = Projection.state({
  name: "both",
  events: types,
  state: Schema.Array(Schema.Int),
  initial: [],
  on: {
    AccountOpened: (seen) => seen,
    MoneyDeposited: (seen, { position }) => [...seen, position]
  }
})

const slow = { ...deposit("x"), streamId: "slow-1" }

for (const server of servers) {
  describe(`slow commits (${server.label})`, () => {
    // an event that committed after one behind it was never seen: https://github.com/JasperFx/marten/issues/1629
    // messages were lost without a filter of transactions: https://github.com/event-driven-io/emmett/pull/336
    it.live("G1 an event that waits for its commit is not passed, and comes before those behind it", () =>
      Effect.gen(function*() {
        const first = yield* openDatabase(server.admin)
        const second = yield* openProcess(first.url)
        yield* makeCommitsSlow(first.sql)
        yield* first.inside(openAccounts)
        const before = (yield* first.store.head).position
        const runner = yield* Effect.forkChild(second.inside(ProjectionRunner.run(all, SMALL)))
        yield* second.inside(ProjectionControl.awaitPosition(all, before, "20 seconds"))
        const { release } = yield* holdCommits(first.url)
        const waiting = yield* Effect.forkChild(first.store.append(slow))
        yield* awaitSlowCommits(first.sql)
        const behind = yield* Effect.forkChild(second.store.append(deposit("1")))
        // readers look again and again meanwhile, and see neither
        for (let look = 0; look < 20; look++) {
          assert.strictEqual((yield* second.store.head).position, before)
          assert.isAtMost((yield* second.inside(checkpointOf(all))).position, before)
        }
        yield* release
        const [a, b] = [yield* Fiber.join(waiting), yield* Fiber.join(behind)]
        assert.deepStrictEqual([a.position, b.position], [before + 1, before + 2])
        yield* second.inside(ProjectionControl.awaitPosition(all, b.position, "20 seconds"))
        yield* Fiber.interrupt(runner)
        const log = yield* Stream.runCollect(first.store.readAll({ filter: { types: ["MoneyDeposited"] } }))
        const state = yield* scalar(first.sql, "SELECT state::text FROM event_store.projection_states")
        assert.deepStrictEqual(JSON.parse(String(state)), positionsOf(log))
      }))

    // rebuilds and catching up ignored what was still on its way: https://github.com/JasperFx/marten/issues/4953
    it.live("G1 P5 what is built anew while a commit waits has the event when it has come", () =>
      Effect.gen(function*() {
        const first = yield* openDatabase(server.admin)
        const second = yield* openProcess(first.url)
        yield* makeCommitsSlow(first.sql)
        yield* first.inside(openAccounts)
        const { release } = yield* holdCommits(first.url)
        const waiting = yield* Effect.forkChild(first.store.append(slow))
        yield* awaitSlowCommits(first.sql)
        const early = yield* second.inside(ProjectionRunner.runOnce(all, SMALL))
        yield* second.inside(ProjectionControl.reset(all))
        yield* second.inside(ProjectionRunner.runOnce(all, SMALL))
        yield* release
        const { position } = yield* Fiber.join(waiting)
        const late = yield* second.inside(ProjectionRunner.runOnce(all, SMALL))
        assert.deepStrictEqual([late.position, late.count], [position, early.count + 1])
      }))

    // a reader took its limit and its rows from different snapshots: https://github.com/JasperFx/marten/issues/4953
    it.live("G2 a page and how far it looked are the answer to one statement", () =>
      Effect.gen(function*() {
        const { inside, proxy } = yield* openDatabase(server.admin)
        yield* inside(openAccounts)
        const reader = yield* openProcess(proxy.url)
        yield* reader.store.readPage({ after: 0, limit: 4 })
        for (const filter of [undefined, { categories: ["account"] }, { types: ["AccountOpened"] }]) {
          const { statements: before } = yield* proxy.counters
          yield* reader.store.readPage({ after: 0, limit: 4, filter })
          assert.strictEqual((yield* proxy.counters).statements, before + 1)
        }
      }))

    // an older transaction that commits later was passed: https://github.com/event-driven-io/emmett/pull/336
    it.live("G1 transactions of the caller's that write first and commit last, in any order, lose and move no event", () =>
      Effect.gen(function*() {
        const first = yield* openDatabase(server.admin)
        const second = yield* openProcess(first.url)
        yield* first.sql`CREATE TABLE public.notes (id int PRIMARY KEY)`
        yield* first.inside(openAccounts)
        const runner = yield* Effect.forkChild(second.inside(ProjectionRunner.run(projection, SMALL)))
        let id = 0
        for (
          const [order, doesPlainComeBetween] of [[[0, 1], true], [[1, 0], true], [[0, 1], false], [
            [1, 0],
            false
          ]] as const
        ) {
          const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          const begun = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          const fibers = yield* Effect.forEach(
            [0, 1] as const,
            (n) =>
              Effect.forkChild(first.transact(Effect.gen(function*() {
                // takes a transaction id before the other one, or before it appends
                yield* first.sql`SELECT pg_current_xact_id()::text`
                yield* Deferred.succeed(begun[n]!, undefined)
                yield* Deferred.await(gates[n]!)
                return { append: { writes: [deposit(String(n), ++id)] }, value: n }
              })))
          )
          for (const one of begun) yield* Deferred.await(one)
          for (const n of order) {
            if (doesPlainComeBetween) yield* second.store.append(deposit("2", ++id))
            yield* Deferred.succeed(gates[n]!, undefined)
            yield* Fiber.join(fibers[n]!)
            yield* second.inside(assertCaughtUp)
          }
        }
        yield* Fiber.interrupt(runner)
        assertGapless(positionsOf(yield* Stream.runCollect(first.store.readAll())))
      }))

    // locks by category do not order the whole log: https://github.com/proteanhq/protean/issues/1088
    it.live("G1 appends to different categories at the same time are seen in one order by those who read all", () =>
      Effect.gen(function*() {
        const first = yield* openDatabase(server.admin)
        const second = yield* openProcess(first.url)
        const runner = yield* Effect.forkChild(second.inside(ProjectionRunner.run(all, SMALL)))
        const write = (store: typeof first.store, n: number) =>
          Effect.forEach(
            Array.from({ length: 30 }),
            (_, index) => store.append({ ...deposit("x", index), streamId: `category${n}-${index % 3}` }),
            { concurrency: 3 }
          )
        yield* Effect.all([write(first.store, 1), write(second.store, 2), write(first.store, 3)], { concurrency: 3 })
        yield* second.inside(ProjectionControl.awaitPosition(all, 90, "20 seconds"))
        yield* Fiber.interrupt(runner)
        const state = yield* scalar(first.sql, "SELECT state::text FROM event_store.projection_states")
        assert.deepStrictEqual(JSON.parse(String(state)), Array.from({ length: 90 }, (_, index) => index + 1))
      }))
  })
}
