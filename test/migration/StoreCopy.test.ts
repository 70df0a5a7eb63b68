import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Option, Stream } from "effect"
import type { ProposedEvent, RecordedEvent } from "../../src/event/index.ts"
import * as MemoryEventStore from "../../src/memory/MemoryEventStore.ts"
import { type CopyError, StoreCopy } from "../../src/migration/index.ts"
import { EventStore, type StreamDescription } from "../../src/store/index.ts"
import { VersionRegistry } from "../../src/version/index.ts"
import { Opened, Paid } from "../version/fixtures.ts"

type Store = EventStore["Service"]

const makeStore = Effect.map(
  Layer.build(Layer.fresh(MemoryEventStore.layer)),
  (services) => Context.get(services, EventStore)
)

const append = (store: Store, streamId: string, ...events: ReadonlyArray<ProposedEvent>) =>
  store.append({ streamId, expected: "any", events })

const logOf = (store: Store): Effect.Effect<ReadonlyArray<RecordedEvent>> =>
  Effect.orDie(Stream.runCollect(store.readAll()))

/** What of an event is copied. */
const image = ({ data, id, metadata, revision, streamId, tags, type, version }: RecordedEvent) => ({
  streamId,
  revision,
  id,
  type,
  version,
  data,
  metadata,
  tags
})

/** Interleaved streams, versions 1 to 4 and one that is in the newest with a key of its own. */
const filled = Effect.gen(function*() {
  const from = yield* makeStore
  yield* append(from, "account-1", { type: "AccountOpened", data: { owner: "ann", extra: [1] }, tags: ["b:2", "a:1"] })
  yield* append(from, "invoice-1", { type: "InvoicePaid", version: 1, data: { cents: 125 } })
  yield* append(from, "invoice-2", {
    type: "InvoicePaid",
    version: 2,
    data: { amount: 3 },
    metadata: { actor: "bob", recordedAt: "2020-01-01T00:00:00.000Z" }
  })
  yield* append(from, "invoice-1", { type: "InvoicePaid", version: 3, data: { amount: 4, currency: "USD" } })
  return from
})

const registry = VersionRegistry.make([Opened, Paid])

const ANN = { money: { amount: 1.25, currency: "EUR" }, by: "unknown" }

const failureOf = <A, E extends CopyError>(effect: Effect.Effect<A, E>) => Effect.flip(effect)

