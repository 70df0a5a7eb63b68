/**
 * What reactors promise: one text for all storages.
 */
import { assert, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, type Layer, Option } from "effect"
import type { RecordedEvent } from "../../src/event/Event.ts"
import { ProjectionControl, ProjectionRunner, Reactor } from "../../src/projection/index.ts"
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
import { makeSink, type Sent, Sink, SinkDown } from "./sink.ts"

const { run, runOnce } = ProjectionRunner

type Options = Reactor.ReactorOptions<typeof types, SinkDown, Sink>

/** A reactor that sends what it gets to the sink. */
const sending = (category: string, rest: Partial<Omit<Options, "events" | "where">> = {}) =>
  Reactor.make({
    name: someProjectionName(),
    events: types,
    where: { categories: [category] },
    from: "start",
    react: ({ position }, { attempt, dedupeKey }) =>
      Sink.use(({ put }) => put([{ key: dedupeKey, position, attempt }])),
    ...rest
  })

const matching = (category: string) =>
  Effect.map(eventsOf(category), (events) => events.filter(({ type }) => type !== "Ignored"))

const placesOf = (events: ReadonlyArray<RecordedEvent>): ReadonlyArray<number> => events.map(({ position }) => position)

const sentPlaces = (sent: ReadonlyArray<Sent>): ReadonlyArray<number> => sent.map(({ position }) => position)

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`Reactor (${storage})`, (it) => {
    it.effect("it begins where its start was when it first ran, and a restart goes on from its checkpoint", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 4)
        const { sent, sink } = makeSink()
        const inSink = Effect.provideService(Sink, sink)
        const reactor = sending(category, { from: "end" })
        yield* inSink(runOnce(reactor))
        assert.deepStrictEqual(sent, [])
        const start = yield* head
        yield* appendDeposits(category, 2, 3)
        yield* inSink(runOnce(reactor))
        yield* inSink(runOnce(reactor))
        const later = placesOf(yield* matching(category)).filter((position) => position > start)
        assert.deepStrictEqual(sentPlaces(sent), later)
        assert.strictEqual(Option.getOrThrow(yield* ProjectionControl.describe(reactor)).start, start)
        assert.strictEqual((yield* checkpointOf(reactor)).count, 3)
        yield* assertComplete(reactor)
      }))

    it.effect("it begins at the start, after a position, or at a time", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 8)
        const events = yield* matching(category)
        const middle = events[4]!
        const starts: ReadonlyArray<readonly [Reactor.ReactorStart, (event: RecordedEvent) => boolean]> = [
          ["start", () => true],
          ["end", () => false],
          [{ position: 0 }, () => true],
          [{ position: middle.position }, ({ position }) => position > middle.position],
          [{ time: middle.recordedAt }, ({ recordedAt }) =>
            recordedAt.epochMilliseconds >= middle.recordedAt.epochMilliseconds],
          [{ time: DateTime.makeUnsafe(0) }, () =>
            true],
          [{ time: DateTime.makeUnsafe("2999-01-01T00:00:00Z") }, () => false]
        ]
        for (const [from, isAfter] of starts) {
          const { sent, sink } = makeSink()
          const reactor = sending(category, { from })
          yield* Effect.provideService(runOnce(reactor), Sink, sink)
          assert.deepStrictEqual(sentPlaces(sent), placesOf(events.filter(isAfter)))
          yield* assertComplete(reactor)
        }
        const ahead = sending(category, { from: { position: (yield* head) + 1_000 } })
        const error = yield* Effect.flip(Effect.provideService(runOnce(ahead), Sink, makeSink().sink))
        assert.strictEqual(error._tag, "ProjectionInvalid")
      }))

    it.effect("after a lost commit only what it would have written is repeated, with the same keys", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 14)
        const expected = placesOf(yield* matching(category))
        const store = yield* CheckpointStore
        for (const [commitEvery, commit] of [[1, 2], [1, 6], [4, 3], [4, 5]] as const) {
          for (const when of ["before", "after"] as const) {
            const { positions, sent, sink } = makeSink()
            const reactor = sending(category, { commitEvery })
            yield* runOnce(reactor, { batchEvents: 9 }).pipe(
              Effect.provideService(CheckpointStore, losing(store, commit, when)),
              Effect.provideService(Sink, sink)
            )
            assert.deepStrictEqual(positions(), expected)
            const repeated = sent.length - expected.length
            assert.isAtMost(repeated, when === "before" ? commitEvery : 0)
            if (when === "before") assert.isAbove(repeated, 0)
            yield* assertComplete(reactor)
          }
        }
      }))

    it.effect("a reaction that fails is tried again with a higher attempt, and those beside it are not repeated", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 4, 12)
        const expected = placesOf(yield* matching(category))
        for (const concurrency of [1, 4]) {
          let failures = 2
          const { sent, sink } = makeSink(([item]) =>
            item?.position === expected[9] && failures-- > 0 ? Effect.fail(new SinkDown()) : Effect.void
          )
          const reactor = sending(category, { concurrency, commitEvery: 8 })
          yield* Effect.provideService(runOnce(reactor, SMALL), Sink, sink)
          assert.deepStrictEqual([...sentPlaces(sent)].sort((a, b) => a - b), expected)
          assert.deepStrictEqual(
            sent.filter(({ attempt }) => attempt !== 1).map(({ attempt, position }) => [position, attempt]),
            [[expected[9]!, 3]]
          )
          yield* assertComplete(reactor)
        }
      }))

    it.effect("reactions run beside each other, in order for each stream", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 12)
        let running = 0
        let most = 0
        const { sent, sink } = makeSink(([item]) =>
          Effect.gen(function*() {
            most = Math.max(most, ++running)
            // the earlier of two is the slower one, now and then
            yield* Effect.forEach(indexes(20 - item!.position % 20), () => Effect.yieldNow, { discard: true })
            running--
          })
        )
        const reactor = sending(category, { concurrency: 3, commitEvery: 15 })
        yield* Effect.provideService(runOnce(reactor), Sink, sink)
        assert.strictEqual(most, 2)
        const events = yield* matching(category)
        const order = new Map(sent.map(({ position }, index) => [position, index]))
        for (const stream of new Set(events.map(({ streamId }) => streamId))) {
          const places = events.filter(({ streamId }) => streamId === stream).map(({ position }) =>
            order.get(position)!
          )
          assert.deepStrictEqual(places, [...places].sort((a, b) => a - b))
        }
      }))

    it.effect("no end, a defect and a failure halt it before the event, or park it, and a replay goes on counting", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 6)
        const expected = placesOf(yield* matching(category))
        for (
          const [trouble, reason] of [
            [Effect.never, "HandlerTimedOut"],
            [Effect.die("secret"), "HandlerThrew"],
            [Effect.fail(new SinkDown()), "HandlerFailed"]
          ] as const
        ) {
          let isDown = true
          const { positions, sent, sink } = makeSink(([item]) =>
            isDown && item?.position === expected[3] ? trouble : Effect.void
          )
          const inSink = Effect.provideService(Sink, sink)
          const halting = sending(category, { timeout: 30 })
          const error = yield* Effect.flip(inSink(runOnce(halting, SMALL)))
          assert.strictEqual(error._tag === "ProjectionHalted" ? error.failure.reason : error._tag, reason)
          assert.deepStrictEqual(positions(), expected.slice(0, 3))
          sent.length = 0
          const parking = sending(category, { timeout: 30, onError: { action: "park" } })
          yield* inSink(runOnce(parking, SMALL))
          const parked = yield* ProjectionControl.listParked(parking)
          assert.strictEqual(parked[0]!.attempts, 3)
          assert.strictEqual(sent.length, expected.length - parked.length)
          isDown = false
          yield* inSink(ProjectionControl.replayParked(parking))
          assert.deepStrictEqual(
            sent.filter(({ attempt }) => attempt !== 1).map(({ attempt, position }) => [position, attempt]),
            [[expected[3]!, 4]]
          )
        }
      }))

    it.effect("it is not made to do again what it did, unless that is forced, and then from its own start", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 4)
        const { sent, sink } = makeSink()
        const inSink = Effect.provideService(Sink, sink)
        const reactor = sending(category, { from: "end" })
        yield* inSink(runOnce(reactor))
        yield* appendDeposits(category, 2, 3)
        yield* inSink(runOnce(reactor))
        const first = [...sent]
        const before = yield* checkpointOf(reactor)
        assert.strictEqual((yield* Effect.flip(ProjectionControl.reset(reactor)))._tag, "ReactorReplay")
        assert.deepStrictEqual(yield* checkpointOf(reactor), before)
        yield* ProjectionControl.reset(reactor, { force: true })
        yield* inSink(runOnce(reactor))
        assert.deepStrictEqual(sent, [...first, ...first])
        assert.deepStrictEqual(yield* checkpointOf(reactor), before)
        yield* assertComplete(reactor)
      }))

    it.effect("what does not meet its condition is seen, and leads to nothing", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 6)
        const { sent, sink } = makeSink()
        const reactor = sending(category, {
          when: (event) => event.type === "MoneyDeposited" && event.data.amount > 3
        })
        const checkpoint = yield* Effect.provideService(runOnce(reactor, SMALL), Sink, sink)
        assert.strictEqual(checkpoint.count, 8)
        assert.strictEqual(sent.length, 3)
        yield* assertComplete(reactor)
      }))

    it.effect("run follows the log, and stands by while it is paused", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 3)
        const { sent, sink } = makeSink()
        const reactor = sending(category)
        const fiber = yield* Effect.forkChild(
          Effect.provideService(run(reactor, { lease: 150 }), Sink, sink)
        )
        yield* waitFor(Effect.sync(() => sent.length), (count) => count === 5)
        yield* ProjectionControl.pause(reactor)
        yield* waitFor(ProjectionControl.describe(reactor), (found) => Option.getOrThrow(found).owner === undefined)
        yield* appendDeposits(category, 2, 2)
        yield* ProjectionControl.resume(reactor)
        yield* waitFor(Effect.sync(() => sent.length), (count) => count === 7)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(sentPlaces(sent), placesOf(yield* matching(category)))
      }))

    it.effect("options that make no sense are refused", () =>
      Effect.gen(function*() {
        const category = someCategory()
        for (
          const rest of indexes(4).map((index) =>
            [{ concurrency: 0 }, { commitEvery: 10_001 }, { timeout: 0 }, { concurrency: 1.5 }][index]!
          )
        ) {
          const error = yield* Effect.flip(
            Effect.provideService(runOnce(sending(category, rest)), Sink, makeSink().sink)
          )
          assert.strictEqual(error._tag, "ProjectionInvalid")
        }
        const later = sending(category, { from: "later" as "end" })
        const error = yield* Effect.flip(Effect.provideService(runOnce(later), Sink, makeSink().sink))
        assert.match(error.message, /from: expected/)
      }))
  })
}
