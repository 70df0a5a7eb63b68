/**
 * Events of backups that are appended to stores as tests: one text for all
 * storages.
 */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, type Scope, Stream } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import { allEvents, fillStore } from "../store/transfers.ts"
import { appendSome, created, serviceOf } from "./BackupServiceSuite.ts"
import { makePlace } from "./fixtures.ts"
import type { StoreKind } from "./stores.ts"

/** Registers the tests for one storage. */
export const suite = ({ label, open }: StoreKind): void => {
  const test = (name: string, run: Effect.Effect<void, unknown, Scope.Scope>) => it.live(name, () => Effect.scoped(run))
  describe(`BackupService.append (${label})`, () => {
    test(
      "events of some streams, types and tags are appended to another store, once",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        yield* fillStore(from)
        yield* created(yield* serviceOf(from, place))
        const to = yield* open
        const backups = yield* serviceOf(to, place)
        yield* appendSome(to.store, 2)
        const selection = { streams: ["order-1", "order-2"], types: ["Placed"] }
        const planned = yield* backups.planAppend(selection)
        const some = yield* backups.append(selection)
        assert.deepInclude(planned as object, { read: 60, toAppend: some.appended, present: 0, conflicting: 0 })
        const expected = (yield* allEvents(from.transfer, 60)).filter(({ streamId, type }) =>
          ["order-1", "order-2"].includes(streamId) && type === "Placed"
        )
        assert.deepInclude(some as object, { read: 60, appended: expected.length, present: 0 })
        const log = yield* Stream.runCollect(to.store.readAll({ after: 2 as Position }))
        assert.deepStrictEqual(log.map(({ id }) => `${id}`), expected.map(({ id }) => id))
        assert.deepStrictEqual(
          log.map(({ metadata }) => DateTime.makeUnsafe(metadata["recordedAt"] as string).epochMilliseconds),
          expected.map(({ recordedAt }) => Math.floor(recordedAt / 1_000))
        )
        const rest = yield* backups.planAppend({ categories: ["order"] })
        assert.deepInclude(rest as object, { toAppend: 60 - expected.length, present: expected.length, conflicting: 0 })
        assert.deepInclude((yield* backups.planAppend({ tags: ["größe:🦊"], to: { position: 30 } })) as object, {
          position: 30,
          read: 30
        })
        assert.strictEqual((yield* to.store.head).position, 2 + expected.length)
        const more = yield* backups.append({ categories: ["order"] })
        assert.deepInclude(more as object, { appended: 60 - expected.length, present: expected.length })
        const tagged = yield* backups.append({ tags: ["größe:🦊"], to: { position: 30 } })
        assert.deepInclude(tagged as object, { read: 30, appended: 0, present: 5 })
      })
    )

    test(
      "under a prefix the events stand beside those that they are copies of",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        yield* fillStore(from)
        const backups = yield* serviceOf(from, place)
        yield* created(backups)
        assert.deepInclude((yield* backups.planAppend({ streamPrefix: "restored-" })) as object, {
          toAppend: 60,
          present: 0
        })
        const outcome = yield* backups.append({ streamPrefix: "restored-" })
        assert.deepInclude((yield* backups.planAppend({ streamPrefix: "restored-" })) as object, {
          toAppend: 0,
          present: 60
        })
        const other = yield* open
        const [stray] = yield* allEvents(from.transfer, 1)
        yield* other.store.append({
          streamId: "elsewhere-1",
          expected: "noStream",
          events: [{ id: stray!.id, type: "Other", data: null }]
        })
        const beside = yield* serviceOf(other, place)
        assert.deepInclude((yield* beside.planAppend({ streams: [stray!.streamId] })) as object, { conflicting: 1 })
        assert.strictEqual(
          (yield* Effect.flip(beside.append({ streams: [stray!.streamId] })))._tag,
          "IdempotencyConflict"
        )
        assert.deepInclude(outcome as object, { appended: 60, present: 0 })
        const again = yield* backups.append({ streamPrefix: "restored-" })
        assert.deepInclude(again as object, { appended: 0, present: 60 })
        const copies = yield* Stream.runCollect(from.store.readStream("restored-order-4"))
        const originals = yield* Stream.runCollect(from.store.readStream("order-4"))
        assert.deepStrictEqual(
          copies.map(({ data, type }) => [type, data]),
          originals.map(({ data, type }) => [type, data])
        )
      })
    )

    test(
      "a run of which a part is there already is completed, copies under two prefixes stand apart, and a first time stays",
      Effect.gen(function*() {
        const from = yield* open
        const place = yield* makePlace
        yield* appendSome(from.store, 9, "order-1")
        const backups = yield* serviceOf(from, place)
        yield* created(backups)
        const rows = yield* allEvents(from.transfer, 9)
        const to = yield* open
        const others = yield* serviceOf(to, place)
        yield* others.append({ to: { position: 4 } })
        assert.deepInclude((yield* others.append()) as object, { read: 9, appended: 5, present: 4 })
        for (const streamPrefix of ["a-", "b-"]) {
          assert.deepInclude((yield* others.append({ streamPrefix })) as object, { appended: 9, present: 0 })
        }
        // copies of copies know when the first one was recorded
        yield* created(others)
        yield* backups.append({ streams: ["a-order-1"], streamPrefix: "c-" })
        const copies = yield* Stream.runCollect(from.store.readStream("c-a-order-1"))
        assert.deepStrictEqual(
          copies.map(({ metadata }) => DateTime.makeUnsafe(metadata["recordedAt"] as string).epochMilliseconds),
          rows.map(({ recordedAt }) => Math.floor(recordedAt / 1_000))
        )
      })
    )
  })
}
