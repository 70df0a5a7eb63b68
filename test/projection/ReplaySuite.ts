/**
 * What replaying a part of the log promises: one text for all storages.
 */
import { assert, it } from "@effect/vitest"
import { Clock, DateTime, Deferred, Effect, Fiber, Layer, Option, Stream } from "effect"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import {
  EventReplay,
  Projection,
  ProjectionDiff,
  ProjectionRebuild,
  ProjectionRunner,
  Reactor
} from "../../src/projection/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { append, head, idsOf, proposedMany, readAll, someCategory, unique } from "../store/fixtures.ts"
import { allStates, appendAccounts, appendDeposits, balances, eventsOf, foldBalances, types } from "./fixtures.ts"

const { runOnce } = ProjectionRunner

/** A store beside the one under test. */
const otherStore = Effect.map(Layer.build(Layer.fresh(MemoryEventStore.layer)), (context) => context)

const openOther = Effect.map(otherStore, (context) => Effect.runSync(EventStore.pipe(Effect.provide(context))))

/** Replays to a handler and gives the ids that it got, in their order. */
const collect = (options: EventReplay.MarkedOptions) =>
  Effect.gen(function*() {
    const ids: Array<string> = []
    const report = yield* EventReplay.toHandler(({ id }) => Effect.sync(() => ids.push(id)), options)
    return { ids, report }
  })

