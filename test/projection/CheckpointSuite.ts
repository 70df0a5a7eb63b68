/**
 * The contract of `CheckpointStore` as tests: one text for all storages.
 */
import { assert, it } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import type { StreamId } from "../../src/event/StreamId.ts"
import {
  CheckpointStore,
  type Lease,
  type LeaseClaim,
  type ParkedEvent,
  type ProjectionCommit
} from "../../src/store/CheckpointStore.ts"
import { EMPTY_DIGEST } from "../../src/store/EventDigest.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { append, assertFailure, assertInvalid, head, proposed, proposedMany, someStream } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import { someProjectionName } from "./fixtures.ts"

const claim = (name: string, rest: Partial<LeaseClaim> = {}): LeaseClaim => ({
  name,
  version: 1,
  definition: "something",
  owner: "a",
  leaseMillis: 60_000,
  statuses: ["running", "halted"],
  ...rest
})

const acquire = (name: string, rest: Partial<LeaseClaim> = {}) =>
  Effect.gen(function*() {
    const answer = yield* CheckpointStore.use((store) => store.acquire(claim(name, rest)))
    if (answer._tag === "Held") return assert.fail("held")
    return answer.lease
  })

const commit = (lease: Lease, from: number, to: number, rest: Partial<ProjectionCommit> = {}) =>
  CheckpointStore.use((store) =>
    store.commit(lease, {
      from: from as Position,
      to: { position: to as Position, count: to, digest: `${to}`.padStart(16, "0") },
      ...rest
    })
  )

const find = (name: string, version = 1) =>
  CheckpointStore.use((store) => Effect.map(store.find({ name, version }), Option.getOrThrow))

/** A log with at least this many events. */
const grow = (events: number) => append(someStream(), "noStream", proposedMany(events))

const parkedAt = (position: number, key: string): Omit<ParkedEvent, "parkedAt"> => ({
  position: position as Position,
  key,
  id: crypto.randomUUID() as ParkedEvent["id"],
  type: "Happened",
  streamId: "a-1" as StreamId,
  revision: 3 as ParkedEvent["revision"],
  attempts: 2,
  reason: "why not"
})

