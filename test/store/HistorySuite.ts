/**
 * Random concurrent work, written down and judged by the history checker.
 */
import { assert } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import type { ProposedEvent, RecordedEvent } from "../../src/event/Event.ts"
import type { ExpectedRevision } from "../../src/event/Revision.ts"
import { type AppendAllOptions, EventStore } from "../../src/store/EventStore.ts"
import type { Append, Delivery, Following, Row, StreamRead } from "../checker/history.ts"
import { check } from "../checker/historyChecker.ts"
import { makeRandom, type Random } from "../checker/random.ts"
import {
  indexes,
  oneOf,
  proposed,
  readAll,
  readStream,
  someName,
  someOf,
  someStream,
  type StoreTests
} from "./fixtures.ts"

export const historyTests = (it: StoreTests): void => {
  for (const seed of [1, 2, 3]) {
    it.effect(`A1 to A6, S1 to S5, G1 to G6 and P1 hold for a random concurrent history (seed ${seed})`, () =>
      Effect.gen(function*() {
        const store = yield* EventStore
        const world: World = {
          before: (yield* store.head).position,
          streamIds: indexes(5).map(() => someStream()),
          tags: indexes(3).map(() => someName("tag")),
          appends: [],
          reads: [],
          followings: [],
          sent: []
        }
        const followers = yield* Effect.forEach(
          [
            makeFollower(world, "all", undefined, () => true),
            makeFollower(world, "tagged", { tags: [world.tags[0]!] }, (row) => row.tags.includes(world.tags[0]!)),
            makeFollower(
              world,
              "stream",
              { streamIds: [world.streamIds[1]!] },
              (row) => row.stream === world.streamIds[1]
            )
          ],
          (follower) => Effect.forkChild(follower.run(makeRandom(seed)))
        )
        yield* Effect.forEach(
          indexes(8),
          (process) => work(world, `p${process}`, makeRandom(seed * 100 + process), 20),
          { concurrency: "unbounded" }
        )
        yield* settle(world)
        yield* Effect.forEach(followers, Fiber.interrupt)
        const log = yield* readAll({ after: world.before })
        yield* finish(world)

        assert.deepStrictEqual(check({ ...world, log: log.map((event) => toRow(world, event)) }), [])
        const count = (outcome: Append["outcome"]) =>
          world.appends.filter((append) => append.outcome === outcome).length
        assert.isAbove(count("ok"), 40)
        assert.isAbove(count("fail"), 0)
        assert.isAbove(world.reads.length, 10)
        assert.isAbove(world.followings.length, 5)
      }))
  }
}

interface World {
  /** Position of the head when the world began; places in the history count from here. */
  readonly before: number
  readonly streamIds: ReadonlyArray<string>
  readonly tags: ReadonlyArray<string>
  readonly appends: Array<Append>
  readonly reads: Array<StreamRead>
  readonly followings: Array<Following>
  /** Appends that were not refused: what may be retried. */
  readonly sent: Array<{ readonly outcome: Append["outcome"]; readonly options: AppendAllOptions }>
}

const now = () => process.hrtime.bigint()

const toRow = ({ before }: World, event: RecordedEvent): Row => ({
  position: event.position - before,
  stream: event.streamId,
  revision: event.revision,
  id: event.id,
  digest: digestOf(event),
  tags: event.tags
})

const digestOf = ({ data, tags = [], type, version = 1 }: ProposedEvent): string =>
  JSON.stringify([type, version, data, tags.toSorted()])

/** One process: appends, retries and reads, one after another. */
const work = (world: World, process: string, random: Random, steps: number) =>
  Effect.forEach(indexes(steps), () => {
    if (random.chance(0.2)) return read(world, process, random)
    if (world.sent.length > 0 && random.chance(0.2)) {
      return send(world, process, random, oneOf(random, world.sent).options)
    }
    return Effect.flatMap(propose(world, random), (options) => send(world, process, random, options))
  })

const propose = (world: World, random: Random): Effect.Effect<AppendAllOptions, never, EventStore> =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const { position } = yield* Effect.orDie(store.head)
    const claim = (streamId: string): Effect.Effect<ExpectedRevision, never, EventStore> =>
      random.chance(0.5)
        ? Effect.succeed("any")
        : random.chance(0.1)
        ? Effect.succeed(random.int(5))
        : Effect.map(
          Effect.orDie(readStream(streamId, { direction: "backwards", limit: 1 })),
          ([last]) => last?.revision ?? "noStream"
        )
    const count = random.chance(0.7) ? 1 : 2 + random.int(2)
    const streamIds = someOf(random, world.streamIds, 1).toSorted(() => random.chance(0.5) ? 1 : -1).slice(0, count)
    const writes = yield* Effect.forEach(streamIds, (streamId) =>
      Effect.map(claim(streamId), (expected) => ({
        streamId,
        expected,
        events: indexes(1 + random.int(3)).map((index) =>
          proposed(`T${index}`, { data: { n: random.int(1_000) }, tags: someOf(random, world.tags, 0.3) })
        )
      })))
    const other = world.streamIds.find((streamId) => !streamIds.includes(streamId))
    const streamConditions = other !== undefined && random.chance(0.2)
      ? [{ streamId: other, expected: yield* claim(other) }]
      : []
    const condition = random.chance(0.25)
      ? { query: [{ tags: [oneOf(random, world.tags)] }], after: Math.max(world.before, position - random.int(3)) }
      : undefined
    return { writes, streamConditions, condition }
  })