/** Registers the tests for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`EventReplay (${storage})`, (it) => {
    it.effect("a replay delivers the events of the range that match, each one once, in order of position", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 10)
        const events = yield* eventsOf(category)
        const filter = { categories: [category] }
        const all = yield* collect({ filter })
        assert.deepStrictEqual(all.ids, idsOf(events))
        assert.deepStrictEqual(all.report, { events: 22, after: 0, position: yield* head } as never)
        const [from, to] = [events[3]!.position, events[9]!.position]
        for (const batchEvents of [1, 3, 10_000]) {
          const part = yield* collect({ filter, from, to, batchEvents })
          assert.deepStrictEqual(part.ids, idsOf(events.slice(3, 10)))
          assert.deepStrictEqual(part.report, { events: 7, after: from - 1, position: to } as never)
          assert.deepStrictEqual(
            idsOf(yield* Stream.runCollect(EventReplay.stream({ filter, from, to, batchEvents }))),
            part.ids
          )
        }
        const typed = yield* collect({ filter: { ...filter, types: ["AccountOpened"] } })
        assert.strictEqual(typed.ids.length, 2)
        const none = yield* collect({ filter, from: events[21]!.position + 1 })
        assert.strictEqual(none.report.events, 0)
        assert.deepStrictEqual((yield* collect({ filter, to: 0 })).ids, [])
      }))

    it.effect("a range of time is replayed", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 3)
        const events = yield* eventsOf(category)
        const middle = events[2]!.recordedAt
        const { ids } = yield* collect({ filter: { categories: [category], recordedFrom: middle } })
        const later = events.filter(({ recordedAt }) => recordedAt.epochMilliseconds >= middle.epochMilliseconds)
        assert.deepStrictEqual(ids, idsOf(later))
        const before = yield* collect({ filter: { categories: [category], recordedBefore: middle } })
        assert.strictEqual(before.ids.length + ids.length, events.length)
      }))

    it.effect("a dry run counts what a replay would deliver, and delivers nothing", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 5)
        const events = yield* eventsOf(category)
        const plan = yield* EventReplay.plan({ filter: { categories: [category] } })
        const place = (index: number) => ({ position: events[index]!.position, recordedAt: events[index]!.recordedAt })
        assert.deepStrictEqual(plan, {
          events: 12,
          streams: 2,
          types: { Ignored: 5, MoneyDeposited: 5, AccountOpened: 2 },
          first: place(0),
          last: place(11)
        })
        assert.deepStrictEqual(Object.keys(plan.types), ["Ignored", "MoneyDeposited", "AccountOpened"])
        const nothing = yield* EventReplay.plan({ filter: { categories: [someCategory()] } })
        assert.deepStrictEqual(nothing, { events: 0, streams: 0, types: {}, first: undefined, last: undefined })
      }))

    it.effect("a replay under a name goes on where it was stopped, by a failure or an interruption", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 20)
        const events = yield* eventsOf(category)
        const options = { filter: { categories: [category] }, checkpoint: `replay ${unique()}`, batchEvents: 7 }
        const seen: Array<string> = []
        const until = (limit: number) =>
          EventReplay.toHandler(({ id }) => {
            if (seen.length === limit) return Effect.fail("enough" as const)
            return Effect.sync(() => seen.push(id))
          }, options)
        assert.strictEqual(yield* Effect.flip(until(11)), "enough")
        const stuck = yield* Effect.forkChild(
          EventReplay.toHandler(({ id }) => {
            if (seen.length === 25) return Effect.never
            return Effect.sync(() => seen.push(id))
          }, options)
        )
        while (seen.length < 25) yield* Effect.yieldNow
        const held = yield* Effect.flip(until(1_000))
        assert.strictEqual(typeof held === "string" ? held : held._tag, "LeaseHeld")
        yield* Fiber.interrupt(stuck)
        const report = yield* until(1_000)
        assert.deepStrictEqual(seen, idsOf(events))
        assert.strictEqual(report.events, events.length - 25)
        assert.strictEqual((yield* until(1_000)).events, 0)
        yield* appendDeposits(category, 1, 1)
        assert.strictEqual((yield* until(1_000)).events, 2)
        const other = yield* Effect.flip(collect({ ...options, from: 2 }))
        assert.strictEqual(other._tag, "ReplayInvalid")
        assert.include(other.message, "take another name")
      }))

    it.effect("how far a replay has come is written down each second, however long a batch takes", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 20)
        const events = yield* eventsOf(category)
        const name = `replay ${unique()}`
        const clock = yield* Clock.Clock
        let millis = clock.currentTimeMillisUnsafe()
        // each event takes 600 ms
        const slow: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
          currentTimeMillisUnsafe: () => millis,
          currentTimeMillis: Effect.sync(() => millis)
        })
        const written: Array<number> = []
        const store = yield* CheckpointStore
        const noting: CheckpointStore["Service"] = {
          ...store,
          commit: (lease, commit) =>
            Effect.tap(store.commit(lease, commit), Effect.sync(() => written.push(commit.to.position)))
        }
        yield* EventReplay.toHandler(() => Effect.sync(() => void (millis += 600)), {
          filter: { categories: [category] },
          checkpoint: name
        }).pipe(Effect.provideService(Clock.Clock, slow), Effect.provideService(CheckpointStore, noting))
        assert.isAtLeast(written.length, events.length / 2)
        assert.isTrue(written.slice(0, -1).every((position) => events.some((event) => event.position === position)))
      }))

    it.effect("a replay and a projection of one name do not know each other", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 3)
        const projection = balances(category)
        const options = { filter: { categories: [category] }, checkpoint: projection.name }
        yield* collect(options)
        yield* runOnce(projection)
        assert.strictEqual((yield* collect(options)).report.events, 0)
        const checkpoints = yield* CheckpointStore
        const names = (yield* checkpoints.list).filter(EventReplay.isCheckpoint).map(({ name }) => name)
        assert.include(names, `replay:${projection.name}`)
        assert.notInclude(names, projection.name)
      }))

    it.effect("progress says how far a replay is, and it ends where the log ended when it began", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* append(`${category}-1`, "noStream", proposedMany(20))
        const end = yield* head
        const told: Array<EventReplay.ReplayProgress> = []
        yield* EventReplay.toHandler(() => append(`${category}-2`, "any", proposedMany(1)), {
          filter: { categories: [category] },
          batchEvents: 8,
          onProgress: (progress) => Effect.sync(() => told.push(progress))
        })
        assert.deepStrictEqual(told.map(({ events }) => events), [8, 16, 20])
        assert.isTrue(told.every((progress) => progress.end === end))
        assert.strictEqual(told.at(-1)!.position, end)
      }))

    it.effect("another store gets the events with their ids, once, however often and in whatever pieces", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 12)
        const events = yield* eventsOf(category)
        const target = yield* openOther
        const filter = { categories: [category] }
        for (const batchEvents of [5, 3, 500]) yield* EventReplay.toStore(target, { filter, batchEvents })
        const inTarget = yield* readAll().pipe(Effect.provideService(EventStore, target))
        assert.deepStrictEqual(idsOf(inTarget), idsOf(events))
        assert.deepStrictEqual(
          inTarget.map(({ data, streamId, tags, type, version }) => ({ data, streamId, tags, type, version })),
          events.map(({ data, streamId, tags, type, version }) => ({ data, streamId, tags, type, version }))
        )
        assert.strictEqual(inTarget[0]!.metadata["recordedAt"], DateTime.formatIso(events[0]!.recordedAt))
        const prefixed = yield* openOther
        const report = yield* EventReplay.toStore(prefixed, { filter, streamPrefix: "copy" })
        assert.strictEqual(report.events, events.length)
        const copies = yield* readAll().pipe(Effect.provideService(EventStore, prefixed))
        assert.deepStrictEqual(
          copies.map(({ streamId }) => streamId),
          events.map(({ streamId }) => `copy${streamId}` as never)
        )
        const itself = yield* EventStore
        assert.strictEqual((yield* Effect.flip(EventReplay.toStore(itself, { filter })))._tag, "ReplayInvalid")
        yield* target.append({ streamId: "x-1", expected: "any", events: [{ type: "Other", data: 1 }] })
        const [first] = events
        const clash = yield* openOther
        yield* clash.append({ streamId: "x-1", expected: "any", events: [{ id: first!.id, type: "Other", data: 1 }] })
        assert.strictEqual((yield* Effect.flip(EventReplay.toStore(clash, { filter })))._tag, "IdempotencyConflict")
      }))

    it.effect("a projection of a part of the log is made beside what is live, and can never become live", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 30)
        const events = yield* eventsOf(category)
        const projection = balances(category)
        yield* runOnce(projection)
        const before = yield* allStates(projection)
        const [from, to] = [events[5]!.position, events[40]!.position]
        const streamId = events[5]!.streamId
        const { build } = yield* EventReplay.toProjection(projection, { from, to, filter: { streamIds: [streamId] } })
        const part = events.filter((event) =>
          event.position >= from && event.position <= to && event.streamId === streamId
        )
        assert.deepStrictEqual(yield* allStates(Projection.withBuild(projection, build.build)), foldBalances(part))
        assert.deepStrictEqual(yield* allStates(projection), before)
        const { isSame } = yield* ProjectionDiff.diff(projection, Projection.withBuild(projection, build.build))
        assert.isFalse(isSame)
        assert.strictEqual((yield* Effect.flip(ProjectionRebuild.swap(projection)))._tag, "ProjectionChanged")
        assert.strictEqual(yield* ProjectionRebuild.cancel(projection), 1)
        assert.deepStrictEqual(yield* allStates(projection), before)
      }))

    it.effect("a build is found for its swap and its comparison among builds of replays, whatever their numbers", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 6)
        const projection = balances(category)
        yield* runOnce(projection)
        const older = yield* EventReplay.toProjection(projection, { to: 1 })
        const replayed = yield* EventReplay.toProjection(projection, { to: 1 })
        const checkpoints = yield* CheckpointStore
        yield* checkpoints.removeBuild(older.build)
        const { build } = yield* ProjectionRebuild.build(projection)
        assert.isBelow(build.build, replayed.build.build)
        const { after } = yield* ProjectionDiff.diffBuilds(projection)
        assert.deepStrictEqual(after.build, build)
        yield* EventReplay.toProjection(projection, { to: 1 })
        assert.deepStrictEqual((yield* ProjectionRebuild.swap(projection)).build, build)
      }))

    it.effect("a replay to a projection tells its progress, and leaves nothing behind when it is stopped", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 20)
        const projection = balances(category)
        yield* runOnce(projection)
        const { position: end } = yield* EventStore.use((store) => store.head)
        const told: Array<number> = []
        const onProgress = ({ position }: { readonly position: number }) => Effect.sync(() => void told.push(position))
        yield* EventReplay.toProjection(projection, { onProgress })
        assert.strictEqual(told.at(-1), end)
        assert.strictEqual(yield* ProjectionRebuild.cancel(projection), 1)
        const builds = Effect.flatMap(CheckpointStore, (store) => store.listBuilds(projection.name))
        const replay = yield* Effect.forkChild(
          EventReplay.toProjection(projection, { batchEvents: 1, onProgress: () => Effect.never })
        )
        while ((yield* builds).length < 2) yield* Effect.sleep(5)
        yield* Fiber.interrupt(replay)
        assert.deepStrictEqual((yield* builds).map(({ status }) => status), ["current"])
      }))

    it.effect("a replay to a projection with a checkpoint goes on with its build, each event applied once", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 3, 20)
        const projection = balances(category)
        yield* runOnce(projection)
        const to = (yield* head) - 3
        const range = { to, batchEvents: 4, filter: { types: ["AccountOpened", "MoneyDeposited"] } }
        const options = { ...range, checkpoint: `replay ${unique()}` }
        const building = Effect.flatMap(CheckpointStore, (store) =>
          Effect.map(
            store.listBuilds(projection.name),
            (builds) => builds.filter(({ status }) => status === "building")
          ))
        const reached = yield* Deferred.make<number>()
        const replay = yield* Effect.forkChild(EventReplay.toProjection(projection, {
          ...options,
          onProgress: ({ position }) => Effect.andThen(Deferred.succeed(reached, position), Effect.never)
        }))
        const position = yield* Deferred.await(reached)
        assert.isBelow(position, to)
        const busy = yield* Effect.flip(EventReplay.toProjection(projection, options))
        assert.strictEqual(busy._tag, "LeaseHeld")
        yield* Fiber.interrupt(replay)
        const [left] = yield* building
        const found = Option.getOrThrow(yield* CheckpointStore.use((store) => store.find(left!)))
        assert.strictEqual(found.checkpoint.position, position)
        const other = yield* Effect.flip(EventReplay.toProjection(projection, { ...options, to: to - 1 }))
        assert.strictEqual(other._tag, "ReplayInvalid")
        const told: Array<number> = []
        const onProgress = (progress: { readonly position: number }) =>
          Effect.sync(() => void told.push(progress.position))
        const { build, checkpoint } = yield* EventReplay.toProjection(projection, { ...options, onProgress })
        assert.strictEqual(build.build, left!.build)
        assert.isTrue(told.length > 0 && told.every((at) => at > position))
        const events = (yield* eventsOf(category)).filter((event) => event.position <= to)
        assert.deepStrictEqual(yield* allStates(Projection.withBuild(projection, build.build)), foldBalances(events))
        // nothing is left to do, unless the build was removed
        assert.deepStrictEqual(yield* EventReplay.toProjection(projection, options), { build, checkpoint })
        assert.strictEqual((yield* building).length, 1)
        assert.strictEqual(yield* ProjectionRebuild.cancel(projection), 1)
        const again = yield* EventReplay.toProjection(projection, options)
        assert.deepStrictEqual(again.checkpoint, checkpoint)
        assert.strictEqual(yield* ProjectionRebuild.cancel(projection), 1)
      }))

    it.effect("a plan for a projection counts what that one would be shown", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 2, 6)
        const range = { filter: { categories: [category] } }
        const all = yield* EventReplay.plan(range)
        const shown = yield* EventReplay.plan(range, balances(category))
        assert.deepStrictEqual(all.types, { ...shown.types, Ignored: 6 })
        assert.strictEqual(shown.events, all.events - 6)
        assert.strictEqual(shown.events, (yield* EventReplay.toProjection(balances(category), range)).checkpoint.count)
        assert.strictEqual((yield* EventReplay.plan({}, balances(someCategory()))).events, 0)
      }))

    it.effect("a reactor reacts again only when that is forced, with the dedupe keys that it had", () =>
      Effect.gen(function*() {
        const category = someCategory()
        yield* appendAccounts(category, 1, 5)
        const keys: Array<string> = []
        let isBroken = false
        const reactor = Reactor.make({
          name: `reactor ${unique()}`,
          events: types,
          where: { categories: [category] },
          from: "start",
          react: ({ type }, { dedupeKey }) =>
            isBroken && type === "MoneyDeposited" ? Effect.fail("no") : Effect.sync(() => keys.push(dedupeKey))
        })
        yield* runOnce(reactor)
        const first = keys.splice(0)
        assert.strictEqual(first.length, 6)
        const refused = yield* Effect.flip(EventReplay.toReactor(reactor, { force: false }))
        assert.strictEqual(refused._tag, "ReactorReplay")
        assert.deepStrictEqual(keys, [])
        yield* EventReplay.toReactor(reactor, { force: true })
        assert.deepStrictEqual(keys.splice(0), first)
        isBroken = true
        const failed = yield* Effect.flip(EventReplay.toReactor(reactor, { force: true }))
        assert.strictEqual(failed._tag, "EventFailed")
        assert.strictEqual(keys.length, 1)
        yield* runOnce(reactor)
        assert.strictEqual(keys.length, 1)
      }))

    it.effect("what makes no sense is refused before anything is replayed", () =>
      Effect.gen(function*() {
        yield* append(`${someCategory()}-1`, "noStream", proposedMany(1))
        const wrong: ReadonlyArray<EventReplay.MarkedOptions> = [
          { from: 0 },
          { from: 1.5 },
          { to: -1 },
          { batchEvents: 0 },
          { batchEvents: 10_001 },
          { speed: { factor: 0 } },
          { speed: { factor: Number.POSITIVE_INFINITY } },
          { speed: { eventsPerSecond: Number.NaN } },
          { checkpoint: "" },
          { checkpoint: "x".repeat(501) }
        ]
        for (const options of wrong) {
          assert.strictEqual((yield* Effect.flip(collect(options)))._tag, "ReplayInvalid")
        }
        assert.strictEqual((yield* Effect.flip(collect({ filter: { types: [] } })))._tag, "InvalidInput")
        const ahead = yield* collect({ from: (yield* head) + 10 })
        assert.strictEqual(ahead.report.events, 0)
      }))
  })
}
