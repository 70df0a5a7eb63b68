/**
 * The contract of `CheckpointStore` as tests: one text for all storages.
 */
import { assert, it } from "@effect/vitest"
import { Effect, type Layer, Option, Stream } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import { CheckpointStore, type Lease } from "../../src/store/CheckpointStore.ts"
import { addDigests, addEvents, EMPTY_DIGEST } from "../../src/store/EventDigest.ts"
import { EventStore } from "../../src/store/EventStore.ts"
import { sliceOf } from "../../src/store/Slice.ts"
import { append, assertFailure, assertInvalid, head, proposed, proposedMany, someStream } from "../store/fixtures.ts"
import { waitFor } from "../support/waitFor.ts"
import { acquire, claim, commit, find, grow, parkedAt } from "./checkpoints.ts"
import { someProjectionName } from "./fixtures.ts"

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
          build: 1,
          slice: 0,
          isLive: true,
          start: 0 as Position,
          definition: "something",
          checkpoint: { position: 0 as Position, incarnation, ...EMPTY_DIGEST },
          status: "running",
          isSetUp: false,
          owner: "a",
          epoch: 1,
          parked: 0,
          failure: undefined
        })
        assert.deepStrictEqual(lease, {
          name,
          version: 1,
          build: 1,
          slice: 0,
          owner: "a",
          epoch: 1,
          leaseMillis: 60_000,
          incarnation
        })
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

    it.effect("all slices of a projection are registered with the first, each with a lease and a checkpoint of its own", () =>
      Effect.gen(function*() {
        yield* grow(3)
        const name = someProjectionName()
        const store = yield* CheckpointStore
        const second = yield* acquire(name, { slice: 1, slices: 3 })
        const first = yield* acquire(name, { slices: 3, owner: "b" })
        assert.deepStrictEqual([second.slice, second.epoch, first.slice, first.epoch], [1, 1, 0, 1])
        yield* commit(second, 0, 2)
        yield* store.reportFailure(first, { message: "x", position: 1 as Position, halt: true })
        const slices = yield* store.findSlices({ name, version: 1 })
        assert.deepStrictEqual(
          slices.map(({ checkpoint, owner, slice, status }) => [slice, checkpoint.position, owner, status]),
          [[0, 0, "b", "halted"], [1, 2, "a", "running"], [2, 0, undefined, "running"]]
        )
        const one = Option.getOrThrow(yield* store.find({ name, version: 1, slice: 1 }))
        assert.deepStrictEqual(one, slices[1])
        assert.deepStrictEqual(yield* store.find({ name, version: 1, slice: 3 }), Option.none())
        assert.strictEqual((yield* store.list).filter((other) => other.name === name).length, 3)
        yield* store.setStatus({ name, version: 1, slice: 2 }, "paused")
        yield* store.setStatus({ name, version: 1, slice: 0 }, "running")
        const statuses = () =>
          Effect.map(store.findSlices({ name, version: 1 }), (all) => all.map(({ status }) => status))
        assert.deepStrictEqual(yield* statuses(), ["running", "running", "paused"])
        yield* store.setStatus({ name, version: 1 }, "paused")
        assert.deepStrictEqual(yield* statuses(), ["paused", "paused", "paused"])
        yield* commit(second, 2, 3, { park: [parkedAt(3, "k")] })
        assert.strictEqual((yield* store.listParked({ name, version: 1 })).length, 1)
        assert.strictEqual((yield* store.listParked({ name, version: 1, slice: 0 })).length, 0)
        assert.strictEqual((yield* store.findSlices({ name, version: 1 }))[1]!.parked, 1)
      }))

    it.effect("a reset puts all slices at the start in one go, or none when a lease among them is not the newest", () =>
      Effect.gen(function*() {
        yield* grow(5)
        const name = someProjectionName()
        const store = yield* CheckpointStore
        const leases = yield* Effect.forEach([0, 1, 2], (slice) => acquire(name, { slice, slices: 3 }))
        for (const lease of leases) yield* commit(lease, 0, 4, { states: new Map([[`k${lease.slice}`, "1"]]) })
        const [first, second, third] = leases as [Lease, Lease, Lease]
        const newer = yield* acquire(name, { slice: 2 })
        const reset = { definition: "other", slices: 2 }
        const before = yield* store.findSlices({ name, version: 1 })
        yield* assertFailure(commit(first, 4, 0, { reset: { ...reset, leases: [second, third] } }), {
          _tag: "LeaseLost",
          name,
          version: 1,
          epoch: 1
        })
        assert.deepStrictEqual(yield* store.findSlices({ name, version: 1 }), before)
        yield* commit(first, 4, 0, { reset: { ...reset, leases: [second, newer] } })
        const slices = yield* store.findSlices({ name, version: 1 })
        assert.deepStrictEqual(
          slices.map(({ checkpoint, definition, slice }) => [slice, checkpoint.position, checkpoint.count, definition]),
          [[0, 0, 0, "other"], [1, 0, 0, "other"]]
        )
        assert.deepStrictEqual(yield* store.listStates(first), [])
        yield* assertFailure(commit(second, 0, 1), { _tag: "LeaseLost", name, version: 1, epoch: 1 })
        yield* assertFailure(commit(newer, 4, 5), { _tag: "LeaseLost", name, version: 1, epoch: 2 })
      }))

    it.effect("runners that are there are counted for each projection that they could run, until they leave or are silent", () =>
      Effect.gen(function*() {
        const store = yield* CheckpointStore
        const [one, two] = [someProjectionName(), someProjectionName()]
        const key = (name: string) => ({ name, version: 1 })
        yield* acquire(one, { slice: 1, slices: 2 })
        const attend = (owner: string, names: ReadonlyArray<string>, leaseMillis = 60_000) =>
          store.attend({ owner, leaseMillis, projections: names.map(key) })
        const [a, b] = [someProjectionName(), someProjectionName()]
        assert.deepStrictEqual(yield* attend(a, [one, two]), [
          {
            runners: 1,
            slices: [{ slice: 0, status: "running", owner: undefined }, { slice: 1, status: "running", owner: "a" }]
          },
          { runners: 1, slices: [] }
        ])
        const counts = (names: ReadonlyArray<string>) =>
          Effect.map(attend(b, names), (calls) => calls.map(({ runners }) => runners))
        assert.deepStrictEqual(yield* counts([two]), [2])
        assert.deepStrictEqual(yield* counts([two, one]), [2, 2])
        // another version is another projection
        const [other] = yield* store.attend({ owner: b, leaseMillis: 60_000, projections: [{ name: one, version: 2 }] })
        assert.strictEqual(other!.runners, 1)
        yield* store.leave(a)
        assert.deepStrictEqual(yield* counts([one]), [1])
        yield* attend(a, [one], 50)
        yield* waitFor(counts([one]), (runners) => runners[0] === 1)
        assert.deepStrictEqual(yield* attend(a, []), [])
        yield* assertInvalid(attend("", [one]), "InvalidIdentifier", "owner")
        yield* assertInvalid(attend(a, [""]), "InvalidIdentifier", "name")
        yield* assertInvalid(store.acquire(claim(one, { slice: 5, slices: 5 })), "NumberOutOfRange", "slices")
        yield* assertInvalid(store.acquire(claim(one, { slice: 1_024 })), "NumberOutOfRange", "slice")
      }))

    it.effect("the digests of slices are those of their events, each up to a position of its own", () =>
      Effect.gen(function*() {
        const store = yield* CheckpointStore
        const category = someStream().split("-")[0]!
        for (const index of [0, 1, 2, 3, 4, 5, 6, 7]) {
          yield* append(`${category}-${index}é`, "noStream", proposedMany(3))
        }
        const last = yield* head
        const filter = { categories: [category] }
        const untils = [last, last - 5, last - 12, 0] as Array<Position>
        const digests = yield* store.digestSlices({ filter, untils })
        const events = yield* Stream.runCollect(
          EventStore.useSync((log) => log.readAll({ filter })).pipe(Stream.unwrap)
        )
        assert.deepStrictEqual(
          digests,
          untils.map((until, slice) =>
            addEvents(
              EMPTY_DIGEST,
              events.filter(({ position, streamId }) => position <= until && sliceOf(streamId, 4) === slice)
            )
          )
        )
        const whole = yield* store.digestLog({ filter, until: last })
        const all = yield* store.digestSlices({ filter, untils: untils.map(() => last) })
        assert.deepStrictEqual(all.reduce(addDigests), whole)
        assert.deepStrictEqual(yield* store.digestSlices({ filter: undefined, untils: [0, 0] as Array<Position> }), [
          EMPTY_DIGEST,
          EMPTY_DIGEST
        ])
      }))
  })
}