const send = (world: World, process: string, random: Random, options: AppendAllOptions) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const invokedNs = now()
    const fiber = yield* Effect.forkChild(
      Effect.map(Effect.exit(store.appendAll(options)), (exit) => ({ exit, returnedNs: now() })),
      { startImmediately: true }
    )
    if (random.chance(0.15)) {
      yield* Effect.forEach(indexes(random.int(4)), () => Effect.yieldNow)
      yield* Fiber.interrupt(fiber)
    }
    const ended = yield* Fiber.await(fiber)
    const { exit, returnedNs } = Exit.isSuccess(ended) ? ended.value : { exit: undefined, returnedNs: now() }
    const outcome = exit === undefined || Exit.hasInterrupts(exit) ? "unknown" : Exit.isSuccess(exit) ? "ok" : "fail"
    const places = exit !== undefined && Exit.isSuccess(exit)
      ? exit.value.writes.flatMap((write) =>
        indexes(write.revision - write.firstRevision + 1).map((index) => ({
          revision: write.firstRevision + index,
          position: write.firstPosition + index - world.before
        }))
      )
      : []
    world.appends.push({
      process,
      invokedNs,
      returnedNs,
      outcome,
      events: options.writes.flatMap(({ events, streamId }) =>
        events.map((event) => ({ id: event.id!, stream: streamId, digest: digestOf(event) }))
      ).map((event, index) => ({ ...event, ...places[index] })),
      claims: [...options.writes, ...options.streamConditions ?? []]
        .map(({ expected, streamId }) => ({ stream: streamId, expected })),
      ...(options.condition === undefined
        ? {}
        : { condition: { tags: options.condition.query[0]!.tags!, after: options.condition.after - world.before } })
    })
    if (outcome !== "fail") world.sent.push({ outcome, options })
  })

const read = (world: World, process: string, random: Random) =>
  Effect.gen(function*() {
    const streamId = oneOf(random, world.streamIds)
    const [from, limit] = [random.int(4), oneOf(random, [undefined, 1 + random.int(5)])]
    const invokedNs = now()
    const events = yield* readStream(streamId, { from, limit })
    world.reads.push({
      process,
      stream: streamId,
      invokedNs,
      returnedNs: now(),
      from,
      ids: events.map((event) => event.id),
      isToEnd: limit === undefined || events.length < limit
    })
  })

/** Sends what may be recorded or not once more, so that nothing is on its way when the log is read. */
const settle = (world: World) =>
  Effect.forEach(
    world.sent.filter(({ outcome }) => outcome === "unknown"),
    ({ options }) => send(world, "settler", { ...makeRandom(0), chance: () => false }, options)
  )

/** Every follower reads on to the end from where it stopped. */
const finish = (world: World) =>
  Effect.gen(function*() {
    const store = yield* EventStore
    const { position } = yield* store.head
    for (const [subscription, lives] of Map.groupBy(world.followings, (life) => life.subscription)) {
      const last = lives.at(-1)!
      const after = last.deliveries.at(-1)?.position ?? last.after
      const events = yield* readAll({ after: after + world.before, until: position })
      const deliveries = events.filter((event) => last.matches(toRow(world, event)))
        .map((event) => ({ position: event.position - world.before, id: event.id, atNs: now() }))
      world.followings.push({
        subscription,
        incarnation: last.incarnation + 1,
        after,
        matches: last.matches,
        deliveries,
        reached: position - world.before
      })
    }
  })

/** Follows the log in lives of a few events each, from where the life before ended. */
const makeFollower = (
  world: World,
  subscription: string,
  filter: { readonly tags?: ReadonlyArray<string>; readonly streamIds?: ReadonlyArray<string> } | undefined,
  matches: Following["matches"]
) => ({
  run: (random: Random) =>
    Effect.gen(function*() {
      const store = yield* EventStore
      let after = 0
      for (let incarnation = 0; true; incarnation++) {
        const deliveries: Array<Delivery> = []
        world.followings.push({ subscription, incarnation, after, matches, deliveries })
        yield* store.subscribe({ after: after + world.before, filter }).pipe(
          Stream.take(1 + random.int(12)),
          Stream.runForEach((event) =>
            Effect.sync(() => {
              deliveries.push({ position: event.position - world.before, id: event.id, atNs: now() })
            })
          )
        )
        after = deliveries.at(-1)?.position ?? after
      }
    })
})
