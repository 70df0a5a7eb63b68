/**
 * One script of appends, told to every body of the append and to every storage:
 * all answer the same, and record the same log.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Result, type Scope, Stream } from "effect"
import * as Context from "effect/Context"
import type { ProposedEvent, RecordedEvent } from "../../src/event/Event.ts"
import type { ExpectedRevision } from "../../src/event/Revision.ts"
import { layer as layerMemoryStore } from "../../src/memory/MemoryEventStore.ts"
import { layerPglite } from "../../src/runtime/EventStoreLayer.ts"
import { type AppendAllOptions, EventStore, type StreamWrite } from "../../src/store/EventStore.ts"
import { makeRandom, type Random } from "../checker/random.ts"
import { indexes, oneOf, someOf } from "../store/fixtures.ts"
import { makeDatabase } from "../support/postgres.ts"
import { servers } from "../support/servers.ts"
import { waitFor } from "../support/waitFor.ts"
import { openSql, openStore, runAll, wholeLog } from "./fixtures.ts"

type Store = EventStore["Service"]

/** Requests that are made at once, in this order; then streams that end. */
interface Round {
  readonly requests: ReadonlyArray<AppendAllOptions>
  readonly tombstones: ReadonlyArray<string>
}

const STREAMS = indexes(8).map((n) => `s-${n}`)
const TAGS = ["a:1", "b:2", "c:3", "d:4"]
const TYPES = ["A", "B", "C"]

const someId = (random: Random): string => {
  const hex = (length: number) => indexes(length).map(() => random.int(16).toString(16)).join("")
  return `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`
}

const someEvent = (random: Random, tags: ReadonlyArray<string>): ProposedEvent => ({
  id: someId(random),
  type: oneOf(random, TYPES),
  version: 1 + random.int(2),
  data: { n: random.int(100) },
  tags: someOf(random, tags, 0.3)
})

const someExpected = (random: Random): ExpectedRevision =>
  random.chance(0.5) ? "any" : oneOf<ExpectedRevision>(random, ["noStream", "streamExists", 0, 1, 2, 3, 5, 8])

const someWrite = (random: Random, streamId: string, tags: ReadonlyArray<string>): StreamWrite => ({
  streamId,
  expected: someExpected(random),
  events: indexes(1 + random.int(3)).map(() => someEvent(random, tags))
})

/** The same request again, or less, or more of it. */
const again = (random: Random, old: AppendAllOptions): AppendAllOptions => {
  const [write, ...rest] = old.writes
  if (random.chance(0.6)) return old
  const events = random.chance(0.5) && write!.events.length > 1
    ? write!.events.slice(1)
    : [...write!.events, someEvent(random, TAGS)]
  return { ...old, writes: [{ ...write!, events }, ...rest] }
}

/** Many single writes, each to another stream, that do not meet: what the set body takes. */
const manySingle = (
  random: Random,
  round: number,
  head: number,
  told: ReadonlyArray<AppendAllOptions>
): ReadonlyArray<AppendAllOptions> => {
  const used = new Set<string>()
  return indexes(12 + random.int(28)).map((n) => {
    const old = random.chance(0.2) ? random.pick(told) : undefined
    const streamId = old?.writes[0]!.streamId ?? (random.chance(0.1) ? "hot-1" : `own-${n}`)
    if (old !== undefined && !used.has(streamId)) {
      used.add(streamId)
      return again(random, old)
    }
    if (streamId === "hot-1" || used.has(`own-${n}`)) {
      return { writes: [{ ...someWrite(random, "hot-1", []), expected: "any" }] }
    }
    used.add(`own-${n}`)
    return {
      writes: [someWrite(random, `own-${n}`, [`p:${round % 4}`])],
      // of events of another round
      ...(random.chance(0.2)
        ? {
          condition: {
            after: random.int(head),
            query: [{ tags: [random.chance(0.5) ? "never:1" : `p:${(round + 2) % 4}`] }]
          }
        }
        : {})
    }
  })
}

/** A few requests on a few streams, of all sorts, that meet in every way. */
const fewOfAllSorts = (
  random: Random,
  head: number,
  told: ReadonlyArray<AppendAllOptions>
): ReadonlyArray<AppendAllOptions> =>
  indexes(1 + random.int(14)).map(() => {
    const old = random.chance(0.15) ? random.pick(told) : undefined
    if (old !== undefined) return again(random, old)
    const count = random.chance(0.7) ? 1 : 2 + random.int(2)
    const first = random.int(STREAMS.length)
    const streamAt = (n: number) => STREAMS[(first + n) % STREAMS.length]!
    const types = random.chance(0.5) ? { types: [oneOf(random, TYPES)] } : {}
    const tags = [...new Set([oneOf(random, TAGS), ...someOf(random, TAGS, 0.3)])]
    return {
      writes: indexes(count).map((n) => someWrite(random, streamAt(n), TAGS)),
      ...(random.chance(0.2)
        ? { streamConditions: [{ streamId: streamAt(count), expected: someExpected(random) }] }
        : {}),
      ...(random.chance(0.25)
        ? { condition: { after: random.chance(0.3) ? 0 : random.int(head), query: [{ ...types, tags }] } }
        : {})
    }
  })

/**
 * A script that a seed repeats. Retries, also in part and with other content,
 * are of requests in it, whether those succeeded or not.
 */
