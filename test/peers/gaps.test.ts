/**
 * Holes in the order of a log, and the guesses by which others pass them. There
 * are no holes here, so nothing has to be guessed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result, Stream } from "effect"
import { ProjectionControl, ProjectionRunner } from "../../src/projection/index.ts"
import { openSql, runAll } from "../postgres/fixtures.ts"
import { indexes, positionsOf } from "../store/fixtures.ts"
import { servers } from "../support/servers.ts"
import {
  assertCaughtUp,
  assertGapless,
  awaitSlowCommits,
  deposit,
  holdCommits,
  makeCommitsSlow,
  makeRefusals,
  openAccounts,
  openDatabase,
  openProcess,
  projection,
  SMALL
} from "./fixtures.ts"

const refused = { ...deposit("1"), events: [{ type: "Refused", data: {} }] }

for (const server of servers) {
  describe(`gaps (${server.label})`, () => {
    // a check that began on a hole did not see it: https://github.com/JasperFx/marten/issues/4964
    // a batch that failed left a hole that stalled for ever: https://github.com/JasperFx/marten/issues/5454
    // holes were kept in memory, 900 MB of them: https://github.com/AxonFramework/AxonFramework/issues/1241
    it.live("G4 appends that the database refuses, at the head and among others, leave nothing to pass or to remember", () =>
      Effect.gen(function*() {
        const { inside, sql, store } = yield* openDatabase(server.admin)
        yield* inside(openAccounts)
        yield* makeRefusals(sql)
        const runner = yield* Effect.forkChild(inside(ProjectionRunner.run(projection, SMALL)))
        for (const round of indexes(5)) {
          const batch = [...indexes(9).map((n) => deposit(`${n}`, n).events[0]!), ...refused.events]
          const results = yield* Effect.forEach(
            [
              ...indexes(20).map(() => store.append(refused)),
              store.append({ ...deposit("2"), events: batch })
            ],
            Effect.result,
            { concurrency: 7 }
          )
          assert.isTrue(results.every(Result.isFailure))
          // the projection stands at the head, where the hole would be
          yield* inside(assertCaughtUp)
          yield* store.append(deposit("0", round))
          yield* inside(assertCaughtUp)
        }
        yield* Fiber.interrupt(runner)
        assertGapless(positionsOf(yield* Stream.runCollect(store.readAll())))
      }))

    // the mark leapt over appends after the store was idle: https://github.com/JasperFx/marten/issues/2681
    it.live("G2 a thousand appends at once after an idle time are seen, each one once", () =>
      Effect.gen(function*() {
        const first = yield* openDatabase(server.admin)
        const second = yield* openProcess(first.url)
        yield* first.inside(openAccounts)
        const runner = yield* Effect.forkChild(second.inside(ProjectionRunner.run(projection)))
        const idle = yield* second.inside(assertCaughtUp)
        yield* Effect.forEach(
          indexes(1_000),
          (n) => (n % 2 === 0 ? first : second).store.append(deposit(`${n % 50}`, n)),
          { concurrency: 100, discard: true }
        )
        const { count } = yield* second.inside(assertCaughtUp)
        assert.strictEqual(count, idle.count + 1_000)
        yield* Fiber.interrupt(runner)
      }))

    // time was measured from the wrong moment: https://github.com/JasperFx/marten/issues/2370
    // how old a neighbour was decided that an event was given up: https://github.com/AxonFramework/AxonFramework/issues/4829
    it.live("G1 however old the events before it are, an event whose commit takes long is seen", () =>
      Effect.gen(function*() {
        const first = yield* openDatabase(server.admin)
        const second = yield* openProcess(first.url)
        yield* makeCommitsSlow(first.sql)
        yield* first.inside(openAccounts)
        // a quiet time, without waiting for it
        yield* runAll(yield* openSql(first.url, { maxConnections: 1 }), [
          // recorded events do not change, unless somebody insists
          "SET session_replication_role = replica",
          "UPDATE event_store.events SET recorded_at = recorded_at - interval '1 minute'",
          "UPDATE event_store.head SET recorded_at = recorded_at - interval '1 minute'"
        ])
        const runner = yield* Effect.forkChild(second.inside(ProjectionRunner.run(projection, SMALL)))
        const before = yield* second.inside(assertCaughtUp)
        const { release } = yield* holdCommits(first.url)
        const writes = [{ ...deposit("x"), streamId: "slow-1" }, deposit("1", 100)]
        const waiting = yield* Effect.forkChild(first.store.appendAll({ writes }))
        yield* awaitSlowCommits(first.sql)
        const behind = yield* Effect.forkChild(second.store.append(deposit("2", 7)))
        const page = yield* second.store.readPage({ after: before.position, limit: 10 })
        assert.deepStrictEqual(page.events, [])
        yield* release
        yield* Fiber.join(waiting)
        yield* Fiber.join(behind)
        assert.strictEqual((yield* second.inside(assertCaughtUp)).count, before.count + 2)
        yield* Fiber.interrupt(runner)
      }))

    // nothing advanced where a hole was larger than a batch: https://github.com/AxonFramework/AxonFramework/issues/419
    it.live("G5 a log that begins at position 10,000,000 is read from there at once", () =>
      Effect.gen(function*() {
        const { inside, sql, store } = yield* openDatabase(server.admin)
        yield* sql`UPDATE event_store.head SET position = 9999999`
        yield* inside(openAccounts)
        assert.strictEqual(positionsOf(yield* Stream.runCollect(store.readAll()))[0], 10_000_000)
        yield* inside(ProjectionRunner.runOnce(projection, SMALL))
        assert.strictEqual((yield* inside(assertCaughtUp)).count, 9)
        const sparse = yield* inside(ProjectionControl.describe(projection))
        assert.strictEqual(sparse._tag === "Some" ? sparse.value.lagEvents : -1, 0)
      }))

    // the tail was missed under load: https://github.com/SQLStreamStore/SQLStreamStore/issues/121
    it.live("P1 a projection at the tail of sixteen writers misses nothing", () =>
      Effect.gen(function*() {
        const first = yield* openDatabase(server.admin)
        const second = yield* openProcess(first.url)
        yield* first.inside(openAccounts)
        const runner = yield* Effect.forkChild(second.inside(ProjectionRunner.run(projection, SMALL)))
        yield* Effect.forEach(
          indexes(16),
          (writer) =>
            Effect.forEach(
              indexes(25),
              (n) => (writer % 2 === 0 ? first : second).store.append(deposit(`${(writer + n) % 5}`, n)),
              { discard: true }
            ),
          { concurrency: "unbounded", discard: true }
        )
        assert.strictEqual((yield* second.inside(assertCaughtUp)).count, 9 + 400)
        yield* Fiber.interrupt(runner)
      }))
  })
}
