/**
 * Building anew beside a live runner, and what becomes of poison in both.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, Schedule } from "effect"
import { ProjectionControl, ProjectionRunner } from "../../src/projection/index.ts"
import { assertFold, balances, checkpointOf } from "../projection/fixtures.ts"
import { head, indexes } from "../store/fixtures.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  assertCaughtUp,
  CATEGORY,
  deposit,
  openAccounts,
  openDatabase,
  openProcess,
  projection,
  SMALL
} from "./fixtures.ts"

const POISON = 13

const refusing = (action: "halt" | "park") =>
  balances(CATEGORY, {
    name: `refusing, ${action}`,
    action,
    onDeposit: ({ data }) => {
      if (data.amount === POISON) throw new RangeError("poison")
    }
  })

const options = { ...SMALL, retry: Schedule.recurs(1) }

for (const server of servers) {
  describe(`policies (${server.label})`, () => {
    // a rebuild ran outside the lock of the live shard: https://github.com/jasoneisen/idiomatic-critter-stack/issues/25
    it.live("P5 resets by one process while another one runs the projection leave the fold of the log", () =>
      Effect.gen(function*() {
        const first = yield* openDatabase(server.admin)
        const second = yield* openProcess(first.url)
        yield* first.inside(openAccounts)
        const runner = yield* Effect.forkChild(second.inside(ProjectionRunner.run(projection, SMALL)))
        for (const n of indexes(4)) {
          yield* Effect.forEach(indexes(10), (m) => first.store.append(deposit(`${m % 4}`, n + m)), { discard: true })
          yield* first.inside(ProjectionControl.reset(projection))
          yield* first.inside(assertFold(CATEGORY, projection))
          yield* first.inside(assertCaughtUp)
        }
        assert.isUndefined(runner.pollUnsafe())
        yield* Fiber.interrupt(runner)
      }))

    // the policy held in rebuilds and not live, or the other way round: https://github.com/JasperFx/marten/issues/2938
    for (const action of ["halt", "park"] as const) {
      it.live(`P6 poison is dealt with in the same way live, in one go, and in a rebuild (${action})`, () =>
        Effect.gen(function*() {
          const { inside, store } = yield* openDatabase(server.admin)
          const follower = refusing(action)
          yield* inside(openAccounts)
          const before = (yield* store.head).position
          const live = yield* Effect.forkChild(inside(Effect.exit(ProjectionRunner.run(follower, options))))
          yield* inside(ProjectionControl.awaitPosition(follower, before, "20 seconds"))
          const { position: poison } = yield* store.append(deposit("0", POISON))
          for (const account of ["0", "1"]) yield* store.append(deposit(account, 1))
          const end = yield* inside(head)
          const outcome = Effect.gen(function*() {
            const { status } = Option.getOrThrow(yield* ProjectionControl.describe(follower))
            const { position } = yield* checkpointOf(follower)
            const parked = yield* ProjectionControl.listParked(follower)
            return { status, isAtEnd: position === end, parked: parked.map((event) => event.position as number) }
          })
          const expected = action === "halt"
            ? { status: "halted", isAtEnd: false, parked: [] }
            : { status: "running", isAtEnd: true, parked: [poison, poison + 1] }
          const isReached = (found: typeof expected) => JSON.stringify(found) === JSON.stringify(expected)
          yield* waitFor(inside(outcome), isReached)
          yield* Fiber.interrupt(live)
          yield* Effect.exit(inside(ProjectionRunner.runOnce(follower, options)))
          assert.deepStrictEqual<unknown>(yield* inside(outcome), expected)
          yield* inside(ProjectionControl.reset(follower))
          yield* Effect.exit(inside(ProjectionRunner.runOnce(follower, options)))
          assert.deepStrictEqual<unknown>(yield* inside(outcome), expected)
        }))
    }
  })
}