const someScript = (random: Random, rounds: number): ReadonlyArray<Round> => {
  const single: Array<AppendAllOptions> = []
  const all: Array<AppendAllOptions> = []
  return indexes(rounds).map((round) => {
    // no more than the log surely has by now
    const head = 1 + 3 * round
    const requests = round % 2 === 0 ? manySingle(random, round, head, single) : fewOfAllSorts(random, head, all)
    if (round % 2 === 0) single.push(...requests)
    all.push(...requests)
    const tombstones = round % 7 === 5 ? [oneOf(random, STREAMS)] : round % 7 === 6 ? [`own-${random.int(12)}`] : []
    return { requests, tombstones }
  })
}

/** Tells the script to a store; gives every answer and the log, without times. */
const tell = (store: Store, script: ReadonlyArray<Round>, concurrency: "unbounded" | 1) =>
  Effect.gen(function*() {
    const answers: Array<unknown> = []
    for (const { requests, tombstones } of script) {
      const results = yield* Effect.forEach(requests, (request) => Effect.result(store.appendAll(request)), {
        concurrency
      })
      answers.push(
        ...results.map((result) => Result.isSuccess(result) ? result.success : { ...result.failure as object })
      )
      for (const streamId of tombstones) {
        const exit = yield* Effect.exit(store.tombstone(streamId))
        answers.push(Exit.isSuccess(exit))
      }
    }
    const streams = yield* store.listStreams({ limit: 10_000 })
    return {
      answers,
      log: (yield* wholeLog(store)).map(withoutTime),
      streams: streams.streams.map(({ firstRecordedAt: _first, lastRecordedAt: _last, ...rest }) => rest)
    }
  })

const withoutTime = ({ recordedAt: _, ...rest }: RecordedEvent) => rest

const build = <E>(layer: Layer.Layer<EventStore, E>): Effect.Effect<Store, E, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, EventStore))

for (const server of servers) {
  describe(`differential (${server.label})`, () => {
    for (const seed of [1, 2, 3]) {
      it.live(`one by one, all at once and in memory, a script of appends has the same answers and makes the same log (seed ${seed})`, () =>
        Effect.gen(function*() {
          const script = someScript(makeRandom(seed), 28)
          const expected = yield* tell(yield* build(layerMemoryStore), script, 1)
          const [one, all] = [yield* makeDatabase(server.admin), yield* makeDatabase(server.admin)]
          const sql = yield* openSql(all)
          yield* runAll(sql, [`ALTER DATABASE ${new URL(all).pathname.slice(1)} SET track_functions = 'pl'`])

          const oneByOne = yield* Effect.scoped(Effect.flatMap(openStore(one), ({ store }) => tell(store, script, 1)))
          const atOnce = yield* Effect.scoped(
            Effect.flatMap(
              openStore(all),
              ({ admin, store }) =>
                Effect.tap(
                  tell(store, script, "unbounded"),
                  () => Effect.map(admin.verifyLog, (faults) => assert.deepStrictEqual(faults, []))
                )
            )
          )

          assert.deepStrictEqual(oneByOne, expected)
          assert.deepStrictEqual(atOnce, expected)
          // both bodies were asked, and every kind of answer was given
          yield* waitFor(
            sql`SELECT funcname, calls::int FROM pg_stat_user_functions WHERE funcname IN ('append_each', 'append_many')`
              .values,
            (rows) => rows.filter(([, calls]) => Number(calls) > 4).length === 2
          )
          const kinds = new Set(
            expected.answers.map((answer) =>
              (answer as { readonly _tag?: string; readonly alreadyAppended?: boolean })._tag ??
                (answer as { readonly alreadyAppended?: boolean }).alreadyAppended
            )
          )
          for (
            const kind of [
              true,
              false,
              "RevisionConflict",
              "AppendConditionFailed",
              "IdempotencyConflict",
              "StreamTombstoned"
            ]
          ) assert.isTrue(kinds.has(kind as never), String(kind))
        }))
    }
  })
}

describe("differential (pglite)", () => {
  it.live("an embedded store answers as memory does, one by one and all at once", () =>
    Effect.gen(function*() {
      const script = someScript(makeRandom(4), 14)
      const expected = yield* tell(yield* build(layerMemoryStore), script, 1)
      assert.deepStrictEqual(yield* tell(yield* build(layerPglite()), script, 1), expected)
      assert.deepStrictEqual(yield* tell(yield* build(layerPglite()), script, "unbounded"), expected)
    }))

  it.live("a stream is read the same from memory and from an embedded store", () =>
    Effect.gen(function*() {
      const script = someScript(makeRandom(5), 6)
      const [memory, embedded] = [yield* build(layerMemoryStore), yield* build(layerPglite())]
      yield* tell(memory, script, 1)
      yield* tell(embedded, script, "unbounded")
      for (const { streamId } of (yield* memory.listStreams({ limit: 10_000 })).streams) {
        const [a, b] = yield* Effect.forEach([memory, embedded], (store) =>
          Effect.map(
            Effect.result(Stream.runCollect(store.readStream(streamId, { direction: "backwards" }))),
            (result) => Result.isSuccess(result) ? result.success.map(withoutTime) : result.failure._tag
          ))
        assert.deepStrictEqual(a, b)
      }
    }))
})
