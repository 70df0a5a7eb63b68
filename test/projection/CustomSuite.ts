/**
 * What projections promise that write to a storage of their own: one text for
 * all storages of checkpoints.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option } from "effect"
import { Projection, ProjectionControl, ProjectionRunner } from "../../src/projection/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { head, indexes, someCategory } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import {
  appendAccounts,
  appendDeposits,
  assertComplete,
  checkpointOf,
  eventsOf,
  losing,
  SMALL,
  someProjectionName,
  types
} from "./fixtures.ts"
import { makeSink, Sink, SinkDown } from "./sink.ts"

const { runOnce } = ProjectionRunner

/** A projection that sends what it gets to the sink. */
const sending = (
  category: string,
  rest: Partial<
    Pick<Projection.CustomOptions<typeof types, SinkDown, Sink>, "name" | "onError" | "setUp" | "timeout">
  > = {}
) =>
  Projection.custom({
    name: someProjectionName(),
    events: types,
    where: { categories: [category] },
    apply: (events) =>
      Sink.use(({ put }) => put(events.map(({ dedupeKey, event }) => ({ key: dedupeKey, position: event.position })))),
    ...rest
  })

/** The positions of all events of the types. */
const matching = (category: string) =>
  Effect.map(
    eventsOf(category),
    (events) => events.filter(({ type }) => type !== "Ignored").map(({ position }) => position as number)
  )

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(
    `Projection to a storage of its own (${storage})`,
    (it) => {
      it.effect("every matching event is applied once, in order of position, whatever the size of the batches", () =>
        Effect.gen(function*() {
          const category = someCategory()
          yield* appendAccounts(category, 3, 20)
          for (const batchEvents of [1, 7, 1_000]) {
            const { sent, sink } = makeSink()
            const projection = sending(category)
            const checkpoint = yield* Effect.provideService(runOnce(projection, { batchEvents }), Sink, sink)
            assert.strictEqual(checkpoint.position, yield* head)
            assert.deepStrictEqual(sent.map(({ position }) => position), yield* matching(category))
            assert.strictEqual(new Set(sent.map(({ key }) => key)).size, 23)
            yield* assertComplete(projection)
          }
        }))

      it.effect("after a lost commit the events come again with the same keys, and a storage that keeps them has each once", () =>
        Effect.gen(function*() {
          const category = someCategory()
          yield* appendAccounts(category, 3, 17)
          const store = yield* CheckpointStore
          const expected = yield* matching(category)
          for (const commit of indexes(5)) {
            for (const when of ["before", "after"] as const) {
              const { positions, sent, sink } = makeSink()
              const projection = sending(category)
              yield* runOnce(projection, SMALL).pipe(
                Effect.provideService(CheckpointStore, losing(store, commit, when)),
                Effect.provideService(Sink, sink)
              )
              assert.deepStrictEqual(positions(), expected)
              assert.isAtMost(sent.length, expected.length + 7)
              yield* assertComplete(projection)
            }
          }
        }))

      it.effect("a failure, a throw, a defect, an interruption and no end at all are handled alike: halt at the event", () =>
        Effect.gen(function*() {
          const category = someCategory()
          yield* appendAccounts(category, 3, 10)
          const expected = yield* matching(category)
          const culprit = expected[6]!
          const troubles = [
            [Effect.fail(new SinkDown()), "it failed with SinkDown (HandlerFailed)"],
            [Effect.die(new RangeError("secret")), "it threw RangeError (HandlerThrew)"],
            [Effect.sync(() => void JSON.parse("{secret")), "it threw SyntaxError (HandlerThrew)"],
            [Effect.interrupt, "it was interrupted (HandlerFailed)"],
            [Effect.never, "it did not end within 30ms (HandlerTimedOut)"]
          ] as const
          for (const [trouble, reason] of troubles) {
            const { positions, sink } = makeSink((items) =>
              items.some(({ position }) => position === culprit) ? trouble : Effect.void
            )
            const projection = sending(category, { timeout: 30 })
            const error = yield* Effect.flip(Effect.provideService(runOnce(projection, SMALL), Sink, sink))
            assert.strictEqual(error._tag, "ProjectionHalted")
            if (error._tag !== "ProjectionHalted") return
            assert.strictEqual(error.attempts, 3)
            assert.strictEqual(`${error.failure.detail} (${error.failure.reason})`, reason)
            assert.deepStrictEqual(positions(), expected.filter((position) => position < culprit))
            assert.strictEqual((yield* checkpointOf(projection)).position, expected[5])
            assert.strictEqual(Option.getOrThrow(yield* ProjectionControl.describe(projection)).status, "halted")
          }
        }))

      it.effect("what cannot be interrupted does not hold up the runner", () =>
        Effect.gen(function*() {
          const category = someCategory()
          yield* appendAccounts(category, 1, 0)
          const { sink } = makeSink(() => Effect.uninterruptible(Effect.never))
          const projection = sending(category, { timeout: 10 })
          const error = yield* Effect.flip(Effect.provideService(runOnce(projection, SMALL), Sink, sink))
          assert.strictEqual(error._tag === "ProjectionHalted" ? error.failure.reason : error._tag, "HandlerTimedOut")
        }))

      it.effect("a poison event is parked with those of its key, and replayed with the same key", () =>
        Effect.gen(function*() {
          const category = someCategory()
          yield* appendAccounts(category, 3, 10)
          const expected = yield* matching(category)
          let isDown = true
          const { positions, sink } = makeSink((items) =>
            isDown && items.some(({ position }) => position === expected[4]) ? Effect.fail(new SinkDown()) : Effect.void
          )
          const projection = sending(category, { onError: { action: "park" } })
          yield* Effect.provideService(runOnce(projection, SMALL), Sink, sink)
          yield* assertComplete(projection)
          const parked = yield* ProjectionControl.listParked(projection)
          assert.strictEqual(parked[0]!.reason, "it failed with SinkDown (HandlerFailed)")
          assert.strictEqual(positions().length, expected.length - parked.length)
          isDown = false
          const replayed = yield* Effect.provideService(ProjectionControl.replayParked(projection), Sink, sink)
          assert.deepStrictEqual(replayed, { applied: parked.length, remaining: 0 })
          assert.deepStrictEqual([...positions()].sort((a, b) => a - b), expected)
        }))

      it.effect("the set-up runs before the first event and after a reset; one that fails leaves everything as it was", () =>
        Effect.gen(function*() {
          const category = someCategory()
          yield* appendAccounts(category, 2, 5)
          const { kept, positions, sink } = makeSink()
          const keysBefore: Array<number> = []
          let isDown = true
          const setUp = Effect.suspend(() => {
            if (isDown) return Effect.fail(new SinkDown())
            keysBefore.push(kept.size)
            kept.clear()
            return Effect.void
          })
          const projection = sending(category, { setUp })
          const inSink = Effect.provideService(Sink, sink)
          const error = yield* Effect.flip(inSink(runOnce(projection, SMALL)))
          assert.strictEqual(error._tag, "ProjectionInvalid")
          assert.deepStrictEqual(positions(), [])
          isDown = false
          yield* inSink(runOnce(projection, SMALL))
          yield* inSink(runOnce(projection, SMALL))
          assert.deepStrictEqual(keysBefore, [0])
          const first = [...kept]
          yield* ProjectionControl.reset(projection)
          yield* inSink(runOnce(projection, SMALL))
          assert.deepStrictEqual(keysBefore, [0, 7])
          assert.deepStrictEqual([...kept], first)
          assert.deepStrictEqual(positions(), yield* matching(category))
        }))

      it.effect("a runner that is interrupted interrupts what it applies, and the batch comes again", () =>
        Effect.gen(function*() {
          const category = someCategory()
          yield* appendAccounts(category, 2, 5)
          let isStuck = false
          let isInterrupted = false
          const stuck = makeSink(() =>
            Effect.onInterrupt(
              Effect.andThen(Effect.sync(() => void (isStuck = true)), Effect.never),
              () => Effect.sync(() => void (isInterrupted = true))
            )
          )
          const projection = sending(category)
          const fiber = yield* Effect.forkChild(
            Effect.provideService(ProjectionRunner.run(projection, SMALL), Sink, stuck.sink)
          )
          yield* waitFor(Effect.sync(() => isStuck), (is) => is)
          yield* Fiber.interrupt(fiber)
          assert.isTrue(isInterrupted)
          const { positions, sink } = makeSink()
          yield* Effect.provideService(runOnce(projection, SMALL), Sink, sink)
          assert.deepStrictEqual(positions(), yield* matching(category))
        }))

      it.effect("a divided one is set up once, and applies every event in its slice, with the same keys", () =>
        Effect.gen(function*() {
          const category = someCategory()
          yield* appendAccounts(category, 6, 20)
          const { kept, sent, sink } = makeSink()
          let setUps = 0
          const projection = {
            ...sending(category, { setUp: Effect.sync(() => void setUps++) }),
            slices: { count: 3 }
          }
          const checkpoint = yield* Effect.provideService(runOnce(projection, SMALL), Sink, sink)
          assert.strictEqual(checkpoint.count, 26)
          assert.strictEqual(setUps, 1)
          assert.strictEqual(kept.size, sent.length)
          assert.deepStrictEqual([...kept.values()].sort((a, b) => a - b), yield* matching(category))
        }))

      it.effect("events of every type come as they were recorded", () =>
        Effect.gen(function*() {
          const category = someCategory()
          yield* appendAccounts(category, 2, 3)
          yield* appendDeposits(category, 2, 3)
          const seen: Array<unknown> = []
          const projection = Projection.custom({
            name: someProjectionName(),
            events: "all",
            where: { categories: [category] },
            apply: (events) => Effect.sync(() => void seen.push(...events.map(({ event }) => event)))
          })
          yield* runOnce(projection, SMALL)
          assert.deepStrictEqual(seen, [...(yield* eventsOf(category))])
          yield* assertComplete(projection)
        }))
    }
  )
}
