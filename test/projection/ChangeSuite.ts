/**
 * What the change feed of a projection promises: one text for all storages.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option, Schema, Stream } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import { ChangeFeed, Projection } from "../../src/projection/index.ts"
import { changesOf } from "../../src/projection/internal/changes.ts"
import type { StateProjection } from "../../src/projection/Projection.ts"
import { CheckpointStore, type Lease } from "../../src/store/CheckpointStore.ts"
import { EMPTY_DIGEST } from "../../src/store/EventDigest.ts"
import type { EventStore } from "../../src/store/EventStore.ts"
import { ReadModelStore } from "../../src/store/ReadModelStore.ts"
import { append, head, indexes, proposedMany, someStream, unique } from "../store/fixtures.ts"
import { someProjectionName, types } from "./fixtures.ts"
import { commitAt, keep } from "./keptStates.ts"

const { changes, follow, now } = ChangeFeed

const watched = (
  rest: { readonly name?: string; readonly retain?: number; readonly slices?: number; readonly version?: number } = {}
): StateProjection<Schema.Json> =>
  Projection.state({
    name: rest.name ?? someProjectionName(),
    version: rest.version,
    events: types,
    changes: { retain: rest.retain },
    slices: rest.slices === undefined ? undefined : { count: rest.slices },
    state: Schema.Json,
    initial: null,
    key: (event) => event.streamId,
    on: { AccountOpened: (state) => state, MoneyDeposited: (state) => state }
  })

const grow = (events: number) => append(someStream(), "noStream", proposedMany(events))

/** All changes after a token, in pages. */
const readAll = (projection: StateProjection<Schema.Json>, after: string | undefined, limit = 3) =>
  Effect.gen(function*() {
    const all: Array<ChangeFeed.StateChange> = []
    let token = after
    while (true) {
      const page: ChangeFeed.ChangePage<ChangeFeed.StateChange> = yield* changes(projection, { after: token, limit })
      all.push(...page.changes)
      token = page.next
      if (page.isEnd) return { all, token }
    }
  })

const said = (list: ReadonlyArray<ChangeFeed.StateChange>) => list.map(({ key, kind }) => `${kind} ${key}`).sort()