describe("copy", () => {
  it.effect("keeps order, ids, revisions, tags and metadata, and when the source recorded the event", () =>
    Effect.gen(function*() {
      const [from, to] = [yield* filled, yield* makeStore]
      const report = yield* StoreCopy.copy({ from, to })
      const source = yield* logOf(from)
      expect((yield* logOf(to)).map(image)).toStrictEqual(source.map((event) => ({
        ...image(event),
        metadata: event.metadata["recordedAt"] === undefined
          ? { ...event.metadata, recordedAt: new Date(event.recordedAt.epochMilliseconds).toISOString() }
          : event.metadata
      })))
      expect(report).toMatchObject({ read: 4, copied: 4, present: 0, leftOut: 0, position: 4 })
      expect(report.digest).toMatch(/^[0-9a-f]{64}$/)
      expect(yield* logOf(from)).toStrictEqual(source)
    }))

  it.effect("lifts older versions, and copies the newest as it is stored", () =>
    Effect.gen(function*() {
      const [from, to] = [yield* filled, yield* makeStore]
      const { versions } = yield* StoreCopy.copy({ from, to, registry: yield* registry })
      const log = yield* logOf(to)
      expect(log.map(({ data, version }) => [version, data])).toStrictEqual([
        [1, { owner: "ann", extra: [1] }],
        [4, ANN],
        [4, { money: { amount: 3, currency: "EUR" }, by: "unknown" }],
        [4, { money: { amount: 4, currency: "USD" }, by: "unknown" }]
      ])
      expect(versions).toStrictEqual([
        { type: "AccountOpened", from: 1, to: 1, events: 1 },
        { type: "InvoicePaid", from: 1, to: 4, events: 1 },
        { type: "InvoicePaid", from: 2, to: 4, events: 1 },
        { type: "InvoicePaid", from: 3, to: 4, events: 1 }
      ])
    }))

  it.effect("keeps versions when it is told to, and decodes them all the same", () =>
    Effect.gen(function*() {
      const [from, to] = [yield* filled, yield* makeStore]
      yield* StoreCopy.copy({ from, to, registry: yield* registry, versions: "keep" })
      expect((yield* logOf(to)).map(({ version }) => version)).toStrictEqual([1, 1, 2, 3])
      yield* append(from, "invoice-1", { type: "InvoicePaid", data: { cents: "x" } })
      const error = yield* failureOf(StoreCopy.copy({ from, to, registry: yield* registry, versions: "keep" }))
      expect(error._tag).toBe("EventNotCopied")
    }))

  it.effect("that is repeated adds nothing, and of a source that has grown what is new", () =>
    Effect.gen(function*() {
      const [from, to] = [yield* filled, yield* makeStore]
      const options = { from, to, registry: yield* registry }
      const first = yield* StoreCopy.copy(options)
      const log = yield* logOf(to)
      expect(yield* StoreCopy.copy(options)).toStrictEqual({ ...first, copied: 0, present: 4 })
      expect(yield* logOf(to)).toStrictEqual(log)
      yield* append(from, "account-2", { type: "AccountOpened", data: { owner: "bob" } })
      expect(yield* StoreCopy.copy(options)).toMatchObject({ copied: 1, present: 4, position: 5 })
      expect((yield* logOf(to)).slice(0, 4)).toStrictEqual(log)
    }))

  it.effect("that was stopped anywhere goes on there, with the same outcome", () =>
    Effect.gen(function*() {
      const from = yield* makeStore
      const total = 2_300
      for (let n = 0; n < total; n++) {
        yield* append(from, `invoice-${n * n % 7}`, { type: "InvoicePaid", data: { cents: n } })
      }
      const whole = yield* makeStore
      const options = { from, registry: yield* registry }
      const { digest } = yield* StoreCopy.copy({ ...options, to: whole })
      const image = (yield* logOf(whole)).map(({ id }) => id)
      for (const count of [0, 1, 1_000, 1_700, total - 1, total]) {
        const to = yield* makeStore
        const stopped = yield* Effect.exit(
          StoreCopy.copy({ ...options, to: failingAfter(to, count), batchSizeEvents: 1 })
        )
        expect(stopped._tag).toBe(count === total ? "Success" : "Failure")
        expect(yield* logOf(to)).toHaveLength(count)
        expect(yield* StoreCopy.copy({ ...options, to })).toMatchObject({
          digest,
          present: count,
          copied: total - count
        })
        expect((yield* logOf(to)).map(({ id }) => id)).toStrictEqual(image)
      }
    }))

  it.effect("takes the metadata, truncations and tombstones of streams along, and repeats them", () =>
    Effect.gen(function*() {
      const [from, to] = [yield* filled, yield* makeStore]
      yield* from.setStreamMetadata("account-1", { note: "kept" })
      yield* from.truncateBefore("invoice-1", 1)
      yield* from.tombstone("invoice-2")
      for (const present of [0, 4]) {
        expect(yield* StoreCopy.copy({ from, to, registry: yield* registry })).toMatchObject({ present })
        for (const streamId of ["account-1", "invoice-1", "invoice-2"]) {
          const [source, target] = [yield* from.describeStream(streamId), yield* to.describeStream(streamId)]
          const state = Option.map(({ isTombstoned, metadata, revision, truncateBefore }: StreamDescription) => ({
            isTombstoned,
            metadata,
            revision,
            truncateBefore
          }))
          expect(state(target)).toStrictEqual(state(source))
        }
        expect(yield* logOf(to)).toHaveLength(4)
      }
    }))

  it.effect("takes only the streams that are asked for", () =>
    Effect.gen(function*() {
      const [from, to] = [yield* filled, yield* makeStore]
      const report = yield* StoreCopy.copy({ from, to, streamPrefixes: ["invoice-2", "account-"] })
      expect(report).toMatchObject({ read: 2, copied: 2 })
      expect((yield* logOf(to)).map(({ streamId }) => streamId)).toStrictEqual(["account-1", "invoice-2"])
    }))

  it.effect("does with unknown types what the policy says: fail, leave out, keep", () =>
    Effect.gen(function*() {
      const from = yield* filled
      yield* append(from, "account-1", { type: "NoteTaken", data: 1 }, { type: "AccountOpened", data: { owner: "x" } })
      yield* from.truncateBefore("account-1", 2)
      const types = [Opened, Paid] as const

      const failing = yield* makeStore
      const error = yield* failureOf(
        StoreCopy.copy({ from, to: failing, registry: yield* VersionRegistry.make(types) })
      )
      expect(error).toMatchObject({ _tag: "EventNotCopied", position: 5, type: "NoteTaken", path: "type" })
      expect(yield* logOf(failing)).toHaveLength(4)

      const skipping = yield* makeStore
      const skip = yield* VersionRegistry.make(types, { unknownType: "skip" })
      for (const copied of [5, 0]) {
        expect(yield* StoreCopy.copy({ from, to: skipping, registry: skip })).toMatchObject({
          read: 6,
          leftOut: 1,
          copied
        })
      }
      expect((yield* logOf(skipping)).map(({ type }) => type)).not.toContain("NoteTaken")
      expect(Option.getOrThrow(yield* skipping.describeStream("account-1"))).toMatchObject({
        revision: 1,
        truncateBefore: 1
      })

      const keeping = yield* makeStore
      const keep = yield* VersionRegistry.make(types, { unknownType: "passThrough" })
      expect(yield* StoreCopy.copy({ from, to: keeping, registry: keep })).toMatchObject({ leftOut: 0, copied: 6 })
      expect((yield* logOf(keeping))[4]).toMatchObject({ type: "NoteTaken", version: 1, data: 1 })
    }))

  it.effect("stops at an event that does not decode, keeps what stands before, and says nothing of its data", () =>
    Effect.gen(function*() {
      const [from, to] = [yield* filled, yield* makeStore]
      yield* append(from, "invoice-9", { type: "InvoicePaid", version: 1, data: { cents: "s3cret" } })
      yield* append(from, "account-2", { type: "AccountOpened", data: { owner: "bob" } })
      const error = yield* failureOf(StoreCopy.copy({ from, to, registry: yield* registry }))
      expect(error).toMatchObject({ _tag: "EventNotCopied", position: 5, revision: 0, version: 1, path: "data.cents" })
      expect(JSON.stringify(error) + error.message).not.toContain("s3cret")
      expect(yield* logOf(to)).toHaveLength(4)
    }))

  it.effect("of a store into itself is refused", () =>
    Effect.gen(function*() {
      const from = yield* filled
      expect(yield* failureOf(StoreCopy.copy({ from, to: from }))).toMatchObject({ _tag: "SameStore" })
      expect(yield* logOf(from)).toHaveLength(4)
    }))

  it.effect("into a target that holds something else is refused, and writes nothing", () =>
    Effect.gen(function*() {
      const from = yield* filled
      const copied = yield* makeStore
      yield* StoreCopy.copy({ from, to: copied })
      const [first] = yield* logOf(copied)
      const { data, id, metadata, streamId, tags, type, version } = first!
      const same = { id, type, version, data, metadata, tags }
      const foreign: ReadonlyArray<readonly [string, ProposedEvent]> = [
        [streamId, { ...same, id: "00000000-0000-7000-8000-000000000001" }],
        ["account-2", same],
        [streamId, { ...same, type: "Opened" }],
        [streamId, { ...same, version: 2 }],
        [streamId, { ...same, data: { owner: "ann" } }],
        [streamId, { ...same, metadata: {} }],
        [streamId, { ...same, tags: ["a:1"] }]
      ]
      for (const [name, event] of foreign) {
        const to = yield* makeStore
        yield* append(to, name, event)
        const error = yield* failureOf(StoreCopy.copy({ from, to }))
        expect(error).toMatchObject({ _tag: "TargetDiffers", position: 1, sourcePosition: 1 })
        expect(yield* logOf(to)).toHaveLength(1)
      }
      const longer = yield* makeStore
      yield* StoreCopy.copy({ from, to: longer })
      yield* append(longer, "account-9", { type: "AccountOpened", data: { owner: "eve" } })
      expect(yield* failureOf(StoreCopy.copy({ from, to: longer }))).toMatchObject({
        _tag: "TargetDiffers",
        position: 5,
        sourcePosition: undefined
      })
      expect(yield* failureOf(StoreCopy.copy({ from, to: longer, resume: false }))).toMatchObject({
        _tag: "TargetNotEmpty",
        position: 5
      })
    }))

  it.effect("finds out when somebody else wrote to the target meanwhile", () =>
    Effect.gen(function*() {
      const [from, to] = [yield* filled, yield* makeStore]
      const error = yield* failureOf(StoreCopy.copy({
        from,
        to,
        onProgress: ({ phase }) =>
          phase === "copy"
            ? Effect.orDie(append(to, "account-9", { type: "AccountOpened", data: { owner: "eve" } }))
            : Effect.void
      }))
      expect(error).toMatchObject({ _tag: "CopyUnequal" })
      expect(error.message).toContain("account-9")
      expect(error.message).toContain("digest")
    }))

  it.effect("of a source that is written to meanwhile ends where the source was when it began", () =>
    Effect.gen(function*() {
      const [from, to] = [yield* filled, yield* makeStore]
      const options = {
        from,
        to,
        onProgress: () => Effect.orDie(append(from, "invoice-1", { type: "InvoicePaid", data: { cents: 1 } }))
      }
      expect(yield* StoreCopy.copy(options)).toMatchObject({ read: 4, position: 4 })
      expect(yield* StoreCopy.copy({ from, to })).toMatchObject({ present: 4, copied: 2 })
    }))

  it.effect("of an empty store is empty", () =>
    Effect.gen(function*() {
      const report = yield* StoreCopy.copy({ from: yield* makeStore, to: yield* makeStore })
      expect(report).toMatchObject({ read: 0, copied: 0, versions: [], digest: "0".repeat(64) })
    }))
})