/** Registers the contract for one storage. */
export const suite = <E>(storage: string, layer: Layer.Layer<CheckpointStore | EventStore, E>): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`CheckpointStore (${storage})`, (it) => {
    it.effect("a projection that is not known is registered at the start of the log, of its history", () =>
      Effect.gen(function*() {
        const name = someProjectionName()
        const store = yield* CheckpointStore
        assert.deepStrictEqual(yield* store.find({ name, version: 1 }), Option.none())
        const lease = yield* acquire(name)
        const { incarnation } = yield* EventStore.use((log) => log.head)
        const { leasedUntil, updatedAt, ...record } = yield* find(name)
        assert.isDefined(leasedUntil)
        assert.isDefined(updatedAt)
        assert.deepStrictEqual(record, {
          name,
          version: 1,
          definition: "something",
          checkpoint: { position: 0 as Position, incarnation, ...EMPTY_DIGEST },
          status: "running",
          isSetUp: false,
          owner: "a",
          epoch: 1,
          parked: 0,
          failure: undefined
        })
        assert.deepStrictEqual(lease, { name, version: 1, owner: "a", epoch: 1, leaseMillis: 60_000, incarnation })
        assert.isTrue((yield* store.list).some((other) => other.name === name))
      }))

    it.effect("a lease keeps others out until it is given back, and never its own owner", () =>
      Effect.gen(function*() {
        const name = someProjectionName()
        const store = yield* CheckpointStore
        const first = yield* acquire(name)
        assert.strictEqual((yield* store.acquire(claim(name, { owner: "b" })))._tag, "Held")
        const again = yield* acquire(name)
        assert.strictEqual(again.epoch, 2)
        yield* store.release(first)
        assert.strictEqual((yield* store.acquire(claim(name, { owner: "b" })))._tag, "Held")
        yield* store.release(again)
        assert.strictEqual((yield* acquire(name, { owner: "b" })).epoch, 3)
        assert.strictEqual((yield* acquire(name, { owner: "b", version: 2 })).epoch, 1)
      }))

    it.effect("a lease that is not renewed runs out, and one that is renewed does not", () =>
      Effect.gen(function*() {
        const name = someProjectionName()
        const store = yield* CheckpointStore
        const lease = yield* acquire(name, { leaseMillis: 50 })
        const taken = yield* waitFor(store.acquire(claim(name, { owner: "b" })), ({ _tag }) => _tag === "Acquired")
        assert.strictEqual(taken.record.epoch, 2)
        yield* assertFailure(store.renew(lease), { _tag: "LeaseLost", name, version: 1, epoch: 1 })
        yield* assertFailure(store.reportFailure(lease, { message: "x", position: 1 as Position, halt: true }), {
          _tag: "LeaseLost",
          name,
          version: 1,
          epoch: 1
        })
        const record = yield* store.renew({ ...lease, epoch: 2, leaseMillis: 120_000 })
        assert.strictEqual(record.owner, "b")
        assert.isAbove(record.leasedUntil!.epochMilliseconds, taken.record.leasedUntil!.epochMilliseconds + 30_000)
      }))

    it.effect("of many claims at once, exactly one is granted", () =>
      Effect.gen(function*() {
        const name = someProjectionName()
        const store = yield* CheckpointStore
        const answers = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, index) => claim(name, { owner: `owner ${index}` })),
          store.acquire,
          { concurrency: "unbounded" }
        )
        assert.strictEqual(answers.filter(({ _tag }) => _tag === "Acquired").length, 1)
      }))

    it.effect("a commit of an older lease, or from another place, writes nothing", () =>
      Effect.gen(function*() {
        yield* grow(5)
        const name = someProjectionName()
        const store = yield* CheckpointStore
        const stale = yield* acquire(name)
        yield* commit(stale, 0, 1, { states: new Map([["k", "1"]]) })
        const newest = yield* acquire(name)
        const before = yield* find(name)
        const writes = { states: new Map([["k", "2"]]), park: [parkedAt(2, "k")], setUp: true }
        yield* assertFailure(commit(stale, 1, 2, writes), { _tag: "LeaseLost", name, version: 1, epoch: 1 })
        yield* assertFailure(commit(newest, 0, 2, writes), { _tag: "LeaseLost", name, version: 1, epoch: 2 })
        const unknown = someProjectionName()
        yield* assertFailure(commit({ ...newest, name: unknown }, 0, 2, writes), {
          _tag: "LeaseLost",
          name: unknown,
          version: 1,
          epoch: 2
        })
        assert.deepStrictEqual(yield* find(name), before)
        assert.deepStrictEqual(yield* store.loadStates({ name, version: 1 }, ["k"]), new Map([["k", "1"]]))
        yield* commit(newest, 1, 2)
        assert.strictEqual((yield* find(name)).checkpoint.position, 2)
      }))

    it.effect("a checkpoint beyond the end of the log is refused, and nothing is written", () =>
      Effect.gen(function*() {
        const name = someProjectionName()
        const lease = yield* acquire(name)
        const beyond = (yield* head) + 1_000_000
        const error = yield* Effect.flip(commit(lease, 0, beyond, { states: new Map([["k", "1"]]) }))
        assert.strictEqual(error._tag, "HistoryChanged")
        assert.strictEqual((yield* find(name)).checkpoint.position, 0)
        assert.strictEqual((yield* CheckpointStore.use((store) => store.listStates({ name, version: 1 }))).length, 0)
      }))

    it.effect("states are kept as they are, listed by the bytes of their keys, and removed", () =>
      Effect.gen(function*() {
        yield* grow(3)
        const name = someProjectionName()
        const store = yield* CheckpointStore
        const lease = yield* acquire(name)
        const keys = ["", "__proto__", "a", "b", "constructor", "é", "ｆ", "\u{1f600}"]
        const text = JSON.stringify({ deep: [1.5, null, "\u0000 \ud83d\ude00 'quoted' \\ \"double\""] })
        yield* commit(lease, 0, 1, { states: new Map(keys.toReversed().map((key) => [key, text])) })
        assert.deepStrictEqual(
          yield* store.listStates(lease, { limit: 100 }),
          keys.map((key) => ({ key, state: text }))
        )
        assert.deepStrictEqual(
          (yield* store.listStates(lease, { after: "a", limit: 2 })).map(({ key }) => key),
          ["b", "constructor"]
        )
        yield* commit(lease, 1, 2, { states: new Map([["a", undefined], ["b", "2"], ["none", undefined]]) })
        assert.deepStrictEqual(
          yield* store.loadStates(lease, ["a", "b", "none", "é"]),
          new Map([["b", "2"], ["é", text]])
        )
        assert.deepStrictEqual(yield* store.loadStates({ name, version: 2 }, ["b"]), new Map())
        assert.deepStrictEqual(yield* store.loadStates(lease, []), new Map())
      }))

    it.effect("parked events are listed by position, of one key or all, until they wait no longer", () =>
      Effect.gen(function*() {
        yield* grow(3)
        const name = someProjectionName()
        const store = yield* CheckpointStore
        const lease = yield* acquire(name)
        const parked = [parkedAt(1, "a"), parkedAt(2, "b"), parkedAt(3, "a")]
        yield* commit(lease, 0, 3, { park: parked.toReversed() })
        const list = (page?: Parameters<typeof store.listParked>[1]) =>
          Effect.map(
            store.listParked({ name, version: 1 }, page),
            (events) => events.map(({ parkedAt: _, ...event }) => event)
          )
        assert.deepStrictEqual(yield* list(), parked)
        assert.deepStrictEqual(yield* list({ key: "a" }), [parked[0]!, parked[2]!])
        assert.deepStrictEqual(yield* list({ after: 1, limit: 1 }), [parked[1]!])
        assert.strictEqual((yield* find(name)).parked, 3)
        yield* commit(lease, 3, 3, { unpark: [1 as Position], park: [{ ...parked[1]!, attempts: 3, reason: "other" }] })
        assert.deepStrictEqual(yield* list(), [{ ...parked[1]!, attempts: 3, reason: "other" }, parked[2]!])
      }))

    it.effect("failures are counted, and the last one is remembered; one that halts keeps runners that stand by out", () =>
      Effect.gen(function*() {
        const name = someProjectionName()
        const store = yield* CheckpointStore
        const lease = yield* acquire(name)
        yield* store.reportFailure(lease, { message: "first", position: 3 as Position, halt: false })
        yield* store.reportFailure(lease, { message: "second", position: 4 as Position, halt: true })
        yield* store.release(lease)
        const { failure, status } = yield* find(name)
        assert.strictEqual(status, "halted")
        assert.strictEqual(failure?.count, 2)
        assert.strictEqual(failure!.message, "second")
        assert.strictEqual(failure!.position, 4 as Position)
        assert.isAtMost(failure!.firstAt.epochMilliseconds, failure!.lastAt.epochMilliseconds)
        assert.strictEqual((yield* store.acquire(claim(name, { statuses: ["running"] })))._tag, "Held")
        yield* acquire(name)
        assert.strictEqual((yield* find(name)).status, "running")
      }))

    it.effect("a projection that is paused is not given out, and one that is not known cannot be paused", () =>
      Effect.gen(function*() {
        const name = someProjectionName()
        const store = yield* CheckpointStore
        assert.isFalse(yield* store.setStatus({ name, version: 1 }, "paused"))
        yield* store.release(yield* acquire(name))
        assert.isTrue(yield* store.setStatus({ name, version: 1 }, "paused"))
        assert.strictEqual((yield* store.acquire(claim(name)))._tag, "Held")
        yield* store.setStatus({ name, version: 1 }, "running")
        yield* acquire(name)
      }))

    it.effect("another definition under the same version is refused, until a reset takes it on", () =>
      Effect.gen(function*() {
        yield* grow(2)
        const name = someProjectionName()
        const store = yield* CheckpointStore
        const lease = yield* acquire(name)
        yield* store.reportFailure(lease, { message: "x", position: 1 as Position, halt: false })
        yield* commit(lease, 0, 2, { states: new Map([["k", "1"]]), park: [parkedAt(1, "a")], setUp: true })
        yield* assertFailure(store.acquire(claim(name, { definition: "other" })), {
          _tag: "ProjectionChanged",
          name,
          version: 1,
          stored: "something",
          given: "other"
        })
        const forced = yield* acquire(name, { definition: "other", evenWhenChanged: true })
        yield* commit(forced, 2, 0, { reset: { definition: "other" } })
        const { checkpoint, definition, failure, isSetUp, parked } = yield* find(name)
        assert.deepStrictEqual([checkpoint.position, definition, failure, isSetUp, parked], [
          0,
          "other",
          undefined,
          false,
          0
        ])
        assert.deepStrictEqual(yield* store.listStates(lease), [])
        yield* acquire(name, { definition: "other" })
      }))

    it.effect("names, versions and leases that make no sense are refused", () =>
      Effect.gen(function*() {
        const store = yield* CheckpointStore
        yield* assertInvalid(store.acquire(claim("")), "InvalidIdentifier", "name")
        yield* assertInvalid(store.acquire(claim("a", { version: 0 })), "InvalidVersion", "version")
        yield* assertInvalid(store.acquire(claim("a", { version: 40_000 })), "InvalidVersion", "version")
        yield* assertInvalid(store.acquire(claim("a", { owner: "x".repeat(513) })), "InvalidIdentifier", "owner")
        yield* assertInvalid(store.acquire(claim("a", { leaseMillis: 0 })), "NumberOutOfRange", "leaseMillis")
        yield* assertInvalid(store.find({ name: "a\nb", version: 1 }), "InvalidIdentifier", "name")
        yield* assertInvalid(store.setStatus({ name: "a", version: 1.5 }, "paused"), "InvalidVersion", "version")
      }))

    it.effect("the digest of the log counts what passes the filter, up to a position", () =>
      Effect.gen(function*() {
        const store = yield* CheckpointStore
        const stream = someStream()
        yield* append(stream, "noStream", [proposed("A", { tags: ["k:1"] }), proposed("B"), proposed("A")])
        const until = yield* head
        yield* append(stream, "any", [proposed("A")])
        const digest = (filter: Parameters<typeof store.digestLog>[0]["filter"]) => store.digestLog({ filter, until })
        assert.strictEqual((yield* digest({ streamIds: [stream] })).count, 3)
        assert.strictEqual((yield* digest({ streamIds: [stream], types: ["A"] })).count, 2)
        assert.strictEqual((yield* digest({ streamIds: [stream], tags: ["k:1"] })).count, 1)
        assert.strictEqual((yield* digest(undefined)).count, until)
        assert.deepStrictEqual(yield* store.digestLog({ filter: undefined, until: 0 as Position }), EMPTY_DIGEST)
        assert.deepStrictEqual(yield* digest({ types: ["None at all"] }), EMPTY_DIGEST)
      }))
  })
}