/** Registers the tests for one storage. */
export const suite = <E>(
  storage: string,
  layer: Layer.Layer<CheckpointStore | EventStore | ReadModelStore, E>
): void => {
  it.layer(layer, { timeout: "60 seconds", excludeTestServices: true })(`ChangeFeed (${storage})`, (it) => {
    it.effect("changes come in the order of their commits, each state once a commit, in pages of any size", () =>
      Effect.gen(function*() {
        const projection = watched()
        assert.deepStrictEqual((yield* changes(projection)).changes, [])
        const { position } = yield* grow(3)
        yield* keep(projection, { a: 1, b: 2, "c'\\": 3 }, position - 1)
        yield* keep(projection, { a: undefined, b: 3 }, position)
        // the checkpoint does not move when parked events are applied
        yield* keep(projection, { d: 4 }, position)
        for (const limit of [1, 2, 3, 100]) {
          const { all } = yield* readAll(projection, undefined, limit)
          assert.deepStrictEqual(said(all.slice(0, 3)), ["changed a", "changed b", "changed c'\\"])
          assert.deepStrictEqual(said(all.slice(3, 5)), ["changed b", "removed a"])
          assert.deepStrictEqual(said(all.slice(5)), ["changed d"])
          assert.deepStrictEqual(all.map(({ position: at }) => at - position), [-1, -1, -1, 0, 0, 0])
          // the token of each change leads to the next one
          for (const [index, { token }] of all.entries()) {
            const { all: rest } = yield* readAll(projection, token, limit)
            assert.deepStrictEqual(rest, all.slice(index + 1))
          }
        }
      }))

    it.effect("commits of any number and position are told", () =>
      Effect.gen(function*() {
        const projection = watched()
        const start = yield* head
        yield* grow(300)
        const places = indexes(260)
        for (const index of places) yield* keep(projection, { [`${index}`]: 1 }, start + 1 + index)
        const { all } = yield* readAll(projection, undefined, 100)
        assert.deepStrictEqual(all.map(({ key }) => key), places.map(String))
        assert.deepStrictEqual(all.map(({ position }) => position - start), places.map((index) => index + 1))
      }))

    it.effect("a reader that follows sees every change of every commit, and a token of now misses none", () =>
      Effect.gen(function*() {
        const projection = watched()
        yield* grow(1)
        yield* keep(projection, { first: 0 })
        const token = yield* now(projection)
        const reader = yield* Effect.forkChild(
          follow(projection, { after: token }).pipe(Stream.take(150), Stream.runCollect)
        )
        for (const round of indexes(50)) yield* keep(projection, { [`${round} a`]: 1, [`${round} b`]: 1, same: round })
        const seen = yield* Fiber.join(reader)
        assert.deepStrictEqual(
          seen.map(({ key }) => key).filter((key) => key !== "same").sort(),
          indexes(50).flatMap((round) => [`${round} a`, `${round} b`]).sort()
        )
        assert.strictEqual(seen.filter(({ key }) => key === "same").length, 50)
        assert.deepStrictEqual((yield* changes(projection, { after: yield* now(projection) })).changes, [])
      }))

    it.effect("slices that commit side by side are one feed, and nothing comes late", () =>
      Effect.gen(function*() {
        const projection = watched({ slices: 3 })
        yield* grow(3)
        const store = yield* CheckpointStore
        const position = yield* head
        const rounds = 20
        const work = (slice: number) =>
          Effect.gen(function*() {
            const { definition, name, version } = projection
            const answer = yield* store.acquire({
              name,
              version,
              definition,
              slice,
              slices: 3,
              owner: unique(),
              leaseMillis: 60_000,
              statuses: ["running"]
            })
            assert.strictEqual(answer._tag, "Acquired")
            const lease = (answer as { readonly lease: Lease }).lease
            yield* Effect.forEach(indexes(rounds), (round) =>
              store.commit(lease, {
                from: (round === 0 ? 0 : position) as Position,
                to: { ...EMPTY_DIGEST, position },
                states: new Map([[`${slice} ${round}`, "1"]]),
                changes: changesOf(projection)
              }), { discard: true })
          })
        const reader = yield* Effect.forkChild(follow(projection).pipe(Stream.take(3 * rounds), Stream.runCollect))
        yield* Effect.forEach(indexes(3), work, { concurrency: "unbounded", discard: true })
        const seen = (yield* Fiber.join(reader)).map(({ key }) => key)
        assert.deepStrictEqual(
          [...seen].sort(),
          indexes(3).flatMap((slice) => indexes(rounds).map((round) => `${slice} ${round}`)).sort()
        )
        for (const slice of indexes(3)) {
          const own = seen.filter((key) => key.startsWith(`${slice} `))
          assert.deepStrictEqual(own, indexes(rounds).map((round) => `${slice} ${round}`))
        }
      }))

    it.effect("a commit that is refused changes nothing, and one without states is no change", () =>
      Effect.gen(function*() {
        const projection = watched()
        const { position } = yield* grow(5)
        yield* keep(projection, { a: 1 }, position - 2)
        const token = yield* now(projection)
        const store = yield* CheckpointStore
        const { definition, name, version } = projection
        const claim = { name, version, definition, leaseMillis: 60_000, statuses: ["running" as const] }
        const stale = yield* store.acquire({ ...claim, owner: "x" })
        yield* store.acquire({ ...claim, owner: "x" })
        const lost = yield* Effect.flip(store.commit((stale as { readonly lease: Lease }).lease, {
          from: (position - 2) as Position,
          to: { ...EMPTY_DIGEST, position },
          states: new Map([["b", "1"]]),
          changes: changesOf(projection)
        }))
        assert.strictEqual(lost._tag, "LeaseLost")
        yield* store.release((stale as { readonly lease: Lease }).lease)
        const [record] = yield* store.findSlices(projection)
        yield* store.release({ ...(stale as { readonly lease: Lease }).lease, epoch: record!.epoch })
        yield* commitAt(projection, {}, position)
        const page = yield* changes(projection, { after: token })
        assert.deepStrictEqual(page.changes, [])
        assert.strictEqual(page.position, position)
      }))

    it.effect("changes are forgotten when they are old enough, and a token of before is told so", () =>
      Effect.gen(function*() {
        const projection = watched({ retain: 20 })
        const start = yield* head
        yield* grow(100)
        yield* keep(projection, { old: 1 }, start + 1)
        const old = (yield* readAll(projection, undefined)).token
        yield* keep(projection, { older: 1 }, start + 2)
        const older = yield* changes(projection, { after: old, limit: 1 })
        assert.deepStrictEqual(said(older.changes), ["changed older"])
        for (const index of indexes(33)) yield* keep(projection, { [`k ${index}`]: 1 }, start + 3 * (index + 1))
        for (const after of [undefined, old]) {
          assert.strictEqual((yield* Effect.flip(changes(projection, { after })))._tag, "ChangesExpired")
        }
        const kept = yield* ReadModelStore.use((store) =>
          store.readChanges({ source: { name: projection.name, version: undefined }, after: undefined, limit: 1_000 })
        )
        const { changes: rows, forgotten } = Option.getOrThrow(kept)
        assert.isAtLeast(rows.length, 20 / 3)
        assert.isAtMost(rows.length, (20 + 2 + 3) / 3 + 1)
        assert.isAbove(forgotten, 0)
        assert.deepStrictEqual(
          rows.map(({ change }) => change),
          indexes(rows.length).map((index) => forgotten + 1 + index)
        )
        // whoever is at the end stays there, however much is forgotten
        const token = yield* now(projection)
        yield* grow(200)
        yield* commitAt(projection, {})
        const page = yield* changes(projection, { after: token })
        assert.deepStrictEqual(page.changes, [])
      }))

    it.effect("a token inside of the last commit that is forgotten is told so, and one after it goes on", () =>
      Effect.gen(function*() {
        const projection = watched({ retain: 20 })
        const start = yield* head
        yield* grow(60)
        yield* keep(projection, { a: 1, b: 1, c: 1 }, start + 1)
        const inside = (yield* changes(projection, { limit: 1 })).next
        const behind = (yield* readAll(projection, undefined)).token
        yield* keep(projection, { d: 1 }, start + 50)
        assert.strictEqual((yield* Effect.flip(changes(projection, { after: inside })))._tag, "ChangesExpired")
        assert.deepStrictEqual(said((yield* changes(projection, { after: behind })).changes), ["changed d"])
      }))

    it.effect("a reset begins another feed, and so does another version that is live", () =>
      Effect.gen(function*() {
        const projection = watched()
        yield* grow(2)
        yield* keep(projection, { a: 1, b: 1 })
        const token = yield* now(projection)
        yield* commitAt(projection, {
          to: { ...EMPTY_DIGEST, position: 0 as Position },
          reset: { definition: projection.definition }
        })
        for (const after of [undefined, token]) {
          assert.strictEqual((yield* Effect.flip(changes(projection, { after })))._tag, "ChangesExpired")
        }
        const fresh = yield* now(projection)
        yield* keep(projection, { a: 2 })
        assert.deepStrictEqual(said((yield* changes(projection, { after: fresh })).changes), ["changed a"])
        const other = watched({ name: projection.name, version: 2 })
        yield* keep(other, { z: 1 })
        // it is not live: nobody is told of it
        assert.deepStrictEqual(said((yield* changes(other, { after: fresh })).changes), ["changed a"])
      }))

    it.effect("a projection without changes, a token of another one and garbage are refused", () =>
      Effect.gen(function*() {
        const projection = watched()
        yield* grow(1)
        yield* keep(projection, { a: 1 })
        const { changes: _, ...rest } = projection
        assert.strictEqual((yield* Effect.flip(changes({ ...rest, changes: undefined })))._tag, "ChangesNotKept")
        const foreign = yield* now(watched())
        const token = yield* now(projection)
        const garbage = [
          "",
          "x",
          foreign,
          `${token}A`,
          token.slice(1),
          "%",
          "x".repeat(1_000_000),
          "\0",
          Buffer.from("00000000  0 ").toString("base64url")
        ]
        for (const after of garbage) {
          assert.strictEqual((yield* Effect.flip(changes(projection, { after })))._tag, "ChangesTokenInvalid")
        }
        for (const limit of [0, 1_001, 0.5, Number.NaN]) {
          assert.strictEqual((yield* Effect.flip(changes(projection, { limit })))._tag, "QueryInvalid")
        }
      }))
  })
}