describe("plan", () => {
  it.effect("says what a copy would do, and writes nothing", () =>
    Effect.gen(function*() {
      const [from, to] = [yield* filled, yield* makeStore]
      const options = { from, registry: yield* registry }
      const planned = yield* StoreCopy.plan(options)
      expect(yield* StoreCopy.plan({ ...options, to })).toStrictEqual(planned)
      expect(yield* logOf(to)).toHaveLength(0)
      const { failed, failures, ...report } = planned
      expect([failed, failures]).toStrictEqual([0, []])
      expect(yield* StoreCopy.copy({ ...options, to })).toStrictEqual(report)
      expect(yield* StoreCopy.plan({ ...options, to })).toMatchObject({ copied: 0, present: 4 })
    }))

  it.effect("finds every event that cannot be copied", () =>
    Effect.gen(function*() {
      const [from, to] = [yield* filled, yield* makeStore]
      yield* append(from, "invoice-9", { type: "InvoicePaid", version: 1, data: {} }, { type: "NoteTaken", data: 1 })
      yield* append(from, "account-2", { type: "AccountOpened", data: { owner: "bob" } })
      yield* append(from, "account-2", { type: "AccountOpened", data: { owner: "" } })
      const planned = yield* StoreCopy.plan({ from, to, registry: yield* registry })
      expect(planned).toMatchObject({ read: 5, copied: 5, failed: 3 })
      expect(planned.failures.map(({ path, position }) => [position, path])).toStrictEqual([
        [5, "data.cents"],
        [6, "type"],
        [8, "data.owner"]
      ])
    }))
})

/** A store that takes so many appends and then fails. */
const failingAfter = (store: Store, count: number): Store => {
  let appends = 0
  return {
    ...store,
    append: (options) => appends++ < count ? store.append(options) : Effect.die("the store went away")
  }
}
