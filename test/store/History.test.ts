import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, type Scope } from "effect"
import type { Position } from "../../src/event/Revision.ts"
import { Projection, ProjectionRunner, Reactor, ReadToken } from "../../src/projection/index.ts"
import { CheckpointStore } from "../../src/store/CheckpointStore.ts"
import type { LogHead } from "../../src/store/EventStore.ts"
import { historyOf, judgePlace } from "../../src/store/History.ts"
import { type AnyStore, storeKinds } from "../backup/stores.ts"
import { moveAll } from "./transfers.ts"

const head = (position: number, incarnation: string, parent?: LogHead["parent"]): LogHead => ({
  position: position as Position,
  incarnation,
  parent
})

describe("History", () => {
  it.each([
    [{ incarnation: "own", position: 120 }, "Here"],
    [{ incarnation: "own", position: 121 }, "Ahead"],
    [{ incarnation: "parent", position: 100 }, "Here"],
    [{ incarnation: "parent", position: 101 }, "Gone"],
    [{ incarnation: "other", position: 1 }, "Foreign"],
    [{ incarnation: "other", position: 0 }, "Here"]
  ])("a place is judged by the history that it is of: %j is %s", (place, verdict) => {
    assert.strictEqual(judgePlace(place, head(120, "own", { incarnation: "parent", position: 100 })), verdict)
  })

  it("a log that was never restored knows one history", () => {
    assert.strictEqual(judgePlace({ incarnation: "parent", position: 1 }, head(120, "own")), "Foreign")
    assert.strictEqual(historyOf(1, head(120, "own")), "own")
  })

  it("an event is of the history in which it was recorded", () => {
    const restored = head(120, "own", { incarnation: "parent", position: 100 })
    assert.deepStrictEqual([1, 100, 101, 120].map((position) => historyOf(position, restored)), [
      "parent",
      "parent",
      "own",
      "own"
    ])
  })
})

const appendSome = ({ store }: AnyStore, count: number) =>
  store.append({
    streamId: "a-1",
    expected: "any",
    events: Array.from({ length: count }, (_, index) => ({ type: "Happened", data: { index } }))
  })

/** A custom projection and a reactor, and the keys that they were given, by position. */
const makeKeyed = () => {
  const keys: Record<string, Map<number, string>> = { custom: new Map(), reactor: new Map() }
  const followers = [
    Projection.custom({
      name: "custom",
      events: "all",
      apply: (deliveries) =>
        Effect.sync(() => {
          for (const { dedupeKey, event } of deliveries) keys["custom"]!.set(event.position, dedupeKey)
        })
    }),
    Reactor.make({
      name: "reactor",
      events: "all",
      from: "start",
      react: ({ position }, { dedupeKey }) => Effect.sync(() => void keys["reactor"]!.set(position, dedupeKey))
    })
  ]
  const run = ({ context }: AnyStore) =>
    Effect.provideContext(
      Effect.forEach(followers, (follower) => ProjectionRunner.runOnce(follower), { discard: true }),
      context
    )
  return { keys, run }
}

for (const { label, open } of storeKinds) {
  const test = (name: string, run: Effect.Effect<void, unknown, Scope.Scope>) => it.live(name, () => Effect.scoped(run))
  describe(`a restored store and the history before (${label})`, () => {
    test(
      "read tokens and keys of before are good up to where the two are the same, and it is said where that is",
      Effect.gen(function*() {
        const [from, to] = [yield* open, yield* open]
        const [before, after] = [makeKeyed(), makeKeyed()]
        const tokenAt = (position: number) =>
          Effect.provideContext(ReadToken.after({ position: position as Position }), from.context)
        yield* appendSome(from, 3)
        yield* before.run(from)
        yield* appendSome(from, 4)
        const old = yield* from.store.head
        assert.isUndefined(old.parent)
        yield* moveAll(from.transfer, to.transfer)
        // this was seen after the backup was made, and the restored store has not noted it
        yield* appendSome(from, 2)
        yield* before.run(from)
        yield* appendSome(to, 2)
        yield* after.run(to)

        const { incarnation, parent } = yield* to.store.head
        assert.deepStrictEqual(parent, { incarnation: old.incarnation, position: 7 })
        assert.notStrictEqual(incarnation, old.incarnation)

        const resolve = (token: string) => Effect.provideContext(ReadToken.resolve(token), to.context)
        assert.deepStrictEqual(yield* resolve(yield* tokenAt(7)), { position: 7 as Position, incarnation })
        const gone = yield* Effect.flip(resolve(yield* tokenAt(8)))
        assert.deepInclude(gone as object, { _tag: "ReadTokenInvalid", reason: "RestoredBefore", restoredUntil: 7 })
        assert.match(gone.message, /up to position 7, /)
        const other = ReadToken.encode({ incarnation: crypto.randomUUID(), position: 1 as Position })
        assert.deepInclude((yield* Effect.flip(resolve(other))) as object, { reason: "OtherHistory" })

        for (const name of ["custom", "reactor"]) {
          const [first, again] = [before.keys[name]!, after.keys[name]!]
          assert.deepStrictEqual([...again.keys()], [4, 5, 6, 7, 8, 9])
          for (const position of [4, 5, 6, 7]) assert.strictEqual(again.get(position), first.get(position))
          for (const position of [8, 9]) assert.notStrictEqual(again.get(position), first.get(position))
          assert.strictEqual(new Set([...first.values(), ...again.values()]).size, 9 + 2)
        }
      })
    )
    if (label === "memory") return
    test(
      "a checkpoint of before that was not carried over is refused, and it is said that the store was restored",
      Effect.gen(function*() {
        const store = yield* open
        yield* appendSome(store, 4)
        yield* makeKeyed().run(store)
        yield* appendSome(store, 2)
        const sql = Context.get(store.context as unknown as Context.Context<PgClient.PgClient>, PgClient.PgClient)
        yield* sql`UPDATE event_store.head SET parent = incarnation, parent_position = 3,
          incarnation = gen_random_uuid()`
        const refused = yield* Effect.flip(makeKeyed().run(store))
        assert.deepInclude(refused as object, { _tag: "HistoryChanged", position: 4, restoredUntil: 3 })
        assert.match(refused.message, /was restored from that one up to position 3: reset the projection/)
        const [record] = yield* Effect.provideContext(
          CheckpointStore.use((checkpoints) => checkpoints.findSlices({ name: "custom", version: 1 })),
          store.context
        )
        assert.strictEqual(record?.failure?.message, refused.message)
      })
    )
  })
}
