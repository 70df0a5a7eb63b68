/**
 * Checkpoints that went further than what was seen. On memory, because no database
 * has a part in it; `ProjectionSuite` has the rest on all storages.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ProjectionRunner } from "../../src/projection/index.ts"
import { layerMemory } from "../../src/runtime/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { StorageError, Unavailable } from "../../src/store/EventStoreError.ts"
import { assertFold, eventsOf } from "../projection/fixtures.ts"
import { append, head, indexes, proposed, proposedMany } from "../store/fixtures.ts"
import { CATEGORY, deposit, openAccounts, projection } from "./fixtures.ts"

const away = new StorageError({ operation: "readPage", reason: new Unavailable({ detail: "it takes too long" }) })

/** Which reads of a page fail. */
const FAILING = new Set([1, 2, 5, 6, 9])

/** Matching events a long way apart. */
const appendSparse = Effect.gen(function*() {
  for (const n of indexes(12)) {
    yield* append(`other-${n}`, "any", proposedMany(37))
    yield* append(deposit("1").streamId, "any", deposit("1", n).events)
  }
})

/** The same store; notes every commit, before and after it. */
const noting = (
  store: CheckpointStore["Service"],
  note: (to: { readonly position: number; readonly count: number }) => Effect.Effect<void>
): CheckpointStore["Service"] => ({
  ...store,
  commit: (lease, work) => Effect.andThen(note(work.to), store.commit(lease, work))
})

describe("checkpoints", () => {
  // the window of a sparse filter was written as progress after timeouts: https://github.com/JasperFx/marten/issues/5239
  it.live("P2 with a sparse filter and pages that fail, no checkpoint passes what was looked at", () =>
    Effect.gen(function*() {
      yield* openAccounts
      yield* appendSparse
      const [store, checkpoints] = [yield* EventStore, yield* CheckpointStore]
      let [reads, looked] = [0, 0]
      const flaky: EventStore["Service"] = {
        ...store,
        readPage: (options) =>
          Effect.suspend(() =>
            FAILING.has(reads++)
              ? Effect.fail(away)
              : Effect.tap(store.readPage(options), (page) =>
                Effect.sync(() => {
                  looked = Math.max(looked, page.position)
                }))
          )
      }
      const commits: Array<number> = []
      const strict = noting(checkpoints, ({ position }) =>
        Effect.sync(() => {
          assert.isAtMost(position, looked)
          commits.push(position)
        }))
      yield* ProjectionRunner.runOnce(projection, { batchEvents: 2 }).pipe(
        Effect.provideService(EventStore, flaky),
        Effect.provideService(CheckpointStore, strict)
      )
      assert.isAbove(commits.length, 1)
      assert.deepStrictEqual(commits, [...commits].sort((a, b) => a - b))
      yield* assertFold(CATEGORY, projection)
    }).pipe(Effect.provide(layerMemory)))

  // a timer fired while a subscription caught up, and skipped 40 million events: https://github.com/commanded/eventstore/pull/325
  it.effect("P2 however much time passes at each step of catching up, a checkpoint counts what was seen up to it", () =>
    Effect.gen(function*() {
      yield* openAccounts
      yield* appendSparse
      const events = (yield* eventsOf(CATEGORY)).filter(({ type }) => type !== "Ignored")
      const [store, checkpoints] = [yield* EventStore, yield* CheckpointStore]
      const strict = noting(
        checkpoints,
        ({ count, position }) =>
          Effect.sync(() => assert.strictEqual(count, events.filter((event) => event.position <= position).length))
      )
      const late: EventStore["Service"] = {
        ...store,
        readPage: (options) => Effect.tap(store.readPage(options), () => TestClock.adjust("1 hour"))
      }
      const run = ProjectionRunner.runOnce(projection, { batchEvents: 1, lease: "1 hour" }).pipe(
        Effect.provideService(EventStore, late),
        Effect.provideService(CheckpointStore, strict)
      )
      const fiber = yield* Effect.forkChild(run)
      yield* Effect.repeat(Effect.andThen(Effect.yieldNow, TestClock.adjust("1 second")), {
        until: () => fiber.pollUnsafe() !== undefined
      })
      yield* Fiber.join(fiber)
      yield* assertFold(CATEGORY, projection)
    }).pipe(Effect.provide(layerMemory)))

  // events were skipped after a restart elsewhere than at the start, and types that are ignored were
  // never passed: https://github.com/Eventuous/eventuous/issues/291
  it.live("P1 P2 a thousand restarts among unknown types skip nothing, and pass what does not matter", () =>
    Effect.gen(function*() {
      yield* openAccounts
      for (const n of indexes(1_000)) {
        yield* append("other-1", "any", [proposed(`Unknown${n % 7}`)])
        if (n % 5 === 0) yield* append(deposit("1").streamId, "any", deposit("1", n).events)
        const { position } = yield* ProjectionRunner.runOnce(projection, { batchEvents: 1 + n % 3 })
        assert.strictEqual(position, yield* head)
      }
      yield* assertFold(CATEGORY, projection)
    }).pipe(Effect.provide(layerMemory)))
})
