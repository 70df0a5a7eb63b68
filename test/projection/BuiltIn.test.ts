import { assert, it, layer as describeLayer } from "@effect/vitest"
import { DateTime, Effect, Layer, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { EventType } from "../../src/event/index.ts"
import { utf8SizeBytes } from "../../src/event/Name.ts"
import * as MemoryCheckpointStore from "../../src/memory/MemoryCheckpointStore.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { PgCheckpointStore, PgEventStore } from "../../src/postgres/index.ts"
import { BuiltIn, Projection, ProjectionRunner, ProjectionState } from "../../src/projection/index.ts"
import type { StateProjection } from "../../src/projection/Projection.ts"
import { layerPglite } from "../../src/runtime/index.ts"
import type { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { append, indexes, proposed, readAll, someName, someStream, unique } from "../store/fixtures.ts"
import { layerDatabase, servers } from "../support/servers.ts"
import { assertComplete, SMALL } from "./fixtures.ts"

/** Names that break what treats them as anything but names. */
const HOSTILE = ["__proto__", "constructor", "toString", "a\"b'c`d", "Ünïcode-Œvent", "x".repeat(512)]

const runAll = Effect.forEach(BuiltIn.all, (projection) => ProjectionRunner.runOnce(projection, SMALL))

const statesOf = <State>(projection: StateProjection<State>) =>
  Effect.map(
    ProjectionState.list(projection, { limit: 10_000 }),
    (states) => new Map(states.map(({ key, state }) => [key, state]))
  )

/** Groups events of the whole log by a key of theirs. */
const grouped = <A>(events: ReadonlyArray<A>, key: (event: A) => string): ReadonlyMap<string, ReadonlyArray<A>> => {
  const groups = new Map<string, Array<A>>()
  for (const event of events) groups.set(key(event), [...(groups.get(key(event)) ?? []), event])
  return groups
}

const suite = <E>(storage: string, layer: Layer.Layer<EventStore | CheckpointStore, E>) =>
  describeLayer(layer, { timeout: "60 seconds", excludeTestServices: true })(
    `built-in projections (${storage})`,
    (it) => {
      it.effect("are the fold of the log, whatever its types, streams and versions are", () =>
        Effect.gen(function*() {
          for (const [index, name] of HOSTILE.entries()) {
            yield* append(someStream(), "any", [
              proposed(name, { version: index + 1, data: { name, text: "é€𝄞" } }),
              proposed(name),
              proposed("Plain", { data: null })
            ])
          }
          for (const streamId of ["-dash-first", "c".repeat(512), "__proto__-1", "constructor"]) {
            yield* append(streamId, "any", [proposed("Plain"), proposed("Plain", { data: [1, 2] })])
          }
          yield* runAll

          const log = yield* readAll()
          const extent = (events: ReadonlyArray<(typeof log)[number]>) => ({
            events: events.length,
            firstPosition: events[0]!.position as number,
            lastPosition: events.at(-1)!.position as number,
            firstAt: DateTime.formatIso(events[0]!.recordedAt),
            lastAt: DateTime.formatIso(events.at(-1)!.recordedAt)
          })
          const shares = (names: ReadonlyArray<string>) =>
            Array.from(grouped(names, (name) => name), ([name, all]) => ({ name, events: all.length }))

          const types = yield* statesOf(BuiltIn.eventTypeCounts)
          const byType = grouped(log, ({ type }) => type)
          assert.deepStrictEqual([...types.keys()].sort(), [...byType.keys()].sort())
          for (const [type, events] of byType) {
            const versions = events.map(({ version }) => version)
            assert.deepStrictEqual(types.get(type), {
              ...extent(events),
              oldestVersion: Math.min(...versions),
              newestVersion: Math.max(...versions)
            })
          }

          const streams = yield* statesOf(BuiltIn.streamActivity)
          const byStream = grouped(log, ({ streamId }) => streamId)
          assert.strictEqual(streams.size, byStream.size)
          for (const [streamId, events] of byStream) {
            assert.deepStrictEqual(streams.get(streamId), {
              ...extent(events),
              category: streamId.split("-")[0]!,
              lastType: events.at(-1)!.type,
              types: shares(events.map(({ type }) => type)),
              otherTypes: 0
            })
          }

          const categories = yield* statesOf(BuiltIn.categoryStatistics)
          const byCategory = grouped(log, ({ streamId }) => streamId.split("-")[0] || "-")
          assert.strictEqual(categories.size, byCategory.size)
          for (const [category, events] of byCategory) {
            const sizes = events.map(({ data }) => utf8SizeBytes(JSON.stringify(data)))
            const { days, longestStream, ...state } = categories.get(category)!
            assert.deepStrictEqual(state, {
              ...extent(events),
              streams: new Set(events.map(({ streamId }) => streamId)).size,
              dataBytes: sizes.reduce((sum, size) => sum + size, 0),
              largestEventBytes: Math.max(...sizes),
              longestStreamEvents: Math.max(...events.map(({ revision }) => revision + 1)),
              earlierEvents: 0
            })
            assert.include(events.map(({ streamId }) => streamId as string), longestStream)
            assert.deepStrictEqual(
              days,
              shares(events.map(({ recordedAt }) => DateTime.formatIsoDateUtc(recordedAt))).map(({ events, name }) => ({
                day: name,
                events
              }))
            )
          }
          for (const projection of BuiltIn.all) yield* assertComplete(projection)
        }))

      it.effect("of errors finds them by type, data and metadata, with the last message", () =>
        Effect.gen(function*() {
          const type = (ending: string) => `${unique()}${ending}`
          const [failed, rejected, plain, byData, byMetadata] = [
            type("Failed"),
            type("REJECTED"),
            type("Happened"),
            type("Called"),
            type("Sent")
          ]
          const streamId = someStream("payment")
          const long = `\u001b[31m${"𝄞".repeat(400)}\u0000\nend`
          yield* append(streamId, "any", [
            proposed(failed, { data: { reason: "no money" } }),
            proposed(rejected, { data: "text" }),
            proposed(plain, { data: { error: null, message: "fine" }, metadata: { error: false } }),
            proposed(byData, { data: { error: { message: long } } }),
            proposed(byMetadata, { metadata: { exception: "Boom" } }),
            proposed(failed, { data: {} })
          ])
          yield* runAll
          const states = yield* statesOf(BuiltIn.errors)
          assert.isUndefined(states.get(plain))
          const messages = [failed, rejected, byData, byMetadata].map((type) => states.get(type)!.lastMessage)
          assert.deepStrictEqual([messages[0], messages[1], messages[3]], ["no money", "", "Boom"])
          assert.match(messages[2]!, /^\[31m𝄞+/u)
          assert.isTrue(messages[2]!.isWellFormed() && messages[2]!.length <= 500)
          assert.notMatch(messages[2]!, /\p{Cc}/u)
          const { categories, days, events, lastRevision, lastStream } = states.get(failed)!
          assert.deepStrictEqual([events, lastRevision, lastStream], [2, 5, streamId])
          assert.deepStrictEqual(categories, [{ name: "payment", events: 2 }])
          assert.strictEqual(days.reduce((sum, day) => sum + day.events, 0), 2)
          yield* assertComplete(BuiltIn.errors)
        }))

      it.effect("of errors can be told other words", () =>
        Effect.gen(function*() {
          const [lost, failed] = [`${unique()}Lost`, `${unique()}Failed`]
          const projection = BuiltIn.makeErrors({ name: someName(), endings: ["lost"], fields: ["problem"] })
          yield* append(someStream(), "any", [
            proposed(lost),
            proposed(failed, { data: { error: "ignored" } }),
            proposed("Odd", { data: { problem: "x" } })
          ])
          yield* ProjectionRunner.runOnce(projection, SMALL)
          const states = yield* statesOf(projection)
          assert.deepStrictEqual([...states.keys()].sort(), [lost, "Odd"].sort())
        }))

      it.effect("keep states of a bounded size", () =>
        Effect.gen(function*() {
          const streamId = someStream()
          const types = indexes(60).map((index) => someName(`type ${index}`))
          yield* append(streamId, "any", types.map((type) => proposed(type)))
          yield* runAll
          const state = Option.getOrThrow(yield* ProjectionState.get(BuiltIn.streamActivity, streamId))
          assert.deepStrictEqual([state.events, state.types.length, state.otherTypes], [60, 50, 10])
        }))

      it.effect("know which projections ever failed, the last one first", () =>
        Effect.gen(function*() {
          const Bad = EventType.make(someName("Bad"), { ok: Schema.Boolean })
          const failing = Projection.state({
            name: someName("failing"),
            events: [Bad],
            state: Schema.Int,
            initial: 0,
            on: { [Bad.name]: (count: number) => count + 1 }
          })
          yield* append(someStream(), "any", [proposed(Bad.name, { data: { ok: "no" } })])
          const failure = yield* Effect.flip(ProjectionRunner.runOnce(failing, SMALL))
          assert.strictEqual(failure._tag, "ProjectionHalted")
          const [last] = yield* BuiltIn.projectionFailures
          assert.strictEqual(last!.name, failing.name)
          assert.include(last!.failure!.message, Bad.name)
        }))
    }
  )

const memory = Layer.provideMerge(MemoryCheckpointStore.layer, MemoryEventStore.layer)

suite("memory", memory)
suite("pglite", Layer.provideMerge(PgCheckpointStore.layer, layerPglite({})))
for (const server of servers) {
  suite(
    server.label,
    PgCheckpointStore.layer.pipe(
      Layer.provideMerge(PgEventStore.layer),
      Layer.provideMerge(layerDatabase(server, { maxConnections: 8 }))
    )
  )
}

it.effect("built-in projections count events by day for more than a year, and the days before as one", () =>
  Effect.gen(function*() {
    const streamId = "thing-1"
    for (const day of indexes(405)) {
      yield* append(
        streamId,
        "any",
        day === 0 ? [proposed("TaskFailed"), proposed("TaskFailed")] : [proposed("TaskFailed")]
      )
      yield* TestClock.adjust("1 day")
    }
    yield* ProjectionRunner.runOnce(BuiltIn.categoryStatistics)
    yield* ProjectionRunner.runOnce(BuiltIn.errors)
    for (const [projection, key] of [[BuiltIn.categoryStatistics, "thing"], [BuiltIn.errors, "TaskFailed"]] as const) {
      const { days, earlierEvents, events } = Option.getOrThrow(
        yield* ProjectionState.get<{ days: ReadonlyArray<unknown>; earlierEvents: number; events: number }>(
          projection as never,
          key
        )
      )
      assert.deepStrictEqual([events, days.length, earlierEvents], [406, 400, 6])
      assert.deepStrictEqual(days[0], { day: "1970-01-06", events: 1 })
    }
  }).pipe(Effect.provide(memory)))
